/* parts.h - what the files of search/ share. Not for other rooms.
 *
 * A search never holds a database reader and the index at the same time: reading what the query means (names, entities)
 * comes first, then the pass over the index, then the rows of the page. So searches cannot wait for each other in a
 * circle however few readers there are.
 */
#pragma once
#include "base/hash.h"
#include "json/json.h"
#include "search/search.h"
#include "search/weights.h"
#include "text/text.h"

enum {
    SEARCH_LAST = 400,          /* paging ends here: as many items are ranked at most */
    SEARCH_FEWEST = 50,         /* ranked at least */
    SEARCH_SNIPPET = 300,       /* characters */
    SEARCH_OPENING = 200,       /* characters, where there is no query */
    SEARCH_MARKS = 12,
    SEARCH_WORDS = 64,          /* words of a query that are tried as names */
    SEARCH_PHRASES = 16,
    SEARCH_ENTITIES = 50,
    SEARCH_MATCHED_ACTORS = 5,  /* people; one may act under several ids */
    SEARCH_ACTOR_IDS = 20,
    SEARCH_NEAR_CLUSTERS = 3,
};

struct cache;
struct search {
    struct db          *db;
    struct embed       *embed;
    struct index_cache *index;
    struct cache       *answers; /* NULL: results are not cached */
    struct cache       *vectors; /* of queries, where making them takes a provider's time */
    const struct search_weights *weights; /* others only while they are being chosen */
    const struct search_host *hosts;
    size_t                    host_count;
};

/* May vectors made now be compared with those of the index? Not while a change of model is under way. */
bool vectors_fit(const struct search *search, const struct index *index);

/* ---- cache.c: bounded, entries expire, least recently used go first; has its own lock ---------------------------- */

typedef void *(*cache_copy)(struct arena *arena, const void *value, const void *context);
struct cache *cache_create(size_t entries, int64_t lifetime); /* ms */
void          cache_destroy(struct cache *cache);
/* The version of the live entry of a key; false if there is none. */
bool  cache_version(struct cache *cache, struct str key, int64_t *version);
/* A copy of the value in the arena, NULL if there is none of that version. */
void *cache_get(struct cache *cache, struct arena *arena, struct str key, int64_t version, cache_copy copy,
                const void *context);
void  cache_put(struct cache *cache, struct str key, int64_t version, const void *value, cache_copy copy,
                const void *context);

/* ---- answer.c: copies of an answer, for the cache ------------------------------------------------------------------ */

void      *answer_copy(struct arena *arena, const void *answer, const void *context);
size_t     answer_size(const struct search_answer *answer);
struct str request_key(struct arena *arena, const struct search_request *request);

/* ---- query.c, known.c: what the text of a query says ----------------------------------------------------------------- */

struct query_actor {
    struct str id, name;  /* canonical id, display name */
    struct str domains;   /* JSON of the profile */
    bool       mentioned; /* a user name, or after "@", or quoted, or two words of the name: meant, not only resembled */
    size_t     word;      /* the last word of the query that names them, from 1; 0: none */
    double     score;
    int64_t    count;     /* observations */
};
struct query_entity {
    struct str category, key, scope;
    double     confidence;
    int64_t    count;
};
struct query_place { uint32_t from, to, term; }; /* bytes of the text; index of the term */
struct query {
    struct str  text;
    uint64_t   *terms;   size_t term_count; /* distinct */
    struct str *words;                      /* words[i]: how the query spells terms[i] */
    struct query_place *places; size_t place_count; /* everywhere that a term stands */
    struct str *left_out; size_t left_out_count; /* words that are no terms because a filter says the same */
    struct str *phrases; size_t phrase_count; /* between quotation marks, white space collapsed */
    struct str *names;   size_t name_count;  /* folded words that may be names of people */
    struct str *mentions; size_t mention_count; /* folded, after "@" or quoted */
    struct text_entities keys;              /* entity keys by pattern */
    bool has_period; struct text_period period; /* that it names */
    struct query_entity *entities; size_t entity_count; /* found in the workspace, most frequent first */
    struct query_actor  *actors;   size_t actor_count;  /* best first */
};
void query_read(struct arena *arena, struct str text, struct query *query);
/* Words of the people that a filter names are no terms: everything that passes is theirs. Unless nothing is left. */
void query_leave_out_people(struct arena *arena, const struct str *people, size_t n, struct query *query);
/* By the word, or by a version's number. */
bool query_asks_for_releases(const struct query *query);
MUST_CHECK struct err *query_find_entities(struct db_tx *tx, int64_t workspace, struct query *query);
/* Who commits from several addresses has as many ids, and one name. */
bool query_same_person(const struct query_actor *a, const struct query_actor *b);
MUST_CHECK struct err *query_find_actors(struct db_tx *tx, int64_t workspace, struct query *query);

/* ---- words.c: what the query's vector is made of --------------------------------------------------------------------- */

/* The words between blanks, without those left out, each with the weight of its rarest term. idf[i]: of query term i. */
struct query_words { struct embed_word *at; size_t n; };
struct query_words query_weigh(struct arena *arena, const struct query *query, const double *idf, double power);
/* The query's text without the words left out. */
struct str query_plain(struct arena *arena, const struct query *query);

/* ---- filters.c ------------------------------------------------------------------------------------------------------ */

/* Runs of letters and digits of a folded name, as memory takes names apart; at most SEARCH_WORDS. */
typedef VEC(struct str) name_words;
void filter_split_name(struct arena *arena, struct str name, name_words *words);

