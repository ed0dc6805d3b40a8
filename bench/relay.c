#include "relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
  BATCH = 1000,
  // How long a batch may wait to become full, when the consumer has nothing more.
  FILL_MS = 5,
};

static void fail(relay *r, const char *what, const char *why) {
  if (!*r->failure)
    snprintf(r->failure, sizeof r->failure, "%s: %s", what, why);
}

static void fail_with(relay *r, const char *what, rd_kafka_resp_err_t err) { fail(r, what, rd_kafka_err2str(err)); }

static void assign(relay *r, const char *from, int partitions) {
  r->records = rd_kafka_queue_get_consumer(r->consumer);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; i++) {
    (void)rd_kafka_topic_partition_list_add(list, from, i);
    // Fails only for a partition that is not in the list.
    (void)rd_kafka_topic_partition_list_set_offset(list, from, i, RELAY_BEGINNING);
    r->unread += r->ends[i] > 0;
  }
  rd_kafka_resp_err_t err = rd_kafka_assign(r->consumer, list); // copies
  rd_kafka_topic_partition_list_destroy(list);
  if (err)
    fail_with(r, "assigning", err);
}

void relay_open(relay *r, const char *from, const char *to, int partitions) {
  if (r->producer) {
    r->to = rd_kafka_topic_new(r->producer, to, NULL);
    r->reports = rd_kafka_queue_get_main(r->producer);
  }
  if (r->consumer)
    assign(r, from, partitions);
}

void relay_close(relay *r) {
  if (r->consumer)
    rd_kafka_queue_destroy(r->records);
  if (r->producer) {
    rd_kafka_queue_destroy(r->reports);
    rd_kafka_topic_destroy(r->to);
  }
}

// collect counts the reports that are there; it waits for the first of them.
static void collect(relay *r, int timeout_ms) {
  rd_kafka_event_t *event;
  while ((event = rd_kafka_queue_poll(r->reports, timeout_ms))) {
    timeout_ms = 0;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
      const rd_kafka_message_t *m; // the event's
      while ((m = rd_kafka_event_message_next(event))) {
        if (m->err)
          fail_with(r, "delivering", m->err);
        r->acked++;
      }
    } else if (rd_kafka_event_error(event)) {
      fail(r, "producing", rd_kafka_event_error_string(event));
    }
    rd_kafka_event_destroy(event); // frees its records
  }
}

// delay_to_delayed changes the one header; 0: there is none.
static int delay_to_delayed(rd_kafka_headers_t *headers) {
  const void *value;
  size_t size;
  char delay[32];
  if (rd_kafka_header_get_last(headers, "delay", &value, &size) || size > sizeof delay)
    return 0;
  memcpy(delay, value, size); // it goes with the header
  (void)rd_kafka_header_remove(headers, "delay");
  (void)rd_kafka_header_add(headers, "delayed", 7, delay, size); // fail only on headers that are read-only
  return 1;
}

static void pass_on(relay *r, const rd_kafka_message_t *m, rd_kafka_headers_t *headers) {
  while (!*r->failure) {
    rd_kafka_resp_err_t err = rd_kafka_producev(
        r->producer,
        RD_KAFKA_VTYPE_RKT, r->to,
        RD_KAFKA_VTYPE_PARTITION, r->crowd ? 0 : RD_KAFKA_PARTITION_UA,
        RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_MSG_F_COPY,
        RD_KAFKA_VTYPE_KEY, m->key, m->key_len,
        RD_KAFKA_VTYPE_VALUE, m->payload, m->len,
        RD_KAFKA_VTYPE_HEADERS, headers, // the record's from now on
        RD_KAFKA_VTYPE_END);
    if (!err) {
      r->sent++;
      return;
    }
    if ((int)err != RELAY_QUEUE_FULL)
      fail_with(r, "producing", err);
    collect(r, 10); // makes room
  }
  rd_kafka_headers_destroy(headers);
}

static void take(relay *r, rd_kafka_message_t *m) {
  if (m->err) {
    fail_with(r, "reading", m->err);
    return;
  }
  r->unread -= m->offset + 1 == r->ends[m->partition];
  r->read++;
  rd_kafka_headers_t *headers;
  if (r->look)
    (void)rd_kafka_message_headers(m, &headers); // the record's
  if (!r->producer)
    return;
  if (rd_kafka_message_detach_headers(m, &headers))
    return; // it has none
  if (delay_to_delayed(headers))
    pass_on(r, m, headers);
  else
    rd_kafka_headers_destroy(headers);
}

static void poll_step(relay *r) {
  rd_kafka_message_t *m;
  for (int i = 0; i < BATCH && (m = rd_kafka_consumer_poll(r->consumer, FILL_MS)); i++) {
    take(r, m);
    rd_kafka_message_destroy(m);
  }
}

void relay_step(relay *r) {
  if (r->poll) {
    poll_step(r);
    return;
  }
  rd_kafka_message_t *messages[BATCH];
  ssize_t n = rd_kafka_consume_batch_queue(r->records, FILL_MS, messages, BATCH);
  if (n < 0)
    fail_with(r, "reading", rd_kafka_last_error());
  for (ssize_t i = 0; i < n; i++) {
    take(r, messages[i]);
    rd_kafka_message_destroy(messages[i]);
  }
}

void relay_run(relay *r) {
  while (r->unread > 0 && !*r->failure) {
    relay_step(r);
    collect(r, 0);
  }
  relay_flush(r);
}

void relay_flush(relay *r) {
  while (r->acked < r->sent && !*r->failure)
    collect(r, 100);
}

void relay_write(relay *r, const relay_header *headers, int64_t first, int count, int64_t seq) {
  char key[24], value[48], number[24];
  for (int64_t id = first; id < first + count && !*r->failure; id++) {
    snprintf(number, sizeof number, "%" PRId64, seq++);
    rd_kafka_headers_t *list = rd_kafka_headers_new(RELAY_HEADERS);
    for (const relay_header *h = headers; h < headers + RELAY_HEADERS && h->name; h++)
      (void)rd_kafka_header_add(list, h->name, -1, h->value ? h->value : number, -1); // fails only on headers that are read-only
    rd_kafka_message_t m = {.key = key, .payload = value};
    m.key_len = (size_t)snprintf(key, sizeof key, "%" PRId64, id);
    m.len = (size_t)snprintf(value, sizeof value, "{\"id\":%" PRId64 "}", id);
    pass_on(r, &m, list);
  }
  collect(r, 0);
}
