/* probe.c: the loops around the tiles, and reading; see probe.h.
 *
 * Each thread has columns of its own. For a group of panels of B, which stays in the second-level
 * cache, it goes through all blocks of A, each of which stays in the first-level cache meanwhile.
 * Which sizes fit best is the machine's matter, so several are tried and the best counts.
 *
 * The work is cut into as many parts as the team has threads. A team gives the part of a thread
 * that comes late to one that is there, and what is measured is then not what all threads can do
 * together. So they meet first: each waits in its part until the others are in theirs, and the time
 * counts from there. Where one does not come, the wait ends and its part is done all the same; that
 * round is a slow one, and the best of all counts.
 *
 * All elements of A are one number and all of B another, powers of two, so that how they are laid
 * out does not matter here and every sum is known exactly. */
#include "bench/probe.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

static const struct {
    const char *isa;
    const struct probe_kernel *f32, *bf16;
} kernels[] = {
#ifdef __x86_64__
    {"amx", &probe_avx512_f32, &probe_amx_bf16},
    {"avx512bf16", &probe_avx512_f32, &probe_avx512bf16_bf16},
    {"avx512", &probe_avx512_f32, &probe_avx512_f32},
    {"avx2", &probe_avx2_f32, &probe_avx2_f32},
#endif
    {"c", &probe_c_f32, &probe_c_f32},
};

const struct probe_kernel *probe_find(const char *isa, enum precision precision)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kernels); i++)
        if (strcmp(kernels[i].isa, isa) == 0)
            return precision == PRECISION_F32 ? kernels[i].f32 : kernels[i].bf16;
    return NULL;
}

static int threads_of(const struct team *team)
{
    return team ? team_threads(team) : 1;
}

/* Where part `part` of `parts` of n items begins; part `parts` begins at n. */
static size_t part_start(size_t n, int part, int parts)
{
    return (size_t)((unsigned __int128)n * (unsigned)part / (unsigned)parts);
}

enum { WAITING, MET, GAVE_UP };
struct together {
    void (*work)(void *context, int part, int parts);
    void *context;
    int parts;
    atomic_int here, state;
    double started; /* when the last one came, or when they were called */
};

static void meet(struct together *t)
{
    int waiting = WAITING;
    double now = clock_seconds(), end = now + 0.1;
    if (atomic_fetch_add(&t->here, 1) + 1 == t->parts &&
        atomic_compare_exchange_strong(&t->state, &waiting, MET))
        t->started = now;
    for (waiting = WAITING; atomic_load(&t->state) == WAITING; waiting = WAITING)
        if (clock_seconds() > end)
            atomic_compare_exchange_strong(&t->state, &waiting, GAVE_UP);
}

static void work_together(void *context, int thread, int first, int end)
{
    struct together *t = context;
    (void)thread;
    for (int part = first; part < end; part++) {
        meet(t);
        t->work(t->context, part, t->parts);
    }
}

/* A part for each thread; seconds. */
static double run_together(struct team *team, void (*work)(void *context, int part, int parts),
                           void *context)
{
    struct together t = {.work = work, .context = context, .parts = threads_of(team)};
    t.started = clock_seconds();
    team_run(team, work_together, &t, t.parts, 1);
    return clock_seconds() - t.started;
}

struct filling {
    uint32_t *to, word;
    size_t words;
};

static void fill_part(void *context, int part, int parts)
{
    const struct filling *f = context;
    size_t end = part_start(f->words, part + 1, parts);
    for (size_t i = part_start(f->words, part, parts); i < end; i++)
        f->to[i] = f->word;
}

/* 1/2 and 1/4 in f32 and, as the upper halves of these, in bf16. */
static void fill(struct team *team, void *to, size_t bytes, enum precision precision, float value)
{
    struct filling f = {.to = to, .words = bytes / sizeof f.word};
    memcpy(&f.word, &value, sizeof f.word);
    if (precision == PRECISION_BF16)
        f.word |= f.word >> 16;
    run_together(team, fill_part, &f);
}

