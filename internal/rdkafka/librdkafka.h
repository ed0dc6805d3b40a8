// What we use of librdkafka, declared by hand: its own header lies inside
// another Go module, where cgo has no portable way to find it. The C ABI of
// librdkafka is stable, and a test has the compiler compare every line here
// with the real header, which then stands before this one.
#ifndef KAFKASYNC_LIBRDKAFKA_H
#define KAFKASYNC_LIBRDKAFKA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef _RDKAFKA_H_

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_topic_conf_s rd_kafka_topic_conf_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_op_s rd_kafka_event_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;
typedef int rd_kafka_event_type_t;
typedef int rd_kafka_resp_err_t; // in librdkafka an enum with negative values, which is an int
typedef int rd_kafka_conf_res_t; // the same

typedef struct rd_kafka_error_s rd_kafka_error_t;

typedef enum rd_kafka_type_t { RD_KAFKA_PRODUCER, RD_KAFKA_CONSUMER } rd_kafka_type_t;

typedef enum rd_kafka_timestamp_type_t {
  RD_KAFKA_TIMESTAMP_NOT_AVAILABLE,
  RD_KAFKA_TIMESTAMP_CREATE_TIME,
  RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME
} rd_kafka_timestamp_type_t;

enum {
  RD_KAFKA_VTYPE_END,
  RD_KAFKA_VTYPE_RKT = 2,
  RD_KAFKA_VTYPE_PARTITION,
  RD_KAFKA_VTYPE_VALUE,
  RD_KAFKA_VTYPE_KEY,
  RD_KAFKA_VTYPE_OPAQUE,
  RD_KAFKA_VTYPE_MSGFLAGS,
  RD_KAFKA_VTYPE_HEADERS = 10,
};
#define RD_KAFKA_PARTITION_UA ((int32_t)-1)
#define RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE (-194)
#define RD_KAFKA_MSG_F_COPY 0x2
#define RD_KAFKA_PURGE_F_QUEUE 0x1
#define RD_KAFKA_PURGE_F_INFLIGHT 0x2
#define RD_KAFKA_PURGE_F_NON_BLOCKING 0x4
#define RD_KAFKA_EVENT_DR 0x1
#define RD_KAFKA_EVENT_LOG 0x4
#define RD_KAFKA_EVENT_ERROR 0x8
#define RD_KAFKA_EVENT_REBALANCE 0x10
#define RD_KAFKA_EVENT_OFFSET_COMMIT 0x20
#define RD_KAFKA_EVENT_STATS 0x40
#define RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH 0x100

typedef struct rd_kafka_message_s {
  rd_kafka_resp_err_t err;
  rd_kafka_topic_t *rkt;
  int32_t partition;
  void *payload;
  size_t len;
  void *key;
  size_t key_len;
  int64_t offset;
  void *_private;
} rd_kafka_message_t;

typedef struct rd_kafka_topic_partition_s {
  char *topic;
  int32_t partition;
  int64_t offset;
  void *metadata;
  size_t metadata_size;
  void *opaque;
  rd_kafka_resp_err_t err;
  void *_private;
} rd_kafka_topic_partition_t;

typedef struct rd_kafka_topic_partition_list_s {
  int cnt;
  int size;
  rd_kafka_topic_partition_t *elems;
} rd_kafka_topic_partition_list_t;

struct rd_kafka_metadata_partition {
  int32_t id;
  rd_kafka_resp_err_t err;
  int32_t leader;
  int replica_cnt;
  int32_t *replicas;
  int isr_cnt;
  int32_t *isrs;
};

struct rd_kafka_metadata_topic {
  char *topic;
  int partition_cnt;
  struct rd_kafka_metadata_partition *partitions;
  rd_kafka_resp_err_t err;
};

struct rd_kafka_metadata {
  int broker_cnt;
  void *brokers;
  int topic_cnt;
  struct rd_kafka_metadata_topic *topics;
  int32_t orig_broker_id;
  char *orig_broker_name;
};

#endif // _RDKAFKA_H_

