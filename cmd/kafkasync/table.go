package main

import (
	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/internal/web"
)

func newTable() *cobra.Command {
	return family("table", "Forget a table that is no longer to be published", "",
		"  kafkasync table forget shop public.products", newTableForget())
}

func newTableForget() *cobra.Command {
	var r remote
	var order web.Forget
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget PIPELINE TABLE",
		Short: "End the coverage of a table that no rule captures any more",
		Long: `Makes the cluster forget that a pipeline covers a table, and the table's gaps. It is
refused while a rule of the file captures the table: take its rule out, and start
the node again, first.

The table stays in the publication, because kafkasync only ever adds tables to it;
the statement that takes it out is printed.`,
		Example: `  kafkasync table forget shop public.products
  kafkasync table forget shop public.products --yes`,
		Args: needArgs("PIPELINE", "TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.Pipeline, order.Table, order.DryRun = args[0], args[1], !yes
			return r.order(cmd, "/api/tables/forget", order)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = r.pipelines
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}
