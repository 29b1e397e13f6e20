/* track.h: the logs of a run folder, one JSON object a line: metrics.jsonl and samples.jsonl hold
 * deterministic values only, so that a resumed run's are byte-equal to an uninterrupted run's;
 * clocks, rates and memory go to timing.jsonl. Knows only names and numbers. */
#ifndef TRACK_TRACK_H
#define TRACK_TRACK_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

/* Lengths in bytes of the logs; a checkpoint holds them, and resuming cuts the logs back to them.
 */
struct track_offsets {
    uint64_t metrics, timing, samples;
};

struct metric {
    const char *name; /* any text; unique within a line */
    double value;     /* NaN and infinity are written as null */
};

struct track {
    struct file_log metrics, timing, samples;
    struct str line; /* reused, so that a step allocates nothing once it is warm */
};

/* Opens, and where missing creates, the three logs of an existing folder. resume NULL: each starts
 * empty, whatever it held. A log that is shorter than its offset is ERR_INPUT, and then none has
 * been cut. */
int track_open(struct track *t, const char *folder, const struct track_offsets *resume,
               struct err *err);
/* {"step": N, "name": value, ...} in the order given. A write that fails (disk full) is ERR_MACHINE
 * naming the file, and leaves the log ending with its last whole line. */
int track_metrics(struct track *t, long step, const struct metric *metrics, size_t n,
                  struct err *err);
int track_timing(struct track *t, long step, const struct metric *metrics, size_t n,
                 struct err *err);
/* One line of samples.jsonl: a JSON object without a newline. */
int track_sample(struct track *t, const struct str *line, struct err *err);
struct track_offsets track_offsets(const struct track *t);
/* Brings everything written to the disk: before a checkpoint that names the offsets. */
int track_sync(struct track *t, struct err *err);
void track_close(struct track *t); /* also after a failed track_open, and twice */

#endif
