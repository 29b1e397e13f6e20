/* close.h: numbers against those of a fixture. */
#ifndef TESTS_CLOSE_H
#define TESTS_CLOSE_H
#include "json_fixture.h"

/* The number under a key: null is NaN, "inf" infinity. */
double close_wanted(const json_t *o, const char *key);

/* Fails unless |got − wanted| ≤ relative·|wanted| + 1e-300, or both are NaN, or the same infinity;
 * prints the case. */
void close_to(double got, const json_t *c, const char *key, double relative);
/* The same, or within `absolute`. */
void close_to_or(double got, const json_t *c, const char *key, double relative, double absolute);
/* Two numbers, an array under the key. */
void close_to_pair(double low, double high, const json_t *c, const char *key, double relative);

#endif
