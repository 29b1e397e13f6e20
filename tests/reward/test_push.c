/* test_push.c: gold beats near miss beats empty, no trick beats gold, and each component moves for
 * its own reason. The prompts and texts are of an invented shop. */
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include "cases.h"
#include "reward/push_text.h"
#include "reward/push_words.h"
#include "reward/rewards.h"

static const char lamp[] = "Escreva um push curto para o cliente. Produto: luminária. "
                           "Motivo: está em promoção.";
static const char gold[] = "Sua luminária está em promoção! Aproveite já! 🎉";

struct pair {
    const char *prompt, *text;
};

/* Honest pushes: what should win. */
static const struct pair honest[] = {
    {lamp, gold},
    {lamp, "Oba! Luminária está em promoção! Corra e garanta a sua! 🔥"},
    {lamp, "Luz nova em casa por menos: a luminária que você quer baixou de preço. Corre!"},
    {lamp, "Psiu, aquela luminária linda ficou mais barata. Só hoje! 💡"},
    {lamp, "Ei, sua casa merece brilhar ✨ Luminária com 30% off até domingo."},
    {lamp, "Apagou a luz? A luminária em promoção resolve. Vem ver no app!"},
    {"Escreva uma notificação push de até 120 caracteres para um cliente que avaliou a compra "
     "assim: "
     "\"Produto chegou antes do prazo, muito bem embalado, adorei a cafeteira\".",
     "Adorou a cafeteira? Conta pra gente qual café vai estrear nela! ☕"},
    {"Escreva um push curto para o cliente. Produto: livro. Motivo: chega hoje.",
     "Seu livro chega hoje! Já separou o cantinho da leitura? 📚"},
    {"Escreva um push curto para o cliente. Produto: livro. Motivo: chega hoje.",
     "Prepare o café: seu livro está chegando!"},
    {"Escreva uma notificação push para avisar que o frete é grátis neste fim de semana.",
     "Fim de semana com frete grátis: escolhe, clica e relaxa 🛋️"},
};

/* Attempts at the reward without the push, all under `lamp`. */
static const char *const tricks[] = {
    "",
    " \n\t ",
    "🔥🔥🔥",
    "!!!",
    "10% 20% 30%",
    "Oba!",
    "luminária",
    "luminária está em promoção",
    /* keyword salad, repetition, bare grammar, words out of order */
    "oferta desconto promoção frete grátis luminária produto aproveite corra",
    "luminária promoção luminária promoção luminária promoção",
    "promoção promoção promoção promoção promoção promoção promoção",
    "de a o que e do da em um para com não uma os no se na",
    "corra a e garanta sua em luminária a promoção oba está",
    "Sua luminária luminária está está em em promoção promoção! Aproveite já!",
    "Sua luminária está em promoção! Aproveite já! Sua luminária está em promoção! Aproveite já!",
    /* the prompt again */
    "Escreva um push curto para o cliente. Produto: luminária. Motivo: está em promoção.",
    "Escreva um push curto para o cliente. Produto: luminária.",
    "Produto: luminária. Motivo: está em promoção.",
    /* not for this prompt, not Portuguese, not words */
    "Corra e aproveite a oferta de hoje no app! 🔥",
    "Você é o melhor amigo do meu cachorro e eu gosto de sorvete.",
    "Your luminária is back, buy it now!",
    "Don't miss the new lamp, shop today and save big on everything!",
    "¡Tu lámpara está en oferta! Aprovecha hoy y consigue envío gratis.",
    "A lamina pelata de sava com uma rofeta na luma de pirola.",
    "asdf qwer zxcv uiop hjkl",
    "今日は特別セール開催中です",
    "\xFF\xFE\x80",
    /* not ready to send */
    "Olá, [nome]! O produto luminária está em promoção. Aproveite já!",
    "Olá, {{nome}}! Sua luminária está em promoção. Aproveite já!",
    "Olá, <nome>! Sua luminária está em promoção. Aproveite já!",
    "Olá, (nome do cliente)! Sua luminária está em promoção. Aproveite já!",
    "Sua luminária está em promoção por R$ XX! Aproveite já!",
    "Aqui está uma notificação push: \"Sua luminária está em promoção! Aproveite já! 🎉\"",
    "\"Sua luminária está em promoção! Aproveite já! 🎉\"",
    "Push: Sua luminária está em promoção! Aproveite já!",
    "**Sua luminária está em promoção!** Aproveite já!",
    "SUA LUMINÁRIA ESTÁ EM PROMOÇÃO! APROVEITE JÁ! 🎉",
    "Sua luminária está em promoção! Aproveite já!!!!!!!!",
    "Sua luminária está em promoção! Aproveite já! 🎉😍🔥🛒⏰💡🎁✨",
    /* formal, over lines, long */
    "Prezado cliente, informamos que o produto luminária está em promoção. Atenciosamente, a loja.",
    "Sua luminária está em promoção!\nCompre agora.\nAproveite já!",
    "Sua luminária está em promoção! Aproveite já! 🎉\n\nEspero que goste! É só pedir outra versão.",
    "Sua luminária está em promoção, e queremos que você saiba que temos muitas outras ofertas "
    "para "
    "a sua casa, com entrega para todo o Brasil, em até dez vezes no cartão, por isso venha "
    "conhecer "
    "a loja hoje mesmo.",
    "<think>Sua luminária está em promoção! Aproveite já!",
};

