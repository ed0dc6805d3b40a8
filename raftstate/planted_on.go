//go:build planted_ignore_epoch

package raftstate

// plantedIgnoreEpoch lets a node commit under a lease that another one has been
// granted since. No release has this build tag.
const plantedIgnoreEpoch = true
