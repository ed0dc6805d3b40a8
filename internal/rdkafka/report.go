package rdkafka

// #include "bulk.h"
import "C"

import (
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// Report is what has happened since the last one.
type Report struct {
	Records, Bytes int64 // acknowledged: how many, and the sum of their costs
	// Refused is why the first record was not acknowledged that was not; nil: none. Topic is that record's.
	Refused error
	Topic   string
	// Event is something else: a ck.Error, a ck.LogEvent, a ck.OAuthBearerTokenRefresh, or nil.
	Event any
}

// Poll waits until librdkafka has something to say, or Interrupt is called.
func (p *Producer) Poll() Report {
	var c C.ks_report
	C.ks_poll(p.queue, &c)
	r := Report{Records: int64(c.records), Bytes: int64(c.bytes)}
	if c.refused != 0 {
		r.Refused, r.Topic = failure(c.refused), C.GoString(&c.topic[0])
	}
	if c.event != nil {
		r.Event = p.read(c.event)
		C.rd_kafka_event_destroy(c.event)
	}
	return r
}

// Interrupt makes the Poll that is under way, or else the next one, return.
func (p *Producer) Interrupt() { C.rd_kafka_queue_yield(p.queue) }

// read copies what an event says; nil for those that do not concern us, such as statistics.
func (p *Producer) read(event *C.rd_kafka_event_t) any {
	switch C.rd_kafka_event_type(event) {
	case C.RD_KAFKA_EVENT_LOG:
		var tag, text *C.char
		var level C.int
		C.rd_kafka_event_log(event, &tag, &text, &level)
		return ck.LogEvent{Tag: C.GoString(tag), Message: C.GoString(text), Level: int(level), Timestamp: time.Now()}
	case C.RD_KAFKA_EVENT_ERROR:
		if C.rd_kafka_event_error_is_fatal(event) != 0 {
			if cause := p.FatalError(); cause != nil {
				return cause // the event says only that there is one
			}
		}
		return ck.NewError(ck.ErrorCode(C.rd_kafka_event_error(event)), C.GoString(C.rd_kafka_event_error_string(event)), false)
	case C.RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
		return ck.OAuthBearerTokenRefresh{}
	default:
		return nil
	}
}
