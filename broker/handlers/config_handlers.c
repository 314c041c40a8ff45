/* The broker's options: UPDATE_BROKER_CONFIG (25), GET_BROKER_CONFIG (26). */
#include "broker/handlers/handlers.h"

enum status handle_update_config(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { 0 };

	if (handlers->config.update == NULL)
		outcome.code = RESP_REQUEST_CODE_NOT_SUPPORTED;
	else
		(void)!handlers->config.update(handlers->config.context, request->command->body, &outcome);
	return answer_outcome(handlers, request, &outcome);
}

enum status handle_get_config(struct handlers *handlers, const struct request *request)
{
	struct buffer version;
	struct encoder encoder;
	struct buffer *out;

	if (handlers->config.print == NULL) {
		handlers_refuse(handlers, request, RESP_REQUEST_CODE_NOT_SUPPORTED, "this broker has no options");
		return ST_OK;
	}
	buffer_init(&version, 256);
	struct json_writer w = json_writer_of(&version);
	struct data_version now = handlers->config.version(handlers->config.context);
	data_version_encode(&w, &now);
	out = answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder);
	if (out != NULL) {
		command_put(&encoder, "version", buffer_span(&version));
		command_body(&encoder);
		handlers->config.print(handlers->config.context, out);
		answer_end(handlers, &encoder);
	}
	buffer_deinit(&version);
	return ST_OK;
}
