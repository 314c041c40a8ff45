#include "namesrv/handlers.h"

#include "lib/base/logging.h"
#include "lib/wire/body_route.h"
#include "lib/wire/header_admin.h"
#include "lib/wire/header_namesrv.h"
#include "lib/wire/unsupported.h"

/* What a handler works on. */
struct call {
	struct namesrv *namesrv;
	const struct command *request;
	uint64_t conn_id;
	const char *peer;
	int64_t now_ms;
	struct buffer *out; /* NULL: one-way. */
};

typedef void (*handler)(struct call *call);

static void answer(struct call *call, int32_t code, const char *remark)
{
	if (call->out != NULL && !command_answer(call->out, call->request, code, span_of(remark)))
		call->out->failed = true;
}

static bool begin(struct call *call, struct encoder *encoder)
{
	if (call->out == NULL)
		return false;
	command_begin(encoder, call->out, call->request->serialize_type, RESP_SUCCESS, call->request->opaque, COMMAND_RESPONSE,
		      SPAN_NONE);
	return true;
}

/* The same for an answer that is a body only. */
static bool begin_body(struct call *call, struct encoder *encoder)
{
	if (!begin(call, encoder))
		return false;
	command_body(encoder);
	return true;
}

static void finish(struct call *call, struct encoder *encoder)
{
	if (!command_end(encoder))
		call->out->failed = true;
}

/* --- brokers ------------------------------------------------------------------------------------------------ */

void namesrv_broker_gone(void *context, struct span broker_name, struct span addr)
{
	(void)context;
	log_info("namesrv", "broker gone", "name=%.*s addr=%.*s", SPAN_ARGS(broker_name), SPAN_ARGS(addr));
}

/* Whoever can connect can provoke these, so few are logged. */
static void refuse_registration(struct call *call, const struct errinfo *err)
{
	uint32_t suppressed;

	if (log_gate_pass(&call->namesrv->refusal_gate, call->now_ms, &suppressed))
		log_warn("namesrv", "registration refused", "peer=%s reason=\"%s\" suppressed=%u", call->peer, err->text,
			 suppressed);
	answer(call, RESP_SYSTEM_ERROR, err->text);
}

static void register_broker(struct call *call)
{
	struct broker_header header;
	struct topic_config_table topics;
	struct errinfo err;
	struct encoder encoder;
	bool is_new = false;

	if (register_broker_decode(call->request, &header, &err) != ST_OK ||
	    register_body_decode(call->request->body, header.compressed, header.body_crc32, call->request->version, &topics,
				 &err) != ST_OK) {
		refuse_registration(call, &err);
		return;
	}
	enum status status = route_table_register(call->namesrv->routes, &header, &topics, call->conn_id, call->now_ms, &is_new,
						  &err);
	size_t topic_count = topics.topic_count;
	topic_config_table_free(&topics);
	if (status != ST_OK) {
		refuse_registration(call, &err);
		return;
	}
	if (is_new)
		log_info("namesrv", "broker registered", "name=%.*s addr=%.*s cluster=%.*s id=%lld topics=%zu",
			 SPAN_ARGS(header.broker_name), SPAN_ARGS(header.broker_addr), SPAN_ARGS(header.cluster_name),
			 (long long)header.broker_id, topic_count);
	if (!begin(call, &encoder))
		return;
	if (header.broker_id != MASTER_ID) {
		struct register_reply_header reply;

		route_table_master(call->namesrv->routes, header.broker_name, &reply);
		register_reply_encode(&encoder, &reply);
	}
	command_body(&encoder);
	(void)kv_table(call->namesrv->kv, SPAN_LITERAL(NAMESPACE_ORDER_TOPIC_CONFIG), call->out);
	finish(call, &encoder);
}

