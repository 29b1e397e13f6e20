/* audit_job.c: see audit_job.h. made_from.json is written last: a job that was killed before it
 * samples again, one that was killed after it goes on. */
#include "protocol/audit_job.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "data/classify.h"
#include "data/synth_rater.h"
#include "episode/batch.h"
#include "train/identity.h"

static const char *at(const struct audit_job *j, struct str *path, const char *name)
{
    struct str local = {0};
    str_printf(&local, "audit/%s", name);
    path_join(path, j->spec.out, str_text(&local));
    path->failed = path->failed || local.failed;
    str_free(&local);
    return str_text(path);
}

static int write_file(const struct audit_job *j, const char *name, const struct str *text,
                      struct err *err)
{
    struct str path = {0};
    at(j, &path, name);
    int status = text->failed || path.failed
                     ? err_no_memory(err, name, text->capacity)
                     : file_write_atomic(str_text(&path), str_text(text), text->length, err);
    str_free(&path);
    return status;
}

/* --- opening --- */

static int hash_model(char base[72], char init[72], const struct train_options *o, struct err *err)
{
    int status = identity_folder(base, o->model, err);
    if (!status && o->chat_template && chat_template_is_path(o->chat_template))
        status = identity_add_file(base, o->chat_template, err);
    if (!status && o->init_adapter)
        status = identity_folder(init, o->init_adapter, err);
    return status;
}

static uint64_t first_seed(const struct train_options *o)
{
    return (uint64_t)(o->seeds.count ? o->seeds.items[0] : o->seed);
}

static int identify(struct audit_job *j, struct err *err)
{
    const struct train_options *o = j->spec.o;
    struct identity files = {0};
    char base[72] = "", init[72] = "";
    const struct dataset *data[] = {&j->setup.data};
    json_t *rewards = recipe_node_json(o->rewards);
    int status = rewards ? hash_model(base, init, o, err) : err_no_memory(err, "rewards", 0);
    if (!status)
        status = identity_rewards(&files, &j->setup.rewards, data, 1, err);
    struct audit_subject subject = {.codec = &j->setup.codec,
                                    .rewards = &j->setup.rewards,
                                    .recipe_rewards = rewards,
                                    .model = base,
                                    .init_adapter = init,
                                    .reward_files = files.part[IDENTITY_REWARD_FILES],
                                    .settings = {.per_task = j->spec.per_task,
                                                 .max_completion_length = o->max_completion_length,
                                                 .seed = first_seed(o),
                                                 .stop_strings = o->stop_strings.items,
                                                 .n_stop_strings = o->stop_strings.count}};
    if (!status)
        status = audit_identify(&j->identity, &subject, &j->selection, err);
    identity_free(&files);
    json_decref(rewards);
    return status;
}

static int open_test(struct audit_job *j, struct err *err)
{
    const char *path = j->spec.o->test_data;
    int status = path ? dataset_open(&j->test, path, err) : ERR_NONE;
    j->has_test = path && !status;
    return status;
}

static int select_rows(struct audit_job *j, struct err *err)
{
    const struct dataset *held_out[2];
    int n = 0;
    if (j->setup.has_eval)
        held_out[n++] = &j->setup.eval_data;
    if (j->has_test)
        held_out[n++] = &j->test;
    int status = audit_select(&j->selection, &j->setup.data, held_out, n, j->spec.per_task,
                              first_seed(j->spec.o), err);
    if (!status && j->selection.short_tasks)
        log_warn("%zu tasks of %s have fewer than %d prompts that may be audited",
                 j->selection.short_tasks, j->setup.data.path, j->spec.per_task);
    return status;
}

int audit_job_open(struct audit_job *j, const struct audit_job_spec *spec, struct err *err)
{
    *j = (struct audit_job){.spec = *spec,
                            .gate = {spec->o->audit_min_rho, spec->o->audit_gate_on_lower_bound}};
    /* That training and evaluation rows are disjoint is another gate's to say. */
    struct setup_spec s = {.o = spec->o,
                           .recipe = spec->recipe,
                           .device = spec->device,
                           .evaluates = true,
                           .keep_gates = true};
    int status = setup_open(&j->setup, &s, err);
    j->has_setup = true;
    if (!status && !j->setup.codec.tokenizer)
        status =
            err_set(err, ERR_INPUT, spec->o->model, "has no tokenizer.json: an audit is of texts");
    if (!status)
        status = open_test(j, err);
    if (!status)
        status = select_rows(j, err);
    return status ? status : identify(j, err);
}

