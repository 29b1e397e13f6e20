/* cmd_bench.c: how fast this machine is, and how near to that each part of a step comes; bench/. */
#include <math.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "bench/bench.h"
#include "cli/commands.h"
#include "cli/lines.h"

struct bench_command {
    int shape; /* index into shape_names */
    int part;  /* enum bench_part */
    const char *model, *reference, *scratch;
    bool quick;
    int repeats, prompt, completion, generations, decoded;
    double tolerance, memory_gib;
};

/* In the order of bench_shapes; the last one is all of them. */
static const char *const shape_names[] = {"builtin", "smollm2-135m", "tucano2-0.5b", "all", NULL};
enum { ALL_SHAPES = 3 };
static const char *const part_names[] = {"all", "text", "engine", "step", NULL};

static const char how_counted[] =
    "operations (a multiply-add is two) of the products with weights, adapter, attention and LM "
    "head, divided by the matrix rate, or bytes of weights, keys and values read, divided by the "
    "read rate, whichever is longer; of parts that wait for each other the sum "
    "(src/bench/counts.h)";

static int run_shapes(struct bench *b, const struct bench_command *c, struct err *err)
{
    if (c->model)
        return bench_run(b, NULL, c->model, err);
    int status = ERR_NONE;
    CHECK(bench_n_shapes == ALL_SHAPES);
    for (int i = 0; i < bench_n_shapes && !status; i++)
        if (c->shape == i || c->shape == ALL_SHAPES)
            status = bench_run(b, &bench_shapes[i], NULL, err);
    return status;
}

static void write_size(struct json_writer *w, const char *key, int value)
{
    jw_key(w, key);
    jw_int(w, value);
}

static void render_json(struct str *out, const struct bench *b, const struct bench_comparison *c)
{
    struct json_writer w;
    jw_begin(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "version");
    jw_text(&w, GRPO_VERSION);
    jw_key(&w, "machine");
    machine_write(&w, &b->machine);
    jw_key(&w, "quick");
    jw_bool(&w, b->o->quick);
    write_size(&w, "repeats", b->o->repeats);
    jw_key(&w, "floor");
    jw_text(&w, how_counted);
    jw_key(&w, "phases");
    jw_array_begin(&w);
    for (int i = 0; i < b->lines.n; i++)
        bench_line_write(&w, &b->lines.line[i]);
    jw_array_end(&w);
    if (c) {
        jw_key(&w, "reference");
        bench_comparison_write(&w, c, &b->lines);
    }
    jw_object_end(&w);
    str_putc(out, '\n');
}

static void render_text(struct str *out, const struct bench *b, const struct bench_comparison *c)
{
    machine_print(out, &b->machine);
    str_printf(out, "floor: %s\n", how_counted);
    for (int i = 0; i < b->lines.n; i++) {
        const struct bench_line *line = &b->lines.line[i];
        if (!i || strcmp(line->shape, line[-1].shape) != 0) {
            str_printf(out, "\n%s\n", line->shape);
            bench_lines_header(out);
        }
        bench_line_print(out, line);
    }
    if (c)
        bench_comparison_print(out, c, &b->lines);
}

/* Read first: a file that is not there should not cost a run. */
static int open_reference(struct bench_comparison *c, const char *path, struct err *err)
{
    struct str text = {0};
    int status = file_read(&text, path, err);
    c->path = path;
    if (!status && !(c->stored = json_read(text.data, text.length, JSON_PLAIN, path, err)))
        status = ERR_INPUT;
    str_free(&text);
    return status;
}

static int measure_and_print(const struct common *common, const struct bench_command *c,
                             const struct bench_options *o, struct bench_comparison *reference,
                             struct err *err)
{
    struct bench *b = mem_calloc(1, sizeof *b);
    struct str text = {0};
    int status = b ? bench_begin(b, o, err) : err_no_memory(err, "the bench", sizeof *b);
    if (!status)
        status = run_shapes(b, c, err);
    if (!status)
        status = bench_end(b, err);
    if (!status && reference)
        status = bench_compare(reference, &b->lines, b->machine.kind, err);
    if (!status) {
        (common->json ? render_json : render_text)(&text, b, reference);
        status = print_text(&text, err);
    }
    if (!status && reference)
        status = bench_comparison_verdict(reference, &b->lines, err);
    str_free(&text);
    mem_free(b);
    return status;
}

