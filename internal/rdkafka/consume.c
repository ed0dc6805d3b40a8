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

// measure returns how many bytes a record takes, and its headers; NULL if it has none.
static uint64_t measure(const rd_kafka_message_t *m, rd_kafka_headers_t **headers, int32_t *count) {
  uint64_t size = (m->key ? m->key_len : 0) + (m->payload ? m->len : 0);
  const char *name;
  const void *value;
  size_t length;
  *count = 0;
  *headers = NULL;
  if (rd_kafka_message_headers(m, headers))
    return size; // it has none
  while (!rd_kafka_header_get_all(*headers, *count, &name, &value, &length)) {
    size += 2 * sizeof(uint32_t) + strlen(name) + length;
    ++*count;
  }
  return size;
}

static char *put(char *at, const void *from, size_t length) {
  if (length > 0)
    memcpy(at, from, length);
  return at + length;
}

static void copy(char *at, const rd_kafka_message_t *m, const rd_kafka_headers_t *headers, int32_t count) {
  at = put(at, m->key, m->key ? m->key_len : 0);
  at = put(at, m->payload, m->payload ? m->len : 0);
  for (int32_t i = 0; i < count; i++) {
    const char *name;
    const void *value;
    size_t length;
    (void)rd_kafka_header_get_all(headers, i, &name, &value, &length); // it was there a moment ago
    uint32_t size[2] = {(uint32_t)strlen(name), (uint32_t)length};
    at = put(at, size, sizeof size);
    at = put(at, name, size[0]);
    at = put(at, value, size[1]);
  }
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
    rd_kafka_headers_t *headers;
    ks_taken *r = &records[done.records];
    uint64_t size = measure(m, &headers, &r->headers);
    if (size > capacity - done.bytes) {
      done.need = size;
      break;
    }
    rd_kafka_timestamp_type_t kind;
    r->timestamp = rd_kafka_message_timestamp(m, &kind);
    r->appended = kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    r->offset = m->offset;
    r->key = m->key ? (int64_t)m->key_len : -1;
    r->value = m->payload ? (int64_t)m->len : -1;
    r->at = done.bytes;
    copy(bytes + done.bytes, m, headers, r->headers);
    done.bytes += size;
    done.records++;
    rd_kafka_message_destroy(m);
    p->next++;
  }
  return done;
}
