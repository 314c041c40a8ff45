/* escrow-log: what does a broker's own log say, and is it sound?
 *
 * Reads the segment files without a lock, so it works beside a running broker and offline. `oplog` prints the facts
 * that the MySQL op log holds (same words, same columns); `migrate` brings that one's tables up to date. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_schema.h"
#include "broker/projections/oplog_table.h"
#include "broker/projections/oplog_writer.h"
#include "broker/shell/broker_config.h"
#include "lib/log/logreader.h"
#include "lib/log/recovery.h"
#include "lib/mysql/db_rows.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"

static const char usage_text[] =
	"usage: escrow-log oplog STORE_DIR [--txn ID] [--group NAME] [--json]\n"
	"           transactions and their timelines, as the MySQL op log has them\n"
	"       escrow-log dump STORE_DIR [--from OFFSET]\n"
	"           every record, one line each\n"
	"       escrow-log check STORE_DIR\n"
	"           verifies every record; exit status 1 when something is damaged\n"
	"       escrow-log migrate [-c FILE] [-o key=value]...\n"
	"           creates or upgrades the tables of the MySQL op log (options as escrow-broker's opLogMysql*)\n"
	"STORE_DIR is the broker's storePathRootDir. The broker may be running.\n";

static enum status usage_error(struct errinfo *err, const char *what, const char *argument)
{
	return errinfo_set(err, ST_INVALID, "%s%s%s (escrow-log --help shows the usage)", what, argument ? " " : "",
			   argument ? argument : "");
}

/* --- reading to the end --------------------------------------------------------------------------------------- */

typedef enum status (*record_visit)(void *context, const struct log_record *record, struct errinfo *err);

/* Bytes after the last valid record: a torn tail, which a running broker makes and the next start cuts, or damage. */
static enum status judge_end(const char *store_dir, const struct errinfo *reason, uint64_t position, struct errinfo *err)
{
	struct log_check_result result;
	enum status st = log_check(vfs_posix(), store_dir, &result, err);

	if (st != ST_OK)
		return st;
	fprintf(stderr, "escrow-log: note: the log ends at %" PRIu64 " in a torn write (%s)\n", position, reason->text);
	return ST_OK;
}

static enum status read_log(const char *store_dir, uint64_t from, record_visit visit, void *context, struct errinfo *err)
{
	struct logreader *reader;
	struct log_record record;
	enum status st = logreader_open(vfs_posix(), store_dir, from, &reader, err);

	if (st != ST_OK)
		return st;
	while ((st = logreader_next(reader, LOG_NO_LIMIT, &record, err)) == ST_OK) {
		st = visit(context, &record, err);
		if (st != ST_OK) {
			st = errinfo_wrap(err, st, "%s record at %" PRIu64, log_kind_text(record.kind), record.offset);
			break;
		}
	}
	uint64_t position = logreader_position(reader);
	bool torn = st == ST_CORRUPT && logreader_bad_record(reader) != NULL;
	logreader_close(reader);
	if (torn) {
		struct errinfo reason = *err;
		return judge_end(store_dir, &reason, position, err);
	}
	return st == ST_AGAIN ? ST_OK : st;
}

/* --- oplog ---------------------------------------------------------------------------------------------------- */

/* Text as the tables hold it. */
static char *clean_text(struct span text, size_t char_max)
{
	struct buffer clean;

	buffer_init(&clean, 0);
	db_text_clean(text, char_max, &clean);
	buffer_append(&clean, "", 1);
	if (clean.failed) {
		fprintf(stderr, "escrow-log: out of memory\n");
		exit(1);
	}
	return (char *)clean.data;
}

static void json_text(cJSON *object, const char *key, struct span text, size_t char_max)
{
	if (text.size == 0) {
		cJSON_AddNullToObject(object, key);
		return;
	}
	char *clean = clean_text(text, char_max);
	cJSON_AddStringToObject(object, key, clean);
	free(clean);
}

static void json_words(cJSON *object, const char *key, const char *words)
{
	json_text(object, key, span_of(words), 255);
}

/* As digits, because a double does not hold 64 bits. */
static void json_u64(cJSON *object, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	cJSON_AddRawToObject(object, key, digits);
}

