/* hf_config.h: a Hugging Face config.json (transformers 4 and 5 spellings) as a plain struct. */
#ifndef FORMATS_HF_CONFIG_H
#define FORMATS_HF_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum architecture { ARCH_LLAMA, ARCH_QWEN2, ARCH_QWEN3 };

enum { HF_MAX_EOS = 16 };

/* rope_type "llama3" (Llama 3.1 and later): frequencies whose wavelength exceeds
 * original_max_position_embeddings / low_freq_factor are divided by factor, those below … /
 * high_freq_factor are kept, between the two they are blended. factor 0: the plain embedding. */
struct rope_scaling {
    double factor, low_freq_factor, high_freq_factor;
    int original_max_position_embeddings;
};

struct hf_config {
    enum architecture arch;
    int vocab_size, hidden_size, intermediate_size, layers, heads, kv_heads, head_dim;
    int max_position_embeddings;
    bool tie_word_embeddings;
    bool qk_norm;  /* Qwen3 */
    bool qkv_bias; /* Qwen2: q, k and v have a bias, o has none */
    double rms_norm_eps, rope_theta;
    struct rope_scaling rope;
    int eos[HF_MAX_EOS], n_eos; /* from config.json and, when read, generation_config.json */
    int bos;                    /* -1: none */
};

/* An unknown architecture, activation, rope scaling, bias, sliding window in use or quantisation is
 * ERR_INPUT naming it: never a silently wrong model. */
int hf_config_parse(struct hf_config *config, const void *json, size_t size, const char *where,
                    struct err *err);
/* FOLDER/config.json, and the EOS ids of generation_config.json when that exists. Anything else in
 * generation_config.json is ignored; *ignored (may be NULL) receives a printable list of it. */
int hf_config_open(struct hf_config *config, const char *folder, char *ignored, size_t ignored_size,
                   struct err *err);

#endif
