/* err.c: errors as values; see err.h. Also check_failed, which is the only abort in the program. */
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "grpo: bug: %s:%d: CHECK(%s) failed\n", file, line, condition);
    abort();
}

int err_set(struct err *err, enum err_code code, const char *where, const char *format, ...)
{
    CHECK(code != ERR_NONE);
    if (!err)
        return code;
    /* The arguments may point into *err itself (err_prefix-like uses), so format aside first. */
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    char place[sizeof err->where];
    snprintf(place, sizeof place, "%s", where ? where : "");
    err->code = code;
    memcpy(err->message, message, sizeof message);
    memcpy(err->where, place, sizeof place);
    return code;
}

int err_no_memory(struct err *err, const char *what, unsigned long long bytes)
{
    return err_set(err, ERR_MACHINE, what, "out of memory: %llu bytes wanted for %s", bytes, what);
}

void err_prefix(struct err *err, const char *context)
{
    if (!err)
        return;
    char place[sizeof err->where];
    if (err->where[0])
        snprintf(place, sizeof place, "%s: %.180s", context, err->where);
    else
        snprintf(place, sizeof place, "%s", context);
    memcpy(err->where, place, sizeof place);
}
