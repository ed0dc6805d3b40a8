package rdkafka

// #include <stdlib.h>
// #include <string.h>
// #include "consume.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// Consumer is a member of a consumer group whose partitions are read one by one:
// while nobody takes records of a partition, librdkafka fetches no more of it than
// queued.min.messages and queued.max.messages.kbytes say, and throws nothing away. It is for
// one goroutine, but for Interrupt and Committed.
type Consumer struct {
	client // its queue has what happens to the group, errors and log lines; no records

	asking sync.WaitGroup // calls of Committed, and others, that librdkafka has not ended
	lost   bool           // the group has gone on without this member, which is not back yet
	seeks  time.Time      // when it looks for a broker again
}

// Place is an offset of a partition, with the text that is committed beside it.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
	Metadata  string
}

// Assigned says that these partitions are added to what this member has. It
// is to answer with Assign, for all of them, with where to begin.
type Assigned struct{ Places []Place }

// Revoked says that these partitions are taken away. The member is to finish
// with them and answer with Unassign. If they are lost, somebody else has them already.
type Revoked struct {
	Places []Place
	Lost   bool
}

// Committed says what came of a Commit that did not wait.
type Committed struct{ Err error }

// NewConsumer starts librdkafka with its own properties, which must ask for a cooperative assignor and
// switch automatic commits off. It does not wait for a broker.
func NewConsumer(properties map[string]string) (*Consumer, error) {
	const events = C.RD_KAFKA_EVENT_REBALANCE | C.RD_KAFKA_EVENT_OFFSET_COMMIT | C.RD_KAFKA_EVENT_STATS
	handle, err := start(C.RD_KAFKA_CONSUMER, properties, events)
	if err != nil {
		return nil, err
	}
	C.rd_kafka_poll_set_consumer(handle) // fails only for what is no consumer
	queue := C.rd_kafka_queue_get_consumer(handle)
	if queue == nil {
		C.rd_kafka_destroy(handle)
		return nil, errors.New("opening a consumer: group.id is missing")
	}
	c := &Consumer{client: client{handle: handle, queue: queue}}
	if code := C.rd_kafka_set_log_queue(handle, queue); code != 0 {
		c.Close()
		return nil, fmt.Errorf("reading librdkafka's log: %w", failure(code))
	}
	return c, nil
}

// Close leaves the group and frees everything, as Release does. All partitions must have been closed.
func (c *Consumer) Close() {
	Release(func() {
		C.rd_kafka_set_log_level(c.handle, 0) // nobody reads it any more, and it would go to stderr
		c.asking.Wait()
		// It waits for a broker's word to every commit, and one that could not be sent is kept for as long as it takes.
		C.rd_kafka_consumer_close(c.handle) // what it says changes nothing any more
		C.rd_kafka_queue_destroy(c.queue)
		C.rd_kafka_destroy(c.handle)
	})
}

// Subscribe joins the group for these topics, in the place of those before.
func (c *Consumer) Subscribe(topics []string) error {
	places := make([]Place, len(topics))
	for i, t := range topics {
		places[i] = Place{Topic: t, Partition: C.RD_KAFKA_PARTITION_UA}
	}
	list := listOf(places)
	defer C.rd_kafka_topic_partition_list_destroy(list)
	return failure(C.rd_kafka_subscribe(c.handle, list))
}

// Poll waits for the next thing that happens, as long as limit says, or until
// Interrupt is called: an Assigned, Revoked, Committed, Statistics, ck.Error, ck.LogEvent or
// ck.OAuthBearerTokenRefresh; nil if there was nothing.
func (c *Consumer) Poll(limit time.Duration) any {
	c.seek()
	event := C.rd_kafka_queue_poll(c.queue, C.int(limit.Milliseconds()))
	if event == nil {
		return nil
	}
	defer C.rd_kafka_event_destroy(event)
	switch C.rd_kafka_event_type(event) {
	case C.RD_KAFKA_EVENT_REBALANCE:
		places := placesOf(C.rd_kafka_event_topic_partition_list(event))
		if ck.ErrorCode(C.rd_kafka_event_error(event)) == ck.ErrAssignPartitions {
			c.lost = false
			return Assigned{places}
		}
		c.lost = C.rd_kafka_assignment_lost(c.handle) != 0
		return Revoked{places, c.lost}
	case C.RD_KAFKA_EVENT_OFFSET_COMMIT:
		return Committed{committedError(C.rd_kafka_event_error(event), C.rd_kafka_event_topic_partition_list(event))}
	case C.RD_KAFKA_EVENT_STATS:
		return Statistics(C.GoString(C.rd_kafka_event_stats(event)))
	default:
		return c.read(event)
	}
}

