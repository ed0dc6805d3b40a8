package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestPlaceOfAPosition(t *testing.T) {
	pg, my := &postgres{}, &mysql{}
	tests := []struct {
		of       database
		position string
		want     place
		ok       bool
	}{
		{pg, "", 0, true},
		{pg, "7710595686971586722:1:0/23B7AF8", 0x23B7AF8, true},
		{pg, "7710595686971586722:3:1A/0", 0x1A_0000_0000, true},
		{pg, "0/23B7AF8", 0, false},
		{pg, "7710595686971586722:1:23B7AF8", 0, false},
		{pg, "7710595686971586722:1:0/XYZ", 0, false},
		{my, "", 0, true},
		{my, "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23", 23, true},
		{my, "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1", 1, true},
		{my, "mariadb:0-1-100", 100, true},
		{my, "mariadb:", 0, false},
	}
	for _, tt := range tests {
		got, err := tt.of.placeOf(tt.position)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%T: placeOf(%q): got %d and error %v, want %d and success %t", tt.of, tt.position, got, err, tt.want, tt.ok)
		}
	}
}

func TestProcessorTimeOfANameWithBracketsAndSpaces(t *testing.T) {
	text := "4711 (post) gres: x) S 1 4711 4711 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 10\n"
	got, err := statTime([]byte(text))
	if want := 3 * time.Second; got != want || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := statTime([]byte("4711 (x) S 1\n")); err == nil {
		t.Error("got no error for a line that is cut short")
	}
}

func TestMachineTimeCountsNoIdleness(t *testing.T) {
	got, err := busyTime("cpu  100 10 30 9000 500 5 5 7 0 0\ncpu0 50 5 15 4500 250 2 3 4 0 0\n")
	if want := 1500 * time.Millisecond; got != want || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := busyTime("intr 1 2 3 4 5 6 7 8\n"); err == nil {
		t.Error("got no error for another line")
	}
}

func TestProcessorTimeGrowsWithWork(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		now, err := cpuTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v after a minute of work, as before", now)
		}
	}
}

func TestPercentileIsAValueThatWasMeasured(t *testing.T) {
	values := make([]int, 1000)
	for i := range values {
		values[i] = i + 1
	}
	for p, want := range map[int]int{0: 1, 50: 500, 99: 990, 100: 1000} {
		if got := percentile(values, p); got != want {
			t.Errorf("got %d for %d %%, want %d", got, p, want)
		}
	}
	if got := percentile(values[:1], 99); got != 1 {
		t.Errorf("got %d of one value, want it", got)
	}
}

// The rounds differ by ten, the readers within a round by two: that is the ratio.
func TestRatioIsTakenWithinARound(t *testing.T) {
	r := newResult(nil)
	for _, took := range []time.Duration{time.Second, 10 * time.Second, 3 * time.Second} {
		r.add("bulk", recvlogical, sample{rows: 1000, took: 2 * took})
		r.add("bulk", ours, sample{rows: 1000, took: took})
		r.add(sameRecords, bareProducer, sample{rows: 1000, took: took / 2})
	}
	if got := r.line("bulk", ours).ratio(r.line("bulk", recvlogical)); got != 2 {
		t.Errorf("got %v, want 2", got)
	}
	if got := r.markdown(); !strings.Contains(got, "| bulk | kafkasync to Kafka | 333 (100 to 1000) | 2.00 (2.00 to 2.00) | 0.50 (0.50 to 0.50) |") {
		t.Errorf("got %s, want the median, the slowest and the fastest round, and both ratios", got)
	}
}

func TestMedianOfAnEvenNumberOfRounds(t *testing.T) {
	l := &line{}
	for _, n := range []int{400, 100, 300, 200} {
		l.samples = append(l.samples, sample{rows: n, took: time.Second})
	}
	if got := l.median(sample.rate); got != 250 {
		t.Errorf("got %v, want 250", got)
	}
}

