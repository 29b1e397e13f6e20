/* test_draft.c: what is guessed. A guess is only ever worth something: what it must be for the
 * speed is tested here, that it changes nothing in test_speculation.c. */
#include <math.h>
#include <stdlib.h>
#include "../support/support.h"
#include "base/mem.h"
#include "rollout/speculate.h"

enum { ROOM = 1000 };

static drafter *fresh(void)
{
    drafter *d;
    struct err err = {0};
    assert_int_equal(drafter_create(&d, ROOM, &err), 0);
    return d;
}

static void learn_all(drafter *d, struct draft_place *p, const int *ids, int n)
{
    for (int i = 0; i < n; i++) {
        draft_judge(d, p, ids[i]);
        draft_learn(d, p, ids[i]);
    }
}

/* Guesses in a row from a place on; how many of ids they got right before the first mistake. */
static int follows(const drafter *d, struct draft_place p, const int *ids, int n)
{
    int right = 0;
    float chance;
    for (; right < n && draft_guess(d, &p, &chance) == ids[right]; right++)
        draft_move(&p, ids[right]);
    return right;
}

static const int prompt[] = {5, 9, 40, 41, 42, 43, 44, 45, 9, 6};
static const int answer[] = {7, 100, 101, 102, 103, 104, 105, 3};

/* From the prompt itself; from a sibling; from the same prompt of long ago. */
static void test_sources(void **state)
{
    (void)state;
    drafter *d = fresh();
    struct draft_place first, second, other;
    float chance;
    first = (struct draft_place){0};
    assert_int_equal(draft_guess(d, &first, &chance), -1);
    draft_prompt(d, &first, prompt, 10);
    draft_learn(d, &first, 40); /* the prompt went on 41 … 45 from here */
    assert_int_equal(follows(d, first, (const int[]){41, 42, 43, 44, 45, 9}, 6), 6);
    learn_all(d, &first, answer, 8);
    draft_prompt(d, &second, prompt, 10);
    draft_learn(d, &second, 7);
    assert_int_equal(follows(d, second, answer + 1, 7), 7); /* a sibling said so */

    const int stranger[] = {60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 40};
    draft_prompt(d, &other, stranger, 11);
    assert_int_not_equal(draft_guess(d, &other, &chance), 41); /* that was another prompt's text */
    draft_learn(d, &other, 100);
    draft_learn(d, &other, 101);
    assert_int_equal(draft_guess(d, &other, &chance), 102); /* this, all prompts' completions */
    for (int i = 0; i < 300; i++) { /* much else happens, then the prompt comes again */
        int noise[11];
        for (int k = 0; k < 11; k++)
            noise[k] = 200 + (i * 37 + k * k * 11) % 500;
        draft_prompt(d, &other, noise, 11);
    }
    draft_prompt(d, &second, prompt, 10);
    draft_learn(d, &second, 7);
    assert_int_equal(follows(d, second, answer + 1, 7), 7);
    drafter_free(d);
}

/* The commonest recent continuation is guessed; a longer suffix is trusted more. */
static void test_commonest(void **state)
{
    (void)state;
    drafter *d = fresh();
    struct draft_place p;
    float chance;
    for (int round = 0; round < 40; round++) {
        draft_prompt(d, &p, prompt, 10);
        const int said[] = {7, round % 4 == 3 ? 11 : 12, 1};
        learn_all(d, &p, said, 3);
    }
    draft_prompt(d, &p, prompt, 10);
    draft_learn(d, &p, 7);
    assert_int_equal(draft_guess(d, &p, &chance), 12);
    assert_true(chance > 0.5f && chance < 1);
    for (int round = 0; round < 12; round++) { /* times change */
        draft_prompt(d, &p, prompt, 10);
        learn_all(d, &p, (const int[]){7, 13, 1}, 3);
    }
    draft_prompt(d, &p, prompt, 10);
    draft_learn(d, &p, 7);
    assert_int_equal(draft_guess(d, &p, &chance), 13);
    drafter_free(d);
}

/* What a guess promises is kept: tokens that come true with probability ¾ are given about ¾. */
static void test_chances(void **state)
{
    (void)state;
    drafter *d = fresh();
    struct draft_place p;
    double promised = 0, right = 0, n = 0;
    unsigned random = 12345;
    draft_prompt(d, &p, prompt, 10);
    for (int i = 0; i < 20000; i++) { /* a cycle of 50 tokens with one in four replaced */
        random = random * 1664525u + 1013904223u;
        int next = random >> 30 ? 300 + (p.recent[0] * 7 + 3) % 50 : 400 + (int)(random >> 20) % 50;
        float chance;
        int id = draft_guess(d, &p, &chance);
        if (id >= 0 && i > 2000) {
            promised += chance;
            right += id == next;
            n++;
        }
        draft_judge(d, &p, next);
        draft_learn(d, &p, next);
    }
    assert_true(n > 15000 && right / n > 0.6);
    assert_true(fabs(promised - right) < 0.02 * n);
    drafter_free(d);
}

