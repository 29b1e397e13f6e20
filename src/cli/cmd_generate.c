/* cmd_generate.c: sample completions, with token log-probabilities.
 *
 * Lines that are there already are taken together, up to the number of sequences that decode side
 * by side; a line's draws are keyed by its id, so neither the company nor the order changes a
 * result. Answers, errors among them, leave in input order. */
#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/session.h"
#include "episode/batch.h"

struct generate_options {
    struct session_options session;
    int n, max_tokens, batch, speculation;
    double temperature;
    struct warpers warpers;
    struct arg_texts stop;
    uint64_t seed;
    const char *prompt;
};

/* A line waiting for its turn: a prompt in the batch, or an error. */
struct waiting {
    long line;
    int group; /* in the batch; -1: a bad line */
    struct err why;
    struct row row; /* id, key and json of the line */
    char id[64];
};

struct generating {
    const struct generate_options *o;
    struct session s;
    struct stop_strings stops;
    struct lines l;
    rollout *rollout;
    int max_tokens, sequences, prompt_room;
    struct episode_batch batch;
    struct waiting *queue;
    int n_queue, queue_size;
    struct rollout_counts counts; /* of rollouts that are gone */
};

static int begin(struct generating *g, const struct common *common, struct err *err)
{
    const struct generate_options *o = g->o;
    int status = session_open(&g->s, &o->session, common, err);
    /* The tokenizer adds to the EOS set, so where there is one it is always read. */
    if (!status)
        status = session_codec(&g->s, err);
    if (!status)
        status = stop_strings_create(&g->stops, &g->s.codec, o->stop.items, (size_t)o->stop.count,
                                     "--stop", err);
    if (status)
        return status;
    int context = model_max_context(g->s.model);
    g->max_tokens = o->max_tokens ? o->max_tokens : context / 2 < 256 ? context / 2 : 256;
    g->sequences = o->batch ? o->batch : session_sequences(&g->s, g->max_tokens);
    int groups = g->sequences / o->n > 1 ? g->sequences / o->n : 1;
    g->queue_size = 2 * groups;
    g->queue = mem_calloc((size_t)g->queue_size, sizeof *g->queue);
    if (!g->queue)
        return err_no_memory(err, "the queue of lines", (size_t)g->queue_size * sizeof *g->queue);
    return episode_batch_create(&g->batch, groups, o->n, g->max_tokens, NULL, err);
}

static void close_rollout(struct generating *g)
{
    if (g->rollout) {
        struct rollout_counts c = rollout_counts(g->rollout);
        g->counts.passes += c.passes;
        g->counts.drafted += c.drafted;
        g->counts.accepted += c.accepted;
        g->counts.tokens += c.tokens;
        g->counts.seconds += c.seconds;
    }
    rollout_free(g->rollout);
    g->rollout = NULL;
}

static void end(struct generating *g)
{
    for (int i = 0; i < g->n_queue; i++)
        json_decref(g->queue[i].row.json);
    mem_free(g->queue);
    if (g->batch.storage)
        episode_batch_free(&g->batch);
    close_rollout(g);
    session_tell_decoding(&g->counts);
    stop_strings_free(&g->stops);
    session_close(&g->s);
}

/* What the draws are keyed by: the line's id, else its number, as for dataset rows. */
static int name_line(struct waiting *w, const json_t *line, struct err *err)
{
    const json_t *id = json_object_get(line, "id");
    if (id && !json_is_null(id) && !json_is_string(id) && !json_is_integer(id))
        return err_set(err, ERR_INPUT, "", "\"id\" is %s, expected text or an integer",
                       json_type_name(id));
    if (json_is_integer(id))
        snprintf(w->id, sizeof w->id, "%lld", (long long)json_integer_value(id));
    else
        snprintf(w->id, sizeof w->id, "line-%ld", w->line);
    w->row.id = json_is_string(id) ? json_string_value(id) : w->id;
    w->row.key = rng_id(w->row.id, strlen(w->row.id));
    w->row.line = w->line;
    return ERR_NONE;
}

/* Puts a line (taking its reference; NULL: *err says what is wrong with it) into the queue. */
static int enqueue(struct generating *g, json_t *line, long number, struct err *err)
{
    struct waiting *w = &g->queue[g->n_queue++];
    *w = (struct waiting){.line = number, .group = -1};
    w->row.json = line;
    int status = line ? name_line(w, line, err) : ERR_INPUT;
    struct episode_group *group = &g->batch.groups[g->batch.count];
    group->prompt.count = 0;
    if (!status)
        status = prompt_from_json(&g->s, &group->prompt, line, err);
    if (!status)
        status = prompt_fits(&g->s, &group->prompt, g->max_tokens, err);
    if (status) {
        w->why = *err;
        return status == ERR_INPUT ? ERR_NONE : status;
    }
    w->group = g->batch.count++;
    group->row = &w->row;
    group->key = (struct rng_key){.seed = g->o->seed, .purpose = RNG_SAMPLE, .row = w->row.key};
    group->first_sample = 0;
    group->n = g->o->n;
    return ERR_NONE;
}

