/* libescrow against a real broker, ours or a stock RocketMQ, through its public interface and its static library only.
 *
 *     sdk_suite NAMESRV escrow|rocketmq [CASE]
 *
 * Prints "PASS case" or "FAIL case: why" for each and "N passed, N failed". Topics and groups are new in each run. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "escrow/escrow.h"

enum { SEEN_MAX = 4096, NAME_SIZE = 80, WAIT_MS = 45000, POLL_MS = 10, SEND_MS = 10000,
       SEEN_COUNT_MAX = 16 };

static const char *name_servers;
static bool is_stock;
static char case_name[NAME_SIZE];
static char why[ESCROW_ERROR_TEXT_SIZE + 200];
static long run_id;

/* Ends the case when `condition` does not hold. */
#define NEED(condition, ...)                                    \
	do {                                                    \
		if (!(condition)) {                             \
			snprintf(why, sizeof(why), __VA_ARGS__); \
			return false;                           \
		}                                               \
	} while (0)

static void name(char out[NAME_SIZE], const char *what)
{
	snprintf(out, NAME_SIZE, "%.4s-%.32s-%ld", what, case_name, run_id);
}

static void sleep_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

/* --- receiving ------------------------------------------------------------------------------------------------------ */

struct seen {
	pthread_mutex_t lock;
	char ids[SEEN_MAX][ESCROW_ID_SIZE];
	char texts[SEEN_MAX][64];
	int times[SEEN_MAX];
	int count;
	int failures; /* So many are answered with RETRY. */
};

static enum escrow_consume_result consume(const escrow_message *message, void *context)
{
	struct seen *seen = context;
	size_t size;
	const char *body = escrow_message_body(message, &size);
	enum escrow_consume_result result = ESCROW_CONSUME_DONE;

	pthread_mutex_lock(&seen->lock);
	if (seen->count < SEEN_MAX) {
		snprintf(seen->ids[seen->count], ESCROW_ID_SIZE, "%s", escrow_message_id(message));
		snprintf(seen->texts[seen->count], sizeof(seen->texts[0]), "%.*s/%s/%s/%s", (int)size, body,
			 escrow_message_tag(message), escrow_message_keys(message),
			 escrow_message_property(message, "colour") == NULL ? "" : escrow_message_property(message, "colour"));
		seen->times[seen->count] = escrow_message_reconsume_times(message);
		seen->count++;
	}
	if (seen->failures > 0) {
		seen->failures--;
		result = ESCROW_CONSUME_RETRY;
	}
	pthread_mutex_unlock(&seen->lock);
	return result;
}

/* Static: a failed case may leave a consumer running. */
static struct seen *seen_new(void)
{
	static struct seen all[SEEN_COUNT_MAX];
	static int used;

	if (used == SEEN_COUNT_MAX)
		abort();
	struct seen *seen = &all[used++];
	pthread_mutex_init(&seen->lock, NULL);
	return seen;
}

static int seen_count(struct seen *seen)
{
	pthread_mutex_lock(&seen->lock);
	int count = seen->count;
	pthread_mutex_unlock(&seen->lock);
	return count;
}

static int seen_times(struct seen *seen, const char *id)
{
	int times = 0;

	pthread_mutex_lock(&seen->lock);
	for (int i = 0; i < seen->count; i++)
		times += strcmp(seen->ids[i], id) == 0;
	pthread_mutex_unlock(&seen->lock);
	return times;
}

static bool wait_count(struct seen *seen, int count)
{
	for (int waited = 0; waited < WAIT_MS && seen_count(seen) < count; waited += POLL_MS)
		sleep_ms(POLL_MS);
	return seen_count(seen) >= count;
}

static escrow_consumer *consumer_start(struct seen *seen, const char *topic, const char *expression)
{
	struct escrow_subscription subscription = { topic, expression };
	struct escrow_consumer_config config;
	escrow_consumer *consumer = NULL;
	struct escrow_error err;
	char group[NAME_SIZE];

	name(group, "cg");
	escrow_consumer_config_init(&config, sizeof(config));
	config.name_servers = name_servers;
	config.group = group;
	config.subscriptions = &subscription;
	config.subscription_count = 1;
	config.consume = consume;
	config.context = seen;
	config.start = ESCROW_START_FIRST;
	config.retry_delay_level = 1;
	if (escrow_consumer_start(&config, &consumer, &err) != ESCROW_OK)
		snprintf(why, sizeof(why), "consumer: %s", err.text);
	return consumer;
}

/* --- sending ------------------------------------------------------------------------------------------------------------ */