static void json_time(cJSON *object, const char *key, int64_t wall_ms)
{
	char text[DB_TIME_TEXT_SIZE];

	if (wall_ms == 0) {
		cJSON_AddNullToObject(object, key);
		return;
	}
	db_time_text(wall_ms, text);
	cJSON_AddStringToObject(object, key, text);
}

static void json_steps(cJSON *object, const struct oplog_step *steps, size_t count)
{
	cJSON *timeline = cJSON_AddArrayToObject(object, "timeline");

	for (size_t i = 0; i < count; i++) {
		cJSON *step = cJSON_CreateObject();
		json_time(step, "at", steps[i].at_ms);
		json_u64(step, "log_offset", steps[i].log_offset);
		json_words(step, "event", steps[i].event);
		json_words(step, "actor", steps[i].actor);
		json_text(step, "actor_name", steps[i].actor_name, 255);
		json_u64(step, "checks", steps[i].checks);
		json_words(step, "detail", steps[i].detail);
		json_text(step, "reason", steps[i].reason, 255);
		cJSON_AddItemToArray(timeline, step);
	}
}

static enum status print_json(void *context, const struct oplog_txn *txn, const struct oplog_step *steps,
			      size_t step_count, struct errinfo *err)
{
	cJSON *object = cJSON_CreateObject();

	(void)context;
	json_text(object, "transaction_id", txn->transaction_id, 128);
	json_text(object, "producer_group", txn->group, 255);
	json_text(object, "topic", txn->topic, 255);
	json_u64(object, "queue_id", txn->queue_id);
	json_words(object, "state", oplog_txn_state_text(txn->state));
	json_words(object, "decided_by", oplog_actor_text(txn->decided_by));
	json_text(object, "decider", txn->decider, 255);
	json_time(object, "prepared_at", txn->created_ms);
	json_time(object, "decided_at", txn->decided_ms);
	json_text(object, "reason", txn->reason, 255);
	json_u64(object, "checks", txn->checks);
	if (txn->has_queue_offset)
		json_u64(object, "queue_offset", txn->queue_offset);
	else
		cJSON_AddNullToObject(object, "queue_offset");
	json_time(object, "deliver_at", txn->deliver_at_ms);
	json_u64(object, "size", txn->size);
	json_u64(object, "half_offset", txn->half_offset);
	json_u64(object, "half_queue_offset", txn->half_queue_offset);
	json_u64(object, "state_offset", txn->state_offset);
	json_steps(object, steps, step_count);
	char *text = cJSON_PrintUnformatted(object);
	cJSON_Delete(object);
	if (text == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	puts(text);
	free(text);
	return ST_OK;
}

static void print_step(const struct oplog_step *step)
{
	char at[DB_TIME_TEXT_SIZE];
	char *name = clean_text(step->actor_name, 255), *reason = clean_text(step->reason, 255);

	db_time_text(step->at_ms, at);
	printf("    %s  %-14s  by %s", at, step->event, step->actor);
	if (*name != '\0')
		printf(" %s", name);
	if (step->detail != NULL)
		printf("  (%s)", step->detail);
	if (step->repeats > 0)
		printf("  and %" PRIu32 " like it before", step->repeats);
	if (step->checks > 0)
		printf("  checks answered unknown: %" PRIu32, step->checks);
	printf("%s%s  @%" PRIu64 "\n", *reason ? "  reason: " : "", reason, step->log_offset);
	free(name);
	free(reason);
}

static enum status print_text(void *context, const struct oplog_txn *txn, const struct oplog_step *steps,
			      size_t step_count, struct errinfo *err)
{
	const bool *all_timelines = context;
	char *id = clean_text(txn->transaction_id, 128), *group = clean_text(txn->group, 255);
	char *topic = clean_text(txn->topic, 255);

	(void)err;
	printf("%-32s  %-11s  group %s  topic %s/%" PRIu32 "  half %" PRIu64, id, oplog_txn_state_text(txn->state), group,
	       topic, txn->queue_id, txn->half_offset);
	if (txn->has_queue_offset)
		printf("  queue offset %" PRIu64, txn->queue_offset);
	if (txn->decided_ms != 0)
		printf("  after %" PRId64 " ms", txn->decided_ms - txn->created_ms);
	putchar('\n');
	free(id);
	free(group);
	free(topic);
	/* An ordinary life is one line. */
	if (*all_timelines || step_count > 2 || txn->decided_by != OPLOG_PRODUCER) {
		for (size_t i = 0; i < step_count; i++)
			print_step(&steps[i]);
	}
	return ST_OK;
}

static enum status add_to_table(void *context, const struct log_record *record, struct errinfo *err)
{
	return oplog_table_add(context, record, err);
}

static enum status run_oplog(const char *store_dir, int argc, char **argv, struct errinfo *err)
{
	struct span id = SPAN_NONE, group = SPAN_NONE;
	bool json = false, one = false;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--txn") == 0 && i + 1 < argc)
			id = span_of(argv[++i]);
		else if (strcmp(argv[i], "--group") == 0 && i + 1 < argc)
			group = span_of(argv[++i]);
		else
			return usage_error(err, "unknown option, or one without its value:", argv[i]);
	}
	struct oplog_table *table = oplog_table_new(id, group);
	if (table == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	enum status st = read_log(store_dir, 0, add_to_table, table, err);
	one = id.size > 0;
	if (st == ST_OK)
		st = oplog_table_walk(table, json ? print_json : print_text, &one, err);
	oplog_table_free(table);
	return st;
}

/* --- dump ----------------------------------------------------------------------------------------------------- */

static void dump_half(struct span payload)
{
	struct record_half half;

	if (record_half_decode(payload, &half, NULL) == ST_OK)
		printf(" n=%" PRIu64 " group=%.*s topic=%.*s/%" PRIu32 " transaction=%.*s message=%zu", half.half_queue_offset,
		       SPAN_ARGS(half.group), SPAN_ARGS(half.topic), half.queue_id, SPAN_ARGS(half.transaction_id),
		       half.message.size);
}

static void dump_decision(struct span payload)
{
	struct record_decision decision;

	if (record_decision_decode(payload, &decision, NULL) == ST_OK)
		printf(" half=%" PRIu64 " n=%" PRIu64 " %s by %s topic=%.*s/%" PRIu32 " queue_offset=%" PRIu64
		       " transaction=%.*s",
		       decision.half_offset, decision.half_queue_offset, record_outcome_text(decision.outcome),
		       record_who_text(decision.who), SPAN_ARGS(decision.topic), decision.queue_id,
		       decision.queue_offset, SPAN_ARGS(decision.transaction_id));
}

static void dump_conflict(struct span payload)
{
	struct record_conflict conflict;

	if (record_conflict_decode(payload, &conflict, NULL) == ST_OK)
		printf(" half=%" PRIu64 " is %s, refused to %s: %s", conflict.half_offset,
		       record_outcome_text(conflict.decided), record_who_text(conflict.who),
		       record_outcome_text(conflict.asked));
}

static void dump_message(struct span payload)
{
	struct record_message message;

	if (record_message_decode(payload, &message, NULL) == ST_OK)
		printf(" topic=%.*s/%" PRIu32 " queue_offset=%" PRIu64 " message=%zu", SPAN_ARGS(message.topic),
		       message.queue_id, message.queue_offset, message.message.size);
}

static enum status dump_record(void *context, const struct log_record *record, struct errinfo *err)
{
	(void)context;
	printf("%" PRIu64 " epoch=%" PRIu32 " %s size=%" PRIu32, record->offset, record->epoch,
	       log_kind_text(record->kind), record->size);
	switch (record->kind) {
	case LOG_MESSAGE: dump_message(record->payload); break;
	case LOG_HALF: dump_half(record->payload); break;
	case LOG_DECISION: dump_decision(record->payload); break;
	case LOG_CONFLICT: dump_conflict(record->payload); break;
	default: break;
	}
	putchar('\n');
	return ferror(stdout) ? errinfo_set(err, ST_IO, "write: %s", strerror(errno)) : ST_OK;
}

static enum status run_dump(const char *store_dir, int argc, char **argv, struct errinfo *err)
{
	int64_t from = 0;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--from") != 0 || i + 1 == argc)
			return usage_error(err, "unknown option, or one without its value:", argv[i]);
		if (span_to_i64(span_of(argv[++i]), &from) != ST_OK || from < 0)
			return usage_error(err, "--from: not an offset:", argv[i]);
	}
	return read_log(store_dir, (uint64_t)from, dump_record, NULL, err);
}

