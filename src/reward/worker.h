/* worker.h: a child process that is asked by a line on its standard input and answers by a line on
 * its standard output. It lives from question to question; whoever finds it broken stops it and
 * starts another. Nothing of it is trusted: it may hang, die, write without end or not at all. */
#ifndef REWARD_WORKER_H
#define REWARD_WORKER_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/str.h"

enum {
    WORKER_MAX_ANSWER = 1 << 16, /* bytes of one line */
    WORKER_TAIL = 512,           /* of its standard error that are kept */
    WORKER_MAX_ARGUMENTS = 64,   /* the program and its arguments */
    WORKER_REASON = 200
};

struct worker_spec {
    char *const *argv; /* NULL at its end; a program without '/' is looked for in PATH */
    int argc;
    long long memory_mib; /* address space of each of its processes; 0: no limit */
    int log;              /* file descriptor that gets all of its standard error; −1: none */
};

struct worker {       /* zeroed: none runs */
    pid_t pid;        /* 0: none runs. Leader of a process group of its own */
    int in, out, err; /* our ends of its three pipes; −1: closed */
    int log;          /* spec.log */
    struct str line;  /* what it has written of its answer */
    char tail[WORKER_TAIL];
    size_t tail_length;
};

/* Whether the program can be run at all: false with a sentence. */
bool worker_exists(const char *program, char why[WORKER_REASON]);
bool worker_start(struct worker *w, const struct worker_spec *spec, char why[WORKER_REASON]);

enum worker_outcome { WORKER_ANSWERED, WORKER_BROKEN, WORKER_INTERRUPTED };
/* Sends a request (which ends with its newline) and waits for one line, which lies in w->line
 * without its newline until the next question. Broken: it ended, closed a pipe, wrote too much, or
 * `seconds` of the clock have passed; `why` says so, and the worker must be stopped. Interrupted:
 * a signal asked the program to end (base/interrupt.h); to be stopped, too. */
enum worker_outcome worker_ask(struct worker *w, const struct str *request, double seconds,
                               char why[WORKER_REASON]);
/* Runs and has not ended by itself. */
bool worker_alive(const struct worker *w);
void worker_end_input(struct worker *w); /* tells it that no more questions come */
/* Waits up to `patience` seconds for its end, then kills whatever is left of its process group;
 * nothing of it stays, no zombie either. Fine when none runs. */
void worker_stop(struct worker *w, double patience);

#endif
