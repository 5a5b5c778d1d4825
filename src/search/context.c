/* context.c - the clusters and people that a query is near to. */
#include "search/parts.h"

enum { SHOWN_CLUSTERS = 2, SHOWN_ACTORS = 3, SHOWN_DOMAINS = 5, SHOWN_KEYWORDS = 20 };

/* Strings of a JSON array: its elements, or a member of each element. */
static size_t json_strings(struct arena *arena, struct str json, const char *member, size_t most, struct str **out)
{
    const json_value *root;
    size_t            n = 0;
    *out = NEW_ARRAY(arena, struct str, most);
    if (json.n == 0 || json_parse(arena, json, &root)) return 0;
    for (struct json_iter it = json_iter(root); n < most && json_step(&it);) {
        struct str text = json_is_string(it.value) ? json_str(it.value, "") : json_str(it.value, member);
        if (text.n) (*out)[n++] = text;
    }
    return n;
}

static struct err *add_cluster(struct db_tx *tx, int64_t workspace, int64_t id, struct search_answer *answer)
{
    struct db_rows rows;
    struct str     topic, summary, keywords;
    TRY(db_query(tx, &rows, "SELECT topic_label, summary, keywords FROM cluster WHERE workspace_id = $1 AND id = $2",
                 workspace, id));
    if (db_next(&rows, &topic, &summary, &keywords)) {
        struct search_cluster *cluster = &answer->clusters[answer->cluster_count++];
        *cluster = (struct search_cluster){.topic = topic, .summary = summary};
        cluster->keyword_count = json_strings(tx->arena, keywords, "keyword", SHOWN_KEYWORDS, &cluster->keywords);
    }
    return db_done(&rows);
}

/* The name under which people know an actor that has no profile yet. */
static struct err *name_actor(struct db_tx *tx, int64_t workspace, struct str actor, struct str *name)
{
    struct db_rows rows;
    struct str     found;
    *name = actor;
    TRY(db_query(tx, &rows,
                 "SELECT name FROM actor_name WHERE workspace_id = $1 AND actor_id = $2 AND kind IN ('full', 'username') "
                 "ORDER BY kind, name LIMIT 1",
                 workspace, actor));
    if (db_next(&rows, &found)) *name = found;
    return db_done(&rows);
}

static bool is_shown(const struct query *query, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (query_same_person(&query->actors[i], &query->actors[at])) return true;
    return false;
}

struct err *context_read(struct db_tx *tx, int64_t workspace, const struct index_near_cluster *clusters, size_t n,
                         const struct query *query, struct search_answer *answer)
{
    answer->clusters = NEW_ARRAY(tx->arena, struct search_cluster, SHOWN_CLUSTERS);
    for (size_t i = 0; i < n && answer->cluster_count < SHOWN_CLUSTERS; i++)
        TRY(add_cluster(tx, workspace, clusters[i].cluster, answer));
    answer->actors = NEW_ARRAY(tx->arena, struct search_actor, SHOWN_ACTORS);
    for (size_t i = 0; i < query->actor_count && answer->actor_count < SHOWN_ACTORS; i++) {
        if (is_shown(query, i)) continue;
        struct search_actor *actor = &answer->actors[answer->actor_count++];
        actor->name = query->actors[i].name;
        if (actor->name.n == 0) TRY(name_actor(tx, workspace, query->actors[i].id, &actor->name));
        actor->domain_count = json_strings(tx->arena, query->actors[i].domains, "topic", SHOWN_DOMAINS, &actor->domains);
    }
    return NULL;
}
