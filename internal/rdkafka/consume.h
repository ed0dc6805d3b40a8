// Taking records off the queue of one partition, many in one call.
#ifndef KAFKASYNC_CONSUME_H
#define KAFKASYNC_CONSUME_H

#include "librdkafka.h"

// One record. Its bytes begin at `at` in the caller's buffer and are laid out as
// those of ks_record: the key, the value, and for each header two uint32_t, the
// lengths of name and value, and then these.
typedef struct {
  int64_t offset;
  int64_t timestamp; // milliseconds since 1970; -1: there is none
  uint64_t at;
  int64_t key, value; // lengths; -1: there is none
  int32_t headers;
  int32_t appended; // 1: the timestamp is the broker's (LogAppendTime)
} ks_taken;

// What ks_take got from librdkafka in one call.
enum { KS_AT_ONCE = 256 };

// The queue of a partition, and what was taken off it and has not been copied yet.
typedef struct {
  rd_kafka_queue_t *queue;
  int next, count;
  rd_kafka_message_t *messages[KS_AT_ONCE];
} ks_partition;

typedef struct {
  int records;
  uint64_t bytes;          // of the buffer that are used
  uint64_t need;           // the next record wants so many, and the buffer has fewer left; 0: there is no next one
  rd_kafka_resp_err_t err; // what librdkafka says instead of a record; then there are no records
} ks_take_result;

// ks_open returns the queue of a partition, which no longer ends in the one of
// all partitions. It is to be called before the partition is assigned.
ks_partition *ks_open(rd_kafka_t *rk, const char *topic, int32_t partition);
void ks_close(ks_partition *p);

// ks_take copies what has arrived, in order: at most `most` records that fit. It does not wait.
ks_take_result ks_take(ks_partition *p, ks_taken *records, int most, char *bytes, uint64_t capacity);

#endif
