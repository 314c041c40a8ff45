/* How are latencies distributed? A log-linear histogram: 128 steps per power of two, so every quantile is
 * exact to 0.8% from 1 ns to 36 minutes, in constant memory and constant time per value.
 *
 * Threads: values; one per thread, merged at the end. */
#ifndef ESCROW_BENCH_HISTOGRAM_H
#define ESCROW_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_STEP_BITS = 7,
	HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
	HISTOGRAM_VALUE_BITS = 41,
	HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS,
};

struct histogram {
	uint64_t count;
	int64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Negative values count as 0; values beyond the range fall into the last bucket, `max` stays exact. */
static inline void histogram_add(struct histogram *h, int64_t value)
{
	uint64_t v = value < 0 ? 0 : (uint64_t)value;
	uint32_t index;

	if (v < HISTOGRAM_STEPS) {
		index = (uint32_t)v;
	} else if (v >> HISTOGRAM_VALUE_BITS != 0) {
		index = HISTOGRAM_BUCKETS - 1;
	} else {
		uint32_t shift = 63u - (uint32_t)__builtin_clzll(v) - HISTOGRAM_STEP_BITS;
		index = shift * HISTOGRAM_STEPS + (uint32_t)(v >> shift);
	}
	h->buckets[index]++;
	h->count++;
	if (value > h->max)
		h->max = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from);
/* The smallest bucket bound that `quantile` (0..1) of the values do not exceed; 0 when empty. Never above `max`. */
int64_t histogram_quantile(const struct histogram *h, double quantile);

#endif