/* Caches for the batch's prompts side by side; they grow with the longest batch so far. */
static int make_room(struct generating *g, struct err *err)
{
    int room = g->prompt_room ? g->prompt_room : 256;
    long long wanted = 0;
    for (int i = 0; i < g->batch.count; i++)
        wanted += (long long)g->batch.groups[i].prompt.count;
    while (room < wanted && room < 1 << 30) /* more is refused: rollout_create */
        room *= 2;
    if (g->rollout && room == g->prompt_room)
        return ERR_NONE;
    close_rollout(g);
    g->prompt_room = room;
    int status = rollout_create(&g->rollout, g->s.model, session_lora(&g->s), g->sequences, room,
                                g->max_tokens, err);
    if (!status)
        rollout_speculate(g->rollout, (enum speculation)g->o->speculation);
    return status;
}

static void put_sample(struct generating *g, long line, int sample, const struct episode_sample *s)
{
    struct json_writer *w = &g->l.w;
    size_t n = (size_t)s->completion.length;
    lines_begin(&g->l);
    jw_key(w, "prompt");
    jw_int(w, line - 1);
    jw_key(w, "sample");
    jw_int(w, sample);
    put_ids(w, "ids", s->completion.ids, n);
    jw_key(w, "text");
    if (g->s.codec.tokenizer)
        jw_string(w, str_text(&s->text), s->text.length);
    else
        jw_null(w);
    put_floats(w, "logprobs", s->completion.logprobs, n);
    if (g->batch.warped)
        put_floats(w, "sampling_logprobs", s->completion.sampling_logprobs, n);
    jw_key(w, "stop_reason");
    jw_text(w, stop_reason_name(s->completion.stop));
    lines_end(&g->l);
}

static int sample_batch(struct generating *g, struct err *err)
{
    if (!g->batch.count)
        return ERR_NONE;
    struct rollout_options how = {.max_new_tokens = g->max_tokens,
                                  .temperature = g->o->temperature,
                                  .eos = g->s.codec.eos,
                                  .n_eos = g->s.codec.n_eos,
                                  .warpers = &g->o->warpers};
    int status = make_room(g, err);
    struct episode e = {.codec = &g->s.codec,
                        .rollout = g->rollout,
                        .stop = interrupt_requested,
                        .stops = &g->stops};
    return status ? status : episode_run(&e, g->s.adapter, &how, &g->batch, err);
}

static int answer_queue(struct generating *g, struct err *err)
{
    int status = sample_batch(g, err);
    for (int i = 0; i < g->n_queue && !status; i++) {
        const struct waiting *w = &g->queue[i];
        if (w->group < 0)
            lines_bad(&g->l, w->line, &w->why);
        for (int k = 0; w->group >= 0 && k < g->o->n; k++)
            put_sample(g, w->line, k, &g->batch.groups[w->group].samples[k]);
    }
    for (int i = 0; i < g->n_queue; i++)
        json_decref(g->queue[i].row.json);
    g->n_queue = g->batch.count = 0;
    return status ? status : lines_flush(&g->l, err);
}

static int generate_lines(struct generating *g, const struct common *common, struct err *err)
{
    int status = lines_open(&g->l, common, "generate", err);
    if (status)
        return status;
    json_t *value = NULL;
    int got = 0;
    while (!status && (got = lines_next(&g->l, &value, err)) == 1) {
        status = enqueue(g, value, g->l.line, err);
        bool full = g->n_queue == g->queue_size || g->batch.count == g->batch.capacity;
        if (!status && (full || !lines_ready(&g->l)))
            status = answer_queue(g, err);
    }
    if (!status && got < 0)
        status = (int)err->code;
    struct err last = {0};
    int finished = status == ERR_NONE || got < 0 ? answer_queue(g, &last) : ERR_NONE;
    if (!status && finished) {
        status = finished;
        *err = last;
    }
    return lines_close(&g->l, status, err);
}

/* What a person reads: text without anything that could move the cursor. */
static int print_texts(struct generating *g, struct err *err)
{
    struct str text = {0};
    for (int k = 0; k < g->o->n; k++) {
        const struct episode_sample *s = &g->batch.groups[0].samples[k];
        if (g->o->n > 1)
            str_printf(&text, "[%d] ", k);
        log_printable(&text, str_text(&s->text), s->text.length, 0);
        str_printf(&text, "%s\n", s->completion.stop == STOP_LENGTH ? " …(cut)" : "");
    }
    int status = print_text(&text, err);
    str_free(&text);
    return status;
}

