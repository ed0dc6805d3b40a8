package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/web"
)

func newPosition() *cobra.Command {
	return family("position", "Show or move the position from which a pipeline reads",
		"The position is a place in the database's log. Whatever was committed before it has\n"+
			"been published; a pipeline that starts, on whichever node, reads on from there.",
		"  kafkasync position show shop\n"+
			"  kafkasync position set shop 7380012345678901234:1:0/16B3748", newPositionShow(), newPositionSet())
}

func newPositionShow() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "show PIPELINE",
		Short: "Print the position of a pipeline, and who holds it",
		Example: `  kafkasync position show shop
  kafkasync position show shop --json | jq -r .position`,
		Args: needArgs("PIPELINE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			node, err := r.node(cmd)
			if err != nil {
				return err
			}
			answer, err := ask(cmd.Context(), node)
			if err != nil {
				return err
			}
			p, err := pipelineNamed(answer.status, args[0])
			if err != nil {
				return err
			}
			at := position{Pipeline: p.Name, Position: p.Position, Holder: p.Holder, Epoch: p.Epoch}
			if r.asJSON {
				return writeJSON(cmd.OutOrStdout(), at)
			}
			return writePosition(cmd.OutOrStdout(), at)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = r.pipelines
	return cmd
}

func newPositionSet() *cobra.Command {
	var r remote
	var order web.SetPosition
	var yes bool
	cmd := &cobra.Command{
		Use:   "set PIPELINE POSITION",
		Short: "Move a pipeline to another position, back or on",
		Long: `Interrupts a pipeline and lets it go on at another position, which the server must
still have. What lies between is published again if the position is moved back.
If it is moved on, what lies between is not published, and recorded as a gap of
each covered table.`,
		Example: `  kafkasync position set shop 7380012345678901234:1:0/16B3748
  kafkasync position set shop 7380012345678901234:1:0/16B3748 --yes`,
		Args: needArgs("PIPELINE", "POSITION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.Position, order.DryRun = args[1], !yes
			return r.order(cmd, pipelinePath(args[0], "position"), order)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = r.pipelines
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}

// position is where a pipeline stands.
type position struct {
	Pipeline string `json:"pipeline"`
	Position string `json:"position"` // "": it has not begun
	Holder   string `json:"holder"`   // the node with the lease; "" if none
	Epoch    uint64 `json:"epoch"`
}

func writePosition(w io.Writer, p position) error {
	var text strings.Builder
	appendTable(&text, [][]string{
		{"pipeline", p.Pipeline},
		{"position", cmp.Or(p.Position, "none yet")},
		{"node", cmp.Or(p.Holder, "none")},
		{"epoch", strconv.FormatUint(p.Epoch, 10)},
	})
	if p.Position == "" {
		text.WriteString("\nThe pipeline has not begun, or begins anew: its next start makes its position.\n")
	} else {
		text.WriteString("\nWhatever was committed before this position is published, but for the gaps that\n" +
			"'kafkasync status' shows. It is system:timeline:LSN for Postgres; mysql:GTIDS, or\n" +
			"file:SERVER:FILE:OFFSET where gtid_mode is OFF, for MySQL; mariadb:GTIDS for MariaDB.\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// pipelineNamed finds a pipeline in what a node says.
func pipelineNamed(s web.Status, name string) (web.Pipeline, error) {
	var names []string
	for _, p := range s.Pipelines {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	fix := "the node's pipelines are: " + strings.Join(names, ", ")
	if near := config.Nearest(name, names); near != "" {
		fix = "did you mean " + near + "?"
	}
	return web.Pipeline{}, &kafkasync.Fault{What: fmt.Sprintf("there is no pipeline %s", name), Fix: fix}
}
