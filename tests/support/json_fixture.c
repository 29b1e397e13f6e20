/* json_fixture.c: see json_fixture.h. */
#include "json_fixture.h"
#include <math.h>
#include "base/file.h"
#include "support.h"

json_t *json_fixture(const char *name)
{
    struct str text = {0};
    struct err err = {0};
    if (file_read(&text, fixture(name), &err))
        fail_msg("%s: %s", err.where, err.message);
    json_t *root = json_read(text.data, text.length, JSON_PLAIN, name, &err);
    if (!root)
        fail_msg("%s: %s", err.where, err.message);
    str_free(&text);
    return root;
}

static double number(const json_t *value, const char *key)
{
    if (!json_is_number(value) && !json_is_null(value))
        fail_msg("the fixture has no number at %s", key);
    return json_is_null(value) ? NAN : json_number_value(value);
}

double json_fixture_number(const json_t *o, const char *key)
{
    return number(json_object_get(o, key), key);
}

size_t json_fixture_doubles(double *out, size_t max, const json_t *o, const char *key)
{
    const json_t *values = json_object_get(o, key);
    size_t n = json_array_size(values);
    assert_in_range(n, 1, max);
    for (size_t i = 0; i < n; i++)
        out[i] = number(json_array_get(values, i), key);
    return n;
}
