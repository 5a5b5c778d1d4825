/* parts.h - what the files of this room share: a prepared event, and the working set of one transaction.
 *
 * DESIGN. A batch writes hundreds of observations in one transaction. What they have in common (clusters near in time,
 * entities, identities, names) is read at most once, changed in memory, and written when the batch ends: struct work.
 * It lives in the transaction's arena and is made anew each time the closure runs; the prepared batch is never changed.
 * The index writer holds the workspace's lock for the whole time, so nothing read can be stale.
 */
#pragma once
#include "base/hash.h"
#include "base/id.h"
#include "base/time.h"
#include "json/json.h"
#include "memory/memory.h"

/* One event with everything about it that needs no database. */
struct prepared_event {
    struct source_event    event;
    struct memory_analysis analysis;
    const json_value      *metadata;    /* an object, or NULL */
    struct str             refused;     /* why the event is unusable; s == NULL: it is fine */
    struct str             family;      /* "pull-request": sourceType up to its first '.' */
    struct str             topics, secondary, factors, references, actor; /* columns as JSON */
    uint64_t              *terms;
    size_t                 term_count;
    uint64_t              *entities;    /* index_entity_hash of each entity */
    struct embed_views     views;
    const char            *embedding_status;
};

struct memory_batch {
    int64_t                workspace;
    enum source_ingestion  ingestion;
    bool                   history;      /* backfill or manual */
    struct prepared_event *events;
    size_t                 count;
    struct str             model;        /* of the vectors; empty: no embedding */
    int                    dim;
    bool                   embedding;    /* a provider is configured */
};

/* ---- the working set --------------------------------------------------------------------------------------------- */

/* What the rules about pairs need to know of an observation. */
struct observation_facts {
    int64_t    id, time;
    struct str source, source_type, source_id;
    int64_t    edges; /* that it has at most */
};

struct work {
    struct memory      *memory;
    struct db_tx       *tx;
    struct arena       *arena;        /* the transaction's */
    int64_t             workspace, org;
    int                 threshold;
    enum source_ingestion ingestion;
    bool                history, embedding;
    struct str          model;
    int                 dim;
    struct index_writer writer;
    struct map         *observations; /* row id (8 bytes) -> struct observation_facts * */
    struct map         *crowded;      /* reference keys shared by more observations than are looked at */
    struct entity_work  *entities;
    struct cluster_work *clusters;
    struct actor_work   *actors;
    struct name_work    *names;
};

/* Open the working set: takes the workspace's lock. ERR_NOT_FOUND for an unknown workspace. */
MUST_CHECK struct err *work_open(struct work *work, struct memory *memory, struct db_tx *tx, int64_t workspace);
/* Write back what changed. */
MUST_CHECK struct err *work_close(struct work *work);

/* A pointer kept in a struct map under a number. */
static inline struct str key_of_number(const int64_t *number) { return (struct str){(const char *)number, sizeof *number}; }

static inline struct str null_if_empty(struct str text) { return text.n ? text : (struct str){NULL, 0}; }
static inline struct str empty_if_null(struct str text) { return text.s ? text : STR(""); }

/* ["a","b"] */
struct str memory_json_list(struct arena *arena, const struct str *at, size_t n);

/* prepare.c: everything but the vectors. Terms are made in scratch. */
void prepare_event(struct arena *arena, struct arena *scratch, const struct source_event *event,
                   struct prepared_event *item);
/* Take a model's word into the item. */
void prepared_classify(struct arena *arena, struct prepared_event *item, const struct llm_classification *model);
/* capture.c: what memory_store would do with each event as things stand, in any transaction. */
MUST_CHECK struct err *memory_expect(struct db_tx *tx, const struct memory_batch *batch, enum memory_outcome *outcomes);
/* prepare.c: the vectors of the batch's items, which may mean a call over the network; each gets its embedding_status. */
void prepared_embed(struct memory *memory, struct arena *arena, struct memory_batch *batch);

