package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/node"
)

// profile runs a node in this process on the bulk UPDATE. librdkafka's threads
// are not Go's: a profile shows them as one block, so their share is counted
// from /proc as well.
func (b *bench) profile(ctx context.Context) (string, error) {
	if err := b.prepare(ctx); err != nil {
		return "", fmt.Errorf("preparing: %w", err)
	}
	w := b.workloads()[0]
	end, err := b.write(ctx, w)
	if err != nil {
		return "", err
	}
	cfg, err := config.Load(b.program.file)
	if err != nil {
		return "", err
	}
	n, err := node.New(cfg, slog.New(slog.NewTextHandler(b.progress, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return "", err
	}
	if err := b.db.hangUp(ctx); err != nil {
		return "", err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.Run(running) }()
	s, err := b.profileUntil(ctx, end)
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return "", err
	}
	s.rows = w.rows
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\nthe profile is in %s: go tool pprof -top %s\n", w.name, s, b.o.profile, b.o.profile)
	return text.String(), nil
}

// profileUntil writes the profile from the moment that the server reads until the checkpoint passes end.
func (b *bench) profileUntil(ctx context.Context, end place) (s sample, err error) {
	server, err := b.awaitReader(ctx, databaseName, func() error { return nil })
	if err != nil {
		return s, err
	}
	file, err := os.Create(b.o.profile)
	if err != nil {
		return s, fmt.Errorf("writing the profile: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	began := time.Now()
	before, err := usageOf(os.Getpid(), server)
	if err != nil {
		return s, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return s, fmt.Errorf("starting the profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	err = every(ctx, 50*time.Millisecond, func() (bool, error) {
		at, err := b.program.reached(ctx)
		return at >= end, err
	})
	if err != nil {
		return s, err
	}
	s.took = time.Since(began)
	after, err := usageOf(os.Getpid(), server)
	s.spent(before, after)
	return s, err
}
