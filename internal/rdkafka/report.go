package rdkafka

// #include "bulk.h"
import "C"

import "time"

// Report is what has happened since the last one.
type Report struct {
	Records, Bytes int64 // acknowledged: how many, and the sum of their costs
	// Appended is the newest LogAppendTime of these; zero if none has one. That of a
	// batch that was sent again, because an answer got lost, is of its first arrival.
	Appended time.Time
	// Refused is why the first record was not acknowledged that was not; nil: none. Topic is that record's.
	Refused error
	Topic   string
	// Event is something else: a ck.Error, a ck.LogEvent, a ck.OAuthBearerTokenRefresh, or nil.
	Event any
}

// Poll waits until librdkafka has something to say, or Interrupt is called.
func (p *Producer) Poll() Report {
	var c C.ks_report
	C.ks_poll(p.queue, p.headers, &c)
	r := Report{Records: int64(c.records), Bytes: int64(c.bytes)}
	if c.appended != 0 {
		r.Appended = time.UnixMilli(int64(c.appended))
	}
	if c.refused != 0 {
		r.Refused, r.Topic = failure(c.refused), C.GoString(&c.topic[0])
	}
	if c.event != nil {
		r.Event = p.read(c.event)
		C.rd_kafka_event_destroy(c.event)
	}
	return r
}
