/* See sdk_instance.h. Routes are in sdk_routes.c. */
#include "client-sdk/src/sdk_instance.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-sdk/src/sdk_routes.h"
#include "lib/base/clock.h"
#include "lib/base/logging.h"
#include "lib/wire/headers.h"

enum { BEAT_RETRY_MS = 200, BEAT_RETRY_LONG_MS = 3000, BEAT_PATIENCE_MS = 60000 };

static atomic_uint instance_count; /* Makes client ids of one process differ. */

/* --- heartbeats ----------------------------------------------------------------------------------------------------- */

struct beat {
	struct sdk_instance *instance;
	struct sdk_broker *broker;
};

static void beat_failed(struct sdk_instance *instance, struct sdk_broker *broker)
{
	int64_t now = sdk_now_ms(instance);

	if (broker->failing_since_ms == 0)
		broker->failing_since_ms = now;
	bool patient = now - broker->failing_since_ms > BEAT_PATIENCE_MS;
	broker->beat_due_ms = now + (patient ? BEAT_RETRY_LONG_MS : BEAT_RETRY_MS);
}

static void on_beat(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct beat *beat = context;
	struct sdk_instance *instance = beat->instance;
	struct sdk_broker *broker = beat->broker;

	free(beat);
	broker->beating = false;
	if (status != ST_OK || response->code != RESP_SUCCESS) {
		log_debug("sdk", "heartbeat failed", "broker=%s reason=\"%s\"", broker->name,
			  err == NULL ? "refused" : err->text);
		beat_failed(instance, broker);
		return;
	}
	broker->failing_since_ms = 0;
	broker->beat_due_ms = sdk_now_ms(instance) + SDK_HEARTBEAT_MS;
	atomic_fetch_add(&instance->beats_acknowledged, 1);
}

static void beat(struct sdk_instance *instance, struct sdk_broker *broker)
{
	struct heartbeat heartbeat = { .client_id = span_of(instance->client_id) };
	struct errinfo err;
	struct beat *context = malloc(sizeof(*context));
	struct encoder *encoder;

	buffer_reset(&instance->beat);
	instance->callbacks.heartbeat(instance->callbacks.context, &heartbeat);
	heartbeat_encode(&instance->beat, &heartbeat);
	encoder = context == NULL || instance->beat.failed
			  ? NULL : client_begin(instance->client, broker->address, REQ_HEART_BEAT, false, &err);
	if (encoder == NULL) {
		free(context);
		beat_failed(instance, broker);
		return;
	}
	command_body(encoder);
	buffer_append_span(encoder->out, buffer_span(&instance->beat));
	*context = (struct beat){ instance, broker };
	broker->beating = true;
	client_send(instance->client, SDK_REQUEST_MS, on_beat, context);
}

void sdk_instance_beat_now(struct sdk_instance *instance)
{
	for (struct sdk_broker *broker = instance->brokers; broker != NULL; broker = broker->hh.next)
		broker->beat_due_ms = 0;
}

static void on_tick(void *context)
{
	struct sdk_instance *instance = context;
	int64_t now = sdk_now_ms(instance);

	sdk_routes_tick(instance, now);
	for (struct sdk_broker *broker = instance->brokers; broker != NULL; broker = broker->hh.next) {
		if (!broker->beating && now >= broker->beat_due_ms && instance->unregistering == 0)
			beat(instance, broker);
	}
	instance->callbacks.on_tick(instance->callbacks.context, now);
}

static void on_disconnect(void *context, const char *address)
{
	struct sdk_instance *instance = context;

	for (struct sdk_broker *broker = instance->brokers; broker != NULL; broker = broker->hh.next) {
		if (strcmp(broker->address, address) == 0) {
			broker->disconnects++;
			broker->beat_due_ms = sdk_now_ms(instance) + SDK_TICK_MS;
		}
	}
}

