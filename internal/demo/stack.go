package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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
	pg      *devstack.Postgres
	kafka   *kfake.Cluster
	node    *devstack.Program
	app     *pgx.Conn // the application: it knows nothing of kafkasync
	version string    // of Postgres
	file    string    // the node's configuration
}

func startStack(ctx context.Context, cfg Config) (_ *stack, err error) {
	s := &stack{}
	defer func() {
		if err != nil {
			err = errors.Join(s.explain(err), s.close())
		}
	}()
	if s.pg, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{}); err != nil {
		return nil, err
	}
	// In this process, so that it cannot outlive it; on a port of the loopback interface.
	if s.kafka, err = kfake.NewCluster(kfake.NumBrokers(1)); err != nil {
		return nil, fmt.Errorf("starting the embedded Kafka: %w", err)
	}
	if err := s.pg.CreateDatabase(ctx, "shop"); err != nil {
		return nil, err
	}
	if s.app, err = pgx.Connect(ctx, s.pg.URL("shop")); err != nil {
		return nil, fmt.Errorf("connecting to database shop: %w", err)
	}
	if err := s.app.QueryRow(ctx, "SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&s.version); err != nil {
		return nil, fmt.Errorf("asking Postgres for its version: %w", err)
	}
	if err := createShop(ctx, s.app, cfg.Rows); err != nil {
		return nil, err
	}
	s.node, err = devstack.StartProgram(ctx, devstack.ProgramConfig{
		Name: "Node",
		Line: func(dir string, port int) ([]string, error) {
			s.file = filepath.Join(dir, "kafkasync.yaml")
			return []string{cfg.Executable, "run", "-c", s.file}, s.configure(dir, port)
		},
		Ready: lives,
	})
	if err != nil {
		return nil, err
	}
	return s, s.streaming(ctx)
}

// configure writes the node's file: what a person would write, and a few places.
func (s *stack) configure(dir string, port int) error {
	text := strings.Join([]string{
		"data_dir: " + strconv.Quote(filepath.Join(dir, "data")),
		"http:",
		"  listen: 127.0.0.1:" + strconv.Itoa(port),
		"kafka:",
		"  brokers: [" + strconv.Quote(s.brokers()) + "]",
		"pipelines:",
		"  - name: shop",
		"    source:",
		"      postgres:",
		"        url: " + strconv.Quote(s.pg.URL("shop")),
		"    tables:",
		"      - match: public.*",
		"        delay: " + delay.String() + "   # instead of 5m, so that there is something to see",
		"",
	}, "\n")
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the node's configuration: %w", err)
	}
	return nil
}

func (s *stack) brokers() string { return strings.Join(s.kafka.ListenAddrs(), ",") }

func (s *stack) statusPage() string { return "http://" + s.node.Addr() + "/" }

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

// explain adds what the node said last to an error that it may be the cause of.
func (s *stack) explain(err error) error {
	if s.node == nil {
		return err // how it did not start, and its log, is in the error
	}
	lines := strings.Split(strings.TrimSpace(s.node.Log()), "\n")
	return fmt.Errorf("%w\nthe end of the node's log:\n  %s", err, strings.Join(lines[max(0, len(lines)-10):], "\n  "))
}

// close stops everything, the node first: it ends in order while its servers answer.
func (s *stack) close() error {
	var errs []error
	if s.node != nil {
		errs = append(errs, s.node.Close())
	}
	if s.kafka != nil {
		s.kafka.Close()
	}
	if s.pg != nil {
		errs = append(errs, s.pg.Close()) // with the connection of the application
	}
	return errors.Join(errs...)
}
