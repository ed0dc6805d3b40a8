package consumer

import (
	"errors"
	"fmt"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
)

// decoder turns the records of a partition into messages that belong to whoever gets them. Texts that many have in common it keeps once.
type decoder struct {
	topic     string
	partition int32
	strings   map[string]string
	// What the last message had, the next one mostly has as well.
	pipeline, table, pos string
	arena                []byte // bytes that are not used yet
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

// message returns what a record says. With an error, it has as much of it as could be read.
func (d *decoder) message(r *broker.Record) (kafkasync.Message, error) {
	m := kafkasync.Message{Topic: d.topic, Partition: d.partition, Offset: r.Offset, Key: d.copy(r.Key), Value: d.copy(r.Value)}
	found := 0
	var wrong error
	for i := range r.Headers {
		h := &r.Headers[i]
		is, err := d.header(&m, h)
		if err == nil && found&is != 0 {
			err = fmt.Errorf("it carries the header %s twice", h.Name)
		}
		if err != nil {
			wrong = errors.Join(wrong, err)
		}
		found |= is
	}
	if found != hasAll {
		wrong = errors.Join(errors.New("it is no message of kafkasync: one of the headers op, pipeline, table, seq and ts is missing"), wrong)
	}
	return m, wrong
}

// header takes one header into m, and returns which of ours it is.
func (d *decoder) header(m *kafkasync.Message, h *broker.Header) (is int, err error) {
	switch string(h.Name) {
	case "op":
		return hasOp, m.SetHeader("op", h.Value)
	case "seq":
		return hasSeq, m.SetHeader("seq", h.Value)
	case "ts":
		return hasTime, m.SetHeader("ts", h.Value)
	case "delay":
		return 0, m.SetHeader("delay", h.Value)
	case "delayed":
		return 0, m.SetHeader("delayed", h.Value)
	case "pipeline":
		m.Pipeline = d.again(&d.pipeline, h.Value)
		return hasPipeline, nil
	case "table":
		m.Table = d.again(&d.table, h.Value)
		return hasTable, nil
	case "pos":
		if string(h.Value) != d.pos { // of a transaction, all are the same
			d.pos = string(h.Value)
		}
		m.Pos = d.pos
		return 0, nil
	default:
		m.Extra = append(m.Extra, kafkasync.Header{Key: d.keep(h.Name), Value: d.copy(h.Value)})
		return 0, nil
	}
}

// headers are those of a record as they are.
func (d *decoder) headers(r *broker.Record) []kafkasync.Header {
	var all []kafkasync.Header
	for _, h := range r.Headers {
		all = append(all, kafkasync.Header{Key: string(h.Name), Value: d.copy(h.Value)})
	}
	return all
}

// arenaBytes is how much is allocated at once for the bytes of several messages.
const arenaBytes = 8 << 10

func (d *decoder) copy(b []byte) []byte {
	switch {
	case b == nil:
		return nil
	case len(b) > arenaBytes/8: // does not keep the small ones beside it alive
		return append([]byte{}, b...)
	case len(b) > len(d.arena):
		d.arena = make([]byte, arenaBytes)
	}
	// The capacity is cut, so that nobody can append into what follows.
	c := d.arena[:len(b):len(b)]
	d.arena = d.arena[len(b):]
	copy(c, b)
	return c
}

// again returns a text that is mostly the last one.
func (d *decoder) again(last *string, b []byte) string {
	if string(b) != *last {
		*last = d.keep(b)
	}
	return *last
}

const (
	// maxStrings bounds what a decoder keeps: names are few, unless somebody else writes to the topic.
	maxStrings = 1000
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
	if d.strings == nil || len(d.strings) >= maxStrings {
		d.strings = map[string]string{}
	}
	d.strings[s] = s
	return s
}
