/* file.h: opening, mapping and replacing files. Paths stop here: parsers take bytes.
 * "Atomic" means that after a crash at any instant the old or the new content is there, whole. */
#ifndef BASE_FILE_H
#define BASE_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct file_map {
    const uint8_t *data; /* read-only private mapping; NULL for an empty file */
    size_t size;
};
int file_map_open(struct file_map *map, const char *path, struct err *err); /* ERR_INPUT */
void file_map_close(struct file_map *map);

int file_read(struct str *out, const char *path, struct err *err); /* appends; "-" is stdin */
bool file_exists(const char *path);
bool dir_exists(const char *path);
int dir_make(const char *path, struct err *err);   /* with parents, like mkdir -p */
bool dir_is_empty(const char *path);               /* true also when it does not exist */
int dir_remove(const char *path, struct err *err); /* recursively; symlinks are not followed */

/* Write through a temporary in the same folder, fsync, rename, fsync of the folder. */
int file_write_atomic(const char *path, const void *data, size_t size, struct err *err);

/* Makes `target` (a folder) be what `fresh` is, atomically as far as rename(2) allows: the fresh
 * folder is synced, an existing target is exchanged with it (renameat2 RENAME_EXCHANGE) and the old
 * one removed, the parent synced. */
int dir_replace_atomic(const char *fresh, const char *target, struct err *err);

/* Joins with one '/'; result in a caller's struct str (cleared first); returns its text, which is
 * empty (out->failed) when memory is out. */
const char *path_join(struct str *out, const char *folder, const char *name);

/* Append-only log that knows its offset and can be cut back to a checkpoint's offset. Every write
 * is checked: a full disk is ERR_MACHINE naming the file. */
struct file_log {
    int fd;
    uint64_t offset;
    char *path;
};
int file_log_open(struct file_log *log, const char *path, uint64_t truncate_to, struct err *err);
int file_log_write(struct file_log *log, const void *data, size_t size, struct err *err);
int file_log_sync(struct file_log *log, struct err *err);
void file_log_close(struct file_log *log);

/* SHA-256 in lower-case hexadecimal. */
void sha256_hex(char out[65], const void *data, size_t size);
int sha256_file(char out[65], const char *path, struct err *err);

#endif
