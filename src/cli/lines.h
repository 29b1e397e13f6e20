/* lines.h: the loop of every JSONL command. Objects come from standard input or --input, one a
 * line; answers go to standard output in input order; a bad line is answered with
 * {"line": N, "error": "..."} and the command ends with exit status 3 after the last line.
 *
 * Output is written whenever the next input line is not yet there, so that a program that writes a
 * line and waits for the answer gets it. A failed write (closed pipe, full disk) is ERR_MACHINE. */
#ifndef CLI_LINES_H
#define CLI_LINES_H
#include <jansson.h>
#include <stdbool.h>
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/args.h"
#include "formats/jsonl.h"

struct lines {
    struct jsonl_reader in;
    struct str out;       /* answers not yet written */
    struct json_writer w; /* over `out` */
    long line;            /* number of the line last read, 1-based */
    long bad, first_bad;
    struct progress progress;
    bool shows_progress;
};

int lines_open(struct lines *l, const struct common *common, const char *what, struct err *err);
/* 1: an object (*value, the caller's reference); 1 and *value NULL: a bad line, *err says why;
 * 0: the end; -1: reading failed, *err says why. */
int lines_next(struct lines *l, json_t **value, struct err *err);
/* Whether the next line can be read without waiting for whoever writes it. */
bool lines_ready(struct lines *l);
/* Answers a line with an error. */
void lines_bad(struct lines *l, long line, const struct err *why);
/* An answer: fields go to l->w between these. */
void lines_begin(struct lines *l);
void lines_end(struct lines *l);
int lines_flush(struct lines *l, struct err *err);
/* Flushes and closes. status: how the loop ended; bad lines turn 0 into ERR_INPUT with a sentence
 * that counts them. */
int lines_close(struct lines *l, int status, struct err *err);

/* The plain loop: answer(context, line, value) writes the fields of one object to l->w. When it
 * returns ERR_INPUT what it has written is replaced by the line's error and the loop goes on;
 * another error ends it. */
typedef int lines_answer(void *context, struct lines *l, const json_t *value, struct err *err);
int lines_each(const struct common *common, const char *what, lines_answer *answer, void *context,
               struct err *err);

/* The same on several threads, for answers that depend on nothing but their line: the thread t
 * calls answer with contexts[t]. The output is byte for byte that of one thread. Lines are taken as
 * long as they come without waiting and are answered together. */
int lines_each_parallel(const struct common *common, const char *what, lines_answer *answer,
                        void *const *contexts, int threads, struct err *err);

/* Everything a command prints goes through here: checked and flushed. */
int print_out(const void *text, size_t length, struct err *err);
/* The same for a text that was put together: ERR_MACHINE when memory ran out on the way. */
int print_text(const struct str *text, struct err *err);

#endif
