/* The broker's whole way of a request, from bytes to answer: handlers and core over a log and an index on a memory disk.
 *
 * The input is a sequence of steps. A step is a frame as it is (what a hostile peer sends), or a request that is well formed
 * but for what the input puts into its fields, or something that happens: time passes, the disk works, a connection ends, the
 * power goes. Properties:
 *   - an answer is one whole command with the request's opaque; a one-way request has none;
 *   - END of a transaction never succeeds for both outcomes;
 *   - whatever was asked: the broker starts again from its log, with the same transactions open and the same queues. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/clients.h"
#include "broker/core/progress.h"
#include "broker/core/settings.h"
#include "broker/core/store.h"
#include "broker/handlers/handlers.h"
#include "lib/base/clock.h"
#include "lib/base/logging.h"
#include "lib/index/pagefile.h"
#include "lib/log/commitlog.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"
#include "tests/fuzz/one_ring.h"
#include "tests/support/memdisk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONNS = 3, HALVES_MAX = 64, TOPICS = 3, STEPS_MAX = 200, FRAME_MAX = 64 * 1024,
       POWER_CUTS_MAX = 2, /* A start takes longer than a hundred requests, and inputs with many would be kept as the richest. */
       PREPARED_AHEAD = 16 * 1024 };

struct half {
	int64_t queue_offset, log_offset;
	int outcome; /* Acknowledged; 0: none. */
};

static struct {
	struct memdisk *disk;
	struct commitlog *log;
	struct pagefile *files;
	struct core *core;
	struct handlers handlers;
	struct clock_manual clock;
	struct buffer answer; /* Of the request being served, or of what the broker began. */
	uint64_t answer_conn;
	struct half halves[HALVES_MAX];
	size_t half_count;
	int power_cuts;
	struct command_scratch scratch, answer_scratch;
} b;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* --- a broker ------------------------------------------------------------------------------------------------------ */

static struct buffer *sink_begin(void *context, uint64_t conn_id, uint64_t wait_offset)
{
	(void)context, (void)wait_offset;
	b.answer_conn = conn_id;
	return conn_id == 0 || conn_id > CONNS ? NULL : &b.answer;
}

static void sink_end(void *context)
{
	(void)context;
	must(!b.answer.failed);
}

static bool on_ask(void *context, uint64_t conn, uint64_t half_queue_offset, uint64_t half_offset)
{
	(void)context;
	return handlers_ask(&b.handlers, conn, half_queue_offset, half_offset);
}

static void on_notify(void *context, uint64_t conn, struct span group)
{
	(void)context;
	handlers_notify_consumer(&b.handlers, conn, group);
}

static void on_hold(void *context, const struct hold *hold, bool expired)
{
	(void)context;
	handlers_hold_ready(&b.handlers, hold, expired);
}

static bool on_pop(void *context, const struct pop_wait *wait, bool expired)
{
	(void)context;
	return handlers_pop_ready(&b.handlers, wait, expired);
}

static struct core_config core_config(void)
{
	struct core_config config = {
		.cluster_name = "c", .broker_name = "b", .store_ipv4 = 0x7F000001, .store_port = 10911, .sync_flush = true,
		.auto_create_topic = true, .auto_create_group = true, .long_polling = true, .property_filter = true, .default_topic_queue_nums = 4,
		.max_message_size = 8 * 1024, .young_queue_bytes = 8 * 1024, .offset_flush_interval_ms = 500,
		.pending_max = 40, .pending_group_max = 20, .resend_window_count = 16, .delayed_max = 20,
		.timers = true, .timer_max_delay_ms = 259200000, .recall = true, .topic_max = 20,
		.group_max = 20, .name_max = 100, .offset_row_max = 30, .member_max = 20, .hold_max = 10, .pop_max = 100, .lock_max = 10, .flow_max = 100,
		.checkback = checkback_config_default(),
	};

	config.checkback.check_max = 2;
	must(core_config_set_delay_levels(&config, "1s 5s", NULL) == ST_OK);
	return config;
}

