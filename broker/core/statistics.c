#include "broker/core/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/table.h"

enum {
	MINUTE_SAMPLES = 7, MINUTE_STEP_MS = 10 * 1000,
	HOUR_SAMPLES = 7, HOUR_STEP_MS = 10 * 60 * 1000,
	DAY_SAMPLES = 25, DAY_STEP_MS = 60 * 60 * 1000,
	SAMPLES = MINUTE_SAMPLES + HOUR_SAMPLES + DAY_SAMPLES,
	TOTALS_SAMPLES = 601, TOTALS_STEP_MS = 1000,
	DAY_MS = 24 * 60 * 60 * 1000,
	MINUTE_MS = 60 * 1000,
};

/* Counters of a flow; calls are what `per_call` divides by. */
struct counters {
	uint64_t count, bytes, back, calls;
};

struct flow {
	UT_hash_handle hh;
	struct flow_key {
		uint32_t topic_id, group_id; /* Group 0: what was put. */
	} key;
	struct counters now;
	struct counters samples[SAMPLES];
};

/* Where in each flow's samples a window has its own, and when they were taken. */
struct window {
	unsigned first, size; /* Of struct flow's samples. */
	int64_t step_ms;
	unsigned next;        /* The oldest one: overwritten next. */
	int64_t next_ms;
	int64_t taken_ms[DAY_SAMPLES];
};

struct statistics {
	struct flow *flows;
	size_t flow_max;
	struct window windows[3];
	struct statistics_totals now, midnight, day_before;
	struct statistics_totals totals[TOTALS_SAMPLES];
	int64_t totals_taken_ms[TOTALS_SAMPLES];
	unsigned totals_next;
	int64_t totals_next_ms;
	int64_t started_wall_ms, day;
	struct flow all_put, all_got; /* Of all topics. */
	uint64_t latencies[STATISTICS_LATENCIES];        /* Since the start, */
	uint64_t latencies_then[STATISTICS_LATENCIES];   /* up to the end of the last whole minute, */
	uint64_t latencies_minute[STATISTICS_LATENCIES]; /* in that minute. */
	int64_t minute_next_ms;
	uint64_t waiting;         /* Put, not yet committed. */
	int64_t waiting_since_ms; /* Of the first of those. */
	int64_t longest_ms;
};

/* Upper ends of the classes, ms; the last has none. */
static const int64_t class_ends_ms[STATISTICS_LATENCIES - 1] = { 0, 10, 50, 100, 200, 500, 1000, 2000, 3000, 4000, 5000, 10000 };

struct statistics *statistics_create(size_t flow_max, int64_t wall_ms, int64_t mono_ms)
{
	struct statistics *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->flow_max = flow_max;
	s->started_wall_ms = wall_ms;
	s->day = wall_ms / DAY_MS;
	s->totals_next_ms = mono_ms + TOTALS_STEP_MS;
	s->minute_next_ms = mono_ms + MINUTE_MS;
	s->windows[0] = (struct window){ 0, MINUTE_SAMPLES, MINUTE_STEP_MS, .next_ms = mono_ms + MINUTE_STEP_MS };
	s->windows[1] = (struct window){ MINUTE_SAMPLES, HOUR_SAMPLES, HOUR_STEP_MS, .next_ms = mono_ms + HOUR_STEP_MS };
	s->windows[2] = (struct window){ MINUTE_SAMPLES + HOUR_SAMPLES, DAY_SAMPLES, DAY_STEP_MS, .next_ms = mono_ms + DAY_STEP_MS };
	/* Before the start there was nothing: what is sampled then is right for all flows that come. */
	for (unsigned i = 0; i < TOTALS_SAMPLES; i++)
		s->totals_taken_ms[i] = mono_ms;
	for (unsigned w = 0; w < 3; w++) {
		for (unsigned i = 0; i < DAY_SAMPLES; i++)
			s->windows[w].taken_ms[i] = mono_ms;
	}
	return s;
}

static void forget(struct statistics *s, struct flow *flow)
{
	HASH_DEL(s->flows, flow);
	free(flow);
}

void statistics_destroy(struct statistics *s)
{
	if (s == NULL)
		return;
	while (s->flows != NULL)
		forget(s, s->flows);
	free(s);
}

void statistics_forget_topic(struct statistics *s, uint32_t topic_id)
{
	struct flow *flow, *next;

	HASH_ITER(hh, s->flows, flow, next) {
		if (flow->key.topic_id == topic_id)
			forget(s, flow);
	}
}

