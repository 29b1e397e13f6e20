/* test_team.c: pieces of work, each done once, by threads that may come late, sleep, or not exist.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../support/support.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/team.h"

enum { MOST_THREADS = 9, MOST_ITEMS = 1000, TOO_LONG = 60 /* seconds: a test that hangs */ };

static void rest_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static struct team *open_team(int threads)
{
    struct team *t;
    struct err err = {0};
    assert_int_equal(team_open(&t, threads, &err), ERR_NONE);
    return t;
}

struct visits {
    int threads, n, grain;
    atomic_int wrong;     /* calls beyond what was promised */
    int seen[MOST_ITEMS]; /* plain: the sanitizers see two threads at one item */
    int by_thread[MOST_THREADS * 16];
};

static void visit(void *context, int thread, int first, int end)
{
    struct visits *v = context;
    bool alone = v->threads == 1 || v->n <= v->grain;
    int whole = first + v->grain < v->n ? first + v->grain : v->n;
    if (thread < 0 || thread >= v->threads || first < 0 || end > v->n || first >= end ||
        (alone ? first != 0 || end != v->n || thread != 0 : first % v->grain || end != whole))
        atomic_fetch_add(&v->wrong, 1);
    for (int i = first; i < end; i++)
        v->seen[i]++;
    v->by_thread[thread * 16] += end - first;
}

static void check_visits(struct team *t, int n, int grain)
{
    static struct visits v;
    memset(&v, 0, sizeof v);
    v.threads = team_threads(t);
    v.n = n;
    v.grain = grain;
    team_run(t, visit, &v, n, grain);
    int sum = 0;
    for (int i = 0; i < MOST_ITEMS; i++)
        assert_int_equal(v.seen[i], i < n);
    for (int i = 0; i < v.threads; i++)
        sum += v.by_thread[i * 16];
    assert_int_equal(sum, n);
    assert_int_equal(v.wrong, 0);
}

static void test_each_item_once(void **state)
{
    (void)state;
    const int sizes[] = {0, 1, 2, 3, 7, 8, 9, 10, 64, 999, MOST_ITEMS};
    const int grains[] = {1, 2, 3, 7, 64, 1000, 1 << 30};
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        struct team *t = open_team(threads);
        assert_int_equal(team_threads(t), threads);
        for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
            for (size_t j = 0; j < ARRAY_LENGTH(grains); j++)
                check_visits(t, sizes[i], grains[j]);
        team_close(t);
    }
}

/* Job after job without a rest: a thread that is late finds the next one, or the one after. */
static void test_many_jobs(void **state)
{
    (void)state;
    struct team *t = open_team(4);
    for (int i = 0; i < 3000; i++)
        check_visits(t, i % 37, 1 + i % 3);
    team_close(t);
}

/* The caller alone, without a team. */
struct once {
    int calls, end;
};

static void call_once(void *context, int thread, int first, int end)
{
    struct once *o = context;
    assert_int_equal(thread, 0);
    assert_int_equal(first, 0);
    o->calls++;
    o->end = end;
}

static void test_no_team(void **state)
{
    (void)state;
    struct once o = {0};
    team_run(NULL, call_once, &o, 17, 2);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.end, 17);
    team_close(NULL);
}

/* Pieces that wait for each other: they end only where all threads have come. */
struct meeting {
    int wanted;
    atomic_int here;
    atomic_bool failed;
};

static void meet(void *context, int thread, int first, int end)
{
    struct meeting *m = context;
    (void)thread;
    atomic_fetch_add(&m->here, end - first);
    for (int ms = 0; atomic_load(&m->here) < m->wanted && !atomic_load(&m->failed); ms++) {
        rest_ms(1);
        if (ms > TOO_LONG * 1000)
            atomic_store(&m->failed, true);
    }
}

/* After a rest that lets them fall asleep, and after none. */
static void test_all_are_woken(void **state)
{
    (void)state;
    for (int threads = 2; threads <= MOST_THREADS; threads++) {
        struct team *t = open_team(threads);
        for (int round = 0; round < 6; round++) {
            struct meeting m = {.wanted = threads};
            rest_ms(round % 2 * 5);
            team_run(t, meet, &m, threads, 1);
            assert_false(m.failed);
        }
        team_close(t);
    }
}

/* A piece that outlasts the caller's spinning is waited for, and what it wrote is there. */
struct slow {
    struct meeting both;
    int written[2];
};

static void write_late(void *context, int thread, int first, int end)
{
    struct slow *s = context;
    meet(&s->both, thread, first, end);
    if (thread)
        rest_ms(20);
    s->written[first] = 1 + thread;
}

static void test_late_piece(void **state)
{
    (void)state;
    struct team *t = open_team(2);
    for (int i = 0; i < 5; i++) {
        struct slow s = {.both = {.wanted = 2}};
        team_run(t, write_late, &s, 2, 1);
        assert_int_equal(s.written[0] + s.written[1], 3);
    }
    team_close(t);
}

/* Threads do not survive a fork; the work does not wait for them. */
static void test_forked_child(void **state)
{
    (void)state;
    struct team *t = open_team(4);
    for (int asleep = 0; asleep < 2; asleep++) {
        check_visits(t, 100, 1);
        rest_ms(asleep * 5);
        pid_t child = fork();
        if (child == 0) {
            alarm(TOO_LONG);
            struct visits v = {.threads = 4, .n = 100, .grain = 3};
            team_run(t, visit, &v, 100, 3);
            int ok = v.by_thread[0] == 100 && !v.wrong;
            for (int i = 0; i < 100; i++)
                ok = ok && v.seen[i] == 1;
            team_close(t);
            _exit(ok ? 0 : 1);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), 0);
    }
    check_visits(t, 100, 1);
    team_close(t);
}

/* From a thread that is not the one that opened it. */
static void *run_elsewhere(void *context)
{
    check_visits(context, 500, 2);
    return NULL;
}

static void test_other_caller(void **state)
{
    (void)state;
    struct team *t = open_team(3);
    pthread_t thread;
    check_visits(t, 500, 2);
    assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, t), 0);
    pthread_join(thread, NULL);
    check_visits(t, 500, 2);
    team_close(t);
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t live = mem_stats().live_blocks;
    struct team *t;
    for (int call = 0; call < 3; call++) {
        struct err err = {0};
        mem_fail_after(call);
        assert_int_equal(team_open(&t, 3, &err), ERR_MACHINE);
        mem_fail_after(-1);
        assert_null(t);
        assert_int_equal(mem_stats().live_blocks, live);
    }
    team_close(open_team(0));
    assert_int_equal(mem_stats().live_blocks, live);
}

/* Where threads wait, they sleep: a team at rest takes no processor time. */
static void test_rest(void **state)
{
    (void)state;
    struct team *t = open_team(team_cores());
    check_visits(t, 1000, 1);
    rest_ms(20);
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    rest_ms(300);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    long used = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(used < 100);
    team_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_item_once), cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_no_team),        cmocka_unit_test(test_all_are_woken),
        cmocka_unit_test(test_late_piece),     cmocka_unit_test(test_forked_child),
        cmocka_unit_test(test_other_caller),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
