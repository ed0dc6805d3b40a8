package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

// BenchmarkPublish shows what a record costs: records/s, and the CPU time of
// this process (client only, seven headers a record). After the usual case come
// the worst ones for a client or a broker.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct{ batch, partitions, topics, key int }{
		{1000, 6, 1, 0},
		{8192, kafka.DefaultPartitions, 1, 0},
		{100_000, 6, 1, 0},
		{8192, 1, 1, 0},
		{8192, 1, 100, 0}, // one request for each partition
		{8192, kafka.DefaultPartitions, 1, 1000},
	} {
		b.Run(fmt.Sprintf("batch=%d/partitions=%d/topics=%d/key=%d", c.batch, c.partitions, c.topics, c.key), func(b *testing.B) {
			cfg := settings(b)
			cfg.Topics.Partitions = c.partitions
			s := open(b, cfg, kafka.Options{})
			msgs := sinktest.Messages(devtest.Topic(b), 1, c.batch)
			for i := range msgs {
				msgs[i].Topic += fmt.Sprintf("-%d", i%c.topics)
				msgs[i].Committed = msgs[0].Committed // all are of one transaction
				msgs[i].Key = append(msgs[i].Key, bytes.Repeat([]byte("k"), c.key)...)
			}
			publishAll(b, s, msgs[:c.topics]) // makes the topics
			b.ReportAllocs()
			started, cpu := time.Now(), cpuTime(b)
			b.ResetTimer()
			for sent := 0; sent < b.N; sent += c.batch {
				publishAll(b, s, msgs[:min(c.batch, b.N-sent)])
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(started).Seconds(), "records/s")
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/record")
		})
	}
}

// BenchmarkLatency shows how long a batch as large as one gets at 1,000
// transactions/s takes to be acknowledged, and that linger.ms adds nothing to it.
func BenchmarkLatency(b *testing.B) {
	for _, linger := range []string{"0", "1", "5"} {
		for _, size := range []int{1, 4, 32} {
			b.Run(fmt.Sprintf("linger=%s/batch=%d", linger, size), func(b *testing.B) {
				cfg := settings(b)
				cfg.Topics.Partitions = kafka.DefaultPartitions
				cfg.Properties = map[string]string{"linger.ms": linger}
				s := open(b, cfg, kafka.Options{})
				msgs := sinktest.Messages(devtest.Topic(b), 1, 100*size)
				publishAll(b, s, msgs)
				var took []time.Duration
				cpu := cpuTime(b)
				for b.Loop() {
					i := len(took) % 100 * size
					started := time.Now()
					publishAll(b, s, msgs[i:i+size])
					took = append(took, time.Since(started))
				}
				cpu = cpuTime(b) - cpu
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
				b.ReportMetric(float64(cpu.Nanoseconds())/float64(len(took)*size), "cpu-ns/record")
			})
		}
	}
}

// BenchmarkRecordOverhead shows how many bytes a record in flight takes, its
// own (about 60) included, to compare with recordOverhead. Run it with -benchtime 1x.
func BenchmarkRecordOverhead(b *testing.B) {
	const records = 200_000
	for b.Loop() {
		cfg := settings(b)
		// Nothing is sent until all have been handed over: they wait in librdkafka.
		cfg.Properties = map[string]string{"linger.ms": "60000", "batch.num.messages": "1000000", "batch.size": "100000000"}
		s := open(b, cfg, kafka.Options{InFlight: 1 << 30})
		msgs := sinktest.Messages(devtest.Topic(b), 1, records)
		before := resident(b)
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
		done := make(chan error, 1)
		go func() { done <- s.Publish(ctx, msgs) }()
		for peak, grew := before, time.Now(); time.Since(grew) < 2*time.Second; {
			if now := resident(b); now > peak {
				peak, grew = now, time.Now()
				b.ReportMetric(float64(peak-before)/records, "bytes/record")
			}
		}
		cancel()
		<-done // nil, or the context's error
	}
}

func publishAll(b *testing.B, s *kafka.Sink, msgs []kafkasync.Message) {
	b.Helper()
	if err := s.Publish(b.Context(), msgs); err != nil {
		b.Fatal(err)
	}
}

// cpuTime is what this process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// resident is how much memory this process occupies, C's included.
func resident(b *testing.B) int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Error(err)
		return 0
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		b.Error(err)
	}
	return pages * int64(os.Getpagesize())
}
