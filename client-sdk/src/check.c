/* Check-backs: the broker asks what became of a local transaction. The question is copied into a job of the bounded pool,
 * answered there by the application's callback or from the barrier table, and comes back to the loop, which tells the
 * broker that asked. A question that finds the pool full is dropped, one that is being answered already is not taken
 * twice: the broker asks again. */
#include <stdlib.h>

#include "client-sdk/src/producer_internal.h"
#include "lib/base/owner.h"
#include "lib/wire/headers.h"
#include "lib/wire/properties.h"

enum { ANSWER_TIMEOUT_MS = 3000 };

struct check_key {
	char address[BROKER_ADDRESS_SIZE]; /* Zero-filled. */
	int64_t half_offset;
};

struct check_job {
	struct pool_job job;
	struct letter letter;
	UT_hash_handle hh;
	struct check_key key;
	escrow_producer *producer;
	escrow_message *message;
	char transaction_id[ESCROW_ID_SIZE];
	char header_topic[ROUTE_TOPIC_SIZE];
	int64_t half_queue_offset;
	enum escrow_local_result said;
};

static void free_job(struct check_job *job)
{
	if (table_took(job))
		HASH_DEL(job->producer->checks, job);
	escrow_message_destroy(job->message);
	free(job);
}

/* --- the answer, in the loop --------------------------------------------------------------------------------------- */

static void on_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	(void)context;
	if (status != ST_OK)
		log_info("sdk", "a check's answer is not confirmed", "reason=\"%s\"", err->text);
	else if (response->code != RESP_SUCCESS)
		log_warn("sdk", "a check's answer is refused", "code=%d remark=\"%.*s\"", response->code,
			 SPAN_ARGS(response->remark));
}

static int32_t outcome_said(enum escrow_local_result said)
{
	switch (said) {
	case ESCROW_LOCAL_COMMIT: return TRANSACTION_COMMIT;
	case ESCROW_LOCAL_ROLLBACK: return TRANSACTION_ROLLBACK;
	default: return TRANSACTION_UNKNOWN;
	}
}

static void count_said(struct producer_counters *counters, int32_t outcome)
{
	if (outcome == TRANSACTION_COMMIT)
		count(&counters->checks_committed);
	else if (outcome == TRANSACTION_ROLLBACK)
		count(&counters->checks_rolled_back);
	else
		count(&counters->checks_unknown);
}

static void answer(struct letter *letter)
{
	struct check_job *job = OWNER(struct check_job, letter, letter);
	escrow_producer *producer = job->producer;
	struct client *client = producer->instance.client;
	int32_t outcome = outcome_said(job->said);
	/* RocketMQ's broker does not answer "unknown". */
	bool oneway = outcome == TRANSACTION_UNKNOWN;
	struct end_transaction_header header = {
		.producer_group = producer->group_span, .tran_state_table_offset = job->half_queue_offset,
		.commit_log_offset = job->key.half_offset, .commit_or_rollback = outcome, .from_transaction_check = true,
		.msg_id = span_of(job->transaction_id), .transaction_id = span_of(job->transaction_id),
		.topic = span_of(job->header_topic),
	};
	struct errinfo err;
	struct encoder *encoder = client_begin(client, job->key.address, REQ_END_TRANSACTION, oneway, &err);

	if (encoder != NULL) {
		end_transaction_encode(encoder, &header);
		client_send(client, ANSWER_TIMEOUT_MS, oneway ? NULL : on_answer, NULL);
		count_said(&producer->counters, outcome);
	} else {
		log_info("sdk", "a check's answer cannot be sent", "broker=%s reason=\"%s\"", job->key.address, err.text);
	}
	free_job(job);
}

static void forget(struct letter *letter)
{
	free_job(OWNER(struct check_job, letter, letter));
}

/* --- on a thread of the pool ----------------------------------------------------------------------------------------- */

static void run_check(struct pool_job *base, void *thread_context)
{
	struct check_job *job = (struct check_job *)base;
	escrow_producer *producer = job->producer;
	struct check_session *session = thread_context;

	if (session != NULL)
		job->said = check_session_ask(session, job->transaction_id);
	else if (producer->barrier == NULL && producer->check != NULL)
		job->said = producer->check(job->message, job->transaction_id, producer->check_context);
	job->letter.deliver = answer;
	instance_post(&producer->instance, &job->letter);
}

