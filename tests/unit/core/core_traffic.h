/* Random traffic over a core fixture, and the core's recorded state as sorted lines of text, so that two ways to the same
 * state can be compared. */
#ifndef ESCROW_TESTS_CORE_TRAFFIC_H
#define ESCROW_TESTS_CORE_TRAFFIC_H

#include <stdarg.h>

#include "broker/core/pop.h"
#include "broker/core/removal.h"
#include "broker/core/state.h"
#include "lib/base/logging.h"
#include "tests/unit/core/core_fixture.h"

enum { ITEMS = 400, TOPICS = 3 };

static const char *const topic_names[TOPICS] = { "orders", "payments", "parcels" };

/* --- traffic ---------------------------------------------------------------------------------------------------------- */

struct traffic {
	struct fixture *f;
	uint64_t random;
	uint32_t next_key;
	struct send_result open[ITEMS];
	size_t open_count;
	int64_t offsets[TOPICS];
	bool keeps; /* Deletes nothing. */
};

static inline uint64_t chance(struct traffic *t, uint64_t n)
{
	return check_random(&t->random) % n;
}

static inline void send_something(struct traffic *t, bool half)
{
	char key[32], fresh[32];

	snprintf(key, sizeof(key), "key-%06u", t->next_key++);
	/* Now and then a topic that nobody has named before, also between two slices of a snapshot. */
	snprintf(fresh, sizeof(fresh), "fresh-%u", t->next_key / 37 % 50);
	struct sent sent = { .topic = chance(t, 12) == 0 ? fresh : topic_names[chance(t, TOPICS)], .key = key, .queue_id = (int32_t)chance(t, 4), .half = half,
			     .delay_level = chance(t, 6) == 0 ? (int64_t)(1 + chance(t, 3)) : 0 };
	struct send_result result;
	struct outcome outcome;
	if (fixture_send(t->f, sent, &result, &outcome) != ST_OK) {
		fixture_disk(t->f, true);
		return;
	}
	if (half && t->open_count < ITEMS)
		t->open[t->open_count++] = result;
}

static inline void end_something(struct traffic *t)
{
	struct outcome outcome;

	if (t->open_count == 0)
		return;
	size_t i = chance(t, t->open_count);
	enum status status = fixture_end(t->f, &t->open[i], chance(t, 3) == 0 ? OUTCOME_ROLLBACK : OUTCOME_COMMIT, false, &outcome);
	CU_ASSERT(status == ST_OK || status == ST_AGAIN || (status == ST_DENIED && outcome.code == RESP_TOPIC_NOT_EXIST));
	if (status != ST_AGAIN) /* Its topic is gone: rolled back. */
		t->open[i] = t->open[--t->open_count];
}

static inline void park_or_resume(struct traffic *t)
{
	struct outcome outcome = { 0 };

	if (t->open_count == 0)
		return;
	enum status status = core_operator_decide(t->f->core, t->open[chance(t, t->open_count)].log_offset,
						  chance(t, 2) == 0 ? OUTCOME_PARK : OUTCOME_RESUME, SPAN_LITERAL("op"), &outcome);
	(void)status; /* Parking what is parked is a no-op; resuming what is open is refused. */
}

static inline void update_offset(struct traffic *t)
{
	struct outcome outcome = { 0 };
	size_t topic = chance(t, TOPICS);

	if (core_update_offset(t->f->core, SPAN_LITERAL("readers"), span_of(topic_names[topic]), 0, ++t->offsets[topic], chance(t, 2) == 0,
			       &outcome) != ST_OK)
		t->offsets[topic]--;
}

static inline void delete_something(struct traffic *t)
{
	struct outcome outcome = { 0 };
	size_t topic = chance(t, TOPICS);
	enum status status;

	if (chance(t, 4) == 0) {
		status = core_delete_group(t->f->core, SPAN_LITERAL("readers"), chance(t, 2) == 0, &outcome);
		fixture_heartbeat(t->f, false);
	} else {
		status = core_delete_topic(t->f->core, span_of(topic_names[topic]), &outcome);
		t->offsets[topic] = 0;
	}
	CU_ASSERT(status == ST_OK || status == ST_AGAIN);
}

static inline void change_group(struct traffic *t)
{
	static const struct span policies[] = { SPAN_LITERAL("{\"type\":\"EXPONENTIAL\"}"), { NULL, 0 } };
	struct group_config config = group_config_default();
	struct outcome outcome = { 0 };

	config.retry_policy = policies[chance(t, 2)];
	config.retry_max_times = (int32_t)chance(t, 20);
	enum status status = chance(t, 2) == 0 ? core_put_group(t->f->core, SPAN_LITERAL("writers"), &config, &outcome) :
			     core_set_group_readable(t->f->core, SPAN_LITERAL("writers"), span_of(topic_names[chance(t, TOPICS)]),
						     chance(t, 2) == 0, &outcome);
	CU_ASSERT_EQUAL(status, ST_OK);
}

