package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// writeJSON prints v as an indented document.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // read by people and jq, not inside HTML
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeTable prints rows in aligned columns. Only the cell of the last column may
// have several lines.
func writeTable(w io.Writer, rows [][]string) error {
	var text strings.Builder
	appendTable(&text, rows)
	_, err := io.WriteString(w, text.String())
	return err
}

// appendTable is writeTable into a text that has more than the table.
func appendTable(text *strings.Builder, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row[:len(row)-1] {
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		last := indent(strings.Repeat(" ", utf8.RuneCountInString(line.String())), row[len(row)-1])
		text.WriteString(strings.TrimRight(line.String()+last, " ") + "\n")
	}
}

// count says how many there are of something whose plural ends in s.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size says a number of bytes the way a person would. Below 0 is what is not known.
func size(n int64) string {
	if n < 0 {
		return "not known"
	}
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	value := float64(n) / (1 << 10)
	for len(units) > 1 && value >= 1<<10 {
		value, units = value/(1<<10), units[1:]
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

// seconds says a length of time the way a person would. Below 0 is what is not known.
func seconds(s float64) string {
	switch {
	case s < 0:
		return "not known"
	case s == 0:
		return "0 s"
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 60:
		return fmt.Sprintf("%.0f s", s)
	case s < 3600:
		return fmt.Sprintf("%.1f min", s/60)
	default:
		return fmt.Sprintf("%.1f h", s/3600)
	}
}
