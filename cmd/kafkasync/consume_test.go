package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	main "github.com/kafkasync/kafkasync/cmd/kafkasync"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

func messages() []kafkasync.Message {
	committed := time.Date(2026, 11, 21, 10, 30, 0, 250e6, time.UTC)
	base := kafkasync.Message{
		Topic: "products", Partition: 3, Offset: 1234, Key: []byte("42"), Value: []byte(`{"id":42}`), Op: kafkasync.Updated,
		Pipeline: "shop", Table: "public.products", Seq: 1763721000250000, Committed: committed, Pos: "0/16B3748",
	}
	with := func(change func(*kafkasync.Message)) kafkasync.Message {
		m := base
		change(&m)
		return m
	}
	return []kafkasync.Message{
		with(func(m *kafkasync.Message) { m.Delay = 5 * time.Minute }),
		with(func(m *kafkasync.Message) { m.Delayed = 5 * time.Minute; m.Pos = "" }),
		with(func(m *kafkasync.Message) {
			m.Op, m.Key, m.Value = kafkasync.Created, []byte(`["a<b",7]`), []byte(`{"tenant":"a<b","line":7}`)
		}),
		with(func(m *kafkasync.Message) { m.Op = kafkasync.Deleted }),
		with(func(m *kafkasync.Message) { m.Op, m.Value = kafkasync.Deleted, nil }),
		with(func(m *kafkasync.Message) { m.Op, m.Key, m.Value = kafkasync.Truncated, nil, []byte(`{"id":null}`) }),
		with(func(m *kafkasync.Message) { m.Op = kafkasync.Refreshed; m.Key = []byte("größe") }),
		with(func(m *kafkasync.Message) { m.Key = []byte("two\nlines\x1b[2J") }),
		{Topic: "products", Offset: 7, Value: []byte("not JSON\x00\xff")}, // of somebody else
		{Topic: "products", Offset: 8, Key: []byte(""), Value: []byte("")},
	}
}

func TestMessagesAsLines(t *testing.T) {
	for name, write := range map[string]func(io.Writer, kafkasync.Message) error{
		"consume.txt": main.WriteMessage, "consume.jsonl": main.WriteMessageJSON,
	} {
		var out bytes.Buffer
		for _, m := range messages() {
			if err := write(&out, m); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got, want := strings.Count(out.String(), "\n"), len(messages()); got != want {
			t.Errorf("%s: got %d lines for %d messages", name, got, want)
		}
		golden(t, name, out.String())
	}
}

func TestEveryJSONLineIsAnObject(t *testing.T) {
	for _, m := range messages() {
		var out bytes.Buffer
		if err := main.WriteMessageJSON(&out, m); err != nil {
			t.Fatalf("writing %+v: %v", m, err)
		}
		var got struct {
			Topic  string
			Offset int64
			Value  any
			Seq    int64
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("reading %q: %v", out.String(), err)
		}
		if got.Topic != m.Topic || got.Offset != m.Offset || got.Seq != m.Seq || (got.Value == nil) != (m.Value == nil) {
			t.Errorf("got %+v, want %+v", got, m)
		}
	}
}

func TestConsumeEndsInOrderWhenItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	// With a group, nothing is asked of the broker before the first look.
	got := command(ctx, "consume", "products", "--brokers", closedPort(t), "--group", "g")
	if got.exit != 0 || got.stdout+got.stderr != "" {
		t.Errorf("got %+v, want success and nothing printed", got)
	}
}

func TestConsumePrintsWhatIsPublished(t *testing.T) {
	broker := embedded(t)
	want := messages()[1:4]
	sink, err := kafka.Open(t.Context(), kafka.Config{Brokers: []string{broker}}, kafka.Options{})
	if err != nil {
		t.Fatalf("opening the sink: %v", err)
	}
	defer sink.Close()
	if err := sink.Publish(t.Context(), slices.Clone(want)); err != nil {
		t.Fatalf("publishing: %v", err)
	}
	var lines bytes.Buffer
	for i, m := range want {
		m.Partition, m.Offset = 0, int64(i)
		if err := main.WriteMessage(&lines, m); err != nil {
			t.Fatalf("writing %+v: %v", m, err)
		}
	}
	got := command(t.Context(), "consume", "products", "--brokers", broker, "--from-beginning", "--limit", "3")
	if got.exit != 0 || got.stdout != lines.String() || got.stderr != "" {
		t.Errorf("got %+v, want %s", got, lines.String())
	}
	got = command(t.Context(), "consume", "products", "-c", settingsOf(t, broker), "--from-beginning", "--limit", "1", "--json")
	if got.exit != 0 || strings.Count(got.stdout, "\n") != 1 || !strings.Contains(got.stdout, `"offset":0,"key":"42"`) {
		t.Errorf("with the brokers of a file: got %+v, want one line of JSON", got)
	}
	got = command(t.Context(), "consume", "nosuch", "--brokers", broker)
	if got.exit != 1 || !strings.Contains(got.stderr, "has no topic nosuch") || !strings.Contains(got.stderr, "to fix: ") {
		t.Errorf("a topic that does not exist: got %+v, want a failure with what helps", got)
	}
}
