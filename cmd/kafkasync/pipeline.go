package main

import (
	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/internal/web"
)

func newPipeline() *cobra.Command {
	return family("pipeline", "Drop a pipeline that is no longer wanted", "",
		"  kafkasync pipeline drop shop", newPipelineDrop())
}

func newPipelineDrop() *cobra.Command {
	var r remote
	var order web.Drop
	var yes bool
	cmd := &cobra.Command{
		Use:   "drop PIPELINE",
		Short: "Remove a pipeline's slot and publication, and forget its position",
		Long: `Stops a pipeline, removes its slot and its publication from a Postgres, so that
it no longer keeps its log for it, and makes the cluster forget the pipeline's
position, its covered tables and its gaps. Topics, messages and consumers stay as they are.

Afterwards take the pipeline out of the file. If the node is started with it again,
the pipeline begins anew at the present.`,
		Example: `  kafkasync pipeline drop shop
  kafkasync pipeline drop shop --yes`,
		Args: needArgs("PIPELINE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.DryRun = !yes
			return r.order(cmd, pipelinePath(args[0], "drop"), order)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = r.pipelines
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}
