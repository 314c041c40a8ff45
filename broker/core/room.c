#include "broker/core/room.h"

#include "broker/core/core.h"
#include "broker/core/state.h"

/* What one of them takes in the log at most, but for names of unusual length: each in a batch of its own (48 bytes). */
enum {
	DECISION_BYTES = 384, /* 182 and topic, group, transaction id and who decided. */
	DELIVERY_BYTES = 192, /* 133 and a topic. */
	OFFSET_BYTES = 80,    /* 16 and topic and group; many share a record. */
};
enum { PROGRESS_MIN = 1024 * 1024, CARRYING_BYTES = 8 * 1024 * 1024 };

struct shares {
	uint64_t decisions, deliveries, progress, carrying;
};

/* The next segment is made when a quarter of this one is used: three quarters are prepared then, unless the disk is full. The
 * largest record must fit besides. Half a segment, because more would only have to be filled at each start. */
static uint64_t set_aside_max(const struct core *core)
{
	uint64_t segment = core->config.segment_bytes, record = commitlog_record_size(commitlog_payload_max(core->log));
	uint64_t most = segment / 4 * 3 > record ? segment / 4 * 3 - record : 0;

	return most < segment / 2 ? most : segment / 2;
}

static uint64_t take(uint64_t *left, uint64_t wanted, uint64_t most)
{
	uint64_t taken = wanted < most ? wanted : most;

	if (taken > *left)
		taken = *left;
	*left -= taken;
	return taken;
}

static struct shares shares_of(const struct core *core)
{
	uint64_t all = set_aside_max(core), left = all;
	struct shares s;

	s.progress = take(&left, PROGRESS_MIN + OFFSET_BYTES * (uint64_t)offsets_place_count(core->offsets), all / 4);
	s.carrying = take(&left, CARRYING_BYTES, all / 8);
	s.decisions = take(&left, DECISION_BYTES * (uint64_t)pending_count(core->pending), all);
	s.deliveries = take(&left, DELIVERY_BYTES * (uint64_t)core->delays.count, all);
	return s;
}

uint64_t room_kept(const struct core *core, enum room room)
{
	struct shares s = room == ROOM_DECISION ? (struct shares){ 0 } : shares_of(core);

	switch (room) {
	case ROOM_DECISION: return 0;
	case ROOM_DELIVERY: return s.decisions;
	case ROOM_PROGRESS: return s.decisions + s.deliveries;
	case ROOM_CHECK: return s.decisions + s.deliveries + s.progress / 2;
	case ROOM_CARRY: return s.decisions + s.deliveries + s.progress;
	case ROOM_NEW: break;
	}
	return s.decisions + s.deliveries + s.progress + s.carrying;
}

bool room_has(const struct core *core, enum room room, size_t payload_size)
{
	return commitlog_ahead_after(core->log, payload_size) >= room_kept(core, room);
}

uint8_t *room_begin(struct core *core, enum room room, enum log_kind kind, size_t payload_size, uint64_t *offset_out)
{
	return room_has(core, room, payload_size) ? commitlog_begin(core->log, kind, payload_size, offset_out) : NULL;
}

/* RocketMQ's code and words, which its clients know. */
static enum status refuse_full(struct outcome *outcome)
{
	return core_refuse(outcome, RESP_SERVICE_NOT_AVAILABLE,
			   "service not available now. The broker's disk is full: free space or add some; transactions can "
			   "be ended and messages consumed meanwhile");
}

enum status core_no_room(struct core *core, size_t payload_size, struct outcome *outcome)
{
	struct errinfo why;

	if (commitlog_failed(core->log, &why))
		return core_refuse(outcome, RESP_SERVICE_NOT_AVAILABLE, "the log has failed: %s", why.text);
	if (payload_size > commitlog_payload_max(core->log))
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "the message is over what the log takes: %zu bytes",
				   payload_size);
	if (core->disk_level == DISK_FULL && commitlog_room(core->log) >= commitlog_record_size(payload_size))
		return refuse_full(outcome); /* There is room, but it is set aside. */
	return ST_AGAIN;
}

enum status core_check_disk(struct core *core, size_t payload_size, struct outcome *outcome)
{
	bool has_room = room_has(core, ROOM_NEW, payload_size);

	/* A large one finds no room before the disk counts as full. */
	if (core->disk_level == DISK_FULL || (core->log_stands && !has_room)) {
		statistics_put_failed(core->statistics);
		return refuse_full(outcome);
	}
	return has_room ? ST_OK : core_no_room(core, payload_size, outcome);
}

void core_set_log_stands(struct core *core, bool stands)
{
	core->log_stands = stands;
}

void core_set_disk_level(struct core *core, enum disk_level level)
{
	/* While it was full they were written seldom. */
	if (core->disk_level == DISK_FULL && level != DISK_FULL)
		core->next_offset_flush_ms = core->mono_ms;
	core->disk_level = level;
}

uint64_t core_reserved_bytes(const struct core *core)
{
	return room_kept(core, ROOM_NEW);
}
