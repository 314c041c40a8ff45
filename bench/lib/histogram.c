/* See histogram.h. */
#include "bench/lib/histogram.h"

#include <math.h>

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
}

/* The largest value that falls into a bucket. */
static int64_t bucket_bound(uint32_t index)
{
	if (index < HISTOGRAM_STEPS)
		return index;
	uint32_t shift = index / HISTOGRAM_STEPS - 1;
	uint64_t step = index - shift * HISTOGRAM_STEPS;
	return (int64_t)(((step + 1) << shift) - 1);
}

int64_t histogram_quantile(const struct histogram *h, double quantile)
{
	uint64_t wanted = (uint64_t)ceil(quantile * (double)h->count);
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= wanted && seen != 0) {
			int64_t bound = bucket_bound(i);
			return bound < h->max ? bound : h->max;
		}
	}
	return h->max;
}
