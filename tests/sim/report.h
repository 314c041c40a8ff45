/* What came of a seed? The trace's hash, the first violation, the history in readable lines, and what was reached.
 *
 * A seed runs in a process of its own and reports through memory that it shares with the one that started it; so a
 * crash of the code under test is a result like any other. One report is current (report_begin).
 * Threads: one. */
#ifndef ESCROW_SIM_REPORT_H
#define ESCROW_SIM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/log/kinds.h"

/* What the simulator does to the cluster. Over a whole run each must have happened. */
#define SIM_FAULT_MAP(X)                                                                   \
	X(FAULT_POWER_CUT, "power cut")                                                    \
	X(FAULT_KILL, "kill -9 of a broker")                                               \
	X(FAULT_STOP, "orderly restart of a broker")                                       \
	X(FAULT_START_CUT, "power cut during recovery")                                    \
	X(FAULT_PAUSE, "pause of a process")                                               \
	X(FAULT_CLOCK_FORWARD, "wall clock forward")                                       \
	X(FAULT_CLOCK_BACK, "wall clock back")                                             \
	X(FAULT_SYNC_FAILED, "failed fsync")                                               \
	X(FAULT_DISK_STALL, "disk stalls")                                                 \
	X(FAULT_DISK_FULL, "disk full")                                                    \
	X(FAULT_CACHE_COLD, "page cache dropped")                                          \
	X(FAULT_CUT, "connection cut")                                                     \
	X(FAULT_PARTITION, "partition, both ways")                                         \
	X(FAULT_ONE_WAY, "partition, one way")                                             \
	X(FAULT_SLOW_READER, "slow reader")                                                \
	X(FAULT_NAMESRV, "name server restarts")                                           \
	X(FAULT_PRODUCER, "producer dies")                                                 \
	X(FAULT_CONSUMER, "consumer dies")                                                 \
	X(FAULT_ANSWER_LOST, "answer lost")                                                \
	X(FAULT_CONTRADICTION, "producer contradicts itself")                              \
	X(FAULT_MYSQL_DOWN, "MySQL down")                                                  \
	X(FAULT_COMMIT_KEPT, "MySQL killed in COMMIT, kept")                               \
	X(FAULT_COMMIT_LOST, "MySQL killed in COMMIT, lost")                               \
	X(FAULT_MYSQL_RESTORED, "MySQL restored from a backup")

