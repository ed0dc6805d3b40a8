package devstack

import (
	"context"
	"fmt"
	"syscall"
)

// Program is one of several programs of ours, kept as the servers are: it does not
// outlive the process that started it.
type Program struct {
	*instance
	name  string
	ports []int
	line  []string
	ready func(ctx context.Context, ports []int) bool
}

// Start starts the program once it has ended, with the same command line, and returns once it is ready.
func (p *Program) Start(ctx context.Context) error {
	proc, err := p.begin(command{line: p.line})
	if err != nil {
		return err
	}
	return proc.ready(ctx, func(ctx context.Context) bool { return p.ready(ctx, p.ports) })
}

// Name returns its name among the programs that were started with it.
func (p *Program) Name() string { return p.name }

// Addr returns the address of its first port, 127.0.0.1:port; it stays over restarts.
func (p *Program) Addr() string { return loopback(p.ports[0]) }

// PID returns the process id of the newest run; 0 after Kill.
func (p *Program) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return 0
	}
	return p.proc.pid()
}

// Ended is closed when the newest run has ended, however it did; nil after Kill.
func (p *Program) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return nil
	}
	return p.proc.done
}

// Kill ends the program with SIGKILL and returns once it is gone.
func (p *Program) Kill() error { return p.end(syscall.SIGKILL) }

// newProgram prepares one of the programs; the folder's guard outlives it.
func newProgram(name, dir string, ready func(context.Context, []int) bool, folder *guard) (*Program, error) {
	// SIGKILL: when this process has died, so has whatever the program would finish its work with.
	g, err := newGuard("KILL", "", folder.pipe)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", name, err)
	}
	return &Program{instance: &instance{name: name, dir: dir, guard: g}, name: name, ready: ready}, nil
}