// Statistics is librdkafka's report about itself, JSON, every statistics.interval.ms.
type Statistics string

// Assign adds partitions, which are read from their offsets on. They come in the order of places.
func (c *Consumer) Assign(places []Place) ([]*Partition, error) {
	partitions := make([]*Partition, 0, len(places))
	for _, p := range places {
		name := C.CString(p.Topic)
		// Before the assignment, which would else lead the records into the queue of all partitions.
		queue := C.ks_open(c.handle, name, C.int32_t(p.Partition))
		C.free(unsafe.Pointer(name))
		if queue == nil {
			closeAll(partitions)
			return nil, fmt.Errorf("opening the queue of partition %d of topic %s: there is none", p.Partition, p.Topic)
		}
		partitions = append(partitions, &Partition{queue: queue})
	}
	list := listOf(places)
	defer C.rd_kafka_topic_partition_list_destroy(list)
	if err := problem(C.rd_kafka_incremental_assign(c.handle, list)); err != nil {
		closeAll(partitions)
		return nil, fmt.Errorf("taking over partitions: %w", err)
	}
	return partitions, nil
}

// Unassign gives partitions back. They must have been closed.
func (c *Consumer) Unassign(places []Place) error {
	list := listOf(places)
	defer C.rd_kafka_topic_partition_list_destroy(list)
	if err := problem(C.rd_kafka_incremental_unassign(c.handle, list)); err != nil {
		return fmt.Errorf("giving partitions back: %w", err)
	}
	return nil
}

// Commit stores offsets and their texts for the group, as this member of this
// generation: it fails if the group has gone on without it. It returns when a
// broker has answered, or none has within Patience: then it may still be done
// later. With wait false it returns at once, and Poll returns a Committed later.
func (c *Consumer) Commit(places []Place, wait bool) error {
	list := listOf(places)
	defer C.rd_kafka_topic_partition_list_destroy(list)
	if !wait {
		return failure(C.rd_kafka_commit_queue(c.handle, list, c.queue, nil, nil))
	}
	// rd_kafka_commit waits without a limit. The queue is disabled when it is destroyed: an answer that comes
	// later is dropped, and the last one who refers to the queue frees it.
	queue := C.rd_kafka_queue_new(c.handle)
	defer C.rd_kafka_queue_destroy(queue)
	if err := failure(C.rd_kafka_commit_queue(c.handle, list, queue, nil, nil)); err != nil {
		return err
	}
	event := C.rd_kafka_queue_poll(queue, C.int(Patience.Milliseconds()))
	if event == nil {
		return ck.NewError(ck.ErrTimedOut, fmt.Sprintf("no broker has answered a commit for %s", Patience), false)
	}
	defer C.rd_kafka_event_destroy(event)
	return committedError(C.rd_kafka_event_error(event), C.rd_kafka_event_topic_partition_list(event))
}

