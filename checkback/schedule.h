/* When is an undecided transaction due? The young line (default deadlines, in half order) and a timing wheel for
 * everything else: immunity times, back-offs, another try. Entries are linked by their slots in the pending table.
 *
 * The wheel has WHEEL_SLOTS slots of WHEEL_TICK_MS; what is due later than one turn stays in its slot until then.
 * Threads: the loop thread. */
#ifndef ESCROW_CHECKBACK_SCHEDULE_H
#define ESCROW_CHECKBACK_SCHEDULE_H

#include "lib/txn/pending.h"

enum { WHEEL_SLOTS = 4096, WHEEL_TICK_MS = 16 };
/* After a start millions may be due at once: so many of the young line leave it per call, which takes 2 ms when their
 * memory is cold; the next call goes on. */
enum { YOUNG_PER_ADVANCE = 5000 };

/* A doubly linked line of entries. */
struct line {
	uint32_t head, tail;
	uint32_t count;
};

struct schedule {
	struct pending_table *table;
	struct line young;
	struct line wheel[WHEEL_SLOTS];
	int64_t wheel_at; /* Tick number up to which the wheel has been looked at. */
};

void line_init(struct line *line);
void line_append(struct line *line, struct pending_table *table, struct pending *entry);
void line_remove(struct line *line, struct pending_table *table, struct pending *entry);
/* The first entry, or NULL. */
struct pending *line_first(const struct line *line, const struct pending_table *table);

void schedule_init(struct schedule *schedule, struct pending_table *table, int64_t now_mono_ms);
/* Waits until entry->due_mono_ms in the young line if that keeps its order, else in the wheel. True: in the young line. */
bool schedule_first(struct schedule *schedule, struct pending *entry);
/* Waits until entry->due_mono_ms in the wheel. */
void schedule_later(struct schedule *schedule, struct pending *entry);
void schedule_remove(struct schedule *schedule, struct pending *entry, bool young);
/* Takes what is due out and hands it over. `due` may schedule entries again. */
typedef void (*schedule_due)(void *context, struct pending *entry);
void schedule_advance(struct schedule *schedule, int64_t now_mono_ms, schedule_due due, void *context);

#endif
