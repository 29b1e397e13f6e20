/* gather.h: from the folders a person names to run folders. A folder is a run of `grpo train`, or
 * an experiment of `grpo run`, which holds a run in seed-N for each seed. */
#ifndef REPORT_GATHER_H
#define REPORT_GATHER_H
#include <stdbool.h>
#include "base/err.h"
#include "base/mem.h"

struct gathered {
    const char **paths; /* (n) of run folders; those of one source lie together */
    int n;
    struct source {
        const char *path, *name; /* as given; its last part */
        bool experiment;
        int first, n; /* its runs */
        int empty;    /* seed-N folders that hold no run */
    } * sources;
    int n_sources;
    struct arena arena;
};

/* ERR_USAGE: a folder given twice, more than `most` runs; ERR_INPUT: a folder that is neither (one
 * source that is no folder at all is left to run_read to name). gathered_free also after an error.
 */
int gather(struct gathered *g, const char *const *given, int n, int most, struct err *err);
void gathered_free(struct gathered *g);

/* The last part of a path, of the folder above it with `up`, in the arena; "" when there is none.
 */
const char *path_part(struct arena *arena, const char *path, bool up);

#endif
