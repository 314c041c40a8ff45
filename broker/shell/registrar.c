#include "broker/shell/registrar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/topics.h"
#include "broker/handlers/topic_table.h"
#include "lib/base/logging.h"
#include "lib/wire/body_register.h"
#include "lib/wire/header_namesrv.h"

enum { NAME_SERVERS_MAX = 16, PROBE_MS = 300, TIMEOUT_MS = 3000, ADDRESS_SIZE = 256,
       JSON_TOPICS_MAX = 10000 };

struct name_server {
	struct registrar *registrar;
	char address[ADDRESS_SIZE];
	bool registered;     /* The last registration was answered with success. */
	bool told;           /* Its failure is in the log. */
	bool asking;
	bool dirty;          /* Topics changed since the last registration was sent. */
	int64_t next_ms;
};

/* The list of topics as it is sent. Kept until it changes: with 100,000 topics it takes a tenth of a second to make. */
struct announcement {
	struct buffer body;
	struct topics_version version;
	uint32_t forbidden;
	uint32_t crc;
	bool made, compressed;
};

struct registrar {
	struct loop *loop;
	struct client *client;
	struct registrar_config config;
	const struct topics *topics;
	struct loop_timer timer;
	struct name_server servers[NAME_SERVERS_MAX];
	int server_count;
	uint32_t forbidden;
	struct announcement announced;
	bool started;
	bool stopping;
};

static enum status add_server(struct registrar *registrar, const char *text, size_t size, struct errinfo *err)
{
	if (registrar->server_count == NAME_SERVERS_MAX)
		return errinfo_set(err, ST_TOOBIG, "namesrvAddr: more than %d addresses", NAME_SERVERS_MAX);
	struct name_server *server = &registrar->servers[registrar->server_count];
	const char *colon = memchr(text, ':', size);
	if (size >= ADDRESS_SIZE || colon == NULL || colon == text || colon == text + size - 1)
		return errinfo_set(err, ST_INVALID, "namesrvAddr: \"%.*s\" is not host:port", (int)size, text);
	*server = (struct name_server){ .registrar = registrar };
	memcpy(server->address, text, size);
	registrar->server_count++;
	return ST_OK;
}

static enum status parse_servers(struct registrar *registrar, struct errinfo *err)
{
	const char *at = registrar->config.name_servers;

	while (*at != '\0') {
		size_t size = strcspn(at, ";,");
		enum status status = size == 0 ? ST_OK : add_server(registrar, at, size, err);

		if (status != ST_OK)
			return status;
		at += size;
		at += *at != '\0';
	}
	return ST_OK;
}

static void failed(struct name_server *server, const char *reason)
{
	server->registered = false;
	server->next_ms = loop_now_ms(server->registrar->loop) + PROBE_MS;
	if (!server->told)
		log_warn("registrar", "registration failed, trying on", "namesrv=%s reason=\"%s\"", server->address, reason);
	server->told = true;
}

static void on_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct name_server *server = context;

	server->asking = false;
	if (status != ST_OK) {
		failed(server, err->text);
		return;
	}
	if (response->code != RESP_SUCCESS) {
		char reason[256];

		snprintf(reason, sizeof(reason), "code %d: %.*s", response->code, SPAN_ARGS(response->remark));
		failed(server, reason);
		return;
	}
	if (!server->registered)
		log_info("registrar", "registered", "namesrv=%s", server->address);
	server->registered = true;
	server->told = false;
	server->next_ms = loop_now_ms(server->registrar->loop) + server->registrar->config.interval_ms;
}

static struct broker_header header_of(const struct registrar_config *config)
{
	return (struct broker_header){
		.broker_name = span_of(config->broker_name), .broker_addr = span_of(config->broker_addr),
		.cluster_name = span_of(config->cluster_name), .broker_id = config->broker_id,
		.ha_server_addr = span_of(config->ha_server_addr), .heartbeat_timeout_ms = -1,
		.has_enable_acting_master = true,
	};
}

static bool is_current(const struct registrar *registrar)
{
	const struct announcement *announced = &registrar->announced;
	struct topics_version version = topics_version(registrar->topics);

	return announced->made && announced->forbidden == registrar->forbidden && announced->version.counter == version.counter &&
	       announced->version.timestamp_ms == version.timestamp_ms;
}

/* ST_NOMEM; ST_TOOBIG. */
static enum status announce(struct registrar *registrar, struct errinfo *err)
{
	struct announcement *announced = &registrar->announced;
	struct topic_table table;
	enum status status = ST_OK;

