/* Transactions: prepare, decide, and the form with a callback. The decision is END_TRANSACTION, sent as a request that is
 * answered, and repeated at the same broker until the deadline. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "client-sdk/src/producer_internal.h"
#include "lib/wire/headers.h"

static void attempt(struct end_call *end);

/* --- in the loop --------------------------------------------------------------------------------------------- */

static void finish(struct end_call *end, enum escrow_transaction_state state)
{
	if (end->in_list)
		DL_DELETE(end->producer->waiting_ends, end);
	end->in_list = false;
	loop_timer_stop(&end->timer);
	end->state = state;
	call_done(&end->call);
}

static void pending(struct end_call *end, const char *why)
{
	snprintf(end->text, sizeof(end->text), "not confirmed by broker %s after %u attempts (%s); its check-back will finish it",
		 end->transaction->broker_name, end->attempts, why);
	finish(end, ESCROW_PENDING);
}

void ends_fail_all(escrow_producer *producer)
{
	struct end_call *end, *next;

	DL_FOREACH_SAFE(producer->waiting_ends, end, next)
		pending(end, "the producer is being stopped");
}

static void wait_over(void *context)
{
	struct end_call *end = context;

	DL_DELETE(end->producer->waiting_ends, end);
	end->in_list = false;
	attempt(end);
}

static bool is_idempotent(const struct end_call *end)
{
	const struct broker *broker = brokers_find(end->producer->instance.brokers, end->address);

	return broker != NULL && broker->idempotent;
}

/* It may be at another address by now; the next attempt goes where the route says. */
static void look_for_broker(struct end_call *end)
{
	struct topic_route *route = routes_watch(end->producer->instance.routes, end->transaction->topic, true);

	if (route != NULL)
		routes_refresh(route);
}

static void attempt_failed(struct end_call *end, enum attempt_outcome outcome, const char *why)
{
	struct instance *instance = &end->producer->instance;
	int64_t left = end->deadline_ms - instance_now_ms(instance);
	int64_t pause = retry_pause_ms(end->attempts);

	if (end->producer->failing_calls || left <= pause ||
	    retry_verdict(ATTEMPT_DECISION, outcome, is_idempotent(end)) == RETRY_NEVER) {
		pending(end, why);
		return;
	}
	count(&end->producer->counters.attempts_repeated);
	look_for_broker(end);
	DL_APPEND(end->producer->waiting_ends, end);
	end->in_list = true;
	if (loop_timer_start(instance->loop, &end->timer, pause, false, wait_over, end) != ST_OK)
		pending(end, "no memory for a timer");
}

static void take_refusal(struct end_call *end, const struct command *response)
{
	int shown = response->remark.size > 400 ? 400 : (int)response->remark.size;

	end->response_code = response->code;
	snprintf(end->text, sizeof(end->text), "broker %s answers %s (%d)%s%.*s", end->transaction->broker_name,
		 response_code_name(response->code), response->code, shown > 0 ? ": " : "", shown,
		 shown > 0 ? (const char *)response->remark.data : "");
	if (response->code == RESP_ILLEGAL_OPERATION) {
		finish(end, ESCROW_CONFLICTING);
		return;
	}
	char why[ESCROW_ERROR_TEXT_SIZE];
	snprintf(why, sizeof(why), "%.300s", end->text);
	attempt_failed(end, outcome_of_response(response->code), why);
}

static void on_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct end_call *end = context;

	end->producer->calls_in_loop--;
	if (status == ST_OK && response->code == RESP_SUCCESS) {
		finish(end, end->outcome == TRANSACTION_COMMIT ? ESCROW_COMMITTED : ESCROW_ROLLED_BACK);
	} else if (status == ST_OK) {
		take_refusal(end, response);
	} else {
		bool never_left = attempt_never_left(&end->producer->instance, end->address, end->stood, end->disconnects);

		attempt_failed(end, never_left ? OUTCOME_NOT_DONE : OUTCOME_UNKNOWN, never_left ? "not reachable" : err->text);
	}
}

/* The broker may have come back at another address; the name is what it keeps. */
static void choose_address(struct end_call *end)
{
	const struct escrow_transaction *transaction = end->transaction;
	const struct broker *broker = brokers_master(end->producer->instance.brokers, transaction->broker_name);

	memcpy(end->address, broker != NULL ? broker->address : transaction->address, sizeof(end->address));
}