/* What the cluster does that is worth to be sure of. */
#define SIM_EVENT_MAP(X)                                                                   \
	X(SEEN_RESEND, "a half sent again got its first offsets")                          \
	X(SEEN_COMMIT_AGAIN, "a commit was acknowledged again")                            \
	X(SEEN_ROLLBACK_AGAIN, "a rollback was acknowledged again")                        \
	X(SEEN_REFUSAL, "an opposite decision was refused")                                \
	X(SEEN_RESEND_REFUSED, "a half sent again after its rollback was refused")         \
	X(SEEN_CHECK, "a check-back reached a producer")                                   \
	X(SEEN_CHECK_OTHER, "a check-back reached another producer of the group")          \
	X(SEEN_PARKED_ENDED, "a parked transaction was ended by its producer")             \
	X(SEEN_BUSY, "a request was refused because there was no room")                    \
	X(SEEN_LONG_POLL, "a pull waited for its message")                                 \
	X(SEEN_RETRY, "a message came back for another attempt")                           \
	X(SEEN_DEAD_LETTER, "a message became a dead letter")                              \
	X(SEEN_POP_AGAIN, "a message that POP gave out came again")                        \
	X(SEEN_POP_DEAD, "a message that POP gave out became a dead letter")               \
	X(SEEN_DELAYED, "a delayed message was delivered")                                 \
	X(SEEN_DELAYED_TXN, "a delayed transaction was delivered")                         \
	X(SEEN_RECALL, "a timer was taken back")                                           \
	X(SEEN_COLD, "a request waited for a read from disk")                              \
	X(SEEN_OUTPUT_CAP, "a connection was closed because it did not read")              \
	X(SEEN_REBALANCE, "queues moved between consumers")                                \
	X(SEEN_CONSUMER_LEFT, "a consumer unregistered")                                   \
	X(SEEN_PRODUCER_LEFT, "a producer unregistered")                                   \
	X(SEEN_QUEUE_LEFT, "a queue of a consumer that unregistered was taken")            \
	X(SEEN_CHECK_LEFT, "another was asked because the sender had unregistered")        \
	X(SEEN_LOG_SHORTENED, "a log was shortened")                                       \
	X(SEEN_CARRIED_COMMITTED, "a half that was carried was committed")                 \
	X(SEEN_CARRIED_DELIVERED, "a delayed message that was carried was delivered")      \
	X(SEEN_CARRIED_CHECK, "a check-back asked about a half that was carried")          \
	X(SEEN_OFFSET_MOVED, "a consumer was sent to where its queue begins now")          \
	X(SEEN_PAST_END, "an END came for what the log does not hold any more")            \
	X(SEEN_TORN_TAIL, "a torn tail was cut")                                           \
	X(SEEN_PARTIAL_FRAME, "a frame came in pieces")                                    \
	X(SEEN_TOPIC_AGAIN, "a deleted topic was made again")                              \
	X(SEEN_VIEW, "a message was looked at by its id")                                  \
	X(SEEN_BATCH, "a batch was sent")                                                  \
	X(SEEN_UNIQUE_KEY, "a message was found by its unique key")                        \
	X(SEEN_WORD, "messages were found by a word or a tag")                             \
	X(SEEN_KEYS_LIMITED, "as many messages were found as may be")                      \
	X(SEEN_KEY_UNKNOWN, "no message was found for a key")                              \
	X(SEEN_ROW_AGAIN, "a row of MySQL was written again")

#define SIM_ENUM(name, text) name,
enum sim_fault { SIM_FAULT_MAP(SIM_ENUM) SIM_FAULT_COUNT };
enum sim_event { SIM_EVENT_MAP(SIM_ENUM) SIM_EVENT_COUNT };
#undef SIM_ENUM

enum { REPORT_TEXT_SIZE = 512, REPORT_STATES = 5 };

struct report {
	uint64_t seed;
	uint64_t trace;
	uint64_t step_count, operation_count, crash_count;
	uint64_t last_operation;     /* Number of the last one that was begun. */
	bool finished;               /* It came to its end, with or without a violation. */
	char invariant[8];           /* "" = none was violated. */
	char text[REPORT_TEXT_SIZE]; /* What was violated. */
	int64_t virtual_ms;
	uint64_t fault_count[SIM_FAULT_COUNT];
	uint64_t event_count[SIM_EVENT_COUNT];
	uint64_t kind_count[LOG_KIND_END];
	uint64_t transition_count[REPORT_STATES][REPORT_STATES]; /* From and to enum txn_state, as the logs tell. */
};

/* Makes it the current one. `told`: notes are printed as they come. */
void report_begin(struct report *report, uint64_t seed, bool told);
struct report *report_current(void);

void trace_add(uint64_t value);
void trace_bytes(const void *data, size_t size);

/* A line of the history, with the virtual time in front. Costs nothing unless the history is told. */
bool note_wanted(void);
void note_line(const char *fmt, ...) PRINTF_LIKE(1, 2);
#define note(...) do { if (note_wanted()) note_line(__VA_ARGS__); } while (0)

/* `invariant` is "I1" to "I8", or another short word. Only the first violation counts; the seed then ends. */
void violation(const char *invariant, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool violated(void);

void fault_seen(enum sim_fault fault);
void event_seen(enum sim_event event);
const char *sim_fault_text(enum sim_fault fault);
const char *sim_event_text(enum sim_event event);

#endif
