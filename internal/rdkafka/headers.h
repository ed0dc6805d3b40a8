// The headers of records on their way to Kafka.
//
// Each header is an allocation, made on the thread that produces and freed on the one that polls, and allocators are
// worst at that: it was a third of what a record cost. Records of one transaction, table and operation differ in their last
// header only, so the headers of a record that was acknowledged are kept, and another one gets them with a new last header.
#ifndef KAFKASYNC_HEADERS_H
#define KAFKASYNC_HEADERS_H

#include <pthread.h>

#include "librdkafka.h"

// How many lists a stack holds, each of some hundred bytes: as many as a batch has changes.
enum { KS_HEADERS_KEPT = 8192 };

typedef struct {
  rd_kafka_headers_t *each[KS_HEADERS_KEPT];
  int count;
} ks_headers_stack;

typedef struct {
  // The producing thread's: what all headers of the last record have in common with those that are kept.
  char *form;        // all but the last one, laid out as in bulk.h, and the name of the last one as a string
  size_t size, name; // of form; where in it the name begins
  ks_headers_stack *ready;

  pthread_mutex_t lock;
  // The producing thread changes these, under the lock.
  uint32_t number; // of the form, never 0 once there is one
  size_t count;    // of its headers, with the last one
  ks_headers_stack *back;

  ks_headers_stack stacks[2];
} ks_headers;

// ks_headers_new returns NULL if there is no memory.
ks_headers *ks_headers_new(void);
void ks_headers_destroy(ks_headers *h);

// ks_headers_take returns the headers that are laid out there, and a number for ks_headers_keep. They are the caller's
// until a message has them. It is for the producing thread.
rd_kafka_headers_t *ks_headers_take(ks_headers *h, const char *at, int32_t count, uint32_t *number);

// ks_headers_keep takes the headers of a message that is done, if the next ones may be like them.
void ks_headers_keep(ks_headers *h, rd_kafka_message_t *m, uint32_t number);

#endif
