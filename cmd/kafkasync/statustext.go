package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

// writeStatus prints a status for a person.
func writeStatus(w io.Writer, s web.Status) error {
	var text strings.Builder
	leader := "no leader"
	if s.Cluster.Leader != "" {
		leader = "leader " + s.Cluster.Leader
	}
	fmt.Fprintf(&text, "cluster %s, %s\n", cmp.Or(s.Cluster.ID, "without an id yet"), leader)
	appendSection(&text, nodeRows(s.Cluster.Nodes))
	appendSection(&text, pipelineRows(s.Pipelines))
	for _, p := range s.Pipelines {
		appendPipeline(&text, p)
	}
	appendSection(&text, delayRows(s.Delays))
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

func nodeRows(nodes []web.Node) [][]string {
	rows := [][]string{{"NODE", "ROLE", "BEHIND", "ADDRESS"}}
	for _, n := range nodes {
		rows = append(rows, []string{n.ID, n.Role, strconv.FormatUint(n.Behind, 10), n.Address})
	}
	return rows
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
	if p.Error == "" {
		return
	}
	// An error of the program says "what; at risk: which data; to fix: what to do".
	problem, fix := cutLast(p.Error, "; to fix: ")
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

func delayRows(delays []web.Delay) [][]string {
	rows := [][]string{{"DELAYED TOPIC", "DELAY", "WAITING, AT MOST", "LATE", "NEXT DUE"}}
	for _, d := range delays {
		due := "nothing"
		if d.NextDue != nil {
			due = d.NextDue.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{
			d.Topic, seconds(float64(d.DelayMS) / 1000), strconv.FormatInt(d.Waiting, 10), seconds(d.LateSeconds), due,
		})
	}
	return rows
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