/* Everything but the types, which need the index. */
MUST_CHECK struct err *filter_read(struct db_tx *tx, int64_t workspace, const struct search_filters *filters,
                                   struct index_filter *filter);
void filter_add_types(struct arena *arena, const struct index *index, const struct search_filters *filters,
                      struct index_filter *filter);

/* ---- match.c: where a text has the query's terms -------------------------------------------------------------------- */

struct match {
    uint32_t from, to; /* bytes of the text */
    uint32_t what;     /* index of the term; phrases and entity keys follow the terms */
};
struct matches {
    struct match *at; /* by from */
    size_t        n;
};
struct matcher;
/* weights[i]: idf of the query's term i. */
struct matcher *matcher_create(struct arena *arena, const struct query *query, const double *weights);
struct matches  matcher_find(struct matcher *matcher, struct arena *arena, struct str text);
double          matcher_weight(const struct matcher *matcher, uint32_t what);
size_t          matcher_kinds(const struct matcher *matcher); /* values of match.what are below this */

/* Does the text hold every phrase, case and accents folded, white space collapsed? */
bool phrases_found(struct arena *arena, const struct str *phrases, size_t n, struct str text);

/* ---- snippet.c ------------------------------------------------------------------------------------------------------ */

struct str plain_text(struct arena *arena, struct str text); /* trimmed, runs of white space become one blank */
/* The content without a first line that repeats the title; the content itself if nothing would be left. */
struct str content_after_title(struct str title, struct str content);
/* The passage of at most SEARCH_SNIPPET characters with the highest cover, else the opening. matcher may be NULL. */
struct str snippet_best(struct arena *arena, struct matcher *matcher, struct str plain);
struct str snippet_opening(struct arena *arena, struct str plain, size_t characters);

/* ---- highlight.c ---------------------------------------------------------------------------------------------------- */

struct str highlight(struct arena *arena, struct matcher *matcher, struct str text);

/* ---- rerank.c ------------------------------------------------------------------------------------------------------- */

struct rerank {
    enum search_mode mode; /* SEARCH_FAST: scores stay */
    bool    releases;      /* the query asks for them */
    int64_t now;
    const struct search_weights *weights;
};
/* Replace each hit's score by the final one and put them in order. */
void rerank(struct rerank rules, struct index_hit *hits, size_t n);

/* The most of the query's words that any hit has, 0 to 1. */
double rerank_found(const struct index_hit *hits, size_t n);
void   rerank_order(struct index_hit *hits, size_t n); /* by score, then newer */

/* ---- reread.c ------------------------------------------------------------------------------------------------------- */

/* Where hardly a word of the query is found, raise the best hits (in order of score) by what their texts say in other
 * words, and put them in order again. idf[i]: of query term i. */
MUST_CHECK struct err *reread(const struct search *search, struct db_tx *tx, int64_t workspace, const struct query *query,
                              const double *idf, struct index_hits *hits);

/* ---- object.c ------------------------------------------------------------------------------------------------------- */

/* The object that an occurrence is about: "pr:acme/api#7" of "pr:acme/api#7:merged"; else the whole sourceId. */
struct str object_key(struct str source_id);
/* The same for a stored observation; key.s == NULL if it is gone. */
MUST_CHECK struct err *object_of(struct db_tx *tx, int64_t workspace, int64_t id, struct str *key);

/* ---- hydrate.c: rows ------------------------------------------------------------------------------------------------- */

struct row {
    int64_t    id; /* 0: there is no such row */
    struct str xid, source, type, source_id, title, content, url, references, metadata;
    int64_t    occurred_at, cluster;
};
MUST_CHECK struct err *row_find(struct db_tx *tx, int64_t workspace, int64_t id, struct row *row);
MUST_CHECK struct err *row_find_xid(struct db_tx *tx, int64_t workspace, struct str xid, struct row *row);
/* Without content, references and metadata. */
MUST_CHECK struct err *row_find_head(struct db_tx *tx, int64_t workspace, int64_t id, struct row *row);
/* The 21 characters of an observation's public id; false if it cannot be one. */
bool       row_xid(struct str public_id, struct str *xid);
struct str row_public_id(struct arena *arena, const struct row *row);
MUST_CHECK struct err *row_hydrate(struct db_tx *tx, int64_t workspace, const struct row *row, struct matcher *matcher,
                                   bool highlights, struct search_item *item);

/* ---- context.c ------------------------------------------------------------------------------------------------------ */

MUST_CHECK struct err *context_read(struct db_tx *tx, int64_t workspace, const struct index_near_cluster *clusters,
                                    size_t n, const struct query *query, struct search_answer *answer);

/* ---- url.c ---------------------------------------------------------------------------------------------------------- */

/* The observation that a URL means: the latest event of the object. *id = 0 if there is none. */
MUST_CHECK struct err *url_resolve(const struct search *search, struct db_tx *tx, int64_t workspace, struct str url,
                                   int64_t *id);

/* ---- graph.c -------------------------------------------------------------------------------------------------------- */

/* Relation types of the filter as values for `IN ($3, ..., $10)`; false: the filter matches nothing. */
enum { GRAPH_TYPES = 8 };
bool graph_types(const struct str *asked, size_t n, struct str types[GRAPH_TYPES]);
struct search_node node_of_row(struct arena *arena, const struct row *row);
