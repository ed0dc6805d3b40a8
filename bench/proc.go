package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, the same on every Linux that Go knows.
const tick = 10 * time.Millisecond

// cpuTime returns what a process has used of the processors, all its threads, ended ones included.
func cpuTime(pid int) (time.Duration, error) {
	return readStat(fmt.Sprintf("/proc/%d/stat", pid))
}

func readStat(path string) (time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("reading processor times: %w", err)
	}
	return statTime(text)
}

// statTime takes utime and stime, the 14th and 15th field, of a /proc/PID/stat.
func statTime(text []byte) (time.Duration, error) {
	// The name, the second field, is in brackets and may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading processor times: got %d fields, want more", len(fields))
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading processor times: %w", err)
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading processor times: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// machineTime returns how long the processors of this machine have worked, for whomever.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("reading processor times: %w", err)
	}
	return busyTime(string(text))
}

// busyTime takes the sum over all processors, the first line of /proc/stat:
// user, nice, system, idle, iowait, irq, softirq and more, which is part of these or not our work.
func busyTime(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("reading processor times: got %q, want the sum over all processors", line)
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading processor times: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// librdkafkaTime returns what the threads of librdkafka have used in a process:
// it names them rdk:main, rdk:broker1 and so on.
func librdkafkaTime(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, task := range tasks {
		name, err := os.ReadFile(filepath.Join(task, "comm"))
		if err != nil || !strings.HasPrefix(string(name), "rdk:") {
			continue // it may have ended
		}
		used, err := readStat(filepath.Join(task, "stat"))
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// peakMemory returns the most memory that a process has occupied, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a process: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading the memory of a process: %w", err)
			}
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("reading the memory of process %d: there is no VmHWM", pid)
}
