/* memory.h - the observation pipeline (spec/pipeline.md): one SourceEvent becomes a stored, scored, classified,
 * searchable and linked observation, in one transaction when nothing remote is called.
 */
#pragma once
#include "embed/embed.h"
#include "index/index.h"
#include "llm/llm.h"
#include "source/source.h"
#include "text/text.h"

struct workers;

/* ---- analysis: pure functions of the event ----------------------------------------------------------------------- */

struct memory_entity {
    struct str category, key, value, scope; /* scope: "owner/repo" (lower case) for "#n" keys, else empty */
    double     confidence;
    struct str evidence;
    const char *method; /* "pattern", "reference", "llm" */
};

/* A row of observation_reference: a typed key of the event (spec section 10), normalised. Keys:
 *   commit      sha in lower case
 *   branch      lower case, without refs/heads/; scope "owner/repo" (Linear: none)
 *   issue       "owner/repo#n" in lower case for pull requests as well as issues, for on GitHub they share one number
 *               space: there is no type "pr". "#n" where the repository is unknown. Linear and Sentry: the id in upper
 *               case. Scope is empty.
 *   deployment  id as it is
 * qualifier is the reference's label (fix, fixed ... as "fixes"; likewise closes, resolves). */
struct memory_link {
    struct str  type, key, scope, qualifier, url;
    bool        self;  /* the event is about that object; else it mentions it */
};

struct memory_analysis {
    int         score;                       /* 0..100 */
    struct str *factors; size_t factor_count;
    const char *primary;                     /* category */
    const char *secondary[3]; size_t secondary_count;
    double      confidence;
    const char *method;                      /* who classified: "rules", "llm" */
    struct str *topics; size_t topic_count;  /* content topics first, at most 20 */
    struct memory_entity *entities; size_t entity_count;
    struct memory_link   *links; size_t link_count;
    struct str  observation_type, url;
    size_t      content_topics;              /* the first so many topics come from the content */
};

/* The event must be normalised. Never fails: whatever the text is, there is an answer. */
void memory_analyse(struct arena *arena, const struct source_event *event, struct memory_analysis *analysis);
/* The same with a model's word on class and topics; NULL: by rules. */
void memory_analyse_by(struct arena *arena, const struct source_event *event, const struct llm_classification *model,
                       struct memory_analysis *analysis);

/* ---- capture ------------------------------------------------------------------------------------------------------ */

struct memory {          /* what the pipeline needs; one per process */
    struct db    *db;
    struct embed *embed;
    struct llm   *llm;   /* NULL or off: classes and summaries go by rules */
    struct workers *askers; /* threads that wait for the model's classes, as many as may at once; NULL: none to spare */
    _Atomic int64_t capture_us; /* what storing a capture took lately */
};
enum { MEMORY_ASKERS = 10 };

enum memory_outcome { MEMORY_STORED, MEMORY_REPLACED, MEMORY_DUPLICATE, MEMORY_BELOW_THRESHOLD, MEMORY_REFUSED };
const char *memory_outcome_name(enum memory_outcome outcome); /* "stored", "replaced", "duplicate" ... */

struct memory_capture {
    int64_t workspace;
    enum source_ingestion ingestion;
    const struct source_event *events;
    size_t  count;
};
struct memory_result {
    enum memory_outcome outcome;
    int64_t    id;        /* row id of the observation, 0 if none */
    struct str public_id; /* "obs_...", in the arena of the transaction */
    int        score;
    struct str error;     /* MEMORY_REFUSED: why */
    /* Of one that was stored or replaced, as the batch leaves it: */
    struct str actor;     /* canonical; empty: none */
    int64_t    entities;  /* that it names */
    int64_t    embedding_due; /* next attempt; 0: none is owed */
    struct memory_home {
        struct str xid, label;    /* of the cluster; empty while none is assigned */
        int64_t    members;
        bool       created, closed; /* with this observation; in this batch */
    } cluster;
};

/* Work done before the transaction, on the caller's thread: normalise, analyse, embed. Its result may be captured
 * several times (db_write may run a closure again). */
struct memory_batch;
MUST_CHECK struct err *memory_prepare(struct memory *memory, struct arena *arena, struct memory_capture capture,
                                      struct memory_batch **batch);
/* The whole pipeline for the batch inside the caller's transaction; results[i] for events[i]. */
MUST_CHECK struct err *memory_store(struct memory *memory, struct db_tx *tx, struct memory_batch *batch,
                                    struct memory_result *results);

/* Profiles of the actors whose observations changed since the last call (all of the workspace that are marked), and
 * everything else that a batch leaves for its end. Run after an import, and by a timer later. */
MUST_CHECK struct err *memory_settle(struct memory *memory, struct db_tx *tx, int64_t workspace);

/* Remove an observation with its references, edges, entity links, index entry and counts. ERR_NOT_FOUND. */
MUST_CHECK struct err *memory_delete(struct memory *memory, struct db_tx *tx, int64_t workspace, int64_t id);

/* Merge actor `from` into `into` (spec 7): observations, identities, profiles, clusters, index. Idempotent. */
MUST_CHECK struct err *memory_merge_actors(struct memory *memory, struct db_tx *tx, int64_t workspace, struct str from,
                                           struct str into);

/* What could not be embedded for good is to be tried again: the next attempts are sent by this call, or by the sweep.
 * *queued counts the observations. */
MUST_CHECK struct err *memory_retry_embeddings(struct db_tx *tx, int64_t workspace, int64_t *queued);

/* ---- durable functions -------------------------------------------------------------------------------------------- */

/* Capture of events, profiles, summaries, entities, late vectors, upkeep: memory_function_count of them, to be registered
 * with this memory as context. Captures that call a service far away have ten slots in each workspace. */
struct flow_function;
const struct flow_function *const *memory_functions(const struct memory *memory);
extern const size_t memory_function_count;