static inline void set_mode(struct traffic *t)
{
	struct outcome outcome = { 0 };
	enum status status = core_set_request_mode(t->f->core, span_of(topic_names[chance(t, TOPICS)]), SPAN_LITERAL("readers"),
						   REQUEST_MODE_POP, 1 + (uint32_t)chance(t, 5), &outcome);

	CU_ASSERT(status == ST_OK || status == ST_AGAIN || outcome.code == RESP_TOPIC_NOT_EXIST);
}

static inline void do_something(struct traffic *t)
{
	if (chance(t, 40) == 0)
		change_group(t);
	if (chance(t, 40) == 0)
		set_mode(t);
	if (!t->keeps && chance(t, 60) == 0)
		delete_something(t);
	switch (chance(t, 10)) {
	case 0: case 1: case 2: send_something(t, true); break;
	case 3: case 4: send_something(t, false); break;
	case 5: case 6: case 7: end_something(t); break;
	case 8: update_offset(t); break;
	default: park_or_resume(t); break;
	}
	if (chance(t, 12) == 0)
		fixture_advance(t->f, (int64_t)(10 * (1 + chance(t, 60))));
}

static inline struct traffic *traffic_create(struct fixture *f, uint64_t seed)
{
	struct traffic *t = calloc(1, sizeof(*t));

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	t->f = f;
	t->random = seed;
	fixture_heartbeat(f, false);
	fixture_heartbeat(f, true);
	return t;
}

/* --- the state, as text, in an order of its own --------------------------------------------------------------------- */

static inline int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
	char **items;
	size_t count, capacity;
};