/* One step from gold, each on its own component. */
static const struct {
    const char *text;
    int component;
} near_misses[] = {
    {"Sua luminária está em promoção e você vai adorar ver como ela deixa a sala mais bonita, mais "
     "clara e pronta para a sua leitura da noite! Aproveite já!",
     PUSH_LENGTH},
    {"Sua luminária está em promoção!\nAproveite já! 🎉", PUSH_ONE_LINE},
    {"Sua luminária está em super sale! Buy it now, aproveite já!", PUSH_PORTUGUESE},
    {"Luminária promoção, casa linda! Aproveite desconto grande!", PUSH_SENTENCE},
    {"Luminária. Motivo: está em promoção! Aproveite!", PUSH_ORIGINAL},
    {"Sua casa merece um presente hoje! Aproveite já! 🎉", PUSH_ON_TOPIC},
    {"Luminária, luminária, luminária: está em promoção a luminária! Aproveite!", PUSH_VARIED},
    {"Informamos que sua luminária está em promoção! Aproveite já! 🎉", PUSH_INFORMAL},
    {"A luminária da vitrine está em promoção.", PUSH_READER},
    {"Ei, [nome], sua luminária está em promoção! Aproveite já! 🎉", PUSH_NO_PLACEHOLDER},
    {"Título: sua luminária está em promoção! Aproveite já! 🎉", PUSH_CLEAN},
};

static void test_honest_beats_tricks(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    double worst_honest = 1, best_trick = 0;
    for (size_t i = 0; i < sizeof honest / sizeof *honest; i++) {
        double score = score_of(r, honest[i].prompt, honest[i].text);
        if (score < 0.88 || score > 1)
            fail_msg("\"%s\" scores %.3f", honest[i].text, score);
        worst_honest = fmin(worst_honest, score);
    }
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        double score = score_of(r, lamp, tricks[i]);
        if (score >= worst_honest - 0.05)
            fail_msg("\"%s\" scores %.3f; an honest push has %.3f", tricks[i], score, worst_honest);
        best_trick = fmax(best_trick, score);
    }
    print_message("honest from %.3f, tricks up to %.3f\n", worst_honest, best_trick);
    reward_free(r);
}

static void test_gold_near_miss_empty(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    assert_true(score_of(r, lamp, gold) == 1);
    struct reward_result best = evaluate(r, lamp, gold, strlen(gold));
    assert_int_equal(best.n_components, PUSH_COMPONENTS);
    for (size_t i = 0; i < sizeof near_misses / sizeof *near_misses; i++) {
        const char *text = near_misses[i].text;
        int component = near_misses[i].component;
        struct reward_result out = evaluate(r, lamp, text, strlen(text));
        const char *name = reward_definition(r)->components[component].name;
        if (!(out.score > 0.3 && out.score < 0.99 * best.score))
            fail_msg("near miss of %s scores %.3f", name, out.score);
        if (!(out.components[component] < 0.9 * best.components[component]))
            fail_msg("near miss of %s: that component is %.3f", name, out.components[component]);
    }
    reward_free(r);
}

