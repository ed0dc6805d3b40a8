package delayer

import "fmt"

// note is what is committed beside an offset. It tells the next holder of the
// partition what an offset alone does not, and every node what it shows. Its text
// is read by other versions of this program: a new one gets a new first word.
type note struct {
	id   string // of the topic: another one has other records at the same offset
	end  int64  // of the partition, when it was last looked at
	at   int64  // a log that is cut back is to be read again from this time on, milliseconds since 1970
	next int64  // when the next message is due, milliseconds since 1970; 0: none is known to wait
}

func (n note) String() string {
	id := n.id
	if id == "" {
		id = "-"
	}
	return fmt.Sprintf("1 %s %d %d %d", id, n.end, n.at, n.next)
}

// parseNote returns what a text says, and false for one that is not ours.
func parseNote(text string) (n note, ok bool) {
	var version int
	if _, err := fmt.Sscanf(text, "%d %s %d %d %d", &version, &n.id, &n.end, &n.at, &n.next); err != nil || version != 1 {
		return note{}, false
	}
	if n.id == "-" {
		n.id = ""
	}
	return n, true
}