static void disk_work(bool flush)
{
	struct log_prepare_job prepare;
	struct log_flush_job job;
	struct errinfo err;

	while (commitlog_prepared_ahead(b.log) < PREPARED_AHEAD && commitlog_take_prepare(b.log, &prepare)) {
		log_prepare_run(&prepare);
		must(commitlog_prepare_done(b.log, &prepare, &err) == ST_OK);
	}
	while (flush && commitlog_take_flush(b.log, true, &job)) {
		log_flush_run(&job);
		must(commitlog_flush_done(b.log, &job, &err) == ST_OK);
	}
	core_committed(b.core);
}

static void open_broker(void)
{
	struct commitlog_config log_config = { .root = "s", .cluster = "c", .segment_size = 128 * 1024, .ring_size = 64 * 1024,
					       .prepare_chunk = 8 * 1024, .clock = &b.clock.clock };
	struct pagefile_config files_config = { .path = "s/index.pages", .cache_bytes = PAGEFILE_CACHE_MIN, .read_inline = true };
	struct core_effects effects = { NULL, on_ask, on_notify, on_hold, NULL, on_pop, NULL };
	struct core_config config = core_config();
	struct errinfo err = { ST_OK, "" };

	enum status status = commitlog_open(&log_config, memdisk_vfs(b.disk), &b.log, &err);
	if (status == ST_OK)
		status = pagefile_open(&files_config, memdisk_vfs(b.disk), &b.files, &err);
	if (status == ST_OK)
		status = core_open(&config, &(struct store){ .log = b.log, .files = b.files }, b.clock.wall_now_ms, b.clock.mono_now_ms, &effects, &b.core, &err);
	if (status != ST_OK) {
		fprintf(stderr, "the start: %s\n", err.text);
		abort();
	}
	pagefile_set_read_inline(b.files, true);
	b.handlers = (struct handlers){ .core = b.core, .replies = { NULL, sink_begin, sink_end, NULL }, .broker_name = "b" };
	disk_work(true);
}

