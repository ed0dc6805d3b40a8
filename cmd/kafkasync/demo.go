package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/internal/demo"
)

func newDemo() *cobra.Command {
	cfg := demo.Config{Call: os.Args[0]}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole system on this machine, in under a minute",
		Long: `Starts a real Postgres, MySQL or MariaDB, an embedded Kafka, three nodes that form a
cluster, and a consumer, in temporary folders; changes rows, kills the node that leads
in the middle of a bulk update, and counts what arrives. It installs the database where
there is none, and fails if a changed row is missing. Everything that it started ends with it.`,
		Example: `  kafkasync demo
  kafkasync demo --source mysql
  kafkasync demo --keep      leave it up, to play with`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.Rows < demo.MinRows {
				return usageErrorf("--rows cannot be %d: want at least %d, so that there is a middle to be killed in", cfg.Rows, demo.MinRows)
			}
			if sources := []string{"postgres", "mysql", "mariadb"}; !slices.Contains(sources, cfg.Source) {
				return usageErrorf("--source cannot be %q: want %s", cfg.Source, strings.Join(sources, ", "))
			}
			executable, err := os.Executable()
			if err != nil {
				return fmt.Errorf("looking for this program's own file: %w", err)
			}
			cfg.Executable, cfg.Out = executable, cmd.OutOrStdout()
			return demo.Run(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringVar(&cfg.Source, "source", "postgres", "the `DATABASE`: postgres, mysql or mariadb")
	cmd.Flags().BoolVar(&cfg.Keep, "keep", false, "stay up afterwards until Ctrl-C")
	cmd.Flags().IntVar(&cfg.Rows, "rows", demo.DefaultRows, "change `N` rows in the bulk update")
	return cmd
}
