#include "lib/wire/header_namesrv.h"

#include "lib/wire/header_fields.h"

#define BROKER(member, name, kind, bits) HEADER_FIELD(struct broker_header, member, name, kind, bits)

static const struct broker_header broker_defaults = { .broker_id = -1, .heartbeat_timeout_ms = -1 };
static const struct header_field register_fields[] = {
	BROKER(broker_name, "brokerName", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(broker_addr, "brokerAddr", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(cluster_name, "clusterName", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(ha_server_addr, "haServerAddr", HEADER_TEXT, 0),
	BROKER(broker_id, "brokerId", HEADER_I64, HEADER_MANDATORY),
	BROKER(heartbeat_timeout_ms, "heartbeatTimeoutMillis", HEADER_I64, HEADER_OMIT_DEFAULT),
	BROKER(enable_acting_master, "enableActingMaster", HEADER_BOOL, HEADER_PRESENCE),
	BROKER(compressed, "compressed", HEADER_BOOL, 0),
	BROKER(body_crc32, "bodyCrc32", HEADER_I32, 0),
	BROKER(zone_name, "__ZONE_NAME", HEADER_TEXT, 0),
};
static const struct header_field broker_fields[] = {
	BROKER(broker_name, "brokerName", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(broker_addr, "brokerAddr", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(cluster_name, "clusterName", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(broker_id, "brokerId", HEADER_I64, HEADER_MANDATORY),
};
static const struct header_field heartbeat_fields[] = {
	BROKER(broker_name, "brokerName", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(broker_addr, "brokerAddr", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(cluster_name, "clusterName", HEADER_TEXT, HEADER_MANDATORY),
	BROKER(broker_id, "brokerId", HEADER_I64, 0),
	/* Spelled so. */
	BROKER(heartbeat_timeout_ms, "heartbeatTimeoutMills", HEADER_I64, 0),
};
static const struct header_spec register_spec = HEADER_SPEC(register_fields, NULL, broker_defaults);
static const struct header_spec broker_spec = HEADER_SPEC(broker_fields, NULL, broker_defaults);
static const struct header_spec heartbeat_spec = HEADER_SPEC(heartbeat_fields, NULL, broker_defaults);

_Static_assert(offsetof(struct broker_header, has_enable_acting_master) ==
	       offsetof(struct broker_header, enable_acting_master) + 1, "HEADER_PRESENCE needs neighbours");

enum status register_broker_decode(const struct command *command, struct broker_header *out, struct errinfo *err)
{
	return header_decode(command, &register_spec, out, err);
}

void register_broker_encode(struct encoder *encoder, const struct broker_header *header)
{
	header_encode(encoder, &register_spec, header);
}

enum status broker_header_decode(const struct command *command, struct broker_header *out, struct errinfo *err)
{
	return header_decode(command, &broker_spec, out, err);
}

void broker_header_encode(struct encoder *encoder, const struct broker_header *header)
{
	header_encode(encoder, &broker_spec, header);
}

enum status broker_heartbeat_decode(const struct command *command, struct broker_header *out, struct errinfo *err)
{
	return header_decode(command, &heartbeat_spec, out, err);
}

#define REPLY(member, name) HEADER_FIELD(struct register_reply_header, member, name, HEADER_TEXT, 0)

static const struct register_reply_header reply_defaults = { 0 };
static const struct header_field reply_fields[] = {
	REPLY(ha_server_addr, "haServerAddr"),
	REPLY(master_addr, "masterAddr"),
};
static const struct header_spec reply_spec = HEADER_SPEC(reply_fields, NULL, reply_defaults);

enum status register_reply_decode(const struct command *command, struct register_reply_header *out,
				  struct errinfo *err)
{
	return header_decode(command, &reply_spec, out, err);
}

void register_reply_encode(struct encoder *encoder, const struct register_reply_header *header)
{
	header_encode(encoder, &reply_spec, header);
}

#define ROUTE(member, name, kind, bits) HEADER_FIELD(struct route_header, member, name, kind, bits)

static const struct route_header route_defaults = { 0 };
static const struct header_field route_fields[] = {
	ROUTE(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	ROUTE(accept_standard_json_only, "acceptStandardJsonOnly", HEADER_BOOL, HEADER_OMIT_DEFAULT),
};
static const struct header_spec route_spec = HEADER_SPEC(route_fields, NULL, route_defaults);

enum status route_header_decode(const struct command *command, struct route_header *out, struct errinfo *err)
{
	return header_decode(command, &route_spec, out, err);
}

void route_header_encode(struct encoder *encoder, const struct route_header *header)
{
	header_encode(encoder, &route_spec, header);
}

#define KV(member, name, bits) HEADER_FIELD(struct kv_header, member, name, HEADER_TEXT, bits)

static const struct kv_header kv_defaults = { 0 };
static const struct header_field kv_fields[] = {
	KV(name_space, "namespace", HEADER_MANDATORY),
	KV(key, "key", HEADER_MANDATORY),
	KV(value, "value", 0),
};
static const struct header_spec kv_spec = HEADER_SPEC(kv_fields, NULL, kv_defaults);

enum status kv_header_decode(const struct command *command, struct kv_header *out, struct errinfo *err)
{
	return header_decode(command, &kv_spec, out, err);
}

void kv_header_encode(struct encoder *encoder, const struct kv_header *header)
{
	header_encode(encoder, &kv_spec, header);
}

enum status data_version_reply_decode(const struct command *command, bool *changed, struct errinfo *err)
{
	struct span text;
	enum status status = command_field_text(command, "changed", &text, err);

	*changed = command_field_bool(command, "changed", true);
	return status;
}

void data_version_reply_encode(struct encoder *encoder, bool changed)
{
	command_put_bool(encoder, "changed", changed);
}
