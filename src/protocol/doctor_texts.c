/* doctor_texts.c: the model's description, and everything that turns rows into ids. What is shown
 * comes from the codec and the rows that training uses; every prompt is encoded, for an average
 * hides the row that is wrong. */
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "protocol/doctor.h"
#include "formats/safetensors.h"
#include "model/full.h"

/* --- model --- */

/* Whether config.json itself names the id: the others of the configuration's are
 * generation_config.json's. */
static bool in_config_json(const struct hf_config *own, int id)
{
    for (int i = 0; i < own->n_eos; i++)
        if (own->eos[i] == id)
            return true;
    return false;
}

static int read_own_config(struct hf_config *own, const char *folder, struct err *err)
{
    struct str path = {0}, text = {0};
    path_join(&path, folder, "config.json");
    int status = path.failed ? err_no_memory(err, folder, path.capacity)
                             : file_read(&text, str_text(&path), err);
    if (!status)
        status = hf_config_parse(own, str_text(&text), text.length, str_text(&path), err);
    str_free(&path);
    str_free(&text);
    return status;
}

static json_t *token_text(const struct doctor *d, int id)
{
    struct str text = {0};
    const tokenizer *t = d->setup.codec.tokenizer;
    bool known =
        t && id < tokenizer_vocab_size(t) && !tokenizer_decode(t, &text, &id, 1, false, NULL);
    json_t *value = known ? doctor_string(str_text(&text)) : json_null();
    str_free(&text);
    return value;
}

static json_t *eos_set(struct doctor *d, const struct hf_config *own)
{
    const struct text_codec *c = &d->setup.codec;
    json_t *list = json_array();
    for (int i = 0; i < c->n_eos; i++) {
        json_t *item = json_object();
        struct str from = {0};
        if (c->eos_from[i] & EOS_OF_CONFIG)
            str_puts(&from,
                     in_config_json(own, c->eos[i]) ? "config.json" : "generation_config.json");
        if (c->eos_from[i] & EOS_OF_TOKENIZER)
            str_printf(&from, "%stokenizer_config.json", from.length ? ", " : "");
        if (c->eos_from[i] & EOS_OF_TEMPLATE)
            str_printf(&from, "%schat template", from.length ? ", " : "");
        doctor_put(d, item, "id", json_integer(c->eos[i]));
        doctor_put(d, item, "text", token_text(d, c->eos[i]));
        doctor_put(d, item, "from", doctor_string(str_text(&from)));
        doctor_push(d, list, item);
        str_free(&from);
    }
    return list;
}

static int put_weights(struct doctor *d, json_t *m, struct err *err)
{
    struct tensor_set set = {0};
    json_t *types = json_array();
    size_t bytes = 0;
    unsigned long long seen = 0;
    int status = safetensors_open_folder(&set, d->o.model, err);
    for (size_t i = 0; i < set.count && !status; i++) {
        unsigned long long bit = 1ull << (unsigned)set.tensors[i].dtype;
        if (!(seen & bit))
            doctor_push(d, types, json_string(dtype_name(set.tensors[i].dtype)));
        seen |= bit;
        bytes += set.tensors[i].size;
    }
    doctor_put(d, m, "dtypes", types);
    doctor_put(d, m, "shards", json_integer((json_int_t)set.n_maps));
    doctor_put(d, m, "file_bytes", json_integer((json_int_t)bytes));
    tensor_set_close(&set);
    return status;
}

