package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// The exit status of the process.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// run executes one command line and returns the exit status. What goes wrong is
// printed here, once, and nowhere else.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr) //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args)
	if len(args) == 0 {
		root.SetOut(stderr)
		complain(stderr, cmp.Or(root.Help(), errors.New("which command?")))
		return exitUsage
	}
	// Whatever cobra finds wrong comes before this: unknown commands and flags, missing arguments.
	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }

	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailure
	case !understood || errors.As(err, &usage):
		complain(stderr, fmt.Errorf("%w\nrun '%s --help' to see how it is used", err, cmd.CommandPath()))
		return exitUsage
	default:
		complain(stderr, err)
		return exitFailure
	}
}

// newRoot returns all commands. The writers are given early because cobra's
// completion command keeps the one that it was made with.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "kafkasync",
		Short: "Publishes the id of every changed row of a database to Kafka",
		Long: `kafkasync reads a database's own log and publishes the id of every changed row
to Kafka, so that search indexes, caches and other stores can follow. Whoever
changed the row: an ORM, a bulk statement, a trigger, another service.

It is set up in one file; see 'kafkasync run --help'.`,
		Example: `  kafkasync check                 is everything ready?
  kafkasync run                   run a node
  kafkasync status                what is it doing?
  kafkasync consume products      see the messages`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(newRun(), newCheck(), newStatus(), newConsume(), newRecover(), newPosition(), newTable(), newPipeline(), newConsumer(), newDLQ(), newMember(),
		newDemo(), newVersion())
	root.SetHelpCommand(newHelp())
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // which would print its help and succeed
			cmd.RunE = func(*cobra.Command, []string) error {
				return usageErrorf("which shell? One of bash, fish, powershell, zsh")
			}
		}
	}
	return root
}

// newHelp replaces cobra's, which succeeds also for a command that does not exist.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := cmd.Root().Find(args)
			if err != nil {
				return usageError{err}
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// addConfigFlag adds -c, which names the file that a command reads.
func addConfigFlag(cmd *cobra.Command, file *string) {
	const name = "config"
	cmd.Flags().StringVarP(file, name, "c", "kafkasync.yaml", "the configuration `FILE`")
	cmd.Flags().Lookup(name).Annotations = map[string][]string{cobra.BashCompFilenameExt: {"yaml", "yml"}}
}

// addNodeFlag adds --node, which says which node of the file is meant.
func addNodeFlag(cmd *cobra.Command, id *string) {
	const name = "node"
	cmd.Flags().StringVar(id, name, os.Getenv("KAFKASYNC_NODE"), "the `ID` of this node in the file, also KAFKASYNC_NODE")
	cmd.Flags().Lookup(name).DefValue = "" // the help is the same whatever is set
}
