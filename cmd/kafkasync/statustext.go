package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

// writeStatus prints a status for a person who reads it now.
func writeStatus(w io.Writer, s web.Status, now time.Time) error {
	var text strings.Builder
	fmt.Fprintf(&text, "cluster %s, %s\n", cmp.Or(s.Cluster.ID, "without an id yet"), headline(s.Cluster))
	appendSection(&text, nodeRows(s.Cluster))
	for _, n := range s.Cluster.Nodes {
		appendNodeError(&text, n)
	}
	appendSection(&text, pipelineRows(s.Pipelines))
	for _, p := range s.Pipelines {
		appendPipeline(&text, p)
	}
	appendDelays(&text, s.Delays, now)
	appendSection(&text, gapRows(s.Gaps))
	_, err := io.WriteString(w, text.String())
	return err
}

// appendSection prints a table after an empty line, unless it is but a heading.
func appendSection(text *strings.Builder, rows [][]string) {
	if len(rows) > 1 {
		text.WriteByte('\n')
		appendTable(text, rows)
	}
}

func nodeRows(c web.Cluster) [][]string {
	rows := [][]string{{"NODE", "ROLE", "BEHIND", "ADDRESS"}}
	for _, n := range c.Nodes {
		rows = append(rows, []string{n.ID, n.Role, behind(n, c.Leader), cmp.Or(n.Address, "not known")})
	}
	return rows
}

// headline says at a glance who leads and who does not answer.
func headline(c web.Cluster) string {
	text, voters := "leader "+c.Leader, 0
	var silent, lost []string
	for _, n := range c.Nodes {
		votes := n.Role != "learner" && n.Role != "awaited"
		if votes {
			voters++
		}
		if !n.Reachable {
			silent = append(silent, n.ID)
			if votes {
				lost = append(lost, n.ID)
			}
		}
	}
	if c.Leader == "" {
		text = "no leader"
		if voters > 1 && voters-len(lost) <= voters/2 {
			text += ", no majority"
		}
	}
	if len(silent) > 0 {
		text += fmt.Sprintf(", %d of %s not answering: %s", len(silent), count(len(c.Nodes), "node"), strings.Join(silent, ", "))
	}
	return text
}

func pipelineRows(pipelines []web.Pipeline) [][]string {
	rows := [][]string{{"PIPELINE", "STATE", "BEHIND", "FOR", "NODE", "EPOCH", "POSITION"}}
	for _, p := range pipelines {
		rows = append(rows, []string{
			p.Name, p.State, size(p.LagBytes), seconds(p.LagSeconds), cmp.Or(p.Holder, "none"),
			strconv.FormatUint(p.Epoch, 10), cmp.Or(p.Position, "none yet"),
		})
	}
	return rows
}

// appendPipeline prints what does not fit into a row.
func appendPipeline(text *strings.Builder, p web.Pipeline) {
	fmt.Fprintf(text, "\n%s\n  tables: %s\n", p.Name, cmp.Or(abridged(p.Tables), "none yet"))
	for _, u := range p.Uncovered[:min(mostTables, len(p.Uncovered))] {
		fmt.Fprintf(text, "  %s\n", indent("  ", labelled("not covered", u.Table+": "+u.Why)))
	}
	if p.Error != "" {
		appendError(text, p.Error)
	}
}

// appendError prints an error of the program, which says "what; at risk: which data; to fix: what to do".
func appendError(text *strings.Builder, problem string) {
	problem, fix := cutLast(problem, "; to fix: ")
	problem, risk := cutLast(problem, "; at risk: ")
	lines := append([]string{indent("  ", labelled("error", problem))}, riskAndFix(risk, fix)...)
	fmt.Fprintf(text, "  %s\n", strings.Join(lines, "\n  "))
}

// mostTables is how many tables are named.
const mostTables = 100

func abridged(tables []string) string {
	if more := len(tables) - mostTables; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(tables[:mostTables], ", "), more)
	}
	return strings.Join(tables, ", ")
}

// cutLast is strings.Cut around the last sep.
func cutLast(s, sep string) (before, after string) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, ""
	}
	return s[:at], s[at+len(sep):]
}

// appendDelays prints the delays, the shortest first, and below them what is wrong.
func appendDelays(text *strings.Builder, all []web.Delay, now time.Time) {
	var delays [][]web.Delay // the topics of each
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b web.Delay) int { return cmp.Compare(a.DelayMS, b.DelayMS) })
	for i, d := range all {
		if i == 0 || d.DelayMS != all[i-1].DelayMS {
			delays = append(delays, nil)
		}
		last := &delays[len(delays)-1]
		*last = append(*last, d)
	}
	var shown []web.Delay
	for _, topics := range delays {
		shown = append(shown, abridgedDelay(topics)...)
	}
	appendSection(text, delayRows(shown, now))
	for _, topics := range delays {
		appendDelayErrors(text, topics)
	}
}

// mostDelayed is how many topics of one delay are listed one by one: thousands of
// tables may have a topic each, and by default all have the same delay.
const mostDelayed = 20

