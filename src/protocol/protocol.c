/* protocol.c: the table of stages and the way through it; see protocol.h.
 *
 * A stage is skipped when its record let it pass, its inputs' hashes are the same and its outputs
 * are there. Among the inputs are digests of the records of the stages it needs (without their
 * clocks), so that a stage that came out differently makes those behind it run again. Nothing else
 * is remembered: a run that is killed at any moment has whole records and no half ones, and what
 * has none is done again with the same draws.
 *
 * Shared stages are done under a lock of DIR, one process after the other; seeds in a process each
 * (seeds.c), which is this same way with --seeds N --from smoke --to save. */
#include "protocol/protocol.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "protocol/parts.h"
#include "train/run_folder.h"

#define IN(input) (1u << INPUT_##input)
#define AFTER(stage) (1u << STAGE_##stage)

const char *const stage_names[N_STAGES + 2] = {
    "env",     "config", "model", "tokens", "kv",       "rewards", "audit",  "evalset",
    "dataset", "smoke",  "probe", "train",  "validate", "save",    "report", "all"};

static const struct {
    const char *purpose;
    bool of_seed;
    unsigned inputs, needs; /* bits of enum input; of enum stage */
    stage_run *run;
} stages[N_STAGES] = {
    [STAGE_ENV] = {"machine, instruction set and build are recorded", false, IN(BUILD) | IN(DEVICE),
                   0, stage_env},
    [STAGE_CONFIG] = {"the recipe is valid; resolved, with its hash", false, IN(WHOLE), 0,
                      stage_config},
    [STAGE_MODEL] = {"weights, tokenizer and template load", false, IN(MODEL) | IN(CHAT),
                     AFTER(ENV), stage_model},
    [STAGE_TOKENS] = {"special tokens, template and EOS ids agree", false, 0, AFTER(MODEL),
                      stage_tokens},
    [STAGE_KV] = {"decoding with the cache is a full pass, bit for bit", false, IN(RECIPE),
                  AFTER(MODEL), stage_kv},
    [STAGE_REWARDS] = {"no reward pays a bad fixture as much as a good one", false, IN(REWARDS),
                       AFTER(ENV), stage_rewards},
    [STAGE_AUDIT] = {"rewards agree with a person's scores", false, IN(AUDIT) | IN(MODEL),
                     AFTER(REWARDS), stage_audit},
    [STAGE_EVALSET] = {"evaluation rows as first seen, and not trained on", false,
                       IN(DATA) | IN(EVAL_DATA) | IN(TEST_DATA) | IN(COUNTS), AFTER(ENV),
                       stage_evalset},
    [STAGE_DATASET] = {"every prompt fits; the plan", false,
                       IN(RECIPE) | IN(DATA) | IN(EVAL_DATA) | IN(REFERENCES),
                       AFTER(TOKENS) | AFTER(REWARDS) | AFTER(EVALSET), stage_dataset},
    [STAGE_SMOKE] = {"one step: memory as planned, a gradient everywhere", true,
                     IN(RECIPE) | IN(SEED) | IN(REPLAY), AFTER(KV) | AFTER(DATASET), stage_smoke},
    [STAGE_PROBE] = {"ten steps show a signal to learn from", true, IN(RECIPE) | IN(SEED),
                     AFTER(SMOKE), stage_probe},
    [STAGE_TRAIN] = {"the training", true, IN(RECIPE) | IN(SEED) | IN(REFERENCES),
                     AFTER(PROBE) | AFTER(AUDIT), stage_train},
    [STAGE_VALIDATE] = {"best checkpoint beside the untouched base", true,
                        IN(ADAPTER) | IN(RECIPE) | IN(SEED) | IN(MODEL) | IN(REWARDS) |
                            IN(REFERENCES) | IN(EVAL_DATA) | IN(TEST_DATA),
                        0, stage_validate},
    [STAGE_SAVE] = {"the adapter in PEFT's format, read again and equal", true,
                    IN(ADAPTER) | IN(MODEL), 0, stage_save},
    [STAGE_REPORT] = {"the table over seeds and the four questions", false,
                      IN(SEEDS) | IN(REPORT) | IN(WHOLE), AFTER(AUDIT) | AFTER(EVALSET),
                      stage_report},
};

