/* bench.c: the folder, recipe and setup that a shape is measured with, and the order of lines; see
 * bench.h. The recipe is one that a user could write: the step is grpo_step on it. */
#include "bench/bench.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"

enum { ROWS = 4, CHARACTERS = 10 };

int bench_begin(struct bench *b, const struct bench_options *o, struct err *err)
{
    *b = (struct bench){.o = o};
    log_info("bench: what the machine can do");
    return machine_measure(&b->machine, o->device, o->quick, err);
}

int bench_end(struct bench *b, struct err *err)
{
    log_info("bench: what the machine can do, again");
    int status = machine_measure_again(&b->machine, b->o->device, b->o->quick, err);
    struct count_rates rates = machine_rates(&b->machine);
    if (!status)
        bench_floors(&b->lines, &rates);
    return status;
}

void bench_known(struct bench *b, const char *name, double *seconds, const struct bench_work *w)
{
    bench_add(&b->lines, b->name, name, seconds, b->o->repeats, w);
}

int bench_repeat(struct bench *b, const char *name, bench_once *once, void *context,
                 const struct bench_work *w, struct err *err)
{
    double seconds[BENCH_MAX_REPEATS];
    int status = ERR_NONE;
    log_info("bench: %s: %s", b->name, name);
    for (int i = -1; i < b->o->repeats && !status; i++) {
        double took = 0;
        status = interrupt_requested() ? err_set(err, ERR_INTERRUPTED, "bench", "interrupted")
                                       : once(context, &took, err);
        if (i >= 0)
            seconds[i] = took;
    }
    if (!status)
        bench_known(b, name, seconds, w);
    return status;
}

/* --- sizes --- */

static int chosen(int option, int shape)
{
    return option ? option : shape;
}

static void choose_sizes(struct bench *b, const struct bench_shape *shape)
{
    static const struct bench_sizes usual = {256, 512, 16, 32}, quick = {64, 32, 8, 8};
    const struct bench_sizes *o = &b->o->sizes, *own = b->o->quick ? &quick : &usual;
    if (shape)
        own = b->o->quick ? &shape->quick : &shape->usual;
    b->sizes = (struct bench_sizes){.prompt = chosen(o->prompt, own->prompt),
                                    .completion = chosen(o->completion, own->completion),
                                    .generations = chosen(o->generations, own->generations),
                                    .decoded = chosen(o->decoded, own->decoded)};
}

/* A model of a user's may have less room than the usual sizes take. */
static int check_sizes(const struct bench *b, const struct hf_config *c, struct err *err)
{
    const struct bench_sizes *s = &b->sizes;
    int longest = s->completion > s->decoded ? s->completion : s->decoded;
    if (s->prompt + longest <= c->max_position_embeddings)
        return ERR_NONE;
    return err_set(err, ERR_USAGE, b->name,
                   "prompts of %d tokens and completions of %d exceed the model's context of %d: "
                   "give smaller --prompt-tokens, --completion-tokens and --decode-tokens",
                   s->prompt, longest, c->max_position_embeddings);
}

/* --- folder and recipe --- */

static void write_count(struct json_writer *w, const char *key, long long value)
{
    jw_key(w, key);
    jw_int(w, value);
}

/* JSON is YAML. The reward tells completions apart by their length, whatever their text, so that
 * there is a gradient. */