// abridgedDelay returns the topics of one delay. Of very many those are kept that are
// looked for, in their order, so that --watch does not jump; a last one is the rest.
func abridgedDelay(topics []web.Delay) []web.Delay {
	more := len(topics) - mostDelayed
	if more <= 0 {
		return topics
	}
	worst := slices.Clone(topics)
	slices.SortStableFunc(worst, func(a, b web.Delay) int {
		return cmp.Or(cmp.Compare(b.Lost, a.Lost), cmp.Compare(b.LateSeconds, a.LateSeconds), cmp.Compare(b.Waiting, a.Waiting))
	})
	kept := make(map[string]bool, mostDelayed)
	for _, d := range worst[:mostDelayed] {
		kept[d.Topic] = true
	}
	shown := make([]web.Delay, 0, mostDelayed+1)
	rest := web.Delay{Topic: fmt.Sprintf("and %d more", more), DelayMS: topics[0].DelayMS}
	for _, d := range topics {
		if kept[d.Topic] {
			shown = append(shown, d)
			continue
		}
		rest.Lost += d.Lost
		rest.LateSeconds = max(rest.LateSeconds, d.LateSeconds)
		if d.Waiting < 0 || rest.Waiting < 0 {
			rest.Waiting = -1 // a sum without one of its parts is no upper bound
		} else {
			rest.Waiting += d.Waiting
		}
		if d.NextDue != nil && (rest.NextDue == nil || d.NextDue.Before(*rest.NextDue)) {
			rest.NextDue = d.NextDue
		}
	}
	return append(shown, rest)
}

func delayRows(delays []web.Delay, now time.Time) [][]string {
	rows := [][]string{{"DELAYED TOPIC", "DELAY", "WAITING, AT MOST", "NEXT DUE", "LATE"}}
	lossy := slices.ContainsFunc(delays, func(d web.Delay) bool { return d.Lost > 0 })
	if lossy {
		rows[0] = append(rows[0], "LOST")
	}
	for _, d := range delays {
		waiting, next := "not known yet", due(d.NextDue, now)
		if d.Waiting >= 0 {
			waiting = grouped(d.Waiting)
		} else if d.NextDue == nil {
			next = waiting // "nothing" would be a promise
		}
		row := []string{d.Topic, span(d.DelayMS), waiting, next, seconds(d.LateSeconds)}
		if lossy {
			row = append(row, grouped(d.Lost))
		}
		rows = append(rows, row)
	}
	return rows
}

// appendDelayErrors prints what is wrong with one delay. It has one delayer for all of
// its topics, so most of its errors are the same for all of them.
func appendDelayErrors(text *strings.Builder, topics []web.Delay) {
	var problems []string
	of := map[string][]string{}
	for _, d := range topics {
		if d.Error == "" {
			continue
		}
		if len(of[d.Error]) == 0 {
			problems = append(problems, d.Error)
		}
		of[d.Error] = append(of[d.Error], d.Topic)
	}
	for _, problem := range problems {
		fmt.Fprintf(text, "\ndelay %s\n", span(topics[0].DelayMS))
		if names := of[problem]; len(names) < len(topics) {
			fmt.Fprintf(text, "  topics: %s\n", abridged(names))
		}
		appendError(text, problem)
	}
}

// due says how far away a time is, as exactly as is worth knowing.
func due(next *time.Time, now time.Time) string {
	if next == nil {
		return "nothing"
	}
	left, unit := next.Sub(now), time.Second
	switch {
	case left <= 0:
		return "now"
	case left > 24*time.Hour:
		unit = time.Hour
	case left > time.Hour:
		unit = time.Minute
	}
	// Rounded up: nothing is ever due before what is said here.
	return "in " + span((left + unit - 1).Truncate(unit).Milliseconds())
}

// span writes a length of time as one would in the file: 30s, 5m, 1h30m, 7d.
func span(ms int64) string {
	text := ""
	for _, unit := range []struct {
		name string
		ms   int64
	}{{"d", 24 * 3600e3}, {"h", 3600e3}, {"m", 60e3}} {
		if n := ms / unit.ms; n > 0 {
			text += strconv.FormatInt(n, 10) + unit.name
			ms %= unit.ms
		}
	}
	if ms > 0 || text == "" {
		text += strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64) + "s"
	}
	return text
}

// grouped writes a number that is not negative with its thousands apart.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// mostAlike is how many gaps that differ by the table alone are listed one by one: a recovery
// records one for each table, of which there may be thousands.
const mostAlike = 20

func gapRows(gaps []web.Gap) [][]string {
	rows := [][]string{{"GAP IN", "TABLE", "FROM", "TO", "CAUSE"}}
	alike := map[[4]string]int{}
	for _, g := range gaps {
		alike[likeness(g)]++
	}
	listed := map[[4]string]int{}
	for _, g := range gaps {
		kind := likeness(g)
		listed[kind]++
		if rest := alike[kind] - mostAlike; rest > 0 && listed[kind] > mostAlike {
			if listed[kind] == mostAlike+1 {
				rows = append(rows, []string{
					g.Pipeline, fmt.Sprintf("and %d more", rest), cmp.Or(g.From, "its beginning"), cmp.Or(g.To, "now"),
					fold(g.Cause, 72) + "\n" + labelled("to fix", "the same; kafkasync status --json lists them all"),
				})
			}
			continue
		}
		cause := fold(g.Cause, 72)
		if g.Fix != "" {
			cause += "\n" + labelled("to fix", g.Fix)
		}
		rows = append(rows, []string{g.Pipeline, g.Table, cmp.Or(g.From, "its beginning"), cmp.Or(g.To, "now"), cause})
	}
	return rows
}

// likeness is what gaps that were recorded together have in common.
func likeness(g web.Gap) [4]string { return [4]string{g.Pipeline, g.From, g.To, g.Cause} }
