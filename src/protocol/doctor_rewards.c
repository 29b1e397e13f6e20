/* doctor_rewards.c: the rewards of the recipe against their fixtures (episode/gate.h). */
#include <math.h>
#include "protocol/doctor.h"

static json_t *score(double x)
{
    return isnan(x) ? json_null() : json_real(x);
}

static void put_item(struct doctor *d, json_t *list, const struct gate_item *g)
{
    json_t *item = json_object();
    doctor_put(d, item, "reward", doctor_string(g->item->label));
    doctor_put(d, item, "verdict", json_string(gate_verdict_name(g->verdict)));
    doctor_put(d, item, "fixtures", json_integer(g->fixtures));
    doctor_put(d, item, "wrong_pairs", json_integer(g->wrong));
    doctor_put(d, item, "lowest_gold", score(g->lowest_gold));
    doctor_put(d, item, "highest_adversary", score(g->highest_adversary));
    doctor_push(d, list, item);
}

/* The first that fails speaks for all. */
static void check(struct doctor *d)
{
    struct str text = {0};
    int failed = 0;
    for (int i = 0; i < d->gate.count; i++)
        if (d->gate.items[i].verdict == GATE_FAILS && !failed++)
            reward_gate_say(&text, &d->gate.items[i]);
    d->failed = d->failed || text.failed;
    if (failed)
        doctor_check(d, "rewards", false, ERR_GATE,
                     "%s. A policy learns what is paid: repair the reward, or say known_gameable: "
                     "true on it%s",
                     str_text(&text), failed > 1 ? " (and others)" : "");
    else
        doctor_check(d, "rewards", true, ERR_NONE, "%s",
                     d->gate.worst == GATE_KNOWN_GAMEABLE
                         ? "what can be gamed is known to be (known_gameable)"
                         : "no weighted reward pays a bad fixture as much as a good one");
    str_free(&text);
}

int doctor_rewards(struct doctor *d, struct err *err)
{
    if (!d->setup.has_rewards)
        return ERR_NONE;
    int status = reward_gate_open(&d->gate, &d->setup.rewards, err);
    if (status)
        return status;
    json_t *list = json_array();
    for (int i = 0; i < d->gate.count; i++)
        put_item(d, list, &d->gate.items[i]);
    doctor_put(d, doctor_section(d, NULL, "rewards"), "weighted", list);
    check(d);
    return ERR_NONE;
}
