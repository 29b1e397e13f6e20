/* pretrain_corpus.h: documents of a JSONL file as token ids, and which of their tokens come when.
 *
 * A document of T tokens is T − 1 rows: row i reads token i and predicts token i + 1. A document
 * attends only to itself. What a pass computes is a list of pieces, runs of rows of one document; a
 * piece starts at position 0, so a piece from the middle of a document has no context before it,
 * but no prediction is lost or made twice. */
#ifndef TRAIN_PRETRAIN_CORPUS_H
#define TRAIN_PRETRAIN_CORPUS_H
#include "episode/episode.h"
#include "train/deck.h"

struct corpus_document {
    size_t start;    /* of its tokens in corpus.ids */
    int tokens;      /* 2 or more */
    int first_count; /* predictions of tokens from this index on count in the loss */
    long line;
};

struct corpus {
    struct corpus_document *documents;
    size_t count;
    struct ids ids;   /* of all documents, end to end */
    size_t rows;      /* of all documents */
    int longest;      /* rows of a document, at most */
    int shortest;     /* and at least */
    size_t truncated; /* documents cut to max_length */
    char sha256[65];  /* of the file's bytes */
    char *path;
};

struct corpus_rules {
    const struct text_codec *codec;
    const char *folder;   /* the tokenizer's, for messages */
    int vocab_size;       /* the model's */
    int max_length;       /* tokens of a document at most; 0: any length */
    bool truncate;        /* longer ones are cut to their start; else they are errors */
    bool completion_only; /* only tokens of completions count */
};

/* A row is {"text"}: the text as the tokenizer encodes it with its special tokens, then EOS;
 * {"messages"}: the chat as the template renders it, whole; or {"prompt", "completion"}: the prompt
 * (messages, or text as one user message) with the generation prompt, the completion, and what the
 * template writes behind an assistant's turn. Without a template, prompts are plain text and EOS
 * ends the completion. With completion_only, messages are a prompt and the last one's content.
 * Errors name file and line: no such keys, nothing to predict, too long, an empty file. */
int corpus_open(struct corpus *c, const char *path, const struct corpus_rules *rules,
                struct err *err);
void corpus_close(struct corpus *c);
/* ERR_GATE naming the first document of `eval` whose tokens are also a document of `train`. */
int corpus_disjoint(const struct corpus *train, const struct corpus *eval, struct err *err);

struct corpus_piece {
    const struct corpus_document *document;
    int from, rows;
};
/* Rows of a piece that count. */
int corpus_piece_counted(const struct corpus_piece *p);

/* Deals sequences. Sequence number s (0-based, over the whole run) is card s of the deck; when
 * packing it is rows [s·length, (s + 1)·length) of the endless stream that the decks of epoch 0, 1,
 * … make end to end. So the cursor of a run is one number here, too. */
struct corpus_dealer {
    const struct corpus *corpus;
    struct deck deck;
    int length; /* rows of a sequence when packing; 0: a sequence is a document */
    /* packing: row `at` of the stream is row `row` of the document on card `card` */
    uint64_t at, card;
    int row;
};
int corpus_dealer_create(struct corpus_dealer *d, const struct corpus *c, int length, uint64_t seed,
                         struct err *err);
void corpus_dealer_free(struct corpus_dealer *d);
/* Most pieces and most rows of a sequence. */
int corpus_dealer_pieces(const struct corpus_dealer *d);
int corpus_dealer_rows(const struct corpus_dealer *d);
/* Writes the pieces of sequence s; returns their number. */
int corpus_deal(struct corpus_dealer *d, uint64_t s, struct corpus_piece *out);
/* Passes over the corpus that `sequences` sequences are. */
double corpus_dealer_epochs(const struct corpus_dealer *d, uint64_t sequences);

#endif
