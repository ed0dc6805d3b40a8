package consumer

import (
	"math/rand/v2"
	"time"
)

// backoff is how long to wait after the nth failure in a row: twice as long each time, and at random in the
// upper half of that, so that processes that failed together do not come back together.
func backoff(n int, least, most time.Duration) time.Duration {
	d := most
	if shift := n - 1; shift < 32 && least<<shift < most && least<<shift > 0 {
		d = least << shift
	}
	return d/2 + rand.N(d/2+1)
}

// pause waits, unless stop is closed. It reports whether all of the time has passed.
func pause(stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}
