package rdkafka_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// filled returns the address of a broker whose topic products has n records in each of two partitions.
func filled(t *testing.T, n int) string {
	t.Helper()
	cluster := broker(t, 2)
	brokers := strings.Join(cluster.ListenAddrs(), ",")
	p := open(t, map[string]string{"bootstrap.servers": brokers})
	products := topic(t, p)
	var batch rdkafka.Batch
	for i := range n {
		for partition := range int32(2) {
			batch.Add(products, partition, 1, fmt.Appendf(nil, "k%d", i), fmt.Appendf(nil, "v%d", i),
				[]kafkasync.Header{{Key: "op", Value: []byte("c")}, {Key: "none"}})
		}
	}
	for _, arrived, _ := produceAll(t, p, &batch); arrived < int64(2*n); {
		arrived += acknowledged(t, p).Records
	}
	return brokers
}

func join(t *testing.T, brokers string, more map[string]string) *rdkafka.Consumer {
	t.Helper()
	properties := map[string]string{
		"bootstrap.servers": brokers, "group.id": "g", "enable.auto.commit": "false", "auto.offset.reset": "error",
		"partition.assignment.strategy": "cooperative-sticky", "heartbeat.interval.ms": "100",
	}
	maps.Copy(properties, more)
	c, err := rdkafka.NewConsumer(properties)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Subscribe([]string{"products"}); err != nil {
		t.Fatal(err)
	}
	return c
}

// await polls until something of type E has happened.
func await[E any](t *testing.T, c *rdkafka.Consumer) E {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if e, ok := c.Poll(100 * time.Millisecond).(E); ok {
			return e
		}
	}
	t.Fatalf("no %T happened", *new(E))
	panic("unreachable")
}

// assigned returns the partitions of the topic, read from their beginning.
func assigned(t *testing.T, c *rdkafka.Consumer) []*rdkafka.Partition {
	t.Helper()
	places := await[rdkafka.Assigned](t, c).Places
	if len(places) != 2 {
		t.Fatalf("got %v assigned, want 2 partitions", places)
	}
	for i := range places {
		places[i].Offset = 0
	}
	partitions, err := c.Assign(places)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the consumer is closed
		for _, p := range partitions {
			p.Close()
		}
	})
	return partitions
}

// take polls as well, as the owner of a consumer has to.
func take(t *testing.T, c *rdkafka.Consumer, p *rdkafka.Partition, r *rdkafka.Records, most, size int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if err := p.Take(r, most, size); err != nil {
			t.Fatal(err)
		}
		if r.Len() > 0 {
			return
		}
		c.Poll(10 * time.Millisecond)
	}
	t.Fatal("no record arrived")
}

func TestEachPartitionIsReadByItself(t *testing.T) {
	const n = 1000
	c := join(t, filled(t, n), nil)
	partitions := assigned(t, c)
	var r rdkafka.Records
	for at := 0; at < n; { // the other one is not touched
		take(t, c, partitions[0], &r, 100, 1<<20)
		for i := range r.Len() {
			key, value := fmt.Sprintf("k%d", at), fmt.Sprintf("v%d", at)
			if r.Offset(i) != int64(at) || string(r.Key(i)) != key || string(r.Value(i)) != value {
				t.Fatalf("got offset %d, key %q, value %q, want %d, %q, %q", r.Offset(i), r.Key(i), r.Value(i), at, key, value)
			}
			var headers []string
			for name, value := range r.Headers(i) {
				headers = append(headers, string(name)+"="+string(value))
			}
			if want := []string{"op=c", "none="}; !slices.Equal(headers, want) {
				t.Fatalf("got headers %q, want %q", headers, want)
			}
			if written, _ := r.Timestamp(i); time.Since(written) > time.Hour {
				t.Fatalf("got the time %s, want one of now", written)
			}
			at++
		}
	}
	take(t, c, partitions[1], &r, 100, 1<<20)
	if r.Offset(0) != 0 {
		t.Errorf("got offset %d of the other partition, want 0", r.Offset(0))
	}
}

func TestTakeStaysWithinItsRoomButForARecordThatIsLarger(t *testing.T) {
	c := join(t, filled(t, 100), nil)
	p := assigned(t, c)[0]
	var r rdkafka.Records
	for at := int64(0); at < 100; at += int64(r.Len()) {
		take(t, c, p, &r, 100, 50) // of which one takes about 30
		if r.Len() != 1 || r.Offset(0) != at {
			t.Fatalf("got %d records from offset %d on, want 1 from %d on", r.Len(), r.Offset(0), at)
		}
	}
	var small rdkafka.Records
	c2 := join(t, filled(t, 1), map[string]string{"group.id": "another"})
	p = assigned(t, c2)[0]
	take(t, c2, p, &small, 1, 1)
	if small.Len() != 1 || string(small.Key(0)) != "k0" {
		t.Errorf("got %d records, want the one that is larger than the room", small.Len())
	}
}

