#include "tests/sim/net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "tests/sim/engine.h"
#include "tests/sim/report.h"

enum { LATENCY_MIN_US = 80, LATENCY_MAX_US = 12000, WINDOW_MIN = 16 * 1024, WINDOW_MAX = 256 * 1024, PEERS_MAX = 64 };

/* A piece of the stream on its way, or the end of it. */
struct piece {
	struct piece *prev, *next;
	int64_t arrives_us;
	bool fin;
	size_t size;
	uint8_t bytes[];
};

struct link;

struct net_end {
	struct link *link;
	struct process *process;
	uint16_t port;
	struct net_calls calls;
	bool attached;        /* Someone hears the calls. */
	bool open;            /* net_close was not called, the process lives. */
	bool told_gone;
	bool reading;
	bool wants_room;      /* A send was cut short. */
	struct buffer received;
	/* What this end has sent and the other has not got yet. */
	struct piece *pieces;
	size_t under_way;
	int64_t last_arrival_us;
	struct event *arrival; /* Of the first piece. */
	struct event *call;    /* readable or gone, to come. */
	struct event *room;    /* writable, to come. */
	struct chance chance;
};

struct link {
	struct link *prev, *next;
	uint64_t number;
	struct net_end ends[2]; /* [0] connected, [1] accepted. */
	size_t window;
	struct event *connecting;
	bool stands;
	int busy;              /* Somebody is being called about it: not to be freed now. */
};

struct net_listener {
	struct net_listener *prev, *next;
	struct process *process;
	uint16_t port;
	void (*accept)(void *context, struct net_end *end);
	void *context;
};

static struct {
	struct link *links;
	struct net_listener *listeners;
	uint64_t next_link;
	uint32_t pair_count[PEERS_MAX][PEERS_MAX];
	bool blocked[PEERS_MAX][PEERS_MAX];
	int64_t slow_factor, slow_until_us;
} net;

static void *must(void *p)
{
	if (p == NULL) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
	return p;
}

static struct net_end *peer_of(const struct net_end *end)
{
	return &end->link->ends[end == &end->link->ends[0] ? 1 : 0];
}

static bool is_blocked(const struct process *from, const struct process *to)
{
	return net.blocked[from->number][to->number];
}

static int64_t latency_us(struct net_end *from)
{
	int64_t latency = chance_skewed(&from->chance, LATENCY_MIN_US, LATENCY_MAX_US);

	return engine_now_us() < net.slow_until_us ? latency * net.slow_factor : latency;
}

/* --- life of links -------------------------------------------------------------------------------------------------- */

static void drop_pieces(struct net_end *end)
{
	struct piece *piece, *next;

	DL_FOREACH_SAFE(end->pieces, piece, next) {
		DL_DELETE(end->pieces, piece);
		free(piece);
	}
	end->under_way = 0;
	engine_cancel(end->arrival);
	end->arrival = NULL;
}

static void free_link(struct link *link)
{
	for (int i = 0; i < 2; i++) {
		drop_pieces(&link->ends[i]);
		engine_cancel(link->ends[i].call);
		engine_cancel(link->ends[i].room);
		buffer_deinit(&link->ends[i].received);
	}
	engine_cancel(link->connecting);
	DL_DELETE(net.links, link);
	free(link);
}

/* Nobody holds an end of it any more, and nobody will be told anything. */
static void free_if_over(struct link *link)
{
	const struct net_end *a = &link->ends[0], *b = &link->ends[1];

	if (link->busy == 0 && !a->open && !b->open && a->pieces == NULL && b->pieces == NULL && link->connecting == NULL)
		free_link(link);
}

void net_begin(void)
{
	memset(&net, 0, sizeof(net));
}

void net_end_all(void)
{
	struct net_listener *listener, *next;

	while (net.links != NULL)
		free_link(net.links);
	DL_FOREACH_SAFE(net.listeners, listener, next)
		free(listener);
	memset(&net, 0, sizeof(net));
}

/* --- telling an end ------------------------------------------------------------------------------------------------- */

static void deliver_call(void *context);

static void call_soon(struct net_end *end)
{
	if (end->call == NULL && end->open)
		end->call = engine_at(end->process, engine_now_us(), deliver_call, end);
}

