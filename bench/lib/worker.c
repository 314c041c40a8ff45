/* See load.h and worker.h. */
#include "bench/lib/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 128,
	TURN_MAX_NS = 50000000,       /* Longest sleep: how late a change of phase may be seen. */
	RETRY_NS = 10000000,          /* A slot whose transaction was refused waits this long. */
	SLOT_BITS = 16,
	GENERATION_MASK = 0x3fff,
};

#define HEARTBEAT_NS 30000000000LL /* As RocketMQ's clients. */

/* --- bookkeeping ------------------------------------------------------------------------------------ */

void load_count_error(struct load_totals *totals, const char *stage, int32_t code, uint64_t count, struct span remark)
{
	uint32_t i = 0;

	while (i < totals->error_count && (totals->errors[i].code != code || strcmp(totals->errors[i].stage, stage) != 0))
		i++;
	if (i == LOAD_ERRORS_MAX)
		return; /* `failed` counts it still. */
	if (i == totals->error_count) {
		totals->error_count++;
		totals->errors[i].stage = stage;
		totals->errors[i].code = code;
		snprintf(totals->errors[i].remark, sizeof(totals->errors[i].remark), "%.*s", SPAN_ARGS(remark));
	}
	totals->errors[i].count += count;
}

static enum status give_up(struct worker *w, const struct connection *c, enum status status, const char *what)
{
	return errinfo_set(&w->error, status, "connection %u to %s: %s", c->index,
			   w->load->options.route.brokers[c->index % w->load->options.route.broker_count], what);
}

static enum status out_of_memory(struct worker *w)
{
	return errinfo_set(&w->error, ST_NOMEM, "request buffers: out of memory");
}

static void mark_dirty(struct worker *w, struct connection *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	w->dirty[w->dirty_count++] = c;
}

/* --- the life of a slot ----------------------------------------------------------------------------- */

static uint32_t next_opaque(struct slot *slot, uint32_t index)
{
	slot->generation = (slot->generation + 1) & GENERATION_MASK;
	slot->opaque = OPAQUE_BASE + ((uint32_t)slot->generation << SLOT_BITS | index);
	return slot->opaque;
}

/* Spread evenly: of each hundred consecutive transactions, exactly commit_percent commit. */
static bool shall_commit(const struct worker *w)
{
	return w->started * 37 % 100 < w->load->options.commit_percent;
}

static enum status start_transaction(struct worker *w, struct connection *c, uint32_t index, int64_t due_ns)
{
	const struct load_options *options = &w->load->options;
	struct slot *slot = &c->slots[index];

	slot->commit = shall_commit(w);
	slot->key = (uint64_t)w->index << 48 | w->started++;
	slot->state = options->mode == LOAD_SEND ? SLOT_SEND : SLOT_HALF;
	slot->due_ns = due_ns;
	slot->sent_ns = w->now_ns;
	if (++w->next_queue >= options->route.queue_count)
		w->next_queue = 0;
	w->outstanding++;
	mark_dirty(w, c);
	if (!frames_put_send(&w->load->frames, &c->out, next_opaque(slot, index), w->next_queue,
			     w->now_ns / 1000000 + w->wall_offset_ms, slot->key))
		return out_of_memory(w);
	return ST_OK;
}

static enum status slot_is_free(struct worker *w, struct connection *c, uint32_t index)
{
	c->slots[index].state = SLOT_FREE;
	if (w->load->options.rate > 0) {
		c->free_slots[c->free_count++] = (uint16_t)index;
		return ST_OK;
	}
	return w->phase >= LOAD_DRAIN ? ST_OK : start_transaction(w, c, index, w->now_ns);
}

static enum status transaction_done(struct worker *w, struct connection *c, uint32_t index)
{
	struct slot *slot = &c->slots[index];