static void unregister_broker(struct call *call)
{
	struct broker_header header;
	struct errinfo err;

	if (broker_header_decode(call->request, &header, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	if (!route_table_late(call->namesrv->routes, header.broker_addr, call->conn_id, call->now_ms) &&
	    route_table_unregister(call->namesrv->routes, header.broker_name, header.broker_addr, header.broker_id))
		log_info("namesrv", "broker unregistered", "name=%.*s addr=%.*s", SPAN_ARGS(header.broker_name),
			 SPAN_ARGS(header.broker_addr));
	answer(call, RESP_SUCCESS, "");
}

static void query_data_version(struct call *call)
{
	struct broker_header header;
	struct data_version asked, known = { 0 };
	struct errinfo err;
	struct encoder encoder;

	if (broker_header_decode(call->request, &header, &err) != ST_OK ||
	    data_version_decode(call->request->body, &asked, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	bool is_known = route_table_version(call->namesrv->routes, header.broker_addr, &known);
	route_table_touch(call->namesrv->routes, header.broker_addr, call->now_ms);
	if (!begin(call, &encoder))
		return;
	data_version_reply_encode(&encoder, !is_known || !data_version_equal(&asked, &known));
	command_body(&encoder);
	if (is_known) {
		struct json_writer w = json_writer_of(call->out);

		data_version_encode(&w, &known);
	}
	finish(call, &encoder);
}

static void broker_heartbeat(struct call *call)
{
	struct broker_header header;
	struct errinfo err;

	if (broker_heartbeat_decode(call->request, &header, &err) == ST_OK)
		route_table_touch(call->namesrv->routes, header.broker_addr, call->now_ms);
	answer(call, RESP_SUCCESS, "");
}

/* --- what clients ask ------------------------------------------------------------------------------------------ */

static void route_by_topic(struct call *call)
{
	struct route_header header;
	struct errinfo err;
	struct encoder encoder;
	struct buffer *out = call->out;

	if (route_header_decode(call->request, &header, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	if (out == NULL)
		return;
	struct span order_conf = SPAN_NONE;
	if (call->namesrv->order_message_enable)
		order_conf = kv_get(call->namesrv->kv, SPAN_LITERAL(NAMESPACE_ORDER_TOPIC_CONFIG), header.topic);
	size_t before = buffer_size(out);
	if (begin_body(call, &encoder)) {
		/* RocketMQ's older clients get its older dialect, in which ids are keys without quotes. */
		bool standard = header.accept_standard_json_only || call->request->version >= VERSION_4_9_4;
		if (route_table_route(call->namesrv->routes, header.topic, order_conf, standard, out)) {
			finish(call, &encoder);
			return;
		}
	}
	out->end = out->start + before;
	errinfo_set(&err, ST_NOTFOUND, "No topic route info in name server for the topic: %.*s", SPAN_ARGS(header.topic));
	answer(call, RESP_TOPIC_NOT_EXIST, err.text);
}

static void cluster_info(struct call *call)
{
	struct encoder encoder;

	if (!begin_body(call, &encoder))
		return;
	route_table_cluster_info(call->namesrv->routes, true, call->out);
	finish(call, &encoder);
}

static void all_topics(struct call *call)
{
	struct encoder encoder;

	if (!begin_body(call, &encoder))
		return;
	route_table_topics(call->namesrv->routes, call->out);
	finish(call, &encoder);
}

static void unit_topics(struct call *call)
{
	bool sub = call->request->code != REQ_GET_UNIT_TOPIC_LIST;
	bool not_unit = call->request->code == REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST;
	struct encoder encoder;

	if (!begin_body(call, &encoder))
		return;
	route_table_unit_topics(call->namesrv->routes, sub ? TOPIC_FLAG_UNIT_SUB : TOPIC_FLAG_UNIT,
				not_unit ? TOPIC_FLAG_UNIT : 0, call->out);
	finish(call, &encoder);
}

static void system_topics(struct call *call)
{
	struct encoder encoder;

	if (!begin_body(call, &encoder))
		return;
	route_table_system_topics(call->namesrv->routes, call->out);
	finish(call, &encoder);
}

static void topics_by_cluster(struct call *call)
{
	struct span cluster;
	struct errinfo err;
	struct encoder encoder;

	if (command_field_text(call->request, "cluster", &cluster, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	if (!begin_body(call, &encoder))
		return;
	route_table_topics_by_cluster(call->namesrv->routes, cluster, call->out);
	finish(call, &encoder);
}

static void member_group(struct call *call)
{
	struct encoder encoder;

	if (!begin_body(call, &encoder))
		return;
	(void)route_table_members(call->namesrv->routes, command_field(call->request, "clusterName"),
				  command_field(call->request, "brokerName"), call->out);
	finish(call, &encoder);
}

/* --- an operator's word ------------------------------------------------------------------------------------------ */

static void delete_topic(struct call *call)
{
	struct span topic;
	struct errinfo err;

	if (topic_header_decode(call->request, &topic, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	route_table_delete_topic(call->namesrv->routes, topic, command_field(call->request, "clusterName"));
	answer(call, RESP_SUCCESS, "");
}

static void register_topic(struct call *call)
{
	struct span topic;
	struct route route;
	struct errinfo err;
	enum status status = topic_header_decode(call->request, &topic, &err);

	if (status == ST_OK)
		status = route_decode(call->request->body, &route, &err);
	if (status == ST_OK) {
		status = route_table_add_topic(call->namesrv->routes, topic, route.queues, route.queue_count, &err);
		route_free(&route);
	}
	answer(call, status == ST_OK ? RESP_SUCCESS : RESP_SYSTEM_ERROR, status == ST_OK ? "" : err.text);
}

static void set_write_perm(struct call *call, bool writable, const char *field)
{
	struct span broker_name;
	struct errinfo err;
	struct encoder encoder;

	if (command_field_text(call->request, "brokerName", &broker_name, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	uint32_t count = route_table_set_write_perm(call->namesrv->routes, broker_name, writable);
	if (!begin(call, &encoder))
		return;
	command_put_i64(&encoder, field, count);
	finish(call, &encoder);
}

static void wipe_write_perm(struct call *call)
{
	set_write_perm(call, false, "wipeTopicCount");
}

static void add_write_perm(struct call *call)
{
	set_write_perm(call, true, "addTopicCount");
}

static void put_kv(struct call *call)
{
	struct kv_header header;
	struct errinfo err;

	if (kv_header_decode(call->request, &header, &err) != ST_OK ||
	    kv_put(call->namesrv->kv, header.name_space, header.key, header.value, &err) != ST_OK)
		answer(call, RESP_SYSTEM_ERROR, err.text);
	else
		answer(call, RESP_SUCCESS, "");
}

static void get_kv(struct call *call)
{
	struct kv_header header;
	struct errinfo err;
	struct encoder encoder;

	if (kv_header_decode(call->request, &header, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	struct span value = kv_get(call->namesrv->kv, header.name_space, header.key);
	if (value.data == NULL) {
		errinfo_set(&err, ST_NOTFOUND, "No config item, Namespace: %.*s Key: %.*s", SPAN_ARGS(header.name_space),
			    SPAN_ARGS(header.key));
		answer(call, RESP_QUERY_NOT_FOUND, err.text);
		return;
	}
	if (!begin(call, &encoder))
		return;
	command_put(&encoder, "value", value);
	finish(call, &encoder);
}

static void delete_kv(struct call *call)
{
	struct kv_header header;
	struct errinfo err;

	if (kv_header_decode(call->request, &header, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	kv_delete(call->namesrv->kv, header.name_space, header.key);
	answer(call, RESP_SUCCESS, "");
}

static void kv_list(struct call *call)
{
	struct span name_space;
	struct errinfo err;
	struct encoder encoder;
	struct buffer *out = call->out;

	if (command_field_text(call->request, "namespace", &name_space, &err) != ST_OK) {
		answer(call, RESP_SYSTEM_ERROR, err.text);
		return;
	}
	if (out == NULL)
		return;
	size_t before = buffer_size(out);
	if (begin_body(call, &encoder)) {
		if (kv_table(call->namesrv->kv, name_space, out)) {
			finish(call, &encoder);
			return;
		}
	}
	out->end = out->start + before;
	errinfo_set(&err, ST_NOTFOUND, "No config item, Namespace: %.*s", SPAN_ARGS(name_space));
	answer(call, RESP_QUERY_NOT_FOUND, err.text);
}

static void get_config(struct call *call)
{
	struct encoder encoder;

	if (!begin_body(call, &encoder))
		return;
	if (call->namesrv->print_config != NULL)
		call->namesrv->print_config(call->namesrv->context, call->out);
	finish(call, &encoder);
}

static void update_config(struct call *call)
{
	struct errinfo err = { ST_DENIED, "no option of this name server can be changed from remote" };
	enum status status = call->namesrv->update_config == NULL ?
				     ST_DENIED : call->namesrv->update_config(call->namesrv->context, call->request->body, &err);

	if (status == ST_OK)
		answer(call, RESP_SUCCESS, "");
	else
		answer(call, status == ST_DENIED ? RESP_NO_PERMISSION : RESP_SYSTEM_ERROR, err.text);
}

static void not_supported(struct call *call)
{
	char remark[UNSUPPORTED_REMARK_SIZE];

	unsupported_remark(call->request->code, ASKED_NAMESRV, remark);
	answer(call, RESP_REQUEST_CODE_NOT_SUPPORTED, remark);
}

static handler find_handler(int32_t code)
{
	switch (code) {
	case REQ_REGISTER_BROKER: return register_broker;
	case REQ_UNREGISTER_BROKER: return unregister_broker;
	case REQ_QUERY_DATA_VERSION: return query_data_version;
	case REQ_BROKER_HEARTBEAT: return broker_heartbeat;
	case REQ_GET_ROUTEINFO_BY_TOPIC: return route_by_topic;
	case REQ_GET_BROKER_CLUSTER_INFO: return cluster_info;
	case REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER: return all_topics;
	case REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS: return system_topics;
	case REQ_GET_TOPICS_BY_CLUSTER: return topics_by_cluster;
	case REQ_GET_BROKER_MEMBER_GROUP: return member_group;
	case REQ_DELETE_TOPIC_IN_NAMESRV: return delete_topic;
	case REQ_REGISTER_TOPIC_IN_NAMESRV: return register_topic;
	case REQ_GET_UNIT_TOPIC_LIST:
	case REQ_GET_HAS_UNIT_SUB_TOPIC_LIST:
	case REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST: return unit_topics;
	case REQ_WIPE_WRITE_PERM_OF_BROKER: return wipe_write_perm;
	case REQ_ADD_WRITE_PERM_OF_BROKER: return add_write_perm;
	case REQ_PUT_KV_CONFIG: return put_kv;
	case REQ_GET_KV_CONFIG: return get_kv;
	case REQ_DELETE_KV_CONFIG: return delete_kv;
	case REQ_GET_KVLIST_BY_NAMESPACE: return kv_list;
	case REQ_GET_NAMESRV_CONFIG: return get_config;
	case REQ_UPDATE_NAMESRV_CONFIG: return update_config;
	default: return not_supported;
	}
}

void namesrv_serve(struct namesrv *namesrv, const struct command *request, uint64_t conn_id, const char *peer,
		   int64_t now_ms, struct buffer *out)
{
	struct call call = { namesrv, request, conn_id, peer, now_ms, command_is_oneway(request) ? NULL : out };

	find_handler(request->code)(&call);
}