static void test_empty_is_zero(void **state)
{
    (void)state;
    static const char *const empty[] = {"",    " ",  "\n\n",  "<think>x</think>", "<think>x", "🎉",
                                        "...", "42", "\u3000"};
    reward *r = make_reward("push", NULL);
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct reward_result out = evaluate(r, lamp, empty[i], strlen(empty[i]));
        assert_int_equal(out.status, REWARD_OK);
        assert_true(out.score == 0);
        for (int c = 0; c < out.n_components; c++)
            assert_true(c == PUSH_GROUP_VARIETY ? isnan(out.components[c])
                                                : out.components[c] == 0);
    }
    reward_free(r);
}

/* Better Portuguese, fewer characters, fewer lines: each step counts, from far away as well. */
static void test_slope(void **state)
{
    (void)state;
    static const char *const ladders[][6] = {
        {"The lamp is on sale today, buy it now", "A lamp está on sale hoje, buy it já",
         "A luminária está on sale hoje, buy já", "A luminária está em sale hoje, compre já",
         "Sua luminária está em promoção hoje, compre já!"},
        {"Oba! Luminária linda, cor nova.", "Oba! Luminária ganhou cor nova.",
         "Oba! Sua luminária ganhou cor nova."},
        {"luminária", "luminária promoção", "Luminária em promoção",
         "Luminária em promoção! Aproveite", "Sua luminária está em promoção! Aproveite"},
        {"a\nb\nSua luminária está em promoção!\nAproveite já!",
         "Sua luminária\nestá em promoção!\nAproveite já!",
         "Sua luminária está em promoção!\nAproveite já!",
         "Sua luminária está em promoção! Aproveite já!"},
    };
    reward *r = make_reward("push", NULL);
    for (size_t l = 0; l < sizeof ladders / sizeof *ladders; l++)
        for (int i = 0; i < 5 && ladders[l][i + 1]; i++)
            if (score_of(r, lamp, ladders[l][i]) >= score_of(r, lamp, ladders[l][i + 1]))
                fail_msg("\"%s\" is not worth more than \"%s\"", ladders[l][i + 1], ladders[l][i]);
    struct str text = {0};
    double last = 1;
    for (int i = 0; i < 12; i++) { /* longer and longer */
        str_printf(&text, "Sua luminária número %d está em promoção na loja do seu bairro. ", i);
        double score = score_of(r, lamp, str_text(&text));
        assert_true(i < 2 || score < last);
        last = score;
    }
    str_free(&text);
    reward_free(r);
}

static double component(const reward *r, const char *prompt, const char *text, int which)
{
    return evaluate(r, prompt, text, strlen(text)).components[which];
}

static void test_length_counts_what_a_phone_shows(void **state)
{
    (void)state;
    assert_int_equal(reward_characters("", 0), 0);
    assert_int_equal(reward_characters("não", strlen("não")), 3);
    assert_int_equal(reward_characters("na\u0303o", strlen("na\u0303o")), 3);
    assert_int_equal(reward_characters("👩‍👩‍👧🇧🇷👍🏽",
                                       strlen("👩‍👩‍👧🇧🇷👍🏽")),
                     3);
    assert_int_equal(reward_characters("a\r\nb\xFF", 5), 4);
    reward *r = make_reward("push", NULL);
    /* 46 characters of gold, then emoji of many bytes each up to exactly 120 and one more. */
    static const char start[] =
        "Sua luminária está em promoção! Aproveite já, é só hoje no app e na loja do seu bairro. "
        "Corra e garanta a sua agora ";
    struct str text = {0};
    str_puts(&text, start);
    size_t n = reward_characters(start, strlen(start));
    assert_true(n < 120);
    for (; n < 120; n++)
        str_puts(&text, n % 2 ? "👍🏽" : "🇧🇷");
    double full = component(r, lamp, str_text(&text), PUSH_LENGTH);
    double form = component(r, lamp, str_text(&text), PUSH_NO_PLACEHOLDER);
    assert_true(full > 0 && full == form);
    str_puts(&text, "👍🏽");
    double over = component(r, lamp, str_text(&text), PUSH_LENGTH);
    form = component(r, lamp, str_text(&text), PUSH_NO_PLACEHOLDER);
    assert_true(fabs(over / form - pow(120.0 / 121, 2)) < 1e-12);
    str_free(&text);
    reward_free(r);
}