static inline void add_line(struct lines *lines, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void add_line(struct lines *lines, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (lines->count == lines->capacity) {
		lines->capacity = lines->capacity == 0 ? 256 : 2 * lines->capacity;
		lines->items = realloc(lines->items, lines->capacity * sizeof(*lines->items));
	}
	lines->items[lines->count++] = strdup(text);
}

static inline void describe_queues(struct core *core, struct lines *lines)
{
	for (const struct topic *topic = topics_first_any(core->topics); topic != NULL; topic = topics_next_any(topic)) {
		add_line(lines, "topic %.*s %u %u %llu", SPAN_ARGS(topic->name), topic->settings.perm, topic->deleted,
			 (unsigned long long)topic->deleted_at);
		for (uint32_t q = 0; q < topic->queue_count; q++) {
			struct queue *queue = topic->queues[q];
			struct cq_entry e;
			uint64_t min = 0;
			if (queue == NULL)
				continue;
			CU_ASSERT_EQUAL(trimming_queue_min(core, queue, &min, NULL), ST_OK);
			if (queue->next_offset > 0) /* Waiting pulls make empty ones. */
				add_line(lines, "queue %.*s/%u [%llu,%llu)", SPAN_ARGS(topic->name), q, (unsigned long long)min,
					 (unsigned long long)queue->next_offset);
			for (uint64_t i = min; i < queue->next_offset; i++) {
				CU_ASSERT_EQUAL_FATAL(consume_queue_get(&queue->entries, i, &e, NULL), ST_OK);
				add_line(lines, "entry %.*s/%u/%llu at %llu body %llu size %u time %lld flags %x", SPAN_ARGS(topic->name), q,
					 (unsigned long long)i, (unsigned long long)e.log_offset, (unsigned long long)e.body_offset, e.size,
					 (long long)e.store_time_ms, e.flags);
			}
		}
	}
}

static inline void describe_transactions(struct core *core, struct lines *lines)
{
	const struct pending *p;
	struct half_entry half;
	struct resend resend;
	uint32_t cursor = 0;
	uint64_t resends = 0, found;

	for (uint64_t n = half_index_min(&core->halves); n < half_index_max(&core->halves); n++) {
		enum status status = half_index_get(&core->halves, n, &half, NULL);
		CU_ASSERT_FATAL(status == ST_OK || (status == ST_NOTFOUND && core->retention.count > 0 &&
						    commitlog_start(core->log) > LOG_SEGMENT_HEADER_SIZE));
		if (status != ST_OK)
			continue; /* Its records are gone, and the index was built anew. */
		if (half.half_offset >= commitlog_start(core->log) || pending_find(core->pending, n) != NULL)
			add_line(lines, "half %llu at %llu %u decided %llu", (unsigned long long)n, (unsigned long long)half.half_offset,
				 half.state, (unsigned long long)half.decision_offset);
	}
	while ((p = pending_next(core->pending, &cursor)) != NULL) {
		add_line(lines, "open %llu at %llu body %llu state %u checks %u/%u group %.*s size %u",
			 (unsigned long long)p->half_queue_offset, (unsigned long long)p->half_offset, (unsigned long long)p->body_offset,
			 p->state, p->attempts, p->answered, SPAN_ARGS(names_text(core->names, p->group_id)), p->record_size);
		CU_ASSERT_TRUE(resends_find(core->resends, p->name, &found) && found == p->half_queue_offset);
	}
	while (resends_next(core->resends, &resends, &resend)) {
		CU_ASSERT_TRUE(resends_find(core->resends, resend.name, &found) && found == resend.half_queue_offset);
		add_line(lines, "decided %llu", (unsigned long long)resend.half_queue_offset);
	}
}

static inline void describe_groups(struct core *core, struct lines *lines)
{
	for (const struct consumer_group *g = groups_first(core->groups); g != NULL; g = groups_next(g))
		add_line(lines, "group %.*s retries %d forbidden %.*s policy %.*s", SPAN_ARGS(g->name), g->settings.retry_max_times,
			 SPAN_ARGS(g->forbidden), SPAN_ARGS(g->settings.retry_policy));
}

static inline void describe_modes(struct core *core, struct lines *lines)
{
	for (const struct request_mode *mode = core->pops.modes; mode != NULL; mode = mode->hh.next) {
		if (mode->known)
			add_line(lines, "mode %.*s %.*s %u shared %u", SPAN_ARGS(names_text(core->names, mode->group_id)),
				 SPAN_ARGS(names_text(core->names, mode->topic_id)), mode->mode, mode->shared_queues);
	}
}

static inline void describe(struct core *core, struct lines *lines)
{
	struct offsets_cursor cursor = { 0 };
	struct offsets_entry offset;
	struct delayed d;
	size_t delays = 0;

	describe_queues(core, lines);
	describe_groups(core, lines);
	describe_modes(core, lines);
	describe_transactions(core, lines);
	while (offsets_next(core->offsets, &cursor, &offset))
		add_line(lines, "offset %.*s %.*s/%u %lld", SPAN_ARGS(names_text(core->names, offset.group_id)),
			 SPAN_ARGS(names_text(core->names, offset.topic_id)), offset.queue_id, (long long)offset.value);
	while (delays_next(&core->delays, &delays, &d))
		add_line(lines, "delayed %llu until %lld origin %llu body %llu delta %u", (unsigned long long)d.naming_offset,
			 (long long)d.deliver_at_ms, (unsigned long long)d.origin_offset, (unsigned long long)d.body_offset,
			 d.message_delta);
	/* A segment without anything open may have been let go and not be removed yet: a start brings it back. */
	for (size_t i = 0; i < core->retention.count; i++) {
		if (core->retention.segments[i].open_count == 0)
			continue;
		add_line(lines, "segment %llu open %llu", (unsigned long long)core->retention.segments[i].base,
			 (unsigned long long)core->retention.segments[i].open_count);
	}
	add_line(lines, "time %lld", (long long)core->store_time_ms);
	qsort(lines->items, lines->count, sizeof(*lines->items), by_text);
}

static inline void free_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->items[i]);
	free(lines->items);
	*lines = (struct lines){ 0 };
}

static inline bool same_lines(const struct lines *a, const struct lines *b)
{
	for (size_t i = 0; i < a->count || i < b->count; i++) {
		const char *x = i < a->count ? a->items[i] : "(end)", *y = i < b->count ? b->items[i] : "(end)";
		if (strcmp(x, y) != 0) {
			printf("\n  one:   %s\n  other: %s\n", x, y);
			return false;
		}
	}
	return true;
}

/* Small segments, kept by size. */
static inline struct fixture *create_small(uint64_t retention_bytes)
{
	struct core_config config = fixture_config();
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	config.retention_bytes = retention_bytes;
	config.snapshot_bytes = 40 * 1024;
	config.segment_bytes = LOG_SEGMENT_SIZE_MIN;
	f->disk = memdisk_create();
	f->config = config;
	f->segment_size = LOG_SEGMENT_SIZE_MIN;
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	return f;
}

static inline void run(struct traffic *t, int operations)
{
	for (int i = 0; i < operations; i++) {
		do_something(t);
		t->f->asked_count = 0; /* Nobody looks at them here. */
		fixture_snapshot_step(t->f);
		if (i % 3 == 0)
			fixture_disk(t->f, true);
	}
}

#endif
