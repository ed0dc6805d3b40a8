package kafkasync_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

var update = flag.Bool("update", false, "write the golden files from what the code does now")

const headersFile = "testdata/headers.golden"

// messages are one message of each sort, by name.
func messages() map[string]kafkasync.Message {
	instant := kafkasync.Message{
		Op: kafkasync.Updated, Pipeline: "shop", Table: "public.products", Seq: 1_700_000_000_123_456,
		Committed: time.UnixMilli(1_700_000_000_123).UTC(), Pos: "0/16B3748", Delay: 5 * time.Minute,
	}
	with := func(change func(*kafkasync.Message)) kafkasync.Message {
		m := instant
		change(&m)
		return m
	}
	return map[string]kafkasync.Message{
		"instant":  instant,
		"twin":     with(func(m *kafkasync.Message) { m.Delay, m.Delayed = 0, m.Delay }),
		"both":     with(func(m *kafkasync.Message) { m.Delayed = m.Delay }), // what has waited does not wait again
		"created":  with(func(m *kafkasync.Message) { m.Op, m.Delay = kafkasync.Created, 0 }),
		"deleted":  with(func(m *kafkasync.Message) { m.Op, m.Pos = kafkasync.Deleted, "3E11FA47-71CA-11E1-9E33-C80AA9429562:23" }),
		"truncate": with(func(m *kafkasync.Message) { m.Op, m.Delay = kafkasync.Truncated, 0 }),
		"backfill": with(func(m *kafkasync.Message) { m.Op, m.Delay, m.Pos = kafkasync.Refreshed, 0, "" }),
		"limits": with(func(m *kafkasync.Message) {
			m.Seq, m.Pipeline, m.Table = 1<<53-1, "größe", "public.\"größe\""
			m.Committed, m.Delay = time.UnixMilli(0).UTC(), 7*24*time.Hour
		}),
	}
}

// The order of the sorts in the golden file.
var sorts = []string{"instant", "twin", "both", "created", "deleted", "truncate", "backfill", "limits"}

