package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
)

// errReported ends a command that has printed what is wrong as its result.
var errReported = errors.New("what is wrong has been printed")

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usageErrorf(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// complain prints an error for a person. There is nobody left to tell if that fails.
func complain(stderr io.Writer, err error) {
	var problems config.Problems
	text := "kafkasync: " + explain(err)
	if errors.As(err, &problems) {
		text = problems.Error() // each begins with the file's name
	}
	_, _ = io.WriteString(stderr, strings.TrimRight(text, "\n")+"\n")
}

// explain gives what is at risk and what fixes it a line of their own.
func explain(err error) string {
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) {
		return err.Error()
	}
	doing, last := strings.CutSuffix(err.Error(), fault.Error())
	if !last {
		return err.Error()
	}
	what := fault.What
	if fault.Err != nil {
		what += ": " + fault.Err.Error()
	}
	lines := append([]string{doing + what}, riskAndFix(fault.Risk, fault.Fix)...)
	return strings.Join(lines, "\n  ")
}

// riskAndFix returns what is left to say of a failure, to be indented by two.
func riskAndFix(risk, fix string) []string {
	var lines []string
	if risk != "" {
		lines = append(lines, indent("  ", labelled("at risk", risk)))
	}
	if fix != "" {
		lines = append(lines, indent("  ", labelled("to fix", fix)))
	}
	return lines
}

// labelled is text after a label, all its lines below the first one's start.
func labelled(label, text string) string {
	label += ": "
	return label + indent(strings.Repeat(" ", len(label)), text)
}

// indent begins every line of text but the first with blanks.
func indent(blanks, text string) string { return strings.ReplaceAll(text, "\n", "\n"+blanks) }
