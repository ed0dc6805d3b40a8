package rdkafka_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// shapes are headers as neighbours have them: of one form, of almost the same, and of none. n differs from record to record.
func shapes() []func(n int) []kafkasync.Header {
	of := func(pairs ...string) []kafkasync.Header {
		headers := make([]kafkasync.Header, 0, len(pairs))
		for _, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			headers = append(headers, kafkasync.Header{Key: name, Value: []byte(value)})
		}
		return headers
	}
	return []func(n int) []kafkasync.Header{
		func(n int) []kafkasync.Header { return of("op=u", "pos=0/1", fmt.Sprintf("seq=%d", n)) },
		func(n int) []kafkasync.Header { return of("op=u", "pos=0/1", "seq="+strings.Repeat("9", n%50)) },
		func(n int) []kafkasync.Header { return of("op=u", "pos=0/2", fmt.Sprintf("seq=%d", n)) },
		func(n int) []kafkasync.Header { return of("op=u", "pos=0/2", fmt.Sprintf("seqs=%d", n)) },
		func(n int) []kafkasync.Header { return of("op=u", "pos=0/2", "", fmt.Sprintf("seq=%d", n)) },
		func(n int) []kafkasync.Header { return of(fmt.Sprintf("seq=%d", n)) },
		func(int) []kafkasync.Header { return nil },
		func(n int) []kafkasync.Header { return of(fmt.Sprintf("=%d", n)) },
		func(n int) []kafkasync.Header { return of("x=1", "op=u", fmt.Sprintf("x=%d", n)) }, // a name that is there twice
		func(n int) []kafkasync.Header { return of("x=1", "op=u", fmt.Sprintf("y=%d", n)) },
	}
}

func textOf(headers []kafkasync.Header) []string {
	var text []string
	for _, h := range headers {
		text = append(text, h.Key+"="+string(h.Value))
	}
	return text
}

func TestNoRecordHasTheHeadersOfAnother(t *testing.T) {
	cluster := broker(t, 2)
	brokers := strings.Join(cluster.ListenAddrs(), ",")
	p := open(t, map[string]string{"bootstrap.servers": brokers, "enable.idempotence": "true"})
	products := topic(t, p)

	var want [][]string
	send := func(shapes ...func(int) []kafkasync.Header) {
		var batch rdkafka.Batch
		for _, shape := range shapes {
			headers := shape(len(want))
			batch.Add(products, 0, 1, nil, fmt.Append(nil, len(want)), headers)
			want = append(want, textOf(headers))
		}
		for _, arrived, _ := produceAll(t, p, &batch); arrived < int64(len(shapes)); {
			arrived += acknowledged(t, p).Records
		}
	}
	all := shapes()
	for i := range all {
		many := slices.Repeat(all[i:i+1], 100)
		send(many...)
		send(many...) // with what the others had
		send(slices.Concat(many, slices.Repeat(all[(i+1)%len(all):][:1], 100))...)
		send(all[(i+1)%len(all)]) // the reports of the first hundred came when the form was this one
	}
	for range 3 {
		send(all...)
		for _, shape := range all {
			send(shape)
			send(shape)
		}
	}

	c := join(t, brokers, nil)
	partition := assigned(t, c)[0]
	var r rdkafka.Records
	for at := 0; at < len(want); {
		take(t, c, partition, &r, 100, 1<<20)
		for i := range r.Len() {
			var got []string
			for name, value := range r.Headers(i) {
				got = append(got, string(name)+"="+string(value))
			}
			if string(r.Value(i)) != fmt.Sprint(at) || !slices.Equal(got, want[at]) {
				t.Fatalf("record %d: got headers %q of %q, want %q", at, got, r.Value(i), want[at])
			}
			at++
		}
	}
}
