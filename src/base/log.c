/* log.c: lines for people on stderr, printable text, progress; see log.h. */
#include "base/log.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_bool quiet_mode;

void log_set_quiet(bool quiet)
{
    atomic_store(&quiet_mode, quiet);
}

static void line(const char *prefix, const char *format, va_list args)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, args);
    fprintf(stderr, "%s%s\n", prefix, text);
}

void log_info(const char *format, ...)
{
    if (atomic_load(&quiet_mode))
        return;
    va_list args;
    va_start(args, format);
    line("", format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line("warning: ", format, args);
    va_end(args);
}

/* Characters that could move the cursor, change colours, or reorder what is read. */
static bool is_dangerous(int32_t c)
{
    return c < 0x20 || c == 0x061C || (c >= 0x7F && c < 0xA0) || (c >= 0x200E && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

void log_printable(struct str *out, const char *text, size_t length, size_t max_columns)
{
    size_t columns = 0;
    while (length) {
        int32_t c;
        int n = utf8_decode(text, length, &c);
        /* The last column goes to the ellipsis, unless exactly one code point is left for it. */
        if (max_columns && columns + 1 >= max_columns && (size_t)n < length) {
            str_puts(out, "…");
            return;
        }
        if (c < 0)
            str_printf(out, "\\x%02x", (unsigned char)text[0]);
        else if (c == '\n')
            str_puts(out, "⏎ ");
        else if (is_dangerous(c))
            str_printf(out, "\\u%04x", (unsigned)c);
        else
            str_append(out, text, (size_t)n);
        columns++;
        text += n;
        length -= (size_t)n;
    }
}

double clock_processor(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const double seconds_between_lines = 10, seconds_between_updates = 0.2;

void progress_begin(struct progress *p, const char *what, long total)
{
    *p = (struct progress){.what = what, .total = total, .started = clock_seconds()};
    p->printed = p->started;
}

static void show(struct progress *p, const char *detail, bool terminal)
{
    double elapsed = clock_seconds() - p->started;
    double rate = elapsed > 0 ? (double)p->done / elapsed : 0;
    fprintf(stderr, "%s%s %ld/%ld", terminal ? "\r" : "", p->what, p->done, p->total);
    if (rate > 0 && p->done < p->total)
        fprintf(stderr, "  %.3g/s, %.0f s left", rate, (double)(p->total - p->done) / rate);
    if (detail)
        fprintf(stderr, "  %s", detail);
    fputs(terminal ? "\033[K" : "\n", stderr);
    fflush(stderr);
}

void progress_step(struct progress *p, long done, const char *detail)
{
    p->done = done;
    if (atomic_load(&quiet_mode))
        return;
    bool terminal = isatty(STDERR_FILENO);
    double now = clock_seconds();
    if (now - p->printed < (terminal ? seconds_between_updates : seconds_between_lines))
        return;
    p->printed = now;
    show(p, detail, terminal);
}

void progress_end(struct progress *p)
{
    if (!atomic_load(&quiet_mode) && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    *p = (struct progress){0};
}
