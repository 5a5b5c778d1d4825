/* index.h - the search log, and the index in memory that is a cache of it.
 *
 * Every change of something searchable appends a row to table search_log: (workspace, seq, item, kind, model,
 * payload). Sequence numbers are gapless and in commit order, because a transaction that appends holds the
 * workspace's counter row (struct index_writer). Each process keeps, per workspace, columns in memory and reads the
 * rows after the last number it saw before it searches: nothing can drift, and dropping the cache is always safe.
 *
 * A search is one exact pass over all items: cover from the postings, best cosine over the views, the filter in the
 * same loop, the best K from a heap. Over a large workspace up to four threads share the pass; the result is that of
 * one.
 */
#pragma once
#include "db/db.h"
#include "embed/embed.h"

/* ---- writing: inside the caller's write transaction ------------------------------------------------------------- */

/* The workspace's lock and counters. While it is open no other transaction of the workspace can append or hand out
 * row ids; it is also the lock under which clusters are chosen. Use in one closure: open, work, close. */
struct index_writer {
    struct db_tx *tx;
    int64_t       workspace;
    int64_t       seq;     /* last sequence number used */
    int64_t       next_id; /* next row id of the workspace */
};
MUST_CHECK struct err *index_writer_open(struct db_tx *tx, int64_t workspace, struct index_writer *writer);
MUST_CHECK struct err *index_writer_close(struct index_writer *writer); /* writes the counters back */

/* A new row id, unique within the workspace for all tables. */
static inline int64_t index_new_id(struct index_writer *writer) { return writer->next_id++; }

enum index_kind { INDEX_OBSERVATION = 1, INDEX_DOCUMENT = 2, INDEX_CLUSTER = 3 };

struct index_item {
    int64_t         id;       /* row id of the observation or document */
    enum index_kind kind;
    int64_t         time;     /* occurredAt, ms */
    struct str      source, type, store; /* "github", "pull_request_merged"; store: documents' label or empty */
    struct str      actor;    /* canonical actor id, or empty */
    int64_t         cluster;  /* row id, 0 = none */
    int             significance; /* 0..100 */
    uint64_t       *terms;    /* sorted, unique (text_term_set) */
    size_t          term_count;
    uint64_t       *entities; /* index_entity_hash of each, any order, unique */
    size_t          entity_count;
    struct str      model;    /* of the vectors */
    int             dim;      /* components of each vector (embed_dim); 0 without vectors */
    struct embed_views views; /* at[0..n) and full are stored; mean is not: it follows from the views */
};

/* What a row may hold; more is ERR_TOO_LARGE. */
enum { INDEX_MAX_TERMS = 1 << 17, INDEX_MAX_ENTITIES = 4096, INDEX_MAX_VIEWS = 1024, INDEX_MAX_NAME = 1024 };

/* What an item's entity is in the index; scope: "owner/repo" for "#n" keys, else empty. ASCII letters of all three are
 * folded here. */
uint64_t index_entity_hash(struct str category, struct str key, struct str scope);

/* Add an item, or put a new version in the place of the old one (same id and kind).
 * Errors: ERR_TOO_LARGE above the bounds; ERR_INVALID for terms out of order, an id that is not positive. */
MUST_CHECK struct err *index_add(struct index_writer *writer, const struct index_item *item);

/* An item as it was added last, in tx->arena; attributes changed since and views.mean are not in it. *found is false if
 * it was never added or the rows are gone. */
MUST_CHECK struct err *index_read(struct db_tx *tx, int64_t workspace, enum index_kind kind, int64_t id,
                                  struct index_item *item, bool *found);

/* Change attributes without the vectors and terms being written again. Fields as in index_item. */
struct index_change {
    int64_t    id;
    enum index_kind kind;
    bool       set_actor, set_cluster;
    struct str actor;
    int64_t    cluster;
};
MUST_CHECK struct err *index_change(struct index_writer *writer, struct index_change change);
MUST_CHECK struct err *index_remove(struct index_writer *writer, enum index_kind kind, int64_t id);

