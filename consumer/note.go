package consumer

import (
	"fmt"
	"strconv"
	"strings"
)

// note is what is committed beside an offset: of which topic it is, and what was known when the name began. By it
// a partition that was added later is told from one that this name has not come to.
type note struct {
	id    string // of the topic
	count int    // partitions that the topic had when the name began with it
	from  int64  // where it began: milliseconds since 1970; 0: at the earliest message
}

const noteVersion = "1"

func (n note) String() string {
	id := n.id
	if id == "" {
		id = "-"
	}
	return fmt.Sprintf("%s %s %d %d", noteVersion, id, n.count, n.from)
}

// parseNote reads what String wrote. Another tool that commits for the group writes something else, or nothing.
func parseNote(text string) (note, bool) {
	parts := strings.Fields(text)
	if len(parts) != 4 || parts[0] != noteVersion {
		return note{}, false
	}
	count, err := strconv.Atoi(parts[2])
	from, err2 := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || err2 != nil || count < 0 || from < 0 {
		return note{}, false
	}
	if parts[1] == "-" {
		parts[1] = ""
	}
	return note{id: parts[1], count: count, from: from}, true
}