static struct flow *find(const struct statistics *s, uint32_t topic_id, uint32_t group_id)
{
	struct flow_key key = { topic_id, group_id };
	struct flow *flow;

	HASH_FIND(hh, s->flows, &key, sizeof(key), flow);
	return flow;
}

/* NULL: no room. */
static struct flow *flow_of(struct statistics *s, uint32_t topic_id, uint32_t group_id)
{
	struct flow *flow = find(s, topic_id, group_id);

	if (flow != NULL || HASH_COUNT(s->flows) >= s->flow_max)
		return flow;
	flow = calloc(1, sizeof(*flow));
	if (flow == NULL)
		return NULL;
	flow->key = (struct flow_key){ topic_id, group_id };
	HASH_ADD(hh, s->flows, key, sizeof(flow->key), flow);
	if (table_took(flow))
		return flow;
	free(flow);
	return NULL;
}

/* --- what happens --------------------------------------------------------------------------------------------------- */

static void count_flow(struct flow *flow, uint64_t count, uint64_t bytes)
{
	flow->now.count += count;
	flow->now.bytes += bytes;
	flow->now.calls++;
}

static void count_into_topic(struct statistics *s, uint32_t topic_id, uint64_t bytes)
{
	struct flow *flow = flow_of(s, topic_id, 0);

	if (flow != NULL)
		count_flow(flow, 1, bytes);
}

void statistics_put(struct statistics *s, uint32_t topic_id, uint64_t bytes, int64_t mono_ms)
{
	s->now.put_count++;
	count_flow(&s->all_put, 1, bytes);
	s->now.put_bytes += bytes;
	if (s->waiting++ == 0)
		s->waiting_since_ms = mono_ms;
	count_into_topic(s, topic_id, bytes);
}

void statistics_put_aside(struct statistics *s, uint32_t topic_id, uint64_t bytes)
{
	count_into_topic(s, topic_id, bytes);
}

void statistics_put_failed(struct statistics *s)
{
	s->now.put_failed++;
}

void statistics_got(struct statistics *s, uint32_t topic_id, uint32_t group_id, uint64_t count, uint64_t bytes)
{
	s->now.got_count += count;
	s->now.got_bytes += bytes;
	if (count == 0) {
		s->now.missed++;
		return;
	}
	s->now.found++;
	count_flow(&s->all_got, count, bytes);
	struct flow *flow = group_id == 0 ? NULL : flow_of(s, topic_id, group_id);
	if (flow != NULL)
		count_flow(flow, count, bytes);
}

void statistics_sent_back(struct statistics *s, uint32_t topic_id, uint32_t group_id)
{
	struct flow *flow = flow_of(s, topic_id, group_id);

	if (flow != NULL)
		flow->now.back++;
}

/* All of a commit counts as its first message, which waited longest. */
void statistics_committed(struct statistics *s, int64_t mono_ms)
{
	int64_t took_ms = mono_ms - s->waiting_since_ms;
	unsigned class = 0;

	if (s->waiting == 0)
		return;
	while (class < STATISTICS_LATENCIES - 1 && took_ms > class_ends_ms[class])
		class++;
	s->latencies[class] += s->waiting;
	s->waiting = 0;
	if (took_ms > s->longest_ms)
		s->longest_ms = took_ms;
}

static void sample_window(struct statistics *s, struct window *window, int64_t mono_ms)
{
	unsigned at = window->first + window->next;

	for (struct flow *flow = s->flows; flow != NULL; flow = flow->hh.next)
		flow->samples[at] = flow->now;
	s->all_put.samples[at] = s->all_put.now;
	s->all_got.samples[at] = s->all_got.now;
	window->taken_ms[window->next] = mono_ms;
	window->next = (window->next + 1) % window->size;
	window->next_ms = mono_ms + window->step_ms;
}

static void end_minute(struct statistics *s, int64_t mono_ms)
{
	for (unsigned i = 0; i < STATISTICS_LATENCIES; i++)
		s->latencies_minute[i] = s->latencies[i] - s->latencies_then[i];
	memcpy(s->latencies_then, s->latencies, sizeof(s->latencies));
	s->minute_next_ms = mono_ms + MINUTE_MS;
}

