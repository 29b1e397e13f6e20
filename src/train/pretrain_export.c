/* pretrain_export.c: the final model's folder and the learning curve; see pretrain_export.h. The
 * folder is written beside its place and exchanged, so that RUN/model is whole or absent. */
#include "train/pretrain_export.h"
#include <math.h>
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "formats/jsonl.h"
#include "train/run_folder.h"

int pretrain_config_path(struct str *out, const char *config, struct err *err)
{
    if (dir_exists(config)) {
        path_join(out, config, "config.json");
    } else {
        str_clear(out);
        str_puts(out, config);
    }
    return out->failed ? err_no_memory(err, config, out->capacity) : ERR_NONE;
}

static int write_json(const char *folder, const char *name, const json_t *value, struct err *err)
{
    struct str path = {0};
    char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
    path_join(&path, folder, name);
    int status = ERR_NONE;
    if (!text || path.failed)
        status = err_no_memory(err, name, 0);
    struct str line = {0};
    str_puts(&line, text ? text : "");
    str_putc(&line, '\n');
    if (!status && line.failed)
        status = err_no_memory(err, name, line.capacity);
    if (!status)
        status = file_write_atomic(str_text(&path), str_text(&line), line.length, err);
    str_free(&line);
    str_free(&path);
    mem_free(text); /* jansson allocates through base/mem */
    return status;
}

/* The recipe's config with the dtype of what is written: under the name it has there, transformers
 * 4's torch_dtype or 5's dtype. */
static int write_config(const char *folder, const struct pretrain_options *o, json_t **config,
                        struct err *err)
{
    struct str path = {0}, text = {0};
    int status = pretrain_config_path(&path, o->config, err);
    if (!status)
        status = file_read(&text, str_text(&path), err);
    if (!status && !(*config = json_read(str_text(&text), text.length, JSON_BIG_INTEGERS,
                                         str_text(&path), err)))
        status = err ? (int)err->code : ERR_INPUT;
    const char *dtype = pretrain_output_dtype(o) == DTYPE_F32 ? "float32" : "bfloat16";
    bool old = json_object_get(*config, "torch_dtype") != NULL;
    if (!status && ((old && json_object_set_new(*config, "torch_dtype", json_string(dtype))) ||
                    ((!old || json_object_get(*config, "dtype")) &&
                     json_object_set_new(*config, "dtype", json_string(dtype)))))
        status = err_no_memory(err, "config.json", text.length);
    if (!status)
        status = write_json(folder, "config.json", *config, err);
    str_free(&path);
    str_free(&text);
    return status;
}

static int write_generation_config(const char *folder, const json_t *config,
                                   const struct text_codec *codec, struct err *err)
{
    static const char *const same[] = {"bos_token_id", "pad_token_id"};
    json_t *out = json_object(), *eos = json_array();
    bool fine = out && eos;
    for (int i = 0; fine && i < codec->n_eos; i++)
        fine = json_array_append_new(eos, json_integer(codec->eos[i])) == 0;
    for (size_t i = 0; fine && i < ARRAY_LENGTH(same); i++)
        if (json_is_integer(json_object_get(config, same[i])))
            fine = json_object_set(out, same[i], json_object_get(config, same[i])) == 0;
    fine = fine && json_object_set(out, "eos_token_id",
                                   codec->n_eos == 1 ? json_array_get(eos, 0) : eos) == 0;
    int status = fine ? write_json(folder, "generation_config.json", out, err)
                      : err_no_memory(err, "generation_config.json", 0);
    json_decref(eos);
    json_decref(out);
    return status;
}

/* config.json apart, everything a tokenizer's folder can hold. */
static int copy_tokenizer(const char *from, const char *to, struct err *err)
{
    static const char *const files[] = {"tokenizer.json",      "tokenizer_config.json",
                                        "chat_template.jinja", "special_tokens_map.json",
                                        "added_tokens.json",   "vocab.json",
                                        "merges.txt"};
    int status = ERR_NONE;
    for (size_t i = 0; i < ARRAY_LENGTH(files) && !status; i++)
        status = run_folder_copy(from, to, files[i], err);
    return status;
}

