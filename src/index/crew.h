/* crew.h - threads that take a share of a long pass.
 *
 * DESIGN. A job is a number of ranges, handed out by an atomic counter. The calling thread puts its job up and works
 * on it itself at once; whoever of the crew is free joins in. When no range is left the caller takes the job down and
 * waits for those that are inside a range of it, never for one that has not begun: a crew that is busy, slow to wake
 * or missing costs nothing but its help. Callers that by themselves occupy as many processors as the crew has members
 * put nothing up. The threads start with the first job.
 */
#pragma once
#include <stddef.h>

struct crew_options {
    size_t members;     /* threads in one job, the caller included; 0: one a processor, at most CREW_MOST */
    size_t least_views; /* views from which on a pass is split */
    size_t range;       /* slots handed out at a time */
};
enum { CREW_MOST = 4, CREW_LEAST_VIEWS = 50000, CREW_RANGE = 4096 };

struct crew;
struct crew        *index_crew_create(struct crew_options options);
void                index_crew_destroy(struct crew *crew); /* no job is under way */
struct crew_options index_crew_options(const struct crew *crew); /* members filled in */

/* Calls work(arg, member, range) once for each range in [0, ranges), and returns when all calls have. Member 0 is the
 * caller; calls with the same member never overlap. */
typedef void (*crew_fn)(void *arg, size_t member, size_t range);
void index_crew_run(struct crew *crew, size_t ranges, crew_fn work, void *arg);

struct index_cache;
struct db;
/* index_cache_create with other options than the usual, for tests. */
struct index_cache *index_cache_create_splitting(struct db *db, size_t memory_limit, struct crew_options options);
