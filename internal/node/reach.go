package node

import (
	"context"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
)

// reachLimit is how long a server may take to answer.
const reachLimit = 2 * time.Second

// reached is what became of asking a server.
type reached struct {
	Error       string `json:"error,omitempty"`       // "": it answers, and lets this node in
	Unreachable bool   `json:"unreachable,omitempty"` // nobody answers
}

// reach is which servers a node reaches now, and what its file lacks, without which it must not lead.
type reach struct {
	Kafka     reached            `json:"kafka"`
	Databases map[string]reached `json:"databases"` // by pipeline
	Lacks     coverage           `json:"lacks,omitempty"`
}

// reach asks all servers of this node's file.
func (r *report) reach(ctx context.Context, covered coverage) reach {
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	found := reach{Databases: map[string]reached{}, Lacks: r.lacking(covered)}
	var mu sync.Mutex
	var group sync.WaitGroup
	group.Go(func() { found.Kafka = outcome(r.kafka(ctx)) })
	for _, m := range r.members {
		group.Go(func() {
			answer := outcome(m.source.Reach(ctx))
			mu.Lock()
			defer mu.Unlock()
			found.Databases[m.name] = answer
		})
	}
	group.Wait()
	return found
}

func outcome(err error) reached {
	if err == nil {
		return reached{}
	}
	return reached{Error: err.Error(), Unreachable: kafkasync.Unreachable(err)}
}

// database of a pipeline that is not in the node's file is out of its reach.
func (r *reach) database(pipeline string) reached {
	if found, ok := r.Databases[pipeline]; ok {
		return found
	}
	return reached{Error: "its file has no pipeline " + pipeline, Unreachable: true}
}

// missing names the servers of pipelines where nobody answers.
func (r *reach) missing(pipelines []string) (names []string) {
	if r.Kafka.Unreachable {
		names = append(names, "Kafka")
	}
	for _, p := range pipelines {
		if r.database(p).Unreachable {
			names = append(names, databaseOf(p))
		}
	}
	return names
}

func databaseOf(pipeline string) string { return "the database of pipeline " + pipeline }

// prefers returns nil if a node with the other reach is the better leader: of one of the pipelines that wait it reaches both servers, and it
// reaches all that this one does, so that no pipeline pays for another. Else it names what that node does not reach.
func (r *reach) prefers(other *reach, waiting []string) (lacks []string) {
	worse := func(name string, mine, others reached) {
		if mine.Error == "" && others.Error != "" || !mine.Unreachable && others.Unreachable {
			lacks = append(lacks, name)
		}
	}
	worse("Kafka", r.Kafka, other.Kafka)
	for p, mine := range r.Databases {
		worse(databaseOf(p), mine, other.database(p))
	}
	if len(lacks) > 0 {
		return lacks
	}
	for _, p := range waiting {
		if (r.Kafka.Unreachable || r.database(p).Unreachable) && other.Kafka.Error == "" && other.database(p).Error == "" {
			return nil
		}
	}
	return other.refused(waiting)
}

// refused names the servers of pipelines that do not let the node in, or do not answer.
func (r *reach) refused(pipelines []string) (names []string) {
	if r.Kafka.Error != "" {
		names = append(names, "Kafka")
	}
	for _, p := range pipelines {
		if r.database(p).Error != "" {
			names = append(names, databaseOf(p))
		}
	}
	return names
}