// Committed asks what the group has committed for partitions, and with which texts: in the order of places, with
// the offset -1 where nothing is. It ends with ctx, or when limit is over. Any goroutine may call it, beside the others.
//
// An admin client must not be asked: librdkafka 2.15 reads memory that is not there when its
// ListConsumerGroupOffsets meets a coordinator that is not ready (rd_kafka_handle_OffsetFetch
// takes every client for a member of a group).
func (c *Consumer) Committed(ctx context.Context, places []Place, limit time.Duration) ([]Place, error) {
	list := listOf(places)
	var found []Place
	answered := make(chan error, 1)
	c.asking.Go(func() { // librdkafka cannot be told to stop
		defer C.rd_kafka_topic_partition_list_destroy(list)
		code := C.rd_kafka_committed(c.handle, list, C.int(limit.Milliseconds()))
		err := failure(code)
		switch {
		case err == nil:
			found, err = foundIn(list)
		case ck.ErrorCode(code) == ck.ErrGroupIDNotFound: // as some brokers say that it has committed nothing
			found, err = slices.Clone(places), nil
			for i := range found {
				found[i].Offset, found[i].Metadata = -1, ""
			}
		}
		answered <- err
	})
	select {
	case err := <-answered:
		return found, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// seekEvery is how often a member that has lost its place looks for a broker.
const seekEvery = time.Second

// seek makes librdkafka look for a broker, if the group has gone on without this member. It reads nothing then, so it has no other reason to
// connect; and it does not ask for its coordinator before it is connected, nor joins again before its last commit has come to one: after Kafka was
// away, it would wait for ever.
func (c *Consumer) seek() {
	now := time.Now()
	if !c.lost || now.Before(c.seeks) {
		return
	}
	c.seeks = now.Add(seekEvery)
	c.asking.Go(func() { // it waits
		var found *C.struct_rd_kafka_metadata
		if C.rd_kafka_metadata(c.handle, 0, nil, &found, C.int(seekEvery.Milliseconds())) == 0 {
			C.rd_kafka_metadata_destroy(found)
		}
	})
}

// foundIn is what was committed, by the answer for each partition.
func foundIn(list *C.rd_kafka_topic_partition_list_t) ([]Place, error) {
	found := placesOf(list)
	for i := range found {
		if err := failure(elements(list)[i].err); err != nil {
			return nil, err
		}
		found[i].Offset = max(found[i].Offset, -1)
	}
	return found, nil
}

// committedError is what came of a commit: of all of it, else of its first partition that failed.
func committedError(code C.rd_kafka_resp_err_t, list *C.rd_kafka_topic_partition_list_t) error {
	if ck.ErrorCode(code) == ck.ErrNoOffset {
		return nil // there was nothing to commit
	}
	if code != 0 || list == nil {
		return failure(code)
	}
	for i := range elements(list) {
		if err := failure(elements(list)[i].err); err != nil {
			return err
		}
	}
	return nil
}

// listOf returns a list of C's, which the caller destroys.
func listOf(places []Place) *C.rd_kafka_topic_partition_list_t {
	list := C.rd_kafka_topic_partition_list_new(C.int(len(places)))
	for _, p := range places {
		name := C.CString(p.Topic)
		element := C.rd_kafka_topic_partition_list_add(list, name, C.int32_t(p.Partition))
		C.free(unsafe.Pointer(name))
		element.offset = C.int64_t(p.Offset)
		if p.Metadata != "" {
			element.metadata = C.CBytes([]byte(p.Metadata)) // the list frees it
			element.metadata_size = C.size_t(len(p.Metadata))
		}
	}
	return list
}

func placesOf(list *C.rd_kafka_topic_partition_list_t) []Place {
	if list == nil {
		return nil
	}
	places := make([]Place, 0, int(list.cnt))
	for _, e := range elements(list) {
		place := Place{Topic: C.GoString(e.topic), Partition: int32(e.partition), Offset: int64(e.offset)}
		if e.metadata != nil {
			place.Metadata = string(C.GoBytes(e.metadata, C.int(e.metadata_size)))
		}
		places = append(places, place)
	}
	return places
}

func elements(list *C.rd_kafka_topic_partition_list_t) []C.rd_kafka_topic_partition_t {
	return unsafe.Slice(list.elems, int(list.cnt))
}

// problem is what an error object of C's says; it is gone afterwards.
func problem(e *C.rd_kafka_error_t) error {
	if e == nil {
		return nil
	}
	defer C.rd_kafka_error_destroy(e)
	return ck.NewError(ck.ErrorCode(C.rd_kafka_error_code(e)), C.GoString(C.rd_kafka_error_string(e)), C.rd_kafka_error_is_fatal(e) != 0)
}
