/* escrow-namesrv: where clients learn which brokers serve a topic. Options, sockets, the liveness scan. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/config_change.h"
#include "lib/base/logging.h"
#include "lib/net/server.h"
#include "lib/net/service.h"
#include "namesrv/handlers.h"
#include "namesrv/kv_file.h"

struct namesrv_config {
	char bind_address[CONFIG_TEXT_SIZE];
	char log_level[CONFIG_TEXT_SIZE];
	int64_t listen_port;
	bool allow_insecure;
	bool order_message_enable;
	char kv_config_path[CONFIG_TEXT_SIZE];
	int64_t scan_interval_ms;
	int64_t broker_timeout_ms;
	int64_t connections_max;
	int64_t connections_per_address_max;
	int64_t frame_size_max;
};

#define AT(field) offsetof(struct namesrv_config, field)
#define NUMBER(k, f, d, u, lo, hi, h) \
	{ .key = k, .type = CONFIG_I64, .offset = AT(f), .def = d, .unit = u, .min = lo, .max = hi, .help = h }

static const struct config_option options[] = {
	NUMBER("listenPort", listen_port, "9876", NULL, 0, 65535, "Port; 0 takes a free one and prints it."),
	{ .key = "bindAddress", .type = CONFIG_TEXT, .offset = AT(bind_address), .def = "127.0.0.1",
	  .help = "Address to listen on. Anything wider than loopback needs allowInsecure=true." },
	{ .key = "allowInsecure", .type = CONFIG_BOOL, .offset = AT(allow_insecure), .def = "false",
	  .help = "Allows a bindAddress other than loopback although peers are not authenticated." },
	{ .key = "logLevel", .type = CONFIG_TEXT, .offset = AT(log_level), .def = "info",
	  .help = "debug, info, warn or error; lines go to standard error." },
	NUMBER("scanNotActiveBrokerInterval", scan_interval_ms, "5000", "ms", 10, 600000,
	       "Interval of the search for brokers that went silent."),
	NUMBER("brokerTimeout", broker_timeout_ms, "120000", "ms", 100, 86400000,
	       "Silence after which a broker is taken out, unless it asked for another time itself."),
	{ .key = "orderMessageEnable", .type = CONFIG_BOOL, .offset = AT(order_message_enable), .def = "false",
	  .help = "Routes name the brokers of an ordered topic, as set with PUT_KV_CONFIG (updateTopic -o)." },
	{ .key = "kvConfigPath", .type = CONFIG_TEXT, .offset = AT(kv_config_path), .def = "",
	  .help = "File that keeps the key-value settings (PUT_KV_CONFIG). Empty: they are gone when the name server ends." },
	NUMBER("connectionsMax", connections_max, "20000", "connections", 1, 1000000, "Open connections."),
	NUMBER("connectionsPerAddressMax", connections_per_address_max, "20000", "connections", 1, 1000000,
	       "Open connections of one client address."),
	NUMBER("frameSizeMax", frame_size_max, "16777216", "bytes", 65536, 67108864, "Largest frame accepted."),
};

static const char *const known_unused[] = {
	"rocketmqHome", "configStorePath", "productEnvName", "clusterTest",
	"returnOrderTopicConfigToBroker", "clientRequestThreadPoolNums", "defaultThreadPoolNums",
	"clientRequestThreadPoolQueueCapacity", "defaultThreadPoolQueueCapacity", "unRegisterBrokerQueueCapacity",
	"supportActingMaster", "enableAllTopicList", "enableTopicList", "notifyMinBrokerIdChanged",
	"enableControllerInNamesrv", "needWaitForService", "waitSecondsForService", "deleteTopicWithBrokerRegistration",
	"storePathRootDir", "serverWorkerThreads", "serverSelectorThreads", NULL,
};

static const struct config_spec spec = { "escrow-namesrv", options, sizeof(options) / sizeof(options[0]), known_unused };

struct process {
	struct namesrv_config config;
	struct namesrv namesrv;
	struct loop *loop;
	struct server *server;
	struct loop_timer scan, stop_limit;
	struct log_gate decode_gate, save_gate;
	uint64_t kv_saved, kv_tried; /* Versions of the settings: what the file holds, what was last to be written. */
	struct command command;
	struct command_scratch scratch;
};

static void on_frame(void *context, struct conn *conn, struct span frame)
{
	struct process *p = context;
	struct errinfo err;
	uint32_t suppressed;

	if (command_decode(frame, &p->scratch, &p->command, &err) != ST_OK) {
		if (log_gate_pass(&p->decode_gate, loop_now_ms(p->loop), &suppressed))
			log_warn("net", "frame rejected", "peer=%s reason=\"%s\" suppressed=%u", conn_peer(conn)->text, err.text,
				 suppressed);
		conn_close(conn, NULL);
		return;
	}
	if (command_is_response(&p->command))
		return;
	namesrv_serve(&p->namesrv, &p->command, conn_id(conn), conn_peer(conn)->text, loop_now_ms(p->loop), conn_output(conn));
	conn_written(conn);
}

static void on_close(void *context, struct conn *conn)
{
	struct process *p = context;

	route_table_connection_gone(p->namesrv.routes, conn_id(conn), namesrv_broker_gone, NULL);
}