	if (is_current(registrar))
		return ST_OK;
	if (topic_table_make(registrar->topics, &table) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "no memory for the list of topics");
	for (size_t i = 0; i < table.count; i++)
		table.topics[i].perm &= ~(int32_t)registrar->forbidden;
	buffer_deinit(&announced->body);
	buffer_init(&announced->body, REGISTER_BODY_SIZE_MAX);
	/* A name server takes so many topics as JSON, and many more in the compressed form (which loses only the order flag
	 * and topicSysFlag). */
	announced->compressed = table.count > JSON_TOPICS_MAX;
	if (announced->compressed)
		status = register_body_encode_compressed(&announced->body, &table.version, table.topics, table.count, err);
	else
		register_body_encode(&announced->body, &table.version, table.topics, table.count);
	if (status == ST_OK && announced->body.failed)
		status = errinfo_set(err, ST_TOOBIG, "the list of topics is too long");
	announced->crc = register_body_crc(buffer_span(&announced->body));
	announced->forbidden = registrar->forbidden;
	announced->version = topics_version(registrar->topics);
	announced->made = status == ST_OK;
	topic_table_free(&table);
	return status;
}

static void register_at(struct registrar *registrar, struct name_server *server)
{
	struct broker_header header = header_of(&registrar->config);
	struct errinfo err;
	struct encoder *encoder = NULL;

	if (announce(registrar, &err) == ST_OK)
		encoder = client_begin(registrar->client, server->address, REQ_REGISTER_BROKER, false, &err);
	if (encoder == NULL) {
		failed(server, err.text);
		return;
	}
	header.compressed = registrar->announced.compressed;
	header.body_crc32 = registrar->announced.crc;
	server->asking = true;
	server->dirty = false;
	register_broker_encode(encoder, &header);
	command_body(encoder);
	buffer_append_span(encoder->out, buffer_span(&registrar->announced.body));
	client_send(registrar->client, TIMEOUT_MS, on_answer, server);
}

void registrar_turn_end(struct registrar *registrar)
{
	int64_t now = loop_now_ms(registrar->loop);

	if (!registrar->started || registrar->stopping)
		return;
	for (int i = 0; i < registrar->server_count; i++) {
		struct name_server *server = &registrar->servers[i];

		/* A closed connection shows at once, not at the next period. */
		if (server->registered && !server->asking && !client_connected(registrar->client, server->address)) {
			server->registered = false;
			server->next_ms = now;
		}
		if (!server->asking && (now >= server->next_ms || (server->dirty && server->registered)))
			register_at(registrar, server);
	}
}

static void on_timer(void *context)
{
	(void)context; /* Only wakes the loop: the work is done at the turn's end. */
}

enum status registrar_create(struct loop *loop, struct client *client, const struct registrar_config *config,
			     const struct topics *topics, struct registrar **out, struct errinfo *err)
{
	struct registrar *registrar = calloc(1, sizeof(*registrar));

	if (registrar == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the registrar");
	registrar->loop = loop;
	registrar->client = client;
	registrar->config = *config;
	registrar->topics = topics;
	enum status status = parse_servers(registrar, err);
	if (status == ST_OK && loop_timer_start(loop, &registrar->timer, PROBE_MS / 3, true, on_timer, registrar) != ST_OK)
		status = errinfo_set(err, ST_NOMEM, "no memory for the registrar");
	if (status != ST_OK) {
		registrar_destroy(registrar);
		return status;
	}
	*out = registrar;
	return ST_OK;
}

void registrar_forbid(struct registrar *registrar, uint32_t forbidden)
{
	registrar->forbidden = forbidden;
}

void registrar_start(struct registrar *registrar)
{
	registrar->started = true;
}

const char *registrar_name_server(const struct registrar *registrar, uint32_t turn)
{
	for (int i = 0; i < registrar->server_count; i++) {
		const struct name_server *server = &registrar->servers[(turn + (uint32_t)i) % (uint32_t)registrar->server_count];

		if (server->registered && client_connected(registrar->client, server->address))
			return server->address;
	}
	return NULL;
}

void registrar_changed(struct registrar *registrar)
{
	for (int i = 0; i < registrar->server_count; i++)
		registrar->servers[i].dirty = true;
}

static void ignore_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	(void)context;
	(void)status;
	(void)response;
	(void)err;
}

void registrar_unregister(struct registrar *registrar)
{
	struct broker_header header = header_of(&registrar->config);
	struct errinfo err;

	registrar->stopping = true;
	for (int i = 0; i < registrar->server_count; i++) {
		if (!client_connected(registrar->client, registrar->servers[i].address))
			continue;
		struct encoder *encoder = client_begin(registrar->client, registrar->servers[i].address, REQ_UNREGISTER_BROKER,
						       false, &err);
		if (encoder == NULL)
			continue;
		broker_header_encode(encoder, &header);
		client_send(registrar->client, 1000, ignore_answer, NULL);
	}
}

void registrar_destroy(struct registrar *registrar)
{
	if (registrar == NULL)
		return;
	loop_timer_stop(&registrar->timer);
	buffer_deinit(&registrar->announced.body);
	free(registrar);
}
