package delayer

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

const decodeDelay = 5 * time.Minute

func headersOf(text string) (headers []header) {
	for field := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(field, ":")
		headers = append(headers, header{[]byte(name), []byte(value)})
	}
	return headers
}

func textOf(headers []kafkasync.Header) string {
	var fields []string
	for _, h := range headers {
		fields = append(fields, h.Key+":"+string(h.Value))
	}
	return strings.Join(fields, " ")
}

// decode takes records with these headers, and returns what is held of them and the last error.
func decode(texts ...string) (*chunk, error) {
	c, d := &chunk{}, newDecoder(decodeDelay)
	c.reset(false)
	var last error
	for i, text := range texts {
		r := record{offset: int64(i), written: time.UnixMilli(1), appended: true, key: []byte("42"), value: []byte(`{"id":42}`), headers: headersOf(text)}
		if err := d.add(c, "products", 3, &r); err != nil {
			last = err
		}
	}
	return c, last
}

func TestATwinHasTheHeadersOfItsMessage(t *testing.T) {
	full := kafkasync.Message{
		Topic: "products", Partition: 3, Key: []byte("42"), Value: []byte(`{"id":42}`), Op: kafkasync.Deleted, Pipeline: "shop", Table: "public.products",
		Seq: 1<<53 - 1, Committed: time.UnixMilli(1_700_000_000_123).UTC(), Pos: "0/16B3748", Delay: decodeDelay,
	}
	bare := full
	bare.Pos, bare.Op, bare.Seq, bare.Committed = "", kafkasync.Refreshed, 0, time.UnixMilli(0).UTC()
	newer := full
	newer.Extra = []kafkasync.Header{{Key: "z", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "z", Value: []byte("2")}}
	for name, m := range map[string]kafkasync.Message{"full": full, "bare": bare, "of a newer version": newer} {
		t.Run(name, func(t *testing.T) {
			headers, _ := m.AppendHeaders(nil, nil)
			c, err := decode(textOf(headers))
			if err != nil || len(c.held) != 1 {
				t.Fatalf("got %d messages, error %v, want 1", len(c.held), err)
			}
			got := c.held[0].Message
			twin, _ := got.AppendHeaders(nil, nil)
			if want := strings.Replace(textOf(headers), "delay:", "delayed:", 1); textOf(twin) != want {
				t.Errorf("got the headers %s, want %s", textOf(twin), want)
			}
			if got.Topic != m.Topic || got.Partition != 3 || got.Offset != 0 || !bytes.Equal(got.Key, m.Key) || !bytes.Equal(got.Value, m.Value) {
				t.Errorf("got %+v, want %+v", got, m)
			}
		})
	}
}

const ours = "op:u pipeline:shop table:t seq:7 ts:1 "

func TestOnlyWhatCarriesOurDelayIsHeld(t *testing.T) {
	tests := []struct {
		name    string
		headers string
		held    bool
		strange string // a part of the error
	}{
		{"ours", ours + "delay:300000", true, ""},
		{"ours, in another order", "delay:300000 ts:1 seq:7 table:t pipeline:shop op:u", true, ""},
		{"another delay", ours + "delay:30000", false, ""},
		{"the same delay, written otherwise", ours + "delay:0300000", false, ""},
		{"no delay", ours, false, ""},
		{"a twin", ours + "delayed:300000", false, ""},
		{"a truncate", "op:t pipeline:shop table:t seq:7 ts:1", false, ""},
		{"without headers", "", false, ""},
		{"somebody else's", "op:insert ts:today table:t content-type:json", false, ""},

		{"a truncate with a delay", "op:t pipeline:shop table:t seq:7 ts:1 delay:300000", false, "truncate"},
		{"a twin with a delay", ours + "delayed:300000 delay:300000", false, "delayed"},
		{"nothing but a delay", "delay:300000", false, "lacks"},
		{"an op that is not known", "op:x pipeline:shop table:t seq:7 ts:1 delay:300000", false, "op"},
		{"a seq that is none", "op:u pipeline:shop table:t seq:-7 ts:1 delay:300000", false, "seq"},
		{"a time that is none", "op:u pipeline:shop table:t seq:7 ts:now delay:300000", false, "ts"},
		{"without a time", "op:u pipeline:shop table:t seq:7 delay:300000", false, "lacks"},
		{"one twice for another", "op:u op:u table:t seq:7 ts:1 delay:300000", false, "twice"},
		{"one twice", ours + "pipeline:shop delay:300000", false, "twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// What is before and behind is not touched.
			c, err := decode(ours+"extra:1 delay:300000", tt.headers, ours+"extra:2 delay:300000")
			if got := len(c.held) == 3; got != tt.held {
				t.Errorf("got it held %t, want %t", got, tt.held)
			}
			if (err != nil) != (tt.strange != "") || err != nil && !strings.Contains(err.Error(), tt.strange) {
				t.Errorf("got the error %v, want one about %q", err, tt.strange)
			}
			first, last := c.held[0], c.held[len(c.held)-1]
			if first.Offset != 0 || last.Offset != 2 || textOf(first.Extra) != "extra:1" || textOf(last.Extra) != "extra:2" || c.next != 3 {
				t.Errorf("got offsets %d and %d, headers %s and %s, want those of the neighbours", first.Offset, last.Offset, textOf(first.Extra), textOf(last.Extra))
			}
		})
	}
}

