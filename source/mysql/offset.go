package mysql

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/kafkasync/kafkasync/internal/gtid"
)

// offset is a place in a file of one server's log. Another server has files of the
// same names with other transactions in them.
type offset struct {
	server gtid.UUID
	file   string
	// at is what a reader can ask a server for. What lies behind 4 GiB in a file, where
	// one transaction may end, has no place; the next one begins in another file.
	at uint32
}

// firstOffset is where a file's first event begins, behind four bytes that say what it is.
const firstOffset = 4

func (o offset) String() string {
	return o.server.String() + ":" + o.file + ":" + strconv.FormatUint(uint64(o.at), 10)
}

func parseOffset(text string) (o offset, err error) {
	server, rest, _ := strings.Cut(text, ":")
	if o.server, err = gtid.ParseUUID(server); err != nil {
		return offset{}, fmt.Errorf("the server of a place in a file: %w", err)
	}
	// From the end: the name is the server's to choose.
	colon := strings.LastIndexByte(rest, ':')
	if colon < 0 {
		return offset{}, fmt.Errorf("%q: want <UUID of the server>:<file>:<offset>", text)
	}
	o.file = rest[:colon]
	if _, _, err := splitFile(o.file); err != nil {
		return offset{}, err
	}
	at, err := strconv.ParseUint(rest[colon+1:], 10, 32)
	if err != nil || at < firstOffset {
		return offset{}, fmt.Errorf("%q is not an offset in a log file, want %d to 4294967295", rest[colon+1:], firstOffset)
	}
	o.at = uint32(at)
	return o, nil
}

// compare says which of two places comes first, as cmp.Compare does. It is an error
// if they have no order: other servers, or a log that was given another name.
func (o offset) compare(other offset) (int, error) {
	if o.server != other.server {
		return 0, fmt.Errorf("comparing %s and %s: they are places of two servers", o, other)
	}
	base, number, err := splitFile(o.file)
	if err != nil {
		return 0, err
	}
	otherBase, otherNumber, err := splitFile(other.file)
	if err != nil {
		return 0, err
	}
	if base != otherBase {
		return 0, fmt.Errorf("comparing %s and %s: the log has been renamed from one to the other", o, other)
	}
	return cmp.Or(cmp.Compare(number, otherNumber), cmp.Compare(o.at, other.at)), nil
}

// splitFile takes apart the name of a log file. Behind its 999999th comes binlog.1000000,
// so names have no order of their own.
func splitFile(name string) (base string, number uint64, err error) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return "", 0, fmt.Errorf("%q is not the name of a log file, want one like binlog.000003", name)
	}
	// ParseUint takes no sign.
	number, err = strconv.ParseUint(name[dot+1:], 10, 32)
	if err != nil || number == 0 || fmt.Sprintf("%06d", number) != name[dot+1:] {
		return "", 0, fmt.Errorf("%q is not the name of a log file, want one like binlog.000003", name)
	}
	return name[:dot], number, nil
}