void statistics_tick(struct statistics *s, int64_t wall_ms, int64_t mono_ms)
{
	if (mono_ms < s->totals_next_ms)
		return;
	s->totals[s->totals_next] = s->now;
	s->totals_taken_ms[s->totals_next] = mono_ms;
	s->totals_next = (s->totals_next + 1) % TOTALS_SAMPLES;
	s->totals_next_ms = mono_ms + TOTALS_STEP_MS;
	for (unsigned w = 0; w < 3; w++) {
		if (mono_ms >= s->windows[w].next_ms)
			sample_window(s, &s->windows[w], mono_ms);
	}
	if (mono_ms >= s->minute_next_ms)
		end_minute(s, mono_ms);
	if (wall_ms / DAY_MS != s->day) {
		s->day = wall_ms / DAY_MS;
		s->day_before = s->midnight;
		s->midnight = s->now;
	}
}

/* --- what there was --------------------------------------------------------------------------------------------------- */

static uint64_t value_of(const struct counters *counters, enum statistics_kind kind)
{
	switch (kind) {
	case STATISTICS_COUNT: return counters->count;
	case STATISTICS_BYTES: return counters->bytes;
	case STATISTICS_BACK: return counters->back;
	}
	return 0;
}

/* From the window's oldest sample to now. */
static struct statistics_window view_window(const struct flow *flow, const struct window *window, enum statistics_kind kind,
					    int64_t mono_ms)
{
	const struct counters *from = &flow->samples[window->first + window->next];
	int64_t took_ms = mono_ms - window->taken_ms[window->next];
	uint64_t calls = flow->now.calls - from->calls;
	struct statistics_window out = { .sum = value_of(&flow->now, kind) - value_of(from, kind) };

	if (took_ms > 0)
		out.per_second = (double)out.sum * 1000.0 / (double)took_ms;
	if (calls > 0)
		out.per_call = (double)out.sum / (double)calls;
	return out;
}

static struct statistics_view view_flow(const struct statistics *s, const struct flow *flow, enum statistics_kind kind,
					int64_t mono_ms)
{
	return (struct statistics_view){ view_window(flow, &s->windows[0], kind, mono_ms),
					 view_window(flow, &s->windows[1], kind, mono_ms),
					 view_window(flow, &s->windows[2], kind, mono_ms) };
}

bool statistics_view(const struct statistics *s, uint32_t topic_id, uint32_t group_id, enum statistics_kind kind,
		     int64_t mono_ms, struct statistics_view *out)
{
	const struct flow *flow = find(s, topic_id, group_id);

	*out = (struct statistics_view){ 0 };
	if (flow == NULL || value_of(&flow->now, kind) == 0)
		return false;
	*out = view_flow(s, flow, kind, mono_ms);
	return true;
}

struct statistics_view statistics_view_all(const struct statistics *s, bool got, int64_t mono_ms)
{
	return view_flow(s, got ? &s->all_got : &s->all_put, STATISTICS_COUNT, mono_ms);
}

bool statistics_flow(const struct statistics *s, uint32_t topic_id, uint32_t group_id, struct statistics_flow *out)
{
	const struct flow *flow = find(s, topic_id, group_id);

	if (flow == NULL)
		return false;
	*out = (struct statistics_flow){ flow->now.count, flow->now.bytes, flow->now.back };
	return true;
}

struct statistics_totals statistics_totals(const struct statistics *s)
{
	return s->now;
}

struct statistics_totals statistics_totals_before(const struct statistics *s, unsigned seconds, double *seconds_out)
{
	unsigned back = seconds >= TOTALS_SAMPLES ? TOTALS_SAMPLES - 1 : seconds;
	unsigned newest = (s->totals_next + TOTALS_SAMPLES - 1) % TOTALS_SAMPLES;
	unsigned at = (newest + TOTALS_SAMPLES - back) % TOTALS_SAMPLES;

	*seconds_out = (double)(s->totals_taken_ms[newest] - s->totals_taken_ms[at]) / 1000.0;
	return s->totals[at];
}

struct statistics_totals statistics_totals_at_midnight(const struct statistics *s, bool yesterday)
{
	return yesterday ? s->day_before : s->midnight;
}

int64_t statistics_started_wall_ms(const struct statistics *s)
{
	return s->started_wall_ms;
}

const uint64_t *statistics_latencies(const struct statistics *s)
{
	return s->latencies_minute;
}

int64_t statistics_longest_ms(const struct statistics *s)
{
	return s->longest_ms;
}

int64_t statistics_latency_ms(const struct statistics *s, double share)
{
	uint64_t all = 0, seen = 0;

	for (unsigned i = 0; i < STATISTICS_LATENCIES; i++)
		all += s->latencies[i];
	for (unsigned i = 0; i + 1 < STATISTICS_LATENCIES; i++) {
		seen += s->latencies[i];
		if ((double)seen >= (double)all * share)
			return class_ends_ms[i];
	}
	return s->longest_ms;
}
