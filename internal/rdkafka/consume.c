#include "consume.h"

#include <stdlib.h>
#include <string.h>

ks_partition *ks_open(rd_kafka_t *rk, const char *topic, int32_t partition) {
  ks_partition *p = calloc(1, sizeof *p);
  if (!p)
    return NULL;
  p->queue = rd_kafka_queue_get_partition(rk, topic, partition);
  if (!p->queue) {
    free(p);
    return NULL;
  }
  // librdkafka forwards a partition's queue when it starts fetching, unless the application has said otherwise before.
  rd_kafka_queue_forward(p->queue, NULL);
  return p;
}

void ks_close(ks_partition *p) {
  for (; p->next < p->count; p->next++)
    rd_kafka_message_destroy(p->messages[p->next]);
  rd_kafka_queue_destroy(p->queue);
  free(p);
}

static rd_kafka_message_t *next_message(ks_partition *p) {
  if (p->next == p->count) {
    ssize_t n = rd_kafka_consume_batch_queue(p->queue, 0, p->messages, KS_AT_ONCE);
    p->next = 0;
    p->count = n < 0 ? 0 : (int)n;
  }
  return p->next < p->count ? p->messages[p->next] : NULL;
}

// What a record is written into. What does not fit any more is counted only.
typedef struct {
  char *bytes;
  uint64_t room, size;
} writer;

static void put(writer *w, const void *from, size_t length) {
  if (length > 0 && w->size + length <= w->room)
    memcpy(w->bytes + w->size, from, length);
  w->size += length;
}

// lay_out writes a record, and returns how many headers it has.
static int32_t lay_out(writer *w, const rd_kafka_message_t *m) {
  put(w, m->key, m->key ? m->key_len : 0);
  put(w, m->payload, m->payload ? m->len : 0);
  rd_kafka_headers_t *headers;
  if (rd_kafka_message_headers(m, &headers))
    return 0;
  int32_t count = 0;
  const char *name;
  const void *value;
  size_t length;
  while (!rd_kafka_header_get_all(headers, count, &name, &value, &length)) {
    uint32_t sizes[2] = {(uint32_t)strlen(name), (uint32_t)length};
    put(w, sizes, sizeof sizes);
    put(w, name, sizes[0]);
    put(w, value, sizes[1]);
    count++;
  }
  return count;
}

ks_take_result ks_take(ks_partition *p, ks_taken *records, int most, char *bytes, uint64_t capacity) {
  ks_take_result done = {0, 0, 0, 0};
  while (done.records < most) {
    rd_kafka_message_t *m = next_message(p);
    if (!m)
      break;
    if (m->err) {
      if (done.records > 0)
        break; // next time
      done.err = m->err;
      rd_kafka_message_destroy(m);
      p->next++;
      break;
    }
    ks_taken *r = &records[done.records];
    writer w = {bytes + done.bytes, capacity - done.bytes, 0};
    r->headers = lay_out(&w, m);
    if (w.size > w.room) {
      done.need = w.size;
      break;
    }
    rd_kafka_timestamp_type_t kind;
    r->timestamp = rd_kafka_message_timestamp(m, &kind);
    r->appended = kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    r->offset = m->offset;
    r->key = m->key ? (int64_t)m->key_len : -1;
    r->value = m->payload ? (int64_t)m->len : -1;
    r->at = done.bytes;
    done.bytes += w.size;
    done.records++;
    rd_kafka_message_destroy(m);
    p->next++;
  }
  return done;
}
