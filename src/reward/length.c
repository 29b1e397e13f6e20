/* length.c: `length`, a completion's length against a band. Parameters:
 *
 *   min, max     the band, in units; score 1 inside. At least one; min is 1 when only max is given,
 *                so that saying nothing does not win (min: 0 allows it).
 *   target       in place of the two: the one best length.
 *   slack        units outside the band over which the score falls linearly to 0. Without it the
 *                score reaches 0 at length 0 below the band and at twice `max` above it.
 *   unit         characters (as a phone shows them) or words (parted by white space).
 *   strip_think  true: thinking does not count, nor white space at the ends. false: all counts. */
#include <string.h>
#include <utf8proc.h>
#include "base/mem.h"
#include "reward/pytext.h"
#include "reward/rewards.h"

struct length_params {
    long long min, max, slack; /* max, slack: -1 when not given */
    bool words, strip;
};

size_t reward_characters(const char *text, size_t length)
{
    size_t count = 0;
    int32_t previous = 0, state = 0;
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        if (c < 0)
            c = 0xFFFD;
        if (count == 0 || utf8proc_grapheme_break_stateful(previous, c, &state))
            count++;
        previous = c;
    }
    return count;
}

static size_t count_words(const char *text, size_t length)
{
    size_t count = 0;
    bool inside = false;
    for (size_t i = 0; i < length;) {
        int32_t c;
        i += (size_t)utf8_decode(text + i, length - i, &c);
        bool space = py_is_space(c);
        count += !space && !inside;
        inside = !space;
    }
    return count;
}

static int check(struct length_params *p, long long target, const char *where, struct err *err)
{
    enum { LIMIT = 1000000000 };
    if (target != -1) {
        if (p->min != -1 || p->max != -1)
            return err_set(err, ERR_USAGE, where,
                           "\"target\" is the one best length; it does not go with min or max");
        p->min = p->max = target;
    }
    if (p->min == -1 && p->max == -1)
        return err_set(err, ERR_USAGE, where, "needs min, max or target");
    if (p->min == -1)
        p->min = p->max < 1 ? p->max : 1;
    if (p->min < 0 || p->min > LIMIT || p->max < -1 || p->max > LIMIT || p->slack > LIMIT)
        return err_set(err, ERR_USAGE, where, "lengths go from 0 to %d", (int)LIMIT);
    if (p->max != -1 && p->max < p->min)
        return err_set(err, ERR_USAGE, where, "min is %lld but max is %lld", p->min, p->max);
    return ERR_NONE;
}

/* A key that is given and negative would read as "not given". */
static int get_length(long long *out, const json_t *params, const char *key, const char *where,
                      struct err *err)
{
    *out = -1;
    int status = json_get_int(out, params, key, false, where, err);
    if (!status && *out < 0 && json_is_integer(json_object_get(params, key)))
        return err_set(err, ERR_USAGE, where, "%s is %lld; a length is not negative", key, *out);
    return status;
}

static int read_params(struct length_params *p, const json_t *params, struct err *err)
{
    static const char *const known[] = {"min", "max", "target", "slack", "unit", "strip_think"};
    static const char where[] = "params of reward length";
    const char *unit = "characters";
    long long target;
    int status = reward_params_check(params, known, sizeof known / sizeof *known, "length", err);
    if (status)
        return status;
    if (!json_is_object(params))
        return err_set(err, ERR_USAGE, where, "needs min, max or target");
    if ((status = get_length(&p->min, params, "min", where, err)) ||
        (status = get_length(&p->max, params, "max", where, err)) ||
        (status = get_length(&target, params, "target", where, err)) ||
        (status = get_length(&p->slack, params, "slack", where, err)) ||
        (status = json_get_bool(&p->strip, params, "strip_think", false, where, err)) ||
        (status = json_get_string(&unit, params, "unit", false, where, err)))
        return status;
    p->words = strcmp(unit, "words") == 0;
    if (!p->words && strcmp(unit, "characters") != 0)
        return err_set(err, ERR_USAGE, where, "unit is \"%.40s\"; expected characters or words",
                       unit);
    return check(p, target, where, err);
}

int length_configure(void **state, const json_t *params, struct err *err)
{
    struct length_params *p = mem_alloc(sizeof *p);
    if (!p)
        return err_no_memory(err, "reward length", sizeof *p);
    *p = (struct length_params){.min = -1, .max = -1, .slack = -1, .strip = true};
    int status = read_params(p, params, err);
    if (status) {
        mem_free(p);
        return status;
    }
    *state = p;
    return ERR_NONE;
}

void length_release(void *state)
{
    mem_free(state);
}

static double band_score(const struct length_params *p, long long n)
{
    long long outside = 0, slack = p->slack;
    if (n < p->min) {
        outside = p->min - n;
        slack = slack < 0 ? p->min : slack;
    } else if (p->max >= 0 && n > p->max) {
        outside = n - p->max;
        slack = slack < 0 ? p->max : slack;
    }
    if (outside == 0)
        return 1;
    if (n == 0 || outside >= slack) /* a slack longer than min does not pay for nothing at all */
        return 0;
    return 1 - (double)outside / (double)slack;
}

void length_evaluate(const void *state, const struct reward_input *in, struct reward_result *out,
                     struct str *explain_json)
{
    const struct length_params *p = state;
    struct str answer = {0};
    struct slice text = {in->completion, in->completion_length};
    if (p->strip) {
        strip_think(&answer, in->completion, in->completion_length);
        text = reward_trim(str_text(&answer), answer.length);
    }
    if (answer.failed) {
        reward_set_failed(out, "out of memory for a completion of %zu bytes",
                          in->completion_length);
        str_free(&answer);
        return;
    }
    size_t n =
        p->words ? count_words(text.data, text.length) : reward_characters(text.data, text.length);
    out->components[0] = band_score(p, (long long)n);
    if (explain_json) {
        struct json_writer w;
        jw_begin(&w, explain_json);
        jw_object_begin(&w);
        jw_key(&w, p->words ? "words" : "characters");
        jw_int(&w, (long long)n);
        jw_key(&w, "min");
        jw_int(&w, p->min);
        jw_key(&w, "max");
        if (p->max < 0)
            jw_null(&w);
        else
            jw_int(&w, p->max);
        jw_object_end(&w);
    }
    str_free(&answer);
}
