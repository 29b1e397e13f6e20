/* pretrain_corpus.c: reading documents, and dealing their rows to sequences; see pretrain_corpus.h.
 *
 * Everything is encoded once, when the run starts, into one array of ids: the largest corpora that
 * make sense on this engine are some hundred megabytes of text. Packing keeps no table of
 * sequences: the stream of an epoch is a function of its shuffle, and the dealer walks it; a resume
 * walks once from the epoch's start. */
#include "train/pretrain_corpus.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/check.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "formats/jsonl.h"

struct reading {
    struct corpus *c;
    const struct corpus_rules *rules;
    size_t capacity;           /* of documents */
    struct ids tail;           /* what ends a completion; empty: not needed so far */
    struct chat_message *chat; /* messages of the row at hand */
    size_t chat_capacity;
    struct str text;
    long line;
};

static int line_error(const struct reading *r, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int line_error(const struct reading *r, struct err *err, const char *format, ...)
{
    char where[256], text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(where, sizeof where, "%.220s:%ld", r->c->path, r->line);
    (void)err_set(err, ERR_INPUT, where, "%s", text);
    return ERR_INPUT;
}

static int encode(struct reading *r, const char *text, size_t length, bool with_special,
                  struct err *err)
{
    int status =
        tokenizer_encode(r->rules->codec->tokenizer, &r->c->ids, text, length, with_special, err);
    return status == ERR_INPUT && err ? line_error(r, err, "%.600s", err->message) : status;
}

static int append(struct reading *r, const int *ids, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids_push(&r->c->ids, ids[i]))
            return err_no_memory(err, r->c->path, r->c->ids.count * sizeof(int));
    return ERR_NONE;
}

static bool is_eos(const struct text_codec *codec, int id)
{
    for (int i = 0; i < codec->n_eos; i++)
        if (codec->eos[i] == id)
            return true;
    return false;
}

/* --- the ends of documents --- */

/* What follows the content of an assistant's message: rendered around a word that no template
 * writes itself. */
static int find_tail(struct reading *r, struct err *err)
{
    static const char word[] = "qzxjkvqzxjkv";
    const struct text_codec *codec = r->rules->codec;
    if (r->tail.count)
        return ERR_NONE;
    if (!codec->chat)
        return ids_push(&r->tail, codec->eos[0]) ? err_no_memory(err, r->rules->folder, 4)
                                                 : ERR_NONE;
    const struct chat_message turn[] = {{"user", word, 4, NULL},
                                        {"assistant", word, sizeof word - 1, NULL}};
    struct str text = {0};
    int status = chat_render(&text, codec->chat, turn, 2, false, err);
    const char *found = status ? NULL : strstr(str_text(&text), word);
    if (!status && !found)
        status = err_set(err, ERR_INPUT, r->rules->folder,
                         "the chat template leaves out what an assistant says");
    if (!status)
        status = tokenizer_encode(codec->tokenizer, &r->tail, found + sizeof word - 1,
                                  strlen(found + sizeof word - 1), false, err);
    bool ends = false;
    for (size_t i = 0; i < r->tail.count; i++)
        ends = ends || is_eos(codec, r->tail.data[i]);
    if (!status && !ends)
        status = err_set(err, ERR_INPUT, r->rules->folder,
                         "the chat template ends an assistant's turn with no EOS token: a trained "
                         "model would never stop; add its token to eos_token_id of the config");
    str_free(&text);
    return status;
}

/* --- one row --- */

/* Non-zero when memory is out. */
static int reserve_chat(struct reading *r, size_t n)
{
    if (r->chat && n <= r->chat_capacity)
        return 0;
    struct chat_message *grown = mem_realloc(r->chat, n * sizeof *grown);
    if (!grown)
        return -1;
    r->chat = grown;
    r->chat_capacity = n;
    return 0;
}

static int read_messages(struct reading *r, const json_t *list, const char *key, size_t *n,
                         struct err *err)
{
    *n = json_array_size(list);
    if (!*n)
        return line_error(r, err, "\"%s\" is %s; expected a list of messages with at least one",
                          key, json_is_array(list) ? "an empty list" : json_type_name(list));
    if (reserve_chat(r, *n))
        return err_no_memory(err, r->c->path, *n * sizeof *r->chat);
    for (size_t i = 0; i < *n; i++) {
        const json_t *item = json_array_get(list, i), *role = json_object_get(item, "role"),
                     *content = json_object_get(item, "content");
        if (!json_is_string(role) || !json_is_string(content))
            return line_error(r, err,
                              "message %zu of \"%s\" is not {\"role\": text, \"content\": text}",
                              i + 1, key);
        r->chat[i] = (struct chat_message){json_string_value(role), json_string_value(content),
                                           json_string_length(content), item};
    }
    if (!r->rules->codec->chat)
        return line_error(r, err,
                          "has messages, but %.300s has no chat template; name one (chat_template: "
                          "chatml)",
                          r->rules->folder);
    return ERR_NONE;
}