static void on_request(void *context, struct client_conn *conn, const struct command *request)
{
	struct sdk_instance *instance = context;

	instance->callbacks.on_request(instance->callbacks.context, conn, request);
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

static void on_unregistered(void *context, enum status status, const struct command *response,
			    const struct errinfo *err)
{
	struct sdk_instance *instance = context;

	(void)status; /* A broker that does not hear it finds out by missing heartbeats. */
	(void)response;
	(void)err;
	instance->unregistering--;
}

void sdk_instance_unregister(struct sdk_instance *instance, int64_t deadline_ms)
{
	struct unregister_client_header header = {
		.client_id = span_of(instance->client_id),
		.producer_group = instance->callbacks.producer_group,
		.consumer_group = instance->callbacks.consumer_group,
	};
	struct errinfo err;

	for (struct sdk_broker *broker = instance->brokers; broker != NULL; broker = broker->hh.next) {
		struct encoder *encoder = NULL;

		if (client_connected(instance->client, broker->address))
			encoder = client_begin(instance->client, broker->address, REQ_UNREGISTER_CLIENT, false, &err);
		if (encoder == NULL)
			continue;
		unregister_client_encode(encoder, &header);
		instance->unregistering++;
		client_send(instance->client, deadline_ms < 1 ? 1 : deadline_ms, on_unregistered, instance);
	}
}

void sdk_instance_end(struct sdk_instance *instance)
{
	loop_stop(instance->loop);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

/* The address by which this machine reaches the first name server: what RocketMQ's client ids begin with. */
static void own_address(const char *name_server, char out[INET_ADDRSTRLEN])
{
	struct sockaddr_in to = { .sin_family = AF_INET }, self;
	socklen_t size = sizeof(self);
	char host[SDK_ADDRESS_SIZE];
	const char *colon = strrchr(name_server, ':');
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(out, INET_ADDRSTRLEN, "127.0.0.1");
	snprintf(host, sizeof(host), "%.*s", colon == NULL ? 0 : (int)(colon - name_server), name_server);
	to.sin_port = htons(9);
	/* A datagram socket's connect sends nothing; it only chooses the route. */
	if (fd >= 0 && inet_pton(AF_INET, host, &to.sin_addr) == 1 &&
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&self, &size) == 0)
		(void)inet_ntop(AF_INET, &self.sin_addr, out, INET_ADDRSTRLEN);
	if (fd >= 0)
		close(fd);
}

static enum escrow_code parse_name_servers(struct sdk_instance *instance, const char *text, struct escrow_error *err)
{
	const char *cursor = text;

	while (cursor != NULL && *cursor != '\0') {
		size_t size = strcspn(cursor, ";");
		const char *colon = memchr(cursor, ':', size);

		if (size > 0) {
			if (instance->name_server_count == SDK_NAME_SERVERS_MAX)
				return sdk_fail(err, ESCROW_INVALID, "name_servers: more than %d", SDK_NAME_SERVERS_MAX);
			if (colon == NULL || colon == cursor || colon == cursor + size - 1 || size >= SDK_ADDRESS_SIZE)
				return sdk_fail(err, ESCROW_INVALID, "name_servers: \"%.*s\" is not host:port",
						(int)(size < 100 ? size : 100), cursor);
			memcpy(instance->name_servers[instance->name_server_count++], cursor, size);
		}
		cursor += size + (cursor[size] == ';');
	}
	if (instance->name_server_count == 0)
		return sdk_fail(err, ESCROW_INVALID, "name_servers: none is given");
	return ESCROW_OK;
}

enum escrow_code sdk_instance_init(struct sdk_instance *instance, const char *name_servers, const char *instance_name,
				   const struct sdk_instance_callbacks *callbacks, struct escrow_error *err)
{
	struct client_config config = { .name = "sdk" };
	struct client_callbacks client_callbacks = { instance, on_request, on_disconnect };
	char address[INET_ADDRSTRLEN];

	memset(instance, 0, sizeof(*instance));
	instance->callbacks = *callbacks;
	buffer_init(&instance->beat, 4 * 1024 * 1024);
	enum escrow_code code = parse_name_servers(instance, name_servers, err);
	if (code != ESCROW_OK)
		return code;
	own_address(instance->name_servers[0], address);
	unsigned number = atomic_fetch_add(&instance_count, 1);
	if (instance_name != NULL)
		snprintf(instance->client_id, sizeof(instance->client_id), "%s@%.100s", address, instance_name);
	else
		snprintf(instance->client_id, sizeof(instance->client_id), "%s@%ld#%u#%lld", address, (long)getpid(), number,
			 (long long)clock_wall_ms(clock_system()));
	instance->loop = loop_create();
	if (instance->loop == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory or descriptors for an event loop");
	instance->mailbox = mailbox_create(instance->loop);
	instance->client = client_create(instance->loop, &config, &client_callbacks);
	if (instance->mailbox == NULL || instance->client == NULL ||
	    loop_timer_start(instance->loop, &instance->tick, SDK_TICK_MS, true, on_tick, instance) != ST_OK)
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory or descriptors for the transport");
	return ESCROW_OK;
}

static void *thread_main(void *context)
{
	struct sdk_instance *instance = context;

	loop_run(instance->loop);
	return NULL;
}

enum escrow_code sdk_instance_start(struct sdk_instance *instance, struct escrow_error *err)
{
	sigset_t all, before;

	/* The application's signals are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&instance->thread, NULL, thread_main, instance);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return sdk_fail(err, ESCROW_NO_MEMORY, "start the I/O thread: %s", strerror(error));
	instance->started = true;
	return ESCROW_OK;
}

void sdk_instance_join(struct sdk_instance *instance)
{
	if (instance->started)
		pthread_join(instance->thread, NULL);
	instance->started = false;
}

void sdk_instance_deinit(struct sdk_instance *instance)
{
	struct sdk_broker *broker, *next;

	client_destroy(instance->client);
	sdk_routes_free(instance);
	HASH_ITER(hh, instance->brokers, broker, next) {
		HASH_DEL(instance->brokers, broker);
		free(broker);
	}
	if (instance->loop != NULL) {
		loop_timer_stop(&instance->tick);
		mailbox_destroy(instance->mailbox);
		loop_destroy(instance->loop);
	}
	buffer_deinit(&instance->beat);
	memset(instance, 0, sizeof(*instance));
}
