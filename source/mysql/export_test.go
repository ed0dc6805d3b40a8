package mysql

import "time"

// MaxPrepared is for the tests of the package from outside.
const MaxPrepared = maxPrepared

// SetWriteTimeout is for a test that cannot wait for an hour.
func (s *Source) SetWriteTimeout(d time.Duration) { s.takes = d }
