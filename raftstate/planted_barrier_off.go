//go:build !planted_skip_barrier

package raftstate

// plantedSkipBarrier is a bug to be built in on purpose: see planted_barrier_on.go.
const plantedSkipBarrier = false