static void attempt(struct end_call *end)
{
	const struct escrow_transaction *transaction = end->transaction;
	struct instance *instance = &end->producer->instance;
	int64_t left = end->deadline_ms - instance_now_ms(instance);
	struct end_transaction_header header = {
		.producer_group = end->producer->group_span, .tran_state_table_offset = transaction->half_queue_offset,
		.commit_log_offset = transaction->half_offset, .commit_or_rollback = end->outcome,
		.msg_id = span_of(transaction->id), .transaction_id = span_of(transaction->id),
		.topic = span_of(transaction->topic),
	};
	struct errinfo err;

	if (left <= 0) {
		pending(end, "the deadline passed");
		return;
	}
	choose_address(end);
	const struct broker *broker = brokers_find(instance->brokers, end->address);
	end->attempts++;
	end->stood = client_connected(instance->client, end->address);
	end->disconnects = broker == NULL ? 0 : broker->disconnects;
	struct encoder *encoder = client_begin(instance->client, end->address, REQ_END_TRANSACTION, false, &err);
	if (encoder == NULL) {
		attempt_failed(end, OUTCOME_NOT_DONE, err.text);
		return;
	}
	end_transaction_encode(encoder, &header);
	end->producer->calls_in_loop++;
	client_send(instance->client,
		    attempt_timeout_ms(ATTEMPT_DECISION, is_idempotent(end), left, end->producer->attempt_timeout_ms), on_answer,
		    end);
}

static void begin(struct letter *letter)
{
	struct end_call *end = (struct end_call *)letter;

	end->deadline_ms = instance_now_ms(&end->producer->instance) + end->timeout_ms;
	if (end->producer->failing_calls)
		pending(end, "the producer is being stopped");
	else
		attempt(end);
}

/* --- the application's side --------------------------------------------------------------------------------------- */

static void fill_result(const struct escrow_transaction *transaction, int32_t outcome, enum escrow_transaction_state state,
			const char *text, struct escrow_transaction_result *result)
{
	if (result == NULL)
		return;
	*result = (struct escrow_transaction_result){ .state = state };
	if (outcome == TRANSACTION_COMMIT)
		result->local = ESCROW_LOCAL_COMMIT;
	else if (outcome == TRANSACTION_ROLLBACK)
		result->local = ESCROW_LOCAL_ROLLBACK;
	memcpy(result->transaction_id, transaction->id, sizeof(result->transaction_id));
	memcpy(result->broker_name, transaction->broker_name, sizeof(result->broker_name));
	snprintf(result->text, sizeof(result->text), "%s", text);
}

static enum escrow_code decide(escrow_transaction *transaction, int32_t outcome, int64_t deadline_ms,
			       struct escrow_transaction_result *result, struct escrow_error *err)
{
	if (transaction == NULL)
		return sdk_fail(err, ESCROW_INVALID, "decide: transaction must not be NULL");
	escrow_producer *producer = transaction->producer;
	if (transaction->asked != 0 && transaction->asked != outcome)
		return sdk_fail(err, ESCROW_INVALID, "transaction %s: the opposite was asked for before", transaction->id);
	enum escrow_code code = producer_enter(producer, err);
	if (code != ESCROW_OK)
		return code;
	transaction->asked = outcome;
	struct end_call end = { .producer = producer, .transaction = transaction, .outcome = outcome,
				.timeout_ms = producer_deadline(producer, deadline_ms) };
	call_init(&end.call, begin);
	call_wait(&producer->instance, &end.call);
	fill_result(transaction, outcome, end.state, end.text, result);
	if (end.state == ESCROW_PENDING)
		count(&producer->counters.decisions_pending);
	if (end.state == ESCROW_CONFLICTING) {
		count(&producer->counters.decisions_conflicting);
		code = sdk_fail(err, ESCROW_CONFLICT, "transaction %s: %.400s", transaction->id, end.text);
		if (err != NULL)
			err->broker_code = end.response_code;
	}
	producer_leave(producer);
	return code;
}

enum escrow_code escrow_commit(escrow_transaction *transaction, int64_t deadline_ms,
			       struct escrow_transaction_result *result, struct escrow_error *err)
{
	return decide(transaction, TRANSACTION_COMMIT, deadline_ms, result, err);
}

enum escrow_code escrow_rollback(escrow_transaction *transaction, int64_t deadline_ms,
				 struct escrow_transaction_result *result, struct escrow_error *err)
{
	return decide(transaction, TRANSACTION_ROLLBACK, deadline_ms, result, err);
}

const char *escrow_transaction_id(const escrow_transaction *transaction)
{
	return transaction->id;
}

void escrow_transaction_release(escrow_transaction *transaction)
{
	if (transaction == NULL)
		return;
	free(transaction->topic);
	free(transaction);
}