/* "é" may be one character or e and an accent: nobody sees the difference. */
static void test_accents_apart(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    static const char prompt[] = "Escreva um push sobre o pre\u00E7o do caf\u00E9.",
                      one[] = "Promo\u00E7\u00E3o de caf\u00E9 s\u00F3 at\u00E9 amanh\u00E3: "
                              "voc\u00EA j\u00E1 viu o pre\u00E7o?",
                      two[] = "Promoc\u0327a\u0303o de cafe\u0301 so\u0301 ate\u0301 amanha\u0303: "
                              "voce\u0302 ja\u0301 viu o prec\u0327o?";
    struct reward_result a = evaluate(r, prompt, one, strlen(one)),
                         b = evaluate(r, prompt, two, strlen(two));
    assert_true(a.score > 0.9 && a.score == b.score);
    reward_free(r);
}

static void test_topic_is_absent_without_a_subject(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    struct reward_result out = evaluate(r, "Escreva um push curto.", gold, strlen(gold));
    assert_true(isnan(out.components[PUSH_ON_TOPIC]));
    assert_true(fabs(out.score - 1) < 1e-12);
    /* Plurals and other endings of the same word count. */
    assert_true(
        component(r, lamp, "Nossas luminárias com promoções boas para você!", PUSH_ON_TOPIC) > 0.9);
    reward_free(r);
}

static void test_word_lists_are_sorted(void **state)
{
    (void)state;
    for (int list = 0; list < PUSH_LISTS; list++) {
        const char *previous = push_list_word(list, 0);
        assert_non_null(previous);
        for (size_t i = 0; previous; i++) {
            assert_true(push_word_lists(slice_of(previous)) >> list & 1);
            const char *word = push_list_word(list, i + 1);
            if (word && strcmp(previous, word) >= 0)
                fail_msg("list %d: \"%s\" stands before \"%s\"", list, previous, word);
            previous = word;
        }
    }
    for (size_t i = 0; push_list_word(PUSH_FOREIGN, i); i++) {
        unsigned lists = push_word_lists(slice_of(push_list_word(PUSH_FOREIGN, i)));
        assert_int_equal(lists & (1U << PUSH_COMMON | 1U << PUSH_GRAMMAR | 1U << PUSH_VERBS), 0);
    }
    assert_int_equal(push_word_lists(slice_of("")), 0);
    assert_int_equal(push_word_lists(slice_of("zzzz")), 0);
}

static void test_words(void **state)
{
    (void)state;
    struct push_text t;
    static const char text[] = "R$ 10,50 já: Guarda-roupa 2ª vez — d'água! 🎉 fim";
    assert_true(push_text_read(&t, text, strlen(text)));
    assert_string_equal(str_text(&t.lowered), " 10,50 já guarda-roupa 2ª vez d'água fim ");
    assert_int_equal(t.n, 7);
    assert_true(t.tokens[0].number && t.tokens[3].number && !t.tokens[1].number);
    assert_true(t.tokens[1].colon && t.tokens[1].ends_clause);
    assert_true(t.tokens[4].ends_clause && t.tokens[5].ends_clause && t.tokens[6].ends_clause);
    assert_false(t.tokens[0].ends_clause || t.tokens[2].ends_clause);
    assert_int_equal(t.signs, 1);
    assert_int_equal(t.exclamations, 1);
    assert_int_equal(t.lines, 1);
    push_text_free(&t);
    static const struct {
        const char *word;
        double credit;
    } credits[] = {{"promoção", 1},    {"cafeteiras", 1},   {"sorveteria", 0.6}, {"amarração", 0.9},
                   {"the", 0},         {"strength", 0},     {"lamp", 0},         {"kryw", 0},
                   {"vestíbulo", 0.6}, {"guarda-sol", 0.6}, {"çala", 0},         {"xx", 0}};
    for (size_t i = 0; i < sizeof credits / sizeof *credits; i++) {
        assert_true(push_text_read(&t, credits[i].word, strlen(credits[i].word)));
        double credit = push_word_credit(&t, 0);
        if (credit != credits[i].credit)
            fail_msg("%s has %.2f", credits[i].word, credit);
        push_text_free(&t);
    }
}

static void test_explain(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    json_t *e = explanation(r, lamp, "Olá, [nome]!\nInformamos que a nova lamp está **on sale**");
    assert_int_equal(json_integer_value(json_object_get(e, "lines")), 2);
    assert_string_equal(json_string_value(json_object_get(e, "placeholder")), "[…]");
    assert_int_equal(json_integer_value(json_object_get(e, "formal")), 1);
    char *foreign = json_dumps(json_object_get(e, "not_portuguese"), JSON_COMPACT);
    assert_string_equal(foreign, "[\"lamp\",\"on\",\"sale\"]");
    char *flaws = json_dumps(json_object_get(e, "flaws"), JSON_COMPACT);
    assert_string_equal(flaws, "[\"markup\"]");
    mem_free(foreign);
    mem_free(flaws);
    json_decref(e);
    json_decref(explanation(r, lamp, "")); /* an object even of nothing */
    reward_free(r);
}

