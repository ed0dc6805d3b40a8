//go:build !planted_ignore_epoch

package raftstate

// plantedIgnoreEpoch is a bug to be built in on purpose, which shows that the
// tests of the state machine would find it: see planted_on.go.
const plantedIgnoreEpoch = false