/* Siblings that say the same, each time something new, side by side: none of them could be guessed,
 * and guesses promise nothing, although each token has just been learnt from a sibling. */
static void test_side_by_side(void **state)
{
    (void)state;
    enum { SIBLINGS = 8 };
    drafter *d = fresh();
    struct draft_place p[SIBLINGS];
    float chance = 0;
    for (int round = 0; round < 60; round++) {
        draft_prompt(d, &p[0], prompt, 10);
        for (int i = 1; i < SIBLINGS; i++)
            p[i] = p[0];
        for (int t = 0; t < 20; t++) {
            int id = 50 + (int)(((unsigned)round * 20 + (unsigned)t) * 2654435761u >> 20);
            for (int i = 0; i < SIBLINGS; i++)
                draft_judge(d, &p[i], id);
            for (int i = 0; i < SIBLINGS; i++)
                draft_learn(d, &p[i], id);
        }
        draft_guess(d, &p[0], &chance);
    }
    assert_true(chance < 0.05f);
    drafter_free(d);
}

/* A table that is far too small forgets, and stays as large as it was said to be. */
static void test_small(void **state)
{
    (void)state;
    struct err err = {0};
    drafter *d;
    size_t before = mem_stats().live_bytes;
    assert_int_equal(drafter_create(&d, 1, &err), 0);
    assert_true(mem_stats().live_bytes - before <= drafter_bytes(1));
    struct draft_place p;
    draft_prompt(d, &p, prompt, 10);
    size_t calls = mem_stats().total_calls;
    unsigned random = 99;
    for (int i = 0; i < 200000; i++) {
        random = random * 1664525u + 1013904223u;
        draft_learn(d, &p, (int)(random >> 4)); /* up to 2^28 − 1 */
        float chance;
        int id = draft_guess(d, &p, &chance);
        assert_true(id >= -1 && id < 1 << 28 && chance >= 0 && chance <= 1);
    }
    assert_int_equal(mem_stats().total_calls, calls);
    const int fixed[] = {21, 22, 23, 24, 25, 26, 27, 28};
    for (int i = 0; i < 12; i++) /* still learns */
        learn_all(d, &p, fixed, 8);
    assert_int_equal(draft_guess(d, &p, &(float){0}), 21);
    drafter_free(d);
    assert_true(drafter_bytes((size_t)1 << 40) < (size_t)1 << 25);
}

/* --- the guesses of a pass --- */

struct pass {
    struct speculated s[3], *of[3];
    int most[3];
};

static void pass_begin(struct pass *p, drafter *d)
{
    *p = (struct pass){.most = {100, 100, 2}};
    for (int i = 0; i < 3; i++) {
        draft_prompt(d, &p->s[i].place, prompt, 10);
        draft_move(&p->s[i].place, i ? 7 : 40);
        p->of[i] = &p->s[i];
    }
}

static void test_pass(void **state)
{
    (void)state;
    drafter *d = fresh();
    struct draft_place place;
    for (int i = 0; i < 30; i++) {
        draft_prompt(d, &place, prompt, 10);
        learn_all(d, &place, answer, 8);
    }
    static const int eos = 3;
    struct pass p;
    pass_begin(&p, d);
    struct pace pace = {0};
    struct speculation_call call = {(struct speculated *const *)p.of, p.most, 3, 100, &eos, 1};
    int made = speculate(d, &pace, &call, true);
    assert_int_equal(made, p.s[0].n + p.s[1].n + p.s[2].n);
    assert_int_equal(p.s[1].n, 6); /* up to the EOS, which is never guessed */
    assert_memory_equal(p.s[1].ids, answer + 1, 6 * sizeof(int));
    assert_int_equal(p.s[2].n, 2); /* as far as it may */
    assert_int_equal(p.s[0].ids[0], 41);
    for (int room = 3; room < 12; room++) { /* never more rows than there are */
        call.room = room;
        made = speculate(d, &pace, &call, true);
        assert_int_equal(made, p.s[0].n + p.s[1].n + p.s[2].n);
        assert_int_equal(made, room - 3);
    }
    call.room = 100;
    assert_int_equal(speculate(d, &pace, &call, false), 0); /* no pass has been timed yet */
    assert_int_equal(p.s[0].n + p.s[1].n + p.s[2].n, 0);
    for (int i = 0; i < 3; i++)
        pace_saw(&pace, 3, 3, 3, 0.01);
    made = speculate(d, &pace, &call, false); /* a further row is taken to be free, and tried */
    assert_int_equal(made, 1);
    for (int i = 0; i < 3; i++)
        for (int k = 1; k < p.s[i].n; k++)
            assert_true(p.s[i].level[k] <= p.s[i].level[k - 1]);
    drafter_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources), cmocka_unit_test(test_commonest),
        cmocka_unit_test(test_chances), cmocka_unit_test(test_small),
        cmocka_unit_test(test_pass),    cmocka_unit_test(test_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
