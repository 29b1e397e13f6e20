/* jsonl.c: one JSON object a line; see jsonl.h. */
#include "formats/jsonl.h"
#include <errno.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

int jsonl_open(struct jsonl_reader *r, const char *path, struct err *err)
{
    *r = (struct jsonl_reader){0};
    bool standard = strcmp(path, "-") == 0;
    r->name = mem_strdup(standard ? "standard input" : path);
    if (!r->name)
        return err_no_memory(err, path, strlen(path) + 1);
    r->file = standard ? stdin : fopen(path, "rbe");
    if (r->file)
        return ERR_NONE;
    int status = err_set(err, ERR_INPUT, path, "cannot open: %s", strerror(errno));
    jsonl_close(r);
    return status;
}

/* Reads one raw line without its end into the buffer; 0 at the end of the file, -1 on an error. */
static int read_line(struct jsonl_reader *r, struct err *err)
{
    str_clear(&r->buffer);
    char chunk[16384];
    size_t got = 0;
    int c;
    bool any = false;
    while ((c = getc_unlocked(r->file)) != EOF) {
        any = true;
        if (c == '\n')
            break;
        chunk[got++] = (char)c;
        if (got == sizeof chunk) {
            str_append(&r->buffer, chunk, got);
            got = 0;
        }
    }
    str_append(&r->buffer, chunk, got);
    if (ferror(r->file)) {
        err_set(err, ERR_INPUT, r->name, "cannot read: %s", strerror(errno));
        return -1;
    }
    if (r->buffer.failed) {
        err_no_memory(err, r->name, r->buffer.length);
        return -1;
    }
    return any;
}

int jsonl_next(struct jsonl_reader *r, json_t **value, struct err *err)
{
    *value = NULL;
    for (;;) {
        int got = read_line(r, err);
        if (got <= 0)
            return got;
        r->line++;
        const char *text = str_text(&r->buffer);
        size_t length = r->buffer.length;
        if (r->line == 1 && length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
            text += 3;
            length -= 3;
        }
        while (length && strchr(" \t\r", text[length - 1]) && text[length - 1])
            length--;
        while (length && strchr(" \t\r", *text) && *text) {
            text++;
            length--;
        }
        if (!length)
            continue;
        char where[256];
        snprintf(where, sizeof where, "%.200s, line %ld", r->name, r->line);
        struct err local = {0}; /* the caller may have passed none, and the code is needed */
        json_t *v = json_read(text, length, JSON_ANY_VALUE | JSON_NUL_ALLOWED, where, &local);
        if (!v) {
            err_set(err, local.code, where, "%s", local.message);
            if (local.code == ERR_MACHINE)
                return -1;
        }
        if (v && !json_is_object(v)) {
            err_set(err, ERR_INPUT, where, "is %s, expected an object", json_type_name(v));
            json_decref(v);
            v = NULL;
        }
        *value = v;
        return 1;
    }
}

void jsonl_close(struct jsonl_reader *r)
{
    if (r->file && r->file != stdin)
        fclose(r->file);
    mem_free(r->name);
    str_free(&r->buffer);
    *r = (struct jsonl_reader){0};
}
