package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// patience is how long the demo waits without any progress before it gives up.
const patience = 30 * time.Second

// lives reports whether the node answers; not yet whether it streams.
func lives(ctx context.Context, port int) bool {
	return get(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "/healthz", nil) == nil
}

// streaming returns once the node reads the log.
func (s *stack) streaming(ctx context.Context) error {
	var state, trouble string
	ok, err := until(ctx, func() (bool, int) {
		var status struct {
			Pipelines []struct{ State, Error string }
		}
		if get(ctx, s.node.Addr(), "/api/status", &status) == nil && len(status.Pipelines) == 1 {
			state, trouble = status.Pipelines[0].State, status.Pipelines[0].Error
		}
		return state == "streaming" || state == "stopped", 0
	})
	switch {
	case err != nil:
		return fmt.Errorf("waiting for the node to read Postgres' log: %w", err)
	case !ok || state == "stopped":
		return fmt.Errorf("waiting for the node to read Postgres' log: it is %q: %s", state, trouble)
	default:
		return nil
	}
}

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
