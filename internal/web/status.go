package web

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Status is what GET /api/status answers and `status --json` prints. Its JSON is
// a public contract: a list is never null, and fields are only ever added.
type Status struct {
	Cluster   Cluster    `json:"cluster"`
	Pipelines []Pipeline `json:"pipelines"`
	Delays    []Delay    `json:"delays"`
	Gaps      []Gap      `json:"gaps"`
}

// Cluster is the cluster as its leader sees it; without a leader, as the answering node does.
type Cluster struct {
	ID     string `json:"id"`
	Leader string `json:"leader"` // the leader's node id; "" while there is none
	Nodes  []Node `json:"nodes"`
}

// Node is a member of the cluster.
type Node struct {
	ID      string `json:"id"`
	Address string `json:"address"` // of its HTTP; "" if that is not known
	Raft    string `json:"raft"`    // where the other nodes reach it; "" for a node alone
	// Role is leader, follower, candidate, starting or stopped; learner: receives everything and does not vote yet;
	// or awaited: was added and has not come yet.
	Role      string `json:"role"`
	Behind    uint64 `json:"behind"` // entries of the Raft log that are committed and that it has not applied; without a leader, at least
	Reachable bool   `json:"reachable"`
	Error     string `json:"error"` // what is wrong with it, and what fixes it; "" if all is well
}

// Pipeline is one source on its way to Kafka.
type Pipeline struct {
	Name       string   `json:"name"`
	State      string   `json:"state"`  // streaming, starting, waiting or stopped
	Holder     string   `json:"holder"` // the node that holds the lease; "" if none
	Epoch      uint64   `json:"epoch"`  // grants of the lease so far
	Position   string   `json:"position"`
	LagBytes   int64    `json:"lag_bytes"`   // of the database's log; -1 while it is not known
	LagSeconds float64  `json:"lag_seconds"` // -1 while it is not known
	Error      string   `json:"error"`       // what, what is at risk, and what fixes it; "" if all is well
	Tables     []string `json:"tables"`      // that are covered
	// Uncovered are tables that a rule captures, and whose changes may be missing all the same.
	Uncovered []Uncovered `json:"uncovered"`
}

// Uncovered is a table that is not covered, or not wholly.
type Uncovered struct {
	Table string `json:"table"`
	Why   string `json:"why"` // and what fixes it, or what is waited for
}

// Delay is one delay of one topic.
type Delay struct {
	Topic       string     `json:"topic"`
	DelayMS     int64      `json:"delay_ms"`
	Waiting     int64      `json:"waiting"`  // an upper bound: the topic's end minus what is committed; -1 while it is not known
	NextDue     *time.Time `json:"next_due"` // null if nothing waits
	LateSeconds float64    `json:"late_seconds"`
	Error       string     `json:"error"` // what is wrong with the delayer of this delay, and what fixes it; "" if all is well
	Lost        int64      `json:"lost"`  // delay messages known not to have been re-sent, as all nodes that answer noticed it since they started
}

// Gap is a range of changes known not to have been published.
type Gap struct {
	Pipeline string `json:"pipeline"`
	Table    string `json:"table"`
	From     string `json:"from"` // "": the table's beginning
	To       string `json:"to"`   // "": it still lasts
	Cause    string `json:"cause"`
	Fix      string `json:"fix"`
}

// MarshalJSON writes lists that are nil as [], because a reader in another
// language should not have to know Go's two ways to have nothing.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status // has no MarshalJSON, which would call itself
	s.Cluster.Nodes = list(s.Cluster.Nodes)
	s.Delays, s.Gaps = list(s.Delays), list(s.Gaps)
	s.Pipelines = list(slices.Clone(s.Pipelines)) // the caller's are not ours to change
	for i := range s.Pipelines {
		s.Pipelines[i].Tables = list(s.Pipelines[i].Tables)
		s.Pipelines[i].Uncovered = list(s.Pipelines[i].Uncovered)
	}
	// Whether < and > are escaped is for the encoder around this one to decide.
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(plain(s))
	return out.Bytes(), err
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
