package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// guarded is a primary and a store beside it, for several processes: the store refuses a version that is strictly lower
// than its own.
type guarded struct {
	mu      sync.Mutex
	primary map[int64]string
	rows    map[int64]stored
	refused []stored
	woken   chan struct{} // closed: the process has been woken
}

type stored struct {
	Row     string
	Version int64
}

func (g *guarded) set(id int64, row string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.primary[id] = row
}

func (g *guarded) get(id int64) stored {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rows[id]
}

func (g *guarded) load(ids []int64) map[int64]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := map[int64]string{}
	for _, id := range ids {
		if row, is := g.primary[id]; is {
			found[id] = row
		}
	}
	return found
}

func (g *guarded) upsert(rows map[int64]stored) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, row := range rows {
		if old, is := g.rows[id]; is && row.Version < old.Version {
			g.refused = append(g.refused, row)
			continue
		}
		g.rows[id] = row
	}
}

// sync is how a process uses it.
func guardedSync(load func([]int64) (map[int64]string, error), upsert func(map[int64]stored) error) consumer.Sync[int64, string] {
	return consumer.Sync[int64, string]{
		Table: "public.products",
		Load:  func(_ context.Context, ids []int64) (map[int64]string, error) { return load(ids) },
		Upsert: func(_ context.Context, found []consumer.Item[int64, string]) error {
			rows := map[int64]stored{}
			for _, f := range found {
				rows[f.ID] = stored{f.Row, f.Version}
			}
			return upsert(rows)
		},
		Delete: func(_ context.Context, missing []consumer.Ref[int64]) error {
			return fmt.Errorf("row %d is missing", missing[0].ID)
		},
	}
}

// serve lets other processes use it.
func (g *guarded) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/load", func(w http.ResponseWriter, r *http.Request) {
		var ids []int64
		if err := json.NewDecoder(r.Body).Decode(&ids); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(g.load(ids))
	})
	mux.HandleFunc("/upsert", func(w http.ResponseWriter, r *http.Request) {
		var rows map[int64]stored
		if err := json.NewDecoder(r.Body).Decode(&rows); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.upsert(rows)
	})
	mux.HandleFunc("/woken", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-g.woken:
		case <-r.Context().Done():
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// processVariable makes of the test binary a process that syncs; it holds a spec.
const processVariable = "CONSUMER_TEST_PROCESS"

type spec struct {
	Store          string // URL
	Brokers, Topic string

	Hold   bool // instead: keep every batch for ever, and say so
	Memory int
}

// runProcess is main of such a process. It freezes itself once, with a row that is loaded and not written.
func runProcess(text string) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	cfg := (&stage{brokers: s.Brokers, topic: s.Topic}).config()
	if s.Hold {
		cfg.Memory = s.Memory
		return runHandler(cfg, consumer.HandlerFunc(func(ctx context.Context, _ []kafkasync.Message) error {
			_, err := fmt.Fprintln(os.Stdout, "holding")
			<-ctx.Done()
			return err
		}))
	}
	var frozen atomic.Bool
	h := guardedSync(func(ids []int64) (found map[int64]string, err error) {
		err = ask(s.Store+"/load", ids, &found)
		return found, err
	}, func(rows map[int64]stored) error {
		if !frozen.Swap(true) {
			// The signal may take a moment, in which we would go on.
			if err := errors.Join(syscall.Kill(os.Getpid(), syscall.SIGSTOP), ask(s.Store+"/woken", nil, nil)); err != nil {
				return err
			}
		}
		return ask(s.Store+"/upsert", rows, nil)
	})
	return runHandler(cfg, h)
}

func runHandler(cfg consumer.Config, h consumer.Handler) error {
	c, err := consumer.New(cfg)
	if err != nil {
		return err
	}
	return c.Run(context.Background(), h)
}

func ask(url string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// A process loads a row, is frozen for longer than its session, and wakes up with it when others have stored a newer one.
func TestAProcessThatWakesUpWithAnOldRowMakesNoGuardedStoreStale(t *testing.T) {
	tests := []struct {
		name string
		next func(s *stage, first kafkasync.Message) kafkasync.Message
	}{
		{"a newer change", func(s *stage, _ kafkasync.Message) kafkasync.Message { return s.change(1) }},
		// The row was loaded before the very change that the message is about could be seen.
		{"the twin", func(_ *stage, first kafkasync.Message) kafkasync.Message { return twin(first) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 1)
			g := &guarded{primary: map[int64]string{1: "old"}, rows: map[int64]stored{}, woken: make(chan struct{})}
			first := s.change(1)
			s.put(t, 0, first)
			p := s.process(t, spec{Store: g.serve(t), Brokers: s.brokers, Topic: s.topic})
			eventually(t, "the process is frozen with the row", func() bool { return stopped(p.Process.Pid) })

			g.set(1, "new")
			next := tt.next(s, first)
			s.put(t, 0, next)
			run(t, s.config(), guardedSync(
				func(ids []int64) (map[int64]string, error) { return g.load(ids), nil },
				func(rows map[int64]stored) error { g.upsert(rows); return nil }))
			want := stored{"new", consumer.Version(&next)}
			eventually(t, "another process has stored the new row", func() bool { return g.get(1) == want })
			eventually(t, "and committed it", func() bool { return s.committed(t, 1)[0] == 2 })

			if err := p.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			close(g.woken)
			eventually(t, "the process has written what it had", func() bool {
				g.mu.Lock()
				defer g.mu.Unlock()
				return len(g.refused) > 0
			})
			if got := g.get(1); got != want {
				t.Errorf("got %+v stored, want %+v", got, want)
			}
			if old := (stored{"old", consumer.Version(&first)}); g.refused[0] != old {
				t.Errorf("got %+v refused, want %+v", g.refused[0], old)
			}
			if got := s.committed(t, 1)[0]; got != 2 {
				t.Errorf("got offset %d committed, want 2: the frozen one has nothing to say any more", got)
			}
		})
	}
}

// process starts one, which ends with the test.
func (s *stage) process(t testing.TB, what spec) *exec.Cmd {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	var said text
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), executable)
	cmd.Env = append(os.Environ(), processVariable+"="+string(encoded))
	cmd.Stdout, cmd.Stderr = &said, &said
	// It does not outlive the tests, not even if they are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the process said:\n%s", &said)
		}
	})
	return cmd
}

// stopped reports whether a process has been stopped by a signal.
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(fields) > 0 && string(fields[0]) == "T"
}
