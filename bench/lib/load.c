/* See load.h: setting up, adding up. What the workers do is in worker.c. */
#include "bench/lib/worker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static enum status connection_open(struct worker *w, struct connection *c, uint32_t index, struct errinfo *err)
{
	const struct load_options *options = &w->load->options;
	const char *address = options->route.brokers[index % options->route.broker_count];
	struct header header;
	char client_id[64];

	c->index = index;
	c->slots = calloc(options->window, sizeof(*c->slots));
	c->free_slots = calloc(options->window, sizeof(*c->free_slots));
	if (c->slots == NULL || c->free_slots == NULL)
		return errinfo_set(err, ST_NOMEM, "connection %u: out of memory", index);
	enum status status = dial_connect(address, &c->fd, err);
	if (status != ST_OK)
		return status;
	snprintf(client_id, sizeof(client_id), "127.0.0.1@%d#bench%u", (int)getpid(), index);
	if (!frames_put_heartbeat(&c->out, OPAQUE_BASE + WORKER_HEARTBEAT_SLOT, client_id, options->group))
		return errinfo_set(err, ST_NOMEM, "connection %u: out of memory", index);
	status = dial_call(c->fd, &c->out, &c->partial, &header, err);
	if (status == ST_OK && header.code != 0)
		status = errinfo_set(err, ST_DENIED, "code %d: %.*s", header.code, SPAN_ARGS(header.remark));
	if (status != ST_OK)
		return errinfo_wrap(err, status, "heartbeat to %s", address);
	/* Check-backs may have come right behind the answer. */
	buffer_consume(&c->partial, frames_next(buffer_span(&c->partial)));
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
		return errinfo_set(err, ST_IO, "connection %u: %s", index, strerror(errno));
	return worker_watch(w, c, EPOLLIN, EPOLL_CTL_ADD) == ST_OK ? ST_OK : errinfo_set(err, ST_IO, "%s", w->error.text);
}

static enum status worker_init(struct worker *w, struct load *load, uint32_t index, struct errinfo *err)
{
	const struct load_options *o = &load->options;
	struct timespec wall;

	w->load = load;
	w->index = index;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0)
		return errinfo_set(err, ST_IO, "epoll_create1: %s", strerror(errno));
	w->connection_count = o->connection_count / o->thread_count + (index < o->connection_count % o->thread_count);
	w->interval_ns = o->rate > 0 ? 1e9 * o->thread_count / o->rate : 0;
	w->input = malloc(WORKER_INPUT_SIZE);
	w->dirty = calloc(w->connection_count, sizeof(struct connection *));
	w->refused = calloc((size_t)w->connection_count * o->window, sizeof(*w->refused));
	w->connections = calloc(w->connection_count, sizeof(*w->connections));
	if (w->input == NULL || w->dirty == NULL || w->refused == NULL || w->connections == NULL)
		return errinfo_set(err, ST_NOMEM, "worker %u: out of memory", index);
	clock_gettime(CLOCK_REALTIME, &wall);
	w->wall_offset_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000 - dial_now_ns() / 1000000;
	for (uint32_t i = 0; i < w->connection_count; i++) {
		w->connections[i].fd = -1;
		buffer_init(&w->connections[i].out, 0);
		buffer_init(&w->connections[i].partial, WORKER_INPUT_SIZE / 2);
	}
	enum status status = ST_OK;
	for (uint32_t i = 0; i < w->connection_count && status == ST_OK; i++)
		status = connection_open(w, &w->connections[i], index + i * o->thread_count, err);
	return status;
}

static void worker_deinit(struct worker *w)
{
	for (uint32_t i = 0; w->connections != NULL && i < w->connection_count; i++) {
		struct connection *c = &w->connections[i];
		if (c->fd >= 0)
			close(c->fd);
		buffer_deinit(&c->out);
		buffer_deinit(&c->partial);
		free(c->slots);
		free(c->free_slots);
	}
	if (w->epoll > 0)
		close(w->epoll);
	free(w->connections);
	free(w->dirty);
	free(w->refused);
	free(w->input);
}

