/* team.c: threads that spin for a while, then sleep; see team.h.
 *
 * A decoding pass is some hundred pieces of work of 5 to 200 µs each, one after another. Waking a
 * sleeping thread for each costs 10 to 40 µs; threads that spin are there at once, but where
 * another process wants their core they keep it from the one thread everybody waits for. Hence:
 *
 *  - Nobody waits for a thread, only for pieces it has begun. Each thread has a share of the
 *    pieces, so that the same rows and weights meet the same core's cache as long as all are there;
 *    a thread that is through with its own takes from the others' shares. A thread that is not
 *    running leaves its share to them.
 *  - Waiting is spinning for at most SPIN_NS, about what a wake-up costs, and then sleeping.
 *    A spinning thread whose clock has jumped was put aside for somebody else: it sleeps at once.
 *    Where a team has more threads than there are cores, its threads do not spin.
 *  - Who posts work wakes at most two sleepers, who wake two each: the caller gets to work.
 *
 * Order of memory. A job (body, context, n, grain, each share's end) is plain data, written by the
 * caller while nobody reads it and published by the release store to share.left. Threads claim a
 * piece by compare-and-exchange on `left` with acquire: it reads that store or a claim in its
 * release sequence, so the job is seen. A claim that succeeds is of the current job, whatever the
 * thread knew before: until that piece is counted off `pending` (release), the caller (acquire)
 * cannot leave the job and write the next. The same pair carries the results back.
 * Sleeping needs a stronger order, as each side writes one word and reads the other's: a worker
 * counts itself into `sleepers`, then the kernel compares `epoch`; the caller changes `epoch`, then
 * reads `sleepers`. Likewise `waiting` and `pending`. These are sequentially consistent. */
#include "base/team.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/check.h"
#include "base/mem.h"

enum {
    LINE = 64,         /* bytes that one core takes from another at once */
    SPIN_NS = 50000,   /* spinning at most */
    PUT_ASIDE = 20000, /* between two looks at the clock: somebody else had this core */
    LOOKS = 32,        /* at the word waited for, between two at the clock */
    WAKE_AT_ONCE = 2   /* sleepers one thread wakes */
};

/* A thread's pieces: [end − left, end) are still to be had. */
struct share {
    _Alignas(LINE) atomic_int left;
    int end;
};

struct worker {
    struct team *team;
    int thread;
    unsigned seen; /* the epoch it has worked for */
    pthread_t handle;
};

struct team {
    /* Read by spinning workers, written once a job. */
    _Alignas(LINE) atomic_uint epoch; /* jobs posted; a futex */
    /* Written by sleeping and finishing threads. */
    _Alignas(LINE) atomic_int sleepers;
    _Alignas(LINE) atomic_uint pending; /* pieces not finished; a futex */
    atomic_int waiting;                 /* the caller sleeps on it */
    /* The job. */
    _Alignas(LINE) team_body *body;
    void *context;
    int n, grain;
    bool running;
    /* What stays. */
    atomic_bool closing;
    int threads, started; /* asked for, the caller included; workers that came */
    pid_t owner;
    bool spins;
    struct share *shares;
    struct worker *workers;
};