static void test_components_are_shares(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    const struct reward_definition *d = reward_definition(r);
    double weights = 0;
    for (int i = 0; i < d->n_components; i++)
        weights += d->components[i].weight;
    assert_true(fabs(weights - 1) < 1e-12);
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        struct reward_result out = evaluate(r, lamp, tricks[i], strlen(tricks[i]));
        double total = 0, present = 0;
        for (int c = 0; c < d->n_components; c++) {
            if (c == PUSH_GROUP_VARIETY)
                continue; /* it stands alone */
            assert_true(out.components[c] >= 0 && out.components[c] <= 1);
            total += d->components[c].weight * out.components[c];
            present += d->components[c].weight;
        }
        assert_true(isnan(out.components[PUSH_GROUP_VARIETY]));
        assert_true(fabs(total / present - out.score) < 1e-12);
    }
    reward_free(r);
}

static void test_hostile_texts_are_linear(void **state)
{
    (void)state;
    static const char *const units[] = {"a ", "[a",  "(nome",  "<a",       "%s", "$ X",
                                        "é",  "10,", "de do ", "\xFF",     "🇧🇷", "a\u0301",
                                        "-a", "\n",  "R$",     "Produto: "};
    reward *r = make_reward("push", NULL);
    enum { SIZE = 1 << 18 };
    char *text = malloc(SIZE + 1);
    double slowest = 0;
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = strlen(units[u]);
        for (size_t i = 0; i < SIZE; i++)
            text[i] = units[u][i % n];
        text[SIZE] = 0;
        clock_t start = clock();
        struct reward_result out = evaluate(r, text, text, SIZE);
        slowest = fmax(slowest, (double)(clock() - start) / CLOCKS_PER_SEC);
        assert_int_equal(out.status, REWARD_OK);
        assert_true(out.score < 0.5);
    }
    print_message("slowest of 256 KiB (prompt and completion): %.3f s\n", slowest);
    assert_true(slowest < 20); /* quadratic would be hours; debug builds are slow */
    free(text);
    reward_free(r);
}

static void test_no_memory_is_failed(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    check_no_memory(r, lamp, gold);
    reward_free(r);
}

/* The plain fact to watch: unscaled, and without weight. */
static void test_fits(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    char text[130];
    memset(text, 'a', sizeof text);
    assert_true(evaluate(r, "", text, 120).components[PUSH_FITS] == 1);
    assert_true(evaluate(r, "", text, 121).components[PUSH_FITS] == 0);
    assert_true(evaluate(r, "", "Oi\ntu", 5).components[PUSH_FITS] == 0);
    assert_true(evaluate(r, "", "\nOi, tu\n", 8).components[PUSH_FITS] == 1);
    assert_true(evaluate(r, "", "", 0).components[PUSH_FITS] == 0);
    assert_true(reward_definition(r)->components[PUSH_FITS].weight == 0);
    reward_free(r);
}

/* --- the group --- */

static struct reward_result in_group(const reward *r, const char *const *texts, int n, int sample)
{
    struct slice group[64];
    for (int i = 0; i < n; i++)
        group[i] = slice_of(texts[i]);
    struct reward_input in = {.prompt = lamp,
                              .prompt_length = strlen(lamp),
                              .completion = texts[sample],
                              .completion_length = strlen(texts[sample]),
                              .group = group,
                              .n_group = n,
                              .sample = sample};
    struct reward_result out;
    reward_evaluate(r, &in, &out, NULL);
    assert_int_equal(out.status, REWARD_OK);
    return out;
}

/* Variety before it is scaled by the form of the text. */
static double variety(const reward *r, const char *const *texts, int n, int sample)
{
    struct reward_result out = in_group(r, texts, n, sample);
    double form = out.components[PUSH_NO_PLACEHOLDER]; /* 1 before scaling */
    assert_true(form > 0);
    return out.components[PUSH_GROUP_VARIETY] / form;
}