func TestATruncateIsAWallBeforeTheNextMessage(t *testing.T) {
	const truncate, message, foreign = "op:t pipeline:shop table:t seq:7 ts:1", ours + "delay:300000", "x:1"
	tests := []struct {
		name   string
		walled bool // by the chunk before
		texts  []string
		want   []bool
		behind bool // the next chunk is walled
	}{
		{"none", false, []string{message, foreign, message}, []bool{false, false}, false},
		{"between", false, []string{message, truncate, foreign, message, message}, []bool{false, true, false}, false},
		{"at the end", false, []string{message, truncate}, []bool{false}, true},
		{"at the end of the chunk before", true, []string{foreign, message, message}, []bool{true, false}, false},
		{"of the chunk before, and nothing is held", true, []string{foreign}, nil, true},
		{"with our delay", false, []string{message, truncate + " delay:300000", message}, []bool{false, true}, false},
		{"before what cannot be read", false, []string{truncate, "delay:300000", message}, []bool{true}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, d := &chunk{}, newDecoder(decodeDelay)
			c.reset(tt.walled)
			for i, text := range tt.texts {
				_ = d.add(c, "products", 0, &record{offset: int64(i), headers: headersOf(text)}) // of interest elsewhere
			}
			var got []bool
			for _, h := range c.held {
				got = append(got, h.walled)
			}
			if !slices.Equal(got, tt.want) || c.walled != tt.behind {
				t.Errorf("got walls %v, behind them %t, want %v, %t", got, c.walled, tt.want, tt.behind)
			}
		})
	}
}

func TestAMessageIsDueByItsTimestampOrByWhenItWasSeen(t *testing.T) {
	const delay, seen = 300, 10_000
	tests := []struct {
		name     string
		written  time.Time
		appended bool
		now      reading
		at       int64
		is       bool
		newest   int64
	}{
		{"not yet", time.UnixMilli(9_000), true, reading{node: 10_000, broker: 9_299}, 9_300, false, 9_000},
		{"by the brokers' clock", time.UnixMilli(9_000), true, reading{node: 10_000, broker: 9_300}, 9_300, true, 9_000},
		{"by the node's clock, which is later", time.UnixMilli(9_000), false, reading{node: 9_299, broker: 20_000}, 9_300, false, 9_000},
		{"by the brokers' clock, which is later", time.UnixMilli(9_000), false, reading{node: 10_000, broker: 9_299}, 9_300, false, 9_000},
		{"by both clocks", time.UnixMilli(9_000), false, reading{node: 9_300, broker: 9_300}, 9_300, true, 9_000},
		{"in the future, not seen for so long", time.UnixMilli(99_000), false, reading{node: 10_299, broker: 10_299}, 10_300, false, 99_000},
		{"in the future, seen for long", time.UnixMilli(99_000), false, reading{node: 10_300, broker: 10_300}, 10_300, true, 99_000},
		{"at the end of time", time.UnixMilli(math.MaxInt64), false, reading{node: 10_299, broker: 10_299}, 10_300, false, never},
		{"at the end of time, by the broker", time.UnixMilli(math.MaxInt64), true, reading{node: 10_299, broker: 10_299}, never + delay, false, never},
		{"without a timestamp", time.Time{}, false, reading{node: 10_299, broker: 10_299}, 10_300, false, 0},
		{"without a timestamp, seen for long", time.Time{}, false, reading{node: 10_300, broker: 10_300}, 10_300, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &chunk{}
			if err := newDecoder(decodeDelay).add(c, "products", 0, &record{written: tt.written, appended: tt.appended, headers: headersOf(ours + "delay:300000")}); err != nil {
				t.Fatal(err)
			}
			got, is := c.held[0].due(seen, delay, tt.now)
			if got.at != tt.at || is != tt.is || c.newest != tt.newest {
				t.Errorf("got due at %d, %t, the newest %d, want %d, %t, %d", got.at, is, c.newest, tt.at, tt.is, tt.newest)
			}
		})
	}
}

