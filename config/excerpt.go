package config

import (
	"fmt"
	"strings"
	"unicode"
)

// view is the file as it may be shown. Every character is hidden until a token
// that stands in exactly this place, and may be shown, is revealed; so a wrong
// position, or a file that is no YAML, shows too little and never too much.
type view struct {
	lines [][]rune
	state [][]shade
}

type shade byte

const (
	hidden shade = iota
	shown
	comment
)

func newView(source string) *view {
	v := &view{}
	for line := range strings.SplitSeq(source, "\n") {
		runes := []rune(strings.TrimRight(line, "\r"))
		v.lines = append(v.lines, runes)
		v.state = append(v.state, make([]shade, len(runes)))
	}
	return v
}

// reveal shows text at a place, both from 1, if it stands there.
func (v *view) reveal(line, column int, text string) {
	runes := []rune(text)
	if line < 1 || line > len(v.lines) || column < 1 || len(v.lines[line-1]) < column-1+len(runes) {
		return
	}
	for i, want := range runes {
		if v.lines[line-1][column-1+i] != want {
			return
		}
	}
	for i := range runes {
		v.state[line-1][column-1+i] = shown
	}
}

// drop leaves a comment out.
func (v *view) drop(line, column int) {
	if line < 1 || line > len(v.lines) || column < 1 || column > len(v.lines[line-1]) || v.lines[line-1][column-1] != '#' {
		return
	}
	for i := column - 1; i < len(v.lines[line-1]); i++ {
		v.state[line-1][i] = comment
	}
}

// at returns the line with a caret below the column, after the nearest line
// before it that holds more than a comment.
func (v *view) at(line, column int) string {
	if v == nil || line > len(v.lines) {
		return ""
	}
	var out []string
	for before := line - 1; before >= 1; before-- {
		if text, _ := v.render(before, 1); text != "" {
			out = append(out, fmt.Sprintf("  %4d | %s", before, text))
			break
		}
	}
	text, caret := v.render(line, column)
	out = append(out, strings.TrimRight(fmt.Sprintf("  %4d | %s", line, text), " "), "       | "+caret+"^")
	return strings.Join(out, "\n")
}

// render returns the line as it may be shown, and the blanks that put a caret
// below the column. What is hidden becomes three stars, whatever its length.
func (v *view) render(line, column int) (text, blanks string) {
	var out []rune
	caret := -1
	runes, state := v.lines[line-1], v.state[line-1]
	for i := 0; i < len(runes); {
		if caret < 0 && i >= column-1 {
			caret = len(out)
		}
		switch {
		case state[i] == comment:
			i++
		case state[i] == shown || unicode.IsSpace(runes[i]):
			out = append(out, runes[i])
			i++
		default:
			out = append(out, '*', '*', '*')
			i = v.skip(line, i)
		}
	}
	text = strings.TrimRightFunc(string(out), unicode.IsSpace)
	if caret < 0 {
		caret = len([]rune(text))
	}
	for _, c := range out[:caret] {
		if c != '\t' {
			c = ' '
		}
		blanks += string(c)
	}
	return text, blanks
}

// skip returns where the hidden run that starts at i ends. Blanks inside belong
// to it, so that the number of words in a secret does not show.
func (v *view) skip(line, i int) int {
	runes, state := v.lines[line-1], v.state[line-1]
	end := i
	for ; i < len(runes) && state[i] == hidden; i++ {
		if !unicode.IsSpace(runes[i]) {
			end = i + 1
		}
	}
	return end
}
