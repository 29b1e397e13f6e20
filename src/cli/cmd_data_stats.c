/* cmd_data_stats.c: `grpo data stats`: opens rows, recipe and tokenizer for data/stats.h. */
#include "base/mem.h"
#include "cli/cmd_data_parts.h"
#include "cli/lines.h"
#include "data/classify.h"
#include "data/stats.h"
#include "episode/episode.h"
#include "train/options.h"

struct looking {
    const struct stats_arguments *a;
    recipe *recipe;
    struct train_options from;
    struct dataset data, other;
    bool has_data, has_other;
    size_t *tokens; /* of each row; NULL without a model */
};

static int open_rows(struct looking *l, const char *file, struct err *err)
{
    int status = dataset_open(&l->data, file, err);
    l->has_data = !status;
    if (!status && l->a->against) {
        status = dataset_open(&l->other, l->a->against, err);
        l->has_other = !status;
    }
    return status;
}

/* By the recipe's rules; here a row that none matches is what is looked for. */
static int classify(struct looking *l, struct err *err)
{
    classifier *c = NULL;
    size_t unmatched;
    if (!l->recipe || !l->from.classifier)
        return ERR_NONE;
    int status =
        classifier_read(&c, l->from.classifier, recipe_where(l->recipe, NULL, "classifier"), err);
    if (!status)
        status = dataset_classify(&l->data, c, &unmatched, err);
    classifier_free(c);
    return status;
}

static int count_rows(struct looking *l, const struct text_codec *codec, struct err *err)
{
    struct ids ids = {0};
    int status = ERR_NONE;
    for (size_t i = 0; i < l->data.count && !status; i++) {
        ids.count = 0;
        status = text_codec_row(codec, &ids, &l->data.rows[i], err);
        l->tokens[i] = ids.count;
    }
    ids_free(&ids);
    return status;
}

static int count_tokens(struct looking *l, struct err *err)
{
    struct hf_config config;
    struct text_codec codec = {0};
    struct train_chat chat = {0};
    if (!l->a->model)
        return ERR_NONE;
    l->tokens = mem_calloc(l->data.count, sizeof *l->tokens);
    int status = l->tokens ? ERR_NONE : err_no_memory(err, l->data.path, l->data.count);
    if (!status && l->recipe)
        status = train_chat_options(&chat, l->recipe, &l->from, err);
    if (!status)
        status = hf_config_open(&config, l->a->model, NULL, 0, err);
    if (!status)
        status = text_codec_open(&codec, l->a->model, &chat.options, &config, err);
    if (!status)
        status = count_rows(l, &codec, err);
    text_codec_close(&codec);
    train_chat_free(&chat);
    return status;
}

static int report(const struct looking *l, bool json, struct err *err)
{
    struct data_stats stats;
    struct str out = {0};
    int status = data_stats_make(&stats, &l->data, l->tokens, l->has_other ? &l->other : NULL, err);
    if (!status) {
        (json ? data_stats_json : data_stats_table)(&out, &stats);
        status = print_text(&out, err);
    }
    data_stats_free(&stats);
    str_free(&out);
    return status;
}

int cmd_data_stats(const struct common *common, const struct stats_arguments *a, const char *file,
                   struct err *err)
{
    struct looking l = {.a = a};
    if (file && common->input)
        return err_set(err, ERR_USAGE, "--input", "and a file are both given; remove one");
    file = file ? file : common->input;
    if (!file)
        return err_set(err, ERR_USAGE, "data stats", "wants a file of rows: grpo data stats FILE");
    int status = a->recipe ? train_recipe_load(&l.recipe, &l.from, a->recipe, NULL, 0, false, err)
                           : ERR_NONE;
    if (!status)
        status = open_rows(&l, file, err);
    if (!status)
        status = classify(&l, err);
    if (!status)
        status = count_tokens(&l, err);
    if (!status)
        status = report(&l, common->json, err);
    mem_free(l.tokens);
    if (l.has_data)
        dataset_close(&l.data);
    if (l.has_other)
        dataset_close(&l.other);
    recipe_free(l.recipe);
    return status;
}
