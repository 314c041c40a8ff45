/* The name server's key-value settings: (namespace, key) -> value. ORDER_TOPIC_CONFIG is the one namespace with a meaning
 * on the wire. In memory; kv_file.h keeps them. Bounded. Threads: the loop thread. */
#ifndef ESCROW_NAMESRV_KV_H
#define ESCROW_NAMESRV_KV_H

#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

/* One setting; all of them together. Each registration is answered with those of ORDER_TOPIC_CONFIG. */
enum { KV_COUNT_MAX = 10000, KV_TEXT_MAX = 65536, KV_BYTES_MAX = 4 * 1024 * 1024 };
/* Namespaces remembered after their last key was deleted; the one that was emptied first is forgotten first. */
enum { KV_EMPTIED_MAX = 100 };

struct kv;

struct kv *kv_create(void);
void kv_destroy(struct kv *kv);
enum status kv_put(struct kv *kv, struct span name_space, struct span key, struct span value, struct errinfo *err) MUST_USE;
/* {NULL, 0} if absent. */
struct span kv_get(const struct kv *kv, struct span name_space, struct span key);
void kv_delete(struct kv *kv, struct span name_space, struct span key);
/* For what a file says: a namespace without keys. */
enum status kv_remember_emptied(struct kv *kv, struct span name_space, struct errinfo *err) MUST_USE;
/* Appends KVTable JSON of a namespace; false if it never had a key. */
bool kv_table(const struct kv *kv, struct span name_space, struct buffer *out);

/* Counts changes. */
uint64_t kv_version(const struct kv *kv);

/* All settings, one namespace after the other. */
struct kv_visitor {
	void *context;
	void (*begin)(void *context, struct span name_space);
	void (*put)(void *context, struct span key, struct span value);
	void (*end)(void *context);
};
void kv_walk(const struct kv *kv, const struct kv_visitor *visitor);

#endif
