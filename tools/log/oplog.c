/* escrow-log oplog: transactions and their timelines, in the words of the MySQL op log. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_table.h"
#include "lib/mysql/db_rows.h"
#include "tools/log/command.h"
#include "tools/log/options.h"
#include "tools/log/walk.h"

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

static enum status run(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	const char *store = NULL, *id = NULL, *group = NULL;
	bool json = false;
	const struct option options[] = { { "--json", OPTION_FLAG, &json }, { "--txn", OPTION_TEXT, &id },
					  { "--group", OPTION_TEXT, &group } };
	struct walk_end end;
	enum status status = options_parse_store(argc, argv, options, 3, &store, err);

	(void)found_out;
	if (status != ST_OK)
		return status;
	bool one = id != NULL;
	struct oplog_table *table = oplog_table_new(span_of(id), span_of(group));
	if (table == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	walk_note_unfinished(vfs_posix(), store);
	status = log_walk(vfs_posix(), store, 0, add_to_table, table, &end, err);
	if (status == ST_OK) {
		walk_note_torn(&end);
		status = oplog_table_walk(table, json ? print_json : print_text, &one, err);
	}
	oplog_table_free(table);
	return status;
}

const struct command command_oplog = {
	.name = "oplog",
	.arguments = "STORE_DIR [--txn ID] [--group NAME] [--json]",
	.summary = "transactions and their timelines, as the MySQL op log has them",
	.help = "The same facts in the same words as the views of docs/for-dbas.md, without a server. Memory: what fits the options.\n"
		"  --txn ID       one transaction, with its whole timeline\n"
		"  --group NAME   of one producer group\n"
		"  --json         one JSON object a transaction\n",
	.run = run,
};
