/* tools/log/pages: of an index that nobody has touched nothing is said, whatever a power cut left of it; what a broker would
 * refuse to read is found. */
#include "lib/index/snapshot_sections.h"
#include "tests/unit/core/core_traffic.h"
#include "tools/log/pages.h"
#include "tools/log/scan.h"
#include "tools/log/snapshots.h"

enum { SEGMENT = LOG_SEGMENT_SIZE_MIN, LIVES = 6, MOMENTS = 40, HARMS = 8 };
enum { PER_QUEUE_PAGE = PAGEFILE_PAGE_SIZE / CQ_ENTRY_SIZE, PER_HALF_PAGE = PAGEFILE_PAGE_SIZE / HALF_ENTRY_SIZE };
static const char *const INDEX = "/store/index.pages";

static enum status see(void *context, const struct log_record *record, bool beyond, struct errinfo *err)
{
	(void)beyond;
	(void)err;
	pages_see(context, record);
	return ST_OK;
}

/* How many pages are damaged, and the first. False: there is no snapshot, or the index is lost. */
static bool look_twice(const struct vfs *vfs, void (*between)(void), size_t *count_out, struct page_damage *first_out)
{
	bool suspects = false;
	const struct page_damage *damages = NULL;
	struct pages_look *look = NULL;
	struct snapshot_items snapshots;
	struct log_scan scan;

	CU_ASSERT_EQUAL_FATAL(snapshots_read(vfs, "/store", &snapshots, NULL), ST_OK);
	if (snapshots_newest(&snapshots) == NULL || snapshots.index_lost)
		return false;
	CU_ASSERT_EQUAL_FATAL(pages_open(vfs, "/store", snapshots_newest(&snapshots)->from, &look, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(log_scan(vfs, "/store", snapshots_known(&snapshots), see, look, &scan, NULL), ST_OK);
	CU_ASSERT_EQUAL(pages_check(look, &suspects, NULL), ST_OK);
	if (between != NULL)
		between();
	CU_ASSERT_EQUAL(pages_check_again(look, &damages, count_out, NULL), ST_OK);
	CU_ASSERT_EQUAL(pages_problem(look), NULL);
	if (*count_out > 0) {
		*first_out = damages[0];
		first_out->topic = (struct span){ (const uint8_t *)"", damages[0].topic.size }; /* The look owns it. */
	}
	log_scan_free(&scan);
	pages_free(look);
	return true;
}

static bool look_at(const struct vfs *vfs, size_t *count_out, struct page_damage *first_out)
{
	return look_twice(vfs, NULL, count_out, first_out);
}

/* --- what a broker reads ---------------------------------------------------------------------------------------------- */

static unsigned unreadable_in_queue(struct core *core, struct queue *queue)
{
	struct cq_entry entry;
	unsigned count = 0;
	uint64_t min = 0;

	if (trimming_queue_min(core, queue, &min, NULL) != ST_OK)
		return 1;
	for (uint64_t i = min; i < queue->next_offset; i++)
		count += consume_queue_get(&queue->entries, i, &entry, NULL) != ST_OK;
	return count;
}

static enum status note_half(void *context, const struct log_record *record, struct errinfo *err)
{
	struct record_half half;
	uint64_t *first = context;

	(void)err;
	if (record->kind == LOG_HALF && record_half_decode(record->payload, &half, NULL) == ST_OK && half.half_queue_offset < *first)
		*first = half.half_queue_offset;
	return ST_OK;
}

/* A half that is in the log is in its index, but for pages that went as a whole: what was given up of the log may be there once
 * more after a crash. */
static unsigned unreadable_halves(struct core *core)
{
	const struct half_index *halves = &core->halves;
	uint64_t first = UINT64_MAX;
	struct half_entry half;
	unsigned count = 0;

	CU_ASSERT_EQUAL(commitlog_replay(core->log, 0, note_half, &first, NULL), ST_OK);
	for (uint64_t n = half_index_min(halves); n < half_index_max(halves); n++) {
		enum status status = half_index_get(halves, n, &half, NULL);

		count += status == ST_CORRUPT || (status == ST_NOTFOUND && n >= first && half_index_skip_gap(halves, n) == n);
	}
	return count;
}

/* Entries that it refuses after a start, which changes the disk. */
static unsigned unreadable_entries(const struct fixture *from, struct memdisk *disk)
{
	struct fixture *f = calloc(1, sizeof(*f));
	unsigned count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	*f = (struct fixture){ .disk = disk, .config = from->config, .clock = from->clock, .segment_size = from->segment_size,
			       .ring_size = from->ring_size };
	f->clock.clock.context = &f->clock;
	fixture_open(f);
	for (const struct topic *topic = topics_first_any(f->core->topics); topic != NULL; topic = topics_next_any(topic)) {
		for (uint32_t q = 0; q < topic->queue_count; q++)
			count += topic->queues[q] != NULL ? unreadable_in_queue(f->core, topic->queues[q]) : 0;
	}
	count += unreadable_halves(f->core);
	fixture_close(f);
	free(f);
	return count;
}

/* --- a broker's life -------------------------------------------------------------------------------------------------- */

static void live_on(struct traffic *t)
{
	run(t, 20 + (int)chance(t, 60));
	if (chance(t, 12) != 0)
		return;
	memdisk_crash(t->f->disk, chance(t, 1000));
	fixture_close(t->f);
	if (chance(t, 3) == 0)
		(void)memdisk_remove(t->f->disk, INDEX);
	t->open_count = 0;
	fixture_open(t->f);
	fixture_heartbeat(t->f, false);
	fixture_heartbeat(t->f, true);
}

/* One bit, zeros, or what belongs elsewhere. */
static void harm(struct traffic *t, struct memdisk *disk)
{
	size_t size = 0;
	uint8_t *pages = memdisk_data(disk, INDEX, &size);
	size_t at = chance(t, size), sector = at / 512 * 512, other = chance(t, size) / 512 * 512;

	switch (chance(t, 4)) {
	case 0: case 1: pages[at] ^= (uint8_t)(1 << chance(t, 8)); break;
	case 2: memset(pages + sector, 0, 512); break;
	default: memmove(pages + sector, pages + other, 512); break;
	}
}

struct counts {
	unsigned looks, found, missed, said_of_nothing;
};

static void harm_copies(struct traffic *t, struct counts *counts)
{
	for (int i = 0; i < HARMS; i++) {
		struct memdisk *disk = memdisk_clone(t->f->disk);
		struct page_damage first = { 0 };
		size_t count = 0;

		if (chance(t, 2) == 0)
			memdisk_crash(disk, chance(t, 1000));
		bool looked = look_at(memdisk_vfs(disk), &count, &first);
		CU_ASSERT_EQUAL(count, 0);
		if (looked) {
			harm(t, disk);
			looked = look_at(memdisk_vfs(disk), &count, &first);
		}
		if (looked) {
			unsigned unreadable = unreadable_entries(t->f, disk);

			counts->looks++;
			counts->found += count > 0;
			counts->missed += count == 0 && unreadable > 0;
			counts->said_of_nothing += count > 0 && unreadable == 0;
		}
		memdisk_destroy(disk);
	}
}

static void test_what_a_broker_cannot_read_is_found(void)
{
	uint64_t random = check_seed(71);
	struct counts counts = { 0 };

	for (int i = 0; i < LIVES; i++) {
		struct fixture *f = create_small(check_random(&random) % 3 * 2 * SEGMENT);
		struct traffic *t = traffic_create(f, check_random(&random));

		for (int j = 0; j < MOMENTS; j++) {
			live_on(t);
			harm_copies(t, &counts);
		}
		free(t);
		fixture_destroy(f);
	}
	printf(" [%u looks, %u found, %u missed, %u of what no broker reads]", counts.looks, counts.found, counts.missed,
	       counts.said_of_nothing);
	CU_ASSERT_EQUAL(counts.missed, 0);
	CU_ASSERT_TRUE(counts.found > counts.looks / 20);
}

/* Each has its checksum, and the second one is where the first should be. */
static void test_entries_that_belong_elsewhere_are_found(void)
{
	struct fixture *f = create_small(0);
	struct page_damage first = { 0 };
	size_t count = 0, size = 0;
	uint8_t entry[CQ_ENTRY_SIZE];

	for (int i = 0; i < 5; i++)
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_snapshot(f);
	uint8_t *page = memdisk_data(f->disk, INDEX, &size);
	memcpy(entry, page, sizeof(entry));
	memcpy(page, page + sizeof(entry), sizeof(entry));
	memcpy(page + sizeof(entry), entry, sizeof(entry));
	CU_ASSERT_TRUE(look_at(memdisk_vfs(f->disk), &count, &first));
	CU_ASSERT_EQUAL_FATAL(count, 1);
	CU_ASSERT_EQUAL(first.entry, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(first.reason, "names an earlier record"));
	fixture_destroy(f);
}

/* With entries of one queue; a snapshot knows whose they are. */
static void fill_two_pages(struct fixture *f)
{
	for (unsigned i = 0; i < 2 * PER_QUEUE_PAGE; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_disk(f, true);
	}
	fixture_snapshot(f);
}

/* Behind a single one that is, all are where they should be: on its page, and on the next one. */
static void test_a_misplaced_entry_is_the_only_one(void)
{
	struct fixture *f = create_small(0);
	struct page_damage first = { 0 };
	size_t count = 0, size = 0;

	fill_two_pages(f);
	uint8_t *pages = memdisk_data(f->disk, INDEX, &size);
	memcpy(pages + 5 * CQ_ENTRY_SIZE, pages + PAGEFILE_PAGE_SIZE + 7 * CQ_ENTRY_SIZE, CQ_ENTRY_SIZE);
	CU_ASSERT_TRUE(look_at(memdisk_vfs(f->disk), &count, &first));
	CU_ASSERT_EQUAL_FATAL(count, 1);
	CU_ASSERT_EQUAL(first.count, 1);
	CU_ASSERT_EQUAL(first.byte, 6 * CQ_ENTRY_SIZE); /* Which of the two it is does not show. */
	fixture_destroy(f);
}

/* --- halves ----------------------------------------------------------------------------------------------------------- */

/* Three pages of halves, of which nothing is decided. */
static struct fixture *create_halves(uint8_t **pages_out)
{
	struct fixture *f = create_small(0);
	size_t size = 0;

	for (unsigned i = 0; i < 3 * PER_HALF_PAGE; i++) {
		char key[32];

		snprintf(key, sizeof(key), "k-%u", i);
		(void)must_send(f, (struct sent){ .topic = "t", .key = key, .half = true });
		fixture_disk(f, true);
	}
	fixture_snapshot(f);
	*pages_out = memdisk_data(f->disk, INDEX, &size);
	CU_ASSERT_TRUE_FATAL(size >= (size_t)3 * PAGEFILE_PAGE_SIZE);
	return f;
}

/* The only damage is 16 halves, or as many as are said, from this one on. */
static void expect_bad_halves(struct fixture *f, uint64_t entry, unsigned bad, const char *reason)
{
	struct page_damage first = { 0 };
	size_t count = 0;

	CU_ASSERT_TRUE(look_at(memdisk_vfs(f->disk), &count, &first));
	CU_ASSERT_EQUAL_FATAL(count, 1);
	CU_ASSERT_EQUAL(first.topic.size, 0);
	CU_ASSERT_EQUAL(first.entry, entry);
	CU_ASSERT_EQUAL(first.count, bad);
	CU_ASSERT_PTR_NOT_NULL(strstr(first.reason, reason));
}

/* A broker would not know the half again when it is sent once more. */
static void test_halves_that_are_missing_are_found(void)
{
	enum { SECTOR = 512, PER_SECTOR = SECTOR / HALF_ENTRY_SIZE };
	static const unsigned sectors[] = { 0, 3, 8, 23 };

	for (size_t i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		uint8_t *pages = NULL;
		struct fixture *f = create_halves(&pages);

		memset(pages + (size_t)sectors[i] * SECTOR, 0, SECTOR);
		expect_bad_halves(f, (uint64_t)sectors[i] * PER_SECTOR, PER_SECTOR, "missing");
		fixture_destroy(f);
	}
}

/* An index that was built anew has entries of those that the log has, and of open ones before them. */
static void test_halves_before_the_logs_first_may_be_gone(void)
{
	const struct page_damage *damages = NULL;
	bool suspects = false;
	struct record_half half = { .half_queue_offset = 16, .group = SPAN_LITERAL("g"), .unique_key = SPAN_LITERAL("k") };
	struct pages_look *look = NULL;
	uint8_t payload[512], *pages = NULL;
	struct fixture *f = create_halves(&pages);
	struct snapshot_items snapshots;
	size_t count = 0;

	record_half_encode(&half, payload);
	memset(pages, 0, 2 * 512);
	CU_ASSERT_EQUAL_FATAL(snapshots_read(memdisk_vfs(f->disk), "/store", &snapshots, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(pages_open(memdisk_vfs(f->disk), "/store", snapshots_newest(&snapshots)->from, &look, NULL), ST_OK);
	pages_see(look, &(struct log_record){ .kind = LOG_HALF, .offset = 5000, .payload = { payload, record_half_size(&half) } });
	CU_ASSERT_EQUAL(pages_check(look, &suspects, NULL), ST_OK);
	CU_ASSERT_EQUAL(pages_check_again(look, &damages, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(count, 1);
	CU_ASSERT_EQUAL(damages[0].entry, 16);
	CU_ASSERT_EQUAL(damages[0].count, 16);
	pages_free(look);
	fixture_destroy(f);
}

static void test_halves_that_belong_elsewhere_are_found(void)
{
	uint8_t *pages = NULL;
	struct fixture *f = create_halves(&pages);

	memcpy(pages + PAGEFILE_PAGE_SIZE, pages + 512, 512); /* Each is behind the one before it, but for the first. */
	expect_bad_halves(f, PER_HALF_PAGE, 1, "names an earlier record");
	fixture_destroy(f);
	f = create_halves(&pages);
	memcpy(pages + 512, pages + PAGEFILE_PAGE_SIZE, 512); /* Those are not: the one behind them is before the last. */
	expect_bad_halves(f, 32, 1, "names an earlier record");
	fixture_destroy(f);
}

/* --- a topic that is deleted while its snapshot is made --------------------------------------------------------------- */

/* An item of queue 0 of the topic of id 1: one page, which holds the first entry. The last one of the queue if it was `born`. */
static void put_queue(struct buffer *out, uint32_t page, uint64_t born)
{
	buffer_put_u32(out, 1);
	buffer_put_u32(out, 0);
	buffer_put_u8(out, born == 0 ? 0 : 3);
	if (born != 0)
		buffer_put_u64(out, born);
	buffer_put_u64(out, 0);
	buffer_put_u32(out, 1);
	buffer_put_u32(out, page);
	if (born == 0)
		return;
	buffer_put_u64(out, 1);
	buffer_put_u64(out, 0);
	buffer_put_u64(out, 1);
}

/* Page 0 of before the deletion, page 1 of after it. */
static void put_snapshot(struct memdisk *disk)
{
	struct snapshot_header header = { .from = 8000 };
	struct buffer out;

	buffer_init(&out, 0);
	snapshot_put_header(&out, &header);
	size_t begun = snapshot_begin_chunk(&out, 2);
	buffer_put_u32(&out, 1);
	buffer_put_u16(&out, 1);
	buffer_put_u8(&out, 't');
	snapshot_end_chunk(&out, begun, 1);
	begun = snapshot_begin_chunk(&out, 5);
	put_queue(&out, 0, 0);
	put_queue(&out, 1, 5000);
	snapshot_end_chunk(&out, begun, 2);
	snapshot_put_end(&out, &(struct snapshot_end){ .durable = 8000, .page_count = 2, .swept_pages = 2 });
	CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(disk), "/store/snapshots", NULL), ST_OK);
	memdisk_put(disk, "/store/snapshots/00000000000000008000", buffer_span(&out).data, buffer_size(&out));
	buffer_deinit(&out);
}

static struct log_record topic_record(bool deleted, uint8_t payload[128])
{
	struct record_topic r = { .deleted = deleted, .name = SPAN_LITERAL("t"), .read_queue_nums = 1, .write_queue_nums = 1 };

	record_topic_encode(&r, payload);
	return (struct log_record){ .kind = LOG_TOPIC, .offset = 9000, .payload = { payload, record_topic_size(&r) } };
}

/* How many damaged pages there are for who has seen this record behind the snapshot. */
static size_t count_behind(struct memdisk *disk, const struct log_record *record)
{
	const struct page_damage *damages = NULL;
	struct pages_look *look = NULL;
	bool suspects = false;
	size_t count = 0;

	CU_ASSERT_EQUAL_FATAL(pages_open(memdisk_vfs(disk), "/store", 8000, &look, NULL), ST_OK);
	pages_see(look, record);
	CU_ASSERT_EQUAL(pages_check(look, &suspects, NULL), ST_OK);
	CU_ASSERT_EQUAL(pages_check_again(look, &damages, &count, NULL), ST_OK);
	CU_ASSERT_TRUE(count == 0 || (damages[0].byte == PAGEFILE_PAGE_SIZE && span_is(damages[0].topic, "t")));
	pages_free(look);
	return count;
}

static void test_pages_of_a_deleted_topic_are_nobodys(void)
{
	static uint8_t pages[2 * PAGEFILE_PAGE_SIZE];
	struct memdisk *disk = memdisk_create();
	uint8_t payload[128];

	memset(pages, 0xff, sizeof(pages));
	put_snapshot(disk);
	memdisk_put(disk, INDEX, pages, sizeof(pages));
	struct log_record record = topic_record(false, payload);
	CU_ASSERT_EQUAL(count_behind(disk, &record), 1); /* Of the page of after the deletion. */
	record = topic_record(true, payload);
	CU_ASSERT_EQUAL(count_behind(disk, &record), 0); /* Deleted once more. */
	memdisk_destroy(disk);
}

/* --- a snapshot that contradicts itself ------------------------------------------------------------------------------- */

/* Of queue 0 of "t", whose page table this is, and its range. */
struct table {
	uint32_t pages[3];
	uint64_t group, min, end;
};

static void put_table(struct memdisk *disk, const struct table *table)
{
	struct snapshot_header header = { .from = 8000 };
	struct buffer out;

	buffer_init(&out, 0);
	snapshot_put_header(&out, &header);
	size_t begun = snapshot_begin_chunk(&out, SECTION_NAMES);
	buffer_put_u32(&out, 1);
	buffer_put_u16(&out, 1);
	buffer_put_u8(&out, 't');
	snapshot_end_chunk(&out, begun, 1);
	begun = snapshot_begin_chunk(&out, SECTION_QUEUES);
	buffer_put_u32(&out, 1);
	buffer_put_u32(&out, 0);
	buffer_put_u8(&out, SNAPSHOT_QUEUE_LAST);
	buffer_put_u64(&out, table->group);
	buffer_put_u32(&out, 3);
	for (int i = 0; i < 3; i++)
		buffer_put_u32(&out, table->pages[i]);
	buffer_put_u64(&out, table->end);
	buffer_put_u64(&out, table->min);
	buffer_put_u64(&out, table->end);
	snapshot_end_chunk(&out, begun, 1);
	snapshot_put_end(&out, &(struct snapshot_end){ .durable = 8000, .page_count = 3, .swept_pages = 3 });
	CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(disk), "/store/snapshots", NULL), ST_OK);
	memdisk_put(disk, "/store/snapshots/00000000000000008000", buffer_span(&out).data, buffer_size(&out));
	buffer_deinit(&out);
}

/* The look at an index file of zeros. */
static struct pages_look *look_at_table(const struct table *table, struct memdisk **disk_out, size_t *count_out,
					const struct page_damage **damages_out)
{
	static uint8_t zeros[3 * PAGEFILE_PAGE_SIZE];
	struct pages_look *look = NULL;
	bool suspects = false;

	*disk_out = memdisk_create();
	put_table(*disk_out, table);
	memdisk_put(*disk_out, INDEX, zeros, sizeof(zeros));
	CU_ASSERT_EQUAL_FATAL(pages_open(memdisk_vfs(*disk_out), "/store", 8000, &look, NULL), ST_OK);
	CU_ASSERT_EQUAL(pages_check(look, &suspects, NULL), ST_OK);
	CU_ASSERT_EQUAL(pages_check_again(look, damages_out, count_out, NULL), ST_OK);
	return look;
}

static void expect_problem(const struct table *table, const char *problem)
{
	const struct page_damage *damages = NULL;
	struct memdisk *disk = NULL;
	size_t count = 0;
	struct pages_look *look = look_at_table(table, &disk, &count, &damages);

	CU_ASSERT_PTR_NOT_NULL_FATAL(pages_problem(look));
	CU_ASSERT_PTR_NOT_NULL(strstr(pages_problem(look), problem));
	CU_ASSERT_EQUAL(count, 0);
	pages_free(look);
	memdisk_destroy(disk);
}

static void test_a_snapshot_that_contradicts_itself_is_told(void)
{
	expect_problem(&(struct table){ { 0, 1, 0 }, 0, 0, 306 }, "belongs to two arrays");
	expect_problem(&(struct table){ { 0, 1, 3 }, 0, 0, 306 }, "beyond the index file");
	expect_problem(&(struct table){ { 0, 1, 2 }, 0, 0, 307 }, "without its pages");
	expect_problem(&(struct table){ { 0, 1, 2 }, 1, 101, 307 }, "without its pages");
	expect_problem(&(struct table){ { 0, 1, 2 }, 0, 307, 306 }, "without its pages");
}

/* Entries that have no page, not those outside of the range. */
static void expect_hole(const struct table *table, uint64_t entry, uint64_t entries)
{
	const struct page_damage *damages = NULL;
	struct memdisk *disk = NULL;
	size_t count = 0;
	struct pages_look *look = look_at_table(table, &disk, &count, &damages);

	CU_ASSERT_EQUAL(pages_problem(look), NULL);
	CU_ASSERT_TRUE_FATAL(count > 0);
	CU_ASSERT_EQUAL(damages[0].no_page, entries > 0);
	CU_ASSERT_EQUAL(damages[0].entry, entry);
	CU_ASSERT_TRUE(entries == 0 || damages[0].count == entries);
	for (size_t i = 1; i < count; i++)
		CU_ASSERT_FALSE(damages[i].no_page);
	pages_free(look);
	memdisk_destroy(disk);
}

static void test_entries_without_a_page_are_missing(void)
{
	const uint32_t none = ENTRY_NO_PAGE;

	expect_hole(&(struct table){ { 0, none, 1 }, 0, 0, 306 }, 102, 102);
	expect_hole(&(struct table){ { none, 0, 1 }, 7, 720, 1000 }, 720, 96);
	expect_hole(&(struct table){ { 0, none, none }, 0, 5, 300 }, 102, 198);
	expect_hole(&(struct table){ { none, 0, none }, 0, 102, 204 }, 102, 0);
}

/* --- beside a running broker ------------------------------------------------------------------------------------------ */

static struct {
	struct fixture *f;
	size_t bad_at;     /* A byte that a writer is about to set. */
} meanwhile;

static void end_write(void)
{
	size_t size = 0;

	memdisk_data(meanwhile.f->disk, INDEX, &size)[meanwhile.bad_at] ^= 4;
}

/* Both that are kept. */
static void replace_snapshots(void)
{
	for (int i = 0; i < 2; i++)
		fixture_snapshot(meanwhile.f);
}

/* It ends, and one on the next page begins. */
static void begin_another_write(void)
{
	end_write();
	meanwhile.bad_at += PAGEFILE_PAGE_SIZE;
	end_write();
}

/* How many damaged pages are told when one was damaged at the first look. */
static size_t count_meanwhile(void (*between)(void))
{
	struct fixture *f = create_small(0);
	struct page_damage first = { 0 };
	size_t count = 0, size = 0;

	fill_two_pages(f);
	meanwhile.f = f;
	meanwhile.bad_at = 20;
	memdisk_data(f->disk, INDEX, &size)[meanwhile.bad_at] ^= 4;
	CU_ASSERT_TRUE(look_at(memdisk_vfs(f->disk), &count, &first));
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(first.byte, 0);
	CU_ASSERT_EQUAL(first.entry, 0);
	CU_ASSERT_TRUE(look_twice(memdisk_vfs(f->disk), between, &count, &first));
	fixture_destroy(f);
	return count;
}

static void test_a_page_that_is_being_written_is_no_damage(void)
{
	CU_ASSERT_EQUAL(count_meanwhile(end_write), 0);
	CU_ASSERT_EQUAL(count_meanwhile(begin_another_write), 0);
}

static void test_pages_of_a_replaced_snapshot_are_no_damage(void)
{
	CU_ASSERT_EQUAL(count_meanwhile(replace_snapshots), 0);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_a_broker_cannot_read_is_found),
		CHECK_TEST(test_entries_that_belong_elsewhere_are_found),
		CHECK_TEST(test_a_misplaced_entry_is_the_only_one),
		CHECK_TEST(test_halves_that_are_missing_are_found),
		CHECK_TEST(test_halves_before_the_logs_first_may_be_gone),
		CHECK_TEST(test_halves_that_belong_elsewhere_are_found),
		CHECK_TEST(test_pages_of_a_deleted_topic_are_nobodys),
		CHECK_TEST(test_a_snapshot_that_contradicts_itself_is_told),
		CHECK_TEST(test_entries_without_a_page_are_missing),
		CHECK_TEST(test_a_page_that_is_being_written_is_no_damage),
		CHECK_TEST(test_pages_of_a_replaced_snapshot_are_no_damage),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("log pages", tests, sizeof(tests) / sizeof(tests[0]));
}
