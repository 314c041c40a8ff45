#include "broker/shell/broker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#include "broker/core/clients.h"
#include "broker/core/settings.h"
#include "broker/core/snapshotter.h"
#include "broker/core/store.h"
#include "broker/projections/key_index.h"
#include "broker/projections/oplog_hold.h"
#include "broker/projections/oplog_projector.h"
#include "broker/shell/core_setup.h"
#include "broker/shell/deferred.h"
#include "broker/shell/disk.h"
#include "broker/shell/key_searches.h"
#include "broker/shell/live_config.h"
#include "broker/shell/metrics_server.h"
#include "broker/shell/registrar.h"
#include "broker/shell/replies.h"
#include "broker/shell/topic_routes.h"
#include "lib/base/clock.h"
#include "lib/base/logging.h"
#include "lib/log/commitlog.h"
#include "lib/net/service.h"

enum { TICK_MS = 10, STOP_LIMIT_MS = 3000, PROJECTOR_GRACE_MS = 1000, PARKED_BYTES_MAX = 64 * 1024 * 1024,
       REPORT_INTERVAL_MS = 60 * 1000, OWN_READ_MIN = 64 * 1024 };

struct broker {
	struct broker_config *config; /* &options. */
	struct broker_config options;
	struct live_config live;
	struct loop *loop;
	struct mailbox *mailbox;
	struct store store;
	struct core *core;
	struct snapshotter *snapshotter;
	struct disk *disk;
	struct server *server;
	struct client *client;
	struct registrar *registrar;
	struct topic_routes *routes; /* NULL without name servers. */
	struct oplog_projector *projector;
	struct key_index *keys;
	struct key_searches *key_searches;
	struct metrics_server *metrics;
	struct oplog_hold oplog_hold;
	struct parked_replies replies;
	struct handlers handlers;
	struct deferred_queue deferred;
	struct loop_timer tick;
	bool stopping;
	bool dead;             /* The log has failed; `failure` says how. */
	int64_t stop_since_ms;
	int64_t next_report_ms;
	enum disk_level disk_level;
	struct errinfo failure;
	struct errinfo decode_error; /* Of the last frame that serve() gave ST_INVALID for. */
	struct log_gate decode_gate;
	struct command command;
	struct command_scratch scratch;
	uint32_t own_reads;    /* Under way for the core itself. */
};

static void set_time(struct broker *broker)
{
	core_set_time(broker->core, clock_wall_ms(clock_system()), clock_mono_ms(clock_system()));
}

/* For the events of a turn: the process may have stood still since the last one. */
static void see_time(struct broker *broker)
{
	if (core_now_ms(broker->core) != loop_now_ms(broker->loop))
		set_time(broker);
}

/* --- requests -------------------------------------------------------------------------------------------- */

static struct host host_of(const struct peer_address *peer)
{
	struct host host = { .ip_size = peer->ip_size, .port = peer->port };

	memcpy(host.ip, peer->ip, sizeof(host.ip));
	return host;
}

static void on_cold_read(void *context)
{
	struct deferred *deferred = context;

	deferred->reading = false;
}

/* Starts what a parked request waits for. Without a wish it waits for room in the log or an index page: both are
 * tried again at each turn that may have brought them. */
static void start_wish(struct broker *broker, struct deferred *deferred)
{
	uint64_t offset;
	uint32_t size;

	if (!core_take_cold_read(broker->core, &offset, &size))
		return;
	if (disk_warm(broker->disk, offset, size, on_cold_read, deferred) == ST_OK)
		deferred->reading = true;
}

/* Serves one frame. ST_AGAIN: to be run again. ST_INVALID: not a command, see decode_error. */
static enum status serve(struct broker *broker, uint64_t conn_id_of, const struct peer_address *peer, struct span frame,
			 bool again, bool refuse_busy)
{
	if (command_decode(frame, &broker->scratch, &broker->command, &broker->decode_error) != ST_OK)
		return ST_INVALID;
	if (command_is_response(&broker->command)) {
		relays_answered(&broker->handlers, conn_id_of, &broker->command);
		return ST_OK;
	}
	struct request request = { .command = &broker->command, .conn_id = conn_id_of, .peer = host_of(peer), .again = again };
	if (broker->stopping || refuse_busy) {
		handlers_refuse(&broker->handlers, &request, broker->stopping ? RESP_SERVICE_NOT_AVAILABLE : RESP_SYSTEM_BUSY,
				broker->stopping ? "the broker is stopping" : "[PCBUSY_CLEAN_QUEUE]broker busy, try again");
		return ST_OK;
	}
	enum status status = handlers_serve(&broker->handlers, &request);
	uint64_t ahead;
	if (core_take_read_ahead(broker->core, &ahead))
		disk_read_ahead(broker->disk, ahead, READ_AHEAD_SIZE);
	return status;
}

