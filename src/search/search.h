/* search.h - questions to the memory: search, contents, similar, graph, related (spec/search-api.md 3 to 7).
 *
 * Plain C in and out; api/ turns JSON into these records and back. No writes on the path.
 */
#pragma once
#include "embed/embed.h"
#include "index/index.h"

struct search;
struct search_host { struct str host, provider; }; /* "git.acme.com" has the pages of "github" */
struct search_config {
    size_t memory_limit;
    bool   result_cache;
    const struct search_host *hosts; /* of self-hosted providers; they outlive the search */
    size_t host_count;
};
struct search *search_create(struct db *db, struct embed *embed, struct search_config config);
void           search_destroy(struct search *search);
size_t         search_memory(struct search *search); /* bytes of the index cache */

enum search_mode { SEARCH_FAST, SEARCH_BALANCED, SEARCH_THOROUGH };

struct search_filters { /* as the API takes them; empty lists do not filter */
    struct str *sources; size_t source_count;
    struct str *types;   size_t type_count;    /* any spelling of 3.3 */
    struct str *actors;  size_t actor_count;   /* names, user names, e-mails */
    struct str *stores;  size_t store_count;
    bool has_start, has_end;
    int64_t start, end;
};

struct search_request {
    int64_t workspace;
    struct str query;          /* 1..8000 characters, trimmed */
    int limit, offset;
    enum search_mode mode;
    struct search_filters filters;
    bool context, highlights, collapse;
};

struct search_entity { struct str key, category; };
struct search_reference { struct str type, id, url, label; };

struct search_item {
    struct str id, title, url, snippet, source, type;
    double     score;
    int64_t    occurred_at;
    struct search_entity *entities; size_t entity_count;
    struct search_reference *references; size_t reference_count;
    bool       highlighted;
    struct str title_highlight, snippet_highlight; /* HTML-escaped, <mark> */
};
struct search_cluster { struct str topic, summary; struct str *keywords; size_t keyword_count; };
struct search_actor { struct str name; struct str *domains; size_t domain_count; };

struct search_timing { int64_t embedding, keyword, vector, entity, cluster, actor, retrieval, rerank, enrich, search; }; /* us */

struct search_answer {
    struct search_item *items; size_t count;
    struct search_cluster *clusters; size_t cluster_count;
    struct search_actor *actors; size_t actor_count;
    size_t total;
    bool vector, keyword, entity, cluster, actor;      /* meta.paths */
    const char *reranker; bool bypassed, fallback;     /* meta.rerank; reranker "builtin" or "none" (fast) */
    struct search_timing timing;
};
/* Errors: ERR_UNAVAILABLE when no path could run. */
MUST_CHECK struct err *search_run(struct search *search, struct arena *arena, const struct search_request *request,
                                  struct search_answer *answer);

struct search_content {
    struct str id;     /* in the form asked for */
    bool found;
    struct str title, url, snippet, content, source, type, metadata; /* metadata: JSON object */
    int64_t occurred_at;
};
/* items[i] for ids[i], duplicates collapsed by the caller. */
MUST_CHECK struct err *search_contents(struct search *search, struct arena *arena, int64_t workspace,
                                       const struct str *ids, size_t n, struct search_content *items);

struct search_similar_request {
    int64_t workspace;
    struct str id, url;       /* id wins */
    int limit; double threshold; bool same_source;
    struct str *exclude; size_t exclude_count;
    struct search_filters filters;
};
struct search_similar_item {
    struct str id, title, url, snippet, source, type;
    double score, vector, overlap; /* overlap < 0: omitted */
    bool same_cluster; int64_t occurred_at;
};
struct search_similar_answer {
    struct str id, title, type, cluster_topic; int64_t cluster_members; /* topic.s == NULL: no cluster */
    struct search_similar_item *items; size_t count, total;
    bool found, generated;
};
/* Errors: ERR_NOT_FOUND "Content not found: ID", "URL not found in workspace: URL". */
MUST_CHECK struct err *search_similar(struct search *search, struct arena *arena,
                                      const struct search_similar_request *request, struct search_similar_answer *answer);

struct search_node { struct str id, title, source, type, url; int64_t occurred_at; bool root; };
struct search_edge { struct str source, target, type, linking_key; double confidence; };
struct search_hub  { struct str id; int64_t degree, shown; };
struct search_graph_request { int64_t workspace; struct str id; int depth; struct str *types; size_t type_count; int limit; };
struct search_graph_answer {
    struct search_node root;
    struct search_node *nodes; size_t node_count;
    struct search_edge *edges; size_t edge_count;
    struct search_hub *hubs; size_t hub_count;
    bool truncated;
};
/* Errors: ERR_NOT_FOUND "Observation not found: ID". */
MUST_CHECK struct err *search_graph(struct search *search, struct arena *arena, const struct search_graph_request *request,
                                    struct search_graph_answer *answer);

