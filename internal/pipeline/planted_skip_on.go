//go:build planted_skip_first_batch

package pipeline

// plantedSkipFirstBatch passes over what a run that goes on from a checkpoint
// reads first. No release has this build tag.
const plantedSkipFirstBatch = true
