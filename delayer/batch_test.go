package delayer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

// laid is a partition whose chunks hold messages, written as "row seq" with words: a payload other than the
// row's, "wall" before it, "/" for the end of a chunk, "gone" for a tombstone, "orders" and "crm" for another table and pipeline,
// "r" for a message of a backfill, "created" for one whose timestamp the broker did not set.
func laid(texts ...string) *partition {
	p := &partition{chunks: []*chunk{{}}}
	for i, text := range texts {
		if text == "/" {
			p.chunks = append(p.chunks, &chunk{})
			continue
		}
		h := held{Message: kafkasync.Message{Topic: "products", Offset: int64(i), Op: kafkasync.Updated, Pipeline: "shop", Table: "products"}, appended: true}
		for at, word := range strings.Fields(text) {
			switch {
			case at == 0:
				h.Key, h.Value = []byte(word), []byte(word)
			case at == 1:
				_, _ = fmt.Sscan(word, &h.Seq) // of this table
			case word == "wall":
				h.walled = true
			case word == "gone":
				h.Value = nil
			case word == "orders":
				h.Table = word
			case word == "crm":
				h.Pipeline = word
			case word == "r":
				h.Op = kafkasync.Refreshed
			case word == "created":
				h.appended = false
			default:
				h.Value = []byte(word)
			}
		}
		last := p.chunks[len(p.chunks)-1]
		last.held = append(last.held, h)
	}
	return p
}

// dueNow makes everything due.
const dueNow = never

func gathered(b *batch, partitions ...*partition) (seqs []int64, collapsed uint64) {
	for _, p := range partitions {
		b.gather(p, 0, reading{node: dueNow, broker: dueNow})
	}
	b.compact()
	for i := range b.messages {
		seqs = append(seqs, b.messages[i].Seq)
	}
	return seqs, b.collapsed["products"]
}

func TestOnlyMessagesOfOneRowCollapse(t *testing.T) {
	tests := []struct {
		name  string
		texts []string
		want  []int64
	}{
		{"nothing", nil, nil},
		{"different rows", []string{"a 1", "b 2", "c 3"}, []int64{1, 2, 3}},
		{"one row", []string{"a 1", "a 2", "a 3"}, []int64{3}},
		{"the newest keeps its place", []string{"a 1", "b 2", "a 3", "c 4"}, []int64{2, 3, 4}},
		{"the highest seq is the newest, not the last", []string{"a 5", "b 2", "a 3", "a 4"}, []int64{5, 2}},
		{"and one that is higher still", []string{"a 5", "b 2", "a 3", "a 6"}, []int64{2, 6}},
		{"the same seq again", []string{"a 5", "b 2", "a 5"}, []int64{2, 5}},
		{"across chunks", []string{"a 1", "b 2", "/", "a 3"}, []int64{2, 3}},
		{"another payload", []string{"a 1", "a 2 other", "a 3"}, []int64{2, 3}},
		{"another table", []string{"a 1", "a 2 orders", "a 3"}, []int64{2, 3}},
		{"another pipeline", []string{"a 1", "a 2 crm", "a 3"}, []int64{2, 3}},
		{"another operation is the same row", []string{"a 1", "a 2 r"}, []int64{2}},
		{"tombstones", []string{"a 2 gone", "a 3 gone", "a 4"}, []int64{2, 3, 4}},
		{"a wall", []string{"a 1", "a 2", "a 3 wall", "a 4"}, []int64{2, 4}},
		{"a wall at another row", []string{"a 1", "b 2 wall", "a 3"}, []int64{1, 2, 3}},
		{"a wall between chunks", []string{"a 1", "/", "a 3 wall"}, []int64{1, 3}},
		{"a wall behind an old seq", []string{"a 5", "a 4", "a 3 wall", "a 2"}, []int64{5, 3}},
	}
	collide := func(*kafkasync.Message) uint64 { return 7 }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBatch()
			for range 2 { // a batch is used again and again
				b.reset(false)
				got, collapsed := gathered(b, laid(tt.texts...))
				n := len(slices.DeleteFunc(slices.Clone(tt.texts), func(s string) bool { return s == "/" }))
				if !slices.Equal(got, tt.want) || collapsed != uint64(n-len(got)) || len(b.due) != len(got) {
					t.Errorf("got seqs %v, %d collapsed, want %v", got, collapsed, tt.want)
				}
			}
			// Where hashes collide less may collapse, and never what is not the same row.
			b.fold.hash = collide
			b.reset(false)
			got, _ := gathered(b, laid(tt.texts...))
			rest := got
			for _, seq := range tt.want {
				at := slices.Index(rest, seq)
				if at < 0 {
					t.Fatalf("with colliding hashes: got seqs %v, want %v among them", got, tt.want)
				}
				rest = rest[at+1:]
			}
		})
	}
}

func TestPartitionsDoNotCollapse(t *testing.T) {
	b := newBatch()
	one, two := laid("a 1", "a 2"), laid("a 3")
	got, collapsed := gathered(b, one, two)
	if !slices.Equal(got, []int64{2, 3}) || collapsed != 1 || !slices.Equal(b.of, []*partition{one, two}) || !one.flying || !two.flying {
		t.Errorf("got seqs %v, %d collapsed, of %d partitions, want [2 3], 1, of both", got, collapsed, len(b.of))
	}
}

