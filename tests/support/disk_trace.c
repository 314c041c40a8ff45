/* See disk_trace.h. */
#include "tests/support/disk_trace.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/memdisk_internal.h"

struct disk_trace *disk_trace_create(void)
{
	return mem_alloc(sizeof(struct disk_trace));
}

static void free_op(struct trace_op *op)
{
	free(op->path);
	free(op->path_too);
	free(op->sectors);
	for (size_t i = 0; i < op->survivor_count; i++) {
		free(op->survivors[i].path);
		free(op->survivors[i].data);
	}
	free(op->survivors);
}

void disk_trace_destroy(struct disk_trace *trace)
{
	if (trace == NULL)
		return;
	for (size_t i = 0; i < trace->count; i++)
		free_op(&trace->ops[i]);
	free(trace->ops);
	free(trace);
}

static struct trace_op *add(struct disk_trace *trace, enum trace_type type)
{
	trace->ops = mem_one_more(trace->ops, trace->count, &trace->capacity, sizeof(*trace->ops));
	struct trace_op *op = &trace->ops[trace->count++];

	*op = (struct trace_op){ .type = type };
	return op;
}

void disk_trace_note(struct disk_trace *trace, struct trace_note note)
{
	add(trace, TRACE_NOTE)->note = note;
}

void trace_names(struct disk_trace *trace, enum trace_type type, const char *path, const char *path_too,
		 const struct node *node)
{
	if (trace == NULL)
		return;
	struct trace_op *op = add(trace, type);
	op->path = mem_text(path);
	op->path_too = path_too == NULL ? NULL : mem_text(path_too);
	op->node = node == NULL ? 0 : node->id;
}

void trace_write(struct disk_trace *trace, const struct node *node, uint64_t offset, size_t size)
{
	if (trace == NULL || size == 0)
		return;
	struct trace_op *op = add(trace, TRACE_WRITE);
	op->node = node->id;
	op->first_sector = offset / MEMDISK_SECTOR;
	op->sector_count = (offset + size - 1) / MEMDISK_SECTOR - op->first_sector + 1;
	op->size_after = node->size;
	op->sectors = mem_alloc(op->sector_count * MEMDISK_SECTOR);
	memcpy(op->sectors, node->data + op->first_sector * MEMDISK_SECTOR, op->sector_count * MEMDISK_SECTOR);
}

void trace_node(struct disk_trace *trace, enum trace_type type, const struct node *node)
{
	if (trace == NULL)
		return;
	struct trace_op *op = add(trace, type);
	op->node = node->id;
	op->size_after = node->size;
}

void trace_crash(struct disk_trace *trace, const struct memdisk *disk)
{
	if (trace == NULL)
		return;
	struct trace_op *op = add(trace, TRACE_CRASH);
	op->survivor_count = disk->visible.count;
	op->survivors = mem_alloc((op->survivor_count + 1) * sizeof(*op->survivors));
	for (size_t i = 0; i < op->survivor_count; i++) {
		const struct name *name = &disk->visible.names[i];
		struct trace_survivor *survivor = &op->survivors[i];

		survivor->path = mem_text(name->path);
		survivor->node = name->node->id;
		survivor->size = name->node->size;
		survivor->data = mem_alloc(survivor->size + 1);
		if (survivor->size > 0)
			memcpy(survivor->data, name->node->data, survivor->size);
	}
}
