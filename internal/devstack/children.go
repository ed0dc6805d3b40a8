package devstack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// childrenOf lists the children of a process. It reads /proc; where there is
// none it finds none, and they end by themselves once they notice.
func childrenOf(parent int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var children []int
	for _, path := range stats {
		if ppid, state := parentAndState(path); ppid == parent && state != 'Z' {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				children = append(children, pid)
			}
		}
	}
	return children
}

// parentAndState reads a /proc/PID/stat; 0 if the process has ended.
func parentAndState(path string) (ppid int, state byte) {
	stat, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	// The name, in brackets, may hold anything, also brackets.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, 0
	}
	ppid, err = strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0, 0
	}
	return ppid, fields[0][0]
}

// killAll kills processes that are not ours to wait for, and returns once they
// are gone: a Postgres does not start beside a child of the one before.
func killAll(pids []int) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("killing process %d: %w", pid, err)
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(stopGrace); slices.ContainsFunc(pids, alive); {
		if now := <-tick.C; now.After(deadline) {
			return fmt.Errorf("killing processes %v: still there after %s", pids, stopGrace)
		}
	}
	return nil
}

func alive(pid int) bool {
	_, state := parentAndState(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return state != 0 && state != 'Z'
}
