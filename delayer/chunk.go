package delayer

import (
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// held is a message that waits until its delay has passed.
type held struct {
	kafkasync.Message

	written  int64 // the record's timestamp, milliseconds since 1970
	appended bool  // which the broker set
	walled   bool  // a truncate lies between it and the one before: nothing collapses across
}

// chunk is what was taken from a partition at once: the messages that carry our
// delay, in order, and where the taking ended. Their bytes are the chunk's.
type chunk struct {
	records rdkafka.Records
	held    []held
	seen    int64 // when it was taken, by this node's clock in milliseconds since 1970
	next    int64 // offset behind the last record
	newest  int64 // timestamp of the last record

	headers []kafkasync.Header // of all messages' Extra
	walled  bool               // the next message follows a truncate
}

func (c *chunk) reset() {
	c.held, c.headers = c.held[:0], c.headers[:0]
	c.walled = false
}

// record is a record of a topic as it was read.
type record struct {
	offset   int64
	written  time.Time // zero: it has none
	appended bool
	key      []byte
	value    []byte
	headers  iter.Seq2[[]byte, []byte]
}

// decoder turns records into messages. What many of them have in common it keeps once.
type decoder struct {
	delay   time.Duration
	text    string // the delay as the header has it
	strings map[string]string
	pos     string
}

func newDecoder(delay time.Duration) *decoder {
	return &decoder{delay: delay, text: strconv.FormatInt(delay.Milliseconds(), 10), strings: map[string]string{}}
}

// add takes a record into the chunk, or passes over it: only a message that carries
// the delay is held. An error is a record that carries it and cannot be read; it is passed over as well.
func (d *decoder) add(c *chunk, topic string, partition int32, r *record) error {
	c.next = r.offset + 1
	c.newest = r.written.UnixMilli()
	if r.written.IsZero() {
		c.newest = c.seen
	}
	c.held = append(c.held, held{})
	h := &c.held[len(c.held)-1]
	ours, err := d.read(c, &h.Message, r)
	if !ours || err != nil {
		c.held = c.held[:len(c.held)-1]
		if h.Op == kafkasync.Truncated {
			c.walled = true
		}
		return err
	}
	h.Topic, h.Partition, h.Offset, h.Key, h.Value = topic, partition, r.offset, r.key, r.value
	h.Delay, h.Delayed = 0, d.delay
	h.written, h.appended = c.newest, r.appended
	h.walled, c.walled = c.walled, false
	return nil
}

// read takes the headers of a record into m, and reports whether it is a message with our delay.
func (d *decoder) read(c *chunk, m *kafkasync.Message, r *record) (ours bool, err error) {
	const needed = 4 // op, pipeline, table, seq
	found, at := 0, len(c.headers)
	for name, value := range r.headers {
		switch string(name) {
		case "op", "seq", "ts":
			if problem := m.SetHeader(known(name), value); problem != nil && err == nil {
				err = problem
			}
			if name[0] != 't' {
				found++
			}
		case "pipeline":
			m.Pipeline = d.keep(value)
			found++
		case "table":
			m.Table = d.keep(value)
			found++
		case "pos":
			if string(value) != d.pos { // of a transaction, all are the same
				d.pos = string(value)
			}
			m.Pos = d.pos
		case "delay":
			ours = string(value) == d.text
		default:
			c.headers = append(c.headers, kafkasync.Header{Key: d.keep(name), Value: value})
		}
	}
	if !ours {
		c.headers = c.headers[:at]
		return false, nil
	}
	m.Extra = c.headers[at:len(c.headers):len(c.headers)]
	if err == nil && found != needed {
		err = fmt.Errorf("got %d of the headers op, pipeline, table and seq, want each once", found)
	}
	return true, err
}

// known is the name of a header that SetHeader reads, without making a string of it.
func known(name []byte) string {
	switch string(name) {
	case "op":
		return "op"
	case "seq":
		return "seq"
	default:
		return "ts"
	}
}

// maxStrings bounds what a decoder keeps: names are few, unless somebody else writes to the topic.
const maxStrings = 10_000

func (d *decoder) keep(b []byte) string {
	if s, ok := d.strings[string(b)]; ok {
		return s
	}
	if len(d.strings) >= maxStrings {
		clear(d.strings)
	}
	s := string(b)
	d.strings[s] = s
	return s
}
