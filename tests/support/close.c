/* close.c: see close.h. */
#include "close.h"
#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "support.h"

static double wanted(const json_t *value, const char *key)
{
    if (json_is_string(value)) {
        assert_string_equal(json_string_value(value), "inf");
        return INFINITY;
    }
    if (!json_is_number(value) && !json_is_null(value))
        fail_msg("the fixture has no number at %s", key);
    return json_is_null(value) ? NAN : json_number_value(value);
}

double close_wanted(const json_t *o, const char *key)
{
    return wanted(json_object_get(o, key), key);
}

static bool close_enough(double got, double want, double relative, double absolute)
{
    if (isnan(want) || isinf(want))
        return isnan(want) ? isnan(got) : got == want;
    return fabs(got - want) <= relative * fabs(want) + absolute;
}

static void judge(double got, double want, const json_t *c, const char *key, double tolerance[2])
{
    if (close_enough(got, want, tolerance[0], tolerance[1]))
        return;
    char *text = json_dumps(c, JSON_COMPACT);
    if (text && strlen(text) > 800)
        text[800] = 0;
    print_error("%s\n", text ? text : "?");
    mem_free(text);
    fail_msg("%s: %.17g, wanted %.17g (off by %.2g)", key, got, want, fabs(got / want - 1));
}

void close_to_or(double got, const json_t *c, const char *key, double relative, double absolute)
{
    judge(got, close_wanted(c, key), c, key, (double[]){relative, absolute});
}

void close_to(double got, const json_t *c, const char *key, double relative)
{
    close_to_or(got, c, key, relative, 1e-300);
}

void close_to_pair(double low, double high, const json_t *c, const char *key, double relative)
{
    const json_t *pair = json_object_get(c, key);
    assert_int_equal(json_array_size(pair), 2);
    judge(low, wanted(json_array_get(pair, 0), key), c, key, (double[]){relative, 1e-300});
    judge(high, wanted(json_array_get(pair, 1), key), c, key, (double[]){relative, 1e-300});
}
