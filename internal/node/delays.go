package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/delayer"
)

// registry is the pairs as the cluster knows them. *raftstate.Node is one.
type registry interface {
	Pairs() (pairs []kafkasync.Pair, changed <-chan struct{})
	Unnamed() (pairs []kafkasync.Pair, revision uint64)
	Release(ctx context.Context, topic string, delay time.Duration, revision uint64) error
}

// delays runs a delayer for each distinct delay that the cluster knows, whatever this node's
// file says: what an older file promised is still delivered.
type delays struct {
	registry registry
	open     func(delay time.Duration) (*delayer.Delayer, error)
	log      *slog.Logger

	mu      sync.Mutex
	running map[time.Duration]*delayed
}

// delayed is one delay that is seen to.
type delayed struct {
	delayer *delayer.Delayer
	end     context.CancelFunc
	ended   chan struct{}
}

// run follows the pairs until ctx ends, and returns when all delayers have.
func (d *delays) run(ctx context.Context) {
	defer d.keep(ctx, nil)
	for ctx.Err() == nil {
		pairs, changed := d.registry.Pairs()
		d.keep(ctx, pairs)
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// keep starts what is missing for the pairs and ends what is not needed any more.
func (d *delays) keep(ctx context.Context, pairs []kafkasync.Pair) {
	wanted := map[time.Duration]bool{}
	for _, p := range pairs {
		wanted[p.Delay] = true
	}
	d.mu.Lock()
	var ending []*delayed
	for delay, one := range d.running {
		if !wanted[delay] {
			one.end()
			ending = append(ending, one)
			delete(d.running, delay)
		}
	}
	for delay := range wanted {
		if d.running[delay] == nil {
			d.start(ctx, delay)
		}
	}
	d.mu.Unlock()
	for _, one := range ending { // without the lock: status is asked for meanwhile
		<-one.ended
	}
}

// start runs a delayer. d.mu is held.
func (d *delays) start(ctx context.Context, delay time.Duration) {
	made, err := d.open(delay)
	if err != nil {
		d.log.ErrorContext(ctx, "a delayer cannot be made", "delay", delay.String(), "err", err) // a bug: the file was taken
		return
	}
	ctx, end := context.WithCancel(ctx)
	one := &delayed{delayer: made, end: end, ended: make(chan struct{})}
	d.running[delay] = one
	go func() {
		defer close(one.ended)
		d.supervise(ctx, delay, made)
	}()
}

// supervise runs a delayer again and again until ctx ends, as supervisor does a pipeline.
func (d *delays) supervise(ctx context.Context, delay time.Duration, made *delayer.Delayer) {
	pause, said := firstPause, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := made.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > recovered {
			pause, said = firstPause, ""
		}
		made.Status().SetError(err)
		if text := err.Error(); text != said {
			d.log.WarnContext(ctx, "the delayer starts again", "delay", delay.String(), "class", kafkasync.ClassOf(err).String(), "err", err)
			said = text
		}
		timer := time.NewTimer(jitter(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, maxPause)
	}
}
