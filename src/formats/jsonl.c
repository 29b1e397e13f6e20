/* jsonl.c: one JSON object a line; see jsonl.h.
 *
 * Reads blocks itself instead of through stdio, so that it knows whether a whole line is already
 * here: programs that write a line and wait for its answer depend on that. */
#include "formats/jsonl.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"

int jsonl_open(struct jsonl_reader *r, const char *path, struct err *err)
{
    *r = (struct jsonl_reader){.fd = -1};
    bool standard = strcmp(path, "-") == 0;
    r->name = mem_strdup(standard ? "standard input" : path);
    if (!r->name)
        return err_no_memory(err, path, strlen(path) + 1);
    r->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd >= 0)
        return ERR_NONE;
    int status = err_set(err, ERR_INPUT, path, "cannot open: %s", strerror(errno));
    jsonl_close(r);
    return status;
}

int jsonl_skip(struct jsonl_reader *r, uint64_t offset, struct err *err)
{
    r->position = offset;
    return lseek(r->fd, (off_t)offset, SEEK_SET) >= 0
               ? ERR_NONE
               : err_set(err, ERR_INPUT, r->name, "cannot read from byte %llu: %s",
                         (unsigned long long)offset, strerror(errno));
}

/* Forgets the lines that were taken and reads what there is, at most a block. False: an error. */
static bool read_block(struct jsonl_reader *r, struct err *err)
{
    char block[1 << 16];
    if (r->at) {
        r->buffer.length -= r->at;
        r->searched -= r->at;
        memmove(r->buffer.data, r->buffer.data + r->at, r->buffer.length);
        r->at = 0;
    }
    ssize_t n = read(r->fd, block, sizeof block);
    if (n < 0) { /* EINTR too: a signal ends the waiting for a line (base/interrupt.h) */
        err_set(err, ERR_INPUT, r->name, "cannot read: %s", strerror(errno));
        return false;
    }
    r->at_end = n == 0;
    str_append(&r->buffer, block, (size_t)n);
    if (r->buffer.failed)
        err_no_memory(err, r->name, r->buffer.length);
    return !r->buffer.failed;
}

/* One raw line without its end; 0 at the end of the file, -1 on an error. */
static int read_line(struct jsonl_reader *r, struct slice *text, struct err *err)
{
    const char *newline = NULL;
    for (;;) {
        size_t left = r->buffer.length - r->searched;
        newline = left ? memchr(r->buffer.data + r->searched, '\n', left) : NULL;
        if (newline || r->at_end)
            break;
        r->searched = r->buffer.length;
        if (!read_block(r, err))
            return -1;
    }
    size_t end = newline ? (size_t)(newline - r->buffer.data) : r->buffer.length;
    if (!newline && end == r->at)
        return 0;
    *text = (struct slice){r->buffer.data + r->at, end - r->at};
    r->position += end + (newline != NULL) - r->at;
    r->at = r->searched = end + (newline != NULL);
    return 1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

int jsonl_take(struct jsonl_reader *r, struct slice *text, struct err *err)
{
    for (;;) {
        int got = read_line(r, text, err);
        if (got <= 0)
            return got;
        r->line++;
        if (r->line == 1 && text->length >= 3 && memcmp(text->data, "\xEF\xBB\xBF", 3) == 0) {
            text->data += 3;
            text->length -= 3;
        }
        while (text->length && is_blank(text->data[text->length - 1]))
            text->length--;
        while (text->length && is_blank(*text->data)) {
            text->data++;
            text->length--;
        }
        if (text->length)
            return 1;
    }
}

int jsonl_parse(json_t **value, struct slice text, const char *name, long line, struct err *err)
{
    char where[256];
    snprintf(where, sizeof where, "%.200s, line %ld", name, line);
    struct err local = {0}; /* the caller may have passed none, and the code is needed */
    json_t *v = json_read(text.data, text.length, JSON_ANY_VALUE | JSON_NUL_ALLOWED, where, &local);
    *value = NULL;
    if (!v)
        return err_set(err, local.code, where, "%s", local.message);
    if (!json_is_object(v)) {
        err_set(err, ERR_INPUT, where, "is %s, expected an object", json_type_name(v));
        json_decref(v);
        return ERR_INPUT;
    }
    *value = v;
    return ERR_NONE;
}

int jsonl_next(struct jsonl_reader *r, json_t **value, struct err *err)
{
    struct slice text;
    *value = NULL;
    int got = jsonl_take(r, &text, err);
    if (got == 1 && jsonl_parse(value, text, r->name, r->line, err) == ERR_MACHINE)
        return -1;
    return got;
}

/* Whether a line that is not blank is in the buffer. It was not within the first `before` bytes
 * that are not yet taken. */
static bool has_line(const struct jsonl_reader *r, size_t before)
{
    size_t i = r->at;
    while (i < r->buffer.length && (is_blank(r->buffer.data[i]) || r->buffer.data[i] == '\n'))
        i++;
    i = i > r->at + before ? i : r->at + before;
    return i < r->buffer.length && memchr(r->buffer.data + i, '\n', r->buffer.length - i) != NULL;
}

bool jsonl_ready(struct jsonl_reader *r)
{
    struct err ignored; /* of a read: it comes again, to whoever takes the next line */
    size_t before = 0;
    while (!r->at_end && !has_line(r, before)) {
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        before = r->buffer.length - r->at;
        if (poll(&p, 1, 0) == 0)
            return false;
        if (!read_block(r, &ignored))
            return true;
    }
    return true;
}

void jsonl_close(struct jsonl_reader *r)
{
    if (r->fd > STDIN_FILENO)
        close(r->fd);
    mem_free(r->name);
    str_free(&r->buffer);
    *r = (struct jsonl_reader){.fd = -1};
}