struct product {
    const struct probe_kernel *p;
    struct probe_shape s; /* whole tiles */
    size_t element;       /* bytes */
    int copies;
    struct team *team;
    char *a, *b; /* blocks of A; copies × panels of B */
    float *c;
};

static int round_up(int value, int step)
{
    return (value + step - 1) / step * step;
}

static int open_product(struct product *x, struct err *err)
{
    struct probe_shape *s = &x->s;
    const struct probe_kernel *p = x->p;
    s->m = round_up(s->m, p->rows);
    s->k = round_up(s->k, p->k_step);
    s->group = round_up(s->group, p->columns);
    s->n = round_up(s->n, p->columns);
    x->element = p->precision == PRECISION_BF16 ? 2 : 4;
    size_t a = (size_t)s->m * s->k * x->element;
    size_t b = (size_t)x->copies * s->n * s->k * x->element;
    size_t c = (size_t)s->m * s->n * sizeof *x->c;
    x->a = mem_alloc_aligned(a);
    x->b = mem_alloc_aligned(b + s->ahead);
    x->c = mem_alloc_aligned(c);
    if (!x->a || !x->b || !x->c)
        return err_no_memory(err, "a probe's matrices", a + b + c);
    fill(x->team, x->a, a, p->precision, 0.5f);
    fill(x->team, x->b, b, p->precision, 0.25f);
    memset(x->c, 0, c);
    return ERR_NONE;
}

static void close_product(struct product *x)
{
    mem_free_aligned(x->a);
    mem_free_aligned(x->b);
    mem_free_aligned(x->c);
}

/* Some columns of one matrix. */
static void multiply_columns(const struct product *x, const char *b, int from, int end)
{
    const struct probe_shape *s = &x->s;
    const struct probe_kernel *p = x->p;
    size_t column = (size_t)s->k * x->element;
    for (int first = from; first < end; first += s->group) {
        int last = first + s->group < end ? first + s->group : end;
        for (int m = 0; m < s->m; m += p->rows)
            for (int n = first; n < last; n += p->columns)
                p->tile(x->c + (size_t)m * s->n + n, s->n, x->a + m * column, b + n * column, s->k,
                        s->ahead);
    }
}

/* A thread's columns of one matrix after another. */
static void multiply_part(void *context, int part, int parts)
{
    const struct product *x = context;
    const struct probe_kernel *p = x->p;
    size_t matrix = (size_t)x->s.n * x->s.k * x->element, panels = (size_t)(x->s.n / p->columns);
    int from = (int)part_start(panels, part, parts) * p->columns;
    int end = (int)part_start(panels, part + 1, parts) * p->columns;
    if (p->begin)
        p->begin();
    for (int i = 0; i < x->copies; i++)
        multiply_columns(x, x->b + i * matrix, from, end);
    if (p->end)
        p->end();
}

static int check_sums(const struct product *x, struct err *err)
{
    float want = 0.5f * 0.25f * (float)x->s.k;
    for (size_t i = 0; i < (size_t)x->s.m * x->s.n; i++)
        if (x->c[i] != want)
            return err_set(err, ERR_MACHINE, "probe",
                           "a sum of %d products is %g and not %g on %s: this machine, or the "
                           "program, computes wrongly",
                           x->s.k, (double)x->c[i], (double)want, x->p->isa);
    return ERR_NONE;
}

int probe_product(double *seconds, const struct probe_kernel *p, struct probe_shape shape,
                  int copies, struct team *team, int repeat, struct err *err)
{
    struct product x = {.p = p, .s = shape, .copies = copies, .team = team};
    int status = open_product(&x, err);
    *seconds = 1e30;
    for (int i = 0; i <= repeat && !status; i++) { /* the first one warms up */
        double took = run_together(team, multiply_part, &x);
        if (i && took < *seconds)
            *seconds = took;
    }
    if (!status)
        status = check_sums(&x, err);
    close_product(&x);
    return status;
}

/* Long products make little of waking threads, short ones find a moment in which nobody else
 * wants the cores: the best of both is what the machine can do. */
static const struct {
    int m, k, group, repeat;
} tries[] = {{512, 1024, 128, 4},  {128, 1024, 128, 16}, {512, 512, 256, 4},
             {128, 1024, 256, 16}, {512, 1024, 64, 4},   {128, 512, 64, 16}};