static void check_pair(const reward *r, const char *other, double least, double most)
{
    const char *const texts[] = {gold, other};
    double one = variety(r, texts, 2, 0), two = variety(r, texts, 2, 1);
    if (fabs(one - two) > 1e-12) /* symmetric */
        fail_msg("\"%s\": %.3f and %.3f", other, one, two);
    if (one < least || one > most)
        fail_msg("\"%s\" leaves a variety of %.3f, expected %.2f to %.2f", other, one, least, most);
}

static void test_group_variety(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    const char *const alone[] = {gold};
    assert_true(in_group(r, alone, 1, 0).score == 1);
    assert_true(isnan(in_group(r, alone, 1, 0).components[PUSH_GROUP_VARIETY]));
    const char *const same[] = {gold, gold, gold, gold};
    assert_true(fabs(in_group(r, same, 4, 2).score - 0.9) < 1e-12);
    /* Two of four alike, the others new: each of the two has one twin among three. */
    const char *const mixed[] = {gold, honest[2].text, gold, honest[4].text};
    assert_true(fabs(variety(r, mixed, 4, 0) - 2.0 / 3) < 1e-9);
    assert_true(variety(r, mixed, 4, 1) == 1);
    /* What is no variety: order, emoji, case, accents, numbers, a suffix. */
    check_pair(r, "Aproveite já! Sua luminária está em promoção! 🎉", 0, 0.35);
    check_pair(r, "SUA LUMINÁRIA ESTÁ EM PROMOÇÃO! aproveite ja", 0, 0);
    check_pair(r, "🔥 Sua luminária está em promoção... Aproveite já!!! 💡💡", 0, 0);
    check_pair(r, "Sua luminária está em promoção! Aproveite já! 7x 12345", 0, 0);
    check_pair(r, "Sua luminária está em promoção! Aproveite já! xqzt wkpr vbnm trsk plqw", 0,
               0.01);
    check_pair(r, "Hoje mesmo: sua luminária está em promoção! Aproveite já, é só na nossa loja.",
               0, 0.2);
    check_pair(r, "S u a luminária está em promoção! A a Aproveite já!", 0, 0.3);
    /* What is. */
    check_pair(r, honest[2].text, 0.9, 1);
    check_pair(r, honest[5].text, 0.9, 1);
    check_pair(r, "Oi, você!", 1, 1);
    reward_free(r);
}

static void test_group_does_not_depend_on_order(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    const char *const a[] = {gold, honest[1].text, honest[2].text, tricks[8], ""};
    const char *const b[] = {"", tricks[8], honest[2].text, honest[1].text, gold};
    for (int i = 0; i < 5; i++)
        assert_true(in_group(r, a, 5, i).score == in_group(r, b, 5, 4 - i).score);
    reward_free(r);
}

static void test_group_without_memory(void **state)
{
    (void)state;
    reward *r = make_reward("push", NULL);
    struct slice group[3] = {slice_of(gold), slice_of(honest[1].text),
                             slice_of("<think>a</think>Oi")};
    struct reward_input in = {.prompt = lamp,
                              .prompt_length = strlen(lamp),
                              .completion = gold,
                              .completion_length = strlen(gold),
                              .group = group,
                              .n_group = 3};
    struct reward_result whole, out = {.status = REWARD_FAILED};
    reward_evaluate(r, &in, &whole, NULL);
    size_t live = mem_stats().live_blocks;
    for (int n = 0; out.status != REWARD_OK; n++) {
        assert_true(n < 1000);
        mem_fail_after(n);
        reward_evaluate(r, &in, &out, NULL);
        mem_fail_after(-1);
        assert_int_equal(mem_stats().live_blocks, live);
    }
    assert_true(out.score == whole.score); /* never a number from half of the group */
    reward_free(r);
}

/* 64 completions of 4 KiB: all of a group in the time that a step does not notice. */
static void test_group_cost(void **state)
{
    (void)state;
    enum { N = 64, SIZE = 4096 };
    static char texts[N][SIZE + 1];
    struct slice group[N];
    reward *r = make_reward("push", NULL);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < SIZE; k++)
            texts[i][k] = (char)((i * 31 + k * k * 7) % 6 == 0 ? ' ' : 'a' + (i + k * k) % 26);
        group[i] = (struct slice){texts[i], SIZE};
    }
    clock_t start = clock();
    for (int i = 0; i < N; i++) {
        struct reward_input in = {.prompt = lamp,
                                  .prompt_length = strlen(lamp),
                                  .completion = texts[i],
                                  .completion_length = SIZE,
                                  .group = group,
                                  .n_group = N,
                                  .sample = i};
        struct reward_result out;
        reward_evaluate(r, &in, &out, NULL);
        assert_int_equal(out.status, REWARD_OK);
    }
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("64 completions of 4 KiB: %.3f s\n", seconds);
    assert_true(seconds < 20); /* debug builds are slow; by edit distance it would be minutes */
    reward_free(r);
}

