package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kafkasync/kafkasync/internal/web"
)

func newMember() *cobra.Command {
	return family("member", "Show, add or remove the nodes of the cluster, or let another one lead",
		"cluster.nodes in the file forms the cluster, once. Afterwards its members are what\n"+
			"these commands make them.",
		"  kafkasync member list\n"+
			"  kafkasync member add d 10.0.0.4:7400\n"+
			"  kafkasync member remove c\n"+
			"  kafkasync member transfer b", newMemberList(), newMemberAdd(), newMemberRemove(), newMemberTransfer())
}

func newMemberList() *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Print the nodes of the cluster",
		Long: `Prints the nodes that belong to the cluster: who leads, who is behind, and who does
not answer. A learner receives everything and does not vote yet; who is awaited was
added and has not come yet.`,
		Example: `  kafkasync member list
  kafkasync member list --json | jq -r '.[] | select(.reachable | not) | .id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := r.node(cmd)
			if err != nil {
				return err
			}
			answer, err := ask(cmd.Context(), node)
			if err != nil {
				return err
			}
			if r.asJSON {
				return writeJSON(cmd.OutOrStdout(), append([]web.Node{}, answer.status.Cluster.Nodes...)) // never null
			}
			return writeMembers(cmd.OutOrStdout(), answer.status.Cluster)
		},
	}
	r.addFlags(cmd)
	return cmd
}

func writeMembers(w io.Writer, c web.Cluster) error {
	rows := [][]string{{"NODE", "ROLE", "BEHIND", "HTTP", "RAFT"}}
	for _, n := range c.Nodes {
		rows = append(rows, []string{n.ID, n.Role, behind(n, c.Leader), cmp.Or(n.Address, "not known"), cmp.Or(n.Raft, "nowhere")})
	}
	var text strings.Builder
	appendTable(&text, rows)
	if c.Leader == "" {
		fmt.Fprintf(&text, "\n%s\n", headline(c))
	}
	for _, n := range c.Nodes {
		appendNodeError(&text, n)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func newMemberAdd() *cobra.Command {
	var r remote
	var order web.Members
	var yes bool
	cmd := &cobra.Command{
		Use:   "add NODE RAFT-ADDRESS",
		Short: "Let a further node into the cluster",
		Long: `Makes a node a member of the cluster. It is there once it is started, with an empty
data folder; it receives everything before it votes. The address is the one at which
the other nodes reach it, host:port, as raft in cluster.nodes. Its own file lists it,
and nodes of the cluster that it can ask to be let in.`,
		Example: `  kafkasync member add d 10.0.0.4:7400
  kafkasync member add d 10.0.0.4:7400 --yes`,
		Args: needArgs("NODE", "RAFT-ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.Add, order.Raft, order.DryRun = args[0], args[1], !yes
			return r.order(cmd, "/api/members", order)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}

func newMemberRemove() *cobra.Command {
	var r remote
	var order web.Members
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Remove a node from the cluster",
		Long: `Removes a node from the cluster, for good; one that runs ends. If it leads, it hands
leadership over first. To start a node again, or to give it an empty data folder,
it need not be removed.

It is refused if those that are left and answer would be no majority.`,
		Example: `  kafkasync member remove c
  kafkasync member remove c --yes`,
		Args: needArgs("NODE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.Remove, order.DryRun = args[0], !yes
			return r.order(cmd, "/api/members", order)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = r.nodes
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}

func newMemberTransfer() *cobra.Command {
	var r remote
	var order web.Transfer
	var yes bool
	cmd := &cobra.Command{
		Use:   "transfer [NODE]",
		Short: "Let another node lead",
		Long: `Lets another node lead: the one that is named, or whichever has received most. The
pipelines end in order and go on there within a moment; nothing is published twice.

Before a node is stopped this is not needed: it hands over by itself.`,
		Example: `  kafkasync member transfer
  kafkasync member transfer b --yes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageErrorf("%s needs at most one NODE, got %s", cmd.Name(), strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			order.To, order.DryRun = strings.Join(args, ""), !yes
			return r.order(cmd, "/api/transfer", order)
		},
	}
	r.addFlags(cmd)
	cmd.ValidArgsFunction = r.nodes
	cmd.Flags().BoolVar(&yes, "yes", false, yesText)
	return cmd
}

// behind says how far a node is behind, in entries of the Raft log. Without a leader nobody knows what there is.
func behind(n web.Node, leader string) string {
	switch {
	case !n.Reachable:
		return "no answer"
	case leader == "" && n.Behind == 0:
		return "not known"
	case leader == "":
		return fmt.Sprintf("at least %d", n.Behind)
	}
	return fmt.Sprint(n.Behind)
}

// appendNodeError prints what is wrong with a node.
func appendNodeError(text *strings.Builder, n web.Node) {
	if n.Error != "" {
		fmt.Fprintf(text, "\nnode %s\n", n.ID)
		appendError(text, n.Error)
	}
}
