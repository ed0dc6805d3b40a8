// Package node puts a running node together: the cluster's state, one
// supervised pipeline per entry of the file, and the HTTP API. It is the only
// package that knows everyone.
//
// It promises that Run ends in order: the pipelines drain and commit their last
// checkpoint before the cluster's state closes. It never keeps state of its own
// that a restart would need.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/delayer"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

// Node is one kafkasync process of the cluster.
type Node struct {
	cfg       *config.Config
	log       *slog.Logger
	raft      *raftstate.Node
	web       *web.Server
	report    *report
	operator  *operator
	successor *successor
	members   []member
	delays    *delays
	clock     *delayer.Clock     // the brokers', as the acknowledgements of all sinks show it
	named     []raftstate.Naming // what the rules of the file name
}

// New validates and assigns; it opens nothing.
func New(cfg *config.Config, log *slog.Logger) (*Node, error) {
	n := &Node{cfg: cfg, log: log, clock: delayer.NewClock(time.Now)}
	n.delays = &delays{open: n.openDelayer, log: log, running: map[time.Duration]*delayed{}}
	n.report = &report{
		address: addressOf(cfg), listed: addresses(cfg), delays: n.delays,
		kafka: func(ctx context.Context) error { return kafka.Reach(ctx, cfg.Kafka) },
	}
	metrics := web.NewMetrics(n.report.leads, n.report.snapshots, n.report.figures, n.report.measured)
	settings := clusterOf(cfg)
	settings.Logger, settings.Observe, settings.Answer = log, metrics.ObserveRaftCommit, n.answer
	var err error
	if n.raft, err = raftstate.New(settings); err != nil {
		return nil, fmt.Errorf("setting up the cluster: %w", err)
	}
	n.delays.registry = n.raft
	for _, p := range cfg.Pipelines {
		member, err := n.add(p)
		if err != nil {
			return nil, fmt.Errorf("setting up pipeline %s: %w", p.Name, err)
		}
		n.members = append(n.members, member)
	}
	n.report.peers, n.report.ready, n.report.members = n.raft, n.raft.Ready, n.members
	n.operator = &operator{peers: n.raft, membership: n.raft, members: n.members, log: log}
	n.successor = &successor{report: n.report, transfer: n.raft.Transfer, log: log}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.web, err = web.New(web.Config{
		Listen: cfg.HTTP.Listen, Token: cfg.HTTP.Token, ReadToken: cfg.HTTP.ReadToken,
		CertFile: cfg.HTTP.TLS.Cert, KeyFile: cfg.HTTP.TLS.Key,
	}, n.report, n.operator, registry, log)
	if err != nil {
		return nil, fmt.Errorf("setting up HTTP: %w", err)
	}
	return n, nil
}

// add makes a pipeline of its part of the file.
func (n *Node) add(p config.Pipeline) (member, error) {
	router, err := route.New(p.Name, p.Rules, p.Encoding)
	if err != nil {
		return member{}, err
	}
	log := n.log.With("pipeline", p.Name)
	kind := engineOf(n.cfg, p)
	source, err := kind.open(openOptions{
		Pipeline: p.Name, Application: applicationOf(n.cfg, p.Name), Node: n.cfg.NodeID, Selector: router, Logger: log,
	})
	if err != nil {
		return member{}, err
	}
	var pipe *pipeline.Pipeline
	for _, one := range router.Namings() {
		n.named = append(n.named, raftstate.Naming(one))
	}
	pipe, err = pipeline.New(pipeline.Config{
		Name: p.Name, Source: source, Router: router, Logger: n.log,
		Topics: func() ([]string, error) { return topicsOf(router, source.Tables()) },
		OpenSink: func(ctx context.Context) (sink.Sink, error) {
			return kafka.Open(ctx, n.cfg.Kafka, kafka.Options{Logger: log, Notify: stalled(pipe.Status(), log), Appended: n.clock.Appended})
		},
	})
	if err != nil {
		return member{}, err
	}
	return member{
		name: p.Name, status: pipe.Status(), source: source, slotless: !kind.slots(), captures: router.Captures, mentions: router.Mentions,
		supervisor: &supervisor{
			name: p.Name, hold: n.raft.Hold, run: n.naming(pipe.Run), status: pipe.Status(), log: n.log, orders: newOrders(),
		},
	}, nil
}

// naming lets the cluster know what this node's rules name before a pipeline runs: as long as a
// rule names a delay, the cluster does not let go of it, and so not between two messages.
func (n *Node) naming(run func(context.Context, pipeline.Lease) error) func(context.Context, pipeline.Lease) error {
	return func(ctx context.Context, lease pipeline.Lease) error {
		if err := n.raft.Name(ctx, n.named); err != nil {
			return fmt.Errorf("making known which delays the rules name: %w", err)
		}
		return run(ctx, lease)
	}
}

// openDelayer makes what re-sends one delay. It creates no topics: one that was deleted has nothing to be re-sent.
func (n *Node) openDelayer(delay time.Duration) (*delayer.Delayer, error) {
	settings := n.cfg.Kafka
	settings.Topics.Create = false
	settings.Properties = map[string]string{
		// A twin belongs where its message is, also when partitions were added a moment ago.
		"topic.metadata.refresh.interval.ms": "10000",
	}
	maps.Copy(settings.Properties, n.cfg.Kafka.Properties)
	log := n.log.With("delay", delay.String())
	var made *delayer.Delayer
	made, err := delayer.New(delayer.Config{
		Name: n.cfg.Name, Delay: delay, Brokers: settings.Brokers, Properties: settings.Properties,
		Pairs: n.raft.Pairs, Clock: n.clock, Logger: n.log,
		OpenSink: func(ctx context.Context) (sink.Sink, error) {
			return kafka.Open(ctx, settings, kafka.Options{
				Logger: log, Notify: made.Status().Stalled, Appended: n.clock.Appended, InFlight: kafka.DefaultInFlight / 2,
			})
		},
	})
	return made, err
}

// topicsOf names the topics of the covered tables.
func topicsOf(router *route.Router, tables []string) ([]string, error) {
	topics, err := router.Topics(tables)
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	return names, err
}

// stalled shows that the pipeline waits for Kafka, each time it is told, and logs
// it once; it is for one sink. What it is told changes from second to second.
func stalled(status *pipeline.Status, log *slog.Logger) func(error) {
	waiting := false
	return func(err error) {
		status.Stalled(err)
		if waiting == (err != nil) {
			return
		}
		waiting = err != nil
		if waiting {
			log.Warn("the pipeline waits for Kafka", "err", err)
		} else {
			log.Info("Kafka answers again")
		}
	}
}
