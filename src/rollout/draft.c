/* draft.c: suffix matches by hashing; see draft.h.
 *
 * One table holds, for each suffix that was seen, the token that followed and how sure that is. A
 * suffix is the last 1, 2, 4 or 7 tokens of one prompt and its completions, or the last 2 or 5 of
 * any completion: sums of the same shape (JSON, SQL) repeat themselves across prompts. Looking
 * suffixes up by hash is what a suffix automaton would give at these lengths, at a fixed cost and
 * in a fixed size; a collision costs a wrong guess and nothing else. (Suffixes of 1, 2, 3, 4, 6 and
 * 8 tokens of either kind were no better by more than 1%.)
 *
 * Confidence: 1 when new, one more for each repetition, up to 15; halved when another token came,
 * which takes the place once confidence is gone. So the commonest recent continuation wins.
 *
 * A guess is that of the suffix whose kind was right most often at that confidence: counted at
 * every token that is drawn, whether it was drafted or not, with the past fading. The best of
 * several estimates is too good on average, so a second table says how often guesses that promised
 * so much came true (cf. adaptive probability maps in data compression). */
#include "rollout/draft.h"
#include <stdbool.h>
#include <string.h>
#include "base/mem.h"

enum {
    SUFFIXES = 6,
    WAYS = 2, /* neighbouring slots that an entry may lie in */
    SURE = 15,
    BINS = 32,
    MEMORY = 2048, /* events after which counts are halved */
    LEAST_SLOTS = 1 << 14,
    MOST_SLOTS = 1 << 21
};

static const struct {
    int length;
    bool own; /* of this prompt alone */
} suffixes[SUFFIXES] = {{1, true}, {2, true}, {4, true}, {7, true}, {2, false}, {5, false}};

struct slot {
    uint32_t tag;
    uint32_t id : 28, sure : 4; /* sure 0: empty */
};

struct tally {
    float right, all;
};

struct drafter {
    struct slot *slots;
    size_t mask; /* slots − 1, a power of two */
    struct tally kinds[SUFFIXES][SURE + 1];
    struct tally promised[BINS];
};

static size_t slots_for(size_t tokens)
{
    size_t n = LEAST_SLOTS;
    while (n < MOST_SLOTS && n / 8 < tokens)
        n *= 2;
    return n;
}

size_t drafter_bytes(size_t tokens)
{
    return sizeof(drafter) + slots_for(tokens) * sizeof(struct slot);
}

int drafter_create(drafter **out, size_t tokens, struct err *err)
{
    size_t n = slots_for(tokens);
    drafter *d = mem_calloc(1, sizeof *d);
    struct slot *slots = d ? mem_calloc(n, sizeof *slots) : NULL;
    *out = NULL;
    if (!slots) {
        mem_free(d);
        return err_no_memory(err, "the drafts of a rollout", n * sizeof *slots);
    }
    d->slots = slots;
    d->mask = n - 1;
    for (int s = 0; s < SUFFIXES; s++)
        for (int sure = 0; sure <= SURE; sure++)
            d->kinds[s][sure] = (struct tally){0.5f, 1};
    for (int b = 0; b < BINS; b++) /* at first, what is promised is believed */
        d->promised[b] = (struct tally){((float)b + 0.5f) / BINS * 16, 16};
    *out = d;
    return ERR_NONE;
}

void drafter_free(drafter *d)
{
    if (d)
        mem_free(d->slots);
    mem_free(d);
}

/* --- the table --- */

static uint64_t mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

/* The key of each suffix of a place; 0: the sequence is too short. */
static void keys_of(const struct draft_place *p, uint64_t keys[SUFFIXES])
{
    uint64_t own = p->prompt, any = 1;
    memset(keys, 0, SUFFIXES * sizeof *keys);
    for (int n = 1; n <= p->n; n++) {
        uint64_t id = (uint64_t)p->recent[n - 1] + 1;
        own = mix(own, id);
        any = mix(any, id);
        for (int s = 0; s < SUFFIXES; s++)
            if (suffixes[s].length == n)
                keys[s] = (suffixes[s].own ? own : any) | 1;
    }
}

static struct slot *way_of(const drafter *d, uint64_t key)
{
    return d->slots + ((key >> 1) & d->mask & ~(size_t)(WAYS - 1));
}

