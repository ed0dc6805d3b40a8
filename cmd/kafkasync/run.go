package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/node"
)

func newRun() *cobra.Command {
	var file, nodeID, format string
	var level slog.Level
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a node until SIGTERM or SIGINT",
		Long: `Runs a node: reads the logs of the databases in the file, publishes to Kafka,
and serves the status page. SIGTERM or SIGINT ends it in order: what is in flight
is finished, the position is kept, and if the node leads a cluster, another one takes
over at once. A second signal kills it; then at most what was published in the last
moments is published again.

With several nodes in the file, --node says which of them this is.

It prints nothing but its log, on the standard error.`,
		Example: `  kafkasync run
  kafkasync run -c /etc/kafkasync.yaml --log-format json
  kafkasync run --node a
  KAFKASYNC_NODE=a kafkasync run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLogger(cmd.ErrOrStderr(), format, level)
			if err != nil {
				return err
			}
			return runNode(cmd.Context(), log, file, nodeID)
		},
	}
	addConfigFlag(cmd, &file)
	addNodeFlag(cmd, &nodeID)
	cmd.Flags().StringVar(&format, "log-format", "text", "`FORMAT` of the log: text or json")
	cmd.Flags().TextVar(&level, "log-level", slog.LevelInfo, "the least `LEVEL` that is logged: debug, info, warn or error")
	return cmd
}

// runNode runs the node of the file until ctx ends.
func runNode(ctx context.Context, log *slog.Logger, file, id string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	if err := cfg.UseNode(id); err != nil {
		return usageError{err}
	}
	n, err := node.New(cfg, log)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// What lives is small and does not grow: collecting twice as often costs little and keeps 8 MB less.
		debug.SetGCPercent(50)
	}
	log.InfoContext(ctx, "starting", "version", readBuild().Version, "node", cfg.NodeID, "config", file)
	return n.Run(ctx)
}

// newLogger returns the logger that everything in a node writes to.
func newLogger(w io.Writer, format string, level slog.Level) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, usageErrorf("--log-format is text or json, not %q", format)
	}
}
