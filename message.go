package kafkasync

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Op says what happened to a row. Its value is the text of the header "op".
type Op byte

// The operations of a message.
const (
	Created   Op = 'c'
	Updated   Op = 'u'
	Deleted   Op = 'd'
	Truncated Op = 't' // all rows of the table; the message has no key
	Refreshed Op = 'r' // sent by a backfill, nothing changed
)

// String returns the operation as the header "op" shows it.
func (o Op) String() string { return string(rune(o)) }

// maxSeq is the largest integer that JavaScript and JSON readers take exactly.
const maxSeq = 1<<53 - 1

// Message says that one row changed. Key and Value hold the row's ids and the
// columns that the rule chose, nothing else of the row.
//
// Two messages are about the same row if Pipeline, Table, Key and Value are
// equal; Seq says which of them is newer, the offset does not.
type Message struct {
	Topic     string
	Partition int32 // where it was read; publishing ignores it
	Offset    int64 // where it was read; publishing ignores it

	Key   []byte // the primary key as text; nil for Truncated
	Value []byte // compact JSON; nil for a tombstone

	Op        Op
	Pipeline  string        // Seq can be compared only within one
	Table     string        // as the source names it, "public.products"
	Seq       int64         // grows with every message of the pipeline, below 2^53
	Committed time.Time     // commit time, millisecond precision
	Pos       string        // place of the transaction, for readers that wait for a replica; "" if unknown
	Delay     time.Duration // on instant messages: a twin follows after it; 0: none
	Delayed   time.Duration // on delay messages: the delay that has passed

	// Extra are headers that this version does not know; they follow the others. Whoever sends a message
	// on keeps them: a newer version may have written them.
	Extra []Header
}

// Header is one header of a Kafka record.
type Header struct {
	Key   string
	Value []byte
}

// AppendHeaders appends the message's headers to dst, first those that the messages of one
// transaction have in common, then seq, then Extra. Their values are appended to buf, which must outlive them; the
// grown buf is returned for reuse.
func (m *Message) AppendHeaders(dst []Header, buf []byte) ([]Header, []byte) {
	add := func(key string, from int) {
		// The capacity is cut, so that a later append cannot run into the next value.
		dst = append(dst, Header{key, buf[from:len(buf):len(buf)]})
	}
	at := len(buf)
	buf = append(buf, byte(m.Op))
	add("op", at)
	at = len(buf)
	buf = append(buf, m.Pipeline...)
	add("pipeline", at)
	at = len(buf)
	buf = append(buf, m.Table...)
	add("table", at)
	at = len(buf)
	buf = strconv.AppendInt(buf, m.Committed.UnixMilli(), 10)
	add("ts", at)
	if m.Pos != "" {
		at = len(buf)
		buf = append(buf, m.Pos...)
		add("pos", at)
	}
	if m.Delayed != 0 {
		at = len(buf)
		buf = strconv.AppendInt(buf, m.Delayed.Milliseconds(), 10)
		add("delayed", at)
	} else if m.Delay != 0 {
		at = len(buf)
		buf = strconv.AppendInt(buf, m.Delay.Milliseconds(), 10)
		add("delay", at)
	}
	at = len(buf)
	buf = strconv.AppendInt(buf, m.Seq, 10)
	add("seq", at)
	return append(dst, m.Extra...), buf
}

// SetHeader takes one header of a record into the message. Headers that it does
// not know are ignored, so that the format can grow; a known one with a value
// that cannot be read is an error.
func (m *Message) SetHeader(key string, value []byte) error {
	switch key {
	case "op":
		return m.setOp(value)
	case "pipeline":
		m.Pipeline = string(value)
	case "table":
		m.Table = string(value)
	case "pos":
		m.Pos = string(value)
	case "seq", "ts", "delay", "delayed":
		return m.setNumber(key, value)
	}
	return nil
}

func (m *Message) setOp(value []byte) error {
	if len(value) == 1 {
		switch op := Op(value[0]); op {
		case Created, Updated, Deleted, Truncated, Refreshed:
			m.Op = op
			return nil
		}
	}
	return fmt.Errorf("header op: got %q, want one of c, u, d, t, r", value)
}

func (m *Message) setNumber(key string, value []byte) error {
	most := int64(maxSeq)
	if key == "delay" || key == "delayed" {
		most = math.MaxInt64 / int64(time.Millisecond)
	}
	n, ok := digits(value)
	if !ok || n > most {
		return fmt.Errorf("header %s: got %q, want a whole number from 0 to %d", key, value, most)
	}
	switch key {
	case "seq":
		m.Seq = n
	case "ts":
		m.Committed = time.UnixMilli(n).UTC()
	case "delay":
		m.Delay = time.Duration(n) * time.Millisecond
	case "delayed":
		m.Delayed = time.Duration(n) * time.Millisecond
	}
	return nil
}

// digits reads a whole number of at most 18 digits.
func digits(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
