/* A core without a log: a pending table, check-back, and producers that a test drives by hand, on virtual time. */
#ifndef ESCROW_TESTS_CHECKBACK_FIXTURE_H
#define ESCROW_TESTS_CHECKBACK_FIXTURE_H

#include "tests/support/check.h"

#include <stdlib.h>

#include "checkback/checkback.h"

enum { ASKED_MAX = 100000, STEP_MS = 10, HALF_BYTES = 1000 };

struct asked {
	uint64_t half;
	uint64_t conn;
	int64_t at_ms;
};

struct world {
	struct checkback_config config;
	struct pending_table *table;
	struct checkback *checkback;
	int64_t now_ms;
	struct asked asked[ASKED_MAX];
	size_t asked_count;
	uint64_t stuck_conn;      /* Questions to it cannot be sent. */
	uint64_t full_conn;       /* Reads nothing. */
	uint64_t dying_conn;      /* Sending to it ends it. */
	uint32_t dying_group;
	size_t refused_count;
	bool park_fails;
	size_t exhausted_count;
	uint64_t exhausted_half;
};

static bool world_on_ask(void *context, struct pending *entry, uint64_t conn_id)
{
	struct world *w = context;

	if (conn_id == w->stuck_conn) {
		w->refused_count++;
		return false;
	}
	if (conn_id == w->dying_conn) {
		w->dying_conn = 0;
		checkback_producer_gone(w->checkback, w->dying_group, conn_id);
		return true;
	}
	if (w->asked_count == ASKED_MAX)
		abort();
	w->asked[w->asked_count++] = (struct asked){ entry->half_queue_offset, conn_id, w->now_ms };
	return true;
}

static bool world_on_full(void *context, uint64_t conn_id)
{
	return conn_id == ((const struct world *)context)->full_conn;
}

static void world_on_exhausted(void *context, struct pending *entry)
{
	struct world *w = context;

	w->exhausted_count++;
	w->exhausted_half = entry->half_queue_offset;
	if (w->park_fails)
		return;
	checkback_closed(w->checkback, entry);
	entry->state = TXN_PARKED;
}

static inline struct world *world_with(struct checkback_config config)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	struct checkback_effects effects = { w, world_on_ask, world_on_exhausted, world_on_full };
	w->config = config;
	w->now_ms = 1000000;
	w->table = pending_create(1000000);
	w->checkback = checkback_create(&config, w->table, &effects, w->now_ms);
	if (w->table == NULL || w->checkback == NULL)
		abort();
	return w;
}

static inline struct world *world_new(void)
{
	return world_with(checkback_config_default());
}

static inline void world_free(struct world *w)
{
	checkback_destroy(w->checkback);
	pending_destroy(w->table);
	free(w);
}

static inline struct pending *world_open_delayed(struct world *w, uint64_t half, uint32_t group, uint64_t conn, int64_t delay_ms)
{
	if (pending_reserve(w->table, group) != ST_OK || checkback_reserve(w->checkback, group) != ST_OK)
		abort();
	struct pending *entry = pending_insert(w->table, half, group);
	entry->conn_id = conn;
	entry->record_size = HALF_BYTES;
	entry->state = TXN_PREPARED;
	checkback_opened(w->checkback, entry, delay_ms, w->now_ms);
	return entry;
}

static inline struct pending *world_open(struct world *w, uint64_t half, uint32_t group, uint64_t conn)
{
	return world_open_delayed(w, half, group, conn, w->config.transaction_timeout_ms);
}

static inline void world_seen(struct world *w, uint32_t group, uint64_t conn)
{
	if (checkback_producer_seen(w->checkback, group, conn) != ST_OK)
		abort();
	checkback_dispatch(w->checkback, w->now_ms);
}

/* Time passes in steps of the broker's tick. */
static inline void world_pass(struct world *w, int64_t by_ms)
{
	for (int64_t end = w->now_ms + by_ms; w->now_ms < end;) {
		w->now_ms += end - w->now_ms < STEP_MS ? end - w->now_ms : STEP_MS;
		checkback_tick(w->checkback, w->now_ms);
		checkback_dispatch(w->checkback, w->now_ms);
	}
}

/* Commit or rollback: it leaves the table. */
static inline void world_decide(struct world *w, uint64_t half)
{
	struct pending *entry = pending_find(w->table, half);

	if (entry == NULL)
		abort();
	checkback_closed(w->checkback, entry);
	pending_remove(w->table, entry);
	checkback_dispatch(w->checkback, w->now_ms);
}

/* As the core does it. */
static inline void world_unknown(struct world *w, uint64_t half)
{
	struct pending *entry = pending_find(w->table, half);

	if (entry == NULL)
		abort();
	entry->answered += checkback_awaits_answer(entry);
	checkback_answered_unknown(w->checkback, entry, w->now_ms);
	checkback_dispatch(w->checkback, w->now_ms);
}

#endif
