/* support.h: what the tests share: cmocka, fixtures, assets and numeric comparison. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

/* Path of a committed fixture, e.g. fixture("tokenizer/small.json") → tests/oracle/…; static
 * buffer. Tests run from the repository's root. */
const char *fixture(const char *name);
/* Path below GRPO_ASSETS (default ../shared/assets), or NULL, after printing why the test skips. */
const char *asset(const char *name);
/* A fresh temporary folder, removed by temp_folder_remove. */
char *temp_folder(void);
void temp_folder_remove(char *path);

/* Waits for what a child process does, not for the clock: a busy machine is only slower. Until the
 * file has that many lines; until the child has a handler for the signal. False: the child ended
 * before (waitpid is still the caller's). */
bool wait_for_lines(pid_t child, const char *path, int lines);
bool wait_for_handler(pid_t child, int signal);

/* The step of a loop over every R, cut or length, which repeats the same code: `step`, or with
 * `make test SWEEP=7` seven times that. (7: blocks have sizes of powers of two, and each place in
 * one is still met.) */
int sweep_step(int step);

/* ‖a−b‖₂ / ‖b‖₂ in double; 0 when both are zero. */
double relative_l2(const float *a, const float *b, size_t n);
double max_abs_difference(const float *a, const float *b, size_t n);

#endif
