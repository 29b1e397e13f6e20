/* episode.h: the one way from a dataset row to scored completions:
 *   row → messages → text → ids → rollout → text → rewards → components.
 * This half: reward sets and text. batch.h runs the whole way. */
#ifndef EPISODE_EPISODE_H
#define EPISODE_EPISODE_H
#include <stdbool.h>
#include "base/err.h"
#include "data/rows.h"
#include "reward/reward.h"
#include "rollout/rollout.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

/* A reward in use: which rewards score which task, with what weight. */
struct task_reward {
    const char *task; /* NULL: every task */
    reward *reward;
    const char *label; /* unique name in metrics: the reward's, or as the recipe says */
    double weight;     /* 0: shadow metric */
    /* of its gate (gate.h) */
    const char *fixtures; /* a file of the user's own; NULL: those of the program */
    bool known_gameable;  /* the recipe says that it knows */
};
struct reward_set {
    struct task_reward *items;
    int count;
    void *storage;
};
/* From the recipe's `rewards` as JSON: a list of names or {name, weight, params, fixtures,
 * known_gameable}, or a map from task to such a list. {command: [...], …} and {library: FILE, …}
 * are rewards of the user's own: the parameters stand beside the list's keys, and `name` is the
 * label. where: for messages. */
int reward_set_create(struct reward_set *set, const json_t *rewards, const char *where,
                      struct err *err);
void reward_set_free(struct reward_set *set);
/* ERR_USAGE naming the first row to which no weighted reward applies. */
int reward_set_covers(const struct reward_set *set, const struct dataset *d, struct err *err);

/* What a set's rewards are made of, one by one: the components of weight of the rewards of weight.
 * A reward none of whose components has a weight is a column itself. */
struct reward_column {
    int item, component; /* of set->items; of its reward, −1: its score */
    double weight;       /* item's · component's */
};
/* How many there are; the first `capacity` of them into out. */
int reward_set_columns(const struct reward_set *set, struct reward_column *out, int capacity);

/* What a scored completion is worth under a set. values[i] belongs to set->items[i]; NaN: that
 * reward does not apply or failed. total: Σ weight·value over applicable ones; valid is false when
 * any weighted reward failed (machinery: broken) or none applies. */
struct scored {
    double total;
    bool valid, broken;
    int failed;                    /* number of machinery failures, unweighted rewards' too */
    double *values;                /* (set->count), caller's */
    struct reward_result *results; /* (set->count), caller's; NULL: components not wanted */
    const bool *ready; /* (set->count): results[i] is there already (asker.h); NULL: none is */
};
/* Whether item i of the set scores rows like this one. */
bool reward_set_applies(const struct reward_set *set, int i, const struct row *row);
/* What a reward is shown of completion [sample] of a row's group. */
struct reward_input episode_input(const struct row *row, const struct slice *group, int n_group,
                                  int sample);
/* NaN where the reward does not apply or failed, or the component is absent. */
double reward_column_value(const struct reward_column *c, const struct scored *scored);
/* As samples.jsonl calls it: "label/component", or "label". */
void reward_column_name(struct str *out, const struct reward_set *set,
                        const struct reward_column *c);
/* group: the completions of this row's prompt; the one at [sample] is scored. */
void episode_score(const struct reward_set *set, const struct row *row, const struct slice *group,
                   int n_group, int sample, struct scored *out);

/* Who says that a token ends a completion: the configs (config.json, generation_config.json), the
 * tokenizer's eos_token, the template's end of an assistant's turn. */
enum eos_source { EOS_OF_CONFIG = 1, EOS_OF_TOKENIZER = 2, EOS_OF_TEMPLATE = 4 };
/* Everything text needs: tokenizer, template, EOS set (union of config, generation config,
 * tokenizer). */
struct text_codec {
    tokenizer *tokenizer;  /* NULL: the folder has none (text_codec_open_ids) */
    chat_template *chat;   /* NULL: prompts must be plain text or ids */
    json_t *system_prompt; /* NULL: none; see chat_system_prompt */
    int eos[64];
    unsigned eos_from[64]; /* bits of enum eos_source */
    int n_eos;
};
int text_codec_open(struct text_codec *c, const char *model_folder, const struct chat_options *chat,
                    const struct hf_config *config, struct err *err);
/* The same where the folder may have no tokenizer: prompts must then be ids, and the EOS set is the
 * config's. A tokenizer that is there but cannot be read is still an error. */
int text_codec_open_ids(struct text_codec *c, const char *model_folder,
                        const struct chat_options *chat, const struct hf_config *config,
                        struct err *err);
/* The template and the system prompts alone, into a codec that has a tokenizer. */
int text_codec_open_chat(struct text_codec *c, const char *folder, const struct chat_options *chat,
                         struct err *err);
void text_codec_close(struct text_codec *c);
/* Ids of a prompt of this task (may be NULL), the task's system prompt before it unless it has one,
 * the generation prompt behind it; appends to *out, and the rendered text to *text when not NULL.
 */
int text_codec_prompt(const struct text_codec *c, struct ids *out, struct str *text,
                      const char *task, const struct chat_message *messages, size_t n,
                      struct err *err);
/* Ids of a dataset row: its messages through the template, or its prompt_ids as they are. */
int text_codec_row(const struct text_codec *c, struct ids *out, const struct row *row,
                   struct err *err);
/* Text of a completion, special tokens left out. */
int text_codec_completion(const struct text_codec *c, struct str *out, const int *ids, int n,
                          struct err *err);

#endif
