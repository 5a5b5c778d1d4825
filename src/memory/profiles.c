/* profiles.c - what actors do and know, computed from their observations (spec 7).
 *
 * All marked actors are computed in two passes over their observations, in the order of actors: one grouped by what
 * they did, one over the topics of the last 90 days.
 */
#include "memory/parts.h"

#include <math.h>
#include <stdlib.h>

enum { RECENT_DAYS = 90, MAX_OBSERVATIONS = 500, MAX_TOPICS = 10, SEEN_AT_LEAST = 2, HALF_LIFE_DAYS = 30 };

struct topic {
    struct str name;
    double     weight;
    int64_t    seen;
};

struct profile {
    struct str  actor;
    bool        bot;
    int64_t     count, first, last, recent;
    struct map *categories, *sources; /* name -> count */
    struct map *topics;               /* name -> struct topic * */
};

struct profiles {
    struct work *work;
    struct map  *by_actor; /* -> struct profile * */
    int64_t      now;
};

static struct profile *profile_of(const struct profiles *all, struct str actor)
{
    int64_t *at = map_find(all->by_actor, actor);
    return at ? (struct profile *)(intptr_t)*at : NULL;
}

static struct err *read_marked(struct profiles *all)
{
    struct work   *work = all->work;
    struct db_rows rows;
    struct str     actor;
    bool           bot;
    TRY(db_query(work->tx, &rows, "SELECT actor_id, is_bot FROM actor_profile WHERE workspace_id = $1 AND dirty = 1",
                 work->workspace));
    while (db_next(&rows, &actor, &bot)) {
        struct profile *profile = NEW(work->arena, struct profile);
        *profile = (struct profile){.actor = actor, .bot = bot, .first = INT64_MAX, .last = INT64_MIN};
        *map_at(all->by_actor, actor) = (int64_t)(intptr_t)profile;
    }
    return db_done(&rows);
}

static void count_row(struct arena *arena, struct profile *profile, struct str category, struct str source, int64_t n)
{
    if (!profile->categories) {
        profile->categories = map_create(arena);
        profile->sources = map_create(arena);
    }
    profile->count += n;
    *map_at(profile->categories, category) += n;
    *map_at(profile->sources, source) += n;
}

static struct err *count_observations(struct profiles *all)
{
    struct work   *work = all->work;
    struct db_rows rows;
    struct str     actor, category, source;
    int64_t        n, first, last;
    TRY(db_query(work->tx, &rows,
                 "SELECT o.actor_id, o.primary_category, o.source, COUNT(*), MIN(o.occurred_at), MAX(o.occurred_at) "
                 "FROM actor_profile p JOIN observation o ON o.workspace_id = p.workspace_id AND o.actor_id = p.actor_id "
                 "WHERE p.workspace_id = $1 AND p.dirty = 1 GROUP BY o.actor_id, o.primary_category, o.source",
                 work->workspace));
    while (db_next(&rows, &actor, &category, &source, &n, &first, &last)) {
        struct profile *profile = profile_of(all, actor);
        if (!profile) continue;
        count_row(work->arena, profile, category, source, n);
        if (first < profile->first) profile->first = first;
        if (last > profile->last) profile->last = last;
    }
    return db_done(&rows);
}

/* ---- expertise ------------------------------------------------------------------------------------------------------- */

static void add_topics(struct profiles *all, struct profile *profile, struct str topics, int64_t content, double weight)
{
    struct arena     *arena = all->work->arena;
    const json_value *list = NULL;
    if (json_parse(arena, topics, &list)) return;
    if (!profile->topics) profile->topics = map_create(arena);
    for (struct json_iter it = json_iter(list); content > 0 && json_step(&it); content--) {
        struct str name = json_str(it.value, "");
        int64_t   *at = map_at(profile->topics, name);
        if (!*at) *at = (int64_t)(intptr_t)NEW(arena, struct topic);
        struct topic *topic = (struct topic *)(intptr_t)*at;
        topic->name = name;
        topic->weight += weight;
        topic->seen++;
    }
}

