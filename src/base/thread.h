/* thread.h - pools of workers. Their threads start when there is work for them: a server that is idle has few. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef void (*worker_fn)(void *arg);

struct workers;
struct workers *workers_start(size_t count, const char *name); /* at most count threads; name: 15 characters, shown by ps */

/* Queue fn(arg); it runs on one of the threads, in order of submission. Never blocks. */
void workers_submit(struct workers *workers, worker_fn fn, void *arg);

size_t workers_queued(struct workers *workers); /* waiting, not counting those that run */

/* Finish what is queued, end the threads, free the pool. */
void workers_stop(struct workers *workers);
