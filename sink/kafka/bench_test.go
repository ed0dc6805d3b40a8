package kafka_test

import (
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
// this process (client only, seven headers a record).
func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			cfg := settings(b)
			cfg.Topics.Partitions = 6
			s := open(b, cfg, kafka.Options{})
			msgs := sinktest.Messages(devtest.Topic(b), 1, size)
			publishAll(b, s, msgs[:1]) // makes the topic
			b.ReportAllocs()
			started, cpu := time.Now(), cpuTime(b)
			b.ResetTimer()
			for sent := 0; sent < b.N; sent += size {
				publishAll(b, s, msgs[:min(size, b.N-sent)])
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(started).Seconds(), "records/s")
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/float64(b.N), "cpu-ns/record")
		})
	}
}

// BenchmarkLatency shows how long one message alone takes to be acknowledged.
func BenchmarkLatency(b *testing.B) {
	s := open(b, settings(b), kafka.Options{})
	msgs := sinktest.Messages(devtest.Topic(b), 1, 1)
	publishAll(b, s, msgs)
	var took []time.Duration
	for b.Loop() {
		started := time.Now()
		publishAll(b, s, msgs)
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

// BenchmarkRecordOverhead shows how many bytes a record in flight takes, its
// own (about 60) included, to compare with recordOverhead. Run it with -benchtime 1x.
func BenchmarkRecordOverhead(b *testing.B) {
	const records = 200_000
	for b.Loop() {
		cfg := settings(b)
		// Nothing is sent while we look: all records wait in librdkafka.
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
		<-done // the context's error
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
