/* postprocess.h: tokenizer.json's "post_processor": the ids it puts around a text. */
#ifndef TOKENIZER_POSTPROCESS_H
#define TOKENIZER_POSTPROCESS_H
#include <jansson.h>
#include "base/err.h"
#include "tokenizer/ids.h"
#include "tokenizer/vocab.h"

struct post_processor {
    struct ids before, after;
};

/* spec: NULL or null: nothing. Components: Sequence, TemplateProcessing, BertProcessing,
 * RobertaProcessing, ByteLevel (which concerns offsets only); at most one that adds ids. */
int post_processor_load(struct post_processor *p, const struct vocab *vocab, const json_t *spec,
                        const char *where, struct err *err);
void post_processor_free(struct post_processor *p);

#endif
