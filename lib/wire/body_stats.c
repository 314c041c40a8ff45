#include "lib/wire/body_stats.h"

#include "lib/wire/filter.h"
#include "lib/wire/languages.h"

/* --- queues ------------------------------------------------------------------------------------------------------ */

void topic_stats_begin(struct json_writer *writer, struct buffer *out)
{
	*writer = json_writer_of(out);
	json_open(writer, '{');
	json_key(writer, "offsetTable");
	json_open(writer, '{');
}

void topic_stats_add(struct json_writer *writer, const struct topic_stats_item *item)
{
	message_queue_key(writer, &item->queue);
	json_open(writer, '{');
	json_member_put_i64(writer, "lastUpdateTimestamp", item->last_update_ms);
	json_member_put_i64(writer, "maxOffset", (int64_t)item->max_offset);
	json_member_put_i64(writer, "minOffset", (int64_t)item->min_offset);
	json_close(writer, '}');
}

void topic_stats_end(struct json_writer *writer, double put_tps)
{
	json_close(writer, '}');
	json_member_put_double(writer, "topicPutTps", put_tps);
	json_close(writer, '}');
}

void consume_stats_begin(struct json_writer *writer)
{
	json_open(writer, '{');
	json_key(writer, "offsetTable");
	json_open(writer, '{');
}

void consume_stats_add(struct json_writer *writer, const struct consume_stats_item *item)
{
	message_queue_key(writer, &item->queue);
	json_open(writer, '{');
	json_member_put_i64(writer, "brokerOffset", (int64_t)item->broker_offset);
	json_member_put_i64(writer, "consumerOffset", (int64_t)item->consumer_offset);
	json_member_put_i64(writer, "lastTimestamp", item->last_ms);
	json_member_put_i64(writer, "pullOffset", (int64_t)item->pull_offset);
	json_close(writer, '}');
}

void consume_stats_end(struct json_writer *writer, double consume_tps)
{
	json_close(writer, '}');
	json_member_put_double(writer, "consumeTps", consume_tps);
	json_close(writer, '}');
}

/* --- who is there -------------------------------------------------------------------------------------------------- */

void connection_encode(struct json_writer *writer, const struct connection_item *item)
{
	json_open(writer, '{');
	json_member_put_text(writer, "clientAddr", item->client_addr);
	json_member_put_text(writer, "clientId", item->client_id);
	json_member_put_text(writer, "language", span_of(language_name(item->language)));
	json_member_put_i64(writer, "version", item->version);
	json_close(writer, '}');
}

void producer_encode(struct json_writer *writer, const struct connection_item *item)
{
	json_open(writer, '{');
	json_member_put_text(writer, "clientId", item->client_id);
	json_member_put_text(writer, "language", span_of(language_name(item->language)));
	json_member_put_i64(writer, "lastUpdateTimestamp", item->last_update_ms);
	json_member_put_text(writer, "remoteIP", item->client_addr);
	json_member_put_i64(writer, "version", item->version);
	json_close(writer, '}');
}

/* Each tag of the expression once; none of "*". */
static void put_tags(struct json_writer *writer, const struct subscription_item *item)
{
	struct span rest = item->sub_string;

	json_key(writer, "tagsSet");
	json_open(writer, '[');
	while (!item->sql && item->tag_count > 0 && rest.size > 0) {
		struct span tag = tag_expression_next(&rest);
		if (tag.size > 0)
			json_put_text(writer, tag);
	}
	json_close(writer, ']');
}

void subscription_encode(struct json_writer *writer, const struct subscription_item *item)
{
	json_open(writer, '{');
	json_member_put_bool(writer, "classFilterMode", false);
	json_key(writer, "codeSet");
	json_open(writer, '[');
	for (uint32_t i = 0; i < item->tag_count; i++)
		json_put_i64(writer, item->tag_hashes[i]);
	json_close(writer, ']');
	json_member_put_text(writer, "expressionType", span_of(item->sql ? "SQL92" : "TAG"));
	json_member_put_text(writer, "subString", item->sub_string.size == 0 ? SPAN_LITERAL("*") : item->sub_string);
	json_member_put_i64(writer, "subVersion", item->sub_version);
	put_tags(writer, item);
	json_member_put_text(writer, "topic", item->topic);
	json_close(writer, '}');
}

/* --- figures --------------------------------------------------------------------------------------------------------- */

static void put_window(struct json_writer *writer, const char *name, const struct stats_window *window)
{
	json_key(writer, name);
	json_open(writer, '{');
	json_member_put_double(writer, "avgpt", window->avgpt);
	json_member_put_i64(writer, "sum", (int64_t)window->sum);
	json_member_put_double(writer, "tps", window->tps);
	json_close(writer, '}');
}

void stats_data_encode(struct buffer *out, const struct stats_window *minute, const struct stats_window *hour,
		       const struct stats_window *day)
{
	struct json_writer writer = json_writer_of(out);

	json_open(&writer, '{');
	put_window(&writer, "statsDay", day);
	put_window(&writer, "statsHour", hour);
	put_window(&writer, "statsMinute", minute);
	json_close(&writer, '}');
}