/* models.c: when language models are asked (settings llm.* of the workspace) */
struct model_rules {
    bool    on, history;    /* history: asked about imports and backfills as well */
    int     least_score;
    int64_t monthly_tokens; /* 0: no limit */
    struct str models[LLM_TASKS]; /* of the workspace's own choice; empty: the server's */
};
MUST_CHECK struct err *models_rules(struct db_tx *tx, const struct memory *memory, int64_t workspace,
                                    struct model_rules *rules);

/* ---- one concern a file ------------------------------------------------------------------------------------------ */

/* observation.c */
struct stored_observation {
    int64_t    id;
    struct str xid, actor; /* canonical, empty if none */
    int64_t    cluster;
    enum source_ingestion ingestion;
    int64_t    embedding_due, entities; /* of one that is being stored */
};
/* *found is false if the workspace has no observation of that sourceId. */
MUST_CHECK struct err *observation_find(struct work *work, struct str source_id, struct stored_observation *stored,
                                        bool *found);
MUST_CHECK struct err *observation_insert(struct work *work, const struct prepared_event *item,
                                          const struct stored_observation *stored);
MUST_CHECK struct err *observation_replace(struct work *work, const struct prepared_event *item,
                                           const struct stored_observation *stored);
MUST_CHECK struct err *observation_index(struct work *work, const struct prepared_event *item,
                                         const struct stored_observation *stored);
/* NULL in *facts if it does not exist. */
MUST_CHECK struct err *observation_facts(struct work *work, int64_t id, struct observation_facts **facts);
void observation_remember(struct work *work, struct observation_facts facts);

/* Milliseconds until a failed embedding is tried again: 1, 2, 4 ... 60 minutes. */
int64_t embedding_pause(int64_t attempts);
/* A stored observation as it was prepared, with its stored topics and with the entities that a model found in it,
 * but without vectors. *found is false if there is none. The working set goes on where it was captured: history may join
 * closed clusters. */
MUST_CHECK struct err *observation_load(struct work *work, int64_t id, struct prepared_event *item,
                                        struct stored_observation *stored, bool *found);

/* references.c: rows of observation_reference */
MUST_CHECK struct err *references_write(struct work *work, int64_t observation, const struct memory_analysis *analysis);
MUST_CHECK struct err *references_remove(struct work *work, int64_t observation);

/* A branch on which everything happens: two observations on it have nothing to do with each other. */
bool shared_branch(const struct work *work, const struct prepared_event *item, struct str branch);

/* names.c: keys that depend on what else is known, "#12" without a repository and the beginning of a SHA */
struct unsettled {
    int64_t    observation;
    struct str key;
};
MUST_CHECK struct err *names_open(struct work *work);
void names_written(struct work *work, const struct memory_link *link);
/* The branch of that repository that its source follows; repository empty: of any. */
bool names_mainline(const struct work *work, struct str repository, struct str branch);
bool number_alone(struct str key);                                         /* "#12" */
MUST_CHECK struct err *names_any_number(struct work *work, bool *any);     /* does any observation have such a key? */
/* "owner/repo#12" if exactly one of the workspace's repositories has that number, else empty. */
MUST_CHECK struct err *names_number(struct work *work, struct str number, struct str *key);
/* Make the edges of that observation under the key again. */
MUST_CHECK struct err *names_settle(struct work *work, const struct unsettled *unsettled);
/* The same for all numbers without a repository, for the repositories are others now: up to `limit` of them beyond
 * *after, which moves on. */
MUST_CHECK struct err *names_settle_numbers(struct work *work, struct unsettled *after, size_t limit, bool *more);
/* The same for what an observation with these links, which is gone, gave a meaning or took it from. */
MUST_CHECK struct err *names_forgotten(struct work *work, const struct memory_analysis *gone);
/* The links of a stored observation. */
MUST_CHECK struct err *names_links(struct work *work, int64_t observation, struct memory_analysis *analysis);

