/* numbers.c: means and intervals of row values; see eval.h. */
#include <math.h>
#include "base/json.h"
#include "eval/eval.h"
#include "stats/bootstrap.h"

enum { RESAMPLES = 4000, BOOTSTRAP_SEED = 0 };

static struct interval around(double mean, double half)
{
    return (struct interval){mean - half, mean + half};
}

int eval_numbers_of(struct eval_numbers *out, const double *x, size_t n, struct err *err)
{
    *out = (struct eval_numbers){.n = n, .mean = stats_mean(x, n), .sd = stats_sd(x, n)};
    out->se = out->sd / sqrt((double)n);
    out->ci95 = stats_normal_interval(x, n);
    out->t95 = stats_t_interval(x, n);
    return bootstrap_bca(&out->bca95, x, n, RESAMPLES, BOOTSTRAP_SEED, err);
}

int eval_numbers_strata(struct eval_numbers *out, const double *x, const int *stratum, size_t n,
                        int strata, struct err *err)
{
    struct stratified s = stats_stratified(x, stratum, n, strata);
    *out = (struct eval_numbers){.n = n, .mean = s.mean, .sd = stats_sd(x, n), .se = s.se};
    out->ci95 = around(s.mean, 1.96 * s.se);
    out->t95 = s.ci;
    out->bca95 = (struct interval){NAN, NAN};
    if (!isfinite(s.se)) /* a task of one row: no interval can be stated, by no method */
        return ERR_NONE;
    return bootstrap_bca_strata(&out->bca95, x, stratum, n, strata, RESAMPLES, BOOTSTRAP_SEED, err);
}

static void put_interval(struct json_writer *w, const char *key, struct interval i)
{
    jw_key(w, key);
    jw_array_begin(w);
    jw_double(w, i.low);
    jw_double(w, i.high);
    jw_array_end(w);
}

void eval_numbers_json(struct json_writer *w, const struct eval_numbers *s)
{
    jw_key(w, "n");
    jw_int(w, (long long)s->n);
    jw_key(w, "mean");
    jw_double(w, s->mean);
    jw_key(w, "sd");
    jw_double(w, s->sd);
    jw_key(w, "se");
    jw_double(w, s->se);
    put_interval(w, "ci95", s->ci95);
    put_interval(w, "t95", s->t95);
    put_interval(w, "bca95", s->bca95);
}