const char *stage_name(enum stage stage)
{
    return stage_names[stage];
}

const char *stage_purpose(enum stage stage)
{
    return stages[stage].purpose;
}

bool stage_of_seed(enum stage stage)
{
    return stages[stage].of_seed;
}

int stage_by_name(const char *name, const char *where, struct err *err)
{
    struct str known = {0};
    for (int s = 0; s < N_STAGES; s++) {
        if (strcmp(name, stage_names[s]) == 0) {
            str_free(&known);
            return s;
        }
        str_printf(&known, "%s%s", s ? ", " : "", stage_names[s]);
    }
    int near = str_nearest(name, stage_names, N_STAGES);
    err_set(err, ERR_USAGE, where, "there is no stage \"%.60s\"%s%s%s; there are %s", name,
            near < 0 ? "" : "; did you mean \"", near < 0 ? "" : stage_names[near],
            near < 0 ? "" : "\"?", str_text(&known));
    str_free(&known);
    return -1;
}

/* --- one stage --- */

/* The digest of a record that is there, for those who need it: "" for one that is not. */
static int digest_of(struct protocol *p, enum stage stage, const char **out, struct err *err)
{
    char *kept = p->digest[stage];
    json_t *saved = NULL;
    int status =
        kept[0] ? ERR_NONE : gate_read(&saved, protocol_folder(p, stage), stage_name(stage), err);
    if (!status && saved)
        status = gate_digest(kept, saved, err);
    json_decref(saved);
    *out = kept[0] ? kept : "none";
    return status;
}

/* The report needs what every seed has come to. */
static int seeds_digests(struct protocol *p, struct gate_record *g, struct err *err)
{
    static const enum stage last[] = {STAGE_SMOKE, STAGE_PROBE, STAGE_TRAIN, STAGE_VALIDATE,
                                      STAGE_SAVE};
    struct str all = {0};
    int status = ERR_NONE;
    for (int i = 0; i < p->n_seeds && !status; i++) {
        status = protocol_take_seed(p, p->seeds[i], err);
        for (size_t k = 0; k < ARRAY_LENGTH(last) && !status; k++) {
            const char *digest;
            status = digest_of(p, last[k], &digest, err);
            str_printf(&all, "%s\n", digest);
        }
    }
    if (!status && all.failed)
        status = err_no_memory(err, "the seeds", all.capacity);
    if (!status)
        sha256_hex(gate_hashes_add(&g->inputs, "runs"), str_text(&all), all.length);
    str_free(&all);
    return status;
}

static int take_inputs(struct protocol *p, enum stage stage, struct gate_record *g, struct err *err)
{
    const char *hash;
    int status = ERR_NONE;
    for (int i = 0; i < N_INPUTS && !status; i++) {
        if (!(stages[stage].inputs & 1u << i))
            continue;
        status = input_hash(p, (enum input)i, &hash, err);
        if (!status)
            snprintf(gate_hashes_add(&g->inputs, input_name((enum input)i)), 72, "%s", hash);
    }
    for (int s = 0; s < N_STAGES && !status; s++) {
        if (!(stages[stage].needs & 1u << s))
            continue;
        status = digest_of(p, (enum stage)s, &hash, err);
        if (!status)
            snprintf(gate_hashes_add(&g->inputs, stage_names[s]), 72, "%s", hash);
    }
    return status || stage != STAGE_REPORT ? status : seeds_digests(p, g, err);
}

static bool forced(const struct protocol *p, enum stage stage)
{
    return p->spec->force == (int)stage || p->spec->force == N_STAGES;
}

static void say(const struct protocol *p, enum stage stage, const char *verdict, const char *text,
                double seconds, bool unchanged)
{
    const struct stage_line line = {.stage = stage_names[stage],
                                    .verdict = verdict,
                                    .text = text,
                                    .unchanged = unchanged,
                                    .has_seed = stages[stage].of_seed,
                                    .seed = p->d.o.seed,
                                    .seconds = seconds};
    p->spec->say(p->spec->user, &line);
}

