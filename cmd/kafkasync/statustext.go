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
	fmt.Fprintf(text, "\n%s\n  tables: %s\n", p.Name, cmp.Or(strings.Join(p.Tables, ", "), "none yet"))
	if p.Error == "" {
		return
	}
	// An error of the program says "what; at risk: which data; to fix: what to do".
	problem, fix := cutLast(p.Error, "; to fix: ")
	problem, risk := cutLast(problem, "; at risk: ")
	lines := append([]string{indent("  ", labelled("error", problem))}, riskAndFix(risk, fix)...)
	fmt.Fprintf(text, "  %s\n", strings.Join(lines, "\n  "))
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

func gapRows(gaps []web.Gap) [][]string {
	rows := [][]string{{"GAP IN", "TABLE", "FROM", "TO", "CAUSE"}}
	for _, g := range gaps {
		cause := fold(g.Cause, 72)
		if g.Fix != "" {
			cause += "\n" + labelled("to fix", g.Fix)
		}
		rows = append(rows, []string{g.Pipeline, g.Table, cmp.Or(g.From, "its beginning"), cmp.Or(g.To, "now"), cause})
	}
	return rows
}
