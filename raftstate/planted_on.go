//go:build planted_ignore_epoch

package raftstate

// plantedIgnoreEpoch lets a node commit under a lease that another one has been granted since. A holder that is
// deposed goes on, or there would be nobody who tries: see planted_deposed_on.go. No release has this build tag.
const plantedIgnoreEpoch = true
