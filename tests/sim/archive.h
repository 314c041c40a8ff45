/* What did a log hold, from its beginning on? Keeps the segments that a broker lets go, so that the end can look at all that
 * was ever written.
 * Threads: one. */
#ifndef ESCROW_SIM_ARCHIVE_H
#define ESCROW_SIM_ARCHIVE_H

#include <stddef.h>

struct archive;
struct memdisk;

struct archive *archive_create(void);
void archive_destroy(struct archive *archive);
/* A file is about to lose its name. Only a segment of the log is kept; the last one of a name counts. */
void archive_file_goes(struct archive *archive, const char *path, struct memdisk *disk);
/* A disk like this one, whose log also has the kept segments that lie before it. The caller's, to be destroyed. */
struct memdisk *archive_whole(const struct archive *archive, const struct memdisk *disk);

#endif
