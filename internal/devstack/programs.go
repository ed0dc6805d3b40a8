package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// ProgramsConfig says how to run programs that have to know one another's ports
// before any of them starts.
type ProgramsConfig struct {
	Name  string   // of the folder that they share
	Names []string // of the programs, in errors and in the folder
	Ports int      // that each of them listens on
	// Lines returns a command line for each program, once what they read is in the folder, which is empty
	// before. It is called again with other ports if a stranger took one.
	Lines func(dir string, ports [][]int) ([][]string, error)
	// Ready reports whether a program is up; it may need the others for that.
	Ready func(ctx context.Context, ports []int) bool
}

// Programs are programs that listen on loopback ports. They and their temporary
// folder do not outlive the process that started them.
type Programs struct {
	All []*Program // in the order of their names

	cfg   ProgramsConfig
	dir   string
	guard *guard // of the folder: it goes after the last program has
}

// StartPrograms starts programs side by side and returns once all are ready. ctx
// bounds the start; they then run until Close.
func StartPrograms(ctx context.Context, cfg ProgramsConfig) (*Programs, error) {
	folder, err := newInstance(cfg.Name, "", "KILL")
	if err != nil {
		return nil, err
	}
	p := &Programs{cfg: cfg, dir: folder.dir, guard: folder.guard}
	for _, name := range cfg.Names {
		one, err := newProgram(name, filepath.Join(p.dir, name), cfg.Ready, p.guard)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.All = append(p.All, one)
	}
	err = onFreePorts(ctx, cfg.Ports*len(cfg.Names), func(ports []int) error { return p.start(ctx, ports) })
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Dir returns the folder that the programs share.
func (p *Programs) Dir() string { return p.dir }

// Close ends all programs and removes the folder. It kills them: nothing that they would still finish is kept,
// and three nodes that end in order at the same time wait for one another.
func (p *Programs) Close() error {
	return errors.Join(p.each(func(one *Program) error { return one.close(syscall.SIGKILL) }), p.guard.close())
}

// start tries it with these ports, and leaves nothing running if that fails.
func (p *Programs) start(ctx context.Context, ports []int) error {
	if err := p.prepare(ports); err != nil {
		return fmt.Errorf("preparing %s: %w", p.cfg.Name, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := p.each(func(one *Program) error {
		err := one.Start(ctx)
		if err != nil {
			cancel(err) // the others may wait for this one
		}
		return err
	})
	if err == nil {
		return nil
	}
	return errors.Join(context.Cause(ctx), p.each((*Program).Kill))
}

// prepare empties the folder of what an earlier try left, and writes what is read.
func (p *Programs) prepare(ports []int) error {
	left, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, entry := range left {
		if err := os.RemoveAll(filepath.Join(p.dir, entry.Name())); err != nil {
			return err
		}
	}
	var each [][]int
	for _, one := range p.All {
		if err := os.Mkdir(one.dir, 0o755); err != nil {
			return err
		}
		one.ports, ports = ports[:p.cfg.Ports], ports[p.cfg.Ports:]
		each = append(each, one.ports)
	}
	lines, err := p.cfg.Lines(p.dir, each)
	if err != nil {
		return err
	}
	for i, one := range p.All {
		one.line = lines[i]
	}
	return nil
}

// each does something with all programs at the same time.
func (p *Programs) each(do func(*Program) error) error {
	errs := make([]error, len(p.All))
	var group sync.WaitGroup
	for i, one := range p.All {
		group.Go(func() { errs[i] = do(one) })
	}
	group.Wait()
	return errors.Join(errs...)
}
