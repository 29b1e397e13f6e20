/* asker.c: a queue of questions and a few threads for each reward; see asker.h.
 *
 * Each reward has a queue of its own, so that a slow one does not hold up another. The threads
 * spend their time waiting (for a child process), so there may be more of them than cores; they
 * live as long as the batch, and sleep between its runs. One lock for all: a question takes it
 * twice, and is a process away from mattering. */
#include "episode/asker.h"
#include <pthread.h>
#include <string.h>
#include "base/check.h"
#include "base/mem.h"

struct question {
    struct reward_input in;
    struct reward_result *result;
};

struct queue {
    asker *a;
    const reward *reward;
    bool needs_group;
    struct question *questions; /* (capacity); [next … n) wait to be begun */
    int n, next;
    pthread_cond_t changed;
    pthread_t *threads;
    int n_threads;
};

struct asker {
    const struct reward_set *set;
    struct queue *queues; /* (set->count); those of other rewards are empty */
    bool *items;
    int capacity;
    pthread_mutex_t lock; /* of what follows, and of the queues' n and next */
    pthread_cond_t answered;
    int open; /* questions put and not answered */
    bool ending;
};

static void *answer_questions(void *argument)
{
    struct queue *q = argument;
    asker *a = q->a;
    pthread_mutex_lock(&a->lock);
    while (true) {
        while (!a->ending && q->next == q->n)
            pthread_cond_wait(&q->changed, &a->lock);
        if (q->next == q->n)
            break;
        struct question *question = &q->questions[q->next++];
        pthread_mutex_unlock(&a->lock);
        reward_evaluate(q->reward, &question->in, question->result, NULL);
        pthread_mutex_lock(&a->lock);
        if (--a->open == 0)
            pthread_cond_broadcast(&a->answered);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static int open_queue(asker *a, struct queue *q, int threads, struct err *err)
{
    q->questions = mem_calloc((size_t)a->capacity, sizeof *q->questions);
    q->threads = mem_calloc((size_t)threads, sizeof *q->threads);
    if (!q->questions || !q->threads)
        return err_no_memory(err, "the questions to a reward",
                             (size_t)a->capacity * sizeof *q->questions);
    for (; q->n_threads < threads; q->n_threads++) {
        int failed = pthread_create(&q->threads[q->n_threads], NULL, answer_questions, q);
        if (failed)
            return err_set(err, ERR_MACHINE, "rewards", "thread %d of %d cannot be made: %s",
                           q->n_threads + 1, threads, strerror(failed));
    }
    return ERR_NONE;
}

static bool any_process(const struct reward_set *set)
{
    for (int i = 0; i < set->count; i++)
        if (reward_manner(set->items[i].reward).needs & REWARD_NEEDS_PROCESS)
            return true;
    return false;
}

int asker_create(asker **out, const struct reward_set *set, int samples, struct err *err)
{
    *out = NULL;
    if (!set || !any_process(set))
        return ERR_NONE;
    asker *a = mem_calloc(1, sizeof *a);
    if (!a)
        return err_no_memory(err, "the questions to rewards", sizeof *a);
    a->set = set;
    a->capacity = samples;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->answered, NULL);
    a->queues = mem_calloc((size_t)set->count, sizeof *a->queues);
    a->items = mem_calloc((size_t)set->count, sizeof *a->items);
    int status = ERR_NONE;
    if (!a->queues || !a->items)
        status = err_no_memory(err, "the questions to rewards", (size_t)set->count);
    for (int i = 0; i < set->count && a->queues; i++)
        pthread_cond_init(&a->queues[i].changed, NULL);
    for (int i = 0; i < set->count && !status; i++) {
        struct reward_manner manner = reward_manner(set->items[i].reward);
        struct queue *q = &a->queues[i];
        q->a = a;
        q->reward = set->items[i].reward;
        q->needs_group = manner.needs & REWARD_NEEDS_GROUP;
        a->items[i] = manner.needs & REWARD_NEEDS_PROCESS;
        int threads = manner.side_by_side < samples ? manner.side_by_side : samples;
        if (a->items[i])
            status = open_queue(a, q, threads, err);
    }
    if (status)
        asker_free(a);
    else
        *out = a;
    return status;
}

void asker_free(asker *a)
{
    if (!a)
        return;
    asker_drop(a);
    pthread_mutex_lock(&a->lock);
    a->ending = true;
    for (int i = 0; a->queues && i < a->set->count; i++)
        pthread_cond_broadcast(&a->queues[i].changed);
    pthread_mutex_unlock(&a->lock);
    for (int i = 0; a->queues && i < a->set->count; i++) {
        struct queue *q = &a->queues[i];
        for (int t = 0; t < q->n_threads; t++)
            pthread_join(q->threads[t], NULL);
        pthread_cond_destroy(&q->changed);
        mem_free(q->questions);
        mem_free(q->threads);
    }
    pthread_cond_destroy(&a->answered);
    pthread_mutex_destroy(&a->lock);
    mem_free(a->queues);
    mem_free(a->items);
    mem_free(a);
}

const struct reward_set *asker_set(const asker *a)
{
    return a ? a->set : NULL;
}

const bool *asker_items(const asker *a)
{
    return a->items;
}

bool asker_needs_group(const asker *a, int item)
{
    return a->queues[item].needs_group;
}

void asker_ask(asker *a, int item, const struct reward_input *in, struct reward_result *result)
{
    struct queue *q = &a->queues[item];
    pthread_mutex_lock(&a->lock);
    CHECK(a->items[item] && q->n < a->capacity);
    q->questions[q->n++] = (struct question){*in, result};
    a->open++;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&a->lock);
}

/* Under the lock: until nothing is open; the queues are then empty. */
static void wait_for_answers(asker *a)
{
    while (a->open)
        pthread_cond_wait(&a->answered, &a->lock);
    for (int i = 0; a->queues && i < a->set->count; i++)
        a->queues[i].n = a->queues[i].next = 0;
}

void asker_wait(asker *a)
{
    pthread_mutex_lock(&a->lock);
    wait_for_answers(a);
    pthread_mutex_unlock(&a->lock);
}

void asker_drop(asker *a)
{
    pthread_mutex_lock(&a->lock);
    for (int i = 0; a->queues && i < a->set->count; i++) {
        struct queue *q = &a->queues[i];
        a->open -= q->n - q->next;
        q->n = q->next;
    }
    wait_for_answers(a);
    pthread_mutex_unlock(&a->lock);
}
