package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sample is one measurement.
type sample struct {
	rows                    int
	took                    time.Duration
	cpu, librdkafka, sender time.Duration // librdkafka's threads are part of cpu; sender is the server's, of its log
	others                  time.Duration // of the processors: Kafka, us, and whoever else was there
	peak                    int64         // bytes; 0: not known
	outage                  *outage       // of re-sending; else nil
}

func (s sample) rate() float64 { return float64(s.rows) / s.took.Seconds() }

// perRow is what of a time falls to one row, in microseconds.
func (s sample) perRow(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(s.rows)
}

func (s sample) String() string {
	return fmt.Sprintf("%.0f rows/s, %.1f us of CPU a row (librdkafka's threads %.1f), the server's sender %.1f, others %.1f, %.0f MB",
		s.rate(), s.perRow(s.cpu), s.perRow(s.librdkafka), s.perRow(s.sender), s.perRow(s.others), megabytes(s.peak))
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

// line is all measurements of one reader on one workload, round by round.
type line struct {
	workload, reader string
	samples          []sample
}

// result is what is reported.
type result struct {
	about     [][2]string
	lines     []*line
	latencies []latency // of each round; empty: not measured
}

func newResult(about [][2]string) *result { return &result{about: about} }

func (r *result) add(workload, reader string, s sample) {
	l := r.line(workload, reader)
	if l == nil {
		l = &line{workload: workload, reader: reader}
		r.lines = append(r.lines, l)
	}
	l.samples = append(l.samples, s)
}

func (r *result) line(workload, reader string) *line {
	for _, l := range r.lines {
		if l.workload == workload && l.reader == reader {
			return l
		}
	}
	return nil
}

// median returns the middle of what f says of the samples.
func (l *line) median(f func(sample) float64) float64 { return middle(sorted(l.samples, f)) }

// ratio returns the median of the rounds' ratios to a base: the rounds differ
// more from one another than the two within a round.
func (l *line) ratio(base *line) float64 { return middle(l.ratios(base)) }

func (l *line) ratios(base *line) []float64 {
	ratios := make([]float64, 0, len(l.samples))
	for i := range min(len(l.samples), len(base.samples)) {
		ratios = append(ratios, l.samples[i].rate()/base.samples[i].rate())
	}
	slices.Sort(ratios)
	return ratios
}

// sorted returns what f says of all, the smallest first.
func sorted[T any](all []T, f func(T) float64) []float64 {
	values := make([]float64, len(all))
	for i, v := range all {
		values[i] = f(v)
	}
	slices.Sort(values)
	return values
}

// middle returns the median of sorted values; of an even number, the mean of the two middle ones.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// markdown prints the report.
func (r *result) markdown() string {
	var text strings.Builder
	text.WriteString("| | |\n|---|---|\n")
	for _, a := range r.about {
		fmt.Fprintf(&text, "| %s | %s |\n", a[0], a[1])
	}
	text.WriteString("\nMedians; in brackets the slowest and the fastest round. A ratio is the median of the rounds' ratios.\n" +
		"All others are Kafka, where it takes part, this program, and strangers: beside a bare reader of a log, next to nothing on a quiet machine.\n\n")
	r.readers(&text)
	if len(r.latencies) > 0 {
		r.latency(&text)
	}
	r.outages(&text)
	return text.String()
}

func (r *result) readers(text *strings.Builder) {
	if len(r.lines) == 0 {
		return
	}
	text.WriteString("| workload | reader | rows/s | ratio | to " + bareProducer + " | CPU us/row | of it librdkafka's threads | the server's sender CPU us/row | all others CPU us/row | peak memory MB |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	slices.SortStableFunc(r.lines, func(a, b *line) int {
		return cmp.Or(cmp.Compare(a.order(), b.order()), cmp.Compare(b.samples[0].rows, a.samples[0].rows),
			cmp.Compare(a.workload, b.workload), cmp.Compare(b.reader, a.reader))
	})
	for _, l := range r.lines {
		r.row(text, l)
	}
}

// order puts the logs first, then the producer, then what reads a topic.
func (l *line) order() int {
	switch l.reader {
	case bareProducer:
		return 1
	case bareLoop, bareDefaults, delayer:
		return 2
	case barePolls, barePollsDefaults, bareBatches, bareBlind, ownConsumer:
		return 3
	default:
		return 0
	}
}

// base is the line that a line is compared with; nil: none.
func (r *result) base(l *line) *line {
	return cmp.Or(r.line(l.workload, recvlogical), r.line(l.workload, rawDrain), r.line(l.workload, bareLoop), r.line(l.workload, barePolls))
}

func (r *result) row(text *strings.Builder, l *line) {
	rates := sorted(l.samples, sample.rate)
	fmt.Fprintf(text, "| %s | %s | %.0f (%.0f to %.0f) |", l.workload, l.reader, middle(rates), rates[0], rates[len(rates)-1])
	r.ratio(text, l, r.base(l))
	// Of the same records only: not of those that come one by one.
	if p := r.line(sameRecords, bareProducer); p != nil && p != l && l.order() == 0 && l.samples[0].rows == p.samples[0].rows {
		r.ratio(text, l, p)
	} else {
		text.WriteString(" |")
	}
	column := func(format string, f func(sample) float64) {
		if v := l.median(f); v > 0 {
			fmt.Fprintf(text, " "+format, v)
		}
		text.WriteString(" |")
	}
	column("%.1f", func(s sample) float64 { return s.perRow(s.cpu) })
	column("%.1f", func(s sample) float64 { return s.perRow(s.librdkafka) })
	column("%.1f", func(s sample) float64 { return s.perRow(s.sender) })
	column("%.1f", func(s sample) float64 { return s.perRow(s.others) })
	column("%.0f", func(s sample) float64 { return megabytes(s.peak) })
	text.WriteString("\n")
}

// ratio prints a cell; base is nil if there is none.
func (r *result) ratio(text *strings.Builder, l, base *line) {
	if base != nil {
		ratios := l.ratios(base)
		fmt.Fprintf(text, " %.2f (%.2f to %.2f)", middle(ratios), ratios[0], ratios[len(ratios)-1])
	}
	text.WriteString(" |")
}

// latency prints the medians of the rounds.
func (r *result) latency(text *strings.Builder) {
	text.WriteString("\nFrom the moment a writer knew of its commit until a consumer had the message:\n\n")
	text.WriteString("| transactions/s | p50 ms | p99 ms | slowest ms | kafkasync's CPU | peak memory MB |\n|---|---|---|---|---|---|\n|")
	column := func(format string, f func(latency) float64) {
		values := sorted(r.latencies, f)
		fmt.Fprintf(text, " "+format+" ("+format+" to "+format+") |", middle(values), values[0], values[len(values)-1])
	}
	column("%.0f", func(l latency) float64 { return l.rate })
	column("%.1f", func(l latency) float64 { return milliseconds(l.p50) })
	column("%.1f", func(l latency) float64 { return milliseconds(l.p99) })
	column("%.1f", func(l latency) float64 { return milliseconds(l.max) })
	column("%.0f %%", func(l latency) float64 { return l.cpu * 100 })
	column("%.0f", func(l latency) float64 { return megabytes(l.peak) })
	fmt.Fprintf(text, "\n\n%d messages a round; the CPU is that of one core.\n", r.latencies[0].messages)
}
