package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	writers    = 4
	maxWriters = 16
	partitions = 3
	// every writer begins a transaction that often, if it keeps up: some 300 a second in all.
	txEvery = 13 * time.Millisecond
)

// crew are the writers of a load, whatever the database. They write transactions until they are stopped, and
// remember what must come of those that committed.
type crew struct {
	topics string // prefix
	seed   uint64
	ledger *ledger

	serial atomic.Int64 // of transactions
	ids    atomic.Int64 // of rows
	pace   int          // writers
	open   func(ctx context.Context, writer int) (session, error)
	stop   chan struct{}
	wait   sync.WaitGroup
	failed chan error // what a writer did not expect

	mu    sync.Mutex
	names []string // of topics
	lives map[string][]life
}

// session is a writer's connection with the database.
type session interface {
	ended() bool
	// transact runs one transaction. Its error is what the load did not expect.
	transact(ctx context.Context, rng *rand.Rand) error
	close(ctx context.Context)
}

func newCrew(topics string, seed uint64, names ...string) *crew {
	return &crew{topics: topics, seed: seed, ledger: newLedger(), names: names, lives: map[string][]life{}, pace: writers, failed: make(chan error, maxWriters)}
}

func (c *crew) topic(table string) string { return c.topics + "-" + table }

func (c *crew) topicNames() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, name := range c.names {
		all = append(all, c.topic(name))
	}
	return all
}

// start begins to write, again after finish. It goes on over every failure of the server.
func (c *crew) start(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	c.stop = make(chan struct{})
	first := uint64(c.serial.Load()) // so that it does not do the same again
	for w := range c.pace {
		c.wait.Go(func() {
			if err := c.write(ctx, w, rand.New(rand.NewPCG(c.seed, first+uint64(w)))); err != nil {
				c.failed <- err
			}
		})
	}
}

// finish ends the writers; whatever was under way is finished.
func (c *crew) finish(t testing.TB) {
	t.Helper()
	close(c.stop)
	c.wait.Wait()
	c.goesWell(t)
}

// goesWell fails the test if a writer had to give up.
func (c *crew) goesWell(t testing.TB) {
	t.Helper()
	select {
	case err := <-c.failed:
		t.Fatal(err)
	default:
	}
}

// goesOn waits until there are more transactions.
func (c *crew) goesOn(t testing.TB) {
	t.Helper()
	want := c.ledger.size() + 300
	eventually(t, time.Minute, func() string {
		c.goesWell(t)
		if got := c.ledger.size(); got < want {
			return fmt.Sprintf("the load is at %d transactions, want %d", got, want)
		}
		return ""
	})
}

func (c *crew) write(ctx context.Context, writer int, rng *rand.Rand) error {
	tick := time.NewTicker(txEvery)
	defer tick.Stop()
	var s session
	defer func() {
		if s != nil {
			s.close(ctx)
		}
	}()
	for {
		select {
		case <-c.stop:
			return nil
		case <-tick.C:
		}
		if s != nil && s.ended() {
			s.close(ctx)
			s = nil
		}
		if s == nil {
			var err error
			if s, err = c.open(ctx, writer); err != nil {
				s = nil // the server is away, which is what some tests are about
				continue
			}
		}
		if err := s.transact(ctx, rng); err != nil {
			return err
		}
	}
}