func TestWhatADecoderKeepsIsBounded(t *testing.T) {
	c, d := &chunk{}, newDecoder(decodeDelay)
	for i := range maxStrings {
		if len(c.held) == 1000 {
			c.reset(false)
		}
		text := fmt.Sprintf("op:u pipeline:shop table:%d seq:7 ts:1 delay:300000 h%d:", i, i)
		if err := d.add(c, "products", 0, &record{headers: append(headersOf(text), header{[]byte(strings.Repeat("x", 1000)), nil})}); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.strings) > maxStrings {
		t.Errorf("got %d texts kept, want no more than %d", len(d.strings), maxStrings)
	}
	for s := range d.strings {
		if len(s) > maxKept {
			t.Errorf("got a text of %d bytes kept, want none", len(s))
		}
	}
	if last := c.held[len(c.held)-1]; last.Table != fmt.Sprint(maxStrings-1) || len(last.Extra) != 2 || len(last.Extra[1].Key) != 1000 {
		t.Errorf("got the table %s and %d headers, want those that were written", last.Table, len(last.Extra))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(ours+"delay:300000"), int64(1), []byte("key"), []byte("value"))
	f.Add([]byte("op:t delay:300000"), int64(-1), []byte(nil), []byte(nil))
	f.Add([]byte("delay:300000 delay:300000 delayed:1"), int64(math.MaxInt64), []byte(nil), []byte(nil))
	d := newDecoder(decodeDelay)
	f.Fuzz(func(t *testing.T, text []byte, written int64, key, value []byte) {
		var headers []header
		for field := range bytes.SplitSeq(text, []byte(" ")) {
			name, value, _ := bytes.Cut(field, []byte(":"))
			headers = append(headers, header{name, value})
		}
		c := &chunk{}
		r := record{offset: 7, key: key, value: value, headers: headers}
		if written >= 0 {
			r.written = time.UnixMilli(written)
		}
		err := d.add(c, "products", 0, &r)
		carries := slices.ContainsFunc(headers, func(h header) bool { return string(h.name) == "delay" && string(h.value) == "300000" })
		if len(c.held) > 0 && (!carries || err != nil) || len(c.held) > 1 || c.next != 8 {
			t.Fatalf("got %d messages, error %v, from %q, want none that does not carry our delay", len(c.held), err, text)
		}
		if len(c.held) == 0 {
			return
		}
		h := &c.held[0]
		if at, is := h.due(1000, 300_000, reading{}); is || at.at < 0 {
			t.Fatalf("got it due at %d, %t, at the beginning of time, want later", at.at, is)
		}
		twin, _ := h.AppendHeaders(nil, nil)
		again := make([]header, len(twin))
		for i, one := range twin {
			again[i] = header{[]byte(one.Key), one.Value}
		}
		if err := d.add(c, "products", 0, &record{headers: again}); err != nil || len(c.held) != 1 || h.Op == kafkasync.Truncated {
			t.Fatalf("got %d messages, error %v, from the twin %s, want that it is passed over", len(c.held), err, textOf(twin))
		}
	})
}
