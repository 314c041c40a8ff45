/* What an operator takes away: DELETE_TOPIC_IN_BROKER (215), DELETE_SUBSCRIPTIONGROUP (207), a group's right to read
 * (UPDATE_AND_GET_GROUP_FORBIDDEN, 353); and the sweepers' verbs (306, 316, 329) with the list of what they leave alone (305). */
#include "broker/core/removal.h"
#include "broker/core/settings.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_route.h"
#include "lib/wire/headers.h"
#include "lib/wire/json_body.h"

enum status handle_delete_topic(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { 0 };
	enum status status = core_delete_topic(handlers->core, command_field(request->command, "topic"), &outcome);

	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_delete_group(struct handlers *handlers, const struct request *request)
{
	struct delete_group_header header;
	struct outcome outcome = { 0 };

	if (delete_group_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_delete_group(handlers->core, header.group_name, header.clean_offset, &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

static enum status answer_readable(struct handlers *handlers, const struct request *request, struct span group, struct span topic,
				   uint64_t wait_offset)
{
	const struct consumer_group *known = groups_find(core_groups(handlers->core), group);
	struct encoder encoder;
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, wait_offset, SPAN_NONE, &encoder);

	if (out == NULL)
		return ST_OK;
	command_body(&encoder);
	struct json_writer w = json_writer_of(out);
	json_open(&w, '{');
	json_member_put_text(&w, "group", group);
	json_member_put_bool(&w, "readable", known == NULL || !group_is_forbidden(known, topic));
	json_member_put_text(&w, "topic", topic);
	json_close(&w, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

enum status handle_group_forbidden(struct handlers *handlers, const struct request *request)
{
	struct span group, topic;
	struct outcome outcome = { 0 };

	if (command_field_text(request->command, "group", &group, &outcome.err) != ST_OK ||
	    command_field_text(request->command, "topic", &topic, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = ST_OK;
	if (command_field(request->command, "readable").size > 0)
		status = core_set_group_readable(handlers->core, group, topic, command_field_bool(request->command, "readable", true),
						 &outcome);
	if (status == ST_AGAIN)
		return status;
	return status == ST_OK ? answer_readable(handlers, request, group, topic, outcome.wait_offset)
			       : answer_outcome(handlers, request, &outcome);
}

/* Expired queue entries, expired segments and what deleted topics left behind go by themselves, a little each tick: there is
 * nothing left to do. */
enum status handle_clean(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { .code = RESP_SUCCESS };

	return answer_outcome(handlers, request, &outcome);
}

enum status handle_system_topics(struct handlers *handlers, const struct request *request)
{
	/* Those that this broker has not, but that the tools are to leave out of their lists all the same. */
	static const char *const others[] = { TOPIC_BENCHMARK, TOPIC_TRACE };
	enum { NAMES_MAX = 64, OTHERS = sizeof(others) / sizeof(others[0]) };
	struct span names[NAMES_MAX];
	size_t count = 0;
	struct encoder encoder;

	for (const struct topic *t = topics_first(core_topics(handlers->core)); t != NULL && count < NAMES_MAX - OTHERS;
	     t = topics_next(t)) {
		if (t->system)
			names[count++] = t->name;
	}
	for (size_t i = 0; i < OTHERS; i++)
		names[count++] = span_of(others[i]);
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	topic_list_encode(out, names, count);
	answer_end(handlers, &encoder);
	return ST_OK;
}
