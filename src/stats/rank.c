/* rank.c: see rank.h.
 *
 * Ranks are kept doubled where they are counted: an average of ranks is a multiple of 1/2, so sums
 * of doubled ranks are whole numbers, equal sums are equal, and ρ = 1 comes out as 1.
 *
 * The standard error of Fisher's z. 1/√(n−3) is that of a normal correlation; for ranks it is a
 * little small, and √((1+ρ²/2)/(n−3)) (Bonett & Wright 2000) a little large. Coverage of the 95%
 * interval at n = 20 by simulation (normal pairs): 0.947 and 0.957 at ρ = 0, 0.943 and 0.958 at
 * 0.5, 0.934 and 0.955 at 0.7. The audit asks about 0.7, where one misses by 1.6 points and the
 * other by half of one; we keep the first: SciPy computes it, it is what the protocol states (ρ̂ =
 * 0.70 at n = 20 is worth 0.37 to 0.87, not 0.32 to 0.88), and the gate reads the point estimate
 * first.
 */
#include "stats/rank.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "stats/dist.h"

struct ranked {
    double value;
    size_t at;
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Doubled ranks 2..2n of x; *ties gets Σ t³ − t over groups of t equal values. */
static int doubled_ranks(double *rank, double *ties, const double *x, size_t n, struct err *err)
{
    struct ranked *order = mem_calloc(n, sizeof *order);
    if (!order)
        return err_no_memory(err, "ranks", n * sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct ranked){x[i], i};
    qsort(order, n, sizeof *order, by_value);
    *ties = 0;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && order[end].value == order[first].value;)
            end++;
        double t = (double)(end - first);
        *ties += t * t * t - t;
        for (size_t k = first; k < end; k++)
            rank[order[k].at] = (double)(first + 1 + end);
    }
    mem_free(order);
    return ERR_NONE;
}

int rank_average(double *rank, const double *x, size_t n, struct err *err)
{
    double ties;
    int status = doubled_ranks(rank, &ties, x, n, err);
    for (size_t i = 0; !status && i < n; i++)
        rank[i] *= 0.5;
    return status;
}

static bool any_nan(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(x[i]))
            return true;
    return false;
}

/* --- Spearman --- */

static double correlation_of_ranks(const double *a, const double *b, size_t n)
{
    double mean = (double)n + 1, aa = 0, bb = 0, ab = 0; /* of doubled ranks */
    for (size_t i = 0; i < n; i++) {
        aa += (a[i] - mean) * (a[i] - mean);
        bb += (b[i] - mean) * (b[i] - mean);
        ab += (a[i] - mean) * (b[i] - mean);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : NAN;
}

static void judge_correlation(struct rank_correlation *c, size_t n)
{
    double df = (double)n - 2, r = c->rho;
    if (n < 3 || isnan(r))
        return;
    c->p = 2 * dist_t_cdf(-fabs(r) * sqrt(df / ((1 + r) * (1 - r))), df);
    if (n < 4)
        return;
    double half = dist_normal_quantile(0.975) / sqrt((double)n - 3), z = atanh(r);
    c->ci = (struct interval){tanh(z - half), tanh(z + half)};
}

int rank_spearman(struct rank_correlation *out, const double *x, const double *y, size_t n,
                  struct err *err)
{
    *out = (struct rank_correlation){NAN, NAN, {NAN, NAN}};
    if (any_nan(x, n) || any_nan(y, n))
        return ERR_NONE;
    double *a = mem_calloc(n, sizeof *a), *b = mem_calloc(n, sizeof *b), ties;
    int status = a && b ? ERR_NONE : err_no_memory(err, "ranks", 2 * n * sizeof *a);
    if (!status)
        status = doubled_ranks(a, &ties, x, n, err);
    if (!status)
        status = doubled_ranks(b, &ties, y, n, err);
    if (!status) {
        out->rho = correlation_of_ranks(a, b, n);
        judge_correlation(out, n);
    }
    mem_free(a);
    mem_free(b);
    return status;
}

/* --- Wilcoxon --- */

/* P(W ≤ w) where W is the sum of each doubled rank or, as likely, 0. share[s] is the probability of
 * the sum s over the ranks so far. */
static int signed_rank_cdf(double *p, const double *rank, size_t n, size_t w, struct err *err)
{
    double *share = mem_calloc(w + 1, sizeof *share); /* sums above w never come down again */
    if (!share)
        return err_no_memory(err, "the signed rank distribution", (w + 1) * sizeof *share);
    share[0] = 1;
    for (size_t i = 0; i < n; i++) {
        size_t r = (size_t)rank[i];
        for (size_t s = w + 1; s-- > 0;)
            share[s] = 0.5 * (share[s] + (s >= r ? share[s - r] : 0));
    }
    *p = 0;
    for (size_t s = 0; s <= w; s++)
        *p += share[s];
    mem_free(share);
    return ERR_NONE;
}

static double normal_p(const struct rank_signed *w, double ties)
{
    double n = (double)w->used;
    double variance = (n * (n + 1) * (2 * n + 1) - ties / 2) / 24;
    return 2 * dist_normal_cdf(-fabs(w->plus - n * (n + 1) / 4) / sqrt(variance));
}

/* The differences d, none of them 0, and room for their sizes and ranks. */
static int signed_ranks(struct rank_signed *out, const double *d, double *size, double *rank,
                        double *ties, struct err *err)
{
    for (size_t i = 0; i < out->used; i++)
        size[i] = fabs(d[i]);
    int status = doubled_ranks(rank, ties, size, out->used, err);
    for (size_t i = 0; !status && i < out->used; i++)
        *(d[i] > 0 ? &out->plus : &out->minus) += rank[i] / 2;
    return status;
}

int rank_wilcoxon(struct rank_signed *out, const double *d, size_t n, enum rank_method method,
                  struct err *err)
{
    *out = (struct rank_signed){.p = NAN};
    if (n == 0 || any_nan(d, n))
        return ERR_NONE;
    double *nonzero = mem_calloc(n, sizeof *nonzero), *size = mem_calloc(n, sizeof *size),
           *rank = mem_calloc(n, sizeof *rank), ties = 0;
    int status =
        nonzero && size && rank ? ERR_NONE : err_no_memory(err, "ranks", 3 * n * sizeof *rank);
    for (size_t i = 0; !status && i < n; i++)
        if (d[i] != 0)
            nonzero[out->used++] = d[i];
    if (!status)
        status = signed_ranks(out, nonzero, size, rank, &ties, err);
    bool clean = ties == 0 && out->used == n;
    out->exact = method == RANK_EXACT || out->used == 0 ||
                 (method == RANK_AUTO && (n <= 13 || (n <= 50 && clean)));
    if (!status && out->exact) {
        size_t smaller = (size_t)(2 * fmin(out->plus, out->minus));
        status = signed_rank_cdf(&out->p, rank, out->used, smaller, err);
        out->p = fmin(1, 2 * out->p); /* the distribution is symmetric */
    } else if (!status) {
        out->p = normal_p(out, ties);
    }
    mem_free(nonzero);
    mem_free(size);
    mem_free(rank);
    return status;
}
