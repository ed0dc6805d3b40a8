package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
)

func newCheck() *cobra.Command {
	var file, nodeID string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look everything over before a node is started",
		Long: `Reads the file, then looks at the databases, at Kafka and at this machine, and
changes nothing. It prints everything that it found, each with what fixes it, and
fails if anything is an error.

With several nodes in the file, --node says which of them this machine is to run.`,
		Example: `  kafkasync check
  kafkasync check -c /etc/kafkasync.yaml --node a
  kafkasync check --json | jq -r '.[] | select(.severity == "error") | .fix'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			if err := cfg.UseNode(nodeID); err != nil {
				return usageError{err}
			}
			findings, err := inspect(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if err := cmd.Context().Err(); err != nil { // what follows an interruption says nothing
				return fmt.Errorf("checking: interrupted: %w", context.Cause(cmd.Context()))
			}
			return reportFindings(cmd.OutOrStdout(), findings, asJSON)
		},
	}
	addConfigFlag(cmd, &file)
	addNodeFlag(cmd, &nodeID)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// finding is a Finding and the pipeline that it is about; "" if it is about all.
type finding struct {
	kafkasync.Finding

	Pipeline string `json:"pipeline,omitempty"`
}

// reportFindings prints the findings, errors first, and returns errReported if there is an error among them.
func reportFindings(w io.Writer, findings []finding, asJSON bool) error {
	severities := []kafkasync.Severity{kafkasync.SeverityError, kafkasync.SeverityWarning, kafkasync.SeverityOK}
	slices.SortStableFunc(findings, func(a, b finding) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	var err error
	if asJSON {
		err = writeJSON(w, append([]finding{}, findings...)) // never null
	} else {
		err = writeFindings(w, findings)
	}
	if err == nil && tally(findings, kafkasync.SeverityError) > 0 {
		err = errReported
	}
	return err
}

func writeFindings(w io.Writer, findings []finding) error {
	var text strings.Builder
	rows := make([][]string, len(findings))
	for i, f := range findings {
		said := f.What
		if f.Pipeline != "" {
			said = "pipeline " + f.Pipeline + ": " + said
		}
		// Of many tables with the same problem, the first says why.
		if again := i > 0 && findings[i-1].ID == f.ID && findings[i-1].Why == f.Why; f.Why != "" && !again {
			said += "\n" + labelled("why", f.Why)
		}
		if f.Fix != "" {
			said += "\n" + labelled("to fix", f.Fix)
		}
		rows[i] = []string{f.ID, string(f.Severity), said}
	}
	appendTable(&text, rows)
	fmt.Fprintf(&text, "\n%s, %s, %d ok\n", count(tally(findings, kafkasync.SeverityError), "error"),
		count(tally(findings, kafkasync.SeverityWarning), "warning"), tally(findings, kafkasync.SeverityOK))
	_, err := io.WriteString(w, text.String())
	return err
}

func tally(findings []finding, severity kafkasync.Severity) int {
	n := 0
	for _, f := range findings {
		if f.Severity == severity {
			n++
		}
	}
	return n
}
