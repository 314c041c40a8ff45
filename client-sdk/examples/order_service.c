/* An order service. Placing an order = a row in `orders`, and a message for the payment service, both or neither.
 *
 * There is no code for check-backs here: the barrier row that commits with the order answers them, also after a crash.
 *
 *     order_service --namesrv 127.0.0.1:9876 --socket /run/mysqld/mysqld.sock --user root --database shop --count 100
 *
 * --first N        number of the first order (default 1)
 * --fail-every N   each Nth local transaction fails (out of stock)
 * --crash-after N  kill ourselves between the local commit and the decision of order N: the worst moment
 * --pause-ms N     between orders
 * --linger S       stay S seconds after the last order, as a service would, to be asked by check-backs */
#include <getopt.h>
#include <mysql.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "escrow/escrow.h"
#include "escrow/mysql.h"

static const char *name_servers = "127.0.0.1:9876", *socket_path, *user = "root", *password, *database = "shop";
static long count = 10, first = 1, fail_every, crash_after, pause_ms, linger_s;
static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static void sleep_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static int read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "namesrv", 1, NULL, 'n' },    { "socket", 1, NULL, 's' },      { "user", 1, NULL, 'u' },
		{ "password", 1, NULL, 'p' },   { "database", 1, NULL, 'd' },    { "count", 1, NULL, 'c' },
		{ "first", 1, NULL, 'f' },      { "fail-every", 1, NULL, 'e' },  { "crash-after", 1, NULL, 'x' },
		{ "pause-ms", 1, NULL, 'm' },   { "linger", 1, NULL, 'l' },      { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n': name_servers = optarg; break;
		case 's': socket_path = optarg; break;
		case 'u': user = optarg; break;
		case 'p': password = optarg; break;
		case 'd': database = optarg; break;
		case 'c': count = atol(optarg); break;
		case 'f': first = atol(optarg); break;
		case 'e': fail_every = atol(optarg); break;
		case 'x': crash_after = atol(optarg); break;
		case 'm': pause_ms = atol(optarg); break;
		case 'l': linger_s = atol(optarg); break;
		default:
			fprintf(stderr, "usage: order_service [--namesrv ADDRESSES] [--socket PATH] [--user NAME] [--password WORD] [--database NAME]\n"
					"           [--count N] [--first N] [--fail-every N] [--crash-after N] [--pause-ms N] [--linger S]\n");
			return -1;
		}
	}
	return 0;
}

static int run(MYSQL *mysql, const char *statement)
{
	if (mysql_query(mysql, statement) == 0)
		return 0;
	fprintf(stderr, "order_service: %s\n", mysql_error(mysql));
	return -1;
}

/* The connection in *mysql, or a new one in place of a broken one. False: MySQL is away. */
static bool connected(MYSQL **mysql)
{
	if (*mysql != NULL && mysql_ping(*mysql) == 0)
		return true;
	if (*mysql != NULL)
		mysql_close(*mysql);
	*mysql = mysql_init(NULL);
	if (*mysql != NULL && mysql_real_connect(*mysql, NULL, user, password, database, 0, socket_path, 0) != NULL)
		return true;
	fprintf(stderr, "order_service: %s\n", *mysql == NULL ? "out of memory" : mysql_error(*mysql));
	return false;
}

/* The local transaction: barrier row and order row together. */
static enum escrow_local_result place_order(MYSQL *mysql, const char *transaction_id, long order, long amount)
{
	struct escrow_error err;
	char insert[160];