static void relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Returns at a wake-up, at once where the word is no longer `value`, or for no reason at all. */
static void sleep_on(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(atomic_uint *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* Until the word is (`equal`) or is no longer `value`; false: it was not while it paid to wait. */
static bool spin_on(const struct team *t, atomic_uint *word, unsigned value, bool equal)
{
    if (!t->spins)
        return false;
    int64_t start = now_ns(), last = start, now = start;
    for (; now - start < SPIN_NS && now - last < PUT_ASIDE; last = now, now = now_ns()) {
        for (int i = 0; i < LOOKS; i++) {
            if ((atomic_load_explicit(word, memory_order_acquire) == value) == equal)
                return true;
            relax();
        }
    }
    return false;
}

/* --- work --- */

static bool claim(struct share *s, int *piece)
{
    int left = atomic_load_explicit(&s->left, memory_order_relaxed);
    while (left > 0) {
        if (atomic_compare_exchange_weak_explicit(&s->left, &left, left - 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
            *piece = s->end - left;
            return true;
        }
    }
    return false;
}

/* All pieces a thread can get; the number of them. */
static unsigned work(struct team *t, int thread)
{
    unsigned done = 0;
    for (int i = 0; i < t->threads; i++) {
        int at = thread + i < t->threads ? thread + i : thread + i - t->threads;
        for (int piece; claim(&t->shares[at], &piece); done++) {
            int first = piece * t->grain;
            int end = t->n - first < t->grain ? t->n : first + t->grain;
            t->body(t->context, thread, first, end);
        }
    }
    return done;
}

/* --- a worker's life --- */

static void await_job(struct worker *w)
{
    struct team *t = w->team;
    if (!spin_on(t, &t->epoch, w->seen, false)) {
        atomic_fetch_add(&t->sleepers, 1);
        while (atomic_load(&t->epoch) == w->seen)
            sleep_on(&t->epoch, w->seen);
        if (atomic_fetch_sub(&t->sleepers, 1) > 1 && t->threads > 1 + WAKE_AT_ONCE)
            wake(&t->epoch, WAKE_AT_ONCE);
    }
    w->seen = atomic_load_explicit(&t->epoch, memory_order_acquire);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct team *t = w->team;
    for (;;) {
        await_job(w);
        if (atomic_load_explicit(&t->closing, memory_order_relaxed))
            return NULL;
        unsigned done = work(t, w->thread);
        if (done && atomic_fetch_sub(&t->pending, done) == done && atomic_load(&t->waiting))
            wake(&t->pending, 1);
    }
}

/* --- the caller --- */

int team_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more than a cpu_set_t can hold */
    return n > 0 && n < INT_MAX ? (int)n : 1;
}

/* Workers leave all signals to the caller's threads: a handler interrupts no work of theirs. */
static void start_workers(struct team *t)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (t->started < t->threads - 1) {
        struct worker *w = &t->workers[t->started];
        *w = (struct worker){.team = t, .thread = t->started + 1};
        if (pthread_create(&w->handle, NULL, worker_main, w))
            break;
        t->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int team_open(struct team **out, int threads, struct err *err)
{
    int cores = team_cores();
    threads = threads > 0 ? threads : cores;
    *out = NULL;
    struct team *t = mem_alloc_aligned(sizeof *t);
    struct share *shares = mem_alloc_aligned((size_t)threads * sizeof *shares);
    struct worker *workers = mem_calloc((size_t)threads, sizeof *workers);
    if (!t || !shares || !workers) {
        mem_free_aligned(t);
        mem_free_aligned(shares);
        mem_free(workers);
        return err_no_memory(err, "threads", (size_t)threads * sizeof *shares);
    }
    memset(t, 0, sizeof *t);
    memset(shares, 0, (size_t)threads * sizeof *shares);
    t->threads = threads;
    t->spins = threads <= cores;
    t->owner = getpid();
    t->shares = shares;
    t->workers = workers;
    start_workers(t);
    *out = t;
    return ERR_NONE;
}

void team_close(struct team *t)
{
    if (!t)
        return;
    atomic_store(&t->closing, true);
    atomic_fetch_add(&t->epoch, 1);
    wake(&t->epoch, INT_MAX);
    for (int i = 0; i < t->started && t->owner == getpid(); i++)
        pthread_join(t->workers[i].handle, NULL);
    mem_free_aligned(t->shares);
    mem_free(t->workers);
    mem_free_aligned(t);
}

int team_threads(const struct team *t)
{
    return t->threads;
}

static void post(struct team *t, int pieces)
{
    int shares = pieces < t->threads ? pieces : t->threads;
    atomic_store_explicit(&t->pending, (unsigned)pieces, memory_order_relaxed);
    for (int i = 0; i < shares; i++) {
        int first = (int)((int64_t)pieces * i / shares);
        int end = (int)((int64_t)pieces * (i + 1) / shares);
        t->shares[i].end = end;
        atomic_store_explicit(&t->shares[i].left, end - first, memory_order_release);
    }
    atomic_fetch_add(&t->epoch, 1);
    int sleepers = atomic_load(&t->sleepers), useful = pieces - 1;
    if (sleepers)
        wake(&t->epoch, useful < WAKE_AT_ONCE ? useful : WAKE_AT_ONCE);
}

/* For the pieces others have begun. */
static void await_pieces(struct team *t)
{
    if (atomic_load_explicit(&t->pending, memory_order_acquire) == 0 ||
        spin_on(t, &t->pending, 0, true))
        return;
    atomic_store(&t->waiting, 1);
    for (unsigned left; (left = atomic_load(&t->pending)) != 0;)
        sleep_on(&t->pending, left);
    atomic_store_explicit(&t->waiting, 0, memory_order_relaxed);
}

void team_run(struct team *t, team_body *body, void *context, int n, int grain)
{
    CHECK(n >= 0 && grain >= 1);
    if (n <= grain || !t || t->threads == 1) {
        if (n > 0)
            body(context, 0, 0, n);
        return;
    }
    CHECK(!t->running);
    t->running = true;
    t->body = body;
    t->context = context;
    t->n = n;
    t->grain = grain;
    post(t, (n - 1) / grain + 1);
    unsigned done = work(t, 0);
    if (done)
        atomic_fetch_sub(&t->pending, done);
    await_pieces(t);
    t->running = false;
}