func TestHeadersAreAsTheContractSays(t *testing.T) {
	var got strings.Builder
	all := messages()
	for _, sort := range sorts {
		m := all[sort]
		fmt.Fprintf(&got, "## %s\n", sort)
		headers, _ := m.AppendHeaders(nil, nil)
		for _, h := range headers {
			fmt.Fprintf(&got, "%s: %s\n", h.Key, h.Value)
		}
	}
	if *update {
		if err := os.WriteFile(headersFile, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(headersFile)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestHeadersReadBackAreTheMessage(t *testing.T) {
	for sort, m := range messages() {
		if sort == "both" {
			m.Delay = 0 // it is not written
		}
		headers, _ := m.AppendHeaders(nil, nil)
		var got kafkasync.Message
		for _, h := range headers {
			if err := got.SetHeader(h.Key, h.Value); err != nil {
				t.Errorf("%s: %v", sort, err)
			}
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) {
			t.Errorf("%s: got %+v, want %+v", sort, got, m)
		}
	}
}

func TestHeadersOfManyMessagesShareOneBuffer(t *testing.T) {
	all := messages()
	var headers []kafkasync.Header
	var buf []byte // too small at first: it grows in the middle of a message
	var want []string
	for _, sort := range sorts {
		m := all[sort]
		alone, _ := m.AppendHeaders(nil, nil)
		for _, h := range alone {
			want = append(want, h.Key+"="+string(h.Value))
		}
		headers, buf = m.AppendHeaders(headers, buf)
	}
	for i, h := range headers {
		if got := h.Key + "=" + string(h.Value); got != want[i] {
			t.Errorf("header %d: got %s, want %s", i, got, want[i])
		}
		if cap(h.Value) != len(h.Value) {
			t.Errorf("header %d: an append to its value would write into the next one's", i)
		}
	}
	if len(headers) != len(want) {
		t.Errorf("got %d headers, want %d", len(headers), len(want))
	}
}

func TestHeadersAllocateNothingOnceTheirMemoryHasGrown(t *testing.T) {
	m := messages()["instant"]
	headers, buf := m.AppendHeaders(nil, nil)
	allocs := testing.AllocsPerRun(100, func() { headers, buf = m.AppendHeaders(headers[:0], buf[:0]) })
	if allocs != 0 {
		t.Errorf("got %v allocations, want none", allocs)
	}
}

func TestHeadersThatAreUnknownAreIgnored(t *testing.T) {
	var m kafkasync.Message
	for _, key := range []string{"", "OP", "traceparent", "seq "} {
		if err := m.SetHeader(key, []byte("\xff")); err != nil {
			t.Errorf("header %q: got %v, want it ignored", key, err)
		}
	}
	if fmt.Sprintf("%+v", m) != fmt.Sprintf("%+v", kafkasync.Message{}) {
		t.Errorf("got %+v, want the message as it was", m)
	}
}

func TestHeadersThatCannotBeReadAreErrors(t *testing.T) {
	tests := []struct{ key, value, want string }{
		{"op", "", `header op: got "", want one of c, u, d, t, r`},
		{"op", "x", `header op: got "x", want one of c, u, d, t, r`},
		{"op", "cc", `header op: got "cc", want one of c, u, d, t, r`},
		{"seq", "", `header seq: got "", want a whole number from 0 to 9007199254740991`},
		{"seq", "-1", `header seq: got "-1", want a whole number from 0 to 9007199254740991`},
		{"seq", "1.5", `header seq: got "1.5", want a whole number from 0 to 9007199254740991`},
		{"seq", "9007199254740992", `header seq: got "9007199254740992", want a whole number from 0 to 9007199254740991`},
		{"ts", "now", `header ts: got "now", want a whole number from 0 to 9007199254740991`},
		{"delay", "5m", `header delay: got "5m", want a whole number from 0 to 9223372036854`},
		{"delay", "9223372036855", `header delay: got "9223372036855", want a whole number from 0 to 9223372036854`},
		{"delayed", "9223372036855", `header delayed: got "9223372036855", want a whole number from 0 to 9223372036854`},
		{"delayed", fmt.Sprint(uint64(math.MaxUint64)), `header delayed: got "18446744073709551615", want a whole number from 0 to 9223372036854`},
	}
	for _, tt := range tests {
		m := messages()["instant"]
		before := fmt.Sprintf("%+v", m)
		err := m.SetHeader(tt.key, []byte(tt.value))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s %q: got %v, want %s", tt.key, tt.value, err, tt.want)
		}
		if fmt.Sprintf("%+v", m) != before {
			t.Errorf("%s %q: got %+v after the error, want the message as it was", tt.key, tt.value, m)
		}
	}
}

func TestHeaderValuesAreCopied(t *testing.T) {
	var m kafkasync.Message
	value := []byte("shop")
	if err := m.SetHeader("pipeline", value); err != nil {
		t.Fatal(err)
	}
	copy(value, "XXXX")
	if m.Pipeline != "shop" {
		t.Errorf("got %s after the record's memory was used again, want shop", m.Pipeline)
	}
}

// FuzzSetHeader reads any header. What is accepted is written again and then reads the same.
func FuzzSetHeader(f *testing.F) {
	for _, m := range messages() {
		headers, _ := m.AppendHeaders(nil, nil)
		for _, h := range headers {
			f.Add(h.Key, h.Value)
		}
	}
	f.Add("delay", []byte("+05"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		m := kafkasync.Message{Op: kafkasync.Created}
		if m.SetHeader(key, value) != nil {
			return
		}
		if m.Committed.IsZero() {
			m.Committed = time.UnixMilli(0).UTC()
		}
		headers, _ := m.AppendHeaders(nil, nil)
		var again kafkasync.Message
		for _, h := range headers {
			if err := again.SetHeader(h.Key, h.Value); err != nil {
				t.Fatalf("header %s: wrote %q, which cannot be read: %v", h.Key, h.Value, err)
			}
			if h.Key == key && (key == "pipeline" || key == "table" || key == "pos") && !bytes.Equal(h.Value, value) {
				t.Errorf("header %s: got %q, want %q", key, h.Value, value)
			}
		}
		if fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", m) {
			t.Errorf("got %+v, want %+v", again, m)
		}
	})
}

func TestHeadersThatThisVersionDoesNotKnowFollowTheOthers(t *testing.T) {
	m := kafkasync.Message{Op: kafkasync.Updated, Seq: 1, Extra: []kafkasync.Header{{Key: "trace", Value: []byte("x")}}}
	headers, _ := m.AppendHeaders(nil, nil)
	if last := headers[len(headers)-1]; last.Key != "trace" || string(last.Value) != "x" {
		t.Errorf("got %q=%q last, want trace=x", last.Key, last.Value)
	}
}
