/* Every record kind under one interface: decode a payload and encode what came out. For the tests and the fuzzer. */
#ifndef ESCROW_TESTS_RECORD_CODECS_H
#define ESCROW_TESTS_RECORD_CODECS_H

#include <stdlib.h>

#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"

/* Decodes; on success *again (malloc, the caller frees) are the bytes that the result encodes to. */
typedef enum status (*record_again)(struct span payload, uint8_t **again, size_t *size, struct errinfo *err);

#define RECORD_AGAIN(kind)                                                                                      \
	static inline enum status again_##kind(struct span payload, uint8_t **again, size_t *size, struct errinfo *err) \
	{                                                                                                       \
		struct record_##kind r;                                                                         \
		enum status status = record_##kind##_decode(payload, &r, err);                                  \
                                                                                                                \
		if (status != ST_OK)                                                                            \
			return status;                                                                          \
		*size = record_##kind##_size(&r);                                                               \
		*again = malloc(*size);                                                                         \
		if (*again == NULL)                                                                             \
			abort();                                                                                \
		record_##kind##_encode(&r, *again);                                                             \
		return ST_OK;                                                                                   \
	}

/* The same for batches: the items are collected first. */
#define RECORD_AGAIN_BATCH(kind, max)                                                                           \
	struct kind##_items {                                                                                   \
		struct record_##kind items[max];                                                                \
		size_t count;                                                                                   \
	};                                                                                                      \
	static inline enum status collect_##kind(void *context, const struct record_##kind *item, struct errinfo *err) \
	{                                                                                                       \
		struct kind##_items *all = context;                                                             \
                                                                                                                \
		(void)err;                                                                                      \
		if (all->count == (max))                                                                        \
			abort();                                                                                \
		all->items[all->count++] = *item;                                                               \
		return ST_OK;                                                                                   \
	}                                                                                                       \
	static inline enum status again_##kind##s(struct span payload, uint8_t **again, size_t *size, struct errinfo *err) \
	{                                                                                                       \
		static struct kind##_items all;                                                                 \
                                                                                                                \
		all.count = 0;                                                                                  \
		enum status status = record_##kind##s_decode(payload, collect_##kind, &all, err);               \
		if (status != ST_OK)                                                                            \
			return status;                                                                          \
		*size = record_##kind##s_size(all.items, all.count);                                            \
		*again = malloc(*size);                                                                         \
		if (*again == NULL)                                                                             \
			abort();                                                                                \
		record_##kind##s_encode(all.items, all.count, *again);                                          \
		return ST_OK;                                                                                   \
	}

RECORD_AGAIN(message)
RECORD_AGAIN(half)
RECORD_AGAIN(decision)
RECORD_AGAIN(conflict)
RECORD_AGAIN(deliver)
RECORD_AGAIN(timer_cancel)
RECORD_AGAIN(carry)
RECORD_AGAIN_BATCH(check, RECORD_CHECKS_MAX)
RECORD_AGAIN_BATCH(offset, RECORD_OFFSETS_MAX)
RECORD_AGAIN_BATCH(pop, RECORD_POPS_MAX)
RECORD_AGAIN(topic)
RECORD_AGAIN(group)
RECORD_AGAIN(snapshot_mark)

struct record_codec {
	const char *name; /* Of its file in tests/data/records. */
	record_again again;
};

static const struct record_codec record_codecs[] = {
	{ "message", again_message },   { "half", again_half },         { "decision", again_decision },
	{ "conflict", again_conflict }, { "deliver", again_deliver },   { "timer_cancel", again_timer_cancel },
	{ "carry", again_carry },       { "check", again_checks },      { "offsets", again_offsets },
	{ "pop", again_pops },          { "topic", again_topic },       { "group", again_group },
	{ "snapshot_mark", again_snapshot_mark },
};
enum { RECORD_CODEC_COUNT = sizeof(record_codecs) / sizeof(record_codecs[0]) };

#endif
