/* limit.h: what the programs that ask for the machine's limits share: the thread count of their
 * command line, the threads, and how they end when something fails. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/team.h"

/* The program's first argument; without one, all cores. */
static inline int limit_threads(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : team_cores();
    if (threads < 1) {
        fprintf(stderr, "%s: threads are \"%s\", expected a number from 1 on\n", argv[0], argv[1]);
        exit(ERR_USAGE);
    }
    return threads;
}

static inline void limit_must(int status, const struct err *err)
{
    if (!status)
        return;
    fprintf(stderr, "%s: %s\n", err->where, err->message);
    exit(status);
}

static inline struct team *limit_team(int threads)
{
    struct err err = {0};
    struct team *team;
    limit_must(team_open(&team, threads, &err), &err);
    return team;
}

#endif
