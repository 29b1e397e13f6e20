/* classify.h: which task a row is of, where the row does not say: the first rule of the recipe's
 * `classifier` that its user messages satisfy.
 *
 *   classifier:
 *     - {task: push, any: [push, "notificação"]}
 *     - {task: sql_qa, all: [tabela, consulta], regex: '(?i)\bselect\b'}
 *     - {default: extraction}          # last, optional
 *
 * any    words or phrases, one of which must occur; all: of which each must occur. Compared without
 *        case, accents, width and punctuation, as whole words: "notificação push" is found in
 *        "Notificacao: PUSH!", not in "notificações push".
 * regex  PCRE2 over the text as it is, Unicode characters and classes, found anywhere.
 *
 * A rule holds when all of its conditions hold. Pure; the time is linear in the text for given
 * rules: words by a linear search, a pattern by a count of its matcher's work over all starting
 * places, which grows with the text's length alone. */
#ifndef DATA_CLASSIFY_H
#define DATA_CLASSIFY_H
#include "base/err.h"
#include "base/yaml.h"
#include "data/rows.h"

enum { CLASSIFY_MAX_RULES = 64, CLASSIFY_MAX_PHRASES = 256 };

typedef struct classifier classifier;

/* ERR_USAGE names `where`, the rule and its line. The node may go away afterwards. */
int classifier_read(classifier **out, const struct yaml_node *node, const char *where,
                    struct err *err);
void classifier_free(classifier *c);
/* *task (the classifier's) is NULL where no rule holds. Any bytes will do. ERR_INPUT when a pattern
 * needs more work than a text of this length may cost: that is for the rules' author to mend, and
 * no answer. Thread-safe. */
int classifier_task(const classifier *c, const char **task, const char *text, size_t length,
                    struct err *err);

/* Gives every row without a task the one of the rules; c may be NULL: nothing happens. Rows that no
 * rule matches keep "" and are counted in *unmatched, which may be NULL: then they are ERR_INPUT
 * naming the first ones with their lines. */
int dataset_classify(struct dataset *d, const classifier *c, size_t *unmatched, struct err *err);
/* classifier_read and dataset_classify in one, for a recipe's key; node NULL: nothing happens. */
int dataset_classify_by(struct dataset *d, const struct yaml_node *node, const char *where,
                        struct err *err);

/* Appends the words of a text, folded: letters and digits without case, accents and width, one
 * space between words, none at the ends. Invalid bytes are between words. */
void classify_fold(struct str *out, const char *text, size_t length);

#endif
