package mysql

// For the tests of the package from outside.
const (
	MaxBatchChanges = maxBatchChanges
	MaxPrepared     = maxPrepared
)
