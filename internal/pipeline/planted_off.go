//go:build !planted_confirm_before_ack

package pipeline

// plantedConfirmBeforeAck is a bug to be built in on purpose, which shows that
// TestCrashPoints would find it: see planted_on.go.
const plantedConfirmBeforeAck = false
