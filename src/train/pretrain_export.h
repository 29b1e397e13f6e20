/* pretrain_export.h: what a finished pretraining run leaves for others: RUN/model/, a complete
 * Hugging Face folder, and the learning curve as a table. */
#ifndef TRAIN_PRETRAIN_EXPORT_H
#define TRAIN_PRETRAIN_EXPORT_H
#include "train/pretrain_options.h"
#include "episode/episode.h"
#include "model/full.h"

/* RUN/model/: config.json (the recipe's, with the dtype of the weights), model.safetensors,
 * generation_config.json with the EOS ids, and the tokenizer's files. Replaced as a whole. */
int pretrain_export(const char *run, const struct pretrain_options *o, full_model *f,
                    const struct text_codec *codec, struct err *err);
/* The text of the recipe's config.json: `config` itself, or the file in that folder. */
int pretrain_config_path(struct str *out, const char *config, struct err *err);

struct curve_point {
    int step;
    double loss, eval_loss; /* loss: mean of the steps since the point before; NaN: none */
};
struct curve {
    struct curve_point *points;
    size_t count;
};
/* From RUN/metrics.jsonl: a point at every evaluation, or without any at about 20 steps; always at
 * the last step. */
int curve_read(struct curve *c, const char *run, struct err *err);
void curve_free(struct curve *c);
/* A table for people: step, train loss, eval loss; about `rows` evenly spaced points. */
void curve_print(struct str *out, const struct curve *c, size_t rows);

#endif
