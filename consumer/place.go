package consumer

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
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

// hasReached compares positions of MariaDB: the newest transaction of each domain. Two servers that gave the same number went
// different ways, and neither has what the other has.
func hasReached(at, pos string) (is, ok bool) {
	ours, ok := parseDomains(at)
	theirs, fits := parseDomains(pos)
	is = true
	for domain, newest := range theirs {
		had := ours[domain]
		is = is && (had.number > newest.number || had == newest)
	}
	return is, ok && fits && len(theirs) > 0
}

// newestOf is the newest transaction of a domain.
type newestOf struct{ server, number uint64 }

func parseDomains(text string) (domains map[string]newestOf, ok bool) {
	domains = map[string]newestOf{}
	for one := range strings.SplitSeq(text, ",") {
		if one == "" {
			continue
		}
		if !mariaDBPlace.MatchString(one) {
			return nil, false
		}
		parts := strings.Split(one, "-")
		server, err := strconv.ParseUint(parts[1], 10, 32)
		number, err2 := strconv.ParseUint(parts[2], 10, 64)
		if err != nil || err2 != nil {
			return nil, false
		}
		if number > domains[parts[0]].number {
			domains[parts[0]] = newestOf{server, number}
		}
	}
	return domains, true
}

// contains compares sets of GTIDs of MySQL.
func contains(at, pos string) (is, ok bool) {
	ours, ok := parseGTIDs(at)
	theirs, fits := parseGTIDs(pos)
	is = true
	for lane, spans := range theirs {
		for _, s := range spans {
			is = is && has(ours[lane], s)
		}
	}
	return is, ok && fits && len(theirs) > 0
}

// span is transaction numbers of a server, or of one of its tags: the first and the last.
type span [2]uint64

// has reports whether one of the spans, of which none touches the next, has all of s.
func has(spans []span, s span) bool {
	for _, one := range spans {
		if one[0] <= s[0] && s[1] <= one[1] {
			return true
		}
	}
	return false
}

// parseGTIDs reads UUID:1-5:7:tag:1-3,UUID:9, as the server prints it, with or without its line breaks.
func parseGTIDs(text string) (lanes map[string][]span, ok bool) {
	text = strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text))
	lanes = map[string][]span{}
	for one := range strings.SplitSeq(text, ",") {
		if one == "" {
			continue
		}
		server, fields, _ := strings.Cut(one, ":")
		if !mysqlPlace.MatchString(server + ":1") {
			return nil, false
		}
		lane := server
		for field := range strings.SplitSeq(fields, ":") {
			if s, is := parseSpan(field); is {
				lanes[lane] = append(lanes[lane], s)
				continue
			}
			lane = server + ":" + field
			if !mysqlPlace.MatchString(lane + ":1") {
				return nil, false
			}
		}
	}
	return lanes, true
}

func parseSpan(text string) (s span, ok bool) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var err, err2 error
	s[0], err = strconv.ParseUint(first, 10, 64)
	s[1], err2 = strconv.ParseUint(last, 10, 64)
	return s, err == nil && err2 == nil && s[0] <= s[1]
}