// These hold for the declarations above and for librdkafka's own.
#define AT(type, member, offset) \
  _Static_assert(offsetof(type, member) == (offset), #type "." #member " is not at " #offset)
_Static_assert(sizeof(void *) == 8, "the offsets below are those of 64 bits");
AT(rd_kafka_message_t, err, 0);
AT(rd_kafka_message_t, rkt, 8);
AT(rd_kafka_message_t, _private, 64);
AT(rd_kafka_message_t, offset, 56);
AT(rd_kafka_message_t, key_len, 48);
AT(rd_kafka_topic_partition_t, partition, 8);
AT(rd_kafka_topic_partition_t, metadata, 24);
AT(rd_kafka_topic_partition_t, err, 48);
_Static_assert(sizeof(rd_kafka_topic_partition_t) == 64, "partitions of a list are not 64 bytes apart");
AT(rd_kafka_topic_partition_list_t, cnt, 0);
AT(rd_kafka_topic_partition_list_t, elems, 8);
AT(struct rd_kafka_metadata, topic_cnt, 16);
AT(struct rd_kafka_metadata, topics, 24);
AT(struct rd_kafka_metadata_topic, partition_cnt, 8);
AT(struct rd_kafka_metadata_topic, partitions, 16);
AT(struct rd_kafka_metadata_topic, err, 24);
AT(struct rd_kafka_metadata_partition, leader, 8);
_Static_assert(sizeof(struct rd_kafka_metadata_partition) == 40, "partitions are not 40 bytes apart");
#undef AT
_Static_assert(sizeof(rd_kafka_resp_err_t) == sizeof(int) && sizeof(rd_kafka_conf_res_t) == sizeof(int), "enums are not ints");
_Static_assert(RD_KAFKA_PRODUCER == 0 && RD_KAFKA_CONSUMER == 1 && RD_KAFKA_MSG_F_COPY == 2, "numbers differ");
_Static_assert(RD_KAFKA_VTYPE_END == 0 && RD_KAFKA_VTYPE_RKT == 2 && RD_KAFKA_VTYPE_PARTITION == 3 && RD_KAFKA_VTYPE_VALUE == 4 &&
  RD_KAFKA_VTYPE_KEY == 5 && RD_KAFKA_VTYPE_OPAQUE == 6 && RD_KAFKA_VTYPE_MSGFLAGS == 7 && RD_KAFKA_VTYPE_HEADERS == 10, "numbers differ");
_Static_assert(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE == -194, "numbers differ");
_Static_assert(RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME == 2, "numbers differ");
_Static_assert(RD_KAFKA_PURGE_F_QUEUE == 1 && RD_KAFKA_PURGE_F_INFLIGHT == 2 && RD_KAFKA_PURGE_F_NON_BLOCKING == 4, "numbers differ");
_Static_assert(RD_KAFKA_EVENT_DR == 1 && RD_KAFKA_EVENT_LOG == 4 && RD_KAFKA_EVENT_ERROR == 8 &&
  RD_KAFKA_EVENT_REBALANCE == 0x10 && RD_KAFKA_EVENT_OFFSET_COMMIT == 0x20 && RD_KAFKA_EVENT_STATS == 0x40 &&
  RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH == 0x100, "numbers differ");

rd_kafka_conf_t *rd_kafka_conf_new(void);
void rd_kafka_conf_destroy(rd_kafka_conf_t *conf);
rd_kafka_conf_res_t rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, char *errstr, size_t errstr_size);
void rd_kafka_conf_set_events(rd_kafka_conf_t *conf, int events);

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *errstr, size_t errstr_size);
void rd_kafka_destroy(rd_kafka_t *rk);
rd_kafka_resp_err_t rd_kafka_flush(rd_kafka_t *rk, int timeout_ms);
rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *rk, int purge_flags);
rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *rk, char *errstr, size_t errstr_size);
rd_kafka_resp_err_t rd_kafka_test_fatal_error(rd_kafka_t *rk, rd_kafka_resp_err_t err, const char *reason);

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *rk, const char *topic, rd_kafka_topic_conf_t *conf);
void rd_kafka_topic_destroy(rd_kafka_topic_t *rkt);
const char *rd_kafka_topic_name(const rd_kafka_topic_t *rkt);
void *rd_kafka_topic_opaque(const rd_kafka_topic_t *rkt);
rd_kafka_topic_conf_t *rd_kafka_default_topic_conf_dup(rd_kafka_t *rk);
void rd_kafka_topic_conf_destroy(rd_kafka_topic_conf_t *topic_conf);
void rd_kafka_topic_conf_set_opaque(rd_kafka_topic_conf_t *conf, void *rkt_opaque);
void rd_kafka_topic_conf_set_partitioner_cb(rd_kafka_topic_conf_t *topic_conf,
                                            int32_t (*partitioner)(const rd_kafka_topic_t *rkt, const void *keydata, size_t keylen,
                                                                   int32_t partition_cnt, void *rkt_opaque, void *msg_opaque));