static int render(struct reading *r, size_t n, bool generation_prompt, struct err *err)
{
    str_clear(&r->text);
    int status = find_tail(r, err); /* of whole chats, too: they must end somewhere */
    if (status)
        return status;
    status = chat_render(&r->text, r->rules->codec->chat, r->chat, n, generation_prompt, err);
    if (status == ERR_INPUT && err)
        return line_error(r, err, "%.600s", err->message);
    return status ? status : encode(r, str_text(&r->text), r->text.length, false, err);
}

static int read_text(struct reading *r, const json_t *text, struct err *err)
{
    if (r->rules->completion_only)
        return line_error(r, err,
                          "is {\"text\"}, which has no completion, but completion_only_loss is on");
    size_t start = r->c->ids.count;
    int status = encode(r, json_string_value(text), json_string_length(text), true, err);
    const struct ids *ids = &r->c->ids;
    if (!status && (ids->count == start || !is_eos(r->rules->codec, ids->data[ids->count - 1])))
        status = append(r, &r->rules->codec->eos[0], 1, err);
    return status;
}

/* r->chat holds the prompt of n messages, or `plain` is its text. */
static int read_pair(struct reading *r, size_t n, const json_t *plain, const char *completion,
                     size_t length, size_t *prompt_tokens, struct err *err)
{
    size_t start = r->c->ids.count;
    int status = plain ? encode(r, json_string_value(plain), json_string_length(plain), true, err)
                       : render(r, n, true, err);
    *prompt_tokens = r->c->ids.count - start;
    if (!status)
        status = encode(r, completion, length, false, err);
    if (!status)
        status = find_tail(r, err);
    return status ? status : append(r, r->tail.data, r->tail.count, err);
}

static int read_prompt_completion(struct reading *r, const json_t *prompt, const json_t *completion,
                                  size_t *prompt_tokens, struct err *err)
{
    size_t n = 1;
    const json_t *plain = NULL;
    int status = ERR_NONE;
    if (!json_is_string(completion))
        return line_error(r, err, "\"completion\" is %s, expected text",
                          completion ? json_type_name(completion) : "missing");
    if (!json_is_string(prompt))
        status = read_messages(r, prompt, "prompt", &n, err);
    else if (!r->rules->codec->chat)
        plain = prompt;
    else if (reserve_chat(r, 1))
        status = err_no_memory(err, r->c->path, sizeof *r->chat);
    else
        r->chat[0] = (struct chat_message){"user", json_string_value(prompt),
                                           json_string_length(prompt), NULL};
    return status ? status
                  : read_pair(r, n, plain, json_string_value(completion),
                              json_string_length(completion), prompt_tokens, err);
}

static int read_chat(struct reading *r, const json_t *messages, size_t *prompt_tokens,
                     struct err *err)
{
    size_t n;
    int status = read_messages(r, messages, "messages", &n, err);
    if (status || !r->rules->completion_only)
        return status ? status : render(r, n, false, err);
    const char *wrong = n < 2 ? "is a single one" : NULL;
    if (!wrong && strcmp(r->chat[n - 1].role, "assistant") != 0)
        wrong = "does not end with the assistant's";
    if (wrong)
        return line_error(r, err, "completion_only_loss is on, but \"messages\" %s", wrong);
    const struct chat_message last = r->chat[n - 1];
    return read_pair(r, n - 1, NULL, last.content, last.content_length, prompt_tokens, err);
}

static int read_row(struct reading *r, const json_t *row, size_t *prompt_tokens, struct err *err)
{
    const json_t *text = json_object_get(row, "text"), *messages = json_object_get(row, "messages"),
                 *prompt = json_object_get(row, "prompt");
    if (!!text + !!messages + !!prompt != 1)
        return line_error(r, err,
                          "has %s of \"text\", \"messages\" and \"prompt\" with \"completion\"; "
                          "expected exactly one",
                          text || messages || prompt ? "several" : "none");
    *prompt_tokens = 0;
    struct err local = {0};
    if ((messages || json_is_array(prompt)) && chat_row_check(row, "", &local))
        return line_error(r, err, "%s", local.message);
    if (messages)
        return read_chat(r, messages, prompt_tokens, err);
    if (prompt)
        return read_prompt_completion(r, prompt, json_object_get(row, "completion"), prompt_tokens,
                                      err);
    if (!json_is_string(text))
        return line_error(r, err, "\"text\" is %s, expected text", json_type_name(text));
    return read_text(r, text, err);
}