/* Whether the record still holds; *g has the inputs then. A record that cannot be read is no
 * record; but the one of the evaluation set holds what must not be forgotten. */
static int look(struct protocol *p, enum stage stage, struct gate_record *g, json_t **saved,
                bool *current, struct err *err)
{
    const char *folder = protocol_folder(p, stage);
    *saved = NULL;
    *current = false;
    int status = take_inputs(p, stage, g, err);
    if (!status && gate_read(saved, folder, stage_names[stage], err)) {
        if (err->code != ERR_INPUT || stage == STAGE_EVALSET)
            return (int)err->code;
        *err = (struct err){0};
    }
    if (!status)
        *current = gate_is_current(*saved, &g->inputs, folder);
    return status;
}

static void fail(struct gate_record *g, const struct err *why)
{
    g->seconds += clock_seconds();
    g->verdict = OUTCOME_FAIL;
    g->error = *why;
    gate_record_say(g, "%s%s%s", why->where, why->where[0] ? ": " : "", why->message);
}

/* Runs it; an error is the verdict "fail". */
static int perform(struct protocol *p, enum stage stage, struct gate_record *g, struct err *err)
{
    p->d.said_no = (struct err){0};
    p->digest[stage][0] = 0;
    int status = stages[stage].run(p, g, err);
    if (status == ERR_INTERRUPTED)
        return status;
    if (!status && g->error.code) { /* memory, while the record was put together */
        *err = g->error;
        status = (int)err->code;
    }
    if (status)
        fail(g, err);
    else
        g->seconds += clock_seconds();
    return status;
}

static int finish(struct protocol *p, enum stage stage, struct gate_record *g, int status,
                  struct err *err)
{
    struct err writing = {0};
    if (status == ERR_INTERRUPTED)
        return status;
    int written = gate_write(protocol_folder(p, stage), g, &writing);
    say(p, stage, outcome_name(g->verdict), g->text, g->seconds, false);
    p->result.ran++;
    if (written && !status)
        *err = writing;
    return status ? status : written;
}

static int run_stage(struct protocol *p, enum stage stage, struct err *err)
{
    struct gate_record g;
    json_t *saved = NULL;
    bool current = false;
    int status = gate_record_begin(&g, stage_names[stage], err);
    if (!status)
        status = look(p, stage, &g, &saved, &current, err);
    if (!status && current && !forced(p, stage)) {
        p->result.unchanged++;
        say(p, stage, "skipped", "unchanged", 0, true);
    } else if (!status) {
        if (forced(p, stage) && stage != STAGE_EVALSET)
            status = gate_remove(protocol_folder(p, stage), stage_names[stage], err);
        if (!status)
            status = finish(p, stage, &g, perform(p, stage, &g, err), err);
    } else if (status != ERR_INTERRUPTED) { /* what it depends on cannot even be read */
        fail(&g, err);
        if (stage == STAGE_EVALSET) /* its record holds what must not be forgotten */
            say(p, stage, "fail", g.text, g.seconds, false);
        else
            status = finish(p, stage, &g, status, err);
    }
    json_decref(saved);
    gate_record_free(&g);
    return status;
}

/* Stages before --from are not run, but must have passed. */
static int require_stage(struct protocol *p, enum stage stage, struct err *err)
{
    struct gate_record g;
    json_t *saved = NULL;
    bool current = false;
    int status = gate_record_begin(&g, stage_names[stage], err);
    if (!status)
        status = look(p, stage, &g, &saved, &current, err);
    if (!status && !current)
        status = err_set(err, ERR_USAGE, "--from",
                         "expected stage %s to have passed with what is there now; its record in "
                         "%.300s/gates %s: run without --from, or from there",
                         stage_names[stage], protocol_folder(p, stage),
                         saved ? "says no, or something it depends on has changed" : "is missing");
    json_decref(saved);
    gate_record_free(&g);
    return status;
}

static int check_interrupt(const struct protocol *p, struct err *err)
{
    return interrupt_requested()
               ? err_set(err, ERR_INTERRUPTED, p->dir,
                         "interrupted; the same command goes on from what is saved")
               : ERR_NONE;
}

