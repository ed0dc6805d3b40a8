package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/tail"
)

const (
	topic = "products"
	// delay is how long after its message a twin comes.
	delay = 5 * time.Second
)

// stack is what runs beside the demo.
type stack struct {
	kind  kind
	db    database // and the application, which knows nothing of kafkasync
	kafka *kfake.Cluster
	nodes *devstack.Programs
	file  string // the nodes' configuration
}

func startStack(ctx context.Context, cfg Config, k kind) (_ *stack, err error) {
	s := &stack{kind: k}
	defer func() {
		if err != nil {
			err = errors.Join(s.explain(err), s.close())
		}
	}()
	if s.db, err = k.start(ctx, cfg.Rows); err != nil {
		return nil, err
	}
	// In this process, so that it cannot outlive it; on a port of the loopback interface.
	if s.kafka, err = kfake.NewCluster(kfake.NumBrokers(1)); err != nil {
		return nil, fmt.Errorf("starting the embedded Kafka: %w", err)
	}
	if err := s.startNodes(ctx, cfg.Executable); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *stack) brokers() string { return strings.Join(s.kafka.ListenAddrs(), ",") }

// page returns the address of a node's status page.
func page(n *devstack.Program) string { return "http://" + n.Addr() + "/" }

// published returns how many records the topic holds, as Kafka itself counts them.
func (s *stack) published() int {
	total := 0
	for _, p := range s.kafka.PartitionInfos(topic) {
		total += int(p.HighWatermark)
	}
	return total
}

// consume reads the topic from its beginning and hands everything to the ledger
// until ctx ends, the cause of which is in its error.
func (s *stack) consume(ctx context.Context, l *ledger) error {
	return tail.Run(ctx, tail.Options{Brokers: s.kafka.ListenAddrs(), Topic: topic, FromBeginning: true},
		func(m kafkasync.Message) error { return l.add(m) })
}

// explain adds what the nodes said last to an error that they may be the cause of.
func (s *stack) explain(err error) error {
	if s.nodes == nil {
		return err // how they did not start, and the log, is in the error
	}
	for _, n := range s.nodes.All {
		err = fmt.Errorf("%w\nthe end of the log of node %s:\n  %s", err, n.Name(), lastLines(n, 5))
	}
	return err
}

// close stops everything, the nodes first.
func (s *stack) close() error {
	var errs []error
	if s.nodes != nil {
		errs = append(errs, s.nodes.Close())
	}
	if s.kafka != nil {
		s.kafka.Close()
	}
	if s.db != nil {
		errs = append(errs, s.db.close())
	}
	return errors.Join(errs...)
}