func TestWhatNobodyTakesIsNotFetchedWithoutEnd(t *testing.T) {
	const n = 20000
	c := join(t, filled(t, n), map[string]string{
		"queued.min.messages": "100", "fetch.message.max.bytes": "10000", "statistics.interval.ms": "100",
	})
	assigned(t, c)
	fetched := func() string {
		_, rest, _ := strings.Cut(string(await[rdkafka.Statistics](t, c)), `"rxmsgs":`)
		rest, _, _ = strings.Cut(rest, ",")
		return rest
	}
	before := ""
	for now := fetched(); now == "0" || now != before; now = fetched() { // until it stands still
		before = now
	}
	if count, err := strconv.Atoi(before); err != nil || count > n/2 {
		t.Errorf("got %s records fetched of %d, error %v, want a few batches", before, 2*n, err)
	}
}

func TestACommitIsReadBackWithItsText(t *testing.T) {
	brokers := filled(t, 1)
	c := join(t, brokers, nil)
	assigned(t, c)
	places := []rdkafka.Place{{Topic: "products", Partition: 0, Offset: 1, Metadata: "how far"}}
	if err := c.Commit(places, true); err != nil {
		t.Errorf("a commit that waits: %v", err)
	}
	if err := c.Commit(places, false); err != nil {
		t.Errorf("a commit that does not wait: %v", err)
	}
	if done := await[rdkafka.Committed](t, c); done.Err != nil {
		t.Errorf("what came of it: %v", done.Err)
	}
	want := []rdkafka.Place{places[0], {Topic: "products", Partition: 1, Offset: -1}}
	if got, err := c.Committed(t.Context(), []rdkafka.Place{{Topic: "products"}, {Topic: "products", Partition: 1}}, 10*time.Second); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, error %v, want %v", got, err, want)
	}
}

// member answers what the group asks of it.
type member struct {
	*rdkafka.Consumer

	has  map[int32]*rdkafka.Partition
	lost bool
}

func (m *member) serve(t *testing.T) {
	t.Helper()
	switch e := m.Poll(10 * time.Millisecond).(type) {
	case rdkafka.Assigned:
		for i := range e.Places {
			e.Places[i].Offset = 0
		}
		partitions, err := m.Assign(e.Places)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range partitions {
			m.has[e.Places[i].Partition] = p
		}
	case rdkafka.Revoked:
		for _, p := range e.Places {
			m.has[p.Partition].Close()
			delete(m.has, p.Partition)
		}
		m.lost = m.lost || e.Lost
		if err := m.Unassign(e.Places); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPartitionMovesToAMemberThatJoins(t *testing.T) {
	brokers := filled(t, 1)
	first := member{Consumer: join(t, brokers, nil), has: map[int32]*rdkafka.Partition{}}
	for len(first.has) < 2 {
		first.serve(t)
	}
	second := member{Consumer: join(t, brokers, nil), has: map[int32]*rdkafka.Partition{}}
	for len(first.has) != 1 || len(second.has) != 1 {
		first.serve(t)
		second.serve(t)
	}
	if first.lost {
		t.Error("the partition was lost, want it given back")
	}
	for _, m := range []member{first, second} {
		for number, p := range m.has {
			var r rdkafka.Records
			// The first may have to answer once more: the group's last round adds nothing to
			// what it has. Until it does, librdkafka gives out no records.
			for deadline := time.Now().Add(30 * time.Second); r.Len() == 0 && time.Now().Before(deadline); m.serve(t) {
				if err := p.Take(&r, 1, 100); err != nil {
					t.Fatal(err)
				}
			}
			if r.Len() != 1 || r.Offset(0) != 0 {
				t.Errorf("got %d records of partition %d, want the one at offset 0", r.Len(), number)
			}
			p.Close()
		}
	}
}

func TestInterruptEndsAPoll(t *testing.T) {
	c := join(t, filled(t, 1), nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for deadline := time.Now().Add(time.Minute); c.Poll(time.Minute) != nil && time.Now().Before(deadline); {
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
			c.Interrupt()
		}
	}
}
