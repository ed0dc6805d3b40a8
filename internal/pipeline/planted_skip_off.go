//go:build !planted_skip_first_batch

package pipeline

// plantedSkipFirstBatch is a bug to be built in on purpose, which shows that
// TestCrashPoints would find it: see planted_skip_on.go.
const plantedSkipFirstBatch = false