static void on_frame(void *context, struct conn *conn, struct span frame)
{
	struct broker *broker = context;
	uint64_t id = conn_id(conn);
	bool busy = replies_in_flight(conn) >= broker->config->in_flight_max ||
		    replies_parked_bytes(&broker->replies) > PARKED_BYTES_MAX;
	see_time(broker);
	enum status status = serve(broker, id, conn_peer(conn), frame, false, busy);
	uint32_t suppressed;

	if (status == ST_AGAIN) {
		struct deferred *deferred = deferred_add(&broker->deferred, id, frame, loop_now_ms(broker->loop));

		if (deferred != NULL)
			start_wish(broker, deferred);
		else
			(void)serve(broker, id, conn_peer(conn), frame, false, true);
	} else if (status == ST_INVALID) {
		if (log_gate_pass(&broker->decode_gate, loop_now_ms(broker->loop), &suppressed))
			log_warn("net", "frame rejected", "peer=%s reason=\"%s\" suppressed=%u", conn_peer(conn)->text,
				 broker->decode_error.text, suppressed);
		conn_close(conn, NULL);
	}
}

/* Runs parked requests again; each once. */
static void run_deferred(struct broker *broker)
{
	int64_t now = loop_now_ms(broker->loop);
	struct deferred *deferred, *next;

	DL_FOREACH_SAFE(broker->deferred.head, deferred, next) {
		if (deferred->reading)
			continue;
		struct conn *conn = server_find(broker->server, deferred->conn_id);
		struct span frame = { deferred->frame, deferred->frame_size };
		bool too_late = now - deferred->since_ms > DEFER_MAX_MS;
		if (conn != NULL && serve(broker, deferred->conn_id, conn_peer(conn), frame, true, too_late) == ST_AGAIN) {
			start_wish(broker, deferred);
			continue;
		}
		deferred_take(&broker->deferred, deferred);
		free(deferred);
	}
}

static void on_conn_close(void *context, struct conn *conn)
{
	struct broker *broker = context;

	if (broker->core == NULL)
		return;
	relays_connection_gone(&broker->handlers, conn_id(conn));
	reports_connection_gone(&broker->handlers, conn_id(conn));
	core_connection_gone(broker->core, conn_id(conn));
}

/* --- effects of the core ------------------------------------------------------------------------------------ */

static void on_own_read(void *context)
{
	((struct broker *)context)->own_reads--;
}

/* What the core wants of its own accord and has only on disk (a half to ask about, a body to carry): have it read, so that
 * the next try finds it in the page cache. One batch at a time, so that requests find the reader free; with what lies
 * behind it, which is often wanted next. */
static void read_for_core(struct broker *broker)
{
	uint64_t offset;
	uint32_t size;

	if (broker->own_reads > 0)
		return;
	while (core_take_own_read(broker->core, &offset, &size)) {
		if (disk_warm(broker->disk, offset, size > OWN_READ_MIN ? size : OWN_READ_MIN, on_own_read, broker) == ST_OK)
			broker->own_reads++;
	}
}

static bool effect_ask(void *context, uint64_t conn, uint64_t half_queue_offset, uint64_t half_offset)
{
	struct broker *broker = context;

	if (handlers_ask(&broker->handlers, conn, half_queue_offset, half_offset))
		return true;
	core_keep_cold_read(broker->core);
	return false;
}

static bool effect_full(void *context, uint64_t conn)
{
	const struct replies *replies = &((const struct broker *)context)->handlers.replies;

	return replies->full(replies->context, conn);
}

static void effect_notify(void *context, uint64_t conn, struct span group)
{
	handlers_notify_consumer(&((struct broker *)context)->handlers, conn, group);
}

static void effect_hold_ready(void *context, const struct hold *hold, bool expired)
{
	handlers_hold_ready(&((struct broker *)context)->handlers, hold, expired);
}

static bool effect_pop_ready(void *context, const struct pop_wait *wait, bool expired)
{
	return handlers_pop_ready(&((struct broker *)context)->handlers, wait, expired);
}

static void effect_topics_changed(void *context)
{
	struct broker *broker = context;

	if (broker->registrar != NULL)
		registrar_changed(broker->registrar);
}

