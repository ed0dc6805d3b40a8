package delayer

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kafkasync/kafkasync"
)

// decoder turns records into messages. What many of them have in common it keeps once.
type decoder struct {
	delay   time.Duration
	text    string // the delay as the header has it
	strings map[string]string
	pos     string

	headers []header // of the record that is being read; here, so that it is allocated once
}

func newDecoder(delay time.Duration) *decoder {
	return &decoder{delay: delay, text: strconv.FormatInt(delay.Milliseconds(), 10), strings: map[string]string{}}
}

// add takes a record into the chunk, or passes over it: only a message that carries
// the delay is held. An error is a record that carries it and is no message that has a twin; it is passed over as well.
func (d *decoder) add(c *chunk, topic string, partition int32, r *record) error {
	c.next = r.offset + 1
	written := int64(never)
	if !r.written.IsZero() {
		written = min(r.written.UnixMilli(), never)
		c.newest = written
	}
	ours, truncated := d.look(r)
	if truncated {
		c.walled = true
	}
	switch {
	case !ours:
		return nil
	case truncated:
		return errors.New("a truncate has no twin")
	}
	c.held = append(c.held, held{written: written, appended: r.appended, walled: c.walled})
	h := &c.held[len(c.held)-1]
	if err := d.read(c, &h.Message, r); err != nil {
		c.held = c.held[:len(c.held)-1]
		return err
	}
	h.Topic, h.Partition, h.Offset, h.Key, h.Value = topic, partition, r.offset, r.key, r.value
	h.Delayed = d.delay
	c.walled = false
	return nil
}

// look reports whether a record carries our delay, and whether it is a truncate. Most records are
// twins, or of another delay: they cost no more than this.
func (d *decoder) look(r *record) (ours, truncated bool) {
	for i := range r.headers {
		switch h := &r.headers[i]; string(h.name) {
		case "delay":
			ours = string(h.value) == d.text
		case "op":
			truncated = string(h.value) == "t"
		}
	}
	return ours, truncated
}

// The headers that every message of ours has once, as bits.
const (
	hasOp = 1 << iota
	hasPipeline
	hasTable
	hasSeq
	hasTime
	hasAll = 1<<iota - 1
)

// read takes the headers of a record that carries our delay into m.
func (d *decoder) read(c *chunk, m *kafkasync.Message, r *record) error {
	found, at := 0, len(c.headers)
	for i := range r.headers {
		h, is := &r.headers[i], 0
		var err error
		switch string(h.name) {
		case "op":
			is, err = hasOp, m.SetHeader("op", h.value)
		case "seq":
			is, err = hasSeq, m.SetHeader("seq", h.value)
		case "ts":
			is, err = hasTime, m.SetHeader("ts", h.value)
		case "pipeline":
			is, m.Pipeline = hasPipeline, d.keep(h.value)
		case "table":
			is, m.Table = hasTable, d.keep(h.value)
		case "pos":
			if string(h.value) != d.pos { // of a transaction, all are the same
				d.pos = string(h.value)
			}
			m.Pos = d.pos
		case "delay": // the twin's is Delayed
		case "delayed":
			err = errors.New("it carries the header delayed as well")
		default:
			c.headers = append(c.headers, kafkasync.Header{Key: d.keep(h.name), Value: h.value})
		}
		if err == nil && found&is != 0 {
			err = fmt.Errorf("it carries the header %s twice", h.name)
		}
		if err != nil {
			return err
		}
		found |= is
	}
	if found != hasAll {
		return errors.New("it lacks one of the headers op, pipeline, table, seq and ts")
	}
	m.Extra = c.headers[at:len(c.headers):len(c.headers)]
	return nil
}

const (
	// maxStrings bounds what a decoder keeps: names are few, unless somebody else writes to the topic.
	maxStrings = 10_000
	// maxKept is how long a text may be to be kept; those that recur are short.
	maxKept = 256
)

func (d *decoder) keep(b []byte) string {
	if s, ok := d.strings[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(s) > maxKept {
		return s
	}
	if len(d.strings) >= maxStrings {
		clear(d.strings)
	}
	d.strings[s] = s
	return s
}
