/* stream.h - W/stream: what happens in a workspace, told as it happens (console.md 3); not for other rooms.
 *
 * stream.c has the listeners and what was told lately, news.c finds out what is new in a workspace.
 */
#pragma once
#include "api/call.h"
#include "flow/flow.h"

enum stream_topic { STREAM_ACTIVITY, STREAM_JOB, STREAM_SOURCE, STREAM_HEALTH, STREAM_TOPICS };
extern const char *const stream_topics[]; /* NULL ends */

struct stream_item {
    enum stream_topic topic; /* STREAM_TOPICS: what is missing is too much to tell, reload */
    struct str        text;  /* JSON */
};
struct stream_items { struct stream_item *at; size_t n, capacity; };

enum { STREAM_ID_CHARS = 21 };
struct stream_job {
    char id[STREAM_ID_CHARS];
    struct str progress; /* newer than what is stored; {NULL, 0}: none */
};
struct stream_jobs { struct stream_job *at; size_t n; bool overflow; /* there were more */ };

/* What a workspace looked like when one looked last. Belongs to one thread at a time. */
struct news;
MUST_CHECK struct err *news_begin(struct arena *arena, struct app *app, const struct org_workspace *workspace,
                                  struct news **news);
void news_end(struct news *news);
int64_t news_workspace(const struct news *news);
/* Append what has happened since; changed: jobs that are known to have. */
MUST_CHECK struct err *news_gather(struct news *news, struct arena *arena, const struct stream_jobs *changed,
                                   struct stream_items *items);

struct api_stream *api_stream_create(struct app *app);
void               api_stream_destroy(struct api_stream *streams); /* closes what is open */
struct err        *api_stream_open(struct api_call *call);
