package kafkasync

import "time"

// Pair is a topic and a delay that its messages carry. The cluster knows a pair
// before the first such message is written.
type Pair struct {
	Topic string
	Delay time.Duration
	// ID is Kafka's for this very topic: one that was deleted and created again has another. "" if the brokers know none.
	ID string
	// Ends holds the end of each partition when the pair became known: no message with the delay lies before it.
	// A partition that it does not hold came later, and is read from its beginning.
	Ends []int64
}