static uint32_t tag_of(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

static struct slot *find(const drafter *d, uint64_t key)
{
    struct slot *way = way_of(d, key);
    for (int i = 0; key && i < WAYS; i++)
        if (way[i].sure && way[i].tag == tag_of(key))
            return &way[i];
    return NULL;
}

static void weaken(struct slot *s)
{
    s->sure = (s->sure >> 1) & (SURE / 2);
}

/* Behind this suffix came id; slot: what find gave. */
static void put(drafter *d, uint64_t key, struct slot *slot, uint32_t id)
{
    if (slot && slot->id == id) {
        slot->sure = slot->sure < SURE ? slot->sure + 1u : SURE;
        return;
    }
    if (!slot) { /* the weaker neighbour may have to go */
        slot = way_of(d, key);
        for (int i = 1; i < WAYS; i++)
            slot = way_of(d, key)[i].sure < slot->sure ? &way_of(d, key)[i] : slot;
    }
    weaken(slot);
    if (!slot->sure)
        *slot = (struct slot){.tag = tag_of(key), .id = id & 0xFFFFFFFu, .sure = 1};
}

/* --- guessing --- */

static float chance_of(const struct tally *t)
{
    return t->right / t->all;
}

static void count(struct tally *t, bool right)
{
    if (t->all >= MEMORY) {
        t->right /= 2;
        t->all /= 2;
    }
    t->right += right ? 1 : 0;
    t->all += 1;
}

struct guess {
    int id; /* -1: none */
    int bin;
};

static struct guess guess_from(const drafter *d, struct slot *const found[SUFFIXES])
{
    struct guess g = {-1, 0};
    float best = -1;
    for (int s = 0; s < SUFFIXES; s++) {
        if (!found[s])
            continue;
        float chance = chance_of(&d->kinds[s][found[s]->sure]);
        if (chance > best) {
            best = chance;
            g.id = (int)found[s]->id;
        }
    }
    if (g.id >= 0)
        g.bin = (int)(best * BINS) < BINS ? (int)(best * BINS) : BINS - 1;
    return g;
}

static void find_all(const drafter *d, const uint64_t keys[SUFFIXES], struct slot *found[SUFFIXES])
{
    for (int s = 0; s < SUFFIXES; s++)
        __builtin_prefetch(way_of(d, keys[s]));
    for (int s = 0; s < SUFFIXES; s++)
        found[s] = find(d, keys[s]);
}

int draft_guess(const drafter *d, const struct draft_place *place, float *chance)
{
    uint64_t keys[SUFFIXES];
    struct slot *found[SUFFIXES];
    keys_of(place, keys);
    find_all(d, keys, found);
    struct guess g = guess_from(d, found);
    *chance = g.id < 0 ? 0 : chance_of(&d->promised[g.bin]);
    return g.id;
}

void draft_move(struct draft_place *p, int id)
{
    memmove(p->recent + 1, p->recent, (DRAFT_SUFFIX - 1) * sizeof *p->recent);
    p->recent[0] = id;
    p->n += p->n < DRAFT_SUFFIX;
}

void draft_judge(drafter *d, const struct draft_place *place, int id)
{
    uint64_t keys[SUFFIXES];
    struct slot *found[SUFFIXES];
    keys_of(place, keys);
    find_all(d, keys, found);
    struct guess g = guess_from(d, found);
    if (g.id >= 0)
        count(&d->promised[g.bin], g.id == id);
    for (int s = 0; s < SUFFIXES; s++)
        if (found[s])
            count(&d->kinds[s][found[s]->sure], (int)found[s]->id == id);
}

void draft_learn(drafter *d, struct draft_place *place, int id)
{
    uint64_t keys[SUFFIXES];
    struct slot *found[SUFFIXES];
    keys_of(place, keys);
    find_all(d, keys, found);
    for (int s = 0; s < SUFFIXES; s++)
        if (keys[s])
            put(d, keys[s], found[s], (uint32_t)id);
    draft_move(place, id);
}

/* Prompts teach their own suffixes only, and nothing about how good guesses are: nobody draws their
 * tokens. */
void draft_prompt(drafter *d, struct draft_place *place, const int *ids, int n)
{
    *place = (struct draft_place){.prompt = 2};
    for (int i = 0; i < n; i++)
        place->prompt = mix(place->prompt, (uint64_t)ids[i]);
    for (int i = 0; i < n; i++) {
        uint64_t keys[SUFFIXES];
        keys_of(place, keys);
        for (int s = 0; s < SUFFIXES; s++)
            if (suffixes[s].own && keys[s])
                put(d, keys[s], find(d, keys[s]), (uint32_t)ids[i]);
        draft_move(place, ids[i]);
    }
}
