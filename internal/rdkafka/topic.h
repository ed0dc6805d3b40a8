// A topic of a producer, and what its partitions have shown.
//
// A broker that has no state of a producer takes its first batch with any sequence
// number (KAFKA-15591). While it becomes a partition's leader it may refuse the
// first of several requests in flight, and take the second; and librdkafka, on the
// success of the second, reports the records of the first as delivered, although
// they are not. So the first record of a partition is alone until it is
// acknowledged, and so is the first one after a pause in which a broker may have
// forgotten the producer (producer.id.expiration.ms, by default a day).
#ifndef KAFKASYNC_TOPIC_H
#define KAFKASYNC_TOPIC_H

#include <pthread.h>

#include "librdkafka.h"

// How long a broker that has acknowledged something surely remembers the producer.
enum { KS_REMEMBERED_MS = 60 * 1000 };

typedef struct {
  int64_t acked; // when the last record was, by ks_now; 0: none yet
  int alone;     // a record is on its way that others have to wait for
} ks_partition_state;

typedef struct {
  rd_kafka_topic_t *handle;
  int32_t count; // how many partitions librdkafka was seen to know; the producing thread's
  uint32_t turn; // of records without a key; the producing thread's
  pthread_mutex_t lock;
  int32_t known; // how many states there are
  ks_partition_state *states;
} ks_topic;

// ks_topic_new returns NULL if it cannot be a topic's name. There is to be one for a name.
ks_topic *ks_topic_new(rd_kafka_t *rk, const char *name);
void ks_topic_destroy(ks_topic *t);

// ks_now is a clock in milliseconds that never goes back, and is never 0.
int64_t ks_now(void);

// ks_place chooses a partition as any client does; -1: not known yet.
int32_t ks_place(ks_topic *t, const void *key, size_t length);

// ks_placed returns the partition that librdkafka has chosen on this thread since the last call; -1: none.
int32_t ks_placed(ks_topic *t);

// These want the lock. ks_state makes the states of new partitions; NULL: no memory.
ks_partition_state *ks_state(ks_topic *t, int32_t partition);
// ks_sent notes that a record is on its way.
void ks_sent(ks_partition_state *s, int64_t now);

// ks_acked notes that a record was acknowledged.
void ks_acked(ks_topic *t, int32_t partition);

#endif
