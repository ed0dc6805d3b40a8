package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a process of ours that is measured.
type child struct {
	name string
	cmd  *exec.Cmd
	said string        // the file with what it printed
	done chan struct{} // closed when it has ended; err says how
	err  error
}

// launch starts a command that prints into a file. The name is for errors.
func launch(name string, cmd *exec.Cmd, said string) (*child, error) {
	file, err := os.Create(said)
	if err != nil {
		return nil, fmt.Errorf("creating its log: %w", err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	// It does not outlive us, not even if we are killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	c := &child{name: name, cmd: cmd, said: said, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// alive returns the end of the log if the process has ended by itself.
func (c *child) alive() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s has ended (%w):\n%s", c.name, errors.Join(c.err, errors.New("by itself")), c.lastWords())
	default:
		return nil
	}
}

func (c *child) lastWords() string {
	text, err := os.ReadFile(c.said)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// stop ends the process in order and waits for it.
func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", c.name, err)
	}
	return c.await()
}

func (c *child) kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing %s: %w", c.name, err)
	}
	<-c.done
	return nil
}

// await waits for the end of a process that has been told to end.
func (c *child) await() error {
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		return errors.Join(fmt.Errorf("stopping %s: still there after a minute", c.name), c.kill())
	}
	if c.err != nil {
		return fmt.Errorf("stopping %s: %w:\n%s", c.name, c.err, c.lastWords())
	}
	return nil
}