func TestAPartitionIsDoneUpToWhatIsAcknowledged(t *testing.T) {
	p := laid("a 1", "b 2", "/", "c 3", "d 4")
	p.taken = 100
	for _, c := range p.chunks {
		c.seen = never // the timestamps decide
		for i := range c.held {
			c.held[i].written = c.held[i].Seq
		}
	}
	steps := []struct {
		now    int64
		flying int64 // the place while it is being published
		landed int64
		free   int
	}{
		{1, 0, 1, 0},
		{3, 1, 4, 1},
		{4, 4, 100, 1},
	}
	p.advance()
	for _, step := range steps {
		b := newBatch()
		b.gather(p, 0, reading{node: step.now, broker: step.now})
		p.advance()
		if len(b.messages) == 0 || p.place.Offset != step.flying {
			t.Errorf("at %d: got %d messages in flight, the place %d, want %d", step.now, len(b.messages), p.place.Offset, step.flying)
		}
		if free := p.landed(); len(free) != step.free || p.place.Offset != step.landed {
			t.Errorf("at %d: got %d chunks free, the place %d, want %d, %d", step.now, len(free), p.place.Offset, step.free, step.landed)
		}
	}
}

func TestABatchIsBounded(t *testing.T) {
	tests := []struct {
		name    string
		size    int // of each of ten messages
		batches []int
	}{
		{"small ones", 1000, []int{10}},
		{"a tenth", batchBytes/10 - heldOverhead - len("shopproductskey"), []int{10}},
		{"a little more", batchBytes/10 - heldOverhead, []int{9, 1}},
		{"more than a half", batchBytes/2 + 1, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"more than all", batchBytes + 1, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	}
	for _, tt := range tests {
		for _, extra := range []bool{false, true} {
			p := laid()
			for i := range 10 {
				h := held{Message: kafkasync.Message{Topic: "products", Pipeline: "shop", Table: "products", Key: fmt.Appendf(nil, "ke%d", i), Seq: int64(i)}}
				if bulk := make([]byte, tt.size); extra {
					h.Extra = []kafkasync.Header{{Value: bulk}}
				} else {
					h.Value = bulk
				}
				p.chunks[0].held = append(p.chunks[0].held, h)
			}
			var got []int
			for range tt.batches {
				b := newBatch()
				seqs, _ := gathered(b, p)
				got = append(got, len(seqs))
				if b.size > batchBytes && len(seqs) > 1 || b.full == (p.at == 10) {
					t.Errorf("%s: got a batch of %d bytes, full: %t, want no more than %d", tt.name, b.size, b.full, batchBytes)
				}
				p.flying = false
			}
			if !slices.Equal(got, tt.batches) || p.at != 10 {
				t.Errorf("%s: got batches of %v messages, want %v", tt.name, got, tt.batches)
			}
		}
	}
}

func TestAProbeIsOneMessageThatTheBrokerStamps(t *testing.T) {
	tests := []struct {
		name       string
		partitions []*partition
		want       []int64
		probes     bool
	}{
		{"one of one", []*partition{laid("a 1", "b 2")}, []int64{1}, true},
		{"the others wait", []*partition{laid("a 1"), laid("b 2"), laid("c 3 created")}, []int64{1}, true},
		{"those that the broker does not stamp show nothing", []*partition{laid("a 1 created", "b 2 created"), laid("c 3", "d 4")}, []int64{1, 2, 3}, true},
		{"only such", []*partition{laid("a 1 created", "b 2 created")}, []int64{1, 2}, false},
	}
	for _, tt := range tests {
		b := newBatch()
		b.reset(true)
		if got, _ := gathered(b, tt.partitions...); !slices.Equal(got, tt.want) || b.probes != tt.probes {
			t.Errorf("%s: got seqs %v, a probe: %t, want %v, %t", tt.name, got, b.probes, tt.want, tt.probes)
		}
	}
}

func TestWhatIsNotKeptIsForgotten(t *testing.T) {
	b := newBatch()
	gathered(b, laid("a 1", "a 2", "b 3"))
	b.reset(false)
	for _, m := range b.messages[:cap(b.messages)] {
		if m.Key != nil || m.Topic != "" {
			t.Fatalf("got %+v still there, want that it keeps nothing alive", m)
		}
	}
	if len(b.collapsed) > 0 || b.size > 0 || b.full || b.probes {
		t.Errorf("got %+v, want it empty", b)
	}
}

// decodeAndGather returns what a thousand messages are put through here.
func decodeAndGather(tb testing.TB) func() {
	tb.Helper()
	const most = 1000
	d, into := newDecoder(decodeDelay), newBatch()
	records := make([]record, most)
	for i := range records {
		m := kafkasync.Message{
			Key: fmt.Appendf(nil, "%d", i), Value: fmt.Appendf(nil, `{"id":%d}`, i), Op: kafkasync.Updated, Pipeline: "shop", Table: "public.products",
			Seq: int64(i), Committed: time.UnixMilli(1), Pos: "0/16B3748", Delay: decodeDelay,
		}
		headers, _ := m.AppendHeaders(nil, nil)
		records[i] = record{offset: int64(i), written: time.UnixMilli(1), appended: true, key: m.Key, value: m.Value, headers: headersOf(textOf(headers))}
	}
	c := &chunk{}
	return func() {
		c.reset(false)
		for i := range records {
			if err := d.add(c, "products", 0, &records[i]); err != nil {
				tb.Fatal(err)
			}
		}
		p := &partition{chunks: []*chunk{c}}
		into.reset(false)
		into.gather(p, 0, reading{node: dueNow, broker: dueNow})
		if into.compact(); len(into.messages) != most {
			tb.Fatalf("got %d messages, want %d", len(into.messages), most)
		}
	}
}

// BenchmarkDecodeAndGather is what a thousand messages cost here besides Kafka's part.
func BenchmarkDecodeAndGather(b *testing.B) {
	run := decodeAndGather(b)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

func TestAMessageCostsNoAllocation(t *testing.T) {
	if got := testing.AllocsPerRun(10, decodeAndGather(t)); got > 10 {
		t.Errorf("got %v allocations for a thousand messages, want those of the partition only", got)
	}
}