static void save_settings(struct process *p)
{
	struct errinfo err;
	uint32_t suppressed;

	if (p->config.kv_config_path[0] == '\0' || kv_version(p->namesrv.kv) == p->kv_saved)
		return;
	p->kv_tried = kv_version(p->namesrv.kv);
	if (kv_file_save(p->namesrv.kv, p->config.kv_config_path, &err) == ST_OK)
		p->kv_saved = p->kv_tried;
	else if (log_gate_pass(&p->save_gate, loop_now_ms(p->loop), &suppressed))
		log_error("namesrv", "key-value settings not saved", "reason=\"%s\" suppressed=%u note=\"tried again\"", err.text,
			  suppressed);
}

static void on_scan(void *context)
{
	struct process *p = context;

	route_table_expire(p->namesrv.routes, loop_now_ms(p->loop), namesrv_broker_gone, NULL);
	save_settings(p);
}

static void on_stop_limit(void *context)
{
	struct process *p = context;

	loop_stop(p->loop);
}

/* What was asked is answered in this turn already; give the answers a moment to leave. */
static void on_stop(void *context)
{
	struct process *p = context;

	log_info("namesrv", "stopping", NULL);
	save_settings(p);
	server_stop_accepting(p->server);
	if (loop_timer_start(p->loop, &p->stop_limit, server_has_output(p->server) ? 1000 : 50, false, on_stop_limit, p) != ST_OK)
		loop_stop(p->loop);
}

/* Before the answers of this turn leave. What could not be saved is tried again with the next scan or change. */
static void on_turn_end(void *context)
{
	struct process *p = context;

	if (kv_version(p->namesrv.kv) != p->kv_tried)
		save_settings(p);
}

static void print_config(void *context, struct buffer *out)
{
	const struct process *p = context;

	config_put_values(&spec, &p->config, out);
	if (p->config.listen_port == 0) /* The later line counts. */
		buffer_printf(out, "listenPort=%u\n", server_port(p->server));
}

static enum status update_config(void *context, struct span text, struct errinfo *err)
{
	static const char *const changeable[] = { "orderMessageEnable", "logLevel", NULL };
	struct process *p = context;
	struct namesrv_config wanted = p->config;
	enum status status = config_change(&spec, changeable, &wanted, text, err);

	if (status == ST_OK)
		status = service_log_level(wanted.log_level, err);
	if (status != ST_OK)
		return status;
	config_log_changes(&spec, &p->config, &wanted);
	p->config = wanted;
	p->namesrv.order_message_enable = wanted.order_message_enable;
	return ST_OK;
}

static enum status start(struct process *p, struct errinfo *err)
{
	struct server_config server_config = {
		.name = "net", .bind_address = p->config.bind_address, .port = (uint16_t)p->config.listen_port,
		.frame_size_max = (uint32_t)p->config.frame_size_max, .connections_max = (uint32_t)p->config.connections_max,
		.connections_per_address_max = (uint32_t)p->config.connections_per_address_max,
		.output_bytes_max = 64 * 1024 * 1024,
	};
	struct server_callbacks callbacks = { p, on_frame, on_close };

	p->loop = loop_create();
	p->namesrv.routes = route_table_create(p->config.broker_timeout_ms);
	p->namesrv.kv = kv_create();
	p->namesrv.order_message_enable = p->config.order_message_enable;
	if (p->loop == NULL || p->namesrv.routes == NULL || p->namesrv.kv == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory");
	p->namesrv.context = p;
	p->namesrv.print_config = print_config;
	p->namesrv.update_config = update_config;
	enum status status = p->config.kv_config_path[0] == '\0' ?
				     ST_OK : kv_file_load(p->namesrv.kv, p->config.kv_config_path, err);
	p->kv_saved = p->kv_tried = kv_version(p->namesrv.kv);
	loop_add_turn_end(p->loop, on_turn_end, p); /* In front of the server's, which writes what is answered. */
	if (status == ST_OK)
		status = server_create(p->loop, &server_config, &callbacks, &p->server, err);
	if (status == ST_OK)
		status = service_signals(p->loop, on_stop, p, err);
	if (status == ST_OK && loop_timer_start(p->loop, &p->scan, p->config.scan_interval_ms, true, on_scan, p) != ST_OK)
		status = errinfo_set(err, ST_NOMEM, "no memory for the timer");
	return status;
}

static void finish(struct process *p)
{
	loop_timer_stop(&p->scan);
	loop_timer_stop(&p->stop_limit);
	server_destroy(p->server);
	route_table_destroy(p->namesrv.routes);
	kv_destroy(p->namesrv.kv);
	loop_destroy(p->loop);
}

int main(int argc, char **argv)
{
	static struct process process;
	struct errinfo err;
	enum config_action action;

	config_init(&spec, &process.config);
	if (config_parse_args(&spec, &process.config, argc, argv, &action, &err) != ST_OK)
		return service_fail("escrow-namesrv", &err);
	if (action == CONFIG_EXIT_OK)
		return 0;
	if (service_log_level(process.config.log_level, &err) != ST_OK ||
	    service_check_exposure(process.config.bind_address, process.config.allow_insecure, &err) != ST_OK)
		return service_fail("escrow-namesrv", &err);
	int code = 0;
	if (start(&process, &err) == ST_OK) {
		service_ready("escrow-namesrv", process.config.bind_address, server_port(process.server));
		loop_run(process.loop);
	} else {
		code = service_fail("escrow-namesrv", &err);
	}
	finish(&process);
	return code;
}
