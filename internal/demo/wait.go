package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// patience is how long the demo waits without any progress before it gives up.
const patience = 30 * time.Second

// errMissing ends the scenes early; the summary says what is missing.
var errMissing = errors.New("messages are missing")

// get asks the node; answer, unless nil, takes the JSON.
func get(ctx context.Context, addr, path string, answer any) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: got status %s", path, resp.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// until asks again and again until the answer is yes, and gives up with false
// once the progress that comes with it stood still for as long as patience is.
func until(ctx context.Context, ask func() (done bool, progress int)) (bool, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	last, moved := 0, time.Now()
	for {
		done, progress := ask()
		if done {
			return true, nil
		}
		if progress != last {
			last, moved = progress, time.Now()
		} else if time.Since(moved) > patience {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// healed waits until the newest message of every row has its twin.
func (d *demo) healed(ctx context.Context) error {
	ok, err := until(ctx, func() (bool, int) {
		twins, behind := d.ledger.resent()
		return behind == 0, twins
	})
	if err != nil {
		return fmt.Errorf("waiting for the delay messages: %w", err)
	}
	if !ok {
		twins, behind := d.ledger.resent()
		d.say.line("  %s delay messages arrived, %s rows wait for theirs, and no message for %s", grouped(twins), grouped(behind), patience)
		return errMissing
	}
	return nil
}

// arrive waits until as many rows arrived as were changed; which ones is compared in the end.
func (d *demo) arrive(ctx context.Context, c *change) error {
	ok, err := until(ctx, func() (bool, int) {
		n := d.ledger.arrived(c)
		return n >= len(c.rows), d.ledger.count()
	})
	if err != nil {
		return fmt.Errorf("waiting for the messages: %w", err)
	}
	if !ok {
		d.say.line("  %s of %s rows arrived, and no message for %s", grouped(d.ledger.arrived(c)), grouped(len(c.rows)), patience)
		return errMissing
	}
	return nil
}

// settle waits until nothing is left to do: Postgres has been told so, or the position is behind all that arrived.
func (d *demo) settle(ctx context.Context) error {
	var failed error
	ok, err := until(ctx, func() (bool, int) {
		answer, ok := d.stack.ask(ctx)
		if !ok {
			return false, d.ledger.count()
		}
		at, err := d.stack.db.done(ctx, answer.Pipelines[0].Position)
		if err != nil {
			failed = err
			return true, 0
		}
		n := d.ledger.count()
		return at > d.ledger.latest(), n
	})
	switch {
	case err != nil:
		return fmt.Errorf("waiting for the end of the messages: %w", err)
	case failed != nil:
		return fmt.Errorf("waiting for the end of the messages: %w", failed)
	case !ok:
		return fmt.Errorf("waiting for the end of the messages: the checkpoint was not behind all of them within %s", patience)
	default:
		return nil
	}
}
