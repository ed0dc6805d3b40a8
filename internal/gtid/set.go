package gtid

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Set is a set of MySQL's transactions, such as all that a server has executed
// (gtid_executed) or thrown away (gtid_purged). The zero Set is empty. A copy of a
// Set shares its content; Clone does not.
type Set struct {
	lanes map[lane]intervals // none of them is empty
}

// lane is one sequence of numbers.
type lane struct {
	source UUID
	tag    string
}

func (l lane) compare(other lane) int {
	return cmp.Or(bytes.Compare(l.source[:], other.source[:]), strings.Compare(l.tag, other.tag))
}

// ParseSet reads a set as the server prints it, or as a person would write it:
// in any order and case, with spaces and line breaks, and "" for none. What the server
// would read as nothing, a tag without a number or an interval that ends before it
// begins, is refused.
func ParseSet(text string) (Set, error) {
	var s Set
	if strings.TrimSpace(text) == "" {
		return s, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		fields := strings.Split(part, ":")
		source, err := ParseUUID(strings.TrimSpace(fields[0]))
		if err != nil {
			return Set{}, fmt.Errorf("GTID set: %w, want uuid:1-5", err)
		}
		if err := s.addFields(source, fields[1:]); err != nil {
			return Set{}, fmt.Errorf("GTID set: of %s: %w", source, err)
		}
	}
	return s, nil
}

// addFields adds what stands behind a UUID: intervals, and tags which are those of
// the intervals up to the next one.
func (s *Set) addFields(source UUID, fields []string) error {
	open := true // nothing has come yet that must come
	tag := ""
	for _, field := range fields {
		field = strings.ToLower(strings.TrimSpace(field))
		if isTag(field) {
			if tag != "" && open {
				return fmt.Errorf("tag %q has no transaction number", tag)
			}
			tag, open = field, true
			continue
		}
		i, err := parseInterval(field)
		if err != nil {
			return err
		}
		s.add(lane{source, tag}, i)
		open = false
	}
	if open {
		return errors.New("a transaction number is missing at the end")
	}
	return nil
}

func parseInterval(text string) (interval, error) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := parseNumber(strings.TrimSpace(from))
	if err != nil || !isRange {
		return interval{first, first}, err
	}
	last, err := parseNumber(strings.TrimSpace(to))
	if err == nil && last < first {
		err = fmt.Errorf("%q ends before it begins", text)
	}
	return interval{first, last}, err
}

// String is the set as the server prints it, without its line breaks.
func (s Set) String() string {
	var text strings.Builder
	var before lane
	for n, l := range s.sorted() {
		if n == 0 || l.source != before.source {
			if n > 0 {
				text.WriteByte(',')
			}
			text.WriteString(l.source.String())
		}
		if l.tag != "" {
			text.WriteString(":" + l.tag)
		}
		for _, i := range s.lanes[l] {
			text.WriteString(":" + i.String())
		}
		before = l
	}
	return text.String()
}

func (s Set) sorted() []lane {
	return slices.SortedFunc(maps.Keys(s.lanes), lane.compare)
}

// Empty reports whether nothing is in the set.
func (s Set) Empty() bool { return len(s.lanes) == 0 }

// Clone returns a set that can be added to without changing s.
func (s Set) Clone() Set {
	lanes := make(map[lane]intervals, len(s.lanes))
	for l, i := range s.lanes {
		lanes[l] = slices.Clone(i)
	}
	return Set{lanes}
}

// Add adds one transaction. Its number is one that a server gave it.
func (s *Set) Add(id ID) { s.add(lane{id.Source, id.Tag}, interval{id.Number, id.Number}) }

func (s *Set) add(l lane, i interval) {
	if s.lanes == nil {
		s.lanes = map[lane]intervals{}
	}
	s.lanes[l] = s.lanes[l].add(i)
}

// Has reports whether a transaction is in the set.
func (s Set) Has(id ID) bool { return s.lanes[lane{id.Source, id.Tag}].has(id.Number) }

// Names reports whether a transaction that a server first committed is in the set.
func (s Set) Names(source UUID) bool {
	for l := range s.lanes {
		if l.source == source {
			return true
		}
	}
	return false
}

// Contains reports whether all of other is in the set.
func (s Set) Contains(other Set) bool { return other.Minus(s).Empty() }

// Meets reports whether something is in both.
func (s Set) Meets(other Set) bool { return !s.Intersect(other).Empty() }

// Union is what is in either.
func (s Set) Union(other Set) Set {
	all := s.Clone()
	for l, from := range other.lanes {
		for _, i := range from {
			all.add(l, i)
		}
	}
	return all
}

// Minus is what of s is not in other.
func (s Set) Minus(other Set) Set {
	left := Set{map[lane]intervals{}}
	for l, i := range s.lanes {
		if i = i.minus(other.lanes[l]); len(i) > 0 {
			left.lanes[l] = i
		}
	}
	return left
}

// Intersect is what is in both.
func (s Set) Intersect(other Set) Set { return s.Minus(s.Minus(other)) }

// Count is how many transactions are in the set, up to the largest int64.
func (s Set) Count() int64 {
	var n int64
	for _, lane := range s.lanes {
		for _, i := range lane {
			more := i.last - i.first + 1
			if n > math.MaxInt64-more {
				return math.MaxInt64
			}
			n += more
		}
	}
	return n
}
