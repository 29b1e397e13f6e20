/* session.c: device, model, adapter and codec from a command's options; see session.h. */
#include "cli/session.h"
#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

const char *const speculation_names[] = {"auto", "off", "always", NULL};

void session_tell_decoding(const struct rollout_counts *c)
{
    if (c->passes)
        log_info("%lld tokens in %lld passes, %.2f s (%.0f tokens/s); %lld of %lld guessed tokens "
                 "came true",
                 c->tokens, c->passes, c->seconds, (double)c->tokens / fmax(c->seconds, 1e-9),
                 c->accepted, c->drafted);
}

int session_open(struct session *s, const struct session_options *options,
                 const struct common *common, struct err *err)
{
    *s = (struct session){.options = *options};
    if (!options->model)
        return err_set(err, ERR_USAGE, "--model", "is required: a Hugging Face model folder");
    if (!dir_exists(options->model))
        return err_set(err, ERR_INPUT, options->model,
                       "is no folder; --model wants one with "
                       "config.json and *.safetensors");
    struct device_options how = {.device = common->device,
                                 .isa = common->isa,
                                 .precision = (enum precision)common->precision,
                                 .threads = common->threads};
    int status = device_open(&s->device, &how, err);
    if (!status)
        status = model_open(&s->model, s->device, options->model, 0, err);
    if (!status && options->adapter)
        status = adapter_open(&s->adapter, s->model, options->adapter, err);
    if (!status &&
        (options->chat_template || options->chat_template_kwargs || options->system_prompt))
        status = session_codec(s, err); /* a mistake there is told before any line is read */
    if (status)
        session_close(s);
    return status;
}

void session_close(struct session *s)
{
    text_codec_close(&s->codec);
    adapter_close(s->adapter);
    if (s->model)
        model_close(s->model);
    device_close(s->device);
    *s = (struct session){0};
}

/* A JSON object, or (text_too) any other text as it is. */
static int read_option(json_t **out, const char *text, bool text_too, const char *where,
                       struct err *err)
{
    if (!text)
        return ERR_NONE;
    if (text_too && text[strspn(text, " \t\n")] != '{') {
        *out = json_string(text);
        return *out ? ERR_NONE : err_set(err, ERR_USAGE, where, "is not valid UTF-8");
    }
    *out = json_read(text, strlen(text), JSON_UNIQUE_KEYS | JSON_ANY_VALUE, where, err);
    if (!*out) {
        err->code = err->code == ERR_INPUT ? ERR_USAGE : err->code;
        return (int)err->code;
    }
    return json_is_object(*out) ? ERR_NONE
                                : err_set(err, ERR_USAGE, where, "is %s, expected a JSON object",
                                          json_type_name(*out));
}

int chat_given_read(struct chat_given *out, const char *template, const char *kwargs,
                    const char *system_prompt, struct err *err)
{
    *out = (struct chat_given){0};
    int status = read_option(&out->kwargs, kwargs, false, "--chat-template-kwargs", err);
    if (!status)
        status = read_option(&out->system_prompt, system_prompt, true, "--system-prompt", err);
    if (!status)
        status = chat_system_prompt_check(out->system_prompt, "--system-prompt", err);
    out->options = (struct chat_options){template, out->kwargs, out->system_prompt};
    return status;
}

void chat_given_free(struct chat_given *g)
{
    json_decref(g->kwargs);
    json_decref(g->system_prompt);
    *g = (struct chat_given){0};
}

static int open_codec(struct session *s, struct err *err)
{
    const struct session_options *o = &s->options;
    struct chat_given given;
    int status =
        chat_given_read(&given, o->chat_template, o->chat_template_kwargs, o->system_prompt, err);
    struct chat_options chat = given.options;
    if (o->chat) { /* a recipe's, where the command line says nothing */
        chat.template = chat.template ? chat.template : o->chat->template;
        chat.kwargs = chat.kwargs ? chat.kwargs : o->chat->kwargs;
        chat.system_prompt = chat.system_prompt ? chat.system_prompt : o->chat->system_prompt;
    }
    if (!status)
        status = text_codec_open_ids(&s->codec, o->model, &chat, model_config(s->model), err);
    chat_given_free(&given);
    return status;
}

int session_codec(struct session *s, struct err *err)
{
    if (!s->codec_tried) {
        s->codec_tried = true;
        open_codec(s, &s->codec_err);
    }
    if (s->codec_err.code)
        *err = s->codec_err;
    return (int)s->codec_err.code;
}

int session_text(struct session *s, const struct text_codec **codec, struct err *err)
{
    int status = session_codec(s, err);
    if (!status && !s->codec.tokenizer)
        status = err_set(err, ERR_INPUT, s->options.model,
                         "has no tokenizer.json, so text cannot be read; give ids instead");
    *codec = &s->codec;
    return status;
}

