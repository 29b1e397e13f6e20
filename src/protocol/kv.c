/* kv.c: is decoding with the cache of keys and values what a full pass computes?
 *
 * A completion is decoded token by token: prompt first, then one row a pass, keys and values from
 * the cache. Then the whole text, prompt and completion, is scored as the completion of its first
 * token, which is one pass in which every key is computed anew. A log-probability is a logit minus
 * the log-sum-exp of all of its row, so equal bits mean equal logits in all that matters. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"
#include "protocol/parts.h"

enum { TOKENS = 24, PROMPTS = 3, LONGEST = 512 };

static const char *const texts[PROMPTS] = {
    "Oi!", "Quantos pedidos da categoria cozinha houve em março? Responda com SQL e explique.",
    ("Resuma em uma frase: o produto chegou dois dias antes do prazo, bem embalado, mas a cor não "
     "era a da foto e o manual veio só em inglês. Mesmo assim recomendo a loja.")};

/* Through the template where there is one; else ids as good as any. */
static int make_prompt(struct ids *out, const struct setup *s, int i, struct err *err)
{
    const struct chat_message user = {"user", texts[i], strlen(texts[i]), NULL};
    if (s->codec.tokenizer && s->codec.chat)
        return text_codec_prompt(&s->codec, out, NULL, NULL, &user, 1, err);
    for (int t = 0; t < 4 + 9 * i; t++)
        if (ids_push(out, (7 + 13 * t + 31 * i) % s->config.vocab_size))
            return err_no_memory(err, "a prompt", (unsigned long long)t);
    return ERR_NONE;
}

struct both {
    int ids[TOKENS];
    float decoded[TOKENS];
    int all[LONGEST];
    float full[LONGEST];
};

static int decode(rollout *r, const adapter *a, const struct ids *prompt, struct completion *c,
                  struct err *err)
{
    struct rollout_options options = {.max_new_tokens = TOKENS};
    struct group_request q = {
        .prompt_ids = prompt->data, .prompt_len = (int)prompt->count, .n = 1, .out = c};
    return rollout_run(r, a, &options, &q, 1, NULL, err);
}

static int score_whole(rollout *r, const adapter *a, struct both *b, int n, struct err *err)
{
    const int *ids = b->all + 1;
    float *logp = b->full + 1;
    int length = n - 1;
    struct score_request q = {.prompt_ids = b->all,
                              .prompt_len = 1,
                              .completion_ids = &ids,
                              .completion_len = &length,
                              .n = 1,
                              .logprobs = &logp};
    return rollout_score(r, a, 1.0, &q, err);
}

static uint32_t bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static int compare_one(struct kv_check *out, rollout *r, const adapter *a, const struct ids *prompt,
                       struct both *b, struct err *err)
{
    struct completion c = {.ids = b->ids, .logprobs = b->decoded};
    int n = (int)prompt->count, status = decode(r, a, prompt, &c, err);
    if (status)
        return status;
    memcpy(b->all, prompt->data, prompt->count * sizeof *b->all);
    memcpy(b->all + n, c.ids, (size_t)c.length * sizeof *b->all);
    status = score_whole(r, a, b, n + c.length, err);
    for (int t = 0; t < c.length && !status; t++) {
        out->differ += bits(b->decoded[t]) != bits(b->full[n + t]);
        out->largest = fmax(out->largest, fabs((double)b->decoded[t] - b->full[n + t]));
        out->tokens++;
    }
    out->prompts++;
    return status;
}

static int compare_all(struct kv_check *out, const struct setup *s, model *m, adapter *a,
                       struct err *err)
{
    struct both *b = mem_calloc(1, sizeof *b);
    rollout *r = NULL;
    int context = model_max_context(m), room = context < LONGEST ? context : LONGEST;
    int status = b ? rollout_create(&r, m, adapter_config(a), 1, room, room, err)
                   : err_no_memory(err, "the comparison", sizeof *b);
    for (int i = 0; i < PROMPTS && !status; i++) {
        struct ids prompt = {0};
        status = make_prompt(&prompt, s, i, err);
        if (!status && prompt.count && (int)prompt.count + TOKENS <= room)
            status = compare_one(out, r, a, &prompt, b, err);
        ids_free(&prompt);
    }
    if (!status && !out->prompts)
        status = err_set(err, ERR_GATE, "kv", "none of %d short prompts fits the context of %d",
                         PROMPTS, context);
    rollout_free(r);
    mem_free(b);
    return status;
}

int kv_compare(struct kv_check *out, const struct setup *s, struct err *err)
{
    model *m = NULL;
    adapter *a = NULL;
    *out = (struct kv_check){0};
    int context =
        s->config.max_position_embeddings < LONGEST ? s->config.max_position_embeddings : LONGEST;
    int status = model_open(&m, s->spec.device, s->o->model, context, err);
    if (!status)
        status = s->o->init_adapter ? adapter_open(&a, m, s->o->init_adapter, err)
                                    : adapter_create(&a, m, &s->lora, (uint64_t)s->o->seed, err);
    if (!status)
        status = compare_all(out, s, m, a, err);
    adapter_close(a);
    if (m)
        model_close(m);
    return status;
}
