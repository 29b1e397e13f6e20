/* gate.c: the rewards of a recipe against their fixtures; see gate.h. */
#include "episode/gate.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "reward/fixtures.h"

const char *gate_verdict_name(enum gate_verdict verdict)
{
    switch (verdict) {
    case GATE_HOLDS:
        return "holds";
    case GATE_NO_FIXTURES:
        return "no_fixtures";
    case GATE_KNOWN_GAMEABLE:
        return "known_gameable";
    case GATE_FAILS:
        return "fails";
    }
    return "unknown";
}

static const char *name_of(const struct task_reward *item)
{
    return reward_definition(item->reward)->name;
}

/* Another task's entry that would be judged by the same lines and mean the same. */
static bool judged_before(const struct reward_gate *g, const struct task_reward *item)
{
    for (int i = 0; i < g->count; i++) {
        const struct task_reward *other = g->items[i].item;
        if (strcmp(name_of(other), name_of(item)) == 0 && !other->fixtures && !item->fixtures &&
            other->known_gameable == item->known_gameable)
            return true;
    }
    return false;
}

static int judge(struct fixture_verdict *v, const struct task_reward *item, struct slice shipped,
                 struct err *err)
{
    struct str own = {0};
    if (!item->fixtures)
        return fixtures_judge(v, name_of(item), NULL, shipped, item->label, err);
    int status = file_read(&own, item->fixtures, err);
    if (!status)
        status = fixtures_judge(v, name_of(item), item->reward,
                                (struct slice){str_text(&own), own.length}, item->fixtures, err);
    str_free(&own);
    return status;
}

static int add_item(struct reward_gate *g, const struct task_reward *item, struct err *err)
{
    struct slice shipped = fixtures_shipped(name_of(item));
    struct gate_item *out = &g->items[g->count++];
    *out = (struct gate_item){
        .item = item, .verdict = GATE_NO_FIXTURES, .lowest_gold = NAN, .highest_adversary = NAN};
    if (!item->fixtures && !shipped.data)
        return ERR_NONE;
    struct fixture_verdict v = {0};
    struct str why = {0};
    int status = judge(&v, item, shipped, err);
    if (!status) {
        fixture_verdict_explain(&why, &v);
        snprintf(out->why, sizeof out->why, "%s", str_text(&why));
        out->fixtures = v.count;
        out->wrong = v.n_pairs;
        out->lowest_gold = v.lowest[FIXTURE_GOLD];
        out->highest_adversary = v.highest[FIXTURE_ADVERSARIAL];
        out->verdict = v.holds                ? GATE_HOLDS
                       : item->known_gameable ? GATE_KNOWN_GAMEABLE
                                              : GATE_FAILS;
        if (why.failed)
            status = err_no_memory(err, item->label, why.length);
    }
    str_free(&why);
    fixture_verdict_free(&v);
    return status;
}

int reward_gate_open(struct reward_gate *g, const struct reward_set *set, struct err *err)
{
    *g = (struct reward_gate){0};
    g->items = mem_calloc((size_t)set->count + 1, sizeof *g->items);
    if (!g->items)
        return err_no_memory(err, "rewards", (size_t)set->count * sizeof *g->items);
    int status = ERR_NONE;
    for (int i = 0; i < set->count && !status; i++) {
        const struct task_reward *item = &set->items[i];
        if (item->weight == 0 || judged_before(g, item))
            continue;
        status = add_item(g, item, err);
        enum gate_verdict verdict = g->items[g->count - 1].verdict;
        g->worst = verdict > g->worst ? verdict : g->worst;
    }
    return status;
}

void reward_gate_close(struct reward_gate *g)
{
    mem_free(g->items);
    *g = (struct reward_gate){0};
}

void reward_gate_say(struct str *out, const struct gate_item *g)
{
    str_printf(out, "%s ", g->item->label);
    switch (g->verdict) {
    case GATE_HOLDS:
        str_printf(out, "holds on %d fixtures", g->fixtures);
        break;
    case GATE_NO_FIXTURES:
        str_puts(out, "comes without fixtures: nobody has tried to cheat it (fixtures: FILE names "
                      "yours)");
        break;
    case GATE_KNOWN_GAMEABLE:
        str_printf(out, "can be gamed, as the recipe says it knows: %s", g->why);
        break;
    case GATE_FAILS:
        str_printf(out, "does not hold on its fixtures: %s", g->why);
        break;
    }
}

void reward_gate_write(struct json_writer *w, const struct reward_gate *g)
{
    jw_array_begin(w);
    for (int i = 0; i < g->count; i++) {
        const struct gate_item *item = &g->items[i];
        jw_object_begin(w);
        jw_key(w, "reward");
        jw_text(w, item->item->label);
        jw_key(w, "verdict");
        jw_text(w, gate_verdict_name(item->verdict));
        jw_key(w, "fixtures");
        jw_int(w, item->fixtures);
        jw_key(w, "wrong_pairs");
        jw_int(w, item->wrong);
        jw_key(w, "lowest_gold");
        jw_double(w, item->lowest_gold);
        jw_key(w, "highest_adversary");
        jw_double(w, item->highest_adversary);
        jw_key(w, "why");
        jw_text(w, item->why);
        jw_object_end(w);
    }
    jw_array_end(w);
}