	atomic_store_explicit(&w->completed, atomic_load_explicit(&w->completed, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (w->phase == LOAD_MEASURE)
		histogram_add(&w->totals.transaction, w->now_ns - slot->due_ns);
	return slot_is_free(w, c, index);
}

static enum status transaction_refused(struct worker *w, struct connection *c, uint32_t index, const char *stage,
				       const struct header *answer)
{
	load_count_error(&w->totals, stage, answer->code, 1, answer->remark);
	w->totals.failed++;
	c->slots[index].state = SLOT_FREE;
	w->refused[w->refused_count++] = (struct refused){ c, index };
	if (w->refused_count == 1)
		w->retry_at_ns = w->now_ns + RETRY_NS;
	return ST_OK;
}

static enum status half_answered(struct worker *w, struct connection *c, uint32_t index, const struct header *answer)
{
	struct slot *slot = &c->slots[index];
	int64_t half_offset = frames_log_offset(answer->message_id);
	const struct load_options *options = &w->load->options;
	char key[UNIQ_KEY_SIZE];

	if (answer->code != 0)
		return transaction_refused(w, c, index, "half", answer);
	frames_key_text(key, w->load->run_id, slot->key);
	if (!answer->has_queue_offset || half_offset < 0 ||
	    !span_equal(answer->transaction_id, (struct span){ (const uint8_t *)key, sizeof(key) })) {
		w->totals.wrong_identity++;
		return transaction_refused(w, c, index, "half", answer);
	}
	if (w->phase == LOAD_MEASURE)
		histogram_add(&w->totals.half, w->now_ns - slot->sent_ns);
	if (options->mode == LOAD_HALF)
		return transaction_done(w, c, index);
	slot->state = SLOT_END;
	slot->sent_ns = w->now_ns;
	mark_dirty(w, c);
	if (!frames_put_end(&w->load->frames, &c->out, next_opaque(slot, index), slot->commit, half_offset,
			    answer->queue_offset, w->load->run_id, slot->key))
		return out_of_memory(w);
	*(slot->commit ? &w->totals.commits : &w->totals.rollbacks) += 1;
	if (options->end_oneway)
		return transaction_done(w, c, index);
	w->outstanding++;
	return ST_OK;
}

static enum status answered(struct worker *w, struct connection *c, const struct header *answer)
{
	uint32_t index = (answer->opaque - OPAQUE_BASE) & ((1u << SLOT_BITS) - 1);

	if (index == WORKER_HEARTBEAT_SLOT) {
		if (answer->code != 0)
			load_count_error(&w->totals, "heartbeat", answer->code, 1, answer->remark);
		return ST_OK;
	}
	struct slot *slot = index < w->load->options.window ? &c->slots[index] : NULL;
	if (slot == NULL || slot->state == SLOT_FREE || slot->opaque != answer->opaque) {
		w->totals.unmatched++;
		return ST_OK;
	}
	w->outstanding--;
	switch ((enum slot_state)slot->state) {
	case SLOT_HALF:
		return half_answered(w, c, index, answer);
	case SLOT_END:
		if (answer->code != 0)
			return transaction_refused(w, c, index, "end", answer);
		if (w->phase == LOAD_MEASURE)
			histogram_add(&w->totals.end, w->now_ns - slot->sent_ns);
		return transaction_done(w, c, index);
	case SLOT_SEND:
		if (answer->code != 0)
			return transaction_refused(w, c, index, "send", answer);
		return transaction_done(w, c, index);
	case SLOT_FREE:
		break;
	}
	assert(!"unreachable slot state");
	return ST_INVALID;
}

/* --- input and output ------------------------------------------------------------------------------- */

static enum status handle_frame(struct worker *w, struct connection *c, struct span frame)
{
	struct header header;
	const char *reason;

	if (!frames_scan(frame, &header, &reason))
		return give_up(w, c, ST_INVALID, reason);
	if (header.flag & FLAG_RESPONSE)
		return answered(w, c, &header);
	if (header.code == CODE_CHECK_TRANSACTION_STATE)
		w->totals.check_requests++;
	else
		w->totals.other_requests++;
	return ST_OK;
}

/* Handles every complete frame in `size` bytes of w->input and keeps the rest. */
static enum status handle_input(struct worker *w, struct connection *c, size_t size)
{
	size_t at = 0;

	while (at < size) {
		struct span rest = { w->input + at, size - at };
		size_t frame_size = frames_next(rest);
		if (frame_size == SIZE_MAX)
			return give_up(w, c, ST_INVALID, "what came is no frame of the remoting protocol");
		if (frame_size == 0 || frame_size > rest.size)
			break;
		enum status status = handle_frame(w, c, (struct span){ rest.data, frame_size });
		if (status != ST_OK)
			return status;
		at += frame_size;
	}
	buffer_append(&c->partial, w->input + at, size - at);
	return c->partial.failed ? give_up(w, c, ST_TOOBIG, "a frame is larger than the input buffer") : ST_OK;
}

static enum status read_connection(struct worker *w, struct connection *c)
{
	for (;;) {
		/* The input buffer is shared by all connections, so that it stays in the CPU's cache. */
		size_t kept = buffer_size(&c->partial);
		if (kept > 0)
			memcpy(w->input, c->partial.data + c->partial.start, kept);
		buffer_reset(&c->partial);
		ssize_t n = recv(c->fd, w->input + kept, WORKER_INPUT_SIZE - kept, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			buffer_append(&c->partial, w->input, kept);
			return ST_OK;
		}
		if (n <= 0)
			return give_up(w, c, ST_CLOSED, n == 0 ? "closed by the broker" : strerror(errno));
		w->now_ns = dial_now_ns();
		enum status status = handle_input(w, c, kept + (size_t)n);
		if (status != ST_OK || (size_t)n < WORKER_INPUT_SIZE - kept)
			return status;
	}
}

enum status worker_watch(struct worker *w, struct connection *c, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	if (epoll_ctl(w->epoll, operation, c->fd, &event) == 0)
		return ST_OK;
	return give_up(w, c, ST_IO, strerror(errno));
}

static enum status write_connection(struct worker *w, struct connection *c)
{
	while (buffer_size(&c->out) > 0) {
		ssize_t n = send(c->fd, c->out.data + c->out.start, buffer_size(&c->out), MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (c->blocked)
				return ST_OK;
			c->blocked = true;
			return worker_watch(w, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
		}
		if (n < 0)
			return give_up(w, c, ST_CLOSED, strerror(errno));
		buffer_consume(&c->out, (size_t)n);
	}
	if (!c->blocked)
		return ST_OK;
	c->blocked = false;
	return worker_watch(w, c, EPOLLIN, EPOLL_CTL_MOD);
}

static enum status write_dirty(struct worker *w)
{
	enum status status = ST_OK;

	for (uint32_t i = 0; i < w->dirty_count && status == ST_OK; i++) {
		w->dirty[i]->dirty = false;
		if (!w->dirty[i]->blocked)
			status = write_connection(w, w->dirty[i]);
	}
	w->dirty_count = 0;
	return status;
}

/* --- a worker's turn -------------------------------------------------------------------------------- */

static int64_t due_at(const struct worker *w, uint64_t number)
{
	return w->begin_ns + (int64_t)((double)number * w->interval_ns);
}

/* Open loop: starts what is due as far as there are free slots. True if all of it could start. */
static bool start_due(struct worker *w, enum status *status)
{
	while (due_at(w, w->due_count) <= w->now_ns) {
		struct connection *c = NULL;
		for (uint32_t i = 0; i < w->connection_count && c == NULL; i++) {
			struct connection *candidate = &w->connections[w->next_connection];
			if (++w->next_connection == w->connection_count)
				w->next_connection = 0;
			if (candidate->free_count > 0)
				c = candidate;
		}
		if (c == NULL)
			return false;
		*status = start_transaction(w, c, c->free_slots[--c->free_count], due_at(w, w->due_count));
		w->due_count++;
		if (*status != ST_OK)
			return false;
	}
	return true;
}

static enum status retry_refused(struct worker *w)
{
	uint32_t count = w->refused_count;
	enum status status = ST_OK;

	w->refused_count = 0;
	for (uint32_t i = 0; i < count && status == ST_OK; i++)
		status = slot_is_free(w, w->refused[i].connection, w->refused[i].slot);
	return status;
}

static enum status send_heartbeats(struct worker *w)
{
	char client_id[64];

	w->heartbeat_at_ns = w->now_ns + HEARTBEAT_NS;
	for (uint32_t i = 0; i < w->connection_count; i++) {
		struct connection *c = &w->connections[i];
		snprintf(client_id, sizeof(client_id), "127.0.0.1@%d#bench%u", (int)getpid(), c->index);
		if (!frames_put_heartbeat(&c->out, OPAQUE_BASE + WORKER_HEARTBEAT_SLOT, client_id, w->load->options.group))
			return out_of_memory(w);
		mark_dirty(w, c);
	}
	return ST_OK;
}

/* Timers of one turn; returns how long to sleep in *wait_ns. */
static enum status run_timers(struct worker *w, int64_t *wait_ns)
{
	enum status status = ST_OK;
	int64_t wake_ns;

	w->now_ns = dial_now_ns();
	wake_ns = w->now_ns + TURN_MAX_NS;
	if (w->now_ns >= w->heartbeat_at_ns)
		status = send_heartbeats(w);
	if (status == ST_OK && w->refused_count > 0 && w->now_ns >= w->retry_at_ns)
		status = retry_refused(w);
	if (w->refused_count > 0 && w->retry_at_ns < wake_ns)
		wake_ns = w->retry_at_ns;
	if (status == ST_OK && w->load->options.rate > 0 && w->phase < LOAD_DRAIN) {
		if (start_due(w, &status) && due_at(w, w->due_count) < wake_ns)
			wake_ns = due_at(w, w->due_count);
		uint64_t due = (uint64_t)((double)(w->now_ns - w->begin_ns) / w->interval_ns);
		w->totals.backlog = due > w->due_count ? due - w->due_count : 0;
	}
	*wait_ns = wake_ns > w->now_ns ? wake_ns - w->now_ns : 0;
	return status;
}

static enum status turn(struct worker *w)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec timeout = { 0, 0 };
	int64_t wait_ns;
	enum status status = run_timers(w, &wait_ns);

	if (status == ST_OK)
		status = write_dirty(w);
	if (status != ST_OK)
		return status;
	timeout.tv_nsec = wait_ns;
	int count = epoll_pwait2(w->epoll, events, EVENTS_MAX, &timeout, NULL);
	if (count < 0 && errno != EINTR)
		return errinfo_set(&w->error, ST_IO, "epoll_pwait2: %s", strerror(errno));
	w->phase = (enum load_phase)atomic_load_explicit(&w->load->phase, memory_order_acquire);
	for (int i = 0; i < count && status == ST_OK; i++) {
		struct connection *c = events[i].data.ptr;
		if (events[i].events & EPOLLOUT)
			status = write_connection(w, c);
		if (status == ST_OK && events[i].events & ~(uint32_t)EPOLLOUT)
			status = read_connection(w, c);
		if (status == ST_OK)
			status = write_dirty(w);
	}
	return status;
}

static enum status begin_load(struct worker *w)
{
	enum status status = ST_OK;

	w->now_ns = w->begin_ns = dial_now_ns();
	w->heartbeat_at_ns = w->now_ns + HEARTBEAT_NS;
	for (uint32_t i = 0; i < w->connection_count && status == ST_OK; i++)
		for (uint32_t s = 0; s < w->load->options.window && status == ST_OK; s++)
			status = slot_is_free(w, &w->connections[i], s);
	return status;
}

void *worker_main(void *context)
{
	struct worker *w = context;
	enum status status = begin_load(w);

	while (status == ST_OK && w->phase != LOAD_STOP && !(w->phase == LOAD_DRAIN && w->outstanding == 0))
		status = turn(w);
	w->status = status;
	w->totals.unanswered = w->outstanding;
	atomic_store_explicit(&w->finished, true, memory_order_release);
	return NULL;
}