int doctor_model(struct doctor *d, struct err *err)
{
    static const char *const names[] = {
        [ARCH_LLAMA] = "llama", [ARCH_QWEN2] = "qwen2", [ARCH_QWEN3] = "qwen3"};
    const struct hf_config *c = &d->setup.config;
    struct hf_config own;
    int status = read_own_config(&own, d->o.model, err);
    if (status)
        return status;
    json_t *m = doctor_section(d, NULL, "model");
    doctor_put(d, m, "folder", doctor_string(d->o.model));
    doctor_put(d, m, "architecture", json_string(names[c->arch]));
    doctor_put(d, m, "parameters", json_integer((json_int_t)full_floats(c)));
    doctor_put(d, m, "layers", json_integer(c->layers));
    doctor_put(d, m, "hidden_size", json_integer(c->hidden_size));
    doctor_put(d, m, "trained_parameters",
               json_integer((json_int_t)adapter_floats(c, &d->setup.lora)));
    status = put_weights(d, m, err);
    doctor_put(d, m, "computes_in", json_string(d->o.precision == PRECISION_F32 ? "f32" : "bf16"));
    doctor_put(d, m, "context", json_integer(c->max_position_embeddings));
    doctor_put(d, m, "eos", eos_set(d, &own));
    doctor_put(d, m, "generation_config_ignored",
               d->setup.ignored[0] ? doctor_string(d->setup.ignored) : json_null());
    if (!status)
        doctor_check(d, "eos", d->setup.codec.n_eos > 0, ERR_GATE,
                     d->setup.codec.n_eos ? "%d token ids end a completion"
                                          : "no token ends a completion (%d known): name "
                                            "eos_token_id in config.json",
                     d->setup.codec.n_eos);
    return status;
}

/* --- tokenizer and template --- */

static void put_tokenizer(struct doctor *d)
{
    const tokenizer *t = d->setup.codec.tokenizer;
    json_t *s = doctor_section(d, NULL, "tokenizer");
    doctor_put(d, s, "kind", t ? json_string(tokenizer_kind(t)) : json_null());
    doctor_put(d, s, "size", t ? json_integer(tokenizer_vocab_size(t)) : json_null());
    doctor_put(d, s, "model_vocab", json_integer(d->setup.config.vocab_size));
}

/* The beginning-of-text token: the tokenizer's by name, else the one config.json numbers. */
static void find_bos(struct doctor *d)
{
    const struct text_codec *c = &d->setup.codec;
    const char *name = c->chat ? chat_template_token(c->chat, "bos_token") : NULL;
    d->bos = d->setup.config.bos;
    if (name && c->tokenizer)
        d->bos = tokenizer_token_id(c->tokenizer, name, strlen(name));
    struct ids around = {0};
    d->puts_bos = d->bos >= 0 && c->tokenizer &&
                  !tokenizer_encode(c->tokenizer, &around, "a", 1, true, NULL) && around.count &&
                  around.data[0] == d->bos;
    ids_free(&around);
}

static void count_bos(struct doctor *d, const struct ids *ids)
{
    size_t n = 0;
    while (n < ids->count && ids->data[n] == d->bos)
        n++;
    d->no_bos += d->bos >= 0 && n == 0;
    d->one_bos += n == 1;
    d->two_bos += n > 1;
}

/* Whether the row's own texts spell the token, as a page copied from elsewhere may. (The template
 * may well print it once a message: <|im_start|> is such a token in some models.) */
static int spells_bos(bool *spells, const struct doctor *d, const struct row *row, struct err *err)
{
    struct ids ids = {0};
    int status = ERR_NONE;
    *spells = false;
    for (size_t m = 0; m < row->n_messages && d->bos >= 0 && !status && !*spells; m++) {
        ids.count = 0;
        status = tokenizer_encode(d->setup.codec.tokenizer, &ids, row->messages[m].content,
                                  row->messages[m].content_length, false, err);
        for (size_t i = 0; i < ids.count; i++)
            *spells = *spells || ids.data[i] == d->bos;
    }
    ids_free(&ids);
    return status;
}

