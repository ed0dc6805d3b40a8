package main

import (
	"context"
	"time"
)

// How still the machine has to be before something is measured.
const (
	restSpan  = 500 * time.Millisecond
	restShare = 0.1 // of one processor
)

// rest waits until the machine has nothing to do. What a workload leaves behind would hit whoever is measured first: MySQL
// writes pages and purges old rows, Kafka compiles what was used often, the kernel writes files. Others may work on it too: so there is a limit.
func (b *bench) rest(ctx context.Context) error {
	if b.o.rest == 0 {
		return nil
	}
	began := time.Now()
	last, at := time.Duration(-1), began
	err := every(ctx, restSpan, func() (bool, error) {
		busy, err := machineTime()
		now := time.Now()
		still := last >= 0 && (busy-last).Seconds() < restShare*now.Sub(at).Seconds()
		last, at = busy, now
		return still || now.Sub(began) > b.o.rest, err
	})
	if waited := time.Since(began); waited > b.o.rest {
		b.say("the machine does not come to rest: measuring beside what it does")
	} else if waited > 2*time.Second {
		b.say("the machine came to rest after %.1f s", waited.Seconds())
	}
	return err
}