static int check(const struct common *common, const struct bench_command *c, struct err *err)
{
    if (c->model && args_given(&command_bench, common, "shape"))
        return err_set(err, ERR_USAGE, "--model", "and --shape are both given: choose one");
    if (c->decoded == 1)
        return err_set(err, ERR_USAGE, "--decode-tokens",
                       "is 1: the first token comes with the prompt, expected at least 2");
    if (!c->reference && args_given(&command_bench, common, "tolerance"))
        return err_set(err, ERR_USAGE, "--tolerance", "needs --reference FILE");
    return ERR_NONE;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct bench_command *c = options;
    struct bench_comparison reference = {.tolerance = c->tolerance};
    struct bench_options o = {
        .sizes = {c->prompt, c->completion, c->generations, c->decoded},
        .repeats = c->repeats,
        .quick = c->quick,
        .part = (enum bench_part)c->part,
        .memory_gib = c->memory_gib,
        .scratch = c->scratch,
    };
    struct device_options device = {.device = common->device,
                                    .isa = common->isa,
                                    .precision = (enum precision)common->precision,
                                    .threads = common->threads};
    int status = check(common, c, err);
    if (!status && c->reference)
        status = open_reference(&reference, c->reference, err);
    if (!status)
        status = device_open(&o.device, &device, err);
    if (status) {
        json_decref((json_t *)(uintptr_t)reference.stored);
        return status;
    }
    interrupt_catch();
    status = measure_and_print(common, c, &o, c->reference ? &reference : NULL, err);
    device_close(o.device);
    json_decref((json_t *)(uintptr_t)reference.stored);
    return status;
}

#define AT(field) offsetof(struct bench_command, field)
static const struct arg args[] = {
    {"shape", ARG_CHOICE, AT(shape), 0, 0, shape_names, "builtin", "NAME",
     "A model of random weights: builtin (the shape of the model in the tree), smollm2-135m, "
     "tucano2-0.5b (the step takes 8 GiB, and the run some 15 minutes on two cores), or all."},
    {"model", ARG_TEXT, AT(model), 0, 0, NULL, NULL, "DIR",
     "A model folder with tokenizer instead of a standard shape."},
    {"quick", ARG_FLAG, AT(quick), 0, 0, NULL, NULL, NULL,
     "Short prompts and completions: well under a minute with the smallest shape."},
    {"part", ARG_CHOICE, AT(part), 0, 0, part_names, "all", "NAME",
     "Only some lines: text (tokenizer, rewards), engine (prefill, decoding, scoring) or step "
     "(rollout, gradient, optimizer, step, checkpoint)."},
    {"repeats", ARG_INT, AT(repeats), 1, BENCH_MAX_REPEATS, NULL, "5", "N",
     "Times each part is measured, after a warm-up; the median counts."},
    {"prompt-tokens", ARG_INT, AT(prompt), 2, 1 << 20, NULL, NULL, "N", "Tokens of a prompt."},
    {"completion-tokens", ARG_INT, AT(completion), 1, 1 << 20, NULL, NULL, "N",
     "Tokens of a completion when scoring and in the step."},
    {"generations", ARG_INT, AT(generations), 2, 4096, NULL, NULL, "N",
     "Completions of the step's prompt."},
    {"decode-tokens", ARG_INT, AT(decoded), 1, 1 << 20, NULL, NULL, "N",
     "Tokens of each sequence in the decode lines."},
    {"memory-gib", ARG_FLOAT, AT(memory_gib), 0, 1e6, NULL, "0", "X",
     "Memory for the step, as the recipe's memory_gib; 0: what the machine has."},
    {"scratch", ARG_TEXT, AT(scratch), 0, 0, NULL, "/tmp", "DIR",
     "Where a temporary folder is made; checkpoints are saved there."},
    {"reference", ARG_TEXT, AT(reference), 0, 0, NULL, NULL, "FILE",
     "A stored run (what --json prints) of the same kind of machine: prints the ratio of times a "
     "line, and ends with status 1 when one is slower than the tolerance and the spread of both "
     "runs allow."},
    {"tolerance", ARG_FLOAT, AT(tolerance), 0, 1000, NULL, "0.1", "X",
     "How much slower than the reference a line may be: 0.1 is 10%."},
};

const struct command command_bench = {
    .name = "bench",
    .summary = "how fast this machine is: each part of a step against its floor",
    .usage = "",
    .details =
        "First, and once more at the end, measures what the machine can do: matrix products in "
        "bf16 "
        "and f32,\nreading. In between: tokenizer, rewards, prefill, decoding of 1, 4, 16 and 64 "
        "sequences (of one\nprompt, of a prompt each), scoring, the whole step with its rollout, "
        "gradient and optimizer, a\ncheckpoint. Each line: the median, its spread (largest − "
        "smallest, in medians), the floor below which\nthis machine cannot come, and floor ÷ "
        "median. --json: one object: \"machine\", and \"phases\", each with\n\"shape\", "
        "\"name\", \"seconds\", \"spread\", \"operations\", \"bytes\", \"floor_seconds\", "
        "\"share\".",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct bench_command),
    .no_input = true,
    .run = run};