struct checker {
	atomic_int calls;
	enum escrow_local_result say;
};

static enum escrow_local_result check(const escrow_message *message, const char *transaction_id, void *context)
{
	struct checker *checker = context;

	atomic_fetch_add(&checker->calls, 1);
	return strcmp(escrow_message_id(message), transaction_id) == 0 ? checker->say : ESCROW_LOCAL_UNKNOWN;
}

static escrow_producer *producer_start(const char *topic, struct checker *checker)
{
	struct escrow_producer_config config;
	escrow_producer *producer = NULL;
	struct escrow_error err;
	char group[NAME_SIZE];

	name(group, "pg");
	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = name_servers;
	config.group = group;
	config.topics = &topic;
	config.topic_count = 1;
	if (checker != NULL) {
		config.check = check;
		config.check_context = checker;
	}
	if (escrow_producer_start(&config, &producer, &err) != ESCROW_OK)
		snprintf(why, sizeof(why), "producer: %s", err.text);
	return producer;
}

static escrow_message *message_of(const char *topic, const char *body, const char *tag)
{
	escrow_message *message = NULL;

	if (escrow_message_create(topic, body, strlen(body), &message, NULL) != ESCROW_OK ||
	    (tag != NULL && escrow_message_set_tag(message, tag, NULL) != ESCROW_OK))
		abort();
	return message;
}

static enum escrow_local_result say(escrow_transaction *transaction, const escrow_message *message, void *context)
{
	(void)transaction;
	(void)message;
	return *(enum escrow_local_result *)context;
}

static bool transact(escrow_producer *producer, const char *topic, enum escrow_local_result local,
		     enum escrow_transaction_state expected, char id[ESCROW_ID_SIZE])
{
	escrow_message *message = message_of(topic, "order", "paid");
	struct escrow_transaction_result result;
	struct escrow_error err = { .code = ESCROW_OK };

	if (escrow_message_set_keys(message, "k1 k2", NULL) != ESCROW_OK ||
	    escrow_message_set_property(message, "colour", "red", NULL) != ESCROW_OK)
		abort();
	enum escrow_code code = escrow_producer_send_in_transaction(producer, message, say, &local, SEND_MS, &result, &err);
	escrow_message_destroy(message);
	NEED(code == ESCROW_OK, "send in transaction: %s", err.text);
	NEED(result.state == expected, "state %d instead of %d: %s", (int)result.state, (int)expected, result.text);
	memcpy(id, result.transaction_id, ESCROW_ID_SIZE);
	return true;
}

static bool send_plain(escrow_producer *producer, const char *topic, const char *body, const char *tag,
		       char id[ESCROW_ID_SIZE])
{
	escrow_message *message = message_of(topic, body, tag);
	struct escrow_send_result result;
	struct escrow_error err = { .code = ESCROW_OK };
	enum escrow_code code = escrow_send(producer, message, SEND_MS, &result, &err);

	escrow_message_destroy(message);
	NEED(code == ESCROW_OK, "send: %s", err.text);
	if (id != NULL)
		memcpy(id, result.message_id, ESCROW_ID_SIZE);
	return true;
}

/* --- cases ---------------------------------------------------------------------------------------------------------------- */

static bool commit_and_rollback(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	char committed[ESCROW_ID_SIZE], rolled_back[ESCROW_ID_SIZE], last[ESCROW_ID_SIZE];

	(void)consumer;
	if (!transact(producer, topic, ESCROW_LOCAL_COMMIT, ESCROW_COMMITTED, committed) ||
	    !transact(producer, topic, ESCROW_LOCAL_ROLLBACK, ESCROW_ROLLED_BACK, rolled_back) ||
	    !transact(producer, topic, ESCROW_LOCAL_COMMIT, ESCROW_COMMITTED, last))
		return false;
	NEED(wait_count(seen, 2), "%d of 2 messages arrived", seen_count(seen));
	NEED(seen_times(seen, committed) == 1 && seen_times(seen, last) == 1, "not each once");
	NEED(strcmp(seen->texts[0], "order/paid/k1 k2/red") == 0, "arrived as \"%s\"", seen->texts[0]);
	sleep_ms(500);
	NEED(seen_times(seen, rolled_back) == 0, "a rolled back message arrived");
	return true;
}

