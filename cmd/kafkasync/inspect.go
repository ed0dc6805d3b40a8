package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/node"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/source"
)

// inspect looks at everything that the file names.
func inspect(ctx context.Context, cfg *config.Config) ([]finding, error) {
	var findings []finding
	machine, answers := checkMachine(ctx, cfg)
	for _, f := range machine {
		findings = append(findings, finding{Finding: f})
	}
	wanted := topics{at: map[string]int{}}
	for _, p := range cfg.Pipelines {
		router, err := route.New(p.Name, p.Rules, p.Encoding)
		if err != nil {
			return nil, fmt.Errorf("reading the rules of pipeline %s: %w", p.Name, err)
		}
		seen := &witness{Router: router}
		var opts node.CheckOptions
		if answers {
			opts.Checkpoint = checkpointOf(cfg.HTTP, p.Name)
		}
		for _, f := range slotInData(node.Check(ctx, cfg, p, seen, opts), p, cfg.DataDir) {
			findings = append(findings, finding{f, p.Name})
		}
		found, err := router.Topics(seen.tables)
		for _, problem := range separate(err) {
			findings = append(findings, finding{badTopic(problem), p.Name})
		}
		wanted.add(found)
	}
	for _, f := range kafka.Check(ctx, cfg.Kafka, wanted.all) {
		findings = append(findings, finding{Finding: f})
	}
	return findings, nil
}

// checkpointOf returns what asks the node that runs at the file's address for the
// position of a pipeline.
func checkpointOf(cfg config.HTTP, pipeline string) func(context.Context) (source.Position, error) {
	return func(ctx context.Context) (source.Position, error) {
		node, err := newClient(cfg)
		if err != nil {
			return "", err
		}
		a, err := ask(ctx, node)
		if err != nil {
			return "", err
		}
		if a.status.Cluster.Leader == "" { // what this one knows may be older than what was confirmed
			return "", errors.New("no node leads the cluster now, and only the one that leads knows it")
		}
		for _, p := range a.status.Pipelines {
			if p.Name == pipeline {
				return source.Position(p.Position), nil
			}
		}
		return "", fmt.Errorf("the running node does not have a pipeline %s yet: it was started with another file", pipeline)
	}
}

// slotInData corrects what was found of the slot by what only data_dir tells. A
// slot that is there although no node has ever run on it is not ours, and a node
// would stop; so it would, with a checkpoint, where the slot is missing.
func slotInData(found []kafkasync.Finding, p config.Pipeline, dataDir string) []kafkasync.Finding {
	at := slices.IndexFunc(found, func(f kafkasync.Finding) bool { return f.ID == "P15" && f.Severity == kafkasync.SeverityOK })
	if at < 0 {
		return found
	}
	slot := p.Postgres.Slot
	exists := slices.ContainsFunc(found, func(f kafkasync.Finding) bool { return f.ID == "P16" }) // its health
	switch used := len(folders(dataDir)) > 0; {
	case exists && !used:
		found[at] = kafkasync.Finding{
			ID: "P15", Severity: kafkasync.SeverityError,
			What: fmt.Sprintf("slot %s is there, but nothing in data_dir %s says that we have made it", slot, dataDir),
			Why:  "a node does not start on it: what it has passed for somebody else, or for an earlier data_dir, would be missing",
			Fix: fmt.Sprintf("set data_dir to that of the node that made it, or source.postgres.slot to another name; "+
				"or, if nobody needs it: SELECT pg_drop_replication_slot('%s'); or, if it is this pipeline's: "+
				"start kafkasync and run kafkasync recover %s --adopt-slot, which records a gap for each table", slot, p.Name),
		}
	case !exists && used && !slices.ContainsFunc(found, func(f kafkasync.Finding) bool { return f.ID == "P18" }): // which has asked a node
		found[at] = kafkasync.Finding{
			ID: "P15", Severity: kafkasync.SeverityWarning,
			What: fmt.Sprintf("slot %s does not exist, and data_dir %s has been used", slot, dataDir),
			Why:  "if this pipeline has a checkpoint there, run stops: what changed since the slot went cannot be read; if it has none, run creates the slot",
			Fix: fmt.Sprintf("correct source.postgres.url or slot, if they have changed; or, to begin anew at the present, start kafkasync and run "+
				"kafkasync recover %s --new-slot, which records what is missing as gaps", p.Name),
		}
	}
	return found
}

// witness remembers the tables of the database that the rules capture, because
// only they tell which topics a rule such as public.* needs.
type witness struct {
	*route.Router

	tables []string
}

// Captures reports whether changes of the table are wanted.
func (w *witness) Captures(table string) bool {
	captured := w.Router.Captures(table)
	if captured {
		w.tables = append(w.tables, table)
	}
	return captured
}

// topics joins what the pipelines want: they may share a topic.
type topics struct {
	all []kafka.Topic
	at  map[string]int // by name
}

func (t *topics) add(found []route.Topic) {
	for _, f := range found {
		i, known := t.at[f.Name]
		if !known {
			i = len(t.all)
			t.at[f.Name] = i
			t.all = append(t.all, kafka.Topic{Name: f.Name})
		}
		t.all[i].Delay = max(t.all[i].Delay, f.Delay)
		t.all[i].Tombstones = t.all[i].Tombstones || f.Tombstones
	}
}

// badTopic says why a table has no topic.
func badTopic(err error) kafkasync.Finding {
	f := kafkasync.Finding{ID: "K02", Severity: kafkasync.SeverityError, What: err.Error()}
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		f.What, f.Why, f.Fix = fault.What, fault.Risk, fault.Fix
	}
	return f
}

// separate returns the errors that were joined.
func separate(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) // this very error, not one that it wraps
	if !ok {
		return []error{err}
	}
	return joined.Unwrap()
}
