package postgres_test

import (
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// While Kafka is away nobody reads, and what the database writes is to show.
func TestLogThatNobodyReadsIsCounted(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY, v text)")
	s, _ := logged(t, db.url, "watched", columns{"public.t": nil})
	memory := sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := openTape(t, s, head, memory.Again())
	stream, ok := p.stream.(source.Watched)
	if !ok {
		t.Fatal("got a stream that does not tell what nobody has read")
	}
	db.run(t, "INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n")
	var since time.Time
	eventually(t, func() bool {
		var bytes int64
		bytes, since = stream.Behind()
		return bytes > 2e6
	})
	if since.Before(began) || since.After(time.Now()) {
		t.Errorf("got log since %s, want it since the stream was opened, at %s", since, began)
	}
	p.read(t, 2000)
	var b source.Batch
	db.run(t, "INSERT INTO t VALUES (0)") // there is one thing more to be read, so that Next returns
	for bytes := int64(1); bytes != 0; bytes, _ = stream.Behind() {
		if err := p.stream.Next(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
}
