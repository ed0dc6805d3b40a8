package devstack

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// ProgramConfig says how to run a program of ours beside the servers.
type ProgramConfig struct {
	Name string // in errors, and in the name of its folder
	// Line returns the command line, once what the program reads is in its folder.
	// It is called again with another port if a stranger took the first one.
	Line func(dir string, port int) ([]string, error)
	// Ready reports whether the program answers on its port.
	Ready func(ctx context.Context, port int) bool
}

// Program is a program that listens on a loopback port, kept as the servers are:
// it has a temporary folder, and neither outlives the process that started it.
type Program struct {
	*instance
	cfg  ProgramConfig
	port int
	line []string
}

// StartProgram starts a program and returns once it answers. ctx bounds the
// start; the program then runs until Close.
func StartProgram(ctx context.Context, cfg ProgramConfig) (*Program, error) {
	// SIGKILL: when this process has died, so has whatever the program would finish its work with.
	inst, err := newInstance(cfg.Name, "", "KILL")
	if err != nil {
		return nil, err
	}
	p := &Program{instance: inst, cfg: cfg}
	err = onFreePort(ctx, func(port int) error {
		line, err := cfg.Line(inst.dir, port)
		if err != nil {
			return fmt.Errorf("preparing %s: %w", cfg.Name, err)
		}
		p.port, p.line = port, line
		return p.Start(ctx)
	})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Start starts the program again after Kill, with the same command line.
func (p *Program) Start(ctx context.Context) error {
	proc, err := p.begin(command{line: p.line})
	if err != nil {
		return err
	}
	return proc.ready(ctx, func(ctx context.Context) bool { return p.cfg.Ready(ctx, p.port) })
}

// Addr returns the program's address, 127.0.0.1:port; it stays over restarts.
func (p *Program) Addr() string { return loopback(p.port) }

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

// Close asks the program to end, waits for that, and removes its folder.
func (p *Program) Close() error { return p.close(syscall.SIGTERM) }
