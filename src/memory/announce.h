/* announce.h - what the durable functions of this room tell: events that follow from stored observations, and job
 * outputs. */
#pragma once
#include "flow/flow.h"
#include "memory/parts.h"

/* Events on their way, of one workspace. */
struct outbox {
    struct db    *db;
    struct arena *arena;
    int64_t       workspace, parent_run;
    struct str    workspace_id, org_id; /* public; every event names them */
    VEC(struct flow_message) messages;
    struct map   *latest; /* name and subject -> place of the message, from 1 */
};
/* Errors: ERR_NOT_FOUND for an unknown workspace. */
MUST_CHECK struct err *outbox_open(struct db_tx *tx, int64_t workspace, struct arena *arena, struct outbox *outbox);
struct json_out        outbox_begin(const struct outbox *outbox); /* a payload with the two ids */
struct flow_message   *outbox_add(struct outbox *outbox, const char *name, struct json_out *payload);
/* What was added with this name about this subject gives way: its receivers wait for the last one of several. */
void                   outbox_add_latest(struct outbox *outbox, const char *name, struct str subject,
                                         struct json_out *payload);
void                   outbox_empty(struct outbox *outbox);
MUST_CHECK struct err *outbox_send(struct db_tx *tx, const struct outbox *outbox);

/* What is told of an observation, as it is stored. */
struct news {
    struct str xid, source, source_type, source_id, type, title, url, topics, category, actor, embedding, ingestion;
    struct str cluster, cluster_label; /* empty while none is assigned */
    int64_t    id, occurred_at, embedding_due, score, entities, length, members, closed_at;
    bool       cluster_is_new, cluster_is_closed;
};
/* Of one that has just been captured. */
struct news news_of(const struct prepared_event *item, const struct memory_result *result,
                    enum source_ingestion ingestion);
/* The same of any, from its row. ERR_NOT_FOUND if it is gone. */
MUST_CHECK struct err *news_read(struct db_tx *tx, int64_t workspace, int64_t id, struct news *news);

void news_captured(struct outbox *outbox, const struct news *news);
void news_profile(struct outbox *outbox, const struct news *news);
/* began: when this capture did; a cluster that was closed since was closed by it. */
void news_cluster(struct outbox *outbox, const struct news *news, int64_t began);
void news_entities(struct outbox *outbox, const struct news *news);
void news_embed(struct outbox *outbox, struct str xid, int64_t attempt, int64_t due);

/* "clu_" and 21 characters, or null. */
void put_public(struct json_out *out, const char *key, const char *prefix, struct str xid);
/* "obs_..." -> the 21 characters; {NULL, 0} if it is not of that form. */
struct str public_xid(struct str id, const char *prefix);

/* Imports and backfills: nobody pays for a model that looks at years of them unless the workspace says so. */
bool memory_is_history(struct str ingestion);

/* {"status": status, key: value, "reason" or "error": why}; why empty: left out. */
struct str job_output(struct arena *arena, const char *status, const char *key, struct str value, struct str why);
/* Keep err as the job's output; returns it. */
struct err *job_failed(struct flow_run *run, const char *key, struct str value, struct err *err);

/* In a step's function: what a call has cost, kept with the step and in the month's counts. */
void models_used(struct flow_run *run, const struct memory *memory, const struct model_rules *rules, enum llm_task task,
                 const struct llm_usage *usage);

/* On what terms a run asks: the workspace's tokens of the month, and until the run is stopped. */
struct llm_terms models_terms(struct flow_run *run, const struct memory *memory, const struct model_rules *rules,
                              enum llm_task task);
/* In a step that asks a model: wait while it is left alone; what a failed call means for the run (each returns err). */
MUST_CHECK struct err *models_wait(struct flow_run *run, const struct memory *memory);
struct err            *models_failed(struct flow_run *run, struct err *err);
/* on_failure: say in the log what has failed for good. */
struct err *log_failure(struct flow_run *run);

/* The functions, one table each. */
extern const struct flow_function memory_profile_update;    /* functions_profiles.c */
extern const struct flow_function memory_cluster_close;     /* functions_clusters.c */
extern const struct flow_function memory_cluster_summary;   /* functions_summaries.c */
extern const struct flow_function memory_entity_extraction; /* functions_entities.c */
extern const struct flow_function memory_observation_embed; /* functions_embed.c */
extern const struct flow_function memory_pipeline_sweep;    /* functions_sweep.c */

/* functions_embed.c: send the attempts that were due before, the longest due first, EMBEDDINGS_AT_ONCE at most. */
enum { EMBEDDINGS_AT_ONCE = 500 };
MUST_CHECK struct err *embeddings_send(struct db_tx *tx, struct outbox *outbox, int64_t before, int64_t *sent);

/* ---- upkeep of all workspaces (functions_clusters.c) ------------------------------------------------------------- */

struct upkeep {
    struct memory *memory;
    int64_t        workspace, began;
    struct str     workspace_id, org_id;
    int64_t        after, reached; /* how far the calls before, and this one, came */
    int64_t        done;
    bool           more; /* call again */
};
struct outbox upkeep_outbox(struct db_tx *tx, const struct upkeep *upkeep);
MUST_CHECK struct err *for_each_workspace(struct flow_run *run, db_write_fn fn, int64_t *done);
