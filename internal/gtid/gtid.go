// Package gtid is the arithmetic of global transaction ids, of MySQL and of
// MariaDB: what has been executed, and whether a server still has, or ever had, what
// another place in a log stands for.
//
// It promises that equal values are equal strings, that these are what the server
// itself takes and prints (but for MySQL's line breaks), and that what is not one of
// them is refused with a word on what would be right. MySQL's ids may have tags.
//
// The two are not alike. A MySQL Set is a set: it says of each transaction whether
// it is in it. A MariaPosition is only a place, the newest transaction of each
// domain; what came before it in another server's log cannot be told from it.
package gtid

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// UUID names the MySQL server that first committed a transaction.
type UUID [16]byte

// ParseUUID reads a UUID as MySQL prints it, in either case.
func ParseUUID(text string) (u UUID, err error) {
	plain := strings.ReplaceAll(text, "-", "")
	decoded, err := hex.DecodeString(plain)
	if err != nil || len(decoded) != len(u) {
		return u, fmt.Errorf("%q is not a UUID", text)
	}
	copy(u[:], decoded)
	if !strings.EqualFold(u.String(), text) {
		return u, fmt.Errorf("%q is not a UUID: want it as %s", text, u)
	}
	return u, nil
}

func (u UUID) String() string {
	text := hex.EncodeToString(u[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// ID is one transaction of MySQL.
type ID struct {
	Source UUID
	Tag    string // in lower case; "" for most
	Number int64  // from 1
}

func (id ID) String() string {
	text := id.Source.String() + ":"
	if id.Tag != "" {
		text += id.Tag + ":"
	}
	return text + strconv.FormatInt(id.Number, 10)
}

// maxNumber is the last number that MySQL gives to a transaction.
const maxNumber = 1<<63 - 2

func parseNumber(text string) (int64, error) {
	// ParseInt would take a sign.
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a transaction number", text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > maxNumber {
		return 0, fmt.Errorf("transaction number %s: want 1 to %d", text, int64(maxNumber))
	}
	return n, nil
}

// isTag reports whether text, in lower case, is the tag of an id.
func isTag(text string) bool {
	const maxTag = 32
	if text == "" || len(text) > maxTag || text[0] >= '0' && text[0] <= '9' {
		return false
	}
	return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_0123456789") == ""
}