static void close_broker(void)
{
	struct errinfo err;

	core_close(b.core);
	pagefile_close(b.files);
	must(commitlog_close(b.log, false, &err) == ST_OK);
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

static void check_answer(const struct command *request, uint64_t conn)
{
	static struct command answer;
	struct span rest = buffer_span(&b.answer);
	struct errinfo err;
	size_t size;
	const char *reason;
	int answers = 0;

	while (rest.size > 0) {
		must(frame_scan(rest, 16 << 20, &size, &reason) == FRAME_COMPLETE);
		must(command_decode((struct span){ rest.data, size }, &b.answer_scratch, &answer, &err) == ST_OK);
		rest = (struct span){ rest.data + size, rest.size - size };
		if (!command_is_response(&answer))
			continue; /* The broker asks or tells; to anybody. */
		answers++;
		/* Waiting pulls may be answered by any request, so only a first answer to this one is compared. */
		must(!command_is_oneway(request) || answer.opaque != request->opaque || conn == 0);
	}
	must(answers <= 20);
}

/* Serves one frame; the response code, or -1 for none (one-way, a pull that waits, ST_AGAIN). */
static int serve(uint64_t conn, struct span frame, struct send_reply_header *reply_out)
{
	static struct command request, answer;
	struct errinfo err;
	int code = -1;

	if (command_decode(frame, &b.scratch, &request, &err) != ST_OK || command_is_response(&request))
		return -1;
	struct request served = { .command = &request, .conn_id = conn, .peer = host_ipv4(0x0A000001, 4711) };
	buffer_reset(&b.answer);
	enum status status = handlers_serve(&b.handlers, &served);
	must(status == ST_OK || status == ST_AGAIN);
	must(status != ST_AGAIN || buffer_size(&b.answer) == 0);
	check_answer(&request, conn);
	struct span first = buffer_span(&b.answer);
	if (first.size > 0 && command_decode((struct span){ first.data, get_u32(first.data) + 4 }, &b.answer_scratch, &answer, &err) == ST_OK &&
	    command_is_response(&answer) && answer.opaque == request.opaque) {
		code = answer.code;
		if (reply_out != NULL && code == RESP_SUCCESS)
			must(send_reply_decode(&answer, reply_out, &err) == ST_OK);
	}
	return code;
}

static struct span small_text(struct reader *r, const char *const names[], size_t count)
{
	uint8_t which = reader_u8(r);

	return which < 200 ? span_of(names[which % count]) : reader_take(r, which - 200);
}

static struct span topic(struct reader *r)
{
	static const char *const names[] = { "t0", "t1", "t2", "%RETRY%g0", "%DLQ%g0", "TBW102", "RMQ_SYS_TRANS_HALF_TOPIC" };

	return small_text(r, names, r->left % 4 == 0 ? 7 : TOPICS);
}

static struct span group(struct reader *r)
{
	static const char *const names[] = { "g0", "g1", "g2" };

	return small_text(r, names, 3);
}

static struct encoder *begin(struct encoder *encoder, struct buffer *frame, struct reader *r, int32_t code)
{
	uint8_t bits = reader_u8(r);

	buffer_init(frame, 0);
	command_begin(encoder, frame, bits & 1 ? SERIALIZE_ROCKETMQ : SERIALIZE_JSON, code, 1000 + bits,
		      (bits & 0xf0) == 0xf0 ? COMMAND_ONEWAY : 0, SPAN_NONE);
	return encoder;
}

static int finish(struct encoder *encoder, struct buffer *frame, uint64_t conn, struct send_reply_header *reply_out)
{
	int code = command_end(encoder) ? serve(conn, buffer_span(frame), reply_out) : -1;

	buffer_deinit(frame);
	return code;
}

static void step_send(struct reader *r, uint64_t conn)
{
	struct encoder encoder;
	struct buffer frame, properties;
	struct send_reply_header reply = { 0 };
	struct host host;
	char key[8];
	uint8_t bits = reader_u8(r);
	struct send_header header = {
		.producer_group = group(r), .topic = topic(r), .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
		.queue_id = (int8_t)reader_u8(r) % 6, .born_timestamp = 1, .max_reconsume_times = -1,
		.reconsume_times = bits & 64 ? reader_u8(r) : 0, .batch = (bits & 128) != 0,
	};

	buffer_init(&properties, 4096);
	snprintf(key, sizeof(key), "k%u", reader_u8(r) % 32);
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(key));
	if (bits & 1)
		property_put(&properties, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
	if (bits & 2)
		property_put_i64(&properties, PROPERTY_DELAY, reader_u8(r) % 4);
	if (bits & 4)
		property_put(&properties, PROPERTY_TAGS, SPAN_LITERAL("A"));
	if (bits & 8)
		property_put_i64(&properties, PROPERTY_CHECK_IMMUNITY, reader_u8(r));
	if (bits & 16)
		buffer_append_span(&properties, reader_take(r, reader_u8(r)));
	if (bits & 32)
		property_put_i64(&properties, PROPERTY_TIMER_DELAY_MS, (int16_t)reader_u16(r));
	header.properties = buffer_span(&properties);
	int32_t code = (bits & 128) != 0 ? REQ_SEND_BATCH_MESSAGE : REQ_SEND_MESSAGE_V2;
	send_header_encode(begin(&encoder, &frame, r, code), code, &header);
	command_body(&encoder);
	buffer_append_span(&frame, reader_take(r, reader_u8(r)));
	int answered = finish(&encoder, &frame, conn, &reply);
	buffer_deinit(&properties);
	struct half half = { .queue_offset = reply.queue_offset };
	if (answered == RESP_SUCCESS && (bits & 1) != 0 && b.half_count < HALVES_MAX &&
	    offset_msg_id_decode(reply.msg_id, &host, &half.log_offset) == ST_OK)
		b.halves[b.half_count++] = half;
}

static void step_end(struct reader *r, uint64_t conn)
{
	static const int outcomes[] = { 8, 12, 0, 8, 12, 4 };
	struct encoder encoder;
	struct buffer frame;
	uint8_t which = reader_u8(r), bits = reader_u8(r);
	struct half *half = b.half_count == 0 ? NULL : &b.halves[which % b.half_count];
	int outcome = outcomes[bits % 6];
	struct end_transaction_header header = {
		.producer_group = group(r), .commit_or_rollback = outcome, .from_transaction_check = (bits & 8) != 0,
		.tran_state_table_offset = half == NULL ? which : half->queue_offset,
		.commit_log_offset = half == NULL ? reader_u16(r) : half->log_offset,
	};

	if (bits & 128)
		header.commit_log_offset += reader_u8(r);
	if (bits & 64)
		header.tran_state_table_offset += (int8_t)reader_u8(r);
	end_transaction_encode(begin(&encoder, &frame, r, REQ_END_TRANSACTION), &header);
	int code = finish(&encoder, &frame, conn, NULL);
	bool exact = half != NULL && header.commit_log_offset == half->log_offset && header.tran_state_table_offset == half->queue_offset;
	if (code != RESP_SUCCESS || !exact || (outcome != 8 && outcome != 12))
		return;
	/* Resends share a half: ask all that bear its offset. */
	for (size_t i = 0; i < b.half_count; i++) {
		if (b.halves[i].log_offset != half->log_offset)
			continue;
		must(b.halves[i].outcome == 0 || b.halves[i].outcome == outcome);
		b.halves[i].outcome = outcome;
	}
}

static void step_pull(struct reader *r, uint64_t conn)
{
	struct encoder encoder;
	struct buffer frame;
	uint8_t bits = reader_u8(r);
	struct pull_header header = {
		.consumer_group = group(r), .topic = topic(r), .queue_id = (int8_t)reader_u8(r) % 6,
		.queue_offset = (int8_t)reader_u8(r), .max_msg_nums = (int8_t)reader_u8(r), .max_msg_bytes = -1,
		.sys_flag = bits & 15, .commit_offset = bits, .suspend_timeout_ms = (int16_t)reader_u16(r),
		.subscription = bits & 16 ? SPAN_LITERAL("A || B") : SPAN_LITERAL("*"), .sub_version = bits,
	};

	pull_header_encode(begin(&encoder, &frame, r, REQ_PULL_MESSAGE), &header);
	finish(&encoder, &frame, conn, NULL);
}

/* Gives out, settles, changes; handles are mostly of the recent past. */
static void step_pop(struct reader *r, uint64_t conn)
{
	static const int32_t codes[] = { REQ_POP_MESSAGE, REQ_POP_MESSAGE, REQ_PEEK_MESSAGE, REQ_NOTIFICATION, REQ_POLLING_INFO,
					 REQ_ACK_MESSAGE, REQ_ACK_MESSAGE, REQ_CHANGE_MESSAGE_INVISIBLETIME };
	struct encoder encoder;
	struct buffer frame;
	uint8_t bits = reader_u8(r);
	int32_t code = codes[bits % 8];
	int64_t now = b.clock.wall_now_ms;
	char info[128];

	snprintf(info, sizeof(info), "0 %lld 1000 %d %d b 0 0", (long long)(now - 10 * (reader_u8(r) % 8)), bits & 64 ? 999 : 0, bits >> 7);
	struct pop_header pop = {
		.consumer_group = group(r), .topic = topic(r), .queue_id = (int8_t)reader_u8(r) % 6, .max_msg_nums = (int8_t)reader_u8(r),
		.invisible_ms = 10 * reader_u8(r), .poll_ms = (int16_t)reader_u16(r), .init_mode = bits & 8, .order = (bits & 64) != 0,
		.attempt_id = bits & 16 ? SPAN_LITERAL("x") : SPAN_NONE,
		.expression = bits & 32 ? SPAN_LITERAL("A || B") : SPAN_LITERAL("*"),
	};
	struct pop_ack_header ack = {
		.consumer_group = pop.consumer_group, .topic = pop.topic, .queue_id = pop.queue_id, .extra_info = span_of(info),
		.offset = pop.max_msg_nums, .invisible_ms = pop.invisible_ms,
	};

	begin(&encoder, &frame, r, code);
	if (code == REQ_ACK_MESSAGE || code == REQ_CHANGE_MESSAGE_INVISIBLETIME)
		pop_ack_encode(&encoder, &ack);
	else
		pop_header_encode(&encoder, &pop);
	finish(&encoder, &frame, conn, NULL);
}

static void step_offset(struct reader *r, uint64_t conn)
{
	struct encoder encoder;
	struct buffer frame;
	uint8_t bits = reader_u8(r);
	struct consumer_offset_header header = { .consumer_group = group(r), .topic = topic(r), .queue_id = (int8_t)reader_u8(r) % 6,
						 .commit_offset = (int16_t)reader_u16(r), .set_zero_if_not_found = bits & 1 };

	if (bits & 2)
		query_consumer_offset_encode(begin(&encoder, &frame, r, REQ_QUERY_CONSUMER_OFFSET), &header);
	else
		update_consumer_offset_encode(begin(&encoder, &frame, r, REQ_UPDATE_CONSUMER_OFFSET), &header);
	finish(&encoder, &frame, conn, NULL);
}

static void step_heartbeat(struct reader *r, uint64_t conn)
{
	struct encoder encoder;
	struct buffer frame;
	uint8_t bits = reader_u8(r);
	struct span groups[] = { group(r) };
	struct consumer_data consumer = { .group_name = groups[0], .consume_type = CONSUME_PASSIVELY,
					  .message_model = bits & 4 ? MODEL_BROADCASTING : MODEL_CLUSTERING };
	struct heartbeat beat = { .client_id = SPAN_LITERAL("c@1") };

	if (bits & 1) {
		beat.producer_groups = groups;
		beat.producer_count = 1;
	}
	if (bits & 2) {
		beat.consumers = &consumer;
		beat.consumer_count = 1;
	}
	begin(&encoder, &frame, r, REQ_HEART_BEAT);
	command_body(&encoder);
	heartbeat_encode(&frame, &beat);
	finish(&encoder, &frame, conn, NULL);
}

static void step_back(struct reader *r, uint64_t conn)
{
	struct encoder encoder;
	struct buffer frame;
	struct send_back_header header = { .offset = reader_u16(r), .group = group(r), .delay_level = (int8_t)reader_u8(r) % 4,
					   .max_reconsume_times = (int8_t)reader_u8(r) };

	if (b.half_count > 0 && r->left % 2 == 0)
		header.offset = b.halves[r->left % b.half_count].log_offset;
	send_back_encode(begin(&encoder, &frame, r, REQ_CONSUMER_SEND_MSG_BACK), &header);
	finish(&encoder, &frame, conn, NULL);
}

/* Any code with any one-letter fields: what the typed ones above do not reach. */
static void step_any(struct reader *r, uint64_t conn)
{
	static const char *const names[] = { "topic", "group", "consumerGroup", "queueId", "offset", "timestamp", "readQueueNums",
					     "writeQueueNums", "perm", "order", "msgId", "clientID", "producerGroup", "defaultTopic",
					     "topicFilterType", "attributes", "boundaryType" };
	static const int32_t codes[] = { REQ_SEARCH_OFFSET_BY_TIMESTAMP, REQ_GET_MAX_OFFSET, REQ_GET_MIN_OFFSET,
					 REQ_GET_EARLIEST_MSG_STORETIME, REQ_VIEW_MESSAGE_BY_ID, REQ_UNREGISTER_CLIENT,
					 REQ_GET_CONSUMER_LIST_BY_GROUP, REQ_UPDATE_AND_CREATE_TOPIC, REQ_GET_TOPIC_CONFIG,
					 REQ_GET_ALL_TOPIC_CONFIG, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
					 REQ_GET_SUBSCRIPTIONGROUP_CONFIG, REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
					 REQ_RESUME_CHECK_HALF_MESSAGE, REQ_LITE_PULL_MESSAGE, REQ_SEND_MESSAGE,
					 REQ_BATCH_ACK_MESSAGE, REQ_QUERY_ASSIGNMENT, REQ_SET_MESSAGE_REQUEST_MODE };
	struct encoder encoder;
	struct buffer frame;

	begin(&encoder, &frame, r, codes[reader_u8(r) % (sizeof(codes) / sizeof(codes[0]))]);
	for (unsigned fields = reader_u8(r) % 8; fields > 0; fields--) {
		const char *name = names[reader_u8(r) % (sizeof(names) / sizeof(names[0]))];
		uint8_t kind = reader_u8(r);

		if (kind % 3 == 0)
			command_put_i64(&encoder, name, (int8_t)reader_u8(r));
		else if (kind % 3 == 1)
			command_put_named(&encoder, span_of(name), kind % 2 == 0 ? topic(r) : group(r));
		else
			command_put_named(&encoder, span_of(name), reader_take(r, kind % 32));
	}
	command_body(&encoder);
	buffer_append_span(&frame, reader_take(r, reader_u8(r)));
	finish(&encoder, &frame, conn, NULL);
}

static void step_frame(struct reader *r, uint64_t conn)
{
	struct span bytes = reader_take(r, reader_u16(r) % FRAME_MAX);
	struct buffer frame;

	buffer_init(&frame, 0);
	buffer_put_u32(&frame, (uint32_t)bytes.size);
	buffer_append_span(&frame, bytes);
	serve(conn, buffer_span(&frame), NULL);
	buffer_deinit(&frame);
}

/* --- what happens ---------------------------------------------------------------------------------------------------- */

static void step_time(struct reader *r)
{
	clock_manual_advance(&b.clock, (int64_t)reader_u8(r) * 100);
	core_set_time(b.core, b.clock.wall_now_ms, b.clock.mono_now_ms);
	buffer_reset(&b.answer);
	core_tick(b.core);
}

static void step_power(struct reader *r)
{
	if (b.power_cuts++ >= POWER_CUTS_MAX)
		return;
	memdisk_crash(b.disk, reader_u8(r));
	close_broker();
	/* What was answered early counts for nothing here: halves may be gone, and their offsets given to others. */
	b.half_count = 0;
	open_broker();
}

static void step(struct reader *r)
{
	uint8_t what = reader_u8(r);
	uint64_t conn = 1 + what / 16 % CONNS;

	switch (what % 16) {
	case 0: step_frame(r, conn); break;
	case 1:
	case 2:
	case 3: step_send(r, conn); break;
	case 4:
	case 5: step_end(r, conn); break;
	case 6: step_pull(r, conn); break;
	case 7: (what & 128) != 0 ? step_pop(r, conn) : step_offset(r, conn); break;
	case 8: step_heartbeat(r, conn); break;
	case 9: step_back(r, conn); break;
	case 10:
	case 11: step_any(r, conn); break;
	case 12: step_time(r); break;
	case 13: disk_work(true); break;
	case 14: buffer_reset(&b.answer), core_connection_gone(b.core, conn); break;
	default: step_power(r); break;
	}
	core_turn_end(b.core);
}

/* The same state after a start: what is open, and where the queues end. */
static void check_restart(void)
{
	static const char *const names[] = { "t0", "t1", "t2" };
	struct queue_range before[TOPICS][6] = { 0 }, after;
	struct outcome outcome;

	buffer_reset(&b.answer);
	core_turn_end(b.core); /* Checks of the last turn are recorded. */
	disk_work(true);
	uint64_t open = core_stats(b.core).pending_now;
	for (int t = 0; t < TOPICS; t++) {
		for (int q = 0; q < 6; q++)
			(void)!core_queue_range(b.core, span_of(names[t]), q, &before[t][q], &outcome);
	}
	close_broker();
	open_broker();
	must(core_stats(b.core).pending_now == open);
	for (int t = 0; t < TOPICS; t++) {
		for (int q = 0; q < 6; q++) {
			(void)!core_queue_range(b.core, span_of(names[t]), q, &after, &outcome);
			must(after.max_offset == before[t][q].max_offset);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader reader = reader_of((struct span){ data, size });

	log_set_level(LOGLEVEL_ERROR);
	b.disk = memdisk_create();
	b.half_count = 0;
	b.power_cuts = 0;
	clock_manual_init(&b.clock, 1700000000000, 1000);
	buffer_init(&b.answer, 0);
	open_broker();
	for (int steps = 0; reader.left > 0 && steps < STEPS_MAX; steps++)
		step(&reader);
	check_restart();
	close_broker();
	buffer_deinit(&b.answer);
	memdisk_destroy(b.disk);
	return 0;
}