/* A cluster's centroid (new or moved). `model` names the model of its members' vectors. */
MUST_CHECK struct err *index_put_cluster(struct index_writer *writer, int64_t cluster, struct embed_vector centroid,
                                         int dim, struct str model);

/* Delete rows of the log that later rows supersede; returns their number. Run now and then.
 * Superseded is every row of an item before that item's last add or remove. Those last rows stay, removes too, for a
 * process that has read up to any number before must learn of them. So numbers may be missing from the log, but never
 * the last one handed out: a reader must arrive exactly at workspace_counter.seq. */
MUST_CHECK struct err *index_fold(struct index_writer *writer, int64_t *folded);

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct index_cache;
/* memory_limit: bytes over all workspaces; least recently used workspaces are dropped above it. */
struct index_cache *index_cache_create(struct db *db, size_t memory_limit);
void                index_cache_destroy(struct index_cache *cache);
void                index_cache_drop(struct index_cache *cache, int64_t workspace); /* load anew at next use */
size_t              index_cache_memory(struct index_cache *cache);

/* One workspace's index, brought up to date with what was committed before the call, and held for reading until
 * index_release (cleanup attribute INDEX_SCOPE). Many readers at once; an update waits for them.
 * It reads in a transaction of its own: do not call it inside one (all readers could wait for each other), and do not
 * hold the same workspace's index twice in one thread. In a write transaction it does not see that transaction's rows.
 * Errors: those of the database; ERR_INTERNAL for a log that is damaged (names the row). */
struct index;
MUST_CHECK struct err *index_acquire(struct index_cache *cache, struct arena *arena, int64_t workspace,
                                     struct index **index);
void index_release(struct index **index);
#define INDEX_SCOPE __attribute__((cleanup(index_release)))

int64_t index_version(const struct index *index); /* last seq applied */
size_t  index_count(const struct index *index);   /* live items, without clusters */

/* The model (name and dimension) whose vectors are served: the one that most live items have; of equally many the
 * smaller name, then the smaller dimension. Items and clusters of another model count as without vectors. Every
 * vector given to the functions below must be of this model and have index_dim components: where the two differ from
 * embed_model and embed_dim, pass x == NULL. Empty and 0 if no item has vectors. */
struct str index_model(const struct index *index);
int        index_dim(const struct index *index);

/* Filters: an item passes if it matches any value of each list that is not empty. Types match exactly, or as a family:
 * family "pull_request" matches "pull_request_merged" (the caller expands aliases). */
struct index_filter {
    const struct str *sources;  size_t source_count;
    const struct str *types;    size_t type_count;    /* full stored names */
    const struct str *actors;   size_t actor_count;   /* canonical actor ids */
    const struct str *stores;   size_t store_count;
    bool    no_match;      /* a filter that nothing can match (an unknown actor) */
    bool    has_start, has_end;
    int64_t start, end;    /* inclusive */
    const int64_t *only;   size_t only_count; /* if not NULL: only these row ids */
};

/* The distinct values that live items have, without the empty one, for expanding families: calls each(arg, value). */
void index_types(const struct index *index, void (*each)(void *arg, struct str type), void *arg);
void index_sources(const struct index *index, void (*each)(void *arg, struct str source), void *arg);
size_t index_count_of_source(const struct index *index, struct str source); /* live items */

/* The k clusters whose centroids are nearest to vector, best first; returns their number. */
struct index_near_cluster {
    int64_t cluster;
    double  cosine;
};
size_t index_near_clusters(const struct index *index, struct embed_vector vector, struct index_near_cluster *out, size_t k);

struct index_boost_entity { uint64_t hash; double confidence; };

