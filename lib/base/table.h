/* uthash, as this project uses it: without memory an entry stays out of the table, and whoever adds it says so; the library's
 * default is to end the process.
 *
 *     HASH_ADD(hh, table, id, sizeof(entry->id), entry);
 *     if (!table_took(entry))
 *             ...free it, ST_NOMEM...
 *
 * Threads: a table belongs to one. */
#ifndef ESCROW_BASE_TABLE_H
#define ESCROW_BASE_TABLE_H

#ifdef UTHASH_H
#error "include lib/base/table.h instead of uthash.h"
#endif
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Right after HASH_ADD...: is the entry in? */
#define table_took(entry) ((entry)->hh.tbl != NULL)

#endif
