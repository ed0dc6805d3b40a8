#include "topic.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

// What librdkafka's partitioner has last done on this thread. It also calls it on
// threads of its own, for records that it could not place at first.
static _Thread_local struct {
  int32_t partition, count;
} placed;

static int32_t partition_by_key(const rd_kafka_topic_t *topic, const void *key, size_t length, int32_t count, void *t, void *mark) {
  placed.count = count;
  placed.partition = rd_kafka_msg_partitioner_murmur2_random(topic, key, length, count, t, mark);
  return placed.partition;
}

ks_topic *ks_topic_new(rd_kafka_t *rk, const char *name) {
  ks_topic *t = calloc(1, sizeof *t);
  if (!t)
    return NULL;
  rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(rk);
  rd_kafka_topic_conf_set_opaque(conf, t);
  rd_kafka_topic_conf_set_partitioner_cb(conf, partition_by_key);
  t->handle = rd_kafka_topic_new(rk, name, conf);
  if (!t->handle) {
    rd_kafka_topic_conf_destroy(conf); // else it is the topic's
    free(t);
    return NULL;
  }
  pthread_mutex_init(&t->lock, NULL);
  return t;
}

void ks_topic_destroy(ks_topic *t) {
  rd_kafka_topic_destroy(t->handle);
  pthread_mutex_destroy(&t->lock);
  free(t->states);
  free(t);
}

int64_t ks_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
}

int32_t ks_place(ks_topic *t, const void *key, size_t length) {
  if (t->count == 0)
    return -1;
  if (!key)
    return (int32_t)(t->turn++ % (uint32_t)t->count);
  return rd_kafka_msg_partitioner_murmur2_random(t->handle, key, length, t->count, NULL, NULL);
}

int32_t ks_placed(ks_topic *t) {
  if (placed.count == 0)
    return -1;
  t->count = placed.count;
  placed.count = 0;
  return placed.partition;
}

ks_partition_state *ks_state(ks_topic *t, int32_t partition) {
  if (partition >= t->known) {
    int32_t known = partition + 1 > t->count ? partition + 1 : t->count;
    ks_partition_state *states = realloc(t->states, (size_t)known * sizeof *states);
    if (!states)
      return NULL;
    memset(states + t->known, 0, (size_t)(known - t->known) * sizeof *states);
    t->states = states;
    t->known = known;
  }
  return &t->states[partition];
}

void ks_sent(ks_partition_state *s, int64_t now) {
  if (s->acked == 0 || now - s->acked > KS_REMEMBERED_MS)
    s->alone = 1;
}

void ks_acked(ks_topic *t, int32_t partition) {
  pthread_mutex_lock(&t->lock);
  if (partition >= 0 && partition < t->known) {
    t->states[partition].acked = ks_now();
    t->states[partition].alone = 0;
  }
  pthread_mutex_unlock(&t->lock);
}
