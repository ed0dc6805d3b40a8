//go:build planted_deposed_commits

package raftstate

// plantedDeposedCommits lets a holder go on after its node has lost leadership: its context does not
// end, and what it commits goes, under the newest epoch that its node knows, to whoever leads. No
// release has this build tag.
const plantedDeposedCommits = true
