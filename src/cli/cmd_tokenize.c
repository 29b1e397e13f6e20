/* cmd_tokenize.c: text or chats to ids and back, as the engine sees them. No model is opened. */
#include <string.h>
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/session.h"

struct tokenize_options {
    const char *model, *tokenizer, *chat_template, *chat_template_kwargs, *system_prompt;
    bool decode, special;
};

struct tokenizing {
    const struct tokenize_options *o;
    struct text_codec codec;
    bool chat_tried;
    struct err chat_err;
    char folder[4096]; /* where the chat template is looked for */
    struct ids ids;
    struct str text;
};

/* The template is only needed by lines with messages, so an unknown one does not stop the rest. */
static int need_chat(struct tokenizing *t, struct err *err)
{
    if (!t->chat_tried) {
        t->chat_tried = true;
        struct chat_given given;
        if (!chat_given_read(&given, t->o->chat_template, t->o->chat_template_kwargs,
                             t->o->system_prompt, &t->chat_err))
            text_codec_open_chat(&t->codec, t->folder, &given.options, &t->chat_err);
        chat_given_free(&given);
    }
    if (t->chat_err.code)
        *err = t->chat_err;
    return (int)t->chat_err.code;
}

static int encode_messages(struct tokenizing *t, struct lines *l, const json_t *line,
                           struct err *err)
{
    struct chat_message *messages = NULL;
    size_t n;
    int status = chat_row_check(line, "", err);
    if (!status)
        status =
            messages_from_json(&messages, &n, json_object_get(line, "messages"), "messages", err);
    if (!status)
        status = need_chat(t, err);
    if (!status)
        status =
            text_codec_prompt(&t->codec, &t->ids, &t->text,
                              json_string_value(json_object_get(line, "task")), messages, n, err);
    mem_free(messages);
    if (status)
        return status;
    put_ids(&l->w, "ids", t->ids.data, t->ids.count);
    jw_key(&l->w, "text");
    jw_string(&l->w, str_text(&t->text), t->text.length);
    return ERR_NONE;
}

static int encode(struct tokenizing *t, struct lines *l, const json_t *line, struct err *err)
{
    const json_t *text = json_object_get(line, "text"),
                 *messages = json_object_get(line, "messages");
    if (messages && text)
        return err_set(err, ERR_INPUT, "", "has both \"text\" and \"messages\"; give one");
    if (messages)
        return encode_messages(t, l, line, err);
    if (!json_is_string(text))
        return err_set(err, ERR_INPUT, "",
                       "\"text\" is %s; expected {\"text\": …} or {\"messages\": […]} (with "
                       "--decode: {\"ids\": […]})",
                       json_type_name(text));
    int status = tokenizer_encode(t->codec.tokenizer, &t->ids, json_string_value(text),
                                  json_string_length(text), t->o->special, err);
    if (!status)
        put_ids(&l->w, "ids", t->ids.data, t->ids.count);
    return status;
}

static int answer(void *context, struct lines *l, const json_t *line, struct err *err)
{
    struct tokenizing *t = context;
    t->ids.count = 0;
    str_clear(&t->text);
    if (!t->o->decode)
        return encode(t, l, line, err);
    int status = ids_from_json(&t->ids, json_object_get(line, "ids"), "ids",
                               tokenizer_vocab_size(t->codec.tokenizer), err);
    if (!status)
        status =
            tokenizer_decode(t->codec.tokenizer, &t->text, t->ids.data, t->ids.count, false, err);
    if (status)
        return status;
    jw_key(&l->w, "text");
    jw_string(&l->w, str_text(&t->text), t->text.length);
    return ERR_NONE;
}

static int run(const struct common *common, const void *options, struct err *err)
{
    const struct tokenize_options *o = options;
    if (!o->model == !o->tokenizer)
        return err_set(err, ERR_USAGE, "tokenize", "give one of --model DIR and --tokenizer FILE");
    if (o->decode && o->special)
        return err_set(err, ERR_USAGE, "--special",
                       "says how text is encoded; --decode always keeps special tokens");
    struct tokenizing t = {.o = o};
    const char *path = o->model ? o->model : o->tokenizer;
    snprintf(t.folder, sizeof t.folder, "%s", path);
    if (!dir_exists(t.folder)) { /* a file: its template, if any, lies beside it */
        char *slash = strrchr(t.folder, '/');
        snprintf(slash ? slash + 1 : t.folder, 2, "%s", slash ? "" : ".");
    }
    int status = tokenizer_open(&t.codec.tokenizer, path, err);
    if (!status && (o->chat_template || o->chat_template_kwargs || o->system_prompt))
        status = need_chat(&t, err); /* a mistake there is told before any line is read */
    if (!status)
        status = lines_each(common, "tokenize", answer, &t, err);
    text_codec_close(&t.codec);
    ids_free(&t.ids);
    str_free(&t.text);
    return status;
}

#define AT(field) offsetof(struct tokenize_options, field)
static const struct arg args[] = {
    {"model", ARG_TEXT, AT(model), 0, 0, NULL, NULL, "DIR", "Model folder with tokenizer.json."},
    {"tokenizer", ARG_TEXT, AT(tokenizer), 0, 0, NULL, NULL, "FILE", "A tokenizer.json."},
    CHAT_ARGS(AT(chat_template), AT(chat_template_kwargs), AT(system_prompt)),
    {"decode", ARG_FLAG, AT(decode), 0, 0, NULL, NULL, NULL,
     "Ids to text; special tokens are kept."},
    {"special", ARG_FLAG, AT(special), 0, 0, NULL, NULL, NULL,
     "Add to \"text\" what the tokenizer's post-processor would (BOS, EOS)."},
};

const struct command command_tokenize = {
    .name = "tokenize",
    .summary = "text or chats to ids and back (JSONL)",
    .usage = "",
    .details = "In, one a line:  {\"text\"}, or {\"messages\"} (rendered with the generation "
               "prompt),\n                 or with --decode {\"ids\"}\nOut, one a line: {\"ids\"} "
               "(with \"text\" for messages); with --decode {\"text\"}",
    .args = args,
    .n_args = ARRAY_LENGTH(args),
    .options_size = sizeof(struct tokenize_options),
    .run = run};