/* --- a document of the ids that a row has added --- */

static int check_ids(const struct reading *r, size_t start, struct err *err)
{
    for (size_t i = start; i < r->c->ids.count; i++)
        if (r->c->ids.data[i] < 0 || r->c->ids.data[i] >= r->rules->vocab_size)
            return line_error(r, err,
                              "has the token id %d, the config's vocab_size is %d: config and "
                              "tokenizer do not belong together",
                              r->c->ids.data[i], r->rules->vocab_size);
    return ERR_NONE;
}

static int cut(struct reading *r, size_t start, size_t prompt_tokens, struct err *err)
{
    int limit = r->rules->max_length;
    size_t tokens = r->c->ids.count - start;
    if (!limit || tokens <= (size_t)limit)
        return ERR_NONE;
    if (!r->rules->truncate)
        return line_error(r, err,
                          "is a document of %zu tokens, max_length is %d: raise it, set packing, "
                          "or have documents cut (truncation_mode: keep_start)",
                          tokens, limit);
    if (r->rules->completion_only && prompt_tokens >= (size_t)limit)
        return line_error(r, err,
                          "has a prompt of %zu tokens: cut to max_length %d nothing of the "
                          "completion is left to learn",
                          prompt_tokens, limit);
    r->c->ids.count = start + (size_t)limit;
    r->c->truncated++;
    return ERR_NONE;
}

static int add_document(struct reading *r, size_t start, size_t prompt_tokens, struct err *err)
{
    struct corpus *c = r->c;
    int status = check_ids(r, start, err);
    if (!status)
        status = cut(r, start, prompt_tokens, err);
    if (status)
        return status;
    size_t tokens = c->ids.count - start;
    if (tokens < 2)
        return line_error(r, err, "is empty: a document of %zu token%s predicts nothing", tokens,
                          tokens == 1 ? "" : "s");
    if (tokens > INT32_MAX / 2)
        return line_error(r, err, "has %zu tokens, more than a document may have", tokens);
    if (c->count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 1024;
        struct corpus_document *grown = mem_realloc(c->documents, capacity * sizeof *grown);
        if (!grown)
            return err_no_memory(err, c->path, capacity * sizeof *grown);
        c->documents = grown;
        r->capacity = capacity;
    }
    int rows = (int)tokens - 1;
    c->documents[c->count++] = (struct corpus_document){
        .start = start,
        .tokens = (int)tokens,
        .first_count = r->rules->completion_only && prompt_tokens > 1 ? (int)prompt_tokens : 1,
        .line = r->line};
    c->rows += (size_t)rows;
    c->longest = rows > c->longest ? rows : c->longest;
    c->shortest = c->count == 1 || rows < c->shortest ? rows : c->shortest;
    return ERR_NONE;
}

static int read_all(struct reading *r, struct err *err)
{
    struct jsonl_reader in = {0};
    int status = jsonl_open(&in, r->c->path, err), more = 0;
    json_t *row = NULL;
    while (!status && (more = jsonl_next(&in, &row, err)) > 0) {
        size_t start = r->c->ids.count, prompt_tokens = 0;
        r->line = in.line;
        if (!row)
            status = err ? line_error(r, err, "%.600s", err->message) : ERR_INPUT;
        if (!status)
            status = read_row(r, row, &prompt_tokens, err);
        json_decref(row);
        if (!status)
            status = add_document(r, start, prompt_tokens, err);
    }
    if (!status && more < 0)
        status = err ? (int)err->code : ERR_INPUT;
    if (!status && !r->c->count)
        status = err_set(err, ERR_INPUT, r->c->path, "has no documents");
    jsonl_close(&in);
    return status;
}

int corpus_open(struct corpus *c, const char *path, const struct corpus_rules *rules,
                struct err *err)
{
    *c = (struct corpus){.path = mem_strdup(path)};
    struct reading r = {.c = c, .rules = rules};
    int status = c->path ? ERR_NONE : err_no_memory(err, path, strlen(path));
    if (!status && !rules->codec->n_eos)
        status = err_set(err, ERR_INPUT, rules->folder,
                         "neither the config nor the tokenizer names an EOS token: nothing would "
                         "end a document; set eos_token_id in the config");
    if (!status)
        status = sha256_file(c->sha256, path, err);
    if (!status)
        status = read_all(&r, err);
    if (!status && c->count > UINT32_MAX)
        status = err_set(err, ERR_INPUT, path, "has more documents than can be shuffled");
    ids_free(&r.tail);
    str_free(&r.text);
    mem_free(r.chat);
    if (status)
        corpus_close(c);
    return status;
}