/* --- the loop -------------------------------------------------------------------------------------------------- */

static void on_flushed(void *context)
{
	struct broker *broker = context;

	set_time(broker);
	core_committed(broker->core);
	replies_release(&broker->replies, core_committed_offset(broker->core));
	oplog_projector_advance(broker->projector, commitlog_durable(broker->store.log));
	key_index_advance(broker->keys, commitlog_durable(broker->store.log), commitlog_start(broker->store.log));
	if (broker->deferred.head != NULL)
		run_deferred(broker);
}

static void on_index_read(void *context)
{
	run_deferred(context);
}

static void on_disk_failed(void *context, const struct errinfo *err)
{
	struct broker *broker = context;

	if (broker->dead)
		return;
	log_error("log", "write failed, stopping: nothing more is acknowledged", "reason=\"%s\"", err->text);
	broker->dead = true;
	broker->failure = *err;
	loop_stop(broker->loop);
}

static bool may_stop(const struct broker *broker)
{
	bool all_durable = commitlog_durable(broker->store.log) == commitlog_appended(broker->store.log);

	return all_durable && replies_parked_bytes(&broker->replies) == 0 && broker->deferred.head == NULL &&
	       !server_has_output(broker->server) && !client_busy(broker->client);
}

static void log_counts(const struct broker *broker, const char *event)
{
	struct core_stats stats = core_stats(broker->core);

	log_info("broker", event, "halves=%" PRIu64 " commits=%" PRIu64 " rollbacks=%" PRIu64 " refused=%" PRIu64 " resends=%" PRIu64
		 " checks=%" PRIu64 " messages=%" PRIu64 " pulled=%" PRIu64 " open=%" PRIu64
		 " in_doubt=%" PRIu64,
		 stats.half_count, stats.commit_count, stats.rollback_count, stats.refused_count, stats.resend_count,
		 stats.check_count, stats.message_count, stats.pulled_count, stats.pending_now, stats.in_doubt_now);
}

/* A line a minute while something is in doubt: an operator should look why nobody answers. */
static void report_in_doubt(struct broker *broker)
{
	int64_t now = loop_now_ms(broker->loop);

	if (now < broker->next_report_ms)
		return;
	broker->next_report_ms = now + REPORT_INTERVAL_MS;
	if (core_stats(broker->core).in_doubt_now > 0)
		log_counts(broker, "transactions in doubt");
}

/* From where on the op log in MySQL needs the log. */
static uint64_t projector_pin(struct broker *broker)
{
	struct oplog_status status;

	if (broker->projector == NULL)
		return UINT64_MAX;
	oplog_projector_status(broker->projector, &status);
	return oplog_hold_from(&broker->oplog_hold, status.cursor, status.durable);
}

/* The ladder: say it, refuse what is new, and take it in again when there is space. */
static void watch_disk(struct broker *broker)
{
	static const char *const texts[] = { [DISK_OK] = "ok", [DISK_LOW] = "low", [DISK_FULL] = "full" };

	disk_set_reserved(broker->disk, core_reserved_bytes(broker->core));
	core_set_log_stands(broker->core, disk_log_stands(broker->disk));
	enum disk_level level = disk_level(broker->disk);
	if (level == broker->disk_level)
		return;
	broker->disk_level = level;
	core_set_disk_level(broker->core, level);
	if (level == DISK_FULL)
		log_error("disk", "full: messages and half messages are refused", "free_bytes=%" PRIu64 " prepared_bytes=%" PRIu64
			  " note=\"decisions, pulls and offsets go on\"",
			  disk_free_bytes(broker->disk), commitlog_prepared_ahead(broker->store.log));
	else
		log_warn("disk", "level changed", "level=%s free_bytes=%" PRIu64, texts[level], disk_free_bytes(broker->disk));
}

static void on_tick(void *context)
{
	struct broker *broker = context;

	set_time(broker);
	core_set_log_pin(broker->core, projector_pin(broker));
	core_begin_request(broker->core);
	core_tick(broker->core);
	relays_tick(&broker->handlers, core_now_ms(broker->core));
	core_keep_cold_read(broker->core); /* Of a pull that waited. */
	read_for_core(broker);
	if (broker->key_searches != NULL)
		key_searches_tick(broker->key_searches, loop_now_ms(broker->loop));
	if (broker->routes != NULL && !broker->stopping)
		topic_routes_tick(broker->routes, loop_now_ms(broker->loop));
	watch_disk(broker);
	report_in_doubt(broker);
	if (broker->deferred.head != NULL)
		run_deferred(broker);
	if (broker->stopping &&
	    (may_stop(broker) || loop_now_ms(broker->loop) - broker->stop_since_ms > STOP_LIMIT_MS))
		loop_stop(broker->loop);
}