static bool explicit_form(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	escrow_message *message = message_of(topic, "order", NULL);
	struct escrow_transaction_result result;
	struct escrow_error err = { .code = ESCROW_OK };
	escrow_transaction *transaction;

	(void)consumer;
	enum escrow_code code = escrow_prepare(producer, message, SEND_MS, &transaction, &err);
	escrow_message_destroy(message);
	NEED(code == ESCROW_OK, "prepare: %s", err.text);
	sleep_ms(300);
	int before = seen_count(seen);
	code = escrow_commit(transaction, SEND_MS, &result, &err);
	/* The same again: no second copy. (RocketMQ would deliver it twice.) */
	if (code == ESCROW_OK && !is_stock)
		code = escrow_commit(transaction, SEND_MS, &result, &err);
	escrow_transaction_release(transaction);
	NEED(before == 0, "visible before the commit");
	NEED(code == ESCROW_OK && result.state == ESCROW_COMMITTED, "commit: %.200s%.200s", err.text, result.text);
	NEED(wait_count(seen, 1), "did not arrive");
	sleep_ms(500);
	NEED(seen_count(seen) == 1, "arrived %d times", seen_count(seen));
	return true;
}

static bool check_back(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	struct checker checker = { .say = ESCROW_LOCAL_COMMIT };
	escrow_producer *asked = producer_start(topic, &checker);
	char id[ESCROW_ID_SIZE];

	(void)producer;
	(void)consumer;
	NEED(asked != NULL, "no producer");
	bool sent = transact(asked, topic, ESCROW_LOCAL_UNKNOWN, ESCROW_PENDING, id);
	bool arrived = sent && wait_count(seen, 1);
	escrow_producer_stop(asked, 2000);
	if (!sent)
		return false;
	NEED(arrived, "not delivered after %d checks", atomic_load(&checker.calls));
	NEED(seen_times(seen, id) == 1, "another message arrived");
	return true;
}

/* The instance that sent it is gone; the one that answers has not sent anything. */
static bool check_back_of_another(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	struct checker checker = { .say = ESCROW_LOCAL_COMMIT };
	escrow_producer *sender, *idle;
	char id[ESCROW_ID_SIZE];

	(void)producer;
	(void)consumer;
	strcat(case_name, "x"); /* A group of its own: `producer` shall not be asked. */
	sender = producer_start(topic, NULL);
	NEED(sender != NULL, "no producer");
	bool sent = transact(sender, topic, ESCROW_LOCAL_UNKNOWN, ESCROW_PENDING, id);
	escrow_producer_stop(sender, 2000);
	if (!sent)
		return false;
	idle = producer_start(topic, &checker);
	NEED(idle != NULL, "no second producer");
	bool arrived = wait_count(seen, 1);
	escrow_producer_stop(idle, 2000);
	NEED(arrived, "not delivered after %d checks", atomic_load(&checker.calls));
	return true;
}

static bool check_back_rollback(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	struct checker checker = { .say = ESCROW_LOCAL_ROLLBACK };
	escrow_producer *asked = producer_start(topic, &checker);
	char id[ESCROW_ID_SIZE];

	(void)producer;
	(void)consumer;
	NEED(asked != NULL, "no producer");
	bool sent = transact(asked, topic, ESCROW_LOCAL_UNKNOWN, ESCROW_PENDING, id);
	for (int waited = 0; sent && waited < WAIT_MS && atomic_load(&checker.calls) == 0; waited += POLL_MS)
		sleep_ms(POLL_MS);
	sleep_ms(500);
	escrow_producer_stop(asked, 2000);
	if (!sent)
		return false;
	NEED(atomic_load(&checker.calls) > 0, "never asked");
	NEED(seen_count(seen) == 0, "a rolled back message arrived");
	return true;
}

static bool consume_all_once(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	enum { COUNT = 300 };
	static char ids[COUNT][ESCROW_ID_SIZE];

	(void)consumer;
	for (int i = 0; i < COUNT; i++) {
		if (!send_plain(producer, topic, "m", NULL, ids[i]))
			return false;
	}
	NEED(wait_count(seen, COUNT), "%d of %d arrived", seen_count(seen), COUNT);
	for (int i = 0; i < COUNT; i++)
		NEED(seen_times(seen, ids[i]) == 1, "message %d arrived %d times", i, seen_times(seen, ids[i]));
	return true;
}

static bool tag_filter(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	static const char *const tags[] = { "TagA", "TagB", NULL, "TagC", "TagA" };

	(void)consumer;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (!send_plain(producer, topic, "m", tags[i], NULL))
			return false;
	}
	NEED(wait_count(seen, 3), "%d of 3 arrived", seen_count(seen));
	sleep_ms(500);
	NEED(seen_count(seen) == 3, "%d instead of 3 arrived", seen_count(seen));
	return true;
}

