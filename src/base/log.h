/* log.h: what a person sees on the terminal (stderr). Text from models goes through
 * log_printable first: control characters never reach the terminal. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include <stdbool.h>
#include <stddef.h>
#include "base/str.h"

void log_set_quiet(bool quiet); /* --quiet: only warnings and errors */
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Appends text with control characters (C0, DEL, C1, bidi overrides) and invalid UTF-8 made
 * visible, cut to at most max_columns code points with an ellipsis (0: no cut). */
void log_printable(struct str *out, const char *text, size_t length, size_t max_columns);

/* Progress with rate and remaining time: rewritten in place on a terminal, a plain line every
 * `seconds_between_lines` otherwise. Clocks are for people only, never for results. */
struct progress {
    const char *what;
    long total, done;
    double started, printed;
};
void progress_begin(struct progress *p, const char *what, long total);
void progress_step(struct progress *p, long done, const char *detail /* may be NULL */);
void progress_end(struct progress *p);

double clock_seconds(void);   /* monotonic */
double clock_processor(void); /* seconds that all threads of the process have computed */

#endif
