//go:build !planted_deposed_commits

package raftstate

// plantedDeposedCommits is a bug to be built in on purpose: see planted_deposed_on.go.
const plantedDeposedCommits = false
