// The least that can be done to re-send, to read or to write: what a loop over librdkafka manages
// with nothing else in the way.
#ifndef KAFKASYNC_RELAY_H
#define KAFKASYNC_RELAY_H

#include "librdkafka.h"

// What is needed of librdkafka beyond that, declared in the same manner: a test has
// the compiler compare it with the real header.
enum { RELAY_BEGINNING = -2, RELAY_QUEUE_FULL = -184 };
#ifdef _RDKAFKA_H_
_Static_assert(RELAY_BEGINNING == RD_KAFKA_OFFSET_BEGINNING && RELAY_QUEUE_FULL == (int)RD_KAFKA_RESP_ERR__QUEUE_FULL, "numbers differ");
#endif
const char *rd_kafka_err2str(rd_kafka_resp_err_t err);
rd_kafka_resp_err_t rd_kafka_last_error(void);
rd_kafka_resp_err_t rd_kafka_topic_partition_list_set_offset(rd_kafka_topic_partition_list_t *rktparlist, const char *topic,
                                                             int32_t partition, int64_t offset);
rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *rk, int timeout_ms);
rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *partitions);
rd_kafka_resp_err_t rd_kafka_message_detach_headers(rd_kafka_message_t *rkmessage, rd_kafka_headers_t **hdrsp);
rd_kafka_resp_err_t rd_kafka_header_get_last(const rd_kafka_headers_t *hdrs, const char *name, const void **valuep, size_t *sizep);
rd_kafka_resp_err_t rd_kafka_header_remove(rd_kafka_headers_t *hdrs, const char *name);

#define RELAY_PARTITIONS 64 // the most that a topic may have here

typedef struct {
  rd_kafka_t *consumer, *producer; // without a producer it only reads, without a consumer it only writes
  rd_kafka_topic_t *to;
  rd_kafka_queue_t *records, *reports;
  int64_t ends[RELAY_PARTITIONS]; // where each partition ended before; what comes later is not waited for
  int unread;                     // partitions whose end has not been met
  int poll;                       // records come one by one, not in batches
  int look;                       // also where it only reads, a record's headers are taken apart
  int crowd;                      // all that is written goes to partition 0, whatever its key
  int64_t read, sent, acked;
  char failure[256]; // what went wrong first; "": nothing
} relay;

// The headers of a record that is written, in order. The value of that called seq is NULL: it is the record's own.
enum { RELAY_HEADERS = 8 };
typedef struct {
  const char *name, *value;
} relay_header;

// relay_open assigns the partitions of a topic, from their beginning. The clients
// stay the caller's, and outlive the relay.
void relay_open(relay *r, const char *from, const char *to, int partitions);

// relay_step takes what has arrived, at most a batch, and waits a moment for it.
void relay_step(relay *r);

// relay_run re-sends until all ends are met and all that was sent is acknowledged,
// or something fails.
void relay_run(relay *r);

// relay_write writes records {"id":n} whose key is n, from first on, and returns
// before they are acknowledged; relay_flush waits until all are.
void relay_write(relay *r, const relay_header *headers, int64_t first, int count, int64_t seq);
void relay_flush(relay *r);

void relay_close(relay *r);

#endif