static enum escrow_code make_transaction(escrow_producer *producer, const struct send_call *send,
					 escrow_transaction **out, struct escrow_error *err)
{
	escrow_transaction *transaction = calloc(1, sizeof(*transaction));

	if (transaction != NULL)
		transaction->topic = strdup(send->message->topic);
	if (transaction == NULL || transaction->topic == NULL) {
		free(transaction);
		sdk_fail(err, ESCROW_NO_MEMORY, "prepare: out of memory");
		if (err != NULL)
			err->outcome_unknown = true;
		return ESCROW_NO_MEMORY;
	}
	transaction->producer = producer;
	memcpy(transaction->id, send->unique_key, sizeof(transaction->id));
	memcpy(transaction->broker_name, send->broker_name, sizeof(transaction->broker_name));
	memcpy(transaction->address, send->address, sizeof(transaction->address));
	transaction->half_offset = send->half_offset;
	transaction->half_queue_offset = send->queue_offset;
	*out = transaction;
	return ESCROW_OK;
}

/* The half is stored, but not as safely as asked for: a local transaction must not rest on it. */
static enum escrow_code give_up_weak_half(escrow_transaction *transaction, const struct send_call *send,
					  struct escrow_error *err)
{
	struct escrow_transaction_result result;
	enum escrow_code code = decide(transaction, TRANSACTION_ROLLBACK, 0, &result, NULL);

	sdk_fail(err, ESCROW_REFUSED, "prepare: broker %s stored the message but answers %s (%d); rolled back%s",
		 send->broker_name, response_code_name(send->reply_code), send->reply_code,
		 code == ESCROW_OK && result.state == ESCROW_ROLLED_BACK ? "" : " (not confirmed)");
	if (err != NULL) {
		err->broker_code = send->reply_code;
		err->retriable = true;
	}
	escrow_transaction_release(transaction);
	return ESCROW_REFUSED;
}

enum escrow_code escrow_prepare(escrow_producer *producer, const escrow_message *message, int64_t deadline_ms,
				escrow_transaction **out, struct escrow_error *err)
{
	struct send_call send;
	escrow_transaction *transaction = NULL;

	if (producer == NULL || message == NULL || out == NULL)
		return sdk_fail(err, ESCROW_INVALID, "prepare: producer, message and out must not be NULL");
	enum escrow_code code = producer_enter(producer, err);
	if (code != ESCROW_OK)
		return code;
	code = send_half(producer, message, deadline_ms, &send, err);
	producer_leave(producer);
	if (code == ESCROW_OK)
		code = make_transaction(producer, &send, &transaction, err);
	if (code != ESCROW_OK)
		return code;
	if (send.reply_code != RESP_SUCCESS)
		return give_up_weak_half(transaction, &send, err);
	*out = transaction;
	return ESCROW_OK;
}

enum escrow_code escrow_producer_send_in_transaction(escrow_producer *producer, const escrow_message *message,
						     escrow_local_fn local, void *context, int64_t deadline_ms,
						     struct escrow_transaction_result *result, struct escrow_error *err)
{
	escrow_transaction *transaction = NULL;

	if (local == NULL)
		return sdk_fail(err, ESCROW_INVALID, "send in transaction: local must not be NULL");
	enum escrow_code code = escrow_prepare(producer, message, deadline_ms, &transaction, err);
	if (code != ESCROW_OK)
		return code;
	assert(transaction != NULL);
	int32_t outcome = TRANSACTION_UNKNOWN;
	switch (local(transaction, message, context)) {
	case ESCROW_LOCAL_COMMIT: outcome = TRANSACTION_COMMIT; break;
	case ESCROW_LOCAL_ROLLBACK: outcome = TRANSACTION_ROLLBACK; break;
	default: break; /* Whatever else it says is unknown. */
	}
	if (outcome != TRANSACTION_UNKNOWN) {
		code = decide(transaction, outcome, deadline_ms, result, err);
	} else {
		fill_result(transaction, TRANSACTION_UNKNOWN, ESCROW_PENDING,
			    "the local transaction's outcome is unknown; the broker's check-back will ask", result);
		count(&producer->counters.decisions_pending);
	}
	/* The half is there, so being stopped (or at calls_max) between the two is no failure of preparing. */
	if (code == ESCROW_STOPPED || code == ESCROW_BUSY) {
		fill_result(transaction, outcome, ESCROW_PENDING, "the decision could not be sent; check-back will finish it",
			    result);
		code = ESCROW_OK;
	}
	escrow_transaction_release(transaction);
	return code;
}