struct search_relation { struct str type; bool outgoing; double confidence; };
struct search_related_item { struct search_node node; struct search_relation *relations; size_t relation_count; };
struct search_related_request { int64_t workspace; struct str id; struct str *types; size_t type_count; int limit; };
struct search_related_answer { struct search_node source; struct search_related_item *items; size_t count, total; };
MUST_CHECK struct err *search_related(struct search *search, struct arena *arena,
                                      const struct search_related_request *request, struct search_related_answer *answer);

/* ---- without a question (browse.c) --------------------------------------------------------------------------------- */

struct search_listed {
    int64_t    row;
    struct str id, source, type, title, url, category, ingestion, embedding;
    struct str actor, actor_name, actor_avatar; /* actor: canonical id; all may be absent */
    struct str cluster;                         /* "clu_...", or absent */
    struct str categories, topics;              /* JSON arrays */
    int64_t    occurred_at, captured_at, significance;
};
struct search_list_request {
    int64_t workspace, limit, before_at, before_id; /* before_id 0: from the newest */
    struct search_filters filters;                  /* without stores: those are of documents; end is exclusive here */
};
/* Observations, newest first by the time they are of. */
MUST_CHECK struct err *search_list(struct search *search, struct arena *arena, const struct search_list_request *request,
                                   struct search_listed **items, size_t *n);

struct search_member { struct str id, name; };
struct search_topic { /* a cluster with its newest observations */
    int64_t    row;
    struct str id, label, status, activity, summary;
    struct str key_topics, key_contributors, keywords, entities; /* JSON arrays */
    int64_t    count, first_at, last_at, closed_at;
    struct search_member *actors; size_t actor_count;
    struct search_listed *newest; size_t newest_count;
};
/* Clusters, newest first by their last observation; without entities, actors and observations. A filter takes those that
 * have an observation of it. */
MUST_CHECK struct err *search_topics(struct search *search, struct arena *arena, const struct search_list_request *request,
                                     struct search_topic **topics, size_t *n);
/* Errors: ERR_NOT_FOUND "Cluster not found: ID". */
MUST_CHECK struct err *search_topic_get(struct search *search, struct arena *arena, int64_t workspace, struct str id,
                                        struct search_topic *topic);

struct search_person {
    struct str id, name;  /* id: canonical */
    struct str xid;       /* of the profile */
    struct str domains;   /* JSON: [{"topic", "weight"}] */
    int64_t    count, first_at, last_at;
    struct search_listed *newest; size_t newest_count;
};
struct search_people_request {
    int64_t    workspace, limit;
    struct str text;             /* part of a name, user name or address, any case; empty: all */
    int64_t    before_count;     /* the last person of the page before; before_xid empty: from the busiest */
    struct str before_xid;
};
/* People of whom there is anything, not bots, busiest first: id, xid, name and count. */
MUST_CHECK struct err *search_people(struct search *search, struct arena *arena, const struct search_people_request *request,
                                     struct search_person **people, size_t *n);
/* By canonical id or any name. Errors: ERR_NOT_FOUND "Actor not found: NAME". */
MUST_CHECK struct err *search_person_get(struct search *search, struct arena *arena, int64_t workspace, struct str name,
                                         struct search_person *person);

/* ---- as JSON: the members of one object of an answer, in the API's form; the caller has begun it (write.c) ---------- */

struct json_out;
void search_write_item(struct json_out *out, const struct search_item *item);
void search_write_content(struct json_out *out, const struct search_content *item);
void search_write_similar(struct json_out *out, const struct search_similar_item *item);
void search_write_node(struct json_out *out, const struct search_node *node);
void search_write_edge(struct json_out *out, const struct search_edge *edge);
void search_write_related(struct json_out *out, const struct search_related_item *item);

/* What the query asks for, and what each term weighs in this workspace: its idf (search-api.md 3.1). */
struct search_term { uint64_t hash; double weight; };
struct search_terms { struct search_term *at; size_t n; };
MUST_CHECK struct err *search_query_terms(struct search *search, struct arena *arena, int64_t workspace,
                                          struct str query, struct search_terms *terms);

/* How many items the index holds and how many rows there are; equal unless something is broken. */
struct search_state { int64_t indexed, stored; struct str model; };
MUST_CHECK struct err *search_check(struct search *search, struct arena *arena, int64_t workspace, struct search_state *state);
/* How many items there are of each source. */
struct search_source { struct str source; int64_t items; };
MUST_CHECK struct err *search_sources(struct search *search, struct arena *arena, int64_t workspace,
                                      struct search_source **sources, size_t *count);
