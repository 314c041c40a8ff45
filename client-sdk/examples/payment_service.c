/* A payment service: one payment for each order message, however often the message arrives.
 *
 *     payment_service --namesrv 127.0.0.1:9876 --socket /run/mysqld/mysqld.sock --user root --database shop
 *
 * Runs until SIGTERM. Each thread of the consumer has its own MySQL connection. */
#include <getopt.h>
#include <mysql.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "escrow/escrow.h"
#include "escrow/mysql.h"

#define GROUP "payment-service"

static const char *name_servers = "127.0.0.1:9876", *socket_path, *user = "root", *password, *database = "shop";
static pthread_key_t connection_key;

static void close_connection(void *mysql)
{
	mysql_close(mysql);
	mysql_thread_end();
}

/* This thread's connection; a broken one is replaced. NULL: MySQL is away. */
static MYSQL *connection(void)
{
	MYSQL *mysql = pthread_getspecific(connection_key);

	if (mysql != NULL && mysql_ping(mysql) == 0)
		return mysql;
	if (mysql != NULL)
		mysql_close(mysql);
	mysql = mysql_init(NULL);
	if (mysql != NULL && mysql_real_connect(mysql, NULL, user, password, database, 0, socket_path, 0) == NULL) {
		fprintf(stderr, "payment_service: %s\n", mysql_error(mysql));
		mysql_close(mysql);
		mysql = NULL;
	}
	pthread_setspecific(connection_key, mysql);
	return mysql;
}

static enum escrow_consume_result pay(const escrow_message *message, void *context)
{
	MYSQL *mysql = connection();
	struct escrow_error err;
	char text[128], insert[200];
	long order, amount;
	bool is_first;
	size_t size;
	const char *body = escrow_message_body(message, &size);

	(void)context;
	snprintf(text, sizeof(text), "%.*s", (int)(size < 127 ? size : 127), body);
	if (sscanf(text, "{\"order\":%ld,\"amount\":%ld}", &order, &amount) != 2) {
		fprintf(stderr, "payment_service: message %s is not an order\n", escrow_message_id(message));
		return ESCROW_CONSUME_DONE;
	}
	snprintf(insert, sizeof(insert), "INSERT INTO payments (order_id, amount) VALUES (%ld, %ld)", order, amount);
	if (mysql == NULL || mysql_query(mysql, "START TRANSACTION") != 0)
		return ESCROW_CONSUME_RETRY;
	if (escrow_once(mysql, GROUP, escrow_message_id(message), &is_first, &err) != ESCROW_OK) {
		fprintf(stderr, "payment_service: order %ld: %s\n", order, err.text);
	} else if (!is_first) {
		mysql_query(mysql, "ROLLBACK");
		return ESCROW_CONSUME_DONE;
	} else if (mysql_query(mysql, insert) == 0 && mysql_query(mysql, "COMMIT") == 0)
		return ESCROW_CONSUME_DONE;
	else
		fprintf(stderr, "payment_service: order %ld: %s\n", order, mysql_error(mysql));
	mysql_query(mysql, "ROLLBACK");
	return ESCROW_CONSUME_RETRY;
}

static int read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "namesrv", 1, NULL, 'n' },  { "socket", 1, NULL, 's' },   { "user", 1, NULL, 'u' },
		{ "password", 1, NULL, 'p' }, { "database", 1, NULL, 'd' }, { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n': name_servers = optarg; break;
		case 's': socket_path = optarg; break;
		case 'u': user = optarg; break;
		case 'p': password = optarg; break;
		case 'd': database = optarg; break;
		default:
			fprintf(stderr, "usage: payment_service [--namesrv ADDRESSES] [--socket PATH] [--user NAME] [--password WORD] [--database NAME]\n");
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct escrow_subscription subscriptions[] = { { "orders", "*" } };
	struct escrow_consumer_config config;
	struct escrow_consumer_stats stats;
	struct escrow_error err;
	escrow_consumer *consumer;
	sigset_t signals;
	MYSQL *mysql;
	int number;

	if (read_options(argc, argv) != 0)
		return 2;
	/* Before any thread is started, so that all of them leave the signals to us. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	pthread_key_create(&connection_key, close_connection);
	mysql = mysql_library_init(0, NULL, NULL) == 0 ? connection() : NULL;
	if (mysql == NULL || escrow_mysql_create_tables(mysql, &err) != ESCROW_OK) {
		fprintf(stderr, "payment_service: %s\n", mysql == NULL ? "no MySQL" : err.text);
		return 1;
	}
	escrow_consumer_config_init(&config, sizeof(config));
	config.name_servers = name_servers;
	config.group = GROUP;
	config.subscriptions = subscriptions;
	config.subscription_count = 1;
	config.start = ESCROW_START_FIRST;
	config.consume = pay;
	if (escrow_consumer_start(&config, &consumer, &err) != ESCROW_OK) {
		fprintf(stderr, "payment_service: %s\n", err.text);
		return 1;
	}
	sigwait(&signals, &number);
	escrow_consumer_get_stats(consumer, &stats);
	escrow_consumer_stop(consumer, 2000);
	printf("payment_service: received %llu, done %llu, retried %llu\n", (unsigned long long)stats.messages_received,
	       (unsigned long long)stats.messages_done, (unsigned long long)stats.messages_retried);
	mysql_close(mysql);
	return 0;
}
