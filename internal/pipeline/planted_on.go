//go:build planted_confirm_before_ack

package pipeline

// plantedConfirmBeforeAck lets positions be committed and confirmed that were
// read and are not yet acknowledged. No release has this build tag.
const plantedConfirmBeforeAck = true
