// Program bench compares kafkasync with the least that can be done: with a log,
// pg_recvlogical, Postgres' own reader, writing to /dev/null, or a raw drain of
// the binlog; with what Kafka takes and gives, bare loops over librdkafka. `make bench`.
//
// It promises that what it compares was measured in one run, in turns, on the
// same log of the same real database or the same topic, and that every row was
// acknowledged by a real Kafka. A lost row is an error; a slow one is a result: it judges nothing.
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
	latency, delay, rest    time.Duration
	source                  string // of kinds
	only                    string // parts, with commas between; "": all
	out, binary, profile    string
	parameters              string // of our connection to Postgres
	command                 string // as it was typed
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := begin(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func begin(ctx context.Context, args []string) error {
	if order, ok := relayAsked(args); ok {
		return runRelay(order, os.Stdin)
	}
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	return run(ctx, o, os.Stdout, os.Stderr)
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&o.rows, "rows", 1_000_000, "`rows` of the table, all changed by the bulk UPDATE, and messages of a topic")
	flags.IntVar(&o.txs, "txs", 200_000, "`transactions` of one row each; 0: leave this part out")
	flags.IntVar(&o.rounds, "rounds", 3, "how `often` all is measured; the median counts")
	flags.IntVar(&o.rate, "rate", 1000, "transactions a second while the latency is measured")
	flags.DurationVar(&o.latency, "latency", 20*time.Second, "how long the latency is measured in each round; 0: leave this part out")
	flags.DurationVar(&o.delay, "delay", time.Minute, "the delay of the messages that are re-sent after an outage: longer than publishing them takes; 0: leave this part out")
	flags.DurationVar(&o.rest, "rest", 30*time.Second, "how `long` to wait at most, before each measurement, for a machine that does nothing else; 0: not at all")
	flags.StringVar(&o.source, "source", "postgres", "the `database` whose log is read: "+sources)
	flags.StringVar(&o.only, "only", "", "measure these `parts` alone, with commas between: "+strings.Join(partNames(), ", "))
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
	return o, o.check()
}

func (o options) check() error {
	if o.rows < 1 || o.rounds < 1 || o.rate < 1 || o.txs < 0 || o.latency < 0 || o.delay < 0 || o.rest < 0 {
		return errors.New("sizes must be positive")
	}
	if o.delay%time.Millisecond != 0 || o.delay > 0 && o.delay < time.Second {
		return fmt.Errorf("-delay is %s: want whole milliseconds, and a second at least", o.delay)
	}
	if _, ok := kinds()[o.source]; !ok {
		return fmt.Errorf("-source is %q: want %s", o.source, sources)
	}
	if o.parameters != "" && o.source != "postgres" {
		return fmt.Errorf("-parameters are for Postgres: leave them out with -source %s", o.source)
	}
	parts := o.parts()
	if o.only != "" && len(parts) != strings.Count(o.only, ",")+1 {
		return fmt.Errorf("-only is %s: want of %s, and sizes that leave none of them out", o.only, strings.Join(partNames(), ", "))
	}
	for _, p := range parts {
		if p.name == partReaders && o.txs > o.rows || p.name == partLatency && o.updates() >= o.rows {
			return fmt.Errorf("-txs (%d) and -rate times -latency (%d) take one row each: want more -rows than %d", o.txs, o.updates(), o.rows)
		}
	}
	return nil
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
