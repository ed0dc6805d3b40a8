package raftstate

import (
	"fmt"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

// lostAfter is how many election timeouts a cluster may be without a leader before
// a node asks the others whether it can have one at all, and whether it is a member still.
const lostAfter = 6

// lost returns what is to be said if so many voters have come back without their
// folder that those that are left are no majority: nothing that they agree on could be
// told from something that the others had promised. Only an empty folder is proof: a
// voter that cannot be reached may come back with everything.
func lost(members []raft.Server, nodes []who) error {
	voters, gone := 0, []string(nil)
	for _, m := range members {
		if m.Suffrage != raft.Voter {
			continue
		}
		voters++
		for _, w := range nodes {
			if w.id == nodeOf(m.ID) && w.member() != m.ID && w.empty {
				gone = append(gone, w.id)
			}
		}
	}
	if voters-len(gone) > voters/2 {
		return nil
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What: fmt.Sprintf("the data folders of %d of the %d voting nodes are lost (%s): the others are no majority and cannot go on by themselves",
			len(gone), voters, strings.Join(gone, ", ")),
		Risk: "what the cluster agreed on last, if only the lost folders held it",
		Fix: "put the lost data folders back if they exist somewhere, and start these nodes again; else the cluster has to be recovered by force: " +
			"see \"a majority of the data folders is lost\" in docs/operations.md",
	}
}

// notMember is for a node that found a cluster that does not know it.
func notMember(node, of string) error {
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("node %q already belongs to a cluster of which node %q is no member", of, node),
		Fix: fmt.Sprintf("to make this node a member, run kafkasync member add %s on that cluster and start it again; "+
			"to form a new cluster, move the data folder of node %q away", node, of),
	}
}

// removed is for a node that was a member.
func removed(node string) error {
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("node %q is no member of the cluster any more: it was removed", node),
		Fix:   fmt.Sprintf("leave it stopped and move its data folder away; to take it back, run kafkasync member add %s on the cluster first", node),
	}
}