/* The ids that training uses against the rendered text encoded again, and that text read back. */
static int put_example(struct doctor *d, json_t *s, const struct row *row, struct err *err)
{
    const struct text_codec *c = &d->setup.codec;
    struct ids used = {0}, again = {0};
    struct str text = {0}, back = {0};
    int status = text_codec_row(c, &used, row, err);
    if (!status && row->messages) {
        struct ids ignored = {0};
        status =
            text_codec_prompt(c, &ignored, &text, row->task, row->messages, row->n_messages, err);
        ids_free(&ignored);
        if (!status)
            status =
                tokenizer_encode(c->tokenizer, &again, str_text(&text), text.length, false, err);
    }
    if (!status && c->tokenizer)
        status = tokenizer_decode(c->tokenizer, &back, used.data, used.count, false, err);
    if (!status) {
        bool same =
            !row->messages || (used.count == again.count &&
                               memcmp(used.data, again.data, used.count * sizeof *used.data) == 0);
        doctor_put(d, s, "example_row", doctor_string(row->id));
        doctor_put(d, s, "example_text", doctor_string(str_text(row->messages ? &text : &back)));
        doctor_put(d, s, "example_ids", json_integer((json_int_t)used.count));
        doctor_put(d, s, "decoding_gives_the_text",
                   row->messages && c->tokenizer
                       ? json_boolean(text.length == back.length &&
                                      memcmp(str_text(&text), str_text(&back), text.length) == 0)
                       : json_null());
        if (row->messages)
            doctor_check(d, "template_ids", same, ERR_GATE,
                         same
                             ? "rendering and encoding row \"%.80s\" gives the ids of training"
                             : "rendering and encoding row \"%.80s\" gives other ids than training "
                               "takes",
                         row->id);
    }
    ids_free(&used);
    ids_free(&again);
    str_free(&text);
    str_free(&back);
    return status;
}

static void put_template(struct doctor *d)
{
    const struct text_codec *c = &d->setup.codec;
    json_t *s = doctor_section(d, NULL, "template");
    doctor_put(d, s, "source", c->chat ? doctor_string(chat_template_where(c->chat)) : json_null());
    doctor_put(d, s, "system_prompt",
               json_boolean(c->system_prompt && !json_is_null(c->system_prompt)));
}

static void put_bos(struct doctor *d)
{
    json_t *s = json_object_get(d->report, "template"), *bos = json_object();
    const char *first = d->two_bos ? "double" : d->one_bos ? "one" : "none";
    if (d->bos >= 0) {
        doctor_put(d, bos, "id", json_integer(d->bos));
        doctor_put(d, bos, "text", token_text(d, d->bos));
    }
    doctor_put(d, bos, "prompts_begin_with", json_string(first));
    doctor_put(d, bos, "rows_none", json_integer((json_int_t)d->no_bos));
    doctor_put(d, bos, "rows_one", json_integer((json_int_t)d->one_bos));
    doctor_put(d, bos, "rows_double", json_integer((json_int_t)d->two_bos));
    doctor_put(d, s, "bos", bos);
    if (d->bos < 0)
        doctor_check(d, "double_bos", true, ERR_NONE, "the model has no beginning-of-text token");
    else
        doctor_check(d, "double_bos", !d->two_bos, ERR_GATE,
                     "%zu prompts begin with the beginning-of-text token (id %d) twice%s",
                     d->two_bos, d->bos,
                     d->two_bos ? ": take it out of the chat template, or out of the rows' texts"
                                : "");
}

/* --- data --- */

struct lengths {
    int *all;
    size_t n;
};

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int measure_rows(struct doctor *d, const struct dataset *data, struct lengths *of,
                        struct err *err)
{
    struct ids ids = {0};
    int status = ERR_NONE;
    of->n = 0;
    of->all = mem_alloc(data->count * sizeof *of->all);
    if (!of->all)
        return err_no_memory(err, data->path, data->count * sizeof *of->all);
    for (size_t i = 0; i < data->count && !status; i++) {
        ids.count = 0;
        status = text_codec_row(&d->setup.codec, &ids, &data->rows[i], err);
        bool spells = false;
        count_bos(d, &ids);
        if (!status)
            status = spells_bos(&spells, d, &data->rows[i], err);
        d->inside_bos += spells;
        of->all[of->n++] = (int)ids.count;
    }
    ids_free(&ids);
    return status;
}

