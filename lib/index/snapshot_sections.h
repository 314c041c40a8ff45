/* Which section of a snapshot is what, and the bits in its items: for the core, which writes and loads them, and for tools that
 * read some of them. The items' formats: docs/formats/snapshots.md. */
#ifndef ESCROW_INDEX_SNAPSHOT_SECTIONS_H
#define ESCROW_INDEX_SNAPSHOT_SECTIONS_H

/* Flags of a delayed message; with RECALL its hash follows, which goes by the key in the section STATE. */
enum { DELAY_ITEM_TRANSACTIONAL = 1, DELAY_ITEM_RECALL = 2 };

enum snapshot_section {
	SECTION_STATE = 1,  /* Single values; first, because others need them. */
	SECTION_NAMES,
	SECTION_TOPICS,
	SECTION_GROUPS,
	SECTION_QUEUES,     /* Pages of the consume queues; the last item of each says its range too. */
	SECTION_HALVES,     /* The same of the half index. */
	SECTION_OFFSETS,
	SECTION_PENDING,
	SECTION_RESENDS,
	SECTION_DELAYS,
	SECTION_SEGMENTS,
	SECTION_POPS,       /* What is checked out by POP. */
	SECTION_MODES,      /* How groups fetch. */
	SECTION_LAST = SECTION_MODES,
};

/* Bits in front of a topic and of a queue. DELETED: the log offset of its last deletion follows. */
enum { SNAPSHOT_TOPIC_SYSTEM = 1, SNAPSHOT_TOPIC_DELETED = 2, SNAPSHOT_QUEUE_LAST = 1, SNAPSHOT_QUEUE_DELETED = 2 };

#endif
