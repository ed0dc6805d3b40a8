package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// barrierEvery is how often Barrier looks; consumers commit twice a second.
const barrierEvery = 100 * time.Millisecond

// Barrier waits until the consumer of the name cfg.Name is done with everything that is in cfg.Topics now, or ctx ends. Any process may
// call it; it joins nothing. Of cfg it needs Brokers, Topics, Name and Kafka.
//
// What a transaction has committed is in Kafka a moment later, so who wants to know that his own change has arrived waits for its
// message first, or for the pipeline's lag to pass it.
func Barrier(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := errors.Join(cfg.validate(), cfg.reachable()); err != nil {
		return err
	}
	o, err := cfg.look(nil)
	if err != nil {
		return err
	}
	defer o.close()
	goal, err := o.survey(ctx, cfg.Topics)
	if err != nil {
		return cfg.explain(err)
	}
	if len(goal) == 0 {
		return fmt.Errorf("consumer: none of the topics %s is there", strings.Join(cfg.Topics, ", "))
	}
	for {
		behind := unpassed(goal)
		if len(behind) == 0 {
			return nil
		}
		if !pause(ctx.Done(), barrierEvery) {
			return fmt.Errorf("consumer %s has not passed %s: %w", cfg.Name, describe(behind), errors.Join(context.Cause(ctx), err))
		}
		if err = o.refresh(ctx, goal); err != nil && !isPassing(err) && ctx.Err() == nil {
			return cfg.explain(err)
		}
	}
}

// reachable fails without brokers, which only tests do without.
func (c Config) reachable() error {
	if len(c.Brokers) == 0 {
		return errors.New(`consumer: Brokers is empty, want addresses such as "kafka1:9092"`)
	}
	return nil
}

// onlooker asks for the offsets of a group without being a member.
type onlooker struct{ *rdkafka.Offsets }

// look makes one, with further properties of librdkafka.
func (c Config) look(more map[string]string) (*onlooker, error) {
	admin, err := ck.NewAdminClient(rdkafka.AdminConfig("kafkasync-consumer", c.Brokers, c.Kafka))
	if err != nil {
		return nil, c.refused(err)
	}
	c.Instance = "" // that of a member is not ours
	properties := c.properties(1)
	maps.Copy(properties, more)
	consumer, err := rdkafka.NewConsumer(properties)
	if err != nil {
		admin.Close()
		return nil, c.refused(err)
	}
	return &onlooker{&rdkafka.Offsets{Admin: admin, Consumer: consumer}}, nil
}

func (o *onlooker) close() {
	rdkafka.Release(func() {
		o.Admin.Close()
		o.Consumer.Close()
	})
}

// survey asks until it is answered or ctx ends: of a group that is new, and of partitions whose broker restarts, Kafka says
// only a moment later where they are.
func (o *onlooker) survey(ctx context.Context, topics []string) ([]rdkafka.Standing, error) {
	for {
		found, err := o.Survey(ctx, topics)
		if err == nil || !isPassing(err) {
			return found, err
		}
		if !pause(ctx.Done(), barrierEvery) {
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

// soon is survey with a limit.
func (o *onlooker) soon(ctx context.Context, topics []string) ([]rdkafka.Standing, error) {
	asking, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	return o.survey(asking, topics)
}

// refresh asks how far the group is by now.
func (o *onlooker) refresh(ctx context.Context, partitions []rdkafka.Standing) error {
	places := make([]rdkafka.Place, len(partitions))
	for i := range partitions {
		places[i] = rdkafka.Place{Topic: partitions[i].Topic, Partition: partitions[i].Number}
	}
	asking, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	until, _ := asking.Deadline()
	committed, err := o.Consumer.Committed(asking, places, time.Until(until))
	if err != nil {
		return fmt.Errorf("asking for the offsets of the group: %w", err)
	}
	for i := range committed {
		partitions[i].Committed, partitions[i].Note = committed[i].Offset, committed[i].Metadata
	}
	return nil
}

// unpassed are the partitions that the group is not done with up to the end that is noted.
func unpassed(partitions []rdkafka.Standing) (behind []rdkafka.Standing) {
	for i := range partitions {
		p := &partitions[i]
		n, noted := parseNote(p.Note)
		another := noted && n.id != p.ID && n.id != "" && p.ID != "" // it was committed of a topic that is gone
		if p.Begin < p.End && (p.Committed < p.End || another) {
			behind = append(behind, *p)
		}
	}
	return behind
}

// describe names a few partitions, for an error.
func describe(partitions []rdkafka.Standing) string {
	const most = 3
	var b strings.Builder
	for i := range partitions {
		p := &partitions[i]
		switch {
		case i == most:
			fmt.Fprintf(&b, " and %d more", len(partitions)-most)
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "offset %d of partition %d of %s (it is at %d)", p.End, p.Number, p.Topic, max(p.Committed, p.Begin))
	}
	return b.String()
}