/* Readable as long as something is there, then gone. The callee may close the end. */
static void deliver_call(void *context)
{
	struct net_end *end = context;
	struct link *link = end->link;
	size_t before = buffer_size(&end->received);

	end->call = NULL;
	link->busy++;
	if (end->reading && before > 0) {
		end->calls.readable(end->calls.context);
		if (end->open && end->reading && (end->told_gone || buffer_size(&end->received) < before) &&
		    (end->told_gone || buffer_size(&end->received) > 0))
			call_soon(end);
	} else if (end->told_gone) {
		end->open = false;
		engine_cancel(end->room);
		end->room = NULL;
		end->calls.gone(end->calls.context);
	}
	link->busy--;
	free_if_over(link);
}

static void deliver_room(void *context)
{
	struct net_end *end = context;
	struct link *link = end->link;

	end->room = NULL;
	end->wants_room = false;
	link->busy++;
	if (!end->told_gone && end->calls.writable != NULL)
		end->calls.writable(end->calls.context);
	link->busy--;
	free_if_over(link);
}

static void tell_gone(struct net_end *end)
{
	if (end->told_gone || !end->open)
		return;
	end->told_gone = true;
	if (!end->attached)
		end->open = false;
	else
		call_soon(end);
}

/* --- pieces --------------------------------------------------------------------------------------------------------- */

static void arrive(void *context);

static void schedule_first(struct net_end *from)
{
	if (from->arrival != NULL || from->pieces == NULL || is_blocked(from->process, peer_of(from)->process))
		return;
	from->arrival = engine_at(NULL, from->pieces->arrives_us, arrive, from);
}

/* The machine knows nothing of this connection: it answers with a reset, if it is on. */
static void bounce(struct net_end *from)
{
	struct net_end *to = peer_of(from);

	drop_pieces(from);
	if (!to->process->off && !is_blocked(to->process, from->process))
		tell_gone(from);
}

static void arrive(void *context)
{
	struct net_end *from = context, *to = peer_of(from);
	struct link *link = from->link;
	struct piece *piece = from->pieces;

	from->arrival = NULL;
	if (!to->open) {
		bounce(from);
		free_if_over(link);
		return;
	}
	DL_DELETE(from->pieces, piece);
	if (piece->fin) {
		tell_gone(to);
	} else {
		from->under_way -= piece->size;
		trace_add(link->number * 2 + (uint64_t)(from == &link->ends[1]));
		trace_bytes(piece->bytes, piece->size);
		buffer_append(&to->received, piece->bytes, piece->size);
		assert(!to->received.failed);
		if (to->reading)
			call_soon(to);
	}
	free(piece);
	schedule_first(from);
	free_if_over(link);
}

static void add_piece(struct net_end *from, const void *data, size_t size, bool fin)
{
	struct piece *piece = must(malloc(sizeof(*piece) + size));
	int64_t arrives = engine_now_us() + latency_us(from);

	if (arrives < from->last_arrival_us)
		arrives = from->last_arrival_us;
	from->last_arrival_us = arrives;
	*piece = (struct piece){ .arrives_us = arrives, .fin = fin, .size = size };
	if (size > 0)
		memcpy(piece->bytes, data, size);
	DL_APPEND(from->pieces, piece);
	from->under_way += size;
	schedule_first(from);
}

size_t net_send(struct net_end *end, const void *data, size_t size)
{
	struct net_end *to = peer_of(end);
	size_t used = end->under_way + buffer_size(&to->received);
	size_t room = used < end->link->window ? end->link->window - used : 0;

	if (!end->open || end->told_gone)
		return size; /* Into the void, as after a reset that was not read yet. */
	if (size > room) {
		end->wants_room = true;
		size = room;
	}
	if (size == 0)
		return 0;
	size_t first = size > 1 && chance_one_in(&end->chance, 12) ? 1 + chance_below(&end->chance, size - 1) : size;
	add_piece(end, data, first, false);
	if (first < size)
		add_piece(end, (const uint8_t *)data + first, size - first, false);
	return size;
}

struct span net_received(const struct net_end *end)
{
	return buffer_span(&end->received);
}

void net_take(struct net_end *end, size_t size)
{
	struct net_end *from = peer_of(end);

	buffer_consume(&end->received, size);
	if (from->open && from->wants_room && from->room == NULL && size > 0)
		from->room = engine_after(from->process, latency_us(end), deliver_room, from);
}

void net_set_reading(struct net_end *end, bool reading)
{
	bool resumed = reading && !end->reading;

	end->reading = reading;
	if (resumed && (buffer_size(&end->received) > 0 || end->told_gone))
		call_soon(end);
}