static void put_lengths(struct doctor *d, json_t *s, int *lengths, size_t n)
{
    qsort(lengths, n, sizeof *lengths, compare_ints);
    doctor_put(d, s, "min", json_integer(lengths[0]));
    doctor_put(d, s, "median", json_integer(lengths[n / 2]));
    doctor_put(d, s, "max", json_integer(lengths[n - 1]));
}

/* Rows and prompt lengths by task; `all` is in the order of the rows, and stays so. */
static int put_tasks(struct doctor *d, json_t *s, const struct dataset *data,
                     const struct lengths *of, struct err *err)
{
    enum { MOST = 64 };
    const char *names[MOST];
    int tasks = dataset_tasks(data, names, MOST);
    json_t *list = json_array();
    int *some = mem_alloc(of->n * sizeof *some);
    if (!some) {
        json_decref(list);
        return err_no_memory(err, data->path, of->n * sizeof *some);
    }
    for (int t = 0; t < tasks; t++) {
        size_t n = 0;
        json_t *item = json_object();
        for (size_t i = 0; i < of->n; i++)
            if (strcmp(data->rows[i].task, names[t]) == 0)
                some[n++] = of->all[i];
        doctor_put(d, item, "task", doctor_string(names[t]));
        doctor_put(d, item, "rows", json_integer((json_int_t)n));
        put_lengths(d, item, some, n);
        doctor_push(d, list, item);
        if (data == &d->setup.eval_data &&
            (!d->smallest_eval_task || (int)n < d->smallest_eval_task))
            d->smallest_eval_task = (int)n;
    }
    d->n_tasks = tasks;
    doctor_put(d, s, "tasks", list);
    mem_free(some);
    return ERR_NONE;
}

/* How many rows of `data` have a prompt that `seen` knows; with `adds` they are then known too. */
static int count_known(size_t *known, struct map *seen, const struct dataset *data, bool adds,
                       struct err *err)
{
    struct str text = {0};
    int status = ERR_NONE;
    *known = 0;
    for (size_t i = 0; i < data->count && !status; i++) {
        str_clear(&text);
        status = row_fingerprint(&text, &data->rows[i], err);
        if (status)
            break;
        if (map_get(seen, str_text(&text), text.length, NULL))
            ++*known;
        else if (adds && !map_put(seen, str_text(&text), text.length, 1))
            status = err_no_memory(err, data->path, text.length);
    }
    str_free(&text);
    return status;
}

static int put_set(struct doctor *d, const char *name, const struct dataset *data, json_t **section,
                   struct err *err)
{
    struct lengths of;
    json_t *s = *section = doctor_section(d, NULL, name);
    doctor_put(d, s, "path", doctor_string(data->path));
    doctor_put(d, s, "sha256", json_string(data->sha256));
    doctor_put(d, s, "rows", json_integer((json_int_t)data->count));
    int status = measure_rows(d, data, &of, err);
    if (!status)
        status = put_tasks(d, s, data, &of, err);
    if (!status) {
        json_t *lengths = doctor_section(d, s, "prompt_tokens");
        put_lengths(d, lengths, of.all, of.n);
        if (data == &d->setup.data)
            d->median_prompt = of.all[of.n / 2];
    }
    mem_free(of.all);
    return status;
}

static int put_data(struct doctor *d, struct err *err)
{
    struct setup *s = &d->setup;
    struct map seen = {0};
    json_t *section;
    size_t known = 0;
    int status = put_set(d, "data", &s->data, &section, err);
    if (!status)
        status = count_known(&d->duplicates, &seen, &s->data, true, err);
    if (!status)
        doctor_put(d, section, "duplicates", json_integer((json_int_t)d->duplicates));
    if (!status && s->has_eval)
        status = put_set(d, "eval_data", &s->eval_data, &section, err);
    if (!status && s->has_eval)
        status = count_known(&known, &seen, &s->eval_data, false, err);
    map_free(&seen);
    if (status || !s->has_eval)
        return status;
    doctor_put(d, section, "rows_in_training", json_integer((json_int_t)known));
    doctor_check(d, "contamination", !known, ERR_GATE,
                 "%zu rows of %.200s have the prompt of a training row%s%.400s", known,
                 s->eval_data.path, known ? "; first: " : "", known ? s->gate.message : "");
    return ERR_NONE;
}

