package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// describe says where and with what the result was measured.
func (b *bench) describe(ctx context.Context) ([][2]string, error) {
	revision, err := b.version(ctx)
	if err != nil {
		return nil, err
	}
	_, librdkafka := ck.LibraryVersion()
	about := [][2]string{
		{"date", time.Now().UTC().Format("2006-01-02 15:04 MST")},
		{"command", "`" + b.o.command + "`"},
		{"kafkasync", revision},
		{"machine", fmt.Sprintf("%s, %d cores for everything: servers, kafkasync, writers", field("/proc/cpuinfo", "model name"), runtime.NumCPU())},
		{"memory", memory()},
		{"kernel", kernel()},
		{"Kafka", b.kafka.Version() + ", one broker, 12 partitions, acks=all"},
		{"Go, librdkafka", runtime.Version() + ", " + librdkafka},
		{"rounds", fmt.Sprintf("%d, in each all that is compared on the same log or topic, in turns", b.o.rounds)},
		{"load average before", loadAverage()},
	}
	if b.db != nil {
		version, width, err := b.db.about(ctx)
		if err != nil {
			return nil, err
		}
		about = append(about, [2]string{b.db.names().server, version}, [2]string{"rows", fmt.Sprintf("%d of %.0f bytes in 11 columns", b.o.rows, width)})
	}
	if slices.ContainsFunc(b.o.parts(), func(p part) bool { return p.name == partDelayer }) {
		about = append(about, [2]string{"outage", fmt.Sprintf("a delay of %s, which passed while no node ran", b.o.delay)})
	}
	return about, nil
}

// version is the revision that kafkasync was built of.
func (b *bench) version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, b.binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("asking kafkasync for its version: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "revision"); ok {
			return strings.TrimSpace(rest), nil
		}
	}
	return "unknown", nil
}

// field returns the value of the first line "name : value" of a file in /proc.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memory() string {
	var kb int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d", &kb); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.0f GB", float64(kb)/1e6)
}

func kernel() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return "unknown"
	}
	var release strings.Builder
	for _, c := range u.Release {
		if c == 0 {
			break
		}
		release.WriteByte(byte(c))
	}
	return release.String()
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