int probe_matrix_rate(double *rate, const struct probe_kernel *p, struct team *team, double enough,
                      struct err *err)
{
    double started = clock_seconds();
    int threads = threads_of(team);
    *rate = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(tries); i++) {
        struct probe_shape s = {.m = p->isa[0] == 'c' ? 64 : tries[i].m,
                                .n = 1536 * (threads < 8 ? threads : 8),
                                .k = tries[i].k,
                                .group = tries[i].group};
        double seconds;
        int status = probe_product(&seconds, p, s, 1, team, tries[i].repeat, err);
        if (status)
            return status;
        /* Rounded up to whole tiles: what was done counts. */
        double done = 2.0 * round_up(s.m, p->rows) * round_up(s.n, p->columns) * s.k;
        *rate = done / seconds > *rate ? done / seconds : *rate;
        if (i && clock_seconds() - started > enough)
            break;
    }
    return ERR_NONE;
}

/* --- reading --- */

enum { LINE = 64, STRIDE = 4 * LINE };
typedef uint64_t words __attribute__((vector_size(16)));

/* The sum of the words: a use of what was read, or nothing would be. */
static uint64_t read_bytes(const char *p, const char *end, size_t ahead)
{
    words sum[4] = {{0}};
    for (; p < end; p += STRIDE) {
        for (int line = 0; ahead && line < STRIDE; line += LINE)
            __builtin_prefetch(p + ahead + line, 0, 2);
        for (int i = 0; i < STRIDE / (int)sizeof(words); i++)
            sum[i % 4] += ((const words *)(const void *)p)[i];
    }
    sum[0] += sum[1] + sum[2] + sum[3];
    return sum[0][0] + sum[0][1];
}

struct reading {
    const char *data;
    size_t strides, ahead;
    atomic_uint_fast64_t sum;
};

static void read_part(void *context, int part, int parts)
{
    struct reading *r = context;
    uint64_t sum = read_bytes(r->data + part_start(r->strides, part, parts) * STRIDE,
                              r->data + part_start(r->strides, part + 1, parts) * STRIDE, r->ahead);
    atomic_fetch_add_explicit(&r->sum, sum, memory_order_relaxed);
}

double probe_read_rate(const void *data, size_t bytes, size_t ahead, struct team *team, int repeat,
                       uint64_t *sum)
{
    struct reading r = {.data = data, .strides = bytes / STRIDE, .ahead = ahead};
    double best = 0;
    for (int i = 0; i < repeat; i++) {
        atomic_store(&r.sum, 0);
        double rate = (double)(r.strides * STRIDE) / run_together(team, read_part, &r);
        best = rate > best ? rate : best;
    }
    if (sum)
        *sum = atomic_load(&r.sum);
    return best;
}

/* What the words of memory full of 1.0f add up to. */
static int check_reading(uint64_t sum, size_t bytes, struct err *err)
{
    uint64_t want = bytes / STRIDE * (STRIDE / sizeof want) * UINT64_C(0x3f8000003f800000);
    if (sum == want)
        return ERR_NONE;
    return err_set(err, ERR_MACHINE, "probe",
                   "the words of %zu bytes add up to %#" PRIx64 " and not %#" PRIx64
                   ": this machine, or the program, reads wrongly",
                   bytes, sum, want);
}

int probe_best_read_rate(double *rate, size_t bytes, struct team *team, int repeat, struct err *err)
{
    static const size_t distances[] = {0, 512, 1024, 2048, 4096};
    char *data = mem_alloc_aligned(bytes);
    if (!data)
        return err_no_memory(err, "a block to read", bytes);
    fill(team, data, bytes, PRECISION_F32, 1.0f);
    *rate = 0;
    int status = ERR_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(distances) && !status; i++) {
        uint64_t sum;
        double got = probe_read_rate(data, bytes, distances[i], team, repeat, &sum);
        *rate = got > *rate ? got : *rate;
        status = check_reading(sum, bytes, err);
    }
    mem_free_aligned(data);
    return status;
}