/* Nobody hears of it any more. */
static void shut(struct net_end *end)
{
	end->open = end->attached = false;
	engine_cancel(end->call);
	engine_cancel(end->room);
	end->call = end->room = NULL;
}

void net_close(struct net_end *end)
{
	struct link *link = end->link;

	shut(end);
	if (peer_of(end)->open)
		add_piece(end, NULL, 0, true);
	free_if_over(link);
}

void net_peer_address(const struct net_end *end, uint32_t *ip_out, uint16_t *port_out)
{
	*ip_out = peer_of(end)->process->ip;
	*port_out = peer_of(end)->port;
}

void net_address(const struct process *process, uint16_t port, char out[NET_ADDRESS_SIZE])
{
	snprintf(out, NET_ADDRESS_SIZE, "%u.%u.%u.%u:%u", process->ip >> 24, process->ip >> 16 & 255, process->ip >> 8 & 255,
		 process->ip & 255, port);
}

/* --- connecting ----------------------------------------------------------------------------------------------------- */

static struct net_listener *find_listener(const struct process *process, uint16_t port)
{
	struct net_listener *listener;

	DL_FOREACH(net.listeners, listener) {
		if (listener->process == process && listener->port == port)
			return listener;
	}
	return NULL;
}

struct net_listener *net_listen(struct process *process, uint16_t port, void (*accept)(void *context, struct net_end *end),
				void *context)
{
	struct net_listener *listener;

	if (find_listener(process, port) != NULL)
		return NULL;
	listener = must(calloc(1, sizeof(*listener)));
	*listener = (struct net_listener){ .process = process, .port = port, .accept = accept, .context = context };
	DL_APPEND(net.listeners, listener);
	return listener;
}

void net_unlisten(struct net_listener *listener)
{
	DL_DELETE(net.listeners, listener);
	free(listener);
}

void net_attach(struct net_end *end, const struct net_calls *calls)
{
	end->calls = *calls;
	end->attached = true;
}

static void init_end(struct net_end *end, struct link *link, struct process *process, uint16_t port, struct chance chance)
{
	*end = (struct net_end){ .link = link, .process = process, .port = port, .reading = true, .chance = chance };
	buffer_init(&end->received, 0);
}

static void say_connected(void *context)
{
	struct net_end *end = context;
	struct link *link = end->link;

	link->connecting = NULL;
	link->busy++;
	if (end->open && !end->told_gone)
		end->calls.connected(end->calls.context);
	if (end->open && (end->told_gone || buffer_size(&end->received) > 0))
		call_soon(end);
	link->busy--;
	free_if_over(link);
}

/* In the listening process. */
static void accept_link(void *context)
{
	struct link *link = context;
	struct net_end *client = &link->ends[0], *server = &link->ends[1];
	struct net_listener *listener = find_listener(server->process, server->port);

	link->connecting = NULL;
	if (listener == NULL || !client->open) {
		tell_gone(client);
		free_if_over(link);
		return;
	}
	server->open = true;
	link->stands = true;
	link->connecting = engine_after(client->process, latency_us(server), say_connected, client);
	link->busy++;
	listener->accept(listener->context, server);
	link->busy--;
	free_if_over(link);
}

/* The request to connect reaches the machine. */
static void knock(void *context)
{
	struct link *link = context;
	struct process *from = link->ends[0].process, *to = link->ends[1].process;

	link->connecting = NULL;
	/* No answer: the one who asks gives up by its own clock. */
	if (is_blocked(from, to) || is_blocked(to, from) || to->off) {
		free_if_over(link);
		return;
	}
	if (!to->alive || find_listener(to, link->ends[1].port) == NULL) {
		tell_gone(&link->ends[0]);
		free_if_over(link);
		return;
	}
	link->connecting = engine_at(to, engine_now_us(), accept_link, link);
}

static struct process *process_at(const char *address, uint16_t *port_out)
{
	unsigned a, b, c, d, port;
	struct process *process;

	if (sscanf(address, "%u.%u.%u.%u:%u", &a, &b, &c, &d, &port) != 5)
		return NULL;
	*port_out = (uint16_t)port;
	for (int i = 0; (process = engine_process(i)) != NULL; i++) {
		if (process->ip == (a << 24 | b << 16 | c << 8 | d))
			return process;
	}
	return NULL;
}

struct net_end *net_connect(struct process *process, const char *address, const struct net_calls *calls)
{
	uint16_t port = 0;
	struct process *to = process_at(address, &port);

