package consumer

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/kafkasync/kafkasync/internal/gtid"
)

// behind reports whether a pipeline that stands at position has published everything up to pos, a place such as the header pos shows.
func behind(position, pos string) (bool, error) {
	kind, at, _ := strings.Cut(position, ":")
	var compare func(at, pos string) (is, ok bool)
	var example string
	switch kind {
	case "mysql":
		compare, example = contains, "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"
	case "mariadb":
		compare, example = hasReached, "0-1-100"
	case "file":
		_, at, _ = strings.Cut(at, ":") // it begins with the server
		compare, example = behindFile, "binlog.000003:157"
	default: // system:timeline:LSN
		at = position[strings.LastIndexByte(position, ':')+1:]
		compare, example = behindLSN, "0/16B3748"
	}
	is, ok := compare(at, pos)
	if !ok {
		return false, fmt.Errorf("consumer: %q cannot be compared with the position %q of the pipeline, want a place like %s", pos, position, example)
	}
	return is, nil
}

// behindLSN compares the end of a transaction with the beginning of a commit record.
func behindLSN(at, pos string) (is, ok bool) {
	ours, ok := parseLSN(at)
	theirs, fits := parseLSN(pos)
	return ours > theirs, ok && fits
}

func parseLSN(text string) (uint64, bool) {
	high, low, _ := strings.Cut(text, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	return h<<32 | l, err == nil && err2 == nil
}

// behindFile compares ends of transactions in the log files of one server.
func behindFile(at, pos string) (is, ok bool) {
	base, ours, ok := parseOffset(at)
	other, theirs, fits := parseOffset(pos)
	order := cmp.Or(cmp.Compare(ours[0], theirs[0]), cmp.Compare(ours[1], theirs[1]))
	return order >= 0, ok && fits && base == other
}

func parseOffset(text string) (base string, place [2]uint64, ok bool) {
	colon := strings.LastIndexByte(text, ':')
	dot := strings.LastIndexByte(text[:max(colon, 0)], '.')
	if dot <= 0 {
		return "", place, false
	}
	number, err := strconv.ParseUint(text[dot+1:colon], 10, 32)
	offset, err2 := strconv.ParseUint(text[colon+1:], 10, 64)
	return text[:dot], [2]uint64{number, offset}, err == nil && err2 == nil
}

// hasReached compares positions of MariaDB.
func hasReached(at, pos string) (is, ok bool) {
	ours, err := gtid.ParseMariaPosition(at)
	theirs, err2 := gtid.ParseMariaPosition(pos)
	return ours.Reached(theirs), err == nil && err2 == nil && !theirs.Empty()
}

// contains compares sets of GTIDs of MySQL.
func contains(at, pos string) (is, ok bool) {
	ours, err := gtid.ParseSet(at)
	theirs, err2 := gtid.ParseSet(pos)
	return ours.Contains(theirs), err == nil && err2 == nil && !theirs.Empty()
}
