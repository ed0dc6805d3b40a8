//go:build !planted_deposed_commits && !planted_ignore_epoch

package raftstate

import "context"

// plantedDeposedCommits is a bug to be built in on purpose: see planted_deposed_on.go.
const plantedDeposedCommits = false

func (l *Lease) insist(_ context.Context, c commit, failed error) (commit, error) { return c, failed }
