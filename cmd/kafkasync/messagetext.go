package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kafkasync/kafkasync"
)

// millis is RFC 3339 with the precision of a message's commit time.
const millis = "2006-01-02T15:04:05.000Z07:00"

// writeMessage prints a message as one line for a person, whatever is in it: the
// topic may hold records of others.
func writeMessage(w io.Writer, m kafkasync.Message) error {
	var line strings.Builder
	when := "-"
	if !m.Committed.IsZero() {
		when = m.Committed.UTC().Format(millis)
	}
	table, key, value := "-", "-", "tombstone"
	if m.Table != "" {
		table = plain([]byte(m.Table))
	}
	if m.Key != nil {
		key = plain(m.Key)
	}
	if m.Value != nil {
		value = plain(m.Value)
	}
	fmt.Fprintf(&line, "%-24s  %-9s  %s  %s  %s", when, operation(m.Op), table, key, value)
	if m.Seq != 0 {
		fmt.Fprintf(&line, "  seq %d", m.Seq)
	}
	fmt.Fprintf(&line, "  %d@%d", m.Partition, m.Offset)
	if m.Delay != 0 {
		fmt.Fprintf(&line, "  delay %s", m.Delay)
	}
	if m.Delayed != 0 {
		fmt.Fprintf(&line, "  delayed by %s", m.Delayed)
	}
	line.WriteByte('\n')
	_, err := io.WriteString(w, line.String())
	return err
}

// operation is the header "op" in a word.
func operation(op kafkasync.Op) string {
	switch op {
	case kafkasync.Created:
		return "created"
	case kafkasync.Updated:
		return "updated"
	case kafkasync.Deleted:
		return "deleted"
	case kafkasync.Truncated:
		return "truncated"
	case kafkasync.Refreshed:
		return "refreshed"
	default:
		return "-"
	}
}

// plain returns text as it is if it can be seen, stays on the line and does
// nothing to a terminal, else quoted.
func plain(text []byte) string {
	s := string(text)
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// record is a message as --json shows it: headers that it does not carry are
// absent, times are milliseconds.
type record struct {
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Key       *string         `json:"key"`   // null if there is none
	Value     json.RawMessage `json:"value"` // a string where it is no JSON, null for a tombstone
	Op        string          `json:"op,omitempty"`
	Pipeline  string          `json:"pipeline,omitempty"`
	Table     string          `json:"table,omitempty"`
	Seq       int64           `json:"seq,omitempty"`
	TS        *int64          `json:"ts,omitempty"`
	Pos       string          `json:"pos,omitempty"`
	Delay     int64           `json:"delay,omitempty"`
	Delayed   int64           `json:"delayed,omitempty"`
}

// writeMessageJSON prints a message as one line of JSON.
func writeMessageJSON(w io.Writer, m kafkasync.Message) error {
	r := record{
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Value: m.Value, Pipeline: m.Pipeline, Table: m.Table,
		Seq: m.Seq, Pos: m.Pos, Delay: m.Delay.Milliseconds(), Delayed: m.Delayed.Milliseconds(),
	}
	if m.Key != nil {
		key := string(m.Key)
		r.Key = &key
	}
	if m.Value != nil && !json.Valid(m.Value) {
		quoted, err := json.Marshal(string(m.Value))
		if err != nil {
			return fmt.Errorf("encoding the value of %s %d@%d: %w", m.Topic, m.Partition, m.Offset, err)
		}
		r.Value = quoted
	}
	if m.Op != 0 {
		r.Op = m.Op.String()
	}
	if !m.Committed.IsZero() {
		ts := m.Committed.UnixMilli()
		r.TS = &ts
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