func TestSizesThatDoNotFitAreRefused(t *testing.T) {
	for _, args := range []string{
		"-rows 0", "-rounds 0", "-rows 10 -txs 11", "-rows 1000 -txs 10 -rate 100 -latency 10s", "-latency -1s", "-rest -1s",
		"-delay 500ms", "-delay -1m", "-only consume", "-only producer,consume", "-only delayer -delay 0", "-only readers -rows 10",
		"-source oracle", "-source mysql -parameters x=1",
	} {
		if o, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("got %+v for %s, want an error", o, args)
		}
	}
	for _, args := range []string{"", "-only delayer -rows 10", "-only latency -delay 0", "-rows 20001 -txs 0", "-only consumer,producer -rows 10", "-source mariadb"} {
		if _, err := parse(strings.Fields(args), io.Discard); err != nil {
			t.Errorf("got %v for %q", err, args)
		}
	}
}

// The delayer is compared with the faster loop, and with the one that librdkafka makes by itself.
func TestReSendingIsComparedWithTheBareLoops(t *testing.T) {
	r := newResult(nil)
	add := func(reader string, took time.Duration, o outage) {
		r.add("overdue", reader, sample{rows: 1000, took: took, outage: &o})
	}
	zero, five := 0, 5
	add(delayer, 2*time.Second, outage{log: 10e6, received: 15e6, logAfter: 20e6, receivedAfter: 30e6, cpuAfter: 5 * time.Millisecond, idle: time.Second})
	add(bareLoop, time.Second, outage{linger: &five, log: 10e6, received: 11e6})
	add(bareDefaults, 4*time.Second, outage{linger: &zero, log: 10e6, received: 10e6})
	got := r.markdown()
	for _, want := range []string{
		"| overdue | " + bareDefaults + " | 250 (250 to 250) | 0.25 (0.25 to 0.25) | |", "| overdue | " + bareLoop + " | 1000 (1000 to 1000) | 1.00 (1.00 to 1.00) | |",
		"| overdue | " + delayer + " | 500 (500 to 500) | 0.50 (0.50 to 0.50) | |",
		"| " + bareLoop + ", linger.ms 5 | 4.00 | 10 (10 to 10) | 11 (11 to 11) | 1.10 (1.10 to 1.10) | | | |",
		"| " + delayer + " | 2.00 | 10 (10 to 10) | 15 (15 to 15) | 1.50 (1.50 to 1.50) | 20 (20 to 20) | 30 (30 to 30) | 1.50 (1.50 to 1.50) | 5.0 | 1.0 (1.0 to 1.0) |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
}

// Small sizes, real servers: what it prints says that every row was published.
func TestTheWholeComparison(t *testing.T) {
	devtest.Postgres(t) // says -short, and installs what is missing
	devtest.Kafka(t)
	binary := filepath.Join(t.TempDir(), "kafkasync")
	output(t, "go", "build", "-o", binary, "github.com/kafkasync/kafkasync/cmd/kafkasync")
	tests := []struct {
		name, args string
		want       []string
	}{
		{"postgres", "-rest 0 -rows 3000 -txs 500 -rounds 1 -rate 200 -latency 2s -delay 15s", []string{
			"| one UPDATE of 3000 rows | " + recvlogical + " |", "| one UPDATE of 3000 rows | " + ours + " |",
			"| 500 transactions of one row | " + recvlogical + " |", "| 500 transactions of one row | " + ours + " |",
			"| " + bareProducer + " |", "400 messages a round",
			"| 3000 messages, consumed | " + barePolls + " |", "| 3000 messages, consumed | " + ownConsumer + " |",
			"| 3000 messages, consumed, all in one partition | " + ownConsumer + " |",
			"| 3000 overdue delay messages | " + bareLoop + " |", "| 3000 overdue delay messages | " + delayer + " |",
			"| " + bareDefaults + ", linger.ms ", "\n| " + delayer + " |",
		}},
		// The log is another one; what is done with it is the same. MySQL takes longer to start.
		{"mariadb", "-rest 0 -source mariadb -only readers -rows 3000 -txs 0 -rounds 1", []string{
			"| MariaDB | 10.", "| one UPDATE of 3000 rows | " + rawDrain + " |", "| one UPDATE of 3000 rows | " + ours + " |",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parse(append(strings.Fields(tt.args), "-binary", binary), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			o.out = filepath.Join(t.TempDir(), "out", "result.md")
			var printed strings.Builder
			if err := run(ctx, o, &printed, t.Output()); err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(o.out)
			if err != nil || string(written) != printed.String() {
				t.Errorf("got the file %q, %v, want what was printed: %s", written, err, printed.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(printed.String(), want) {
					t.Errorf("got\n%s\nwant %q in it", printed.String(), want)
				}
			}
		})
	}
}