int32_t rd_kafka_msg_partitioner_murmur2_random(const rd_kafka_topic_t *rkt, const void *key, size_t keylen, int32_t partition_cnt,
                                                void *rkt_opaque, void *msg_opaque);
rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *rk, int all_topics, rd_kafka_topic_t *only_rkt,
                                      const struct rd_kafka_metadata **metadatap, int timeout_ms);
void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata);

rd_kafka_headers_t *rd_kafka_headers_new(size_t initial_count);
void rd_kafka_headers_destroy(rd_kafka_headers_t *hdrs);
rd_kafka_resp_err_t rd_kafka_header_add(rd_kafka_headers_t *hdrs, const char *name, ssize_t name_size,
                                        const void *value, ssize_t value_size);
size_t rd_kafka_header_cnt(const rd_kafka_headers_t *hdrs);
rd_kafka_resp_err_t rd_kafka_header_remove(rd_kafka_headers_t *hdrs, const char *name);
rd_kafka_resp_err_t rd_kafka_producev(rd_kafka_t *rk, ...);

rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *rk);
rd_kafka_queue_t *rd_kafka_queue_get_main(rd_kafka_t *rk);
void rd_kafka_queue_destroy(rd_kafka_queue_t *rkqu);
void rd_kafka_queue_yield(rd_kafka_queue_t *rkqu);
rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *rkqu, int timeout_ms);
void rd_kafka_set_log_level(rd_kafka_t *rk, int level);
rd_kafka_resp_err_t rd_kafka_set_log_queue(rd_kafka_t *rk, rd_kafka_queue_t *rkqu);

rd_kafka_event_type_t rd_kafka_event_type(const rd_kafka_event_t *rkev);
const rd_kafka_message_t *rd_kafka_event_message_next(rd_kafka_event_t *rkev);
rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *rkev);
const char *rd_kafka_event_error_string(rd_kafka_event_t *rkev);
int rd_kafka_event_error_is_fatal(rd_kafka_event_t *rkev);
int rd_kafka_event_log(rd_kafka_event_t *rkev, const char **fac, const char **str, int *level);
void rd_kafka_event_destroy(rd_kafka_event_t *rkev);

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *rk);
rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *rk);
rd_kafka_queue_t *rd_kafka_queue_get_partition(rd_kafka_t *rk, const char *topic, int32_t partition);
void rd_kafka_queue_forward(rd_kafka_queue_t *src, rd_kafka_queue_t *dst);
ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t *rkqu, int timeout_ms, rd_kafka_message_t **rkmessages, size_t rkmessages_size);
void rd_kafka_message_destroy(rd_kafka_message_t *rkmessage);
int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *rkmessage, rd_kafka_timestamp_type_t *tstype);
rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *rkmessage, rd_kafka_headers_t **hdrsp);
rd_kafka_resp_err_t rd_kafka_message_detach_headers(rd_kafka_message_t *rkmessage, rd_kafka_headers_t **hdrsp);
rd_kafka_resp_err_t rd_kafka_header_get_all(const rd_kafka_headers_t *hdrs, size_t idx, const char **namep,
                                            const void **valuep, size_t *sizep);

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size);
void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *rkparlist);
rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_add(rd_kafka_topic_partition_list_t *rktparlist, const char *topic,
                                                              int32_t partition);

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *topics);
rd_kafka_error_t *rd_kafka_incremental_assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *partitions);
rd_kafka_error_t *rd_kafka_incremental_unassign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *partitions);
int rd_kafka_assignment_lost(rd_kafka_t *rk);
rd_kafka_resp_err_t rd_kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions, int timeout_ms);
rd_kafka_resp_err_t rd_kafka_commit_queue(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_queue_t *rkqu,
                                          void (*cb)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                                                     rd_kafka_topic_partition_list_t *offsets, void *commit_opaque),
                                          void *commit_opaque);
rd_kafka_resp_err_t rd_kafka_consumer_close(rd_kafka_t *rk);

rd_kafka_resp_err_t rd_kafka_error_code(const rd_kafka_error_t *error);
const char *rd_kafka_error_string(const rd_kafka_error_t *error);
int rd_kafka_error_is_fatal(const rd_kafka_error_t *error);
void rd_kafka_error_destroy(rd_kafka_error_t *error);

rd_kafka_topic_partition_list_t *rd_kafka_event_topic_partition_list(rd_kafka_event_t *rkev);
const char *rd_kafka_event_stats(rd_kafka_event_t *rkev);

#endif