/* --prompt TEXT: a chat of one user message where the model has a template, else plain text. */
static int generate_one(struct generating *g, const struct common *common, struct err *err)
{
    if (common->input)
        return err_set(err, ERR_USAGE, "--prompt", "and --input are both given; remove one");
    const char *text = g->o->prompt;
    json_t *prompt = json_string(text);
    if (!prompt)
        return err_set(err, ERR_USAGE, "--prompt", "is not valid UTF-8");
    json_t *line = g->s.codec.chat
                       ? json_pack("{s:[{s:s,s:o}]}", "prompt", "role", "user", "content", prompt)
                       : json_pack("{s:o}", "prompt", prompt);
    if (!line)
        return err_no_memory(err, "--prompt", strlen(text));
    int status = enqueue(g, line, 1, err);
    if (!status && g->queue[0].group < 0) {
        status = ERR_INPUT;
        err_prefix(err, "--prompt");
    }
    if (!status)
        status = sample_batch(g, err);
    if (!status && isatty(STDOUT_FILENO) && !common->json && g->s.codec.tokenizer)
        return print_texts(g, err);
    for (int k = 0; !status && k < g->o->n; k++)
        put_sample(g, 1, k, &g->batch.groups[0].samples[k]);
    if (!status)
        status = lines_flush(&g->l, err);
    str_free(&g->l.out);
    return status;
}

/* Greedy has nothing to cut: an option that would be passed over in silence is a mistake. */
static int check_options(const struct generate_options *o, const struct common *common,
                         struct err *err)
{
    static const char *const cuts[] = {"top-k", "top-p", "min-p"};
    for (size_t i = 0; o->temperature == 0 && i < ARRAY_LENGTH(cuts); i++) {
        if (!args_given(&command_generate, common, cuts[i]))
            continue;
        char where[16];
        snprintf(where, sizeof where, "--%s", cuts[i]);
        return err_set(err, ERR_USAGE, where,
                       "has no use with --temperature 0, which takes the most probable token; "
                       "remove one of them");
    }
    return ERR_NONE;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    struct generating g = {.o = options};
    int status = check_options(g.o, common, err);
    if (status)
        return status;
    interrupt_catch_reading();
    status = begin(&g, common, err);
    if (!status)
        status = g.o->prompt ? generate_one(&g, common, err) : generate_lines(&g, common, err);
    end(&g);
    if (status && interrupt_requested()) /* a read or write that the signal has cut, too */
        status =
            err_set(err, ERR_INTERRUPTED, "generate", "interrupted; what is answered is written");
    return status;
}

#define AT(field) offsetof(struct generate_options, field)
static const struct arg args[] = {
    SESSION_ARGS(struct generate_options, session),
    {"n", ARG_INT, AT(n), 1, 65536, NULL, "1", "N", "Completions of each prompt."},
    {"max-tokens", ARG_INT, AT(max_tokens), 1, 1 << 20, NULL, NULL, "K",
     "Tokens of a completion at most, EOS included. [256, or half a shorter context]"},
    {"temperature", ARG_FLOAT, AT(temperature), 0, 1e6, NULL, "1", "T", "0 is greedy."},
    {"top-k", ARG_INT, AT(warpers.top_k), 0, 1 << 30, NULL, "0", "K",
     "Draw from the K most probable tokens (and those as probable as the last of them); 0: all."},
    {"top-p", ARG_FLOAT, AT(warpers.top_p), 0, 1, NULL, "1", "P",
     "Draw from the fewest most probable tokens that together have probability P."},
    {"min-p", ARG_FLOAT, AT(warpers.min_p), 0, 1, NULL, "0", "P",
     "Draw from tokens that have at least P times the probability of the most probable one."},
    {"repetition-penalty", ARG_FLOAT, AT(warpers.repetition_penalty), 1e-3, 1e3, NULL, "1", "X",
     "Divide the positive logits of tokens in prompt and completion by X, multiply the others."},
    {"stop", ARG_TEXTS, AT(stop), 0, 0, NULL, NULL, "TEXT",
     "End a completion that holds TEXT, which stays in it; may be given several times."},
    {"seed", ARG_SEED, AT(seed), 0, 0, NULL, "42", "S", "Seed of the draws."},
    {"prompt", ARG_TEXT, AT(prompt), 0, 0, NULL, NULL, "TEXT",
     "One prompt from the command line (a user message where the model has a chat template)."},
    {"batch", ARG_INT, AT(batch), 0, 65536, NULL, "0", "N",
     "Sequences that decode side by side; 0: as many as 1 GiB of cache holds. Changes no result."},
    SPECULATION_ARG(AT(speculation)),
};

const struct command command_generate = {
    .name = "generate",
    .summary = "sample completions for prompts (JSONL or --prompt), with log-probabilities",
    .usage = "",
    .details =
        "In, one a line:    {\"prompt_ids\"} or {\"prompt\": text or messages}; an \"id\" keys the "
        "draws,\n                   without one the line number does\nOut, one a sample: "
        "{\"prompt\", \"sample\", \"ids\", \"text\", \"logprobs\", "
        "\"stop_reason\"};\n                   \"prompt\" is the input line from 0, \"ids\" "
        "include "
        "the EOS, \"text\" leaves out\n                   special tokens (null without a "
        "tokenizer). "
        "\"logprobs\" are of the whole\n                   distribution; with --top-k, --top-p, "
        "--min-p or --repetition-penalty\n                   \"sampling_logprobs\" are of the one "
        "that was drawn from. \"stop_reason\" is\n                   eos, length, or stop: a stop "
        "string, which ids and text keep. An interrupted\n                   run exits 130, with "
        "the "
        "answers that were ready written",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct generate_options),
    .run = run};