void corpus_close(struct corpus *c)
{
    ids_free(&c->ids);
    mem_free(c->documents);
    mem_free(c->path);
    *c = (struct corpus){0};
}

int corpus_disjoint(const struct corpus *train, const struct corpus *eval, struct err *err)
{
    struct map seen = {0};
    bool room = true;
    for (size_t i = 0; i < eval->count && room; i++) {
        const struct corpus_document *d = &eval->documents[i];
        room = map_put(&seen, eval->ids.data + d->start, (size_t)d->tokens * sizeof(int),
                       (int32_t)d->line);
    }
    int status = room ? ERR_NONE : err_no_memory(err, eval->path, eval->ids.count * sizeof(int));
    for (size_t i = 0; i < train->count && !status; i++) {
        const struct corpus_document *d = &train->documents[i];
        int32_t line;
        if (map_get(&seen, train->ids.data + d->start, (size_t)d->tokens * sizeof(int), &line))
            status = err_set(err, ERR_GATE, eval->path,
                             "line %d is also line %ld of %.300s: a held-out document must not be "
                             "trained on; remove one of them",
                             (int)line, d->line, train->path);
    }
    map_free(&seen);
    return status;
}

int corpus_piece_counted(const struct corpus_piece *p)
{
    int skipped = p->document->first_count - 1 - p->from; /* row i predicts token i + 1 */
    skipped = skipped < 0 ? 0 : skipped > p->rows ? p->rows : skipped;
    return p->rows - skipped;
}

/* --- dealing --- */

int corpus_dealer_create(struct corpus_dealer *d, const struct corpus *c, int length, uint64_t seed,
                         struct err *err)
{
    *d = (struct corpus_dealer){.corpus = c, .length = length};
    return deck_create(&d->deck, c->count, seed, 0, err);
}

void corpus_dealer_free(struct corpus_dealer *d)
{
    deck_free(&d->deck);
    *d = (struct corpus_dealer){0};
}

int corpus_dealer_rows(const struct corpus_dealer *d)
{
    return d->length ? d->length : d->corpus->longest;
}

int corpus_dealer_pieces(const struct corpus_dealer *d)
{
    /* Two of them may be parts of a document, the others are whole ones. */
    int most = d->length ? d->length / d->corpus->shortest + 2 : 1;
    return most < d->length || !d->length ? most : d->length;
}

static const struct corpus_document *card(struct corpus_dealer *d, uint64_t position)
{
    return &d->corpus->documents[deck_row(&d->deck, position, NULL)];
}

/* To a row of the stream: from where the dealer stands, or else from its epoch's start. */
static void seek(struct corpus_dealer *d, uint64_t at)
{
    if (d->at == at)
        return;
    uint64_t epoch = at / d->corpus->rows, left = at % d->corpus->rows;
    d->card = epoch * d->corpus->count;
    for (;;) {
        uint64_t rows = (uint64_t)card(d, d->card)->tokens - 1;
        if (left < rows)
            break;
        left -= rows;
        d->card++;
    }
    d->row = (int)left;
    d->at = at;
}

int corpus_deal(struct corpus_dealer *d, uint64_t s, struct corpus_piece *out)
{
    if (!d->length) {
        const struct corpus_document *document = card(d, s);
        *out = (struct corpus_piece){document, 0, document->tokens - 1};
        return 1;
    }
    int n = 0, left = d->length;
    seek(d, s * (uint64_t)d->length);
    while (left) {
        const struct corpus_document *document = card(d, d->card);
        int rows = document->tokens - 1 - d->row;
        rows = rows < left ? rows : left;
        CHECK(n < corpus_dealer_pieces(d));
        out[n++] = (struct corpus_piece){document, d->row, rows};
        left -= rows;
        d->row += rows;
        d->at += (uint64_t)rows;
        if (d->row == document->tokens - 1) {
            d->card++;
            d->row = 0;
        }
    }
    return n;
}

double corpus_dealer_epochs(const struct corpus_dealer *d, uint64_t sequences)
{
    if (!d->length)
        return (double)sequences / (double)d->corpus->count;
    return (double)sequences * d->length / (double)d->corpus->rows;
}