void audit_job_close(struct audit_job *j)
{
    audit_free(&j->audit);
    audit_identity_free(&j->identity);
    audit_selection_free(&j->selection);
    if (j->has_test)
        dataset_close(&j->test);
    if (j->has_setup)
        setup_close(&j->setup);
}

/* --- sampling --- */

struct sampling {
    model *model;
    adapter *adapter;
    rollout *rollout;
    struct episode_batch batch;
    bool has_batch;
    int longest;
};

enum { SIDE_BY_SIDE = 8 };

static void sampling_close(struct sampling *s)
{
    if (s->has_batch)
        episode_batch_free(&s->batch);
    rollout_free(s->rollout);
    adapter_close(s->adapter);
    if (s->model)
        model_close(s->model);
}

static int longest_prompt(const struct audit_job *j, int *longest, struct err *err)
{
    int limit = j->setup.config.max_position_embeddings, status = ERR_NONE;
    for (size_t i = 0; i < j->selection.n && !status; i++) {
        const struct row *row = j->selection.rows[i];
        struct ids ids = {0};
        status = text_codec_row(&j->setup.codec, &ids, row, err);
        if (!status && (int)ids.count + j->spec.o->max_completion_length - 1 > limit)
            status =
                err_set(err, ERR_INPUT, j->setup.data.path,
                        "row \"%.80s\" (line %ld) has %zu prompt tokens; with %d new ones "
                        "that exceeds the model's context of %d: lower "
                        "max_completion_length",
                        row->id, row->line, ids.count, j->spec.o->max_completion_length, limit);
        *longest = (int)ids.count > *longest ? (int)ids.count : *longest;
        ids_free(&ids);
    }
    return status;
}

static int sampling_open(struct sampling *s, const struct audit_job *j, struct err *err)
{
    const struct train_options *o = j->spec.o;
    int status = longest_prompt(j, &s->longest, err);
    if (!status)
        status = model_open(&s->model, j->spec.device, o->model,
                            s->longest + o->max_completion_length, err);
    if (!status && o->init_adapter)
        status = adapter_open(&s->adapter, s->model, o->init_adapter, err);
    if (!status)
        status =
            rollout_create(&s->rollout, s->model, s->adapter ? adapter_config(s->adapter) : NULL,
                           SIDE_BY_SIDE, SIDE_BY_SIDE * s->longest, o->max_completion_length, err);
    if (!status && !o->speculation)
        rollout_speculate(s->rollout, SPECULATION_OFF);
    if (!status)
        status =
            episode_batch_create(&s->batch, SIDE_BY_SIDE, 1, o->max_completion_length, NULL, err);
    s->has_batch = !status;
    return status;
}

static const char *keep(struct audit *a, const char *text, size_t length)
{
    return arena_strndup(&a->arena, text, length);
}

static int keep_sample(struct audit *a, const struct row *row, const struct episode_sample *s,
                       struct err *err)
{
    const json_t *reference = json_object_get(row->json, "reference");
    struct str shown = {0};
    struct json_writer w;
    jw_begin(&w, &shown);
    if (reference)
        jw_value(&w, reference);
    struct audit_item *item = &a->items[a->n];
    *item = (struct audit_item){
        .id = keep(a, row->id, strlen(row->id)),
        .task = keep(a, row->task, strlen(row->task)),
        .prompt = keep(a, row->user_text, strlen(row->user_text)),
        .reference = keep(a, str_text(&shown), shown.length),
        .completion = keep(a, str_text(&s->text), s->text.length),
        .completion_length = s->text.length,
        .stop_reason = stop_reason_name(s->completion.stop),
        .automatic = NAN,
    };
    bool lost = shown.failed || !item->id || !item->task || !item->prompt || !item->reference ||
                !item->completion;
    str_free(&shown);
    a->n++;
    return lost ? err_no_memory(err, "the audit's completions", s->text.length) : ERR_NONE;
}

