package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// outage is what else is known of a re-sending. Once the last twin is in the topic, the
// delayer still has to read its own twins, and to pass over them: what is called
// "after" is measured when its group has committed all of them.
type outage struct {
	linger        *int          // of the bare loop
	idle          time.Duration // from the start of the process to the first append
	log, logAfter int64         // bytes of the topic; after: with the twins
	received      int64         // bytes that had come from Kafka when the last twin was there
	receivedAfter int64
	cpuAfter      time.Duration
}

func (o outage) String() string {
	text := fmt.Sprintf("%.0f MB received of %.0f MB (%.2f)", megabytes(o.received), megabytes(o.log), o.share())
	if o.logAfter > 0 {
		text += fmt.Sprintf(", with the twins %.0f MB of %.0f MB (%.2f)", megabytes(o.receivedAfter), megabytes(o.logAfter), o.shareAfter())
	}
	return text + fmt.Sprintf(", first append after %.1f s", o.idle.Seconds())
}

func (o outage) share() float64 { return float64(o.received) / float64(o.log) }

// shareAfter is 0 for the bare loop, which reads no twins.
func (o outage) shareAfter() float64 {
	if o.logAfter == 0 {
		return 0
	}
	return float64(o.receivedAfter) / float64(o.logAfter)
}

// outages prints what the line of a re-sending has no column for.
func (r *result) outages(text *strings.Builder) {
	began := false
	for _, l := range r.lines {
		if l.samples[0].outage == nil {
			continue
		}
		if !began {
			began = true
			text.WriteString("\nRe-sending is measured from the first append to the last, by the broker's clock. Received is all that came from Kafka on any connection,\n" +
				"as the kernel counts it, until the last twin was there; in all, until the group had passed over the twins too, which lie in the same topic:\n\n" +
				"| re-sent by | rate to the loop with all defaults | topic MB | received MB | ratio | topic with twins MB | received in all MB | ratio | CPU us/row in all | start to first append s |\n" +
				"|---|---|---|---|---|---|---|---|---|---|\n")
		}
		r.outage(text, l)
	}
	if began {
		text.WriteString("\nThe bare loops run with linger.ms 0 and 5 in each round; the faster counts. Both have librdkafka's own queues. That with all defaults\n" +
			"waits for a second whenever they are full (fetch.queue.backoff.ms 1000); the other, the upper bound, for 10 ms.\n")
	}
}

func (r *result) outage(text *strings.Builder, l *line) {
	text.WriteString("| " + l.reader)
	if lingers := lingersOf(l); lingers != "" {
		text.WriteString(", linger.ms " + lingers)
	}
	text.WriteString(" |")
	if base := r.line(l.workload, bareDefaults); base != nil {
		fmt.Fprintf(text, " %.2f", l.ratio(base))
	}
	text.WriteString(" |")
	column := func(format string, f func(outage) float64) {
		values := sorted(l.samples, func(s sample) float64 { return f(*s.outage) })
		if last := values[len(values)-1]; last > 0 {
			fmt.Fprintf(text, " "+format+" ("+format+" to "+format+")", middle(values), values[0], last)
		}
		text.WriteString(" |")
	}
	column("%.0f", func(o outage) float64 { return megabytes(o.log) })
	column("%.0f", func(o outage) float64 { return megabytes(o.received) })
	column("%.2f", outage.share)
	column("%.0f", func(o outage) float64 { return megabytes(o.logAfter) })
	column("%.0f", func(o outage) float64 { return megabytes(o.receivedAfter) })
	column("%.2f", outage.shareAfter)
	if v := l.median(func(s sample) float64 { return s.perRow(s.outage.cpuAfter) }); v > 0 {
		fmt.Fprintf(text, " %.1f", v)
	}
	text.WriteString(" |")
	column("%.1f", func(o outage) float64 { return o.idle.Seconds() })
	text.WriteString("\n")
}

// lingersOf lists which linger.ms was the better, round by round.
func lingersOf(l *line) string {
	var lingers []string
	for _, s := range l.samples {
		if s.outage.linger != nil {
			lingers = append(lingers, strconv.Itoa(*s.outage.linger))
		}
	}
	return strings.Join(lingers, ", ")
}