/* Emoji as a phone shows them, and what it does not show. */
static void test_signs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t characters, signs, longest;
        bool broken;
    } cases[] = {
        {"👨‍👩‍👧‍👦", 1, 1, 1, false}, /* a family: joiners */
        {"👍🏽👍🏽", 2, 2, 2, false},          /* skin tones */
        {"🇧🇷🇵🇹🇧🇷", 3, 3, 1, false},
        {"❤️❤️❤️❤️", 4, 4, 4, false},
        {"1️⃣", 1, 0, 0, false}, /* a keycap; digits make no runs */
        {"e\u0301e\u0301", 2, 0, 2, false},
        {"🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", 1, 1, 1, false},
        {"한국", 2, 0, 1, false},
        {"a\u200Bb", 3, 0, 1, true}, /* a space of no width */
        {"a\u202Eb", 3, 0, 1, true}, /* text turned round */
        {"a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301"
         "\u0301\u0301\u0301\u0301",
         1, 0, 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct push_text t;
        size_t length = strlen(cases[i].text);
        assert_true(push_text_read(&t, cases[i].text, length));
        size_t characters = reward_characters(cases[i].text, length);
        if (characters != cases[i].characters || t.signs != cases[i].signs ||
            t.longest != cases[i].longest || t.broken != cases[i].broken)
            fail_msg("case %zu: %zu characters, %zu signs, a run of %zu%s", i, characters, t.signs,
                     t.longest, t.broken ? ", broken" : "");
        push_text_free(&t);
    }
}

static void test_placeholders(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is;
    } cases[] = {
        {"Oi, [nome]!", true},
        {"Oi, {{nome}}!", true},
        {"Oi, {}!", true},
        {"Oi, {0}!", true},
        {"Oi, <nome>!", true},
        {"Oi, ${nome}!", true},
        {"Oi, $nome!", true},
        {"Oi, %nome%!", true},
        {"Oi, %s!", true},
        {"Oi, NOME_DO_CLIENTE!", true},
        {"Oi, 【nome】!", true},
        {"Por R$ XX!", true},
        {"Por R$XX,XX!", true},
        {"Por R$ X", true},
        {"Até X% de desconto", true},
        {"Até XX% de desconto", true},
        {"Lorem ipsum dolor", true},
        {"Lorem!", true},
        {"Oi, XXX!", true},
        {"Oi, ____!", true},
        {"Oi, Fulano!", true},
        {"Até 50% de desconto em 10x!", false},
        {"Por R$ 10,00 hoje", false},
        {"Amo você <3", false},
        {"Só hoje (e amanhã)!", false},
        {"Leve 2 ou 3 - é grátis", false},
        {"50%, sim", false},
    };
    reward *r = make_reward("push", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *e = explanation(r, lamp, cases[i].text);
        bool is = json_is_string(json_object_get(e, "placeholder"));
        if (is != cases[i].is)
            fail_msg("\"%s\" %s a placeholder", cases[i].text, is ? "has" : "has not");
        json_decref(e);
    }
    reward_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honest_beats_tricks),
        cmocka_unit_test(test_gold_near_miss_empty),
        cmocka_unit_test(test_empty_is_zero),
        cmocka_unit_test(test_slope),
        cmocka_unit_test(test_length_counts_what_a_phone_shows),
        cmocka_unit_test(test_accents_apart),
        cmocka_unit_test(test_topic_is_absent_without_a_subject),
        cmocka_unit_test(test_word_lists_are_sorted),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_components_are_shares),
        cmocka_unit_test(test_hostile_texts_are_linear),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_group_variety),
        cmocka_unit_test(test_group_does_not_depend_on_order),
        cmocka_unit_test(test_group_cost),
        cmocka_unit_test(test_group_without_memory),
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_placeholders),
        cmocka_unit_test(test_no_memory_is_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
