#include "bulk.h"

#include <stdio.h>
#include <string.h>

// What comes back with a record: its cost, and above it the number of its headers' form.
static void *mark(uint32_t cost, uint32_t number) { return (void *)((uintptr_t)number << 32 | cost); }
static uint32_t cost_of(const rd_kafka_message_t *m) { return (uint32_t)(uintptr_t)m->_private; }
static uint32_t number_of(const rd_kafka_message_t *m) { return (uint32_t)((uintptr_t)m->_private >> 32); }

static rd_kafka_resp_err_t produce_one(ks_target to, ks_topic *t, int32_t partition, const ks_record *r, const char *at) {
  size_t key = r->key > 0 ? r->key : 0, value = r->value > 0 ? r->value : 0;
  uint32_t number;
  rd_kafka_headers_t *headers = ks_headers_take(to.headers, at + key + value, r->headers, &number);
  rd_kafka_resp_err_t err = rd_kafka_producev(
      to.rk,
      RD_KAFKA_VTYPE_RKT, t->handle,
      RD_KAFKA_VTYPE_PARTITION, partition,
      RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_MSG_F_COPY,
      RD_KAFKA_VTYPE_KEY, r->key < 0 ? NULL : at, key,
      RD_KAFKA_VTYPE_VALUE, r->value < 0 ? NULL : at + key, value,
      RD_KAFKA_VTYPE_HEADERS, headers, // the record's from now on, unless it fails
      RD_KAFKA_VTYPE_OPAQUE, mark(r->cost, number),
      RD_KAFKA_VTYPE_END);
  if (err)
    rd_kafka_headers_destroy(headers);
  return err;
}

// produce_next does so unless the record's partition is waiting.
static void produce_next(ks_target to, ks_topic *t, const ks_record *r, const char *at, int64_t now, ks_produced *done) {
  const char *key = r->key < 0 ? NULL : at;
  int32_t partition = r->partition >= 0 ? r->partition : ks_place(t, key, key ? (size_t)r->key : 0);
  pthread_mutex_lock(&t->lock);
  ks_partition_state *state = ks_state(t, partition < 0 ? 0 : partition);
  if (!state)
    done->err = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
  else if (state->alone)
    done->alone = 1;
  else
    // By its key librdkafka places it itself: it is the first to know of new partitions.
    done->err = produce_one(to, t, r->partition < 0 && key ? RD_KAFKA_PARTITION_UA : partition, r, at);
  // If there are more partitions since the last record, this one may be on another, but on a new one it is the first.
  int32_t elsewhere = ks_placed(t);
  if (elsewhere >= 0 && elsewhere != partition)
    state = ks_state(t, elsewhere);
  if (state && !done->err && !done->alone) {
    ks_sent(state, now);
    done->taken++;
  }
  pthread_mutex_unlock(&t->lock);
}

ks_produced ks_produce(ks_target to, const ks_record *records, int count, const char *bytes) {
  ks_produced done = {0, 0, 0};
  int64_t now = ks_now();
  while (done.taken < count && !done.err && !done.alone) {
    const ks_record *r = &records[done.taken];
    produce_next(to, (ks_topic *)r->topic, r, bytes + r->at, now, &done);
  }
  return done;
}

// count_reports adds up what one event says of its records.
static void count_reports(ks_headers *headers, rd_kafka_event_t *event, ks_report *report) {
  const rd_kafka_message_t *m, *last = NULL; // the event's, as is all they point to
  while ((m = rd_kafka_event_message_next(event))) {
    if (!m->err) {
      report->records++;
      report->bytes += cost_of(m);
      if (!last || last->rkt != m->rkt || last->partition != m->partition)
        ks_acked(rd_kafka_topic_opaque(m->rkt), m->partition);
      last = m;
      // An event shows its messages as const ones, but nobody reads their headers any more.
      ks_headers_keep(headers, (rd_kafka_message_t *)m, number_of(m));
    } else if (!report->refused) {
      report->refused = m->err;
      snprintf(report->topic, sizeof report->topic, "%s", rd_kafka_topic_name(m->rkt));
    }
  }
  if (!last)
    return;
  // One is enough: the records of an event were one batch, to which a broker gives one time.
  rd_kafka_timestamp_type_t kind;
  int64_t at = rd_kafka_message_timestamp(last, &kind);
  if (kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME && at > report->appended)
    report->appended = at;
}

void ks_poll(rd_kafka_queue_t *queue, ks_headers *headers, ks_report *report) {
  int timeout_ms = -1;
  memset(report, 0, sizeof *report);
  // A few at once, so that under load the caller is not kept waiting for the last of them.
  for (int i = 0; i < 16; i++) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
    if (!event)
      return;
    if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_DR) {
      report->event = event;
      return;
    }
    count_reports(headers, event, report);
    rd_kafka_event_destroy(event); // frees its records
    timeout_ms = 0;
  }
}

ks_partitions ks_ask(rd_kafka_t *rk, ks_topic *topic, int timeout_ms) {
  ks_partitions found = {0, 0, 0};
  const struct rd_kafka_metadata *metadata;
  found.err = rd_kafka_metadata(rk, 0, topic ? topic->handle : NULL, &metadata, timeout_ms);
  if (found.err)
    return found;
  if (topic && metadata->topic_cnt > 0) {
    const struct rd_kafka_metadata_topic *t = &metadata->topics[0];
    found.err = t->err;
    found.count = t->partition_cnt;
    for (int i = 0; i < t->partition_cnt; i++)
      found.leaderless += t->partitions[i].leader < 0;
    if (!t->err)
      topic->count = t->partition_cnt;
  }
  rd_kafka_metadata_destroy(metadata);
  return found;
}