static int sample_batch(struct sampling *s, struct audit_job *j, size_t first, struct err *err)
{
    struct episode_batch *b = &s->batch;
    struct episode e = {.codec = &j->setup.codec,
                        .rollout = s->rollout,
                        .stop = interrupt_requested,
                        .stops = &j->setup.stops};
    struct rollout_options how = {.max_new_tokens = j->spec.o->max_completion_length,
                                  .temperature = AUDIT_TEMPERATURE,
                                  .eos = j->setup.codec.eos,
                                  .n_eos = j->setup.codec.n_eos};
    b->count = 0;
    for (size_t i = first; i < j->selection.n && b->count < b->capacity; i++) {
        struct episode_group *group = &b->groups[b->count++];
        group->row = j->selection.rows[i];
        group->key = (struct rng_key){
            .seed = first_seed(j->spec.o), .purpose = RNG_AUDIT, .row = group->row->key};
        group->first_sample = 0;
        group->n = 1;
    }
    int status = episode_encode(&e, b, SIDE_BY_SIDE * s->longest, err);
    if (!status)
        status = episode_run(&e, s->adapter, &how, b, err);
    for (int g = 0; g < b->count && !status; g++)
        status = keep_sample(&j->audit, b->groups[g].row, &b->groups[g].samples[0], err);
    return status;
}

static int sample(struct audit_job *j, struct err *err)
{
    struct sampling s = {0};
    struct progress progress;
    j->audit.items = mem_calloc(j->selection.n, sizeof *j->audit.items);
    int status = j->audit.items ? sampling_open(&s, j, err)
                                : err_no_memory(err, "the audit", j->selection.n);
    progress_begin(&progress, "completions of the audit", (long)j->selection.n);
    for (size_t i = 0; i < j->selection.n && !status; i += SIDE_BY_SIDE) {
        status = sample_batch(&s, j, i, err);
        progress_step(&progress, (long)j->audit.n, NULL);
    }
    progress_end(&progress);
    sampling_close(&s);
    return status;
}

/* --- completions that are there --- */

/* Whether someone has put a score into scores.csv (or something that is not understood). */
static int somebody_scored(const struct audit_job *j, bool *scored, struct err *err)
{
    struct audit old = {0};
    struct str path = {0}, text = {0};
    int status = ERR_NONE;
    *scored = false;
    if (file_exists(at(j, &path, "scores.csv"))) {
        status = file_read(&text, str_text(&path), err);
        struct err ignored;
        *scored = audit_completions_read(&old, at(j, &path, "completions.jsonl"), &ignored) ||
                  audit_sheet_read(&old, str_text(&text), text.length, "", false, &ignored) ||
                  audit_count(&old, AUDIT_OPEN) < old.n;
    }
    audit_free(&old);
    str_free(&path);
    str_free(&text);
    return status;
}

static void put_source(struct str *out, const struct audit_job *j)
{
    const char *members[][2] = {{"model_sha256", j->identity.model_sha256},
                                {"prompts_sha256", j->identity.prompts_sha256},
                                {"completions_sha256", j->completions_sha256}};
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        jw_key(&w, members[i][0]);
        jw_text(&w, members[i][1]);
    }
    jw_object_end(&w);
    str_putc(out, '\n');
}

/* *ours: the completions in the folder are of this model and these prompts, and as they were
 * written; j->completions_sha256 is then theirs. */
static int look(struct audit_job *j, bool *ours, struct err *err)
{
    struct str path = {0}, text = {0}, expected = {0};
    int status = ERR_NONE;
    *ours = false;
    if (file_exists(at(j, &path, "completions.jsonl")))
        status = sha256_file(j->completions_sha256, str_text(&path), err);
    if (!status && file_exists(at(j, &path, "made_from.json")))
        status = file_read(&text, str_text(&path), err);
    put_source(&expected, j);
    if (!status)
        *ours = text.length && text.length == expected.length &&
                memcmp(text.data, expected.data, text.length) == 0;
    str_free(&path);
    str_free(&text);
    str_free(&expected);
    return status;
}

static int read_marks(struct audit_job *j, struct err *err)
{
    struct str path = {0}, text = {0};
    int status = ERR_NONE;
    if (file_exists(at(j, &path, "scores.csv")))
        status = file_read(&text, str_text(&path), err);
    if (!status && text.length)
        status =
            audit_sheet_read(&j->audit, str_text(&text), text.length, str_text(&path), false, err);
    str_free(&path);
    str_free(&text);
    return status;
}

static int take_over(struct audit_job *j, struct err *err)
{
    struct str path = {0};
    int status = audit_completions_read(&j->audit, at(j, &path, "completions.jsonl"), err);
    bool same = !status && j->audit.n == j->selection.n;
    for (size_t i = 0; i < j->audit.n && same; i++)
        same = strcmp(j->audit.items[i].id, j->selection.rows[i]->id) == 0;
    if (!status && !same)
        status = err_set(err, ERR_INPUT, str_text(&path),
                         "is not as `grpo audit` wrote it: remove the folder");
    str_free(&path);
    return status ? status : read_marks(j, err);
}

