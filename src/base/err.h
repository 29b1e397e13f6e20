/* err.h: errors as values. Every fallible function returns 0 on success and an err_code otherwise,
 * and fills the struct err the caller passed. The code is the exit status that `cli/` will use, so
 * there is one list of outcomes in the program. Messages name the file, the row or key, what was
 * found, what was expected and what to do. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
    ERR_NONE = 0,
    ERR_GATE = 1,         /* a gate or check said no */
    ERR_USAGE = 2,        /* usage or recipe error */
    ERR_INPUT = 3,        /* bad model or data file */
    ERR_MACHINE = 4,      /* memory, disk, device */
    ERR_INTERRUPTED = 130 /* SIGINT or SIGTERM, after saving */
};

struct err {
    enum err_code code;
    char where[256];    /* file, file:line, recipe key, tensor name, or "" */
    char message[1024]; /* a sentence, no trailing newline */
};

/* Sets *err (which may be NULL) and returns code, so callers can `return err_set(...)`. */
int err_set(struct err *err, enum err_code code, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ERR_MACHINE with a sentence that says how many bytes `what` wanted. */
int err_no_memory(struct err *err, const char *what, unsigned long long bytes);

/* Puts "context: " in front of err->where; for adding the file to a parser's error. */
void err_prefix(struct err *err, const char *context);

#endif
