/* check.h: assertions about our own code, never compiled out.
 * A failed CHECK is a bug of ours: it prints file, line and condition and aborts.
 * Input, files and recipes are never CHECKed; they produce a struct err (err.h). */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

_Noreturn void check_failed(const char *file, int line, const char *condition);

#endif