	snprintf(insert, sizeof(insert), "INSERT INTO orders (id, amount) VALUES (%ld, %ld)", order, amount);
	if (run(mysql, "START TRANSACTION") != 0)
		return ESCROW_LOCAL_ROLLBACK; /* Nothing has happened. */
	if (escrow_barrier_insert(mysql, transaction_id, &err) != ESCROW_OK) {
		fprintf(stderr, "order_service: order %ld: %s\n", order, err.text);
	} else if (run(mysql, insert) == 0 && !(fail_every > 0 && order % fail_every == 0)) {
		/* A lost connection here leaves open whether it committed: the barrier row knows. */
		return run(mysql, "COMMIT") == 0 ? ESCROW_LOCAL_COMMIT : ESCROW_LOCAL_UNKNOWN;
	}
	return run(mysql, "ROLLBACK") == 0 ? ESCROW_LOCAL_ROLLBACK : ESCROW_LOCAL_UNKNOWN;
}

static const char *const state_names[] = { "pending", "committed", "rolled back", "conflicting" };

/* True if the order's message is in escrow, whatever was decided then. */
static bool order_and_message(escrow_producer *producer, MYSQL **mysql, long order)
{
	struct escrow_transaction_result result = { .state = ESCROW_PENDING };
	escrow_transaction *transaction;
	enum escrow_local_result local;
	escrow_message *message;
	struct escrow_error err;
	char body[80];
	long amount = 100 + order % 97;

	if (!connected(mysql))
		return false;
	snprintf(body, sizeof(body), "{\"order\":%ld,\"amount\":%ld}", order, amount);
	if (escrow_message_create("orders", body, strlen(body), &message, &err) != ESCROW_OK ||
	    escrow_prepare(producer, message, 2000, &transaction, &err) != ESCROW_OK) {
		fprintf(stderr, "order_service: order %ld: %s\n", order, err.text);
		return false; /* Nothing happened, or check-back will find that the local transaction never did. */
	}
	local = place_order(*mysql, escrow_transaction_id(transaction), order, amount);
	if (order == crash_after && local == ESCROW_LOCAL_COMMIT) {
		fprintf(stderr, "order_service: order %ld is committed in MySQL, its message is not: dying now\n", order);
		raise(SIGKILL);
	}
	if (local == ESCROW_LOCAL_COMMIT)
		escrow_commit(transaction, 2000, &result, &err);
	else if (local == ESCROW_LOCAL_ROLLBACK)
		escrow_rollback(transaction, 2000, &result, &err);
	if (result.state == ESCROW_PENDING)
		fprintf(stderr, "order_service: order %ld: %s: %s\n", order, state_names[result.state], result.text);
	escrow_transaction_release(transaction);
	escrow_message_destroy(message);
	return true;
}

int main(int argc, char **argv)
{
	static const char *const topics[] = { "orders" };
	struct escrow_mysql_target barrier = { 0 };
	struct escrow_producer_config config;
	struct escrow_error err;
	escrow_producer *producer;
	MYSQL *mysql = NULL;

	if (read_options(argc, argv) != 0)
		return 2;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (!connected(&mysql))
		return 1;
	if (escrow_mysql_create_tables(mysql, &err) != ESCROW_OK) {
		fprintf(stderr, "order_service: %s\n", err.text);
		return 1;
	}
	barrier.socket = socket_path;
	barrier.user = user;
	barrier.password = password;
	barrier.database = database;
	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = name_servers;
	config.group = "order-service";
	config.topics = topics;
	config.topic_count = 1;
	config.barrier = &barrier;
	if (escrow_producer_start(&config, &producer, &err) != ESCROW_OK) {
		fprintf(stderr, "order_service: %s\n", err.text);
		return 1;
	}
	for (long order = first; order < first + count && !stopping; order++) {
		while (!order_and_message(producer, &mysql, order) && !stopping)
			sleep_ms(100); /* The broker or MySQL is away: the customer tries again. */
		sleep_ms(pause_ms);
	}
	printf("order_service: all orders placed\n");
	fflush(stdout);
	for (long i = 0; i < 10 * linger_s && !stopping; i++)
		sleep_ms(100);
	escrow_producer_stop(producer, 1000);
	if (mysql != NULL)
		mysql_close(mysql);
	return 0;
}
