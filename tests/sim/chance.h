/* Where does chance come from? Streams of random numbers, each named by what it is for.
 *
 * Every operation of a plan, every connection, every disk and every message draws from a stream of its own, made from the
 * seed and its name. So an operation that is left out, to shorten a history, changes nobody else's luck.
 * Threads: values. */
#ifndef ESCROW_SIM_CHANCE_H
#define ESCROW_SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

/* What a stream is for. */
enum chance_use {
	CHANCE_SEED = 1,   /* Settings of the whole seed. */
	CHANCE_PLAN,       /* Which operation, when: by operation. */
	CHANCE_OPERATION,  /* What it does: by operation. */
	CHANCE_TURN,       /* How events share turns of a loop: by process. */
	CHANCE_NET,        /* Latencies: by pair of processes and number of the connection. */
	CHANCE_DISK,       /* Durations and losses: by process and start. */
	CHANCE_CLIENT,     /* Habits of a client: by process and start. */
	CHANCE_CONSUME,    /* Whether a message is consumed well: by message and attempt. */
	CHANCE_MYSQL,
	CHANCE_KEYS,       /* Turns of the key index: by process and start. */
};

static inline uint64_t chance_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t chance_next(struct chance *chance)
{
	return chance_mix(chance->state += 0x9e3779b97f4a7c15ULL);
}

static inline struct chance chance_of(uint64_t seed, enum chance_use use, uint64_t a, uint64_t b)
{
	uint64_t state = chance_mix(seed + 0x9e3779b97f4a7c15ULL * (uint64_t)use);

	state = chance_mix(state ^ (a + 0x632be59bd9b4e019ULL));
	return (struct chance){ chance_mix(state ^ (b + 0xd1b54a32d192ed03ULL)) };
}

/* In [0, count). */
static inline uint64_t chance_below(struct chance *chance, uint64_t count)
{
	return (uint64_t)(((unsigned __int128)chance_next(chance) * count) >> 64);
}

/* In [low, high]. */
static inline int64_t chance_between(struct chance *chance, int64_t low, int64_t high)
{
	return low + (int64_t)chance_below(chance, (uint64_t)(high - low) + 1);
}

static inline bool chance_one_in(struct chance *chance, uint64_t count)
{
	return chance_below(chance, count) == 0;
}

/* True in `percent` of all cases. */
static inline bool chance_percent(struct chance *chance, unsigned percent)
{
	return chance_below(chance, 100) < percent;
}

/* Mostly short, now and then long: a latency or a duration between low and high, most of them near low. */
static inline int64_t chance_skewed(struct chance *chance, int64_t low, int64_t high)
{
	int64_t span = high - low;

	for (int i = 0; i < 6 && span > 1 && !chance_one_in(chance, 4); i++)
		span /= 3;
	return low + (span > 0 ? chance_between(chance, 0, span) : 0);
}

#endif