enum status load_create(const struct load_options *options, struct load **out, struct errinfo *err)
{
	struct load *load = calloc(1, sizeof(*load));

	if (load == NULL)
		return errinfo_set(err, ST_NOMEM, "load: out of memory");
	load->options = *options;
	load->run_id = 0x7F00000100000000ULL ^ (uint64_t)getpid() << 32 ^ (uint64_t)dial_now_ns();
	load->workers = calloc(options->thread_count, sizeof(*load->workers));
	const struct frames_options frames = {
		.group = options->group, .topic = options->topic, .queue_count = options->route.queue_count,
		.body_size = options->body_size, .run_id = load->run_id,
		.transactional = options->mode != LOAD_SEND, .end_oneway = options->end_oneway,
	};
	enum status status = load->workers == NULL ? errinfo_set(err, ST_NOMEM, "load: out of memory")
						   : frames_init(&load->frames, &frames, err);
	for (uint32_t i = 0; i < options->thread_count && status == ST_OK; i++)
		status = worker_init(&load->workers[i], load, i, err);
	if (status != ST_OK) {
		load_destroy(load);
		return status;
	}
	*out = load;
	return ST_OK;
}

enum status load_start(struct load *load, struct errinfo *err)
{
	for (; load->workers_started < load->options.thread_count; load->workers_started++) {
		struct worker *w = &load->workers[load->workers_started];
		int error = pthread_create(&w->thread, NULL, worker_main, w);
		if (error != 0)
			return errinfo_set(err, ST_IO, "start worker %u: %s", w->index, strerror(error));
	}
	return ST_OK;
}

void load_set_phase(struct load *load, enum load_phase phase)
{
	atomic_store_explicit(&load->phase, (int)phase, memory_order_release);
}

uint64_t load_completed(const struct load *load)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < load->options.thread_count; i++)
		sum += atomic_load_explicit(&load->workers[i].completed, memory_order_relaxed);
	return sum;
}

bool load_finished(const struct load *load)
{
	bool all = true;

	for (uint32_t i = 0; i < load->options.thread_count; i++) {
		const struct worker *w = &load->workers[i];
		bool finished = atomic_load_explicit(&w->finished, memory_order_acquire);
		if (finished && w->status != ST_OK)
			return true;
		all = all && finished;
	}
	return all;
}

static void add_totals(struct load_totals *into, const struct load_totals *from)
{
	histogram_merge(&into->half, &from->half);
	histogram_merge(&into->end, &from->end);
	histogram_merge(&into->transaction, &from->transaction);
	into->commits += from->commits;
	into->rollbacks += from->rollbacks;
	into->failed += from->failed;
	into->unmatched += from->unmatched;
	into->wrong_identity += from->wrong_identity;
	into->check_requests += from->check_requests;
	into->other_requests += from->other_requests;
	into->unanswered += from->unanswered;
	into->backlog += from->backlog;
	for (uint32_t i = 0; i < from->error_count; i++)
		load_count_error(into, from->errors[i].stage, from->errors[i].code, from->errors[i].count,
			    span_of(from->errors[i].remark));
}

enum status load_join(struct load *load, struct load_totals *totals, struct errinfo *err)
{
	enum status status = ST_OK;

	memset(totals, 0, sizeof(*totals));
	load_set_phase(load, LOAD_STOP);
	for (uint32_t i = 0; i < load->workers_started; i++) {
		struct worker *w = &load->workers[i];
		int error = pthread_join(w->thread, NULL);
		assert(error == 0);
		(void)error;
		add_totals(totals, &w->totals);
		if (w->status != ST_OK && status == ST_OK)
			status = errinfo_set(err, w->status, "%s", w->error.text);
	}
	load->workers_started = 0;
	return status;
}

void load_destroy(struct load *load)
{
	for (uint32_t i = 0; load->workers != NULL && i < load->options.thread_count; i++)
		worker_deinit(&load->workers[i]);
	frames_deinit(&load->frames);
	free(load->workers);
	free(load);
}
