package rdkafka

// #include <stdlib.h>
// #include "bulk.h"
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// Producer is an instance of librdkafka. One goroutine may call Poll while
// another calls the rest.
type Producer struct {
	client // its queue has reports, errors and log lines

	topics  []*Topic
	headers *C.ks_headers // those that can be used again
}

// Topic is librdkafka's handle of a topic; it ends with its producer.
type Topic struct {
	name   string
	handle *C.ks_topic
}

// NewProducer starts librdkafka with its own properties. It does not wait for a broker.
func NewProducer(properties map[string]string) (*Producer, error) {
	handle, err := start(C.RD_KAFKA_PRODUCER, properties, C.RD_KAFKA_EVENT_DR)
	if err != nil {
		return nil, err
	}
	headers := C.ks_headers_new()
	if headers == nil {
		C.rd_kafka_destroy(handle)
		return nil, errors.New("there is no memory for the headers of records")
	}
	p := &Producer{client: client{handle: handle, queue: C.rd_kafka_queue_get_main(handle)}, headers: headers}
	if code := C.rd_kafka_set_log_queue(handle, p.queue); code != 0 {
		p.Close()
		return nil, fmt.Errorf("reading librdkafka's log: %w", failure(code))
	}
	return p, nil
}

// Close gives up what is not acknowledged, and frees everything, as Release does. No other call may be under way or follow.
func (p *Producer) Close() {
	Release(func() {
		// Without purging, librdkafka would try to deliver before it goes. These flags it does not refuse.
		C.rd_kafka_purge(p.handle, C.RD_KAFKA_PURGE_F_QUEUE|C.RD_KAFKA_PURGE_F_INFLIGHT|C.RD_KAFKA_PURGE_F_NON_BLOCKING)
		for _, t := range p.topics {
			C.ks_topic_destroy(t.handle)
		}
		C.rd_kafka_queue_destroy(p.queue)
		C.rd_kafka_destroy(p.handle)
		C.ks_headers_destroy(p.headers)
	})
}

// Topic returns a handle that records and questions can name. It asks no broker:
// that is for Partitions, before the first record.
func (p *Producer) Topic(name string) (*Topic, error) {
	for _, t := range p.topics {
		if t.name == name {
			return t, nil
		}
	}
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	handle := C.ks_topic_new(p.handle, cName)
	if handle == nil { // the name is all it looks at
		return nil, ck.NewError(ck.ErrInvalidArg, fmt.Sprintf("%q cannot be the name of a topic", name), false)
	}
	t := &Topic{name: name, handle: handle}
	p.topics = append(p.topics, t)
	return t, nil
}

// Name is the topic's name.
func (t *Topic) Name() string { return t.name }

// Reach returns nil once a broker has answered. It cannot be cancelled.
func (p *Producer) Reach(limit time.Duration) error {
	return failure(C.ks_ask(p.handle, nil, C.int(limit.Milliseconds())).err)
}

// Partitions asks how many partitions a topic has, and how many of them have no
// leader. From then on librdkafka knows them too. It cannot be cancelled.
func (p *Producer) Partitions(t *Topic, limit time.Duration) (count, leaderless int32, err error) {
	found := C.ks_ask(p.handle, t.handle, C.int(limit.Milliseconds()))
	return int32(found.count), int32(found.leaderless), failure(found.err)
}

// InjectFatalError makes librdkafka raise a fatal error, for tests.
func (p *Producer) InjectFatalError(code ck.ErrorCode, reason string) error {
	cReason := C.CString(reason)
	defer C.free(unsafe.Pointer(cReason))
	return failure(C.rd_kafka_test_fatal_error(p.handle, C.rd_kafka_resp_err_t(code), cReason))
}