static void discard_check(struct pool_job *base)
{
	struct check_job *job = (struct check_job *)base;

	job->letter.deliver = forget;
	instance_post(&job->producer->instance, &job->letter);
}

static void *thread_begin(void *context)
{
	const escrow_producer *producer = context;

	return producer->barrier == NULL ? NULL : check_session_create(producer->barrier);
}

static void thread_end(void *context, void *thread_context)
{
	(void)context;
	check_session_destroy(thread_context);
}

enum status checks_start(escrow_producer *producer, int threads, size_t queue_max, struct errinfo *err)
{
	struct pool_config config = { "escrow-check", threads, queue_max, thread_begin, thread_end, producer };

	return pool_create(&config, &producer->pool, err);
}

void checks_free(escrow_producer *producer)
{
	struct check_job *job, *next;

	HASH_ITER(hh, producer->checks, job, next)
		free_job(job);
}

/* --- the question, in the loop ------------------------------------------------------------------------------------------ */

static enum status read_question(struct check_job *job, const escrow_producer *producer, const struct command *request,
				 struct errinfo *err)
{
	struct check_transaction_header header;
	struct message record;
	enum status status = check_transaction_decode(request, &header, err);

	if (status == ST_OK)
		status = message_decode(request->body, &record, err);
	if (status != ST_OK)
		return status;
	if (!span_equal(property_get(record.properties, PROPERTY_PGROUP), producer->group_span))
		return errinfo_set(err, ST_NOTFOUND, "the message belongs to another group");
	struct span id = property_get(record.properties, PROPERTY_UNIQ_KEY);
	if (id.size == 0)
		id = header.transaction_id;
	if (id.size == 0 || span_to_cstr(id, job->transaction_id, sizeof(job->transaction_id)) != ST_OK)
		return errinfo_set(err, ST_INVALID, "no transaction id of at most %d bytes", ESCROW_ID_SIZE - 1);
	if (span_to_cstr(header.topic, job->header_topic, sizeof(job->header_topic)) != ST_OK)
		return errinfo_set(err, ST_INVALID, "the topic's name is too long");
	job->half_queue_offset = header.tran_state_table_offset;
	job->key.half_offset = header.commit_log_offset;
	/* The barrier needs no message. */
	return producer->barrier != NULL ? ST_OK : message_from_record(&record, &job->message, err);
}

static void drop(escrow_producer *producer, const char *address, const char *reason)
{
	uint32_t suppressed;

	count(&producer->counters.checks_dropped);
	if (log_gate_pass(&producer->drop_gate, instance_now_ms(&producer->instance), &suppressed))
		log_warn("sdk", "check-back dropped", "broker=%s reason=\"%s\" suppressed=%u", address, reason, suppressed);
}

bool checks_on_request(escrow_producer *producer, struct client_conn *conn, const struct command *request)
{
	const char *address = client_conn_address(conn);
	struct check_job *job = calloc(1, sizeof(*job)), *known = NULL;
	struct errinfo err;

	count(&producer->counters.checks_received);
	if (job == NULL || strlen(address) >= sizeof(job->key.address)) {
		free(job);
		drop(producer, address, "no memory, or a long address");
		return true;
	}
	memcpy(job->key.address, address, strlen(address));
	if (read_question(job, producer, request, &err) != ST_OK) {
		free_job(job);
		drop(producer, address, err.text);
		return true;
	}
	HASH_FIND(hh, producer->checks, &job->key, sizeof(job->key), known);
	if (known != NULL) {
		free_job(job);
		return true;
	}
	job->job.run = run_check;
	job->job.discard = discard_check;
	job->producer = producer;
	HASH_ADD(hh, producer->checks, key, sizeof(job->key), job);
	if (producer->instance.leaving || !table_took(job) || !pool_submit(producer->pool, &job->job)) {
		free_job(job);
		drop(producer, address, "the pool is full (check_queue_max), or no memory");
	}
	return true;
}