/* Stages of one kind (shared or a seed's) in their order. */
static int run_stages(struct protocol *p, enum stage first, enum stage last, struct err *err)
{
    int status = ERR_NONE;
    for (int s = first; s <= (int)last && !status; s++) {
        if (s > p->spec->to)
            break;
        status = check_interrupt(p, err);
        if (!status)
            status = s < p->spec->from ? require_stage(p, (enum stage)s, err)
                                       : run_stage(p, (enum stage)s, err);
    }
    return status;
}

/* --- folders --- */

/* Waits until no other process works in FOLDER; says so once. */
static int wait_for_lock(int *lock, const char *folder, struct err *err)
{
    bool told = false;
    int status = dir_make(folder, err);
    while (!status && run_folder_lock(lock, folder, err)) {
        if (*lock >= 0)
            close(*lock);
        *lock = -1;
        if (err->code != ERR_USAGE || interrupt_requested())
            return (int)err->code;
        if (!told)
            log_info("waiting for another grpo process in %s", folder);
        told = true;
        poll(NULL, 0, 50);
    }
    return status;
}

static int clean_gates(const char *folder, struct err *err)
{
    struct str path = {0};
    path_join(&path, folder, "gates");
    int status =
        path.failed ? err_no_memory(err, folder, path.capacity) : dir_make(str_text(&path), err);
    if (!status)
        status = run_folder_clean(str_text(&path), err);
    if (!status)
        status = run_folder_clean(folder, err);
    str_free(&path);
    return status;
}

/* --- a seed --- */

static bool same_file(const char *folder_a, const char *folder_b, const char *name)
{
    struct str a = {0}, b = {0}, text_a = {0}, text_b = {0};
    path_join(&a, folder_a, name);
    path_join(&b, folder_b, name);
    bool same = !a.failed && !b.failed && file_exists(str_text(&b)) &&
                !file_read(&text_a, str_text(&a), NULL) &&
                !file_read(&text_b, str_text(&b), NULL) && text_a.length == text_b.length &&
                memcmp(str_text(&text_a), str_text(&text_b), text_a.length) == 0;
    str_free(&a);
    str_free(&b);
    str_free(&text_a);
    str_free(&text_b);
    return same;
}

/* Everything downstream reads a run folder alone: it gets the shared records too. */
static int copy_gates(const struct protocol *p, struct err *err)
{
    struct str from = {0}, to = {0};
    path_join(&from, p->dir, "gates");
    path_join(&to, str_text(&p->run), "gates");
    int status = from.failed || to.failed ? err_no_memory(err, p->dir, from.capacity) : ERR_NONE;
    for (int s = STAGE_ENV; s <= STAGE_DATASET && !status; s++) {
        char name[32];
        snprintf(name, sizeof name, "%s.json", stage_names[s]);
        if (!same_file(str_text(&from), str_text(&to), name))
            status = run_folder_copy(str_text(&from), str_text(&to), name, err);
    }
    str_free(&from);
    str_free(&to);
    return status;
}

static int run_seed_here(struct protocol *p, struct err *err)
{
    struct str gates = {0};
    int lock = -1, status = protocol_take_seed(p, p->seeds[0], err);
    path_join(&gates, str_text(&p->run), "gates");
    if (!status && gates.failed)
        status = err_no_memory(err, p->dir, gates.capacity);
    if (!status)
        status = wait_for_lock(&lock, str_text(&gates), err);
    if (!status)
        status = clean_gates(str_text(&p->run), err);
    if (!status)
        status = copy_gates(p, err);
    if (!status)
        status = run_stages(p, STAGE_SMOKE, STAGE_SAVE, err);
    if (lock >= 0)
        close(lock);
    str_free(&gates);
    return status;
}

/* --- all seeds --- */

