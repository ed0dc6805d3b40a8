package main

import (
	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/internal/web"
)

func newRecover() *cobra.Command {
	var r remote
	var order web.Recover
	cmd := &cobra.Command{
		Use:   "recover PIPELINE (--new-slot | --adopt-slot | --skip-to POSITION --accept-gap)",
		Short: "Get a pipeline going that has stopped, at the price of a gap",
		Long: `Gets a pipeline going that cannot go on by itself, because the database no longer
has what the pipeline would read next, or because it cannot be read. Which of
the three ways is right is said by the pipeline's own message; see 'kafkasync status'.

  --new-slot    the slot is gone, or of no use any more: it is removed if it is
                there, and the pipeline begins anew with a new one. A MySQL or MariaDB
                has no slots: the pipeline begins anew where its log ends now
  --adopt-slot  the slot that is there is to be taken as the pipeline's own: the
                pipeline goes on where that slot stands
  --skip-to     the pipeline goes on at that position, in the log that it has

What was changed in between is not published. It is recorded as a gap of each
covered table, which is printed, and shown by 'kafkasync status': refresh what
your consumers store of these tables once.

It acts at once, and is refused while the pipeline streams. A pipeline that waits
may go on without any loss; it is only recovered with --accept-gap.`,
		Example: `  kafkasync recover shop --new-slot
  kafkasync recover shop --adopt-slot
  kafkasync recover shop --skip-to 7380012345678901234:1:0/16B3748 --accept-gap`,
		Args: needArgs("PIPELINE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if chosen(order) != 1 {
				return usageErrorf("recover needs exactly one of --new-slot, --adopt-slot and --skip-to")
			}
			if order.SkipTo != "" && !order.AcceptGap {
				return usageErrorf("--skip-to gives up what was changed before %s and is not published yet: add --accept-gap to allow it", order.SkipTo)
			}
			return r.order(cmd, pipelinePath(args[0], "recover"), order)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = r.pipelines
	flags := cmd.Flags()
	flags.BoolVar(&order.NewSlot, "new-slot", false, "begin anew at the present, with a new slot if the database has them")
	flags.BoolVar(&order.AdoptSlot, "adopt-slot", false, "go on with the slot that is there")
	flags.StringVar(&order.SkipTo, "skip-to", "", "go on at `POSITION`")
	flags.BoolVar(&order.AcceptGap, "accept-gap", false, "allow changes to be given up although the pipeline might go on")
	return cmd
}

// chosen counts the ways that an order names.
func chosen(order web.Recover) (ways int) {
	for _, way := range []bool{order.NewSlot, order.AdoptSlot, order.SkipTo != ""} {
		if way {
			ways++
		}
	}
	return ways
}
