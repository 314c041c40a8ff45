#include "broker/handlers/relays.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/handlers/handlers.h"
#include "lib/wire/body_offsets.h"

struct relay_job {
	uint64_t asker_conn;
	int32_t asker_opaque;
	uint8_t serialize_type;
	bool gather, asking;
	unsigned open;         /* Questions that are not answered yet. */
	struct buffer table;   /* Gathered: the members of "consumerTable". */
	struct json_writer w;
};

struct relay {
	struct relay *prev, *next;
	struct relay_job *job;
	uint64_t conn_id;      /* Of the client. */
	int32_t opaque;
	int64_t deadline_ms;
	size_t client_id_size;
	uint8_t client_id[];
};

/* --- the asker ------------------------------------------------------------------------------------------------ */

static struct buffer *begin_for(struct handlers *handlers, const struct relay_job *job, int32_t code, struct span remark,
				struct encoder *encoder)
{
	struct command command = { .opaque = job->asker_opaque, .serialize_type = job->serialize_type };
	struct request request = { .command = &command, .conn_id = job->asker_conn };

	return answer_begin(handlers, &request, code, 0, remark, encoder);
}

static void free_job(struct relay_job *job)
{
	buffer_deinit(&job->table);
	free(job);
}

/* The last answer is there. */
static void finish(struct handlers *handlers, struct relay_job *job)
{
	struct encoder encoder;
	struct buffer *out = job->gather ? begin_for(handlers, job, RESP_SUCCESS, SPAN_NONE, &encoder) : NULL;

	if (out != NULL) {
		command_body(&encoder);
		buffer_append_text(out, "{\"consumerTable\":{");
		buffer_append_span(out, buffer_span(&job->table));
		buffer_append_text(out, "},\"messageQueueTable\":{}}");
		answer_end(handlers, &encoder);
	}
	free_job(job);
}

/* Names of fields go into a header as they are. */
static bool is_plain(struct span name)
{
	for (size_t i = 0; i < name.size; i++) {
		if (!isalnum(name.data[i]) && name.data[i] != '_' && name.data[i] != '-')
			return false;
	}
	return name.size > 0;
}

void relay_put_fields(struct encoder *encoder, const struct command *command)
{
	for (uint32_t i = 0; i < command->field_count; i++) {
		if (is_plain(command->fields[i].name))
			command_put_named(encoder, command->fields[i].name, command->fields[i].value);
	}
}

static void pass_on(struct handlers *handlers, const struct relay_job *job, const struct command *answer)
{
	struct encoder encoder;
	struct buffer *out = begin_for(handlers, job, answer->code, answer->remark, &encoder);

	if (out == NULL)
		return;
	relay_put_fields(&encoder, answer);
	command_body(&encoder);
	buffer_append_span(out, answer->body);
	answer_end(handlers, &encoder);
}

/* Into the table, unless it cannot be read. */
static void gather(struct relay *relay, const struct command *answer)
{
	struct relay_job *job = relay->job;
	size_t before = buffer_size(&job->table);
	bool comma = job->w.comma;
	struct errinfo err;

	if (answer->code != RESP_SUCCESS || answer->body.size == 0)
		return;
	json_key_span(&job->w, (struct span){ relay->client_id, relay->client_id_size });
	if (message_queue_table_copy(&job->w, answer->body, &err) == ST_OK && !job->table.failed)
		return;
	job->table.failed = false;
	job->table.end = job->table.start + before;
	job->w.comma = comma;
}

/* --- the asked ------------------------------------------------------------------------------------------------- */

struct relay_job *relay_job_begin(const struct request *request, bool gather_answers)
{
	struct relay_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->asker_conn = request->conn_id;
	job->asker_opaque = request->command->opaque;
	job->serialize_type = request->command->serialize_type;
	job->gather = gather_answers;
	job->asking = true;
	buffer_init(&job->table, RELAY_TABLE_MAX);
	job->w = json_writer_of(&job->table);
	return job;
}