static struct err *read_topics(struct profiles *all)
{
    struct work   *work = all->work;
    struct db_rows rows;
    struct str     actor, topics;
    int64_t        content, time;
    int            score;
    TRY(db_query(work->tx, &rows,
                 "SELECT o.actor_id, o.topics, o.content_topics, o.significance_score, o.occurred_at "
                 "FROM observation o JOIN actor_profile p ON p.workspace_id = o.workspace_id AND p.actor_id = o.actor_id "
                 "WHERE o.workspace_id = $1 AND o.occurred_at > $2 AND p.dirty = 1 AND p.is_bot = 0 "
                 "ORDER BY o.occurred_at DESC",
                 work->workspace, all->now - DAYS(RECENT_DAYS)));
    while (db_next(&rows, &actor, &topics, &content, &score, &time)) {
        struct profile *profile = profile_of(all, actor);
        if (!profile || profile->recent++ >= MAX_OBSERVATIONS) continue;
        double age = time < all->now ? (double)(all->now - time) / (double)DAYS(1) : 0;
        add_topics(all, profile, topics, content, score / 100.0 * pow(0.5, age / HALF_LIFE_DAYS));
    }
    return db_done(&rows);
}

static int heaviest_first(const void *pa, const void *pb)
{
    const struct topic *a = *(const struct topic *const *)pa, *b = *(const struct topic *const *)pb;
    if (a->weight != b->weight) return a->weight > b->weight ? -1 : 1;
    return str_cmp(a->name, b->name);
}

static struct str expertise_json(struct arena *arena, const struct profile *profile)
{
    size_t         n = profile->topics ? map_count(profile->topics) : 0, kept = 0;
    struct topic **topics = NEW_ARRAY(arena, struct topic *, n);
    for (size_t i = 0; i < n; i++) {
        struct str    key;
        struct topic *topic = (struct topic *)(intptr_t)*map_entry(profile->topics, i, &key);
        if (topic->seen >= SEEN_AT_LEAST) topics[kept++] = topic;
    }
    qsort(topics, kept, sizeof *topics, heaviest_first);
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < kept && i < MAX_TOPICS; i++) {
        json_begin(&out, NULL, '{');
        json_put_str(&out, "topic", topics[i]->name);
        json_put_real(&out, "weight", topics[0]->weight > 0 ? topics[i]->weight / topics[0]->weight : 0);
        json_end(&out);
    }
    json_end(&out);
    return json_out_text(&out);
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static void counts_json(struct json_out *out, const char *key, const struct map *counts)
{
    json_begin(out, key, '{');
    for (size_t i = 0; counts && i < map_count(counts); i++) {
        struct str     name;
        const int64_t *n = map_entry(counts, i, &name);
        json_key(out, name);
        json_put_int(out, NULL, *n);
    }
    json_end(out);
}

static struct err *write_profile(struct profiles *all, const struct profile *profile)
{
    struct work    *work = all->work;
    struct json_out counts = json_out(work->arena);
    json_begin(&counts, NULL, '{');
    counts_json(&counts, "categories", profile->categories);
    counts_json(&counts, "sources", profile->sources);
    json_end(&counts);
    const struct db_value values[] = {
        db_of_int(work->workspace),
        db_of_str(profile->actor),
        db_of_int(profile->count),
        profile->count ? db_of_int(profile->first) : db_of_null(DB_NULL),
        profile->count ? db_of_int(profile->last) : db_of_null(DB_NULL),
        db_of_str(json_out_text(&counts)),
        db_of_str(expertise_json(work->arena, profile)),
        db_of_real(fmin(1, 0.5 + (double)profile->count / 100)),
        db_of_int(all->now),
    };
    return db_exec_values(work->tx,
                          "UPDATE actor_profile SET observation_count = $3, first_active_at = $4, last_active_at = $5, "
                          "contribution_counts = $6, expertise_domains = $7, profile_confidence = $8, updated_at = $9, "
                          "dirty = 0 WHERE workspace_id = $1 AND actor_id = $2",
                          values, sizeof values / sizeof *values);
}

struct err *memory_settle(struct memory *memory, struct db_tx *tx, int64_t workspace)
{
    struct work     work = {.memory = memory, .tx = tx, .arena = tx->arena, .workspace = workspace};
    struct profiles all = {.work = &work, .by_actor = map_create(tx->arena), .now = time_now()};
    TRY(read_marked(&all));
    if (map_count(all.by_actor) == 0) return NULL;
    TRY(count_observations(&all));
    TRY(read_topics(&all));
    for (size_t i = 0; i < map_count(all.by_actor); i++) {
        struct str actor;
        TRY(write_profile(&all, (struct profile *)(intptr_t)*map_entry(all.by_actor, i, &actor)));
    }
    return NULL;
}
