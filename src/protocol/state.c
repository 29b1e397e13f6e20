/* state.c: what a run of the protocol has open, and the folders it works in; see parts.h. */
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "protocol/parts.h"

static int take_seeds(struct protocol *p, struct err *err)
{
    const struct protocol_spec *spec = p->spec;
    const struct int_list *own = &p->d.o.seeds;
    const int *seeds = spec->seeds ? spec->seeds : own->count ? own->items : &p->d.o.seed;
    size_t n = spec->seeds ? (size_t)spec->n_seeds : own->count ? own->count : 1;
    const char *where = spec->seeds ? "--seeds" : recipe_where(p->d.recipe, NULL, "seeds");
    if (n > PROTOCOL_MAX_SEEDS)
        return err_set(err, ERR_USAGE, where, "has %zu seeds, at most %d run together", n,
                       PROTOCOL_MAX_SEEDS);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            if (seeds[i] == seeds[j])
                return err_set(err, ERR_USAGE, where, "names seed %d twice", seeds[i]);
        p->seeds[p->n_seeds++] = seeds[i];
    }
    return ERR_NONE;
}

static void begin_setup(struct protocol *p)
{
    const struct setup_spec spec = {.o = &p->d.o,
                                    .recipe = p->d.recipe,
                                    .device = p->d.device,
                                    .evaluates = true,
                                    .keep_gates = true};
    setup_begin(&p->d.setup, &spec);
    p->has_model = p->has_rows = p->has_checked = p->has_planned = false;
}

int protocol_open(struct protocol *p, const struct protocol_spec *spec, struct err *err)
{
    struct device_options options = spec->device;
    *p = (struct protocol){.spec = spec, .dir = spec->dir};
    p->d.out = spec->dir;
    p->d.bos = -1;
    int status = train_recipe_load(&p->d.recipe, &p->d.o, spec->recipe, spec->sets, spec->n_sets,
                                   false, err);
    p->recipe_seed = p->d.o.seed;
    if (!status)
        status = take_seeds(p, err);
    options.precision = (enum precision)p->d.o.precision;
    if (!status)
        status = device_open(&p->d.device, &options, err);
    if (!status && !(p->d.report = json_pack("{s:[],s:[]}", "checks", "warnings")))
        status = err_no_memory(err, "the protocol", 0);
    if (!status)
        begin_setup(p);
    return status;
}

void protocol_let_go(struct protocol *p)
{
    reward_gate_close(&p->d.gate);
    setup_close(&p->d.setup);
    begin_setup(p);
}

void protocol_close(struct protocol *p)
{
    reward_gate_close(&p->d.gate);
    if (p->d.device) {
        setup_close(&p->d.setup);
        device_close(p->d.device);
    }
    recipe_free(p->d.recipe);
    json_decref(p->d.report);
    str_free(&p->run);
}

int protocol_take_seed(struct protocol *p, int seed, struct err *err)
{
    str_clear(&p->run);
    str_printf(&p->run, "%s/seed-%d", p->dir, seed);
    for (int s = 0; s < N_STAGES; s++)
        if (stage_of_seed((enum stage)s))
            p->digest[s][0] = 0;
    p->has_seed = true;
    p->d.o.seed = seed;
    if (p->has_planned)
        protocol_let_go(p);
    return p->run.failed ? err_no_memory(err, p->dir, p->run.capacity) : ERR_NONE;
}

const char *protocol_folder(const struct protocol *p, enum stage stage)
{
    CHECK(!stage_of_seed(stage) || p->has_seed);
    return stage_of_seed(stage) ? str_text(&p->run) : p->dir;
}

int need_model(struct protocol *p, struct err *err)
{
    int status = p->has_model ? ERR_NONE : setup_open_model(&p->d.setup, err);
    p->has_model = !status;
    return status;
}

int need_rewards(struct protocol *p, struct err *err)
{
    return p->d.setup.has_rewards ? ERR_NONE : setup_open_rewards(&p->d.setup, err);
}

int need_data(struct protocol *p, struct err *err)
{
    int status = p->has_rows ? ERR_NONE : setup_open_data(&p->d.setup, err);
    p->has_rows = !status;
    return status;
}

int need_plan(struct protocol *p, struct err *err)
{
    int status = need_model(p, err);
    if (!status)
        status = need_data(p, err);
    if (!status)
        status = need_rewards(p, err);
    if (!status && !p->has_checked)
        status = setup_check(&p->d.setup, err);
    p->has_checked = !status;
    if (!status && !p->has_planned)
        mem_trim(); /* the plan counts what the process has: not what earlier stages had */
    if (!status && !p->has_planned)
        status = setup_plan(&p->d.setup, err);
    p->has_planned = !status;
    return status;
}
