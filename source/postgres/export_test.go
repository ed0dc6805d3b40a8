package postgres

// MaxBatchChanges is for the conformance suite.
const MaxBatchChanges = maxBatchChanges