static void on_turn_end(void *context)
{
	struct broker *broker = context;

	set_time(broker);
	core_turn_end(broker->core);
	disk_turn_end(broker->disk, loop_now_ms(broker->loop));
	registrar_turn_end(broker->registrar);
}

static void on_stop(void *context)
{
	struct broker *broker = context;

	if (broker->stopping)
		return;
	log_counts(broker, "stopping");
	broker->stopping = true;
	broker->stop_since_ms = loop_now_ms(broker->loop);
	server_stop_accepting(broker->server);
	registrar_unregister(broker->registrar);
	core_answer_holds(broker->core);
	if (core_flush_offsets(broker->core) != ST_OK)
		log_warn("broker", "consumer offsets not written", "reason=\"no room in the log\"");
}

/* --- start ---------------------------------------------------------------------------------------------------- */

static enum status make_dirs(const char *path, struct errinfo *err)
{
	char part[CONFIG_TEXT_SIZE];

	for (const char *at = path; *at != '\0';) {
		at += strspn(at, "/");
		at += strcspn(at, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return errinfo_set(err, ST_IO, "storePathRootDir: make directory %s: %s", part, strerror(errno));
	}
	return ST_OK;
}

/* Whoever reads that a store is not sound wants to know how to look closer. */
static enum status say_how_to_look(const struct broker_config *config, enum status status, struct errinfo *err)
{
	struct errinfo said = *err;

	if ((status != ST_CORRUPT && status != ST_VERSION) || strstr(said.text, "escrow-log") != NULL)
		return status;
	return errinfo_set(err, status, "%.380s; look closer with: escrow-log check %.100s", said.text, config->store_path_root_dir);
}

static enum status open_store(struct broker *broker, struct errinfo *err)
{
	const struct broker_config *config = broker->config;
	struct store_config store_config = {
		.log = { .root = config->store_path_root_dir, .cluster = config->broker_cluster_name,
			 .segment_size = (uint64_t)config->mapped_file_size_commit_log & ~(uint64_t)4095,
			 .ring_size = (uint64_t)config->tail_ring_size, .prepare_chunk = DISK_PREPARE_CHUNK },
		.index_cache_bytes = (uint64_t)config->index_cache_size, .broker_name = config->broker_name,
	};
	enum status status = make_dirs(config->store_path_root_dir, err);

	if (status == ST_OK)
		status = store_open(&store_config, vfs_posix(), &broker->store, err);
	return say_how_to_look(config, status, err);
}

/* Where clients with the VIP channel on look for the broker. */
static uint16_t fast_port(const struct broker_config *config)
{
	if (config->fast_listen_port >= 0)
		return (uint16_t)config->fast_listen_port;
	return config->listen_port > 2 ? (uint16_t)(config->listen_port - 2) : 0;
}

static enum status open_server(struct broker *broker, struct errinfo *err)
{
	const struct broker_config *config = broker->config;
	struct server_config server_config = {
		.name = "net", .bind_address = config->bind_address, .port = (uint16_t)config->listen_port,
		.second_port = fast_port(config),
		.frame_size_max = (uint32_t)config->frame_size_max, .connections_max = (uint32_t)config->connections_max,
		.connections_per_address_max = (uint32_t)config->connections_per_address_max,
		.output_bytes_max = (size_t)config->output_bytes_max,
	};
	struct server_callbacks callbacks = { broker, on_frame, on_conn_close };

	/* Before the server's own hook, which writes what this one produces. */
	loop_add_turn_end(broker->loop, on_turn_end, broker);
	return server_create(broker->loop, &server_config, &callbacks, &broker->server, err);
}

static void on_options_changed(void *context)
{
	struct broker *broker = context;
	struct core_config config;
	struct errinfo err;

	if (core_setup(broker->config, &config, &err) != ST_OK)
		return; /* What could be wrong was checked before. */
	registrar_forbid(broker->registrar, config.forbidden);
	core_reconfigure(broker->core, &config);
}

static struct machine_facts look_at_machine(void *context)
{
	const struct broker *broker = context;
	struct oplog_status oplog;

