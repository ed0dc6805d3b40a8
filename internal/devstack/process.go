package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// startTimeout is how long a server may take to answer: seconds on an idle
// machine, many more beside a build.
const startTimeout = 2 * time.Minute

// process is one run of a server.
type process struct {
	name string
	log  string // the file with what it printed, this run's only
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read it after done
}

// command is how to start a server.
type command struct {
	name string // in errors
	dir  string
	log  string
	line []string
	user *syscall.Credential // nil: as we are
}

// launch starts a server under the guard's eyes.
func launch(g *guard, c command) (*process, error) {
	log, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", c.name, err)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", wrapScript, "sh"}, c.line...)...) //nolint:noctx // it runs until it is stopped; the context is that of its start
	cmd.Dir = c.dir
	cmd.Env = serverEnv()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{g.pipe}
	// A session of its own: Ctrl-C is for us, who then stop the server in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.user}
	err = cmd.Start()
	if closed := log.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	p := &process{name: c.name, log: c.log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// serverEnv is our environment without what would quietly configure a server.
func serverEnv() []string {
	env := make([]string, 0, len(os.Environ())+1)
	foreign := []string{"PG", "MYSQL", "MARIADB", "LC_", "LANG"}
	for _, v := range os.Environ() {
		if !slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(v, prefix) }) {
			env = append(env, v)
		}
	}
	return append(env, "LC_ALL=C")
}

// ready asks again and again until ask says yes. A server that ends instead, or
// does not get there in time, is an error with the end of its log.
func (p *process) ready(ctx context.Context, ask func(context.Context) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer for %s", startTimeout))
	defer cancel()
	for !ask(ctx) {
		select {
		case <-p.done:
			return fmt.Errorf("starting %s: it ended (%v); the end of its log:\n%s", p.name, p.err, p.tail(30)) //nolint:errorlint // nil if it exited with 0
		default:
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("starting %s: %w; the end of its log:\n%s", p.name, err, p.tail(30))
		}
	}
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return "(unreadable: " + err.Error() + ")"
	}
	return lastLines(string(text), lines)
}

// stopGrace is how long a stop may take.
const stopGrace = time.Minute

// end sends sig and waits until the server has ended; after a minute it is killed,
// which is an error.
func (p *process) end(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %s to %s: %w", sig, p.name, err)
	}
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing %s: %w", p.name, err)
	}
	<-p.done
	return fmt.Errorf("stopping %s: still there %s after %s, so it was killed; the end of its log:\n%s", p.name, stopGrace, sig, p.tail(30))
}
