#include "broker/core/core_config.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/bytes.h"

static int64_t unit_ms(char unit)
{
	switch (unit) {
	case 's': return 1000;
	case 'm': return 60 * 1000;
	case 'h': return 3600 * 1000;
	case 'd': return 24 * 3600 * 1000;
	default: return 0;
	}
}

void core_config_take_changes(struct core_config *config, const struct core_config *now)
{
	config->auto_create_topic = now->auto_create_topic;
	config->auto_create_group = now->auto_create_group;
	config->reject_transactions = now->reject_transactions;
	config->long_polling = now->long_polling;
	config->property_filter = now->property_filter;
	config->server_side_reset = now->server_side_reset;
	config->forbidden = now->forbidden;
	config->default_topic_queue_nums = now->default_topic_queue_nums;
	config->max_message_size = now->max_message_size;
	memcpy(config->delay_levels_ms, now->delay_levels_ms, sizeof(config->delay_levels_ms));
	config->delay_level_count = now->delay_level_count;
	config->offset_flush_interval_ms = now->offset_flush_interval_ms;
	config->retention_ms = now->retention_ms;
	config->retention_bytes = now->retention_bytes;
	config->snapshot_bytes = now->snapshot_bytes;
	config->delayed_max = now->delayed_max;
	config->timers = now->timers;
	config->timer_max_delay_ms = now->timer_max_delay_ms;
	config->recall = now->recall;
	config->store_replies = now->store_replies;
	config->pending_max = now->pending_max;
	config->pending_group_max = now->pending_group_max;
	config->checkback = now->checkback;
}

enum status core_config_set_delay_levels(struct core_config *config, const char *text, struct errinfo *err)
{
	config->delay_level_count = 0;
	for (const char *at = text; *at != '\0';) {
		size_t size = strcspn(at, " ");
		int64_t number;

		if (size == 0) {
			at++;
			continue;
		}
		struct span digits = { (const uint8_t *)at, size - 1 };
		int64_t unit = unit_ms(at[size - 1]);
		if (unit == 0 || span_to_i64(digits, &number) != ST_OK || number < 0 || number > 10000)
			return errinfo_set(err, ST_INVALID, "messageDelayLevel: \"%.*s\" is not a number followed by s, m, h or d",
					   (int)size, at);
		if (config->delay_level_count == DELAY_LEVELS_MAX)
			return errinfo_set(err, ST_TOOBIG, "messageDelayLevel: more than %d levels", DELAY_LEVELS_MAX);
		config->delay_levels_ms[config->delay_level_count++] = number * unit;
		at += size;
	}
	return ST_OK;
}
