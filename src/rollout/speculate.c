/* speculate.c: choosing the guesses of a pass; see speculate.h.
 *
 * A chain of guesses is right up to its k-th with the product of their chances, which falls along
 * the chain: taking the likeliest guesses of all chains takes a beginning of each. They are counted
 * by level of that product, so nothing is sorted. */
#include "rollout/speculate.h"
#include "base/check.h"

static bool is_eos(const struct speculation_call *call, int id)
{
    for (int i = 0; i < call->n_eos; i++)
        if (call->eos[i] == id)
            return true;
    return false;
}

/* The longest chain whose every beginning is at least `price` probable. */
static void guess_chain(const drafter *d, const struct speculation_call *call, int i, float price,
                        int counts[PACE_LEVELS])
{
    struct speculated *s = call->sequences[i];
    struct draft_place place = s->place;
    int most = call->most[i] < DRAFT_MOST ? call->most[i] : DRAFT_MOST;
    float right = 1, chance;
    for (s->n = 0; s->n < most; s->n++) {
        int id = draft_guess(d, &place, &chance);
        right *= chance;
        if (id < 0 || right < price || is_eos(call, id))
            break;
        int level = (int)(right * PACE_LEVELS);
        level = level < PACE_LEVELS ? level : PACE_LEVELS - 1;
        s->ids[s->n] = id;
        s->level[s->n] = (unsigned char)level;
        counts[level]++;
        draft_move(&place, id);
    }
}

/* Cuts the chains to the likeliest `keep` guesses. */
static void cut_chains(const struct speculation_call *call, const int counts[PACE_LEVELS], int keep)
{
    int level = PACE_LEVELS - 1;
    for (; level > 0 && counts[level] <= keep; level--)
        keep -= counts[level];
    for (int i = 0; i < call->n; i++) { /* of this level `keep`, of higher ones all */
        struct speculated *s = call->sequences[i];
        int n = 0;
        while (n < s->n && (s->level[n] > level || (s->level[n] == level && keep-- > 0)))
            n++;
        s->n = n;
    }
}

int speculate(const drafter *d, struct pace *p, const struct speculation_call *call, bool all)
{
    int counts[PACE_LEVELS] = {0}, made = 0, room = call->room - call->n;
    CHECK(room >= 0);
    float price = all ? 0 : pace_price(p, call->n, call->room);
    for (int i = 0; i < call->n; i++) {
        call->sequences[i]->n = 0;
        if (price <= 1 && room > 0)
            guess_chain(d, call, i, price, counts);
        made += call->sequences[i]->n;
    }
    if (!made)
        return 0;
    int keep = all ? room : pace_choose(p, call->n, call->room, counts);
    keep = keep < made ? keep : made;
    if (keep < made)
        cut_chains(call, counts, keep);
    return keep;
}