/* --- special tokens --- */

/* A conversation whose own text has nothing that a template prints. */
static int sample_text(struct doctor *d, struct str *text, struct ids *ids, struct err *err)
{
    static const char hello[] = "Quantos pedidos houve em maio?";
    const struct chat_message user = {"user", hello, sizeof hello - 1, NULL};
    return text_codec_prompt(&d->setup.codec, ids, text, NULL, &user, 1, err);
}

/* Whether the token's text, encoded, is the token. */
static bool encodes_to(const tokenizer *t, const char *text, int id)
{
    struct ids ids = {0};
    bool same = !tokenizer_encode(t, &ids, text, strlen(text), false, NULL) && ids.count == 1 &&
                ids.data[0] == id;
    ids_free(&ids);
    return same;
}

struct special {
    json_t *list;
    char wrong[200]; /* what the first wrong one is; "": all are right */
};

static void take_special(struct doctor *d, struct special *s, const char *text, int id,
                         const char *name)
{
    json_t *item = json_object();
    bool same = id >= 0 && encodes_to(d->setup.codec.tokenizer, text, id);
    bool known = id < d->setup.config.vocab_size;
    doctor_put(d, item, "text", doctor_string(text));
    doctor_put(d, item, "id", id >= 0 ? json_integer(id) : json_null());
    doctor_push(d, s->list, item);
    if (s->wrong[0] || (same && known))
        return;
    snprintf(s->wrong, sizeof s->wrong, "%s%s\"%.60s\" %s", name, *name ? " " : "", text,
             id < 0 ? "is no token of the tokenizer"
             : same ? "has an id beyond the model's vocabulary"
                    : "is not encoded as its own id");
}

/* Those that the tokenizer's configuration names, and those that the rendering holds. */
static int put_special(struct doctor *d, struct err *err)
{
    static const char *const names[] = {"bos_token", "eos_token", "pad_token", "unk_token"};
    const struct text_codec *c = &d->setup.codec;
    struct special s = {.list = json_array()};
    struct str text = {0}, token = {0};
    struct ids ids = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *named = chat_template_token(c->chat, names[i]);
        if (named && *named)
            take_special(d, &s, named, tokenizer_token_id(c->tokenizer, named, strlen(named)),
                         names[i]);
    }
    int status = sample_text(d, &text, &ids, err);
    for (int id = 0; !status && id < tokenizer_vocab_size(c->tokenizer); id++) {
        str_clear(&token);
        if (tokenizer_is_special(c->tokenizer, id) &&
            !tokenizer_decode(c->tokenizer, &token, &id, 1, false, NULL) && token.length &&
            strstr(str_text(&text), str_text(&token)))
            take_special(d, &s, str_text(&token), id, "");
    }
    str_free(&text);
    str_free(&token);
    ids_free(&ids);
    doctor_put(d, json_object_get(d->report, "template"), "special_tokens", s.list);
    if (!status)
        doctor_check(d, "special_tokens", !s.wrong[0], ERR_GATE, "%s%s",
                     s.wrong[0] ? s.wrong : "each special token of the template is one id",
                     s.wrong[0] ? ": repair tokenizer.json or tokenizer_config.json" : "");
    return status;
}

int doctor_tokens(struct doctor *d, struct err *err)
{
    put_tokenizer(d);
    find_bos(d);
    put_template(d);
    return d->setup.codec.tokenizer && d->setup.codec.chat ? put_special(d, err) : ERR_NONE;
}

int doctor_data(struct doctor *d, struct err *err)
{
    const struct setup *s = &d->setup;
    const struct row *row = s->has_data ? s->data.rows : NULL;
    int status = ERR_NONE;
    if (row && (s->codec.tokenizer || !row->messages))
        status = put_example(d, json_object_get(d->report, "template"), row, err);
    if (!status && s->has_data)
        status = put_data(d, err);
    if (!status)
        put_bos(d);
    return status;
}
