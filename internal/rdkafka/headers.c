#include "headers.h"

#include <stdlib.h>
#include <string.h>

ks_headers *ks_headers_new(void) {
  ks_headers *h = calloc(1, sizeof *h);
  if (!h)
    return NULL;
  h->ready = &h->stacks[0];
  h->back = &h->stacks[1];
  pthread_mutex_init(&h->lock, NULL);
  return h;
}

static void clear(ks_headers_stack *s) {
  while (s->count > 0)
    rd_kafka_headers_destroy(s->each[--s->count]);
}

// swap wants the lock, and an empty ready.
static void swap(ks_headers *h) {
  ks_headers_stack *empty = h->ready;
  h->ready = h->back;
  h->back = empty;
}

void ks_headers_destroy(ks_headers *h) {
  clear(h->ready);
  clear(h->back);
  pthread_mutex_destroy(&h->lock);
  free(h->form);
  free(h);
}

// A header in a batch. Nothing there is aligned.
typedef struct {
  uint32_t name_size, value_size;
  const char *name, *value;
} header;

static header read_header(const char *at) {
  header r;
  memcpy(&r.name_size, at, sizeof r.name_size);
  memcpy(&r.value_size, at + sizeof r.name_size, sizeof r.value_size);
  r.name = at + sizeof r.name_size + sizeof r.value_size;
  r.value = r.name + r.name_size;
  return r;
}

static void add(rd_kafka_headers_t *list, header r) {
  // Copies both. It fails only on headers that are read-only, which these are not.
  (void)rd_kafka_header_add(list, r.name, r.name_size, r.value, r.value_size);
}

static rd_kafka_headers_t *make(const char *at, int32_t count) {
  rd_kafka_headers_t *list = rd_kafka_headers_new((size_t)count);
  for (int32_t i = 0; i < count; i++) {
    header r = read_header(at);
    add(list, r);
    at = r.value + r.value_size;
  }
  return list;
}

static int has_form(const ks_headers *h, const char *at, size_t size, header last) {
  return h->form && h->name == size && h->size == size + last.name_size + 1 && memcmp(h->form, at, size) == 0 &&
         memcmp(h->form + size, last.name, last.name_size) == 0;
}

// is_among reports whether one of the headers between at and end has the name.
static int is_among(const char *at, const char *end, header name) {
  while (at < end) {
    header r = read_header(at);
    if (r.name_size == name.name_size && memcmp(r.name, name.name, name.name_size) == 0)
      return 1;
    at = r.value + r.value_size;
  }
  return 0;
}

// set_form forgets what is kept, which has another form. It returns 0 if there is no memory.
static int set_form(ks_headers *h, const char *at, size_t size, int32_t count, header last) {
  clear(h->ready);
  pthread_mutex_lock(&h->lock);
  swap(h);
  if (++h->number == 0)
    h->number = 1;
  h->count = (size_t)count;
  pthread_mutex_unlock(&h->lock);
  clear(h->ready);
  h->name = size;
  h->size = size + last.name_size + 1;
  char *form = realloc(h->form, h->size);
  if (!form) {
    free(h->form);
    h->form = NULL;
    return 0;
  }
  memcpy(form, at, size);
  memcpy(form + size, last.name, last.name_size);
  form[h->size - 1] = 0;
  h->form = form;
  return 1;
}

// kept returns NULL if there is none.
static rd_kafka_headers_t *kept(ks_headers *h) {
  if (h->ready->count == 0) {
    pthread_mutex_lock(&h->lock);
    swap(h);
    pthread_mutex_unlock(&h->lock);
  }
  return h->ready->count > 0 ? h->ready->each[--h->ready->count] : NULL;
}

rd_kafka_headers_t *ks_headers_take(ks_headers *h, const char *at, int32_t count, uint32_t *number) {
  const char *begin = at, *end = at; // of the last header
  header last = {0};
  for (int32_t i = 0; i < count; i++) {
    begin = end;
    last = read_header(begin);
    end = last.value + last.value_size;
  }
  size_t size = (size_t)(begin - at);
  rd_kafka_headers_t *list = NULL;
  *number = 0;
  if (count > 0 && has_form(h, at, size, last)) {
    *number = h->number;
    list = kept(h);
  } else if (count > 0 && !is_among(at, begin, last) && set_form(h, at, size, count, last)) { // it is by its name that it is replaced
    *number = h->number;
  }
  if (!list)
    return make(at, count);
  (void)rd_kafka_header_remove(list, h->form + h->name); // it has one
  add(list, last);
  return list;
}

void ks_headers_keep(ks_headers *h, rd_kafka_message_t *m, uint32_t number) {
  pthread_mutex_lock(&h->lock);
  rd_kafka_headers_t *list;
  // A plugin may have added one of its own (an interceptor's on_send), which is no other record's.
  if (number != 0 && number == h->number && h->back->count < KS_HEADERS_KEPT && !rd_kafka_message_headers(m, &list) &&
      rd_kafka_header_cnt(list) == h->count && !rd_kafka_message_detach_headers(m, &list))
    h->back->each[h->back->count++] = list;
  pthread_mutex_unlock(&h->lock);
}