/* --- check ---------------------------------------------------------------------------------------------------- */

static enum status discard_half(void *context, const struct oplog_txn *half, struct errinfo *err)
{
	(void)context, (void)half, (void)err;
	return ST_OK;
}

static enum status discard_event(void *context, const struct oplog_event *event, struct errinfo *err)
{
	(void)context, (void)event, (void)err;
	return ST_OK;
}

/* Envelopes are sound when this is called; are the payloads of transactions, too? */
static enum status check_payload(void *context, const struct log_record *record, struct errinfo *err)
{
	const struct oplog_sink sink = { discard_half, discard_half, discard_event, NULL };
	struct record_message message;

	if (record->kind == LOG_MESSAGE)
		return record_message_decode(record->payload, &message, err);
	return oplog_facts(record, &sink, context, err);
}

static enum status run_check(const char *store_dir, int argc, char **argv, struct errinfo *err)
{
	struct log_check_result result;
	int64_t time_ms = 0;

	if (argc > 0)
		return usage_error(err, "unknown option", argv[0]);
	enum status st = log_check(vfs_posix(), store_dir, &result, err);
	if (st != ST_OK)
		return st;
	st = read_log(store_dir, 0, check_payload, &time_ms, err);
	if (st != ST_OK)
		return st;
	printf("ok: %" PRIu64 " records from %" PRIu64 " to %" PRIu64 ", epoch %" PRIu32 "\n", result.record_count,
	       result.start, result.end, result.epoch);
	if (result.leftover_end > result.end)
		printf("a torn tail of %" PRIu64 " bytes follows in %s (%s); the next start of the broker cuts it\n",
		       result.leftover_end - result.end, result.file, result.reason);
	return ST_OK;
}