int pretrain_export(const char *run, const struct pretrain_options *o, full_model *f,
                    const struct text_codec *codec, struct err *err)
{
    struct str fresh = {0}, target = {0};
    json_t *config = NULL;
    path_join(&fresh, run, ".model.new");
    path_join(&target, run, "model");
    int status = fresh.failed || target.failed ? err_no_memory(err, run, fresh.capacity)
                                               : dir_remove(str_text(&fresh), err);
    if (!status)
        status = dir_make(str_text(&fresh), err);
    if (!status)
        status = full_save(f, str_text(&fresh), pretrain_output_dtype(o), err);
    if (!status)
        status = write_config(str_text(&fresh), o, &config, err);
    if (!status)
        status = write_generation_config(str_text(&fresh), config, codec, err);
    if (!status)
        status = copy_tokenizer(o->tokenizer, str_text(&fresh), err);
    if (!status)
        status = dir_replace_atomic(str_text(&fresh), str_text(&target), err);
    json_decref(config);
    str_free(&fresh);
    str_free(&target);
    return status;
}

/* --- the learning curve --- */

static int add_point(struct curve *c, struct curve_point point, struct err *err)
{
    struct curve_point *grown = mem_realloc(c->points, (c->count + 1) * sizeof *grown);
    if (!grown)
        return err_no_memory(err, "the learning curve", (c->count + 1) * sizeof *grown);
    c->points = grown;
    c->points[c->count++] = point;
    return ERR_NONE;
}

/* Every line of metrics.jsonl as a point of its own. */
static int read_points(struct curve *all, const char *run, struct err *err)
{
    struct str path = {0};
    struct jsonl_reader in = {0};
    json_t *line = NULL;
    path_join(&path, run, "metrics.jsonl");
    int status = path.failed ? err_no_memory(err, run, path.capacity)
                             : jsonl_open(&in, str_text(&path), err);
    int more = 0;
    while (!status && (more = jsonl_next(&in, &line, err)) > 0) {
        const json_t *loss = json_object_get(line, "loss"),
                     *eval = json_object_get(line, "eval_loss");
        struct curve_point point = {.step = (int)json_integer_value(json_object_get(line, "step")),
                                    .loss = json_is_number(loss) ? json_number_value(loss) : NAN,
                                    .eval_loss =
                                        json_is_number(eval) ? json_number_value(eval) : NAN};
        status = line ? add_point(all, point, err) : err ? (int)err->code : ERR_INPUT;
        json_decref(line);
    }
    if (!status && more < 0)
        status = err ? (int)err->code : ERR_INPUT;
    jsonl_close(&in);
    str_free(&path);
    return status;
}

int curve_read(struct curve *c, const char *run, struct err *err)
{
    enum { POINTS = 20 };
    struct curve all = {0};
    *c = (struct curve){0};
    int status = read_points(&all, run, err);
    bool evals = false;
    for (size_t i = 0; i < all.count; i++)
        evals = evals || !isnan(all.points[i].eval_loss);
    double sum = 0, n = 0;
    for (size_t i = 0; i < all.count && !status; i++) {
        struct curve_point point = all.points[i];
        if (!isnan(point.loss)) {
            sum += point.loss;
            n++;
        }
        size_t every = (all.count + POINTS - 1) / POINTS;
        bool kept = evals ? !isnan(point.eval_loss) : point.step % (int)every == 0;
        if (!kept && i + 1 < all.count)
            continue;
        point.loss = n > 0 ? sum / n : NAN;
        sum = n = 0;
        status = add_point(c, point, err);
    }
    curve_free(&all);
    if (status)
        curve_free(c);
    return status;
}

void curve_free(struct curve *c)
{
    mem_free(c->points);
    *c = (struct curve){0};
}

static void put_loss(struct str *out, double value)
{
    if (isnan(value))
        str_printf(out, "  %10s", "");
    else
        str_printf(out, "  %10.4f", value);
}

void curve_print(struct str *out, const struct curve *c, size_t rows)
{
    if (!c->count)
        return;
    str_printf(out, "%9s  %10s  %10s\n", "step", "train loss", "eval loss");
    rows = rows < 2 ? 2 : rows;
    size_t shown = c->count < rows ? c->count : rows, last = c->count;
    for (size_t i = 0; i < shown; i++) {
        size_t at = shown > 1 ? i * (c->count - 1) / (shown - 1) : 0;
        if (at == last)
            continue;
        last = at;
        str_printf(out, "%9d", c->points[at].step);
        put_loss(out, c->points[at].loss);
        put_loss(out, c->points[at].eval_loss);
        str_putc(out, '\n');
    }
}