struct index_query {
    struct index_filter filter;
    struct embed_vector vector;          /* x == NULL: no vector path */
    const uint64_t     *terms;           /* distinct query terms */
    size_t              term_count;
    const struct index_boost_entity *entities; /* query entities, most frequent first */
    size_t              entity_count;
    const int64_t      *clusters;        /* members get +0.05 */
    size_t              cluster_count;
    const struct str   *mentioned_actors; /* canonical ids; their items get +0.10 */
    size_t              mentioned_count;
    bool                has_period;      /* the query names a time: items of it get period_boost */
    int64_t             period_start, period_end; /* inclusive */
    double              period_boost;    /* 0 to 1 */
    size_t              k;               /* best K to return */
    double              cover_weight;    /* of c beside v */
    double              title_share;     /* of the first view's cosine in v, 0 to 1; the rest is the best view's */
    size_t              leaders;         /* fill in hit.feedback from so many of the best hits; 0: leave it */
};

struct index_hit {
    int64_t         id;
    enum index_kind kind;
    struct str      type;       /* stored name */
    double          score;      /* merged score of spec 3.1, 0..1 */
    double          vector, cover; /* v and c */
    double          feedback;   /* cosine of its best view with what the leaders have in common, 0..1 */
    int64_t         time, cluster;
    int             significance;
    int             entities;   /* query entities it holds */
};
struct index_hits {
    struct index_hit *at; /* score descending, then newer, then larger id */
    size_t            n;
    size_t            total;        /* items that passed the filter and have a score > 0, boosts included */
    bool            keyword_found, entity_found; /* some item of the workspace holds a query term, a query entity */
    bool            vector_used;                 /* there was a query vector, and vectors to compare it with */
};
MUST_CHECK struct err *index_search(struct index *index, struct arena *arena, const struct index_query *query,
                                    struct index_hits *hits);

/* Items similar to a vector (spec 5): score = v + (1 - v)(0.20 e + 0.10 c). */
struct index_similar_query {
    struct index_filter filter;
    struct embed_vector vector;
    const uint64_t *entities; size_t entity_count; /* of the source item */
    int64_t cluster;
    const int64_t *exclude; size_t exclude_count;  /* row ids */
    double  threshold;
};
struct index_similar_hit {
    int64_t id; enum index_kind kind;
    double score, vector, overlap; /* overlap < 0: one of both sets is empty */
    bool   same_cluster;
    int64_t time;
};
/* All with score >= threshold, best first, at most INDEX_MAX_SIMILAR. */
enum { INDEX_MAX_SIMILAR = 5000 };
struct index_similar_hits { struct index_similar_hit *at; size_t n; };
MUST_CHECK struct err *index_similar(struct index *index, struct arena *arena,
                                     const struct index_similar_query *query, struct index_similar_hits *hits);

/* Number of items that hold a term (for idf in snippets), and idf as spec 3.1 defines it. */
size_t index_df(const struct index *index, uint64_t term);
double index_idf(const struct index *index, uint64_t term);

/* Stored vector (mean of the full view, else of the title) and entity hashes (ascending) of an item; false if the item
 * is not there, or has no vector of the served model. */
bool index_item_vector(const struct index *index, struct arena *arena, enum index_kind kind, int64_t id,
                       struct embed_vector *vector);
bool index_item_entities(const struct index *index, struct arena *arena, enum index_kind kind, int64_t id,
                         uint64_t **entities, size_t *count);

/* ---- the scan, for benchmarks and tests ------------------------------------------------------------------------- */

/* dots[i] = integer dot product of query with the i-th vector of a block of n vectors of dim int8 (dim a multiple of
 * 64; rows contiguous). All versions give the same integers. */
typedef void (*index_scan_fn)(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots);
struct index_scan_version { const char *name; index_scan_fn scan; bool (*supported)(void); };
extern const struct index_scan_version index_scan_versions[]; /* portable last; name NULL ends the list */
index_scan_fn index_scan(void); /* the fastest supported one, chosen once */