	oplog_projector_status(broker->projector, &oplog);
	return (struct machine_facts){
		.disk_bytes = disk_total_bytes(broker->disk), .disk_free_bytes = disk_free_bytes(broker->disk),
		.connections = server_connection_count(broker->server), .disk_level = (unsigned)broker->disk_level,
		.oplog = broker->projector != NULL, .oplog_lag_bytes = oplog.lag_bytes, .oplog_rows = oplog.row_count,
		.oplog_failures = oplog.failure_count,
	};
}

static enum status open_core(struct broker *broker, struct errinfo *err)
{
	struct core_effects effects = { broker, effect_ask, effect_notify, effect_hold_ready, effect_topics_changed,
					effect_pop_ready, effect_full };
	struct core_config config;
	enum status status = core_setup(broker->config, &config, err);

	if (status != ST_OK)
		return status;
	config.store_port = server_port(broker->server);
	replies_init(&broker->replies, broker->server);
	broker->live = (struct live_config){ .config = broker->config, .port = server_port(broker->server), .context = broker,
					     .changed = on_options_changed };
	broker->handlers = (struct handlers){ .replies = replies_sink(&broker->replies), .broker_name = broker->config->broker_name,
					      .config = live_config_port(&broker->live),
					      .machine = { broker, look_at_machine } };
	status = core_open(&config, &broker->store, clock_wall_ms(clock_system()), clock_mono_ms(clock_system()), &effects,
			   &broker->core, err);
	if (status != ST_OK)
		return errinfo_wrap(err, status, "open store %s", broker->config->store_path_root_dir);
	store_loaded(&broker->store);
	broker->snapshotter = snapshotter_create(broker->core, &broker->store);
	if (broker->snapshotter == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for snapshots");
	broker->handlers.core = broker->core;
	broker->replies.committed = core_committed_offset(broker->core);
	return ST_OK;
}

static const char *name_server(void *context, uint32_t turn)
{
	return registrar_name_server(((const struct broker *)context)->registrar, turn);
}

static enum status open_routes(struct broker *broker, struct errinfo *err)
{
	struct topic_routes_config config = { broker->config->route_refresh_ms, broker, name_server };

	if (broker->config->namesrv_addr[0] == '\0')
		return ST_OK;
	broker->routes = topic_routes_create(broker->client, &config);
	if (broker->routes == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for routes");
	broker->handlers.routes = topic_routes_port(broker->routes);
	return ST_OK;
}

static enum status open_registrar(struct broker *broker, struct errinfo *err)
{
	const struct broker_config *config = broker->config;
	struct client_config client_config = { .name = "registrar" };
	struct client_callbacks callbacks = { 0 };
	struct registrar_config registrar_config = {
		.name_servers = config->namesrv_addr, .cluster_name = config->broker_cluster_name,
		.broker_name = config->broker_name, .broker_id = config->broker_id, .interval_ms = config->register_interval_ms,
	};
	unsigned port = server_port(broker->server);

	snprintf(registrar_config.broker_addr, sizeof(registrar_config.broker_addr), "%.256s:%u", config->broker_ip1, port);
	snprintf(registrar_config.ha_server_addr, sizeof(registrar_config.ha_server_addr), "%.256s:%u", config->broker_ip1,
		 port + 1);
	broker->client = client_create(broker->loop, &client_config, &callbacks);
	if (broker->client == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the client");
	enum status status = registrar_create(broker->loop, broker->client, &registrar_config, core_topics(broker->core),
					      &broker->registrar, err);
	if (status == ST_OK)
		registrar_forbid(broker->registrar, core_configuration(broker->core)->forbidden);
	return status == ST_OK ? open_routes(broker, err) : status;
}

static enum status open_keys(struct broker *broker, struct errinfo *err)
{
	const char *root = broker->config->store_path_root_dir;

	broker->key_searches = key_searches_create(broker->mailbox, on_index_read, broker);
	if (broker->key_searches == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for searches of the key index");
	enum status status = key_index_start(vfs_posix(), root, commitlog_durable(broker->store.log), &broker->keys, err);
	if (status == ST_OK)
		broker->handlers.keys = key_searches_port(broker->key_searches, broker->keys);
	return status;
}

static enum status open_disk(struct broker *broker, struct errinfo *err)
{
	struct disk_callbacks callbacks = { broker, on_flushed, on_index_read, on_disk_failed };

	struct disk_limits limits = { (uint64_t)broker->config->disk_free_min, (uint64_t)broker->config->disk_warning_ratio };

