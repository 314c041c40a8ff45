#include "namesrv/kv_file.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/wire/json_body.h"

enum { PATH_SIZE = 1024 };

static enum status io_failed(const char *what, const char *path, struct errinfo *err)
{
	return errinfo_set(err, ST_IO, "%s %s: %s", what, path, strerror(errno));
}

/* --- loading -------------------------------------------------------------------------------------------------- */

static enum status read_all(const char *path, struct buffer *out, struct errinfo *err)
{
	FILE *file = fopen(path, "re");
	char part[4096];
	size_t size;

	if (file == NULL && errno == ENOENT)
		return ST_NOTFOUND;
	if (file == NULL)
		return io_failed("open", path, err);
	while ((size = fread(part, 1, sizeof(part), file)) > 0)
		buffer_append(out, part, size);
	enum status status = ferror(file) ? io_failed("read", path, err) : ST_OK;
	fclose(file);
	if (status == ST_OK && out->failed)
		status = errinfo_set(err, ST_TOOBIG, "%s: longer than %d bytes", path, JSON_BODY_SIZE_MAX);
	return status;
}

static enum status take_in(struct kv *kv, const struct cJSON *root, struct errinfo *err)
{
	const struct cJSON *space, *item, *table = json_member(root, "configTable");
	enum status status = cJSON_IsObject(table) ? ST_OK : errinfo_set(err, ST_INVALID, "there is no \"configTable\" in it");

	if (status != ST_OK)
		return status;
	cJSON_ArrayForEach(space, table) {
		if (status == ST_OK && space->string != NULL && cJSON_IsObject(space) && space->child == NULL)
			status = kv_remember_emptied(kv, span_of(space->string), err);
		cJSON_ArrayForEach(item, space) {
			if (status == ST_OK && space->string != NULL && item->string != NULL && cJSON_IsString(item))
				status = kv_put(kv, span_of(space->string), span_of(item->string), json_text(item), err);
		}
	}
	return status;
}

enum status kv_file_load(struct kv *kv, const char *path, struct errinfo *err)
{
	struct buffer text;
	struct json_doc doc;

	buffer_init(&text, JSON_BODY_SIZE_MAX);
	enum status status = read_all(path, &text, err);
	if (status == ST_OK)
		status = json_doc_parse(buffer_span(&text), &doc, err);
	if (status == ST_OK) {
		status = take_in(kv, doc.root, err);
		json_doc_free(&doc);
	}
	buffer_deinit(&text);
	if (status == ST_OK || status == ST_NOTFOUND)
		return ST_OK;
	return errinfo_wrap(err, status, "kvConfigPath=%s", path);
}

/* --- saving --------------------------------------------------------------------------------------------------- */

static void begin_space(void *context, struct span name_space)
{
	struct json_writer *w = context;

	json_key_span(w, name_space);
	json_open(w, '{');
}

static void put_setting(void *context, struct span key, struct span value)
{
	struct json_writer *w = context;

	json_key_span(w, key);
	json_put_text(w, value);
}

static void end_space(void *context)
{
	json_close(context, '}');
}

static enum status write_all(int fd, struct span text)
{
	while (text.size > 0) {
		ssize_t size = write(fd, text.data, text.size);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return ST_IO;
		text = (struct span){ text.data + size, text.size - (size_t)size };
	}
	return fsync(fd) == 0 ? ST_OK : ST_IO;
}

/* The new name in the directory has to last, too. */
static void sync_directory(const char *path)
{
	char copy[PATH_SIZE];

	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

static enum status replace_file(const char *path, struct span text, struct errinfo *err)
{
	char temporary[PATH_SIZE];

	if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary))
		return errinfo_set(err, ST_INVALID, "%s: the path is too long", path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return io_failed("open", temporary, err);
	enum status status = write_all(fd, text) == ST_OK ? ST_OK : io_failed("write", temporary, err);
	if (close(fd) != 0 && status == ST_OK)
		status = io_failed("close", temporary, err);
	if (status == ST_OK && rename(temporary, path) != 0)
		status = io_failed("rename to", path, err);
	if (status == ST_OK)
		sync_directory(path);
	else
		unlink(temporary);
	return status;
}

enum status kv_file_save(const struct kv *kv, const char *path, struct errinfo *err)
{
	struct buffer text;

	buffer_init(&text, 0);
	struct json_writer w = json_writer_of(&text);
	json_open(&w, '{');
	json_key(&w, "configTable");
	json_open(&w, '{');
	kv_walk(kv, &(struct kv_visitor){ &w, begin_space, put_setting, end_space });
	json_close(&w, '}');
	json_close(&w, '}');
	enum status status = text.failed ? errinfo_set(err, ST_NOMEM, "no memory for %s", path)
					 : replace_file(path, buffer_span(&text), err);
	buffer_deinit(&text);
	return status;
}
