// Program bench compares kafkasync with the least that can be done with a log:
// pg_recvlogical, Postgres' own reader, writing to /dev/null. `make bench`.
//
// It promises that what it compares was measured in one run, in turns, on the
// same log of the same real Postgres, and that every row was acknowledged by a
// real Kafka. A lost row is an error; a slow one is a result: it judges nothing.
// It never uses a server that it did not start.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the sizes, and where things are.
type options struct {
	rows, txs, rounds, rate int
	latency                 time.Duration
	out, binary, profile    string
	parameters              string // of our connection to Postgres
	command                 string // as it was typed
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	o, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = run(ctx, o, os.Stdout, os.Stderr)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&o.rows, "rows", 1_000_000, "`rows` of the table, all changed by the bulk UPDATE")
	flags.IntVar(&o.txs, "txs", 200_000, "`transactions` of one row each; 0: leave this part out")
	flags.IntVar(&o.rounds, "rounds", 3, "how `often` all is measured; the median counts")
	flags.IntVar(&o.rate, "rate", 1000, "transactions a second while the latency is measured")
	flags.DurationVar(&o.latency, "latency", 20*time.Second, "how long the latency is measured in each round; 0: leave this part out")
	flags.StringVar(&o.out, "out", "bench/out/result.md", "write the result into this `file` as well; \"\": nowhere")
	flags.StringVar(&o.binary, "binary", "", "measure this kafkasync `program` instead of one built now")
	flags.StringVar(&o.parameters, "parameters", "", "what `follows` the ? in kafkasync's source.postgres.url, such as logical_decoding_work_mem=1GB")
	flags.StringVar(&o.profile, "cpuprofile", "", "instead of comparing: run a node in this process on the bulk UPDATE, and write its CPU profile into this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.command = "go run ./bench"
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t") {
			a = strconv.Quote(a)
		}
		o.command += " " + a
	}
	if o.rows < 1 || o.rounds < 1 || o.rate < 1 || o.txs < 0 || o.latency < 0 {
		return o, errors.New("sizes must be positive")
	}
	if o.txs > o.rows || o.updates() >= o.rows {
		return o, fmt.Errorf("-txs (%d) and -rate times -latency (%d) take one row each: want more -rows than %d", o.txs, o.updates(), o.rows)
	}
	return o, nil
}

// updates is how many rows are changed while the latency is measured.
func (o options) updates() int { return int(float64(o.rate) * o.latency.Seconds()) }

func run(ctx context.Context, o options, out, progress io.Writer) (err error) {
	b, err := setUp(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	var text string
	if o.profile != "" {
		text, err = b.profile(ctx)
	} else {
		text, err = b.compare(ctx)
	}
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	if o.out == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// compare measures everything in turns and returns the report.
func (b *bench) compare(ctx context.Context) (string, error) {
	about, err := b.describe(ctx)
	if err != nil {
		return "", err
	}
	r := newResult(about)
	for round := range b.o.rounds {
		for _, w := range b.workloads() {
			if err := b.round(ctx, w, round, r); err != nil {
				return "", fmt.Errorf("round %d of %s: %w", round+1, w.name, err)
			}
		}
		s, err := b.produce(ctx, round)
		if err != nil {
			return "", err
		}
		b.say("round %d: librdkafka alone: %s", round+1, s)
		r.add("same records, no database", bareProducer, s)
		if b.o.latency == 0 {
			continue
		}
		l, err := b.measureLatency(ctx)
		if err != nil {
			return "", fmt.Errorf("measuring the latency: %w", err)
		}
		b.say("round %d: latency: %s", round+1, l)
		r.latencies = append(r.latencies, l)
	}
	return r.markdown(), nil
}