static int make_anew(struct audit_job *j, struct err *err)
{
    struct str path = {0}, text = {0};
    int status = dir_make(at(j, &path, ""), err);
    if (!status && file_exists(at(j, &path, "made_from.json")) && remove(str_text(&path)))
        status = err_set(err, ERR_MACHINE, str_text(&path), "cannot be removed");
    if (!status)
        status = sample(j, err);
    if (!status) {
        audit_completions_write(&text, &j->audit);
        status = write_file(j, "completions.jsonl", &text, err);
        sha256_hex(j->completions_sha256, str_text(&text), text.length);
    }
    /* From here on they are what the file says, be it read now or by the next command. */
    audit_free(&j->audit);
    if (!status)
        status = audit_completions_read(&j->audit, at(j, &path, "completions.jsonl"), err);
    if (!status)
        status = audit_job_save_scores(j, err);
    str_clear(&text);
    put_source(&text, j);
    if (!status)
        status = write_file(j, "made_from.json", &text, err);
    str_free(&path);
    str_free(&text);
    return status;
}

int audit_job_completions(struct audit_job *j, struct err *err)
{
    bool ours, scored = false;
    int status = look(j, &ours, err);
    if (!status && ours && !j->spec.restart)
        return take_over(j, err);
    if (!status && !j->spec.restart)
        status = somebody_scored(j, &scored, err);
    if (!status && scored)
        status = err_set(
            err, ERR_USAGE, j->spec.out,
            "holds human scores of completions of another model or other prompts (or "
            "of a file that was changed), which would be lost: give another --out, remove its "
            "folder audit, or begin anew with `grpo audit --restart`");
    return status ? status : make_anew(j, err);
}

int audit_job_save_scores(struct audit_job *j, struct err *err)
{
    struct str text = {0};
    audit_sheet_write(&text, &j->audit);
    int status = write_file(j, "scores.csv", &text, err);
    str_free(&text);
    return status;
}

/* --- scores --- */

int audit_job_score(struct audit_job *j, struct err *err)
{
    const struct reward_set *set = &j->setup.rewards;
    double *values = mem_calloc((size_t)set->count + 1, sizeof *values);
    if (!values)
        return err_no_memory(err, "the audit's scores", (size_t)set->count);
    for (size_t i = 0; i < j->audit.n; i++) {
        struct audit_item *item = &j->audit.items[i];
        struct slice group = {item->completion, item->completion_length};
        struct scored scored = {.values = values};
        episode_score(set, j->selection.rows[i], &group, 1, 0, &scored);
        item->automatic = scored.valid ? scored.total : NAN;
    }
    mem_free(values);
    return ERR_NONE;
}

int audit_job_simulate(struct audit_job *j, struct err *err)
{
    struct str folder = {0}, text = {0};
    const char *path = j->setup.data.path, *slash = strrchr(path, '/');
    int status = ERR_NONE;
    if (slash)
        str_append(&folder, path, (size_t)(slash - path));
    else
        str_putc(&folder, '.');
    for (size_t i = 0; i < j->audit.n && !status; i++) {
        struct audit_item *item = &j->audit.items[i];
        int grade = 0;
        status = synth_rate(&grade, j->selection.rows[i], item->completion, item->completion_length,
                            str_text(&folder), err);
        item->mark = AUDIT_SCORED;
        item->human = grade;
    }
    if (status)
        err_prefix(err, path);
    audit_sheet_write(&text, &j->audit);
    if (!status)
        status = write_file(j, "simulated.csv", &text, err);
    str_free(&folder);
    str_free(&text);
    return status;
}

int audit_job_finish(struct audit_job *j, bool simulated, struct audit_result *out,
                     struct str *json, struct err *err)
{
    struct str text = {0}, plot = {0};
    int status = audit_judge(out, &j->audit, &j->gate, simulated, err);
    if (status)
        return status;
    audit_plot_svg(&plot, &j->audit, out);
    status = write_file(j, "scatter.svg", &plot, err);
    audit_json(&text, &j->audit, out, &j->identity, j->completions_sha256);
    if (!status)
        status = write_file(j, "audit.json", &text, err);
    if (json)
        str_append(json, str_text(&text), text.length);
    str_free(&text);
    str_free(&plot);
    if (status)
        audit_result_free(out);
    return status;
}