struct buffer *relay_ask_begin(struct handlers *handlers, struct relay_job *job, uint64_t conn_id, struct span client_id,
			       int32_t code, struct encoder *encoder)
{
	struct relays *relays = &handlers->relays;
	struct relay *relay = relays->count >= RELAYS_MAX ? NULL : malloc(sizeof(*relay) + client_id.size);
	struct buffer *out = relay == NULL ? NULL : handlers->replies.begin(handlers->replies.context, conn_id, 0);

	if (out == NULL) {
		free(relay);
		return NULL;
	}
	handlers->next_opaque = (handlers->next_opaque + 1) & INT32_MAX;
	*relay = (struct relay){ .job = job, .conn_id = conn_id, .opaque = handlers->next_opaque, .client_id_size = client_id.size,
				 .deadline_ms = core_now_ms(handlers->core) + (job->gather ? RELAY_GATHER_TIMEOUT_MS : RELAY_TIMEOUT_MS) };
	if (client_id.size > 0)
		memcpy(relay->client_id, client_id.data, client_id.size);
	DL_APPEND(relays->all, relay);
	relays->count++;
	job->open++;
	command_begin(encoder, out, SERIALIZE_JSON, code, relay->opaque, 0, SPAN_NONE);
	return out;
}

void relay_ask_end(struct handlers *handlers, struct encoder *encoder)
{
	answer_end(handlers, encoder);
}

/* Unlinks and frees it, and ends its job with it if it was the last. */
static void close_relay(struct handlers *handlers, struct relay *relay)
{
	struct relay_job *job = relay->job;

	DL_DELETE(handlers->relays.all, relay);
	handlers->relays.count--;
	free(relay);
	if (--job->open == 0 && !job->asking)
		finish(handlers, job);
}

/* Nothing will come from this client. */
static void give_up(struct handlers *handlers, struct relay *relay, int32_t code, const char *reason)
{
	struct encoder encoder;
	char remark[400];

	snprintf(remark, sizeof(remark), "consumer <%.*s> %s", (int)(relay->client_id_size < 300 ? relay->client_id_size : 300),
		 (const char *)relay->client_id, reason);
	if (!relay->job->gather && begin_for(handlers, relay->job, code, span_of(remark), &encoder) != NULL)
		answer_end(handlers, &encoder);
	close_relay(handlers, relay);
}

void relay_job_asked(struct handlers *handlers, struct relay_job *job)
{
	job->asking = false;
	if (job->open == 0)
		finish(handlers, job);
}

void relay_job_drop(struct relay_job *job)
{
	if (job != NULL)
		free_job(job);
}

bool relays_answered(struct handlers *handlers, uint64_t conn_id, const struct command *answer)
{
	struct relay *relay;

	DL_FOREACH(handlers->relays.all, relay) {
		if (relay->conn_id != conn_id || relay->opaque != answer->opaque)
			continue;
		if (relay->job->gather)
			gather(relay, answer);
		else
			pass_on(handlers, relay->job, answer);
		close_relay(handlers, relay);
		return true;
	}
	return false;
}

void relays_connection_gone(struct handlers *handlers, uint64_t conn_id)
{
	struct relay *relay, *next;

	DL_FOREACH_SAFE(handlers->relays.all, relay, next) {
		if (relay->conn_id == conn_id)
			give_up(handlers, relay, RESP_SYSTEM_ERROR, "has gone away before it answered");
	}
}

void relays_tick(struct handlers *handlers, int64_t now_ms)
{
	struct relay *relay, *next;

	DL_FOREACH_SAFE(handlers->relays.all, relay, next) {
		if (relay->deadline_ms <= now_ms)
			give_up(handlers, relay, RESP_CONSUME_MSG_TIMEOUT, "Timeout: it has not answered within 10 s");
	}
}

void relays_clear(struct handlers *handlers)
{
	struct relay *relay, *next;

	DL_FOREACH_SAFE(handlers->relays.all, relay, next) {
		struct relay_job *job = relay->job;

		DL_DELETE(handlers->relays.all, relay);
		free(relay);
		if (--job->open == 0)
			free_job(job);
	}
	handlers->relays.count = 0;
}
