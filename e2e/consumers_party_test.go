package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// party is the processes of one name, which keep one store equal to the table.
type party struct {
	errand

	t     testing.TB
	hands []*hand // that run
	all   []*hand // that ever ran
	cache *cache  // nil: it is an index
}

// hand is a process.
type hand struct {
	cmd  *exec.Cmd
	log  *text
	done chan struct{}

	written int // times that it has written what it was frozen with
}

func newParty(t testing.TB, e errand) *party {
	t.Helper()
	e.Until = filepath.Join(t.TempDir(), "until")
	c := &party{errand: e, t: t}
	if e.Store == "cache" {
		c.cache = &cache{redis: &redis{address: e.Address}, name: e.Name}
	} else {
		execute(t, e.Address, indexSchema)
	}
	return c
}

// grow starts processes, which end with the test.
func (c *party) grow(n int) {
	c.t.Helper()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	for range n {
		encoded, err := json.Marshal(c.errand)
		if err != nil {
			c.t.Fatal(err)
		}
		h := &hand{log: &text{}, done: make(chan struct{})}
		h.cmd = exec.CommandContext(context.WithoutCancel(c.t.Context()), self)
		h.cmd.Env = append(os.Environ(), followerVariable+"="+string(encoded))
		h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
		// It does not outlive the tests, not even if they are killed.
		h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := h.cmd.Start(); err != nil {
			c.t.Fatal(err)
		}
		go func() {
			defer close(h.done)
			_ = h.cmd.Wait() // the state says how it ended
		}()
		c.t.Cleanup(func() {
			h.end(c.t, syscall.SIGKILL)
			if c.t.Failed() {
				c.t.Logf("process %d of %s (%s) said:\n%s", h.cmd.Process.Pid, c.Name, h.cmd.ProcessState, h.log.tail(20))
			}
			for _, bad := range []string{"DATA RACE", "panic:"} {
				if strings.Contains(h.log.String(), bad) {
					c.t.Errorf("process %d of %s: its log has %q:\n%s", h.cmd.Process.Pid, c.Name, bad, h.log.tail(200))
				}
			}
		})
		c.hands, c.all = append(c.hands, h), append(c.all, h)
	}
	for _, h := range c.hands[len(c.hands)-n:] {
		eventually(c.t, time.Minute, func() string {
			c.live()
			return contains("the log of a consumer", h.log.String(), "ready for signals")
		})
	}
}

func (h *hand) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := h.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("sending %s to a consumer: %v", sig, err)
	}
}

// end ends it by a signal, and waits. It returns the exit status.
func (h *hand) end(t testing.TB, sig syscall.Signal) int {
	t.Helper()
	h.signal(t, sig)
	select {
	case <-h.done:
	case <-time.After(time.Minute):
		h.signal(t, syscall.SIGQUIT)
		<-h.done
		t.Errorf("a consumer did not end on %s; it was at:\n%s", sig, h.log.tail(1000))
	}
	return h.cmd.ProcessState.ExitCode()
}

// without takes one of the processes out of those that run.
func (c *party) without(h *hand) {
	c.hands = slices.DeleteFunc(c.hands, func(other *hand) bool { return other == h })
}

func (c *party) kill(h *hand) {
	c.t.Helper()
	c.without(h)
	h.end(c.t, syscall.SIGKILL)
}

// terminate ends one in order, which gives its partitions back.
func (c *party) terminate(h *hand) {
	c.t.Helper()
	c.without(h)
	if code := h.end(c.t, syscall.SIGTERM); code != 0 {
		c.t.Errorf("a consumer of %s: got exit status %d after SIGTERM, want 0:\n%s", c.Name, code, h.log.tail(20))
	}
}

// live fails the test if one has ended by itself.
func (c *party) live() {
	c.t.Helper()
	for _, h := range c.hands {
		select {
		case <-h.done:
			c.t.Fatalf("a consumer of %s has ended by itself:\n%s", c.Name, h.log.tail(40))
		default:
		}
	}
}

// said are the lines in which it has said something that begins so, without the beginning.
func (h *hand) said(beginning string) (all []string) {
	for line := range strings.Lines(h.log.String()) {
		if rest, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), beginning+" "); is {
			all = append(all, rest)
		}
	}
	return all
}

// refused is how many writes the store has refused it.
func (h *hand) refused() (total int) {
	for _, text := range append(h.said("refused"), h.said("written")...) {
		n, _ := strconv.Atoi(text)
		total += n
	}
	return total
}

// holding are the rows that it was frozen with last.
func (h *hand) holding(t testing.TB) (ids []int64) {
	t.Helper()
	all := h.said("holding")
	if len(all) == 0 {
		return nil
	}
	if err := json.Unmarshal([]byte(all[len(all)-1]), &ids); err != nil {
		t.Fatal(err)
	}
	return ids
}

// stopped reports whether it was stopped by a signal.
func (h *hand) stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "T ")
}

// rows is all that the store has.
func (c *party) rows() map[int64]string {
	c.t.Helper()
	if c.cache == nil {
		return pairs(c.t, c.Address, "SELECT id, content FROM docs WHERE content IS NOT NULL")
	}
	all, err := c.cache.rows(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// healed is how many rows only a delay message has put right, of late.
func (c *party) healed() int {
	c.t.Helper()
	if c.cache == nil {
		return query[int](c.t, c.Address, "SELECT count(*) FROM docs WHERE healed")
	}
	n, err := c.cache.redis.do(c.t.Context(), "SCARD", c.cache.healed())
	if err != nil {
		c.t.Fatal(err)
	}
	return int(n.(int64))
}

// forget begins to count healed rows anew.
func (c *party) forget() {
	c.t.Helper()
	if c.cache == nil {
		execute(c.t, c.Address, "UPDATE docs SET healed = false WHERE healed")
	} else if _, err := c.cache.redis.do(c.t.Context(), "DEL", c.cache.healed()); err != nil {
		c.t.Fatal(err)
	}
}

// refused is how many writes the store has refused.
func (c *party) refused() (total int) {
	for _, h := range c.all {
		total += h.refused()
	}
	return total
}

// pairs are rows of an id and a text.
func pairs(t testing.TB, url, sql string) map[int64]string {
	t.Helper()
	all := map[int64]string{}
	connected(t, url, func(conn *pgx.Conn) {
		rows, err := conn.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		var id int64
		var text string
		if _, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error {
			all[id] = text
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	return all
}
