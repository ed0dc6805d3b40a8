package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// The parts of a round, in their order.
const (
	partReaders  = "readers"
	partProducer = "producer"
	partConsumer = "consumer"
	partLatency  = "latency"
	partDelayer  = "delayer"
)

// part is a measurement that each round takes.
type part struct {
	name    string
	measure func(b *bench, ctx context.Context, round int, r *result) error
}

func allParts() []part {
	return []part{
		{partReaders, (*bench).compareReaders},
		{partProducer, (*bench).measureProducer},
		{partConsumer, (*bench).compareConsumers},
		{partLatency, (*bench).addLatency},
		{partDelayer, (*bench).resend},
	}
}

func partNames() []string {
	var names []string
	for _, p := range allParts() {
		names = append(names, p.name)
	}
	return names
}

// parts returns what the options leave of all.
func (o options) parts() []part {
	var parts []part
	for _, p := range allParts() {
		out := p.name == partLatency && o.latency == 0 || p.name == partDelayer && o.delay == 0
		if !out && (o.only == "" || slices.Contains(strings.Split(o.only, ","), p.name)) {
			parts = append(parts, p)
		}
	}
	return parts
}

// needsDatabase reports whether a part, or the profile, reads a log.
func (o options) needsDatabase() bool {
	return o.profile != "" || slices.ContainsFunc(o.parts(), func(p part) bool { return p.name != partProducer && p.name != partConsumer })
}

// compare measures everything in turns and returns the report.
func (b *bench) compare(ctx context.Context) (string, error) {
	about, err := b.describe(ctx)
	if err != nil {
		return "", err
	}
	r := newResult(about)
	for round := range b.o.rounds {
		for _, p := range b.o.parts() {
			if err := p.measure(b, ctx, round, r); err != nil {
				return "", fmt.Errorf("round %d of the %s: %w", round+1, p.name, err)
			}
		}
	}
	return r.markdown(), nil
}

func (b *bench) compareReaders(ctx context.Context, round int, r *result) error {
	for _, w := range b.workloads() {
		if err := b.round(ctx, w, round, r); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

func (b *bench) measureProducer(ctx context.Context, round int, r *result) error {
	if err := b.rest(ctx); err != nil {
		return err
	}
	s, err := b.produce(ctx, filled{name: fmt.Sprint("bare", round)})
	if err != nil {
		return err
	}
	b.say("round %d: %s: %s", round+1, bareProducer, s)
	r.add(sameRecords, bareProducer, s)
	return nil
}

func (b *bench) addLatency(ctx context.Context, round int, r *result) error {
	l, err := b.measureLatency(ctx)
	if err != nil {
		return err
	}
	b.say("round %d: latency: %s", round+1, l)
	r.latencies = append(r.latencies, l)
	return nil
}
