#include "client-sdk/src/instance.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/hash.h"
#include "lib/base/logging.h"
#include "lib/base/owner.h"
#include "lib/wire/headers.h"

enum { LEAVE_POLL_MS = 20, GOODBYE_TIMEOUT_MS = 1000 };

/* --- identity -------------------------------------------------------------------------------------------------- */

/* The first address of a real interface, or the loopback's; part of names only. */
static uint32_t local_ipv4(void)
{
	struct ifaddrs *list, *at;
	uint32_t found = INADDR_LOOPBACK;

	if (getifaddrs(&list) != 0)
		return found;
	for (at = list; at != NULL; at = at->ifa_next) {
		if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_LOOPBACK) ||
		    !(at->ifa_flags & IFF_UP))
			continue;
		found = ntohl(((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr.s_addr);
		break;
	}
	freeifaddrs(list);
	return found;
}

/* ip@pid#random, unique per instance; RocketMQ's members sort these as text. */
static void name_client(struct instance *instance, const char *instance_name)
{
	struct in_addr address = { htonl(instance->ipv4) };
	char ip[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, ip, sizeof(ip));
	if (instance_name != NULL)
		snprintf(instance->client_id, sizeof(instance->client_id), "%s@%.128s", ip, instance_name);
	else
		snprintf(instance->client_id, sizeof(instance->client_id), "%s@%d#%016llx", ip, (int)getpid(),
			 (unsigned long long)hash_key_random().k0);
}

/* --- callbacks of the parts ---------------------------------------------------------------------------------------- */

static void fill_heartbeat(void *context, struct heartbeat *out)
{
	struct instance *instance = context;

	out->client_id = span_of(instance->client_id);
	instance->callbacks.fill_heartbeat(instance->callbacks.context, out);
}

static void on_acknowledged(void *context, struct broker *broker)
{
	struct instance *instance = context;

	log_info("sdk", "broker knows us", "broker=%s address=%s client=%s", broker->name, broker->address,
		 instance->client_id);
	/* It may be back from a restart with another set of topics, or at another place. */
	if (broker->disconnects > 0 || !broker->routed)
		routes_refresh_all(instance->routes);
	instance->callbacks.on_acknowledged(instance->callbacks.context, broker);
}

static void on_route(void *context, struct topic_route *route)
{
	struct instance *instance = context;

	brokers_sync(instance->brokers, routes_first(instance->routes));
	instance->callbacks.on_route(instance->callbacks.context, route);
}

static void on_disconnect(void *context, const char *address)
{
	struct instance *instance = context;

	brokers_disconnected(instance->brokers, address);
}