	return disk_create(broker->mailbox, &broker->store, broker->snapshotter, &limits,
			   broker->config->flush_disk_type == FLUSH_SYNC, &callbacks, &broker->disk, err);
}

static enum status start(struct broker *broker, struct errinfo *err)
{
	const struct broker_config *config = broker->config;
	enum status status;

	broker->loop = loop_create();
	broker->mailbox = broker->loop == NULL ? NULL : mailbox_create(broker->loop);
	if (broker->mailbox == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the event loop");
	/* The port first: a second broker on it should fail before it looks at the store. */
	status = open_server(broker, err);
	if (status == ST_OK)
		status = open_store(broker, err);
	if (status == ST_OK)
		status = open_core(broker, err);
	if (status == ST_OK)
		status = open_registrar(broker, err);
	if (status == ST_OK)
		status = open_disk(broker, err);
	if (status == ST_OK && config->oplog.enable)
		status = oplog_projector_start(&config->oplog, config->store_path_root_dir, config->broker_name,
					       commitlog_durable(broker->store.log), &broker->projector, err);
	if (status == ST_OK && config->message_index_enable)
		status = open_keys(broker, err);
	if (status == ST_OK && config->metrics_exporter_type == METRICS_PROM)
		status = metrics_server_create(broker->loop, config->metrics_host, (uint16_t)config->metrics_port,
					       &broker->handlers, &broker->metrics, err);
	if (status == ST_OK)
		status = service_signals(broker->loop, on_stop, broker, err);
	if (status == ST_OK && loop_timer_start(broker->loop, &broker->tick, TICK_MS, true, on_tick, broker) != ST_OK)
		status = errinfo_set(err, ST_NOMEM, "no memory for the timer");
	return status;
}

/* --- end ------------------------------------------------------------------------------------------------------- */

static enum status finish(struct broker *broker, enum status status, struct errinfo *err)
{
	loop_timer_stop(&broker->tick);
	if (broker->disk != NULL) {
		disk_stop(broker->disk);
		/* The last reports of the workers. */
		while (!disk_idle(broker->disk))
			loop_turn(broker->loop, 0);
	}
	metrics_server_destroy(broker->metrics); /* It asks all others. */
	oplog_projector_stop(broker->projector, PROJECTOR_GRACE_MS);
	key_index_stop(broker->keys);
	key_searches_destroy(broker->key_searches);
	server_destroy(broker->server);
	client_destroy(broker->client);
	registrar_destroy(broker->registrar);
	topic_routes_destroy(broker->routes);
	deferred_clear(&broker->deferred);
	relays_clear(&broker->handlers);
	reports_clear(&broker->handlers);
	replies_deinit(&broker->replies);
	snapshotter_destroy(broker->snapshotter);
	core_close(broker->core);
	struct errinfo close_err;
	enum status closed = store_close(&broker->store, status == ST_OK && !broker->dead, &close_err);
	if (closed != ST_OK && status == ST_OK) {
		*err = close_err;
		status = closed;
	}
	disk_destroy(broker->disk);
	mailbox_destroy(broker->mailbox);
	loop_destroy(broker->loop);
	return status;
}

enum status broker_open(const struct broker_config *config, struct broker **out, struct errinfo *err)
{
	struct broker *broker = calloc(1, sizeof(*broker));

	if (broker == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory");
	broker->options = *config;
	broker->config = &broker->options;
	broker->oplog_hold.max_bytes = (uint64_t)config->oplog.hold_log_max;
	enum status status = start(broker, err);
	if (status != ST_OK) {
		status = finish(broker, status, err);
		free(broker);
		return status;
	}
	registrar_start(broker->registrar);
	log_info("broker", "serving", "name=%s cluster=%s store=%s", config->broker_name, config->broker_cluster_name,
		 config->store_path_root_dir);
	service_ready("escrow-broker", config->bind_address, server_port(broker->server));
	*out = broker;
	return ST_OK;
}

enum status broker_close(struct broker *broker, struct errinfo *err)
{
	if (broker->dead)
		*err = broker->failure;
	enum status status = finish(broker, broker->dead ? broker->failure.code : ST_OK, err);
	free(broker);
	return status;
}

struct core *broker_core(const struct broker *broker)
{
	return broker->core;
}

enum status broker_run(const struct broker_config *config, struct errinfo *err)
{
	struct broker *broker;
	enum status status = broker_open(config, &broker, err);

	if (status != ST_OK)
		return status;
	loop_run(broker->loop);
	return broker_close(broker, err);
}
