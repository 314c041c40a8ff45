#include "client-sdk/src/brokers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "lib/base/logging.h"

enum {
	BEAT_MS = 30000,
	BEAT_TIMEOUT_MS = 3000,
	RETURN_FIRST_MS = 100, /* After a lost connection or heartbeat ... */
	RETURN_MAX_MS = 500,   /* ... doubling to this. */
	UNROUTED_KEEP_MS = 600000,
};

struct brokers {
	struct brokers_config config;
	struct broker *table;
	atomic_uint_least64_t acknowledged_count;
	bool stopped;
	struct log_gate gate;
};

static void beat(void *context);

static void beat_in(struct broker *broker, int64_t after_ms)
{
	if (broker->brokers->stopped)
		return;
	if (loop_timer_start(broker->brokers->config.loop, &broker->timer, after_ms, false, beat, broker) != ST_OK)
		log_warn("sdk", "no timer for heartbeats", "broker=%s", broker->address);
}

static void forget(struct broker *broker)
{
	HASH_DEL(broker->brokers->table, broker);
	loop_timer_stop(&broker->timer);
	free(broker);
}

static bool is_over_age(const struct broker *broker)
{
	return !broker->routed &&
	       loop_now_ms(broker->brokers->config.loop) - broker->unrouted_since_ms > UNROUTED_KEEP_MS;
}

static void beat_failed(struct broker *broker, const char *reason)
{
	struct brokers *brokers = broker->brokers;
	int64_t pause = RETURN_FIRST_MS;
	uint32_t suppressed;

	broker->acknowledged = false;
	broker->failures++;
	if (is_over_age(broker)) {
		forget(broker);
		return;
	}
	if (log_gate_pass(&brokers->gate, loop_now_ms(brokers->config.loop), &suppressed))
		log_info("sdk", "heartbeat failed", "broker=%s address=%s reason=\"%s\" suppressed=%u", broker->name,
			 broker->address, reason, suppressed);
	for (unsigned i = 1; i < broker->failures && pause < RETURN_MAX_MS; i++)
		pause *= 2;
	beat_in(broker, pause > RETURN_MAX_MS ? RETURN_MAX_MS : pause);
}

static void on_beat_answer(void *context, enum status status, const struct command *response,
			   const struct errinfo *err)
{
	struct broker *broker = context;
	struct brokers *brokers = broker->brokers;

	broker->beating = false;
	if (brokers->stopped)
		return;
	if (status != ST_OK || response->code != RESP_SUCCESS) {
		beat_failed(broker, status != ST_OK ? err->text : response_code_name(response->code));
		return;
	}
	/* RocketMQ's broker is written in Java and says so; it forgets a transaction once it is decided. */
	broker->idempotent = response->language == LANGUAGE_CPP;
	broker->failures = 0;
	atomic_fetch_add(&brokers->acknowledged_count, 1);
	beat_in(broker, BEAT_MS);
	if (!broker->acknowledged) {
		broker->acknowledged = true;
		brokers->config.on_acknowledged(brokers->config.context, broker);
	}
}

static void beat(void *context)
{
	struct broker *broker = context;
	struct brokers *brokers = broker->brokers;
	struct heartbeat body = { 0 };
	struct errinfo err;

	if (broker->beating || brokers->stopped)
		return;
	struct encoder *encoder = client_begin(brokers->config.client, broker->address, REQ_HEART_BEAT, false, &err);
	if (encoder == NULL) {
		beat_failed(broker, err.text);
		return;
	}
	brokers->config.fill_heartbeat(brokers->config.context, &body);
	command_body(encoder);
	heartbeat_encode(encoder->out, &body);
	broker->beating = true;
	client_send(brokers->config.client, BEAT_TIMEOUT_MS, on_beat_answer, broker);
}

void brokers_beat(struct broker *broker)
{
	beat_in(broker, 0);
}

struct brokers *brokers_create(const struct brokers_config *config)
{
	struct brokers *brokers = calloc(1, sizeof(*brokers));

	if (brokers != NULL)
		brokers->config = *config;
	return brokers;
}

void brokers_stop(struct brokers *brokers)
{
	brokers->stopped = true;
	for (struct broker *broker = brokers->table; broker != NULL; broker = broker->hh.next)
		loop_timer_stop(&broker->timer);
}

void brokers_destroy(struct brokers *brokers)
{
	struct broker *broker, *next;

	if (brokers == NULL)
		return;
	HASH_ITER(hh, brokers->table, broker, next)
		forget(broker);
	free(brokers);
}

/* --- the table ---------------------------------------------------------------------------------------------- */

static void route_names(struct brokers *brokers, const struct view_broker *named, const struct view_address *address)
{
	struct broker *broker = brokers_find(brokers, address->address);

	if (broker == NULL) {
		if (HASH_COUNT(brokers->table) >= BROKERS_MAX || (broker = calloc(1, sizeof(*broker))) == NULL)
			return;
		broker->brokers = brokers;
		memcpy(broker->address, address->address, sizeof(broker->address));
		HASH_ADD_STR(brokers->table, address, broker);
		if (!table_took(broker)) {
			free(broker);
			return; /* The next route tries again. */
		}
		brokers_beat(broker);
	}
	memcpy(broker->name, named->name, sizeof(broker->name));
	broker->broker_id = address->broker_id;
	broker->routed = true;
}

void brokers_sync(struct brokers *brokers, struct topic_route *routes)
{
	int64_t now = loop_now_ms(brokers->config.loop);

	for (struct broker *broker = brokers->table; broker != NULL; broker = broker->hh.next) {
		if (broker->routed)
			broker->unrouted_since_ms = now;
		broker->routed = false;
	}
	for (struct topic_route *route = routes; route != NULL; route = route->hh.next) {
		for (size_t i = 0; route->view != NULL && i < route->view->broker_count; i++) {
			const struct view_broker *named = &route->view->brokers[i];

			for (uint32_t j = 0; j < named->address_count; j++) {
				if (brokers->config.slaves || named->addresses[j].broker_id == MASTER_ID)
					route_names(brokers, named, &named->addresses[j]);
			}
		}
	}
}

void brokers_disconnected(struct brokers *brokers, const char *address)
{
	struct broker *broker = brokers_find(brokers, address);

	if (broker == NULL)
		return;
	broker->disconnects++;
	broker->acknowledged = false;
	if (!broker->beating) /* Otherwise the heartbeat's own failure does the same. */
		beat_in(broker, RETURN_FIRST_MS);
}

struct broker *brokers_find(struct brokers *brokers, const char *address)
{
	struct broker *broker = NULL;

	HASH_FIND_STR(brokers->table, address, broker);
	return broker;
}

struct broker *brokers_master(struct brokers *brokers, const char *name)
{
	struct broker *found = NULL;

	for (struct broker *broker = brokers->table; broker != NULL; broker = broker->hh.next) {
		if (broker->broker_id == MASTER_ID && strcmp(broker->name, name) == 0 && (found == NULL || broker->routed))
			found = broker;
	}
	return found;
}

struct broker *brokers_first(struct brokers *brokers)
{
	return brokers->table;
}

uint64_t brokers_acknowledged_count(struct brokers *brokers)
{
	return atomic_load(&brokers->acknowledged_count);
}
