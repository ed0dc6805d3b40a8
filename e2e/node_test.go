package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

// site is where a node of a test lives: its file, its data and its address.
type site struct {
	binary string
	name   string
	dir    string
	file   string
	http   string
	env    []string
	pid    atomic.Int64 // of the newest node that runs here
}

// newSite writes the file of a node with one pipeline. The text has what stands
// below kafka: and pipelines:, at the left margin.
func newSite(t testing.TB, f flavour, kafka, pipelines string) *site {
	t.Helper()
	s := &site{binary: binary(t, f), dir: t.TempDir(), http: freeAddress(t)}
	s.file = filepath.Join(s.dir, "kafkasync.yaml")
	// A name of its own: the tests share a Kafka, and a name is the prefix of consumer groups.
	s.name = fmt.Sprintf("e2e-%d-%d", os.Getpid(), sites.Add(1))
	s.rewrite(t, kafka, pipelines)
	return s
}

var sites atomic.Int64

// rewrite writes another file for the same node.
func (s *site) rewrite(t testing.TB, kafka, pipelines string) {
	t.Helper()
	s.write(t, fmt.Sprintf("name: %s\ndata_dir: %s\nhttp: {listen: %q}\nkafka:\n%s\npipelines:\n%s\n",
		s.name, filepath.Join(s.dir, "data"), s.http, indent(kafka), indent(pipelines)))
}

func (s *site) write(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.Trim(text, "\n"), "\n", "\n  ")
}

// freeAddress returns an address below the range of outgoing connections, so
// that it is still free after a kill. None is returned twice.
func freeAddress(t testing.TB) string {
	t.Helper()
	var listener net.ListenConfig
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(30000+rand.IntN(2000)))
		if _, given := addresses.LoadOrStore(address, true); given {
			continue
		}
		l, err := listener.Listen(t.Context(), "tcp", address)
		if err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
	t.Fatal("there is no free port")
	return ""
}

var addresses sync.Map // that were given to somebody, or were taken

// command runs kafkasync to its end and returns what it printed and its exit status.
func (s *site) command(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := s.prepare(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("kafkasync %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (s *site) prepare(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, append(args, "-c", s.file)...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), s.env...)
	// It does not outlive the tests, not even if they are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// node is a running `kafkasync run`.
type node struct {
	site *site
	cmd  *exec.Cmd
	log  *text
	done chan struct{}
}

// start runs a node. If the test fails, its log is shown; it ends with the test.
func (s *site) start(t testing.TB) *node {
	t.Helper()
	n := &node{site: s, log: &text{}, done: make(chan struct{})}
	n.cmd = s.prepare(context.WithoutCancel(t.Context()), "run")
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.pid.Store(int64(n.cmd.Process.Pid))
	go func() {
		defer close(n.done)
		_ = n.cmd.Wait() // the state says how it ended
	}()
	t.Cleanup(func() {
		n.kill(t)
		if t.Failed() {
			t.Logf("process %d (%s) said:\n%s", n.cmd.Process.Pid, n.cmd.ProcessState, n.log.tail(40))
		}
		// What must never be in a log, however the test went.
		for _, bad := range []string{"DATA RACE", "panic:", "goroutine 1 ["} {
			if strings.Contains(n.log.String(), bad) {
				t.Errorf("process %d: its log has %q:\n%s", n.cmd.Process.Pid, bad, n.log.tail(200))
			}
		}
	})
	return n
}

// kill ends the node with SIGKILL, if it still runs, and waits.
func (n *node) kill(t testing.TB) {
	t.Helper()
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("killing kafkasync: %v", err)
	}
	<-n.done
}

// terminate asks the node to end in order and returns its exit status.
func (n *node) terminate(t testing.TB) int {
	t.Helper()
	// Before its first line nobody in it listens for the signal, which would just end it.
	eventually(t, time.Minute, func() string {
		if n.alive() && n.log.String() == "" {
			return "kafkasync has not said anything yet"
		}
		return ""
	})
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("sending SIGTERM to kafkasync: %v", err)
	}
	return n.exit(t)
}

// exit waits until the node has ended by itself.
func (n *node) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-n.done:
	case <-time.After(time.Minute):
		if err := n.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			t.Logf("asking kafkasync what it is at: %v", err)
		}
		<-n.done
		t.Fatalf("kafkasync does not end; it was at:\n%s", n.log.tail(1000))
	}
	return n.cmd.ProcessState.ExitCode()
}

func (n *node) alive() bool {
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// get asks the node over HTTP.
func (s *site) get(ctx context.Context, path string) (code int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Close = true // an idle connection would outlive the process that is killed
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// status returns what the node says of itself and of its only pipeline.
func (s *site) status(ctx context.Context) (web.Status, error) {
	code, body, err := s.get(ctx, "/api/status")
	if err != nil {
		return web.Status{}, err
	}
	var status web.Status
	if err := json.Unmarshal(body, &status); err != nil {
		return web.Status{}, fmt.Errorf("status %d: %w: %s", code, err, body)
	}
	if len(status.Pipelines) != 1 {
		return web.Status{}, fmt.Errorf("got %d pipelines, want 1: %s", len(status.Pipelines), body)
	}
	return status, nil
}

// pipeline returns the state of the node's only pipeline.
func (s *site) pipeline(ctx context.Context) (web.Pipeline, error) {
	status, err := s.status(ctx)
	if err != nil {
		return web.Pipeline{}, err
	}
	return status.Pipelines[0], nil
}

// gaps returns those that are registered.
func (s *site) gaps(t testing.TB) []web.Gap {
	t.Helper()
	status, err := s.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status.Gaps
}

// reaches waits until the pipeline is in the state, with an error that has the parts.
func (n *node) reaches(t testing.TB, state string, parts ...string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if !n.alive() {
			t.Fatalf("waiting for the state %s: kafkasync has ended", state)
		}
		p, err := n.site.pipeline(t.Context())
		switch {
		case err != nil:
			return err.Error()
		case p.State != state:
			return fmt.Sprintf("the pipeline is %s (%s), want %s", p.State, p.Error, state)
		}
		return contains("the pipeline's error", p.Error, parts...)
	})
}

// memory returns the most memory that the node has had, in kB.
func (n *node) memory(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatalf("the process has no VmHWM:\n%s", status)
	return 0
}

// text is what a process prints, readable while it runs.
type text struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all.String()
}

func (x *text) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(x.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
