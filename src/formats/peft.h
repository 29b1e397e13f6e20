/* peft.h: a PEFT LoRA adapter folder: adapter_config.json and adapter_model.safetensors. */
#ifndef FORMATS_PEFT_H
#define FORMATS_PEFT_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "formats/safetensors.h"

/* The seven projections, in the order of a layer's data flow. */
enum projection { PROJ_Q, PROJ_K, PROJ_V, PROJ_O, PROJ_GATE, PROJ_UP, PROJ_DOWN, N_PROJECTIONS };
extern const char *const projection_names[N_PROJECTIONS]; /* "q_proj", … */

struct peft_config {
    int r;
    double lora_alpha, lora_dropout;
    bool use_rslora;
    bool targets[N_PROJECTIONS];
    char base_model[512]; /* base_model_name_or_path, as written */
};

/* Scale of the branch: alpha/r, or alpha/√r with rsLoRA. */
float peft_scale(const struct peft_config *config);

/* adapter_config.json's bytes. target_modules may be a list of names, "all-linear", or a regular
 * expression PEFT would accept as a string only when it is one of the plain names; anything else,
 * DoRA, rank_pattern, alpha_pattern, modules_to_save, bias other than none: ERR_INPUT naming it. */
int peft_config_parse(struct peft_config *config, const void *json, size_t size, const char *where,
                      struct err *err);
/* FOLDER's adapter_config.json. */
int peft_config_read(struct peft_config *config, const char *folder, struct err *err);
/* Reads FOLDER's two files. */
int peft_open(struct peft_config *config, struct tensor_set *tensors, const char *folder,
              struct err *err);
/* PEFT's tensor name, e.g. base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight */
void peft_tensor_name(char out[160], int layer, enum projection p, bool is_b);
/* Writes adapter_config.json's text (keys sorted, deterministic). */
int peft_config_write(struct str *out, const struct peft_config *config, struct err *err);

#endif