static bool retry(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	char id[ESCROW_ID_SIZE];

	(void)consumer;
	seen->failures = 1;
	if (!send_plain(producer, topic, "m", "t", id))
		return false;
	NEED(wait_count(seen, 2), "%d of 2 deliveries", seen_count(seen));
	NEED(seen_times(seen, id) == 2, "another message arrived");
	NEED(seen->times[0] == 0 && seen->times[1] == 1, "reconsume times %d and %d", seen->times[0], seen->times[1]);
	return true;
}

static bool positions(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic)
{
	struct seen *again = seen_new();
	char id[ESCROW_ID_SIZE];

	for (int i = 0; i < 40; i++) {
		if (!send_plain(producer, topic, "m", NULL, NULL))
			return false;
	}
	NEED(wait_count(seen, 40), "%d of 40 arrived", seen_count(seen));
	/* Another member goes on exactly where this one is, once that is stored: a stock broker can lose the first word of one of
	 * the queues, and keeps the second, five intervals later. */
	sleep_ms(6500);
	escrow_consumer *second = consumer_start(again, topic, "*");
	NEED(second != NULL, "no second consumer");
	sleep_ms(1500);
	escrow_consumer_stop(consumer, 3000);
	int before = seen_count(seen);
	bool sent = send_plain(producer, topic, "m", NULL, id);
	bool arrived = sent && wait_count(again, 1);
	sleep_ms(500);
	escrow_consumer_stop(second, 3000);
	if (!sent)
		return false;
	NEED(arrived, "the second consumer got nothing");
	NEED(seen_count(again) == 1 && seen_times(again, id) == 1, "%d messages came again", seen_count(again) - 1);
	NEED(before == seen_count(seen), "a stopped consumer went on");
	return true;
}

typedef bool (*case_function)(escrow_producer *producer, escrow_consumer *consumer, struct seen *seen, const char *topic);

static const struct {
	const char *name;
	const char *expression;
	case_function run;
	bool stops_consumer;
} cases[] = {
	{ "commit-rollback", "*", commit_and_rollback, false },
	{ "explicit", NULL, explicit_form, false },
	{ "check-back", "*", check_back, false },
	{ "check-back-of-another", "*", check_back_of_another, false },
	{ "check-back-rollback", "*", check_back_rollback, false },
	{ "consume", "*", consume_all_once, false },
	{ "tags", "TagA || TagC", tag_filter, false },
	{ "retry", "t", retry, false },
	{ "positions", "*", positions, true },
};

static bool run_case(size_t i)
{
	struct seen *seen = seen_new();
	char topic[NAME_SIZE];

	snprintf(case_name, sizeof(case_name), "%s", cases[i].name);
	name(topic, "t");
	why[0] = '\0';
	escrow_producer *producer = producer_start(topic, NULL);
	escrow_consumer *consumer = consumer_start(seen, topic, cases[i].expression);
	if (producer == NULL || consumer == NULL)
		return false;
	bool passed = cases[i].run(producer, consumer, seen, topic);
	if (!cases[i].stops_consumer)
		escrow_consumer_stop(consumer, 2000);
	escrow_producer_stop(producer, 2000);
	return passed;
}

/* A broker says that it serves; the name servers may hear of it a moment later. */
static void await_broker(void)
{
	enum { PAUSE_MS = 200 };
	char topic[NAME_SIZE];
	bool known = false;

	snprintf(case_name, sizeof(case_name), "await-broker");
	name(topic, "t");
	escrow_producer *producer = producer_start(topic, NULL);
	for (int waited = 0; producer != NULL && !known && waited < WAIT_MS; waited += PAUSE_MS) {
		known = send_plain(producer, topic, "is somebody there?", NULL, NULL);
		if (!known)
			sleep_ms(PAUSE_MS);
	}
	if (producer != NULL)
		escrow_producer_stop(producer, 2000);
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: sdk_suite NAMESRV escrow|rocketmq [CASE]\n");
		return 2;
	}
	name_servers = argv[1];
	is_stock = strcmp(argv[2], "rocketmq") == 0;
	run_id = (long)time(NULL) % 100000 * 100000 + getpid() % 100000;
	await_broker();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc > 3 && strcmp(argv[3], cases[i].name) != 0)
			continue;
		bool ok = run_case(i);

		printf("%s %s%s%s\n", ok ? "PASS" : "FAIL", cases[i].name, ok ? "" : ": ", ok ? "" : why);
		fflush(stdout);
		passed += ok;
		failed += !ok;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}