static int write_recipe(const struct bench *b, const char *path, struct err *err)
{
    const struct bench_sizes *s = &b->sizes;
    struct str text = {0}, rows = {0};
    struct json_writer w;
    jw_begin(&w, &text);
    jw_object_begin(&w);
    jw_key(&w, "model");
    jw_text(&w, b->model);
    jw_key(&w, "data");
    jw_text(&w, path_join(&rows, b->folder, "rows.jsonl"));
    jw_key(&w, "rewards");
    jw_array_begin(&w);
    jw_object_begin(&w);
    jw_key(&w, "name");
    jw_text(&w, "length");
    jw_key(&w, "params");
    jw_object_begin(&w);
    write_count(&w, "target", (long long)CHARACTERS * s->completion);
    write_count(&w, "slack", (long long)CHARACTERS * s->completion);
    jw_object_end(&w);
    jw_object_end(&w);
    jw_array_end(&w);
    write_count(&w, "num_generations", s->generations);
    write_count(&w, "max_completion_length", s->completion);
    write_count(&w, "max_steps", b->o->repeats + 1);
    jw_key(&w, "speculation"); /* a pass is a token, as the floor counts */
    jw_bool(&w, false);
    jw_key(&w, "precision");
    jw_text(&w, b->o->device->precision == PRECISION_BF16 ? "bf16" : "f32");
    if (b->o->memory_gib > 0) {
        jw_key(&w, "memory_gib");
        jw_double(&w, b->o->memory_gib);
    }
    jw_object_end(&w);
    int status = text.failed || rows.failed ? err_no_memory(err, path, text.length)
                                            : file_write_atomic(path, text.data, text.length, err);
    str_free(&text);
    str_free(&rows);
    return status;
}

static int open_setup(struct bench *b, struct err *err)
{
    struct str path = {0};
    path_join(&path, b->folder, "recipe.json");
    int status = path.failed ? err_no_memory(err, "a path", path.capacity)
                             : write_recipe(b, str_text(&path), err);
    if (!status)
        status = train_recipe_load(&b->recipe, &b->train, str_text(&path), NULL, 0, false, err);
    str_free(&path);
    struct setup_spec spec = {.o = &b->train,
                              .recipe = b->recipe,
                              .device = b->o->device,
                              .weights = b->weights.set.count ? &b->weights.set : NULL};
    if (!status)
        status = setup_open(&b->setup, &spec, err);
    if (!status && !b->setup.codec.tokenizer)
        status = err_set(err, ERR_INPUT, b->model,
                         "has no tokenizer.json, and a step makes text of its completions");
    b->setup.codec.n_eos = 0; /* every completion goes to its end */
    return status;
}

/* --- a shape --- */

static int make_folder(struct bench *b, struct err *err)
{
    int n = snprintf(b->folder, sizeof b->folder, "%s/grpo-bench-XXXXXX", b->o->scratch);
    if (n >= (int)sizeof b->folder || !mkdtemp(b->folder)) {
        b->folder[0] = 0;
        return err_set(err, ERR_MACHINE, b->o->scratch,
                       "no temporary folder can be made here (%s): give --scratch DIR",
                       strerror(errno));
    }
    return ERR_NONE;
}

static int prepare(struct bench *b, const struct bench_shape *shape, struct err *err)
{
    struct hf_config config = {0};
    int status = make_folder(b, err);
    if (!status && shape)
        status = bench_shape_folder(shape, b->folder, err);
    if (shape)
        b->model = b->folder;
    if (!status)
        status = hf_config_open(&config, b->model, NULL, 0, err);
    if (!status)
        status = check_sizes(b, &config, err);
    if (!status && shape)
        status = bench_weights_create(&b->weights, &config, err);
    if (!status)
        status = bench_rows(b->folder, ROWS, b->sizes.prompt, config.vocab_size, err);
    return status ? status : open_setup(b, err);
}

static const struct {
    enum bench_part part;
    int (*lines)(struct bench *b, struct err *err);
} parts[] = {{BENCH_TEXT, bench_text_lines},
             {BENCH_ENGINE, bench_engine_lines},
             {BENCH_STEP, bench_step_lines}};

int bench_run(struct bench *b, const struct bench_shape *shape, const char *model_folder,
              struct err *err)
{
    b->model = model_folder;
    b->name = shape ? shape->name : model_folder;
    b->setup = (struct setup){0};
    b->recipe = NULL;
    choose_sizes(b, shape);
    int status = prepare(b, shape, err);
    for (size_t i = 0; i < ARRAY_LENGTH(parts) && !status; i++)
        if (b->o->part == BENCH_ALL || b->o->part == parts[i].part)
            status = parts[i].lines(b, err);
    setup_close(&b->setup);
    recipe_free(b->recipe);
    bench_weights_free(&b->weights);
    if (b->folder[0] && dir_remove(b->folder, status ? NULL : err) && !status)
        status = ERR_MACHINE;
    return status;
}
