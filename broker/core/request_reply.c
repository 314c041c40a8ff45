#include "broker/core/request_reply.h"

#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "lib/wire/properties.h"

/* Trouble of the store, not of the reply. */
static bool is_passing(int32_t code)
{
	return code == RESP_SERVICE_NOT_AVAILABLE || code == RESP_SYSTEM_BUSY;
}

static void find_route(struct core *core, const struct send_request *request, struct reply_route *route)
{
	static const char *const replaced[] = { PROPERTY_MSG_REGION, PROPERTY_TRACE_ON, PROPERTY_PUSH_REPLY_TIME, NULL };
	struct buffer *out = &core->properties;

	route->client_id = property_get(request->properties, PROPERTY_REPLY_TO_CLIENT);
	route->conn_id = members_find_producer(core->members, route->client_id);
	buffer_reset(out);
	properties_copy(out, request->properties, replaced);
	property_put(out, PROPERTY_MSG_REGION, SPAN_LITERAL("DefaultRegion"));
	property_put(out, PROPERTY_TRACE_ON, SPAN_LITERAL("true"));
	property_put_i64(out, PROPERTY_PUSH_REPLY_TIME, core->wall_ms);
	route->properties = buffer_span(out);
	if (out->failed)
		route->conn_id = 0;
}

enum status core_reply(struct core *core, const struct send_request *request, struct reply_route *route,
		       struct send_result *result, struct outcome *outcome)
{
	enum status status = core_check_send(core, request, outcome);

	if (status == ST_OK && core->config.store_replies)
		status = core_send(core, request, result, outcome);
	if (status == ST_AGAIN || (status != ST_OK && !is_passing(outcome->code)))
		return status;
	if (status != ST_OK || !core->config.store_replies) {
		*result = (struct send_result){ .queue_id = request->queue_id < 0 ? 0 : (uint32_t)request->queue_id };
		*outcome = (struct outcome){ .code = RESP_SUCCESS };
	}
	find_route(core, request, route);
	return ST_OK;
}
