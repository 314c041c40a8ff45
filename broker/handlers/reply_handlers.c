/* SEND_REPLY_MESSAGE (324, 325), and PUSH_REPLY_MESSAGE_TO_CLIENT (326), which the broker begins. */
#include <stdio.h>

#include "broker/core/request_reply.h"
#include "broker/core/store_address.h"
#include "broker/handlers/sending.h"
#include "lib/wire/headers.h"

/* Hands the reply to the client that asked. False: its connection is gone or takes nothing more. Its answer is not waited
 * for: it says only that the client has the reply, not that somebody still waits for it. */
static bool push(struct handlers *handlers, const struct request *request, const struct send_header *sent,
		 const struct reply_route *route)
{
	struct push_reply_header header = { .send = *sent, .store_timestamp = core_wall_ms(handlers->core) };
	struct host store = core_store_host(handlers->core);
	char born_host[HOST_TEXT_SIZE], store_host[HOST_TEXT_SIZE];
	struct encoder encoder;
	struct buffer *out = handlers->replies.begin(handlers->replies.context, route->conn_id, 0);

	if (out == NULL)
		return false;
	header.send.properties = route->properties;
	header.born_host = host_text(&request->peer, born_host);
	header.store_host = host_text(&store, store_host);
	handlers->next_opaque = (handlers->next_opaque + 1) & INT32_MAX;
	command_begin(&encoder, out, SERIALIZE_JSON, REQ_PUSH_REPLY_MESSAGE_TO_CLIENT, handlers->next_opaque, 0, SPAN_NONE);
	push_reply_encode(&encoder, &header);
	command_body(&encoder);
	buffer_append_span(encoder.out, request->command->body);
	answer_end(handlers, &encoder);
	return true;
}

static void answer_reply(struct handlers *handlers, const struct request *request, const struct send_result *result,
			 const struct outcome *outcome)
{
	struct encoder encoder;
	struct span remark = outcome->code == RESP_SUCCESS ? SPAN_NONE : span_of(outcome->err.text);

	if (answer_begin(handlers, request, outcome->code, outcome->wait_offset, remark, &encoder) == NULL)
		return;
	put_sent(handlers, &encoder, result);
	answer_end(handlers, &encoder);
}

enum status handle_send_reply(struct handlers *handlers, const struct request *request)
{
	struct send_header header;
	struct send_result result = { 0 };
	struct reply_route route = { 0 };
	struct outcome outcome = { 0 };

	if (send_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	struct send_request send = send_request_of(handlers, request, &header);
	send.batch = false;
	send.reply = true;
	enum status status = core_reply(handlers->core, &send, &route, &result, &outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	if (route.client_id.size == 0) {
		outcome.code = RESP_SYSTEM_ERROR;
		snprintf(outcome.err.text, sizeof(outcome.err.text), "reply message properties[REPLY_TO_CLIENT] is null");
	} else if (route.conn_id == 0 || !push(handlers, request, &header, &route)) {
		outcome.code = RESP_SYSTEM_ERROR;
		snprintf(outcome.err.text, sizeof(outcome.err.text), "push reply message fail, channel of <%.*s> not found.",
			 SPAN_ARGS(route.client_id));
	}
	answer_reply(handlers, request, &result, &outcome);
	return ST_OK;
}
