package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// instance is a server over all its runs: its folder, its guard, and the process
// while there is one.
type instance struct {
	name  string
	dir   string
	guard *guard

	mu   sync.Mutex // for tests that kill a server beside its user
	proc *process   // nil: not running
}

// newInstance prepares the folder of a server; "" makes a temporary one that goes
// with the instance, or with this process.
func newInstance(name, dir, signal string) (*instance, error) {
	temporary := ""
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "kafkasync-"+strings.ToLower(name)+"-"); err != nil {
			return nil, fmt.Errorf("creating a folder for %s: %w", name, err)
		}
		temporary = dir
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating a folder for %s: %w", name, err)
	}
	g, err := newGuard(signal, temporary)
	if err != nil {
		return nil, err
	}
	return &instance{name: name, dir: dir, guard: g}, nil
}

// end stops the process, if there is one.
func (i *instance) end(sig syscall.Signal) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc == nil {
		return nil
	}
	err := i.proc.end(sig)
	i.proc = nil
	return errors.Join(err, i.guard.forget())
}

// close stops the process and gives up the folder and the guard.
func (i *instance) close(sig syscall.Signal) error {
	return errors.Join(i.end(sig), i.guard.close())
}

// begin launches the server; it is an error if it already runs.
func (i *instance) begin(c command) (*process, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc != nil {
		select {
		case <-i.proc.done: // it died by itself
		default:
			return nil, fmt.Errorf("starting %s: it is running already", i.name)
		}
	}
	c.name, c.dir, c.log = i.name, i.dir, i.logFile()
	proc, err := launch(i.guard, c)
	if err != nil {
		return nil, err
	}
	i.proc = proc
	return proc, nil
}

// Dir returns the server's folder.
func (i *instance) Dir() string { return i.dir }

func (i *instance) logFile() string { return filepath.Join(i.dir, "server.log") }

// Log returns the end of what the newest run printed, for the error of a test.
func (i *instance) Log() string {
	text, err := os.ReadFile(i.logFile())
	if err != nil {
		return "(unreadable: " + err.Error() + ")"
	}
	return lastLines(string(text), 1000)
}