int session_sequences(const struct session *s, int max_tokens)
{
    enum { MOST = 32 };
    const double budget = 1 << 30;
    size_t rows = kv_cache_bytes(s->device, model_config(s->model), KV_ALIGN);
    double fit = budget / ((double)rows / KV_ALIGN * max_tokens);
    return fit < 1 ? 1 : fit > MOST ? MOST : (int)fit;
}

const struct peft_config *session_lora(const struct session *s)
{
    return s->adapter ? adapter_config(s->adapter) : NULL;
}

int ids_from_json(struct ids *out, const json_t *list, const char *key, int vocab, struct err *err)
{
    if (!json_is_array(list))
        return err_set(err, ERR_INPUT, "", "\"%s\" is %s, expected a list of token ids", key,
                       json_type_name(list));
    long long top = vocab ? vocab - 1 : INT32_MAX;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_integer(item))
            return err_set(err, ERR_INPUT, "",
                           "\"%s\" holds %s at position %zu, expected a token id", key,
                           json_type_name(item), i);
        long long id = json_integer_value(item);
        if (id < 0 || id > top)
            return err_set(err, ERR_INPUT, "",
                           "\"%s\" holds the id %lld at position %zu, expected 0 to %lld", key, id,
                           i, top);
        if (ids_push(out, (int)id))
            return err_no_memory(err, key, json_array_size(list) * sizeof *out->data);
    }
    return ERR_NONE;
}

int messages_from_json(struct chat_message **messages, size_t *n, const json_t *list,
                       const char *key, struct err *err)
{
    *messages = NULL;
    *n = json_array_size(list);
    if (!*n)
        return err_set(err, ERR_INPUT, "",
                       "\"%s\" is %s; expected a list of messages with at least one", key,
                       json_is_array(list) ? "an empty list" : json_type_name(list));
    struct chat_message *m = mem_alloc(*n * sizeof *m);
    if (!m)
        return err_no_memory(err, key, *n * sizeof *m);
    for (size_t i = 0; i < *n; i++) {
        const json_t *item = json_array_get(list, i), *role = json_object_get(item, "role"),
                     *content = json_object_get(item, "content");
        if (!json_is_string(role) || !json_is_string(content)) {
            mem_free(m);
            return err_set(err, ERR_INPUT, "",
                           "message %zu of \"%s\" is not {\"role\": text, \"content\": text}", i,
                           key);
        }
        m[i] = (struct chat_message){json_string_value(role), json_string_value(content),
                                     json_string_length(content), item};
    }
    *messages = m;
    return ERR_NONE;
}

int prompt_from_json(struct session *s, struct ids *out, const json_t *line, struct err *err)
{
    const json_t *ids = json_object_get(line, "prompt_ids"),
                 *prompt = json_object_get(line, "prompt");
    if (ids)
        return ids_from_json(out, ids, "prompt_ids", model_config(s->model)->vocab_size, err);
    if (!prompt)
        return err_set(err, ERR_INPUT, "",
                       "has neither \"prompt_ids\" nor \"prompt\" (text or messages)");
    if (!json_is_string(prompt) && !json_is_array(prompt))
        return err_set(err, ERR_INPUT, "", "\"prompt\" is %s, expected text or a list of messages",
                       json_type_name(prompt));
    const struct text_codec *codec;
    int status = session_text(s, &codec, err);
    if (status)
        return status;
    if (json_is_string(prompt))
        return tokenizer_encode(codec->tokenizer, out, json_string_value(prompt),
                                json_string_length(prompt), false, err);
    struct chat_message *messages = NULL;
    size_t n;
    status = chat_row_check(line, "", err);
    if (!status)
        status = messages_from_json(&messages, &n, prompt, "prompt", err);
    if (!status)
        status = text_codec_prompt(
            codec, out, NULL, json_string_value(json_object_get(line, "task")), messages, n, err);
    mem_free(messages);
    return status;
}

int prompt_fits(const struct session *s, const struct ids *prompt, int more, struct err *err)
{
    if (!prompt->count)
        return err_set(err, ERR_INPUT, "", "the prompt has no tokens; at least one is needed");
    /* The last new token is never fed, so it needs no position. */
    if (prompt->count - 1 + (size_t)more > (size_t)model_max_context(s->model))
        return err_set(err, ERR_INPUT, "",
                       "%zu prompt tokens and %d more exceed the model's context of %d",
                       prompt->count, more, model_max_context(s->model));
    return ERR_NONE;
}

void put_ids(struct json_writer *w, const char *key, const int *ids, size_t n)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (size_t i = 0; i < n; i++)
        jw_int(w, ids[i]);
    jw_array_end(w);
}

void put_floats(struct json_writer *w, const char *key, const float *x, size_t n)
{
    jw_key(w, key);
    jw_array_begin(w);
    for (size_t i = 0; i < n; i++)
        jw_float(w, x[i]);
    jw_array_end(w);
}