/* --- migrate -------------------------------------------------------------------------------------------------- */

static enum status run_migrate(int argc, char **argv, struct errinfo *err)
{
	static struct broker_config config;
	enum config_action action = CONFIG_RUN;
	struct db_conn *conn = NULL;
	unsigned applied = 0;

	config_init(broker_config_spec(), &config);
	enum status st = config_parse_args(broker_config_spec(), &config, argc, argv, &action, err);
	if (st != ST_OK || action == CONFIG_EXIT_OK)
		return st;
	if (!oplog_database_name_valid(config.oplog.database))
		return errinfo_set(err, ST_INVALID, "opLogMysqlDatabase=%s: must be 1 to 64 letters, digits and underscores",
				   config.oplog.database);
	st = db_thread_begin(err);
	if (st == ST_OK)
		st = oplog_connect(&config.oplog, &conn, err);
	if (st == ST_OK)
		st = oplog_schema_use(conn, config.oplog.database, err);
	if (st == ST_OK)
		st = oplog_schema_migrate(conn, &applied, err);
	db_conn_close(conn);
	if (st == ST_OK)
		printf("%s: %u migrations applied, the schema is up to date\n", config.oplog.database, applied);
	return st;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct errinfo err = { ST_OK, "" };
	enum status st;

	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (strcmp(verb, "migrate") == 0)
		st = run_migrate(argc - 1, argv + 1, &err);
	else if (strcmp(verb, "oplog") != 0 && strcmp(verb, "dump") != 0 && strcmp(verb, "check") != 0)
		st = usage_error(&err, *verb ? "unknown verb" : "no verb given", *verb ? verb : NULL);
	else if (argc < 3)
		st = usage_error(&err, "STORE_DIR is missing", NULL);
	else if (strcmp(verb, "oplog") == 0)
		st = run_oplog(argv[2], argc - 3, argv + 3, &err);
	else if (strcmp(verb, "dump") == 0)
		st = run_dump(argv[2], argc - 3, argv + 3, &err);
	else
		st = run_check(argv[2], argc - 3, argv + 3, &err);
	if (st == ST_OK && fflush(stdout) != 0)
		st = errinfo_set(&err, ST_IO, "write: %s", strerror(errno));
	if (st != ST_OK)
		fprintf(stderr, "escrow-log: %s\n", err.text);
	return st == ST_OK ? 0 : 1;
}
