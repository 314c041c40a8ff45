/* broker/shell/registrar: a name server in the same loop learns of the broker, of its permissions, and again when it is back. */
#include "tests/unit/net/net_fixture.h"

#include <stdio.h>

#include "broker/core/names.h"
#include "broker/core/topics.h"
#include "broker/shell/registrar.h"
#include "lib/net/client.h"
#include "lib/wire/body_register.h"
#include "lib/wire/codes.h"
#include "lib/wire/header_namesrv.h"

struct rig {
	struct loop *loop;
	struct server *server;
	struct server *second; /* Another name server, that says the same. */
	struct client *client;
	struct names *names;
	struct topics *topics;
	struct registrar *registrar;
	char address[128];
	size_t topic_count;
	int registrations, unregistrations;
	int32_t perm;   /* Of the topic, as it was registered last. */
	bool compressed;
	uint64_t conn;  /* Of the last request. */
	bool refuse;
	struct command command;
	struct command_scratch scratch;
};

static void take_registration(struct rig *r)
{
	struct broker_header header;
	struct topic_config_table table;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(register_broker_decode(&r->command, &header, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(register_body_decode(r->command.body, header.compressed, header.body_crc32, r->command.version, &table, &err),
			      ST_OK);
	CU_ASSERT_TRUE(span_is(header.broker_name, "broker-a"));
	CU_ASSERT_EQUAL_FATAL(table.topic_count, r->topic_count);
	r->compressed = header.compressed;
	r->perm = table.topics[0].perm;
	topic_config_table_free(&table);
	r->registrations++;
}

static void serve(void *context, struct conn *conn, struct span frame)
{
	struct rig *r = context;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(command_decode(frame, &r->scratch, &r->command, &err), ST_OK);
	r->conn = conn_id(conn);
	if (r->command.code == REQ_REGISTER_BROKER)
		take_registration(r);
	else
		r->unregistrations += r->command.code == REQ_UNREGISTER_BROKER;
	CU_ASSERT(command_answer(conn_output(conn), &r->command, r->refuse ? RESP_SYSTEM_ERROR : RESP_SUCCESS, SPAN_NONE));
	conn_written(conn);
}

static void turn_end(void *context)
{
	struct rig *r = context;

	if (r->registrar != NULL)
		registrar_turn_end(r->registrar);
}

static void add_topic(struct rig *r, const char *name)
{
	struct topic_settings settings = { .read_queue_nums = 4, .write_queue_nums = 4, .perm = PERM_READ | PERM_WRITE };
	struct topic *topic;

	CU_ASSERT_EQUAL_FATAL(topics_put(r->topics, span_of(name), &settings, false, &topic), ST_OK);
	r->topic_count++;
}

/* A broker that registers every `interval_ms`; `both`: with the second name server, too. */
static void open_rig_with(struct rig *r, int64_t interval_ms, bool both)
{
	struct server_config server_config = fixture_config();
	struct server_callbacks server_callbacks = { r, serve, NULL };
	struct client_config client_config = { .name = "registrar" };
	struct client_callbacks client_callbacks = { 0 };
	struct errinfo err;

	memset(r, 0, sizeof(*r));
	server_config.frame_size_max = 4 * 1024 * 1024;
	r->loop = loop_create();
	loop_add_turn_end(r->loop, turn_end, r);
	CU_ASSERT_EQUAL_FATAL(server_create(r->loop, &server_config, &server_callbacks, &r->server, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(server_create(r->loop, &server_config, &server_callbacks, &r->second, &err), ST_OK);
	r->client = client_create(r->loop, &client_config, &client_callbacks);
	r->names = names_create();
	r->topics = topics_create(r->names, NULL);
	add_topic(r, "orders");
	snprintf(r->address, sizeof(r->address), "127.0.0.1:%u;127.0.0.1:%u", server_port(r->server), server_port(r->second));
	if (!both)
		*strchr(r->address, ';') = '\0';
	struct registrar_config config = { .name_servers = r->address, .cluster_name = "c", .broker_name = "broker-a",
					   .broker_addr = "127.0.0.1:10911", .ha_server_addr = "127.0.0.1:10912",
					   .interval_ms = interval_ms };
	CU_ASSERT_EQUAL_FATAL(registrar_create(r->loop, r->client, &config, r->topics, &r->registrar, &err), ST_OK);
	registrar_start(r->registrar);
	CU_ASSERT(TURN_UNTIL(r->loop, registrar_name_server(r->registrar, 0) != NULL));
}

static void open_rig(struct rig *r)
{
	open_rig_with(r, 3600 * 1000, false);
}

static void close_rig(struct rig *r)
{
	client_destroy(r->client);
	server_destroy(r->server);
	server_destroy(r->second);
	registrar_destroy(r->registrar);
	r->registrar = NULL;
	topics_destroy(r->topics);
	names_destroy(r->names);
	loop_destroy(r->loop);
}

static void test_a_name_server_that_is_back_is_told_at_once(void)
{
	struct rig r;

	open_rig(&r);
	CU_ASSERT_EQUAL(r.registrations, 1);
	conn_close(server_find(r.server, r.conn), NULL);
	CU_ASSERT(TURN_UNTIL(r.loop, r.registrations == 2)); /* Its time is in an hour. */
	close_rig(&r);
}

static void test_what_is_forbidden_is_announced(void)
{
	struct rig r;

	open_rig(&r);
	CU_ASSERT_EQUAL(r.perm, PERM_READ | PERM_WRITE);
	registrar_forbid(r.registrar, PERM_WRITE);
	registrar_changed(r.registrar);
	CU_ASSERT(TURN_UNTIL(r.loop, r.registrations == 2));
	CU_ASSERT_EQUAL(r.perm, PERM_READ);
	registrar_forbid(r.registrar, 0);
	registrar_changed(r.registrar);
	CU_ASSERT(TURN_UNTIL(r.loop, r.registrations == 3));
	CU_ASSERT_EQUAL(r.perm, PERM_READ | PERM_WRITE);
	close_rig(&r);
}

/* One that refuses does not know us, and is asked again soon. */
static void test_a_refusal_is_no_registration(void)
{
	struct rig r;

	open_rig(&r);
	r.refuse = true;
	registrar_changed(r.registrar);
	CU_ASSERT(TURN_UNTIL(r.loop, registrar_name_server(r.registrar, 0) == NULL));
	r.refuse = false;
	CU_ASSERT(TURN_UNTIL(r.loop, registrar_name_server(r.registrar, 0) != NULL));
	registrar_unregister(r.registrar);
	CU_ASSERT(TURN_UNTIL(r.loop, r.unregistrations == 1));
	close_rig(&r);
}

/* A name server forgets whom it has not heard of for two minutes, connected or not. */
static void test_it_registers_again_in_time(void)
{
	struct rig r;

	open_rig_with(&r, 20, false);
	CU_ASSERT(TURN_UNTIL(r.loop, r.registrations >= 3));
	close_rig(&r);
}

/* As JSON there would be too many for a name server. */
static void test_very_many_topics_are_registered_compressed(void)
{
	enum { TOPICS = 10001 };
	char name[32];
	struct rig r;

	open_rig(&r);
	CU_ASSERT_FALSE(r.compressed);
	for (int i = 1; i < TOPICS; i++) {
		snprintf(name, sizeof(name), "topic-%d", i);
		add_topic(&r, name);
	}
	registrar_changed(r.registrar);
	CU_ASSERT(TURN_UNTIL(r.loop, r.registrations == 2));
	CU_ASSERT_TRUE(r.compressed);
	close_rig(&r);
}

/* Whoever got no answer asks the next one. */
static void test_another_turn_is_another_name_server(void)
{
	struct rig r;

	open_rig_with(&r, 3600 * 1000, true);
	CU_ASSERT(TURN_UNTIL(r.loop, r.registrations == 2));
	for (uint32_t turn = 0; turn < 2; turn++) {
		const char *one = registrar_name_server(r.registrar, turn), *next = registrar_name_server(r.registrar, turn + 1);

		CU_ASSERT_FATAL(one != NULL && next != NULL);
		CU_ASSERT_STRING_NOT_EQUAL(one, next);
	}
	close_rig(&r);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_name_server_that_is_back_is_told_at_once),
		CHECK_TEST(test_what_is_forbidden_is_announced),
		CHECK_TEST(test_a_refusal_is_no_registration),
		CHECK_TEST(test_it_registers_again_in_time),
		CHECK_TEST(test_very_many_topics_are_registered_compressed),
		CHECK_TEST(test_another_turn_is_another_name_server),
	};
	return check_main("registrar", tests, sizeof(tests) / sizeof(tests[0]));
}
