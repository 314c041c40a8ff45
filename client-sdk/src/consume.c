/* Handing messages to the application, and what becomes of them: done, or back to the broker for another try. */
#include <stdlib.h>

#include "client-sdk/src/consumer_internal.h"
#include "lib/base/logging.h"
#include "lib/base/owner.h"
#include "lib/wire/headers.h"

enum { SEND_BACK_TIMEOUT_MS = 5000, LOCAL_RETRY_MS = 5000, DEAD_LETTER_LEVEL = -1, DRAINED_COMMIT_MS = 100 };

static void submit(struct consume_job *job);
static void send_back(struct consume_job *job);

void consume_free_job(struct consume_job *job)
{
	loop_timer_stop(&job->timer);
	escrow_message_destroy(job->message);
	free(job);
}

/* --- in the loop -------------------------------------------------------------------------------------------------- */

static void taken(void *context, struct window_entry *entry)
{
	struct queue *queue = context;

	queue->consumer->bytes -= entry->size;
	consume_free_job(OWNER(struct consume_job, entry, entry));
}

void consume_pull_starved(struct escrow_consumer *consumer)
{
	struct queue *queue, *next;

	if (!consumer->starved || consumer->bytes >= consumer->bytes_max)
		return;
	consumer->starved = false;
	HASH_ITER(hh, consumer->queues, queue, next) {
		/* One that waits for something else goes on by its own timer. */
		if (queue->timer.event == NULL)
			queue_pull(queue);
	}
}

/* The message is behind us, as far as this queue is still ours. */
static void finished(struct consume_job *job)
{
	struct queue *queue = job->queue;
	struct escrow_consumer *consumer = queue->consumer;

	queue->jobs--;
	if (atomic_load(&queue->dropped)) {
		queue_release(queue);
		return;
	}
	/* The body is of no use any more, even if messages before it are still being worked on. */
	escrow_message_destroy(job->message);
	job->message = NULL;
	window_finish(&queue->window, &job->entry, taken, queue);
	/* A drained queue stores its position at once, so that another member that takes it over sees little again. */
	if (queue->window.head == NULL &&
	    instance_now_ms(&consumer->instance) - queue->committed_at_ms >= DRAINED_COMMIT_MS)
		queue_commit(queue, COMMIT_PROGRESS);
	if (queue->timer.event == NULL)
		queue_pull(queue);
	consume_pull_starved(consumer);
}

/* Not done and not going to be: another member will get it, or we after the next start. */
static void abandoned(struct consume_job *job)
{
	job->queue->jobs--;
	queue_release(job->queue);
}

static void try_again(void *context)
{
	struct consume_job *job = context;

	if (atomic_load(&job->queue->dropped) || job->queue->consumer->stopping)
		abandoned(job);
	else if (job->message == NULL)
		send_back(job);
	else
		submit(job);
}

static void try_again_later(struct consume_job *job)
{
	struct escrow_consumer *consumer = job->queue->consumer;

	count(&consumer->counters.send_backs_failed);
	if (consumer->stopping ||
	    loop_timer_start(consumer->instance.loop, &job->timer, LOCAL_RETRY_MS, false, try_again, job) != ST_OK)
		abandoned(job);
}

static void on_sent_back(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct consume_job *job = context;
	struct queue *queue = job->queue;

	queue->requests--;
	if (status == ST_OK && response->code == RESP_SUCCESS) {
		count(&queue->consumer->counters.retried);
		finished(job);
		return;
	}
	log_warn("sdk", "message not taken back", "topic=%s queue=%d offset=%lld reason=\"%s\"", queue->subscription->topic,
		 queue->key.queue_id, (long long)job->entry.offset, status != ST_OK ? err->text : response_code_name(response->code));
	try_again_later(job);
}

static void send_back(struct consume_job *job)
{
	struct queue *queue = job->queue;
	struct escrow_consumer *consumer = queue->consumer;
	const escrow_message *message = job->message;
	struct send_back_header header = {
		.offset = job->physical_offset, .group = consumer->group_span,
		.delay_level = message == NULL ? DEAD_LETTER_LEVEL : consumer->retry_delay_level,
		.origin_msg_id = message == NULL ? SPAN_NONE : span_of(escrow_message_id(message)),
		.origin_topic = span_of(message == NULL ? queue->subscription->topic : message->topic),
		.max_reconsume_times = consumer->max_reconsume_times,
	};
	const char *address = queue_address(queue, false);
	struct encoder *encoder = NULL;

	if (address != NULL)
		encoder = client_begin(consumer->instance.client, address, REQ_CONSUMER_SEND_MSG_BACK, false, NULL);
	if (encoder == NULL) {
		try_again_later(job);
		return;
	}
	send_back_encode(encoder, &header);
	queue->requests++;
	client_send(consumer->instance.client, SEND_BACK_TIMEOUT_MS, on_sent_back, job);
}

static void came_back(struct letter *letter)
{
	struct consume_job *job = OWNER(struct consume_job, letter, letter);

	if (job->discarded) {
		abandoned(job);
	} else if (job->result == ESCROW_CONSUME_DONE) {
		count(&job->queue->consumer->counters.done);
		finished(job);
	} else if (atomic_load(&job->queue->dropped)) {
		abandoned(job); /* The next owner's first try. */
	} else {
		send_back(job);
	}
}

/* --- on a thread of the pool ----------------------------------------------------------------------------------------- */

static void run(struct pool_job *base, void *thread_context)
{
	struct consume_job *job = (struct consume_job *)base;
	struct escrow_consumer *consumer = job->queue->consumer;

	(void)thread_context;
	if (atomic_load(&job->queue->dropped))
		job->discarded = true;
	else
		job->result = consumer->consume(job->message, consumer->context);
	instance_post(&consumer->instance, &job->letter);
}

static void discard(struct pool_job *base)
{
	struct consume_job *job = (struct consume_job *)base;

	job->discarded = true;
	instance_post(&job->queue->consumer->instance, &job->letter);
}

enum status consume_start(struct escrow_consumer *consumer, int threads, struct errinfo *err)
{
	/* The windows bound the jobs. */
	struct pool_config config = { .name = "escrow-consume", .threads = threads, .queue_max = SIZE_MAX };

	return pool_create(&config, &consumer->pool, err);
}

/* --- from pulling ---------------------------------------------------------------------------------------------------- */

static void submit(struct consume_job *job)
{
	job->discarded = false;
	job->result = ESCROW_CONSUME_RETRY;
	if (!pool_submit(job->queue->consumer->pool, &job->job))
		abandoned(job);
}

enum status consume_submit(struct queue *queue, escrow_message *message, int64_t queue_offset, int64_t physical_offset,
			   size_t size)
{
	struct consume_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return ST_NOMEM;
	*job = (struct consume_job){ .job = { .run = run, .discard = discard }, .letter = { .deliver = came_back },
				     .entry = { .offset = queue_offset, .size = size }, .queue = queue, .message = message,
				     .physical_offset = physical_offset };
	window_add(&queue->window, &job->entry);
	queue->consumer->bytes += size;
	queue->jobs++;
	count(&queue->consumer->counters.received);
	if (message == NULL)
		send_back(job);
	else
		submit(job);
	return ST_OK;
}
