package consumer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
)

// Publisher is a pipeline of kafkasync, which knows what it has published.
type Publisher struct {
	Nodes    []string     // HTTP addresses, such as "10.0.0.1:7480" or "https://10.0.0.1:7480": any node that answers will do
	Pipeline string       // its name; may be left out where there is only one
	Token    string       // http.read_token of the nodes, if they have one
	Client   *http.Client // such as one that trusts their certificate; by default http.DefaultClient
}

// BarrierAt waits until the consumer of the name cfg.Name is done with everything that was committed up to pos, or ctx ends: until p has
// published it, and then as Barrier does.
//
// pos is the header pos of a message, or what the database says after a commit:
//
//	Postgres             SELECT (pg_current_wal_insert_lsn() - 1)::text
//	MySQL with GTIDs     SELECT @@GLOBAL.gtid_executed
//	MariaDB              SELECT @@GLOBAL.gtid_binlog_pos
//
// Delay messages that are still to come are not waited for. What an operator has skipped, a recorded gap, is not waited for either.
func BarrierAt(ctx context.Context, cfg Config, p Publisher, pos string) error {
	if err := p.Await(ctx, pos); err != nil {
		return err
	}
	return Barrier(ctx, cfg)
}

// How long Await waits between two questions. A pipeline notes its position five times a second.
const (
	publishedMin = 50 * time.Millisecond
	publishedMax = 400 * time.Millisecond
)

// Await waits until everything that was committed up to pos is in Kafka, or ctx ends.
func (p Publisher) Await(ctx context.Context, pos string) error {
	if len(p.Nodes) == 0 || slices.Contains(p.Nodes, "") {
		return fmt.Errorf(`consumer: Publisher.Nodes is %q, want addresses such as "10.0.0.1:7480"`, p.Nodes)
	}
	for wait := publishedMin; ; wait = min(2*wait, publishedMax) {
		why, err := p.lacks(ctx, pos)
		if err != nil || why == nil {
			return err
		}
		if !pause(ctx.Done(), wait) {
			return fmt.Errorf("consumer: waiting until everything up to %s is published: %w", pos, errors.Join(context.Cause(ctx), why))
		}
	}
}

// lacks returns why it may not be published yet, nil if it is; err is what waiting does not mend.
func (p Publisher) lacks(ctx context.Context, pos string) (why, err error) {
	for _, node := range p.Nodes {
		var s progress
		if s, err = p.ask(ctx, node); err == nil {
			return s.until(p.Pipeline, pos)
		}
		if fault := (*kafkasync.Fault)(nil); errors.As(err, &fault) {
			return nil, err
		}
		why = errors.Join(why, fmt.Errorf("asking node %s: %w", node, err))
	}
	return why, nil
}

// progress is what a node's status says of its pipelines.
type progress struct {
	Pipelines []struct{ Name, State, Position, Error string }
}

// until says why a pipeline has not published everything up to pos, nil if it has; err is what waiting does not mend.
func (s *progress) until(pipeline, pos string) (why, err error) {
	var names []string
	for _, one := range s.Pipelines {
		names = append(names, one.Name)
		if pipeline != one.Name && (pipeline != "" || len(s.Pipelines) > 1) {
			continue
		}
		if one.Position != "" {
			if is, err := behind(one.Position, pos); err != nil || is {
				return nil, err
			}
		}
		return fmt.Errorf("pipeline %s is %s, its position is %q: %s", one.Name, one.State, one.Position, cmp.Or(one.Error, "nothing is wrong with it")), nil
	}
	return nil, fmt.Errorf("consumer: Publisher.Pipeline is %q, and the nodes have the pipelines %q", pipeline, names)
}

// How long a node may take, and how much it may say. A node that asks another one which is frozen takes a second.
const (
	nodeLimit    = 3 * time.Second
	mostProgress = 16 << 20
)

// ask returns a Fault where the node answers and refuses.
func (p Publisher) ask(ctx context.Context, node string) (s progress, err error) {
	if !strings.Contains(node, "://") {
		node = "http://" + node
	}
	ctx, cancel := context.WithTimeout(ctx, nodeLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(node, "/")+"/api/status", http.NoBody)
	if err != nil {
		return s, &kafkasync.Fault{Class: kafkasync.Stop, What: "there is no such address", Err: err, Fix: `set Publisher.Nodes to addresses such as "10.0.0.1:7480"`}
	}
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	client := p.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostProgress))
	if err != nil {
		return s, err
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		if err := json.Unmarshal(body, &s); err != nil {
			return s, fmt.Errorf("it answers with no status: %w", err)
		}
		return s, nil
	case resp.StatusCode < http.StatusInternalServerError:
		return s, &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("node %s answers %s: %s", node, resp.Status, strings.TrimSpace(string(body))),
			Fix: "set Publisher.Nodes to the addresses under http of the nodes, and Publisher.Token to their http.read_token",
		}
	default:
		return s, fmt.Errorf("it answers %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
}