struct flow_function;
extern const struct flow_function memory_references_settle; /* functions_names.c */
extern const struct flow_function memory_source_cleanup;    /* functions_cleanup.c */

/* One row of another observation under a key of ours. */
struct shared_reference {
    int64_t    observation;
    struct str key, scope, qualifier;
    bool       self;
};
struct shared_references {
    struct shared_reference *at;
    size_t                   n;
    bool                     crowded; /* more than 200 observations: only self and qualified rows are listed */
    struct unsettled        *unsettled; /* other observations whose key this observation gave a new meaning */
    size_t                   unsettled_count;
};
MUST_CHECK struct err *references_sharing(struct work *work, const struct memory_link *link, int64_t observation,
                                          struct shared_references *shared);

/* relations.c: edges to every observation that shares a key with this one (spec 10) */
MUST_CHECK struct err *relations_link(struct work *work, const struct prepared_event *item, int64_t observation);
/* Of item only the family, the metadata and the links are needed. What the links mean to others is not looked at. */
MUST_CHECK struct err *relations_link_again(struct work *work, const struct prepared_event *item, int64_t observation);

/* entities.c */
MUST_CHECK struct err *entities_open(struct work *work);
/* *linked counts what the item names; may be NULL. */
MUST_CHECK struct err *entities_link(struct work *work, const struct prepared_event *item, int64_t observation,
                                     bool replacing, int64_t *linked);
MUST_CHECK struct err *entities_unlink_all(struct work *work, int64_t observation);
/* Two keys that name one object ("acme/api#12" and "ENG-42"), written into each other's aliases. */
MUST_CHECK struct err *entities_alias(struct work *work, struct str one, struct str other, int64_t observation);
MUST_CHECK struct err *entities_flush(struct work *work);

/* clusters.c */
MUST_CHECK struct err *clusters_open(struct work *work);
MUST_CHECK struct err *clusters_assign(struct work *work, const struct prepared_event *item, struct str actor,
                                       int64_t *cluster);
/* What became of the item's cluster, with all that this working set has done to it. */
MUST_CHECK struct err *clusters_tell(struct work *work, int64_t cluster, const struct prepared_event *item,
                                     struct memory_home *home);
MUST_CHECK struct err *clusters_leave(struct work *work, int64_t cluster); /* after its row is gone */
MUST_CHECK struct err *clusters_rename_actor(struct work *work, int64_t cluster, struct str from, struct str into);
void clusters_redirect(struct work *work, struct str from, struct str into); /* those of this transaction */
MUST_CHECK struct err *clusters_flush(struct work *work);

/* actors.c */
MUST_CHECK struct err *actors_open(struct work *work);
MUST_CHECK struct err *actors_resolve(struct work *work, const struct prepared_event *item, struct str *canonical);
void                   actors_touch(struct work *work, struct str canonical); /* its profile needs a computation */
void actors_redirect(struct work *work, struct str from, struct str into);
/* A login of whom no provisional actor is known but this one: nobody need look again. */
bool actors_login_settled(const struct work *work, struct str login, struct str canonical);
void actors_settle_login(struct work *work, struct str login, struct str canonical);
struct str actors_current(const struct work *work, struct str canonical); /* whom it was merged into, or itself */
MUST_CHECK struct err *actors_write_identities(struct work *work);
MUST_CHECK struct err *actors_flush(struct work *work);

/* commits.c: who wrote a commit, for naming the people behind deployments */
MUST_CHECK struct err *commits_record(struct work *work, const struct prepared_event *item);

/* merges.c */
MUST_CHECK struct err *actors_merge(struct work *work, struct str from, struct str into);
/* Merges that a stored event makes possible (spec 7, reconciliation). */
MUST_CHECK struct err *actors_reconcile(struct work *work, const struct prepared_event *item, struct str canonical);

/* states.c */
MUST_CHECK struct err *states_write(struct work *work, const struct prepared_event *item, struct str actor,
                                    int64_t observation);