/* Whether anything of this seed has to run; said of each stage where nothing has. */
static int seed_is_due(struct protocol *p, struct seed_state *s, struct err *err)
{
    int from = p->spec->from > STAGE_SMOKE ? p->spec->from : STAGE_SMOKE;
    int to = p->spec->to < STAGE_SAVE ? p->spec->to : STAGE_SAVE;
    int status = protocol_take_seed(p, s->seed, err);
    for (int stage = STAGE_SMOKE; stage <= to && !status && !s->due; stage++) {
        struct gate_record g;
        json_t *saved = NULL;
        bool current = false;
        status = gate_record_begin(&g, stage_names[stage], err);
        if (!status)
            status = look(p, (enum stage)stage, &g, &saved, &current, err);
        s->due = !current || forced(p, (enum stage)stage);
        json_decref(saved);
        gate_record_free(&g);
    }
    for (int stage = from; stage <= to && !status && !s->due; stage++) {
        p->result.unchanged++;
        say(p, (enum stage)stage, "skipped", "unchanged", 0, true);
    }
    return status || s->due ? status : copy_gates(p, err);
}

/* The first seed that did not come through decides the outcome; all of them are named. */
static int judge_seeds(struct protocol *p, const struct seed_state *seeds, struct err *err)
{
    struct str names = {0};
    int status = ERR_NONE, failed = 0;
    for (int i = 0; i < p->n_seeds; i++) {
        const struct seed_state *s = &seeds[i];
        p->result.ran += s->due;
        if (!s->due || !s->status)
            continue;
        status = status ? status : s->status;
        failed++;
        str_printf(&names, "%sseed %d (%s %d)", names.length ? ", " : "", s->seed,
                   s->signal ? "signal" : "status", s->signal ? s->signal : s->status);
    }
    if (status)
        status = err_set(err, (enum err_code)status, p->dir,
                         "%.600s did not come through%s. The same command goes on with what is "
                         "missing",
                         str_text(&names), failed < p->n_seeds ? "; the others did" : "");
    str_free(&names);
    return status;
}

static int run_seeds(struct protocol *p, struct err *err)
{
    struct seed_state *seeds = mem_calloc((size_t)p->n_seeds, sizeof *seeds);
    int status = seeds ? ERR_NONE : err_no_memory(err, "the seeds", 0);
    for (int i = 0; i < p->n_seeds && !status; i++) {
        seeds[i] = (struct seed_state){.seed = p->seeds[i], .status = -1};
        status = seed_is_due(p, &seeds[i], err);
    }
    protocol_let_go(p);
    if (!status)
        status = seeds_run(p, seeds, p->n_seeds, err);
    if (!status)
        status = judge_seeds(p, seeds, err);
    mem_free(seeds);
    return status;
}

/* --- the way through --- */

static int run_shared(struct protocol *p, enum stage first, enum stage last, struct err *err)
{
    int lock = -1, status = wait_for_lock(&lock, p->dir, err);
    if (!status)
        status = clean_gates(p->dir, err);
    if (!status)
        status = run_stages(p, first, last, err);
    if (lock >= 0)
        close(lock);
    return status;
}

/* One seed and nothing shared: it is done here, by the process that was started for it. */
static bool is_one_seed(const struct protocol *p)
{
    return p->n_seeds == 1 && p->spec->from >= STAGE_SMOKE && p->spec->from <= STAGE_SAVE &&
           p->spec->to <= STAGE_SAVE;
}

static int run_all(struct protocol *p, struct err *err)
{
    const struct protocol_spec *spec = p->spec;
    const char *hash;
    /* A file that is not there is said before the minutes that come before it. */
    int status = spec->smoke_replay && spec->to >= STAGE_SMOKE
                     ? input_hash(p, INPUT_REPLAY, &hash, err)
                     : ERR_NONE;
    if (!status)
        status = run_shared(p, STAGE_ENV, STAGE_DATASET, err);
    if (status || spec->to < STAGE_SMOKE)
        return status;
    if (is_one_seed(p))
        return run_seed_here(p, err);
    status = run_seeds(p, err);
    return status ? status : run_shared(p, STAGE_REPORT, STAGE_REPORT, err);
}

int protocol_run(const struct protocol_spec *spec, struct protocol_result *result, struct err *err)
{
    struct protocol *p = mem_calloc(1, sizeof *p);
    *result = (struct protocol_result){0};
    if (!p)
        return err_no_memory(err, "the protocol", sizeof *p);
    int status = protocol_open(p, spec, err);
    if (!status)
        status = run_all(p, err);
    *result = p->result;
    protocol_close(p);
    mem_free(p);
    return status;
}
