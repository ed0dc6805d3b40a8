package delayer

import (
	"time"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// Fetched makes a delayer tell what librdkafka's statistics say, which the program itself does not ask for.
func Fetched(cfg *Config, tell func(statistics string)) {
	made := *cfg
	cfg.open = func(partitions int) (Group, Offsets, func(), error) {
		group, offsets, done, err := made.openKafka(partitions)
		if err != nil {
			return nil, nil, nil, err
		}
		return &telling{kafkaGroup: group.(*kafkaGroup), tell: tell}, offsets, done, nil
	}
}

// telling is a Group of Kafka that tells of its statistics.
type telling struct {
	*kafkaGroup

	tell func(string)
}

func (g *telling) Poll(limit time.Duration) (any, error) {
	event := g.Consumer.Poll(limit)
	if text, ok := event.(rdkafka.Statistics); ok {
		g.tell(string(text))
	}
	return g.judge(event)
}
