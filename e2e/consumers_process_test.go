package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// followerVariable makes of the test binary a process that follows a table; it holds an errand.
const followerVariable = "E2E_FOLLOWER"

// errand is what such a process is to do.
type errand struct {
	Name, Brokers, Topic string // of the consumer
	Primary              string // URL
	Store                string // index or cache
	Address              string // of the store
	Deaf                 bool   // passes over delay messages
	// Fresh is how old what was loaded may be when it is written: in a store that guards no versions, older rows may come after
	// the delay message that would put them right.
	Fresh time.Duration
	// Until is a file with the time until which a batch may be written that the process was told to freeze with.
	Until string
}

// follower is what runs in the process.
type follower struct {
	errand

	primary *postgres
	store   store
	freezes atomic.Bool    // it was told to freeze itself
	keeps   atomic.Bool    // it was told to write nothing of the next batch
	woken   chan os.Signal // SIGCONT
}

// store is what a process keeps equal to the table.
type store interface {
	// write upserts, and deletes what is gone. It returns how many of the entries it has refused.
	write(ctx context.Context, all []entry) (refused int, err error)
	truncate(ctx context.Context, version int64) error
}

// entry is what the primary has of a row.
type entry struct {
	id      int64
	row     string // "": it is gone
	version int64
	twin    bool // a delay message has made us look
}

// errOld sends the batch round again, which loads its rows again.
var errOld = errors.New("what was loaded is too old to be written")

// runFollower is main of such a process. SIGTERM ends it in order.
func runFollower(text string) error {
	f := &follower{woken: make(chan os.Signal, 1)}
	if err := json.Unmarshal([]byte(text), &f.errand); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Notify(f.woken, syscall.SIGCONT)
	orders := make(chan os.Signal, 1)
	signal.Notify(orders, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for order := range orders {
			if order == syscall.SIGUSR1 {
				f.freezes.Store(true)
			} else {
				f.keeps.Store(true)
			}
		}
	}()
	f.primary, f.store = &postgres{url: f.Primary}, index{&postgres{url: f.Address}}
	if f.Store == "cache" {
		f.store = &cache{redis: &redis{address: f.Address}, name: f.Name, load: f.load}
	}
	c, err := consumer.New(f.config())
	if err != nil {
		return err
	}
	go f.tell(ctx, c)
	say("ready for signals")
	if err := c.Run(ctx, consumer.HandlerFunc(f.handle)); ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the consumer ended: %w", err)
	}
	return nil
}

// tell says which partitions the process has, whenever that changes.
func (f *follower) tell(ctx context.Context, c *consumer.Consumer) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for before := ""; ctx.Err() == nil; <-tick.C {
		status := c.Status()
		var has []int32
		for _, p := range status.Partitions {
			has = append(has, p.Partition)
		}
		if now := fmt.Sprint(has, status.Err); now != before {
			before = now
			say("has the partitions %s at %s", now, time.Now().Format("15:04:05.000"))
		}
	}
}

func (e *errand) config() consumer.Config {
	return consumer.Config{
		Brokers: []string{e.Brokers}, Topics: []string{e.Topic}, Name: e.Name, RetryMin: 10 * time.Millisecond, RetryMax: 500 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Kafka:  map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"},
	}
}

// handle is a consumer.Sync that knows when it has loaded what it writes.
func (f *follower) handle(ctx context.Context, batch []kafkasync.Message) error {
	if f.Deaf {
		batch = slices.DeleteFunc(batch, func(m kafkasync.Message) bool { return m.Delayed > 0 })
	}
	var loaded time.Time
	return consumer.Sync[int64, string]{
		Table: "public.items",
		Load: func(ctx context.Context, ids []int64) (map[int64]string, error) {
			loaded = time.Now()
			return f.load(ctx, ids)
		},
		Upsert: func(ctx context.Context, found []consumer.Item[int64, string]) error {
			var all []entry
			for _, one := range found {
				all = append(all, entry{one.ID, one.Row, one.Version, one.Message.Delayed > 0})
			}
			return f.write(ctx, loaded, all)
		},
		Delete: func(ctx context.Context, missing []consumer.Ref[int64]) error {
			var all []entry
			for _, one := range missing {
				all = append(all, entry{id: one.ID, version: one.Version, twin: one.Message.Delayed > 0})
			}
			return f.write(ctx, loaded, all)
		},
		Truncate: f.store.truncate,
	}.Handle(ctx, batch)
}

// load asks the primary.
func (f *follower) load(ctx context.Context, ids []int64) (map[int64]string, error) {
	found := map[int64]string{}
	err := f.primary.use(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, itemRows+" WHERE id = ANY($1)", ids)
		if err != nil {
			return err
		}
		var id int64
		var row string
		_, err = pgx.ForEachRow(rows, []any{&id, &row}, func() error {
			found[id] = row
			return nil
		})
		return err
	})
	return found, err
}

func (f *follower) write(ctx context.Context, loaded time.Time, all []entry) error {
	until := loaded.Add(f.Fresh)
	worth := len(all) >= leastHeld && !slices.ContainsFunc(all, func(e entry) bool { return e.twin || e.row == "" })
	if worth && f.keeps.CompareAndSwap(true, false) {
		say("keeping %d", len(all))
		<-ctx.Done()
		return context.Cause(ctx)
	}
	held := worth && f.freezes.CompareAndSwap(true, false)
	if held {
		var err error
		if until, err = f.freeze(all); err != nil {
			return err
		}
	}
	err, refused := errOld, 0
	if time.Now().Before(until) {
		// What has left the process comes to the store, whoever has the partition by then.
		refused, err = f.store.write(context.WithoutCancel(ctx), all)
	}
	switch {
	case held && err != nil:
		say("late %v", err)
	case held:
		say("written %d", refused)
	case refused > 0:
		say("refused %d", refused)
	}
	return err
}

// leastHeld is how many rows are worth being frozen or killed with.
const leastHeld = 8

// freeze stops the process with rows that are loaded and not written, until somebody wakes it up. It returns until when they may be written.
func (f *follower) freeze(all []entry) (until time.Time, err error) {
	select {
	case <-f.woken: // long ago
	default:
	}
	ids := make([]int64, len(all))
	for i := range all {
		ids[i] = all[i].id
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return until, err
	}
	say("holding %s", text)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		return until, err
	}
	<-f.woken // the signal may take a moment, in which we would go on
	content, err := os.ReadFile(f.Until)
	if err != nil {
		return until, err
	}
	return time.Parse(time.RFC3339Nano, string(content))
}

// say tells the test something, in a line.
func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) // whoever started us is gone, and so are we then
}
