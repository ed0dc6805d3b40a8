package gtid

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// MariaID is one transaction of MariaDB. Its number counts the transactions of its
// domain; two servers that both took writes gave the same number twice.
type MariaID struct {
	Domain   uint32
	Server   uint32
	Sequence uint64
}

func (id MariaID) String() string {
	return fmt.Sprintf("%d-%d-%d", id.Domain, id.Server, id.Sequence)
}

func (id MariaID) compare(other MariaID) int {
	return cmp.Or(cmp.Compare(id.Domain, other.Domain), cmp.Compare(id.Server, other.Server), cmp.Compare(id.Sequence, other.Sequence))
}

func parseMariaID(text string) (id MariaID, err error) {
	fields := strings.Split(text, "-")
	if len(fields) != 3 {
		return id, fmt.Errorf("%q is not a GTID, want domain-server-sequence", text)
	}
	var n [3]uint64
	for i, bits := range []int{32, 32, 64} {
		// ParseUint takes no sign.
		if n[i], err = strconv.ParseUint(fields[i], 10, bits); err != nil {
			return id, fmt.Errorf("%q is not a GTID: %q is not a number of %d bits", text, fields[i], bits)
		}
	}
	return MariaID{uint32(n[0]), uint32(n[1]), n[2]}, nil
}

// parseMariaIDs reads a list of them, "" for none.
func parseMariaIDs(text string) (ids []MariaID, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		id, err := parseMariaID(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func formatMariaIDs(ids []MariaID) string {
	slices.SortFunc(ids, MariaID.compare)
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, ",")
}

// MariaPosition is a place in a MariaDB's log: the newest transaction of each
// domain, such as gtid_binlog_pos. (gtid_current_pos is not: of a promoted server it
// names transactions that its log does not have.) The zero value is the log's beginning. A
// copy shares its content; Clone does not.
type MariaPosition struct {
	newest map[uint32]MariaID
}

// ParseMariaPosition reads a position as the server prints it, in any order, with
// spaces, and "" for the beginning.
func ParseMariaPosition(text string) (MariaPosition, error) {
	var p MariaPosition
	ids, err := parseMariaIDs(text)
	if err != nil {
		return p, fmt.Errorf("GTID position: %w", err)
	}
	for _, id := range ids {
		if other, twice := p.newest[id.Domain]; twice {
			return MariaPosition{}, fmt.Errorf("GTID position: %s and %s are of one domain, want the newest of each", other, id)
		}
		p.Add(id)
	}
	return p, nil
}

// String is the position as the server takes it, by domain.
func (p MariaPosition) String() string { return formatMariaIDs(slices.Collect(maps.Values(p.newest))) }

// Empty reports whether this is the beginning of a log.
func (p MariaPosition) Empty() bool { return len(p.newest) == 0 }

// Len is how many domains are in the position.
func (p MariaPosition) Len() int { return len(p.newest) }

// Clone returns a position that can be added to without changing p.
func (p MariaPosition) Clone() MariaPosition { return MariaPosition{maps.Clone(p.newest)} }

// Add moves the position behind a transaction, the next one in the log. Its number
// does not matter: without gtid_strict_mode it may be lower than the one before.
func (p *MariaPosition) Add(id MariaID) {
	if p.newest == nil {
		p.newest = map[uint32]MariaID{}
	}
	p.newest[id.Domain] = id
}

// MariaHistory is what a MariaDB's log has been through: the newest transaction of
// each server in each domain (gtid_binlog_state).
type MariaHistory struct {
	newest map[origin]uint64
}

type origin struct{ domain, server uint32 }

// ParseMariaHistory reads a history as the server prints it.
func ParseMariaHistory(text string) (MariaHistory, error) {
	h := MariaHistory{map[origin]uint64{}}
	ids, err := parseMariaIDs(text)
	if err != nil {
		return h, fmt.Errorf("GTID history: %w", err)
	}
	for _, id := range ids {
		h.newest[origin{id.Domain, id.Server}] = id.Sequence
	}
	return h, nil
}

// Lacks returns the transactions of p that the log never had: the server is another
// one, or was promoted before it had them. An empty answer does not prove that all before them is
// in the log too: only their server's own numbers are compared.
func (h MariaHistory) Lacks(p MariaPosition) []MariaID {
	var lacking []MariaID
	for _, id := range p.newest {
		newest, known := h.newest[origin{id.Domain, id.Server}]
		if !known || newest < id.Sequence {
			lacking = append(lacking, id)
		}
	}
	slices.SortFunc(lacking, MariaID.compare)
	return lacking
}

// Knows reports whether the log has anything of the id's server in its domain.
func (h MariaHistory) Knows(id MariaID) bool {
	_, known := h.newest[origin{id.Domain, id.Server}]
	return known
}

// Reached reports whether a reader at p has everything that other stands for. Numbers
// say so only where they grow (gtid_strict_mode). Two servers that gave the same
// number went different ways: neither reached the other.
func (p MariaPosition) Reached(other MariaPosition) bool {
	for domain, theirs := range other.newest {
		ours, ok := p.newest[domain]
		if !ok || ours.Sequence < theirs.Sequence || ours.Sequence == theirs.Sequence && ours.Server != theirs.Server {
			return false
		}
	}
	return true
}
