#include "lib/wire/names.h"

#include "lib/wire/codes.h"

static bool is_name_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%' || c == '-' ||
	       c == '_' || c == '|';
}

static enum status check(struct span name, const char *what, size_t size_max, struct errinfo *err)
{
	if (name.size == 0)
		return errinfo_set(err, ST_INVALID, "the %s name is empty", what);
	if (name.size > size_max)
		return errinfo_set(err, ST_INVALID, "the %s name has %zu bytes, the most is %zu", what,
				   name.size, size_max);
	for (size_t i = 0; i < name.size; i++) {
		if (!is_name_byte(name.data[i]))
			return errinfo_set(err, ST_INVALID,
					   "the %s name holds byte 0x%02x; allowed are letters, digits and %% - _ |",
					   what, name.data[i]);
	}
	return ST_OK;
}

enum status topic_name_check(struct span topic, struct errinfo *err)
{
	size_t size_max = topic_is_retry(topic) || topic_is_dlq(topic) ? LONG_TOPIC_NAME_MAX : TOPIC_NAME_MAX;

	return check(topic, "topic", size_max, err);
}

enum status group_name_check(struct span group, struct errinfo *err)
{
	return check(group, "group", GROUP_NAME_MAX, err);
}

static bool is_listed(struct span name, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (span_is(name, *list))
			return true;
	}
	return false;
}

bool topic_is_system(struct span topic)
{
	static const char *const system[] = {
		TOPIC_AUTO_CREATE, TOPIC_SCHEDULE,	 TOPIC_BENCHMARK, TOPIC_HALF, TOPIC_OP_HALF,
		TOPIC_TRACE,	   TOPIC_CHECK_MAX_TIME, TOPIC_SELF_TEST, TOPIC_OFFSET_MOVED, NULL,
	};

	return is_listed(topic, system) || span_starts_with(topic, SYSTEM_TOPIC_PREFIX);
}

bool topic_is_unsendable(struct span topic)
{
	static const char *const unsendable[] = {
		TOPIC_SCHEDULE, TOPIC_HALF, TOPIC_OP_HALF, TOPIC_CHECK_MAX_TIME, TOPIC_SELF_TEST, TOPIC_OFFSET_MOVED,
		NULL,
	};

	return is_listed(topic, unsendable);
}

bool topic_is_retry(struct span topic)
{
	return span_starts_with(topic, RETRY_PREFIX);
}

bool topic_is_dlq(struct span topic)
{
	return span_starts_with(topic, DLQ_PREFIX);
}

struct span topic_group(struct span topic)
{
	size_t prefix;

	if (topic_is_retry(topic))
		prefix = sizeof(RETRY_PREFIX) - 1;
	else if (topic_is_dlq(topic))
		prefix = sizeof(DLQ_PREFIX) - 1;
	else
		return SPAN_NONE;
	return (struct span){ topic.data + prefix, topic.size - prefix };
}

static struct span prefixed(const char *prefix, struct span group, uint8_t *out)
{
	size_t prefix_size = strlen(prefix);

	if (group.size > LONG_TOPIC_NAME_MAX - prefix_size)
		return SPAN_NONE;
	memcpy(out, prefix, prefix_size);
	if (group.size > 0)
		memcpy(out + prefix_size, group.data, group.size);
	return (struct span){ out, prefix_size + group.size };
}

struct span retry_topic_name(struct span group, uint8_t out[LONG_TOPIC_NAME_MAX])
{
	return prefixed(RETRY_PREFIX, group, out);
}

struct span dlq_topic_name(struct span group, uint8_t out[LONG_TOPIC_NAME_MAX])
{
	return prefixed(DLQ_PREFIX, group, out);
}
