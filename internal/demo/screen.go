package demo

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// screen prints lines for a person and keeps the first error. It is coloured
// only on a terminal, and not there either if NO_COLOR is set.
type screen struct {
	out    io.Writer
	colour bool
	err    error
}

func newScreen(out io.Writer) *screen {
	return &screen{out: out, colour: isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (s *screen) line(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, format+"\n", args...)
	}
}

// title begins a part.
func (s *screen) title(text string) { s.line("\n%s", s.bold(text)) }

// faint prints a remark.
func (s *screen) faint(format string, args ...any) { s.line("%s", s.dim(fmt.Sprintf(format, args...))) }

// prompt is a command as a person would see it in a terminal.
func (s *screen) prompt(prompt, command string) string { return s.dim(prompt) + " " + s.bold(command) }

func (s *screen) bold(text string) string  { return s.style("1", text) }
func (s *screen) dim(text string) string   { return s.style("2", text) }
func (s *screen) red(text string) string   { return s.style("31", text) }
func (s *screen) green(text string) string { return s.style("32", text) }

func (s *screen) style(code, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// grouped writes a number with commas: 200,000.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// span says a length of time the way a person would. Commit times have whole
// milliseconds, so there is nothing below one.
func span(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