	if (to == NULL || !process->alive)
		return NULL; /* A process that was killed may still try, while its code cleans up. */
	struct link *link = must(calloc(1, sizeof(*link)));
	uint32_t turn = net.pair_count[process->number][to->number]++;
	uint64_t pair = (uint64_t)process->number * PEERS_MAX + (uint64_t)to->number;
	struct chance chance = chance_of(engine_seed(), CHANCE_NET, pair, 2ULL * turn);
	link->number = net.next_link++;
	link->window = (size_t)chance_between(&chance, WINDOW_MIN, WINDOW_MAX);
	init_end(&link->ends[0], link, process, (uint16_t)(20000 + link->number % 40000), chance);
	init_end(&link->ends[1], link, to, port, chance_of(engine_seed(), CHANCE_NET, pair, 2ULL * turn + 1));
	link->ends[0].open = true;
	net_attach(&link->ends[0], calls);
	DL_APPEND(net.links, link);
	link->connecting = engine_after(NULL, latency_us(&link->ends[0]), knock, link);
	return &link->ends[0];
}

/* --- what happens to it --------------------------------------------------------------------------------------------- */

/* The process of this end is gone; the peer is told unless the machine is off. What had left may arrive. */
static void kill_end(struct net_end *end, bool silent)
{
	shut(end);
	if (silent && chance_one_in(&end->chance, 2))
		drop_pieces(end);
	else if (!silent && peer_of(end)->open)
		add_piece(end, NULL, 0, true);
}

void net_process_died(struct process *process, bool silent)
{
	struct link *link, *next;
	struct net_listener *listener, *next_listener;

	DL_FOREACH_SAFE(net.listeners, listener, next_listener) {
		if (listener->process == process)
			net_unlisten(listener);
	}
	DL_FOREACH_SAFE(net.links, link, next) {
		for (int i = 0; i < 2; i++) {
			if (link->ends[i].process == process && link->ends[i].open)
				kill_end(&link->ends[i], silent);
		}
		/* Half made: an event of the dead process would be dropped, and so never free it. */
		if (link->connecting != NULL && (link->ends[0].process == process || link->ends[1].process == process)) {
			engine_cancel(link->connecting);
			link->connecting = NULL;
			if (link->ends[0].process != process && !silent)
				tell_gone(&link->ends[0]);
		}
		free_if_over(link);
	}
}

void net_block(const struct process *from, const struct process *to, bool blocked)
{
	struct link *link;

	net.blocked[from->number][to->number] = blocked;
	DL_FOREACH(net.links, link) {
		for (int i = 0; i < 2; i++) {
			struct net_end *end = &link->ends[i];

			if (end->process != from || peer_of(end)->process != to)
				continue;
			if (blocked) {
				engine_cancel(end->arrival);
				end->arrival = NULL;
			} else {
				schedule_first(end);
			}
		}
	}
}

void net_unblock_all(void)
{
	struct process *from, *to;

	for (int i = 0; (from = engine_process(i)) != NULL; i++) {
		for (int j = 0; (to = engine_process(j)) != NULL; j++) {
			if (net.blocked[i][j])
				net_block(from, to, false);
		}
	}
}

static bool has_process(const struct link *link, const struct process *process)
{
	return link->stands && link->ends[0].open && link->ends[1].open &&
	       (link->ends[0].process == process || link->ends[1].process == process);
}

static void cut_end(void *context)
{
	struct net_end *end = context;

	end->link->connecting = NULL;
	tell_gone(end);
	free_if_over(end->link);
}

bool net_cut(struct process *process, uint64_t number)
{
	uint64_t count = 0;
	struct link *link;

	DL_FOREACH(net.links, link)
		count += has_process(link, process) && link->connecting == NULL;
	if (count == 0)
		return false;
	number %= count;
	DL_FOREACH(net.links, link) {
		if (has_process(link, process) && link->connecting == NULL && number-- == 0)
			break;
	}
	for (int i = 0; i < 2; i++) {
		if (chance_one_in(&link->ends[i].chance, 2))
			drop_pieces(&link->ends[i]);
	}
	/* One side at once, the other later. */
	int first = (int)chance_below(&link->ends[0].chance, 2);
	struct net_end *late = &link->ends[1 - first];
	link->connecting = engine_after(NULL, chance_skewed(&late->chance, 1000, 3000000), cut_end, late);
	tell_gone(&link->ends[first]);
	return true;
}

void net_slow_down(int64_t factor, int64_t until_us)
{
	net.slow_factor = factor;
	net.slow_until_us = until_us;
}