static void on_request(void *context, struct client_conn *conn, const struct command *request)
{
	struct instance *instance = context;
	struct errinfo err;

	if (instance->callbacks.on_request(instance->callbacks.context, conn, request) || command_is_oneway(request))
		return;
	if (client_begin_answer(instance->client, conn, request, RESP_REQUEST_CODE_NOT_SUPPORTED,
				SPAN_LITERAL("not supported by libescrow"), &err) != NULL)
		client_send_answer(instance->client);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void *thread_main(void *argument)
{
	struct instance *instance = argument;

	loop_run(instance->loop);
	return NULL;
}

static enum escrow_code make_parts(struct instance *instance, const struct name_servers *servers, bool slaves)
{
	struct client_config client_config = { .name = "sdk" };
	struct client_callbacks client_callbacks = { instance, on_request, on_disconnect };
	struct brokers_config brokers_config = { .slaves = slaves, .context = instance, .fill_heartbeat = fill_heartbeat,
						 .on_acknowledged = on_acknowledged };

	instance->loop = loop_create();
	if (instance->loop == NULL)
		return ESCROW_NO_MEMORY;
	instance->mailbox = mailbox_create(instance->loop);
	instance->client = client_create(instance->loop, &client_config, &client_callbacks);
	if (instance->mailbox == NULL || instance->client == NULL)
		return ESCROW_NO_MEMORY;
	brokers_config.loop = instance->loop;
	brokers_config.client = instance->client;
	instance->routes = routes_create(instance->loop, instance->client, servers, on_route, instance);
	instance->brokers = brokers_create(&brokers_config);
	return instance->routes != NULL && instance->brokers != NULL ? ESCROW_OK : ESCROW_NO_MEMORY;
}

enum escrow_code instance_init(struct instance *instance, const char *name_servers, const char *instance_name,
			       bool slaves, const struct instance_callbacks *callbacks, struct escrow_error *err)
{
	struct name_servers servers;
	struct errinfo cause;

	memset(instance, 0, sizeof(*instance));
	sdk_default_log_level();
	if (name_servers_parse(name_servers, &servers, &cause) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "%s", cause.text);
	instance->callbacks = *callbacks;
	instance->ipv4 = local_ipv4();
	name_client(instance, instance_name);
	if (make_parts(instance, &servers, slaves) == ESCROW_OK)
		return ESCROW_OK;
	instance_deinit(instance);
	return sdk_fail(err, ESCROW_NO_MEMORY, "start: out of memory or descriptors");
}

enum escrow_code instance_start(struct instance *instance, const char *thread_name, struct escrow_error *err)
{
	sigset_t all, old;

	/* Signals are the application's: its own threads take them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int error = pthread_create(&instance->thread, NULL, thread_main, instance);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error != 0)
		return sdk_fail(err, ESCROW_NO_MEMORY, "start thread %s: %s", thread_name, strerror(error));
	pthread_setname_np(instance->thread, thread_name);
	instance->running = true;
	return ESCROW_OK;
}

void instance_post(struct instance *instance, struct letter *letter)
{
	mailbox_post(instance->mailbox, letter);
}

static void leave_when_quiet(void *context)
{
	struct instance *instance = context;

	if (instance->goodbyes == 0 || instance_now_ms(instance) >= instance->leave_deadline_ms) {
		loop_timer_stop(&instance->leave_timer);
		loop_stop(instance->loop);
	}
}

static void leave(struct letter *letter)
{
	struct instance *instance = OWNER(struct instance, letter, leave_letter);

	instance->leaving = true;
	instance->leave_deadline_ms = instance_now_ms(instance) + instance->leave_ms;
	instance->say_goodbye(instance->callbacks.context);
	brokers_stop(instance->brokers);
	routes_stop(instance->routes);
	if (loop_timer_start(instance->loop, &instance->leave_timer, LEAVE_POLL_MS, true, leave_when_quiet, instance) != ST_OK)
		loop_stop(instance->loop);
}

void instance_stop(struct instance *instance, void (*say_goodbye)(void *context), int64_t deadline_ms)
{
	if (!instance->running)
		return;
	instance->say_goodbye = say_goodbye;
	instance->leave_ms = deadline_ms;
	instance->leave_letter.deliver = leave;
	instance_post(instance, &instance->leave_letter);
	pthread_join(instance->thread, NULL);
	instance->running = false;
}

void instance_close(struct instance *instance)
{
	if (instance->closed || instance->loop == NULL)
		return;
	instance->closed = true;
	if (instance->brokers != NULL)
		brokers_stop(instance->brokers);
	if (instance->routes != NULL)
		routes_stop(instance->routes);
	loop_timer_stop(&instance->leave_timer);
	client_destroy(instance->client);
	instance->client = NULL;
}

void instance_deinit(struct instance *instance)
{
	if (instance->loop == NULL)
		return;
	instance_close(instance);
	routes_destroy(instance->routes);
	brokers_destroy(instance->brokers);
	mailbox_destroy(instance->mailbox);
	loop_destroy(instance->loop);
}

static void on_goodbye_answer(void *context, enum status status, const struct command *response,
			      const struct errinfo *err)
{
	struct instance *instance = context;

	(void)response;
	instance->goodbyes--;
	if (status != ST_OK)
		log_info("sdk", "unregistering not acknowledged", "reason=\"%s\"", err->text);
}

void instance_unregister(struct instance *instance, struct span producer_group, struct span consumer_group)
{
	struct unregister_client_header header = { span_of(instance->client_id), producer_group, consumer_group };
	struct errinfo err;

	for (struct broker *broker = brokers_first(instance->brokers); broker != NULL; broker = broker->hh.next) {
		if (!client_connected(instance->client, broker->address))
			continue;
		struct encoder *encoder = client_begin(instance->client, broker->address, REQ_UNREGISTER_CLIENT, false, &err);
		if (encoder == NULL)
			continue; /* It sees the connection go. */
		unregister_client_encode(encoder, &header);
		instance->goodbyes++;
		client_send(instance->client, GOODBYE_TIMEOUT_MS, on_goodbye_answer, instance);
	}
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

void call_init(struct call *call, void (*begin)(struct letter *letter))
{
	call->letter.deliver = begin;
	pthread_mutex_init(&call->lock, NULL);
	pthread_cond_init(&call->changed, NULL);
	call->done = false;
}

void call_wait(struct instance *instance, struct call *call)
{
	instance_post(instance, &call->letter);
	pthread_mutex_lock(&call->lock);
	while (!call->done)
		pthread_cond_wait(&call->changed, &call->lock);
	pthread_mutex_unlock(&call->lock);
	pthread_cond_destroy(&call->changed);
	pthread_mutex_destroy(&call->lock);
}

void call_done(struct call *call)
{
	pthread_mutex_lock(&call->lock);
	call->done = true;
	pthread_cond_signal(&call->changed);
	pthread_mutex_unlock(&call->lock);
}
