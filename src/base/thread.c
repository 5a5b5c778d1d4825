#include "base/thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct task {
    struct task *next;
    worker_fn    fn;
    void        *arg;
};

struct workers {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t  wake;
    struct task    *first, **last;
    size_t          queued, busy, started, count; /* busy: started, and at a task */
    bool            stopping;
    char            name[16];
    pthread_t       threads[];
};

static void *or_die(void *memory)
{
    if (!memory) {
        fputs("lightfast: out of memory (workers)\n", stderr);
        abort();
    }
    return memory;
}

static struct task *take(struct workers *workers)
{
    while (!workers->first && !workers->stopping) pthread_cond_wait(&workers->wake, &workers->lock);
    struct task *task = workers->first;
    if (task) {
        workers->first = task->next;
        if (!workers->first) workers->last = &workers->first;
        workers->queued--;
    }
    return task;
}

static void *work(void *arg)
{
    struct workers *workers = arg;
    pthread_mutex_lock(&workers->lock);
    for (struct task *task; (task = take(workers));) {
        workers->busy++;
        pthread_mutex_unlock(&workers->lock);
        worker_fn fn = task->fn;
        void     *fn_arg = task->arg;
        free(task);
        fn(fn_arg);
        pthread_mutex_lock(&workers->lock);
        workers->busy--;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* With the lock held. Once they stop there are no new ones, for those that are there are waited for: what a task adds then
 * is done by its own thread. */
static bool wants_another(const struct workers *workers)
{
    size_t idle = workers->started - workers->busy;
    return !workers->stopping && workers->queued > idle && workers->started < workers->count;
}

/* With the lock held. One fewer than wanted is no failure: the others do the work. */
static void start_another(struct workers *workers)
{
    pthread_t *thread = &workers->threads[workers->started];
    if (pthread_create(thread, NULL, work, workers) == 0) {
        pthread_setname_np(*thread, workers->name);
        workers->started++;
    } else if (!workers->started) {
        fputs("lightfast: cannot start a thread\n", stderr);
        abort();
    }
}

struct workers *workers_start(size_t count, const char *name)
{
    struct workers *workers = or_die(calloc(1, sizeof *workers + count * sizeof(pthread_t)));
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    workers->last = &workers->first;
    workers->count = count;
    snprintf(workers->name, sizeof workers->name, "%s", name);
    return workers;
}

void workers_submit(struct workers *workers, worker_fn fn, void *arg)
{
    struct task *task = or_die(malloc(sizeof *task));
    *task = (struct task){.fn = fn, .arg = arg};
    pthread_mutex_lock(&workers->lock);
    *workers->last = task;
    workers->last = &task->next;
    workers->queued++;
    if (wants_another(workers)) start_another(workers);
    pthread_cond_signal(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
}

size_t workers_queued(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    size_t queued = workers->queued;
    pthread_mutex_unlock(&workers->lock);
    return queued;
}

void workers_stop(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->started; i++) pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
