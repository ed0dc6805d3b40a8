package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/web"
)

// remote is how a command reaches a node.
type remote struct {
	file, address string
	asJSON        bool
}

func (r *remote) addFlags(cmd *cobra.Command) {
	addConfigFlag(cmd, &r.file)
	cmd.Flags().StringVar(&r.address, "address", "", "ask the node at `HOST:PORT`; the file is read for its tokens")
	cmd.Flags().BoolVar(&r.asJSON, "json", false, "print a JSON object")
}

func (r *remote) node(cmd *cobra.Command) (*client, error) {
	return nodeOf(r.file, cmd.Flags().Changed("config"), r.address)
}

// pipelines completes the first argument with the names in the file.
func (r *remote) pipelines(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []string
	if cfg, err := config.Load(r.file); err == nil && len(args) == 0 {
		for _, p := range cfg.Pipelines {
			names = append(names, p.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// nodes completes the first argument with the ids of the nodes in the file.
func (r *remote) nodes(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var ids []string
	if cfg, err := config.Load(r.file); err == nil && len(args) == 0 {
		for _, n := range cfg.Cluster.Nodes {
			ids = append(ids, n.ID)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// order sends an order to the node and prints what came of it. A dry run is a
// failure: what was asked for has not been done.
func (r *remote) order(cmd *cobra.Command, path string, order any) error {
	node, err := r.node(cmd)
	if err != nil {
		return err
	}
	result, err := node.order(cmd.Context(), path, order)
	if err != nil {
		return err
	}
	if r.asJSON {
		err = writeJSON(cmd.OutOrStdout(), result)
	} else {
		err = writeResult(cmd.OutOrStdout(), result)
	}
	if err == nil && !result.Done {
		err = errReported
	}
	return err
}

// pipelinePath is where the orders for a pipeline go.
func pipelinePath(name, what string) string {
	return "/api/pipelines/" + url.PathEscape(name) + "/" + what
}

// order returns what came of an order, or why it was not carried out.
func (c *client) order(ctx context.Context, path string, order any) (web.Result, error) {
	if c.writes == "" {
		return web.Result{}, &kafkasync.Fault{
			What: "changing something needs http.token, which the file does not set",
			Fix:  "set http.token in the node's file, start the node again, and name that file with -c FILE",
		}
	}
	body, err := json.Marshal(order)
	if err != nil {
		return web.Result{}, fmt.Errorf("encoding the order: %w", err)
	}
	if err := c.findAlive(ctx); err != nil {
		return web.Result{}, err
	}
	code, answer, err := c.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return web.Result{}, err
	}
	var result web.Result
	if code == http.StatusOK {
		if err := json.Unmarshal(answer, &result); err != nil {
			return result, fmt.Errorf("reading the result: what answers at %s is not a kafkasync node: %w", c.address, err)
		}
		return result, nil
	}
	return result, c.refused(code, path, answer)
}

// refused says why a node has not carried an order out.
func (c *client) refused(code int, path string, answer []byte) error {
	var failure web.Failure
	switch err := json.Unmarshal(answer, &failure); {
	case err == nil && failure.Error != "":
		return &kafkasync.Fault{What: failure.Error, Risk: failure.Risk, Fix: failure.Fix}
	case code == http.StatusForbidden:
		return &kafkasync.Fault{
			What: fmt.Sprintf("the node at %s was started without http.token, so nothing can be changed", c.address),
			Fix:  "set http.token in its file and start it again",
		}
	case code == http.StatusUnauthorized:
		return &kafkasync.Fault{
			What: fmt.Sprintf("the node at %s does not accept the token", c.address),
			Fix:  "set http.token in the file to that of the node, and name the file with -c FILE",
		}
	default:
		return c.unexpected(code, path, answer)
	}
}

// writeResult prints what came of an order, for a person.
func writeResult(w io.Writer, r web.Result) error {
	var text strings.Builder
	text.WriteString(fold(r.Text, 80) + "\n")
	appendSection(&text, gapRows(r.Gaps))
	if len(r.Left) > 0 {
		text.WriteString("\nTo be run on the database, by somebody who may:\n")
		for _, statement := range r.Left {
			text.WriteString("  " + statement + "\n")
		}
	}
	if !r.Done {
		text.WriteString("\nNothing has been done. Repeat the command with --yes to do it.\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// fold breaks text into lines of at most width letters, unless a word is longer.
func fold(text string, width int) string {
	var out strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		length := len([]rune(word))
		switch {
		case i == 0:
		case column+1+length > width:
			out.WriteByte('\n')
			column = 0
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += length
	}
	return out.String()
}

// needArgs refuses another number of arguments than there are names.
func needArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) || slices.Contains(args, "") {
			return usageErrorf("%s needs %s, got %s", cmd.Name(), strings.Join(names, " and "), cmp.Or(strings.Join(args, " "), "nothing"))
		}
		return nil
	}
}

// family is a command that only has others below it.
func family(use, short, long, example string, members ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		RunE: func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, member := range members {
				names = append(names, member.Name())
			}
			if len(args) > 0 {
				return usageErrorf("unknown command %q for %q: it has %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
			}
			return usageErrorf("which command? %s has %s", cmd.CommandPath(), strings.Join(names, ", "))
		},
	}
	cmd.AddCommand(members...)
	return cmd
}

const yesText = "do it; without this, only say what would be done"
