/* json_fixture.h: JSON fixtures of tests/oracle, and numbers out of them. */
#ifndef TESTS_JSON_FIXTURE_H
#define TESTS_JSON_FIXTURE_H
#include "base/json.h"

/* Parses tests/oracle/NAME or fails the test. Release with json_decref. */
json_t *json_fixture(const char *name);
/* The number under a key; fails the test when it is not there. null is NaN. */
double json_fixture_number(const json_t *o, const char *key);
/* The array of numbers (null: NaN) under a key; at most `max`; returns how many. */
size_t json_fixture_doubles(double *out, size_t max, const json_t *o, const char *key);

#endif
