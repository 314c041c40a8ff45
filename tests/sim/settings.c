#include "tests/sim/settings.h"

#include <string.h>

#include "checkback/checkback.h"
#include "tests/sim/chance.h"

static struct settings current;

const struct settings *settings(void)
{
	return &current;
}

static int64_t one_of(struct chance *chance, int64_t a, int64_t b, int64_t c)
{
	int64_t choices[] = { a, b, c };

	return choices[chance_below(chance, 3)];
}

/* A third of the seeds keep a few small segments; what follows from it are many snapshots, as one holds the log. */
static void draw_retention(uint64_t seed, struct settings *out)
{
	struct chance chance = chance_of(seed, CHANCE_SEED, 1, 0);

	if (!chance_one_in(&chance, 3))
		return;
	out->segment_size = 64 * 1024;
	out->snapshot_bytes = 20 * 1024;
	out->body_max = 3000;
	out->retention_bytes = out->segment_size * one_of(&chance, 1, 2, 4);
}

void settings_draw(uint64_t seed, struct settings *out)
{
	struct chance chance = chance_of(seed, CHANCE_SEED, 0, 0);
	static const int64_t delays_ms[DELAY_LEVELS] = { 1000, 2000, 5000, 500, 1500, 3000 };

	*out = (struct settings){ .seed = seed };
	out->brokers = chance_one_in(&chance, 3) ? 1 : 2;
	out->topics = (int)chance_between(&chance, 2, TOPICS_MAX);
	out->queues = (int)one_of(&chance, 1, 4, 8);
	out->sync_flush = !chance_one_in(&chance, 5);
	out->segment_size = one_of(&chance, 64, 128, 256) * 1024;
	out->ring_size = one_of(&chance, 64, 64, 128) * 1024;
	out->index_cache_size = 256 * 1024;
	out->output_bytes_max = 256 * 1024;
	out->transaction_timeout_ms = one_of(&chance, 500, 2000, 6000);
	out->check_interval_ms = one_of(&chance, 500, 1000, 4000);
	out->answer_timeout_ms = one_of(&chance, 300, 1000, 3000);
	out->check_max = (int)one_of(&chance, 2, 4, 6);
	out->undecided_policy = chance_one_in(&chance, 4) ? POLICY_ROLLBACK : POLICY_PARK;
	if (chance_one_in(&chance, 8))
		out->undecided_policy = POLICY_COMMIT;
	out->offset_flush_ms = one_of(&chance, 50, 200, 500);
	out->prepared_after_ms = one_of(&chance, 0, 300, 1000);
	out->oplog_batch_max = one_of(&chance, 8, 40, 300);
	memcpy(out->delay_level_ms, delays_ms, sizeof(delays_ms));
	out->retry_max_times = (int)chance_between(&chance, 1, 3);
	out->body_max = (uint32_t)one_of(&chance, 200, 1000, 3000);
	out->snapshot_bytes = one_of(&chance, 20, 60, 200) * 1024;
	out->gap_mean_us = one_of(&chance, 20000, 50000, 100000);
	draw_retention(seed, out);
	current = *out;
}

const char *topic_name(int topic)
{
	static const char *const names[TOPICS_MAX] = { "orders", "payments", "parcels", "invoices", "refunds", "stock" };

	return names[topic];
}

const char *producer_group_name(int group)
{
	static const char *const names[PRODUCER_GROUPS] = { "order-service", "payment-service", "confused-service" };

	return names[group];
}

const char *consumer_group_name(int group)
{
	static const char *const names[CONSUMER_GROUPS] = { "billing", "shipping" };

	return names[group];
}

const char *consumer_group_expression(int group)
{
	return group == 0 ? "*" : "red || green";
}

const char *tag_name(int tag)
{
	static const char *const names[TAGS] = { "red", "green", "blue" };

	return names[tag];
}

bool consumer_group_wants(int group, int tag)
{
	return group == 0 || tag < 2;
}

const char *pop_group_name(void)
{
	return "dispatch";
}
