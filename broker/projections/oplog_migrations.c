/* The files of sql/migrations, embedded. A new file needs its two lines here; a unit test compares this list with the
 * folder. Paths are relative to the project's root, where the compiler runs. */
#include "broker/projections/oplog_schema.h"

#define EMBED(symbol, file)                                                      \
	extern const char symbol[];                                              \
	__asm__(".pushsection .rodata\n" #symbol ":\n"                           \
		".incbin \"sql/migrations/" file "\"\n.byte 0\n.popsection\n")

EMBED(oplog_migration_001, "001_tables.sql");
EMBED(oplog_migration_002, "002_views.sql");
EMBED(oplog_migration_003, "003_partitions.sql");
EMBED(oplog_migration_004, "004_witness.sql");

static const struct oplog_migration migrations[] = {
	{ "001_tables.sql", oplog_migration_001 },
	{ "002_views.sql", oplog_migration_002 },
	{ "003_partitions.sql", oplog_migration_003 },
	{ "004_witness.sql", oplog_migration_004 },
};

const struct oplog_migration *oplog_migrations(size_t *count_out)
{
	*count_out = sizeof(migrations) / sizeof(migrations[0]);
	return migrations;
}
