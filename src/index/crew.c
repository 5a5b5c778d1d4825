/* crew.c - the threads, and the list of jobs they look at. */
#include "index/crew.h"

#include "index/region.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

struct job {
    struct job    *next;
    crew_fn        work;
    void          *arg;
    size_t         ranges;
    _Atomic size_t taken;
    size_t         inside; /* members of the crew at work on it */
    pthread_cond_t left;   /* inside became 0 */
};

struct member {
    struct crew *crew;
    size_t       number; /* from 1; 0 is whoever calls */
    pthread_t    thread;
};

struct crew {
    struct crew_options options;
    pthread_mutex_t     lock; /* guards everything below, and the jobs' next and inside */
    pthread_cond_t      wake;
    struct job         *jobs;    /* up, oldest first */
    size_t              callers; /* threads in index_crew_run */
    bool                begun, stopping;
    size_t              started;
    struct member       members[CREW_MOST];
};

struct crew *index_crew_create(struct crew_options options)
{
    struct crew *crew = index_region_grow(NULL, 0, sizeof *crew);
    long         processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (!options.members) options.members = processors > 0 ? (size_t)processors : 1;
    if (options.members > CREW_MOST) options.members = CREW_MOST;
    crew->options = options;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->wake, NULL);
    return crew;
}

void index_crew_destroy(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->stopping = true;
    pthread_cond_broadcast(&crew->wake);
    pthread_mutex_unlock(&crew->lock);
    for (size_t i = 0; i < crew->started; i++) pthread_join(crew->members[i].thread, NULL);
    pthread_cond_destroy(&crew->wake);
    pthread_mutex_destroy(&crew->lock);
    index_region_free(crew, sizeof *crew);
}

struct crew_options index_crew_options(const struct crew *crew)
{
    return crew->options;
}

static void take_ranges(struct job *job, size_t member)
{
    for (size_t range; (range = atomic_fetch_add_explicit(&job->taken, 1, memory_order_relaxed)) < job->ranges;)
        job->work(job->arg, member, range);
}

/* The three below with crew->lock held. */
static void put_up(struct crew *crew, struct job *job)
{
    struct job **at = &crew->jobs;
    while (*at) at = &(*at)->next;
    *at = job;
    pthread_cond_broadcast(&crew->wake);
}

static void take_down(struct crew *crew, const struct job *job) /* if it is still up */
{
    struct job **at = &crew->jobs;
    while (*at && *at != job) at = &(*at)->next;
    if (*at) *at = job->next;
}

static void join_in(struct crew *crew, struct job *job, size_t member)
{
    job->inside++;
    pthread_mutex_unlock(&crew->lock);
    take_ranges(job, member);
    pthread_mutex_lock(&crew->lock);
    take_down(crew, job);
    if (--job->inside == 0) pthread_cond_signal(&job->left);
}

static void *serve(void *arg)
{
    struct member *member = arg;
    struct crew   *crew = member->crew;
    pthread_mutex_lock(&crew->lock);
    while (!crew->stopping) {
        if (crew->jobs) join_in(crew, crew->jobs, member->number);
        else pthread_cond_wait(&crew->wake, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Signals are for the program's own threads. With fewer threads than wished the caller does more itself. */
static void start_members(struct crew *crew)
{
    sigset_t all, before;
    crew->begun = true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i + 1 < crew->options.members; i++) {
        struct member *member = &crew->members[i];
        *member = (struct member){.crew = crew, .number = i + 1};
        if (pthread_create(&member->thread, NULL, serve, member) != 0) {
            log_warn("index", "%zu of %zu threads for large searches could be started", i, crew->options.members - 1);
            break;
        }
        pthread_setname_np(member->thread, "index");
        crew->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void index_crew_run(struct crew *crew, size_t ranges, crew_fn work, void *arg)
{
    struct job job = {.work = work, .arg = arg, .ranges = ranges, .left = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&crew->lock);
    if (!crew->begun) start_members(crew);
    if (++crew->callers < crew->options.members && ranges > 1) put_up(crew, &job);
    pthread_mutex_unlock(&crew->lock);
    take_ranges(&job, 0);
    pthread_mutex_lock(&crew->lock);
    take_down(crew, &job);
    while (job.inside) pthread_cond_wait(&job.left, &crew->lock);
    crew->callers--;
    pthread_mutex_unlock(&crew->lock);
    pthread_cond_destroy(&job.left);
}
