// Package rdkafka is a Kafka client that talks to librdkafka in batches: many
// records go down in one call, and what happened to many comes back in one; many
// come up in one. Calls from Go to C, and an event for each record, were most of
// what a record cost.
//
// It uses the librdkafka that confluent-kafka-go brings along and links; so there
// is one librdkafka in the program, and errors are confluent-kafka-go's.
//
// It promises that a record's cost comes back once, with its acknowledgement, and
// that the records of an assigned partition come in order, out of a queue of that
// partition alone. It never calls from C into Go, and never lets C keep a pointer of Go's.
//
// What is C's: a client, its queue, its topics, its partitions and the headers that it keeps, from
// their making to Close. An event belongs to the call of Poll that took it.
package rdkafka

// #include <stdlib.h>
// #include "librdkafka.h"
import "C"

import (
	"maps"
	"slices"
	"time"
	"unsafe"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// errorText is how much of an error's text is taken.
const errorText = 512

// client is an instance of librdkafka.
type client struct {
	handle *C.rd_kafka_t
	queue  *C.rd_kafka_queue_t // what is to be polled
}

// start makes an instance with librdkafka's own properties. It does not wait for a broker.
func start(kind C.rd_kafka_type_t, properties map[string]string, events C.int) (*C.rd_kafka_t, error) {
	conf := C.rd_kafka_conf_new()
	names := slices.Sorted(maps.Keys(properties))
	const plugins = "plugin.library.paths" // first: they bring properties of their own
	if at, ok := slices.BinarySearch(names, plugins); ok {
		names = slices.Insert(slices.Delete(names, at, at+1), 0, plugins)
	}
	for _, name := range names {
		if err := set(conf, name, properties[name]); err != nil {
			C.rd_kafka_conf_destroy(conf)
			return nil, err
		}
	}
	// Without the log queue librdkafka would write to stderr.
	if err := set(conf, "log.queue", "true"); err != nil {
		C.rd_kafka_conf_destroy(conf)
		return nil, err
	}
	C.rd_kafka_conf_set_events(conf, events|C.RD_KAFKA_EVENT_ERROR|C.RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH)

	text := (*C.char)(C.malloc(errorText))
	defer C.free(unsafe.Pointer(text))
	handle := C.rd_kafka_new(kind, conf, text, errorText)
	if handle == nil {
		C.rd_kafka_conf_destroy(conf) // else it is the client's
		return nil, ck.NewError(ck.ErrInvalidArg, C.GoString(text), false)
	}
	return handle, nil
}

func set(conf *C.rd_kafka_conf_t, name, value string) error {
	cName, cValue := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(cName))
	defer C.free(unsafe.Pointer(cValue))
	text := (*C.char)(C.malloc(errorText))
	defer C.free(unsafe.Pointer(text))
	if C.rd_kafka_conf_set(conf, cName, cValue, text, errorText) != 0 {
		return ck.NewError(ck.ErrInvalidArg, C.GoString(text), false)
	}
	return nil
}

// Interrupt makes the Poll that is under way, or else the next one, return.
func (c *client) Interrupt() { C.rd_kafka_queue_yield(c.queue) }

// FatalError returns what ended the client for good, or nil.
func (c *client) FatalError() error {
	text := (*C.char)(C.malloc(errorText))
	defer C.free(unsafe.Pointer(text))
	if code := C.rd_kafka_fatal_error(c.handle, text, errorText); code != 0 {
		return ck.NewError(ck.ErrorCode(code), C.GoString(text), true)
	}
	return nil
}

// read copies what an event says; nil for those that do not concern us, such as statistics.
func (c *client) read(event *C.rd_kafka_event_t) any {
	switch C.rd_kafka_event_type(event) {
	case C.RD_KAFKA_EVENT_LOG:
		var tag, text *C.char
		var level C.int
		C.rd_kafka_event_log(event, &tag, &text, &level)
		return ck.LogEvent{Tag: C.GoString(tag), Message: C.GoString(text), Level: int(level), Timestamp: time.Now()}
	case C.RD_KAFKA_EVENT_ERROR:
		if C.rd_kafka_event_error_is_fatal(event) != 0 {
			if cause := c.FatalError(); cause != nil {
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

// failure is what a code stands for; nil for 0.
func failure(code C.rd_kafka_resp_err_t) error {
	if code == 0 {
		return nil
	}
	return ck.NewError(ck.ErrorCode(code), "", false)
}
