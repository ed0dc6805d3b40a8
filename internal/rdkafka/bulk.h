// The three things that are done in C: those with a loop over many records.
#ifndef KAFKASYNC_BULK_H
#define KAFKASYNC_BULK_H

#include "headers.h"
#include "topic.h"

// One record. Its bytes begin at `at` in the batch's buffer: the key, the value,
// and for each header two uint32_t, the lengths of name and value, and then these.
// It holds no pointer of Go's, and topic is a number so that cgo need not look.
typedef struct {
  uintptr_t topic; // ks_topic *
  uint64_t at;
  int64_t key, value; // lengths; -1: there is none
  int32_t partition;  // -1: by key
  int32_t headers;
  uint32_t cost; // comes back in ks_report.bytes
} ks_record;

// Where records go. The headers are this client's.
typedef struct {
  rd_kafka_t *rk;
  ks_headers *headers;
} ks_target;

typedef struct {
  int taken;
  rd_kafka_resp_err_t err; // why the next one was not
  int alone;               // or: it has to wait for one before it (see topic.h)
} ks_produced;

// ks_produce hands records over, in order, until one is refused or has to wait. librdkafka copies
// all bytes, so nothing of the caller's is used after it returns.
ks_produced ks_produce(ks_target to, const ks_record *records, int count, const char *bytes);

typedef struct {
  int64_t records, bytes;      // acknowledged: how many, and the sum of their costs
  int64_t appended;            // the newest LogAppendTime of these, in ms; 0: none has one
  rd_kafka_resp_err_t refused; // the first record that was not; 0: none
  char topic[256];             // of that record
  rd_kafka_event_t *event;     // something else has happened; the caller destroys it
} ks_report;

// ks_poll waits for events, as long as it takes or until rd_kafka_queue_yield,
// and takes those that are there.
void ks_poll(rd_kafka_queue_t *queue, ks_headers *headers, ks_report *report);

typedef struct {
  rd_kafka_resp_err_t err;
  int32_t count;
  int32_t leaderless; // how many of them have no leader
} ks_partitions;

// ks_ask asks a broker for the topic's partitions, which librdkafka then knows
// as well; without a topic it only sees whether a broker answers.
ks_partitions ks_ask(rd_kafka_t *rk, ks_topic *topic, int timeout_ms);

#endif
