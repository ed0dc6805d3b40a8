package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/config"
)

// redraw is the time between two looks of --watch.
const redraw = time.Second

func newStatus() *cobra.Command {
	var file, address string
	var asJSON, follow bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the cluster and its pipelines are doing",
		Long: `Asks a running node for the cluster, the pipelines with their position and how
far they are behind, the delay messages that wait, and the gaps: changes that are
known not to have been published. Every node answers for the whole cluster: the
first one of the file that does is asked.

With --json --watch every look is one line.`,
		Example: `  kafkasync status
  kafkasync status --watch
  kafkasync status --address 10.0.0.2:7480
  kafkasync status --json | jq '.pipelines[] | {name, state, lag_seconds}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := nodeOf(file, cmd.Flags().Changed("config"), address)
			if err != nil {
				return err
			}
			s := screen{out: cmd.OutOrStdout(), asJSON: asJSON, follow: follow}
			if follow {
				return watch(cmd.Context(), node, s)
			}
			answer, err := ask(cmd.Context(), node)
			if err != nil {
				return err
			}
			return s.show(answer)
		},
	}
	addConfigFlag(cmd, &file)
	cmd.Flags().StringVar(&address, "address", "", "ask the node at `HOST:PORT`; then the file may be missing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the node's answer, a JSON object")
	cmd.Flags().BoolVarP(&follow, "watch", "w", false, "look again every second until interrupted")
	return cmd
}

// nodeOf returns a client of the nodes in the file, or of the one at the address. With an address the
// file is read only for its token and certificate, if it is there or was asked for.
func nodeOf(file string, asked bool, address string) (*client, error) {
	if address != "" && !asked {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return newClient(config.HTTP{}, address)
		}
	}
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	if address != "" {
		return newClient(cfg.HTTP, address)
	}
	var addresses []string
	if len(cfg.Cluster.Nodes) > 1 {
		for _, n := range cfg.Cluster.Nodes {
			addresses = append(addresses, n.HTTP)
		}
	}
	return newClient(cfg.HTTP, addresses...)
}

// watch looks again and again until ctx ends. That a node does not answer for a
// while is what one wants to see.
func watch(ctx context.Context, node *client, s screen) error {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		answer, err := ask(ctx, node)
		if ctx.Err() != nil {
			return nil // interrupted, as --watch is meant to end
		}
		if err != nil {
			err = s.lament(err)
		} else {
			err = s.show(answer)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// screen is where a status is shown.
type screen struct {
	out            io.Writer
	asJSON, follow bool
}

func (s screen) show(a answer) error {
	var text bytes.Buffer
	var err error
	switch {
	case s.asJSON && s.follow:
		err = json.Compact(&text, a.raw)
		text.WriteByte('\n')
	case s.asJSON:
		text.Write(append(bytes.TrimSpace(a.raw), '\n'))
	default:
		text.WriteString(s.top())
		err = writeStatus(&text, a.status, time.Now())
	}
	if err != nil {
		return err
	}
	_, err = s.out.Write(text.Bytes())
	return err
}

func (s screen) lament(problem error) error {
	text := s.top() + explain(problem) + "\n"
	if s.asJSON {
		line, err := json.Marshal(map[string]string{"error": problem.Error()})
		if err != nil {
			return err
		}
		text = string(line) + "\n"
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// top clears a terminal; elsewhere each look follows the one before it.
func (s screen) top() string {
	if !s.follow {
		return ""
	}
	if file, ok := s.out.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return "\x1b[H\x1b[2J\x1b[3J"
		}
	}
	return time.Now().Format(time.TimeOnly) + "\n"
}
