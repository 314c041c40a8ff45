/* The stub broker's insides, shared by stub_broker.c (life, loop, the test's side), stub_serve.c (routes, clients, sending,
 * deciding) and stub_consume.c (positions, pulls, send-backs).
 *
 * Everything happens under the stub's lock: requests in its thread, questions of the test in the test's. */
#ifndef ESCROW_TESTS_STUB_INTERNAL_H
#define ESCROW_TESTS_STUB_INTERNAL_H

#include <pthread.h>

#include "lib/net/mailbox.h"
#include "lib/net/server.h"
#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "tests/support/stub_broker.h"

enum { HALVES_MAX = 4096, MESSAGES_MAX = 8192, POSITIONS_MAX = 256, HOLDS_MAX = 256, MEMBERS_MAX = 16 };
enum { NAME_SIZE = 128 };

struct half {
	uint8_t *record;
	size_t size;
	char id[64];
	char group[NAME_SIZE];
	enum stub_decision decision;
	int ends, unknown, from_check;
};

struct stored {
	char topic[NAME_SIZE];
	int queue;
	int64_t offset;
	uint8_t *record;
	size_t size;
	int32_t tag;
	char id[NAME_SIZE];
};

struct position {
	char group[NAME_SIZE], topic[NAME_SIZE];
	int queue;
	int64_t offset;
	bool reset; /* The next pull is to be told. */
};

struct hold {
	uint64_t conn;
	int32_t opaque;
	struct pull_header header;
	char topic[NAME_SIZE], group[NAME_SIZE], expression[NAME_SIZE];
	int64_t until_ms;
};

struct member {
	uint64_t conn;
	bool producer;
	char client_id[NAME_SIZE], group[NAME_SIZE];
	char topics[4][NAME_SIZE], expressions[4][NAME_SIZE];
	int topic_count;
};

struct fault {
	enum stub_fault fault;
	int times, code;
};

struct stub {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	struct loop *loop;
	struct mailbox *mailbox;
	struct loop_timer sweep;
	struct server *server;
	bool running;
	uint16_t port;
	char address[64];
	int queues;
	bool stock;
	char peer_name[NAME_SIZE], peer_address[64], slave_address[64];
	char forgotten_topic[NAME_SIZE];
	struct stub_counts counts;
	struct fault faults[STUB_KINDS], next_faults[STUB_KINDS];
	struct half halves[HALVES_MAX];
	size_t half_count;
	struct stored messages[MESSAGES_MAX];
	size_t message_count;
	struct position positions[POSITIONS_MAX];
	size_t position_count;
	struct hold holds[HOLDS_MAX];
	size_t hold_count;
	struct member members[MEMBERS_MAX];
	size_t member_count;
	char other_member[NAME_SIZE];
	bool members_forgotten, messages_repeated;
	int32_t next_opaque;
	struct command command;
	struct command_scratch scratch;
};

/* Ends the test program. */
void stub_die(const char *what);
void stub_copy(char out[NAME_SIZE], struct span text);
int64_t stub_queue_end(const struct stub *stub, const char *topic, int queue);
void stub_store(struct stub *stub, struct message message, int queue);
struct position *stub_find_position(struct stub *stub, const char *group, const char *topic, int queue, bool make);
/* The connection is gone. */
void stub_forget_conn(struct stub *stub, uint64_t conn);
/* Answers the pulls for which there is something, or whose time is up. */
void stub_answer_pulls(struct stub *stub);

void stub_answer(struct conn *conn, const struct command *request, int32_t code, const char *remark);
void stub_begin_answer(struct conn *conn, const struct command *request, int32_t code, struct encoder *encoder);
void stub_end_answer(struct conn *conn, struct encoder *encoder);
/* The fault for this request; counts it down. */
struct fault stub_take_fault(struct stub *stub, enum stub_kind kind);
/* True if the request is to be carried out, and then if it is to be answered. */
bool stub_carries_out(struct conn *conn, const struct command *request, struct fault fault);
bool stub_answers(struct conn *conn, struct fault fault);

/* One request. stub_serve gives those of consumers to stub_serve_consumer, which returns false for codes it does not know. */
void stub_serve(struct stub *stub, struct conn *conn, const struct command *request);
bool stub_serve_consumer(struct stub *stub, struct conn *conn, const struct command *request);

#endif
