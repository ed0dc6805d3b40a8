package rdkafka

import "time"

// Patience is how long a commit that waits, and Release, wait for a broker. Who ends does several of these
// things one after the other, and whoever started us does not wait for ever.
const Patience = 3 * time.Second

// Release frees what is librdkafka's. That may wait without a limit for a broker that is away, or for a name
// server: after Patience Release returns all the same, and the rest is freed once librdkafka lets go of it.
func Release(free func()) {
	freed := make(chan struct{})
	go func() {
		defer close(freed)
		free()
	}()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-freed:
	case <-timer.C:
	}
}
