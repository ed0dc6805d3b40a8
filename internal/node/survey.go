package node

import (
	"context"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
)

const (
	// leaderLimit is how long a node waits for the leader to say how the cluster is.
	leaderLimit = 3 * time.Second
	// surveyLimit is how long one waits for what the others say of themselves: less, so that one that
	// does not answer is shown as that, instead of no cluster.
	surveyLimit = time.Second
)

// peers is the cluster as a node reaches it. *raftstate.Node is one.
type peers interface {
	Status() raftstate.Status
	Ask(ctx context.Context, payload []byte) ([]byte, error)
	AskNode(ctx context.Context, id string, payload []byte) ([]byte, error)
}

// asking is a question to one node.
func asking(p peers, id string) func(context.Context, []byte) ([]byte, error) {
	return func(ctx context.Context, payload []byte) ([]byte, error) { return p.AskNode(ctx, id, payload) }
}

// self is what a node knows of itself, and nobody else does.
type self struct {
	Address   string      `json:"address"` // of its HTTP
	Role      string      `json:"role"`
	Applied   uint64      `json:"applied"`   // index of the last log entry that it has applied
	Committed uint64      `json:"committed"` // of the last one that it knows to be committed
	Lacks     coverage    `json:"lacks"`     // what is covered, as far as it knows, and not mentioned in its file
	Delays    []web.Delay `json:"delays"`
}

// reply is what a node answered, or why it did not.
type reply[T any] struct {
	answer T
	err    error
}

// survey asks all of the nodes at once, and waits for none of them longer than surveyLimit.
func survey[T any](ctx context.Context, p peers, nodes []string, kind string, body any) map[string]reply[T] {
	ctx, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	var mu sync.Mutex
	var group sync.WaitGroup
	replies := make(map[string]reply[T], len(nodes))
	for _, id := range nodes {
		group.Go(func() {
			answer, err := ask[T](ctx, asking(p, id), kind, body)
			mu.Lock()
			defer mu.Unlock()
			replies[id] = reply[T]{answer, err}
		})
	}
	group.Wait()
	return replies
}

// others are the members beside this node that may be there.
func others(s raftstate.Status) (ids []string) {
	for _, m := range s.Nodes {
		if m.ID != s.ID && m.Role != "awaited" {
			ids = append(ids, m.ID)
		}
	}
	return ids
}
