/* clusters.c - observations that belong together in time and matter: choosing, joining and closing (spec 9).
 *
 * DESIGN. Candidates lie near the observation in time, so clusters are found by the day of their last observation,
 * which is read from the database in stretches of days, newest first, until ten candidates are known. Spans are bounded
 * (a cluster takes no more after 30 days), hence so is the search, whether history comes oldest first, newest first or
 * a second time. Centroid and lists are read only of clusters that become candidates.
 */
#include "base/utf8.h"
#include "memory/parts.h"

#include <math.h>

enum {
    CANDIDATES = 10,
    JOIN_SCORE = 60,
    FULL_COUNT = 200,
    WIDEN_DAYS = 7,
    FULL_DAYS = 30,
    LONGEST_DAYS = FULL_DAYS + 2 * WIDEN_DAYS, /* the last join may pass the bound on either side */
    STRETCH_DAYS = 8,
    MAX_ENTITIES = 20, MAX_ACTORS = 10, MAX_KEYWORDS = 20,
};

/* Names used lately, latest first. */
struct recent {
    struct str at[MAX_ENTITIES];
    size_t     n;
};

struct cluster {
    int64_t       id, first, last, count, day, centroid_count;
    struct str    label, model;
    float        *centroid;
    struct recent entities, actors, keywords;
    bool          open, fresh, dirty, moved /* its centroid */, detailed, gone;
};

typedef VEC(struct cluster *) cluster_list;

struct cluster_work {
    struct map *by_id;
    struct map *by_day;    /* day -> cluster_list * */
    struct map *stretches; /* stretches of days that are read */
};

struct err *clusters_open(struct work *work)
{
    work->clusters = NEW(work->arena, struct cluster_work);
    work->clusters->by_id = map_create(work->arena);
    work->clusters->by_day = map_create(work->arena);
    work->clusters->stretches = map_create(work->arena);
    return NULL;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static cluster_list *clusters_of_day(struct work *work, int64_t day)
{
    int64_t *at = map_at(work->clusters->by_day, key_of_number(&day));
    if (!*at) *at = (int64_t)(intptr_t)NEW(work->arena, cluster_list);
    return (cluster_list *)(intptr_t)*at;
}

static void file_under_day(struct work *work, struct cluster *cluster)
{
    cluster->day = floor_div(cluster->last, DAYS(1));
    *VEC_PUSH(work->arena, clusters_of_day(work, cluster->day)) = cluster;
}

static void move_to_day(struct work *work, struct cluster *cluster)
{
    if (floor_div(cluster->last, DAYS(1)) == cluster->day) return;
    cluster_list *list = clusters_of_day(work, cluster->day);
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i] == cluster) {
            list->at[i] = list->at[--list->n];
            break;
        }
    file_under_day(work, cluster);
}

static struct cluster *known(struct work *work, int64_t id)
{
    int64_t *at = map_find(work->clusters->by_id, key_of_number(&id));
    return at ? (struct cluster *)(intptr_t)*at : NULL;
}

static struct cluster *keep(struct work *work, struct cluster cluster)
{
    struct cluster *kept = NEW(work->arena, struct cluster);
    *kept = cluster;
    *map_at(work->clusters->by_id, key_of_number(&cluster.id)) = (int64_t)(intptr_t)kept;
    file_under_day(work, kept);
    return kept;
}

#define COLUMNS "SELECT id, first_observation_at, last_observation_at, observation_count, status FROM cluster "

static struct err *keep_rows(struct work *work, struct db_rows *rows)
{
    struct cluster c = {0};
    struct str     status;
    while (db_next(rows, &c.id, &c.first, &c.last, &c.count, &status)) {
        c.open = str_eq(status, STR("open"));
        if (!known(work, c.id)) (void)keep(work, c);
    }
    return db_done(rows);
}

static struct err *read_stretch(struct work *work, int64_t day)
{
    int64_t  stretch = floor_div(day, STRETCH_DAYS);
    int64_t *read = map_at(work->clusters->stretches, key_of_number(&stretch));
    if (*read) return NULL;
    *read = 1;
    struct db_rows rows;
    TRY(db_query(work->tx, &rows,
                 COLUMNS "WHERE workspace_id = $1 AND last_observation_at >= $2 AND last_observation_at < $3",
                 work->workspace, stretch * DAYS(STRETCH_DAYS), (stretch + 1) * DAYS(STRETCH_DAYS)));
    return keep_rows(work, &rows);
}

static struct err *find(struct work *work, int64_t id, struct cluster **out)
{
    *out = known(work, id);
    if (*out) return NULL;
    struct db_rows rows;
    TRY(db_query(work->tx, &rows, COLUMNS "WHERE workspace_id = $1 AND id = $2", work->workspace, id));
    TRY(keep_rows(work, &rows));
    *out = known(work, id);
    return NULL;
}

static void read_recent(struct work *work, struct str json, size_t most, struct recent *recent)
{
    const json_value *list = NULL;
    if (json_parse(work->arena, json, &list)) return;
    for (struct json_iter it = json_iter(list); recent->n < most && json_step(&it);)
        recent->at[recent->n++] = json_str(it.value, "");
}

static struct err *read_detail(struct work *work, struct cluster *c)
{
    if (c->detailed) return NULL;
    c->detailed = true;
    struct db_rows rows;
    struct bytes   centroid = {NULL, 0};
    struct str     keywords, entities, actors;
    TRY(db_query(work->tx, &rows,
                 "SELECT topic_label, centroid, centroid_count, centroid_model, keywords, primary_entities, "
                 "primary_actors FROM cluster WHERE workspace_id = $1 AND id = $2",
                 work->workspace, c->id));
    bool found = db_next(&rows, &c->label, &centroid, &c->centroid_count, &c->model, &keywords, &entities, &actors);
    TRY(db_done(&rows));
    if (!found) return NULL;
    /* one of another model or size cannot be compared */
    if (centroid.n && centroid.n == (size_t)work->dim * sizeof(float) && str_eq(c->model, work->model)) {
        c->centroid = arena_alloc_raw(work->arena, centroid.n);
        memcpy(c->centroid, centroid.p, centroid.n);
    }
    read_recent(work, keywords, MAX_KEYWORDS, &c->keywords);
    read_recent(work, entities, MAX_ENTITIES, &c->entities);
    read_recent(work, actors, MAX_ACTORS, &c->actors);
    return NULL;
}

/* ---- choosing ------------------------------------------------------------------------------------------------------- */

static bool full(const struct cluster *c) { return c->count >= FULL_COUNT || c->last - c->first >= DAYS(FULL_DAYS); }

static bool may_join(const struct work *work, const struct cluster *c, int64_t time)
{
    if (c->gone || full(c) || !(c->open || work->history)) return false;
    return c->first - DAYS(WIDEN_DAYS) <= time && time <= c->last + DAYS(WIDEN_DAYS);
}

struct candidates {
    struct cluster *at[CANDIDATES];
    size_t          n;
};

static bool more_recent(const struct cluster *a, const struct cluster *b)
{
    return a->last != b->last ? a->last > b->last : a->id > b->id;
}

static void add_candidate(struct candidates *list, struct cluster *c)
{
    size_t at = list->n;
    while (at > 0 && more_recent(c, list->at[at - 1])) at--;
    if (at == CANDIDATES) return;
    if (list->n < CANDIDATES) list->n++;
    memmove(list->at + at + 1, list->at + at, (list->n - at - 1) * sizeof *list->at);
    list->at[at] = c;
}

static struct err *find_candidates(struct work *work, int64_t time, struct candidates *list)
{
    int64_t newest = floor_div(time + DAYS(WIDEN_DAYS + LONGEST_DAYS), DAYS(1));
    int64_t oldest = floor_div(time - DAYS(WIDEN_DAYS), DAYS(1));
    for (int64_t day = newest; day >= oldest && list->n < CANDIDATES; day--) {
        TRY(read_stretch(work, day));
        int64_t *at = map_find(work->clusters->by_day, key_of_number(&day));
        if (!at) continue;
        cluster_list *clusters = (cluster_list *)(intptr_t)*at;
        for (size_t i = 0; i < clusters->n; i++)
            if (may_join(work, clusters->at[i], time)) add_candidate(list, clusters->at[i]);
    }
    return NULL;
}

/* What of the observation is compared with clusters. */
struct traits {
    int64_t              time;
    struct embed_vector  vector;
    struct str          *entities; /* "category:key" */
    size_t               entity_count;
    struct str           actor;
    bool                 embedding;
};

static void traits_of(struct work *work, const struct prepared_event *item, struct str actor, struct traits *traits)
{
    const struct memory_analysis *analysis = &item->analysis;
    *traits = (struct traits){.time = item->event.occurred_at, .vector = item->views.mean, .actor = actor};
    traits->embedding = strcmp(item->embedding_status, "ready") == 0;
    traits->entities = NEW_ARRAY(work->arena, struct str, analysis->entity_count);
    for (size_t i = 0; i < analysis->entity_count; i++) {
        const struct memory_entity *entity = &analysis->entities[i];
        if (str_starts(entity->key, STR("branch:")) && shared_branch(item, str_skip(entity->key, 7))) continue;
        traits->entities[traits->entity_count++] =
            str_printf(work->arena, STR_FMT ":" STR_FMT, STR_ARG(entity->category),
                       STR_ARG(str_lower(work->arena, entity->key)));
    }
}

static bool holds(const struct recent *recent, struct str name)
{
    for (size_t i = 0; i < recent->n; i++)
        if (str_eq(recent->at[i], name)) return true;
    return false;
}

static double cosine_to(const struct work *work, const struct cluster *c, struct embed_vector vector)
{
    if (!c->centroid || !vector.x) return 0;
    float dot = 0, square = 0;
    for (int i = 0; i < work->dim; i++) {
        dot += c->centroid[i] * (float)vector.x[i];
        square += c->centroid[i] * c->centroid[i];
    }
    double cosine = square > 0 && vector.norm > 0 ? dot / (sqrt(square) * vector.norm) : 0;
    return cosine > 0 ? cosine : 0;
}

static double jaccard(const struct cluster *c, const struct traits *traits)
{
    size_t both = 0;
    for (size_t i = 0; i < traits->entity_count; i++) both += holds(&c->entities, traits->entities[i]);
    size_t either = c->entities.n + traits->entity_count - both;
    return either ? (double)both / (double)either : 0;
}

static double affinity(const struct work *work, const struct cluster *c, const struct traits *traits)
{
    int64_t apart = traits->time > c->last ? traits->time - c->last : c->last - traits->time;
    double  hours = (double)(apart / HOURS(1));
    double  others = 30 * jaccard(c, traits) + (traits->actor.n && holds(&c->actors, traits->actor) ? 20 : 0) +
                    (hours < 10 ? 10 - hours : 0);
    return traits->embedding ? 40 * cosine_to(work, c, traits->vector) + others : others * 100 / 60;
}

/* ---- joining -------------------------------------------------------------------------------------------------------- */

static void use(struct recent *recent, size_t most, struct str name)
{
    size_t at = 0;
    while (at < recent->n && !str_eq(recent->at[at], name)) at++;
    if (at == recent->n && recent->n < most) recent->n++;
    if (at == most) at--;
    memmove(recent->at + 1, recent->at, at * sizeof *recent->at);
    recent->at[0] = name;
}

static void move_centroid(struct work *work, struct cluster *c, struct embed_vector vector)
{
    if (!vector.x || vector.norm <= 0) return;
    if (!c->centroid) {
        c->centroid = NEW_ARRAY(work->arena, float, work->dim);
        c->centroid_count = 0;
        c->model = work->model;
    }
    float share = 1.0f / (float)(c->centroid_count + 1);
    for (int i = 0; i < work->dim; i++)
        c->centroid[i] += ((float)vector.x[i] / vector.norm - c->centroid[i]) * share;
    if (c->centroid_count < FULL_COUNT) c->centroid_count++;
    c->moved = true;
}

static void join(struct work *work, struct cluster *c, const struct prepared_event *item, const struct traits *traits)
{
    c->dirty = true;
    c->count++;
    if (traits->time < c->first) c->first = traits->time;
    if (traits->time > c->last) c->last = traits->time;
    move_centroid(work, c, traits->vector);
    for (size_t i = traits->entity_count; i-- > 0;) use(&c->entities, MAX_ENTITIES, traits->entities[i]);
    for (size_t i = item->analysis.content_topics; i-- > 0;) use(&c->keywords, MAX_KEYWORDS, item->analysis.topics[i]);
    if (traits->actor.n) use(&c->actors, MAX_ACTORS, traits->actor);
    if (full(c)) c->open = false;
}

enum { LABEL_CHARACTERS = 100 };

static struct cluster *create(struct work *work, const struct prepared_event *item, const struct traits *traits)
{
    struct str title = text_without_label(item->event.title);
    return keep(work, (struct cluster){
                          .id = index_new_id(&work->writer),
                          .first = traits->time,
                          .last = traits->time,
                          .label = item->analysis.content_topics ? item->analysis.topics[0]
                                                                 : utf8_head(title, LABEL_CHARACTERS),
                          .model = (struct str){NULL, 0},
                          .open = true,
                          .fresh = true,
                          .detailed = true,
                      });
}

struct err *clusters_assign(struct work *work, const struct prepared_event *item, struct str actor, int64_t *cluster)
{
    struct candidates candidates = {0};
    struct traits     traits;
    struct cluster   *best = NULL;
    double            best_score = 0;
    *cluster = 0;
    if (strcmp(item->embedding_status, "pending") == 0) return NULL; /* chosen when the vectors are there */
    traits_of(work, item, actor, &traits);
    TRY(find_candidates(work, traits.time, &candidates));
    for (size_t i = 0; i < candidates.n; i++) {
        TRY(read_detail(work, candidates.at[i]));
        double score = affinity(work, candidates.at[i], &traits);
        if (score < JOIN_SCORE || score <= best_score) continue;
        best = candidates.at[i];
        best_score = score;
    }
    if (!best) best = create(work, item, &traits);
    join(work, best, item, &traits);
    move_to_day(work, best);
    *cluster = best->id;
    return NULL;
}

/* ---- leaving -------------------------------------------------------------------------------------------------------- */

/* The mean of the members that are left, from their texts: what is stored of their vectors belongs to the index. A
 * provider over the network cannot be asked inside a transaction; there the centroid stays where it was. */
static struct err *recompute_centroid(struct work *work, struct cluster *c)
{
    if (!c->centroid || !work->memory->embed || !embed_inline(work->memory->embed)) return NULL;
    struct db_rows rows;
    struct str     title, body;
    memset(c->centroid, 0, sizeof(float) * (size_t)work->dim);
    c->centroid_count = 0;
    TRY(db_query(work->tx, &rows,
                 "SELECT title, content FROM observation WHERE workspace_id = $1 AND cluster_id = $2 "
                 "ORDER BY occurred_at DESC, id DESC LIMIT $3",
                 work->workspace, c->id, (int)FULL_COUNT));
    while (db_next(&rows, &title, &body)) {
        struct embed_views views = {0};
        if (!embed_item(work->memory->embed, work->arena, text_without_label(title), body, &views))
            move_centroid(work, c, views.mean);
    }
    return db_done(&rows);
}

struct err *clusters_leave(struct work *work, int64_t id)
{
    struct cluster *c;
    struct db_rows  rows;
    TRY(find(work, id, &c));
    if (!c) return NULL;
    TRY(read_detail(work, c));
    TRY(db_query(work->tx, &rows,
                 "SELECT COUNT(*), MIN(occurred_at), MAX(occurred_at) FROM observation "
                 "WHERE workspace_id = $1 AND cluster_id = $2",
                 work->workspace, id));
    (void)db_next(&rows, &c->count, &c->first, &c->last);
    TRY(db_done(&rows));
    c->dirty = true;
    c->gone = c->count == 0;
    if (c->gone) return NULL;
    move_to_day(work, c);
    return recompute_centroid(work, c);
}

static void rename_actor(struct cluster *c, struct str from, struct str into)
{
    if (!holds(&c->actors, from)) return;
    struct recent actors = {0};
    for (size_t i = 0; i < c->actors.n; i++) {
        struct str name = str_eq(c->actors.at[i], from) ? into : c->actors.at[i];
        if (!holds(&actors, name)) actors.at[actors.n++] = name;
    }
    c->actors = actors;
    c->dirty = true;
}

struct err *clusters_rename_actor(struct work *work, int64_t id, struct str from, struct str into)
{
    struct cluster *c;
    TRY(find(work, id, &c));
    if (!c) return NULL;
    TRY(read_detail(work, c));
    rename_actor(c, from, into);
    return NULL;
}

void clusters_redirect(struct work *work, struct str from, struct str into)
{
    for (size_t i = 0; i < map_count(work->clusters->by_id); i++) {
        struct str number;
        rename_actor((struct cluster *)(intptr_t)*map_entry(work->clusters->by_id, i, &number), from, into);
    }
}

/* ---- writing back --------------------------------------------------------------------------------------------------- */

static struct bytes centroid_bytes(const struct work *work, const struct cluster *c)
{
    return (struct bytes){c->centroid, c->centroid ? sizeof(float) * (size_t)work->dim : 0};
}

static struct str names(struct work *work, const struct recent *recent)
{
    return memory_json_list(work->arena, recent->at, recent->n);
}

static struct err *insert_cluster(struct work *work, const struct cluster *c)
{
    return db_exec(work->tx,
                   "INSERT INTO cluster (workspace_id, id, xid, topic_label, centroid, centroid_count, centroid_model, "
                   "keywords, primary_entities, primary_actors, status, observation_count, first_observation_at, "
                   "last_observation_at, closed_at, created_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
                   "CASE WHEN $11 = 'open' THEN NULL ELSE CAST($15 AS BIGINT) END, $15)",
                   work->workspace, c->id, id_new(work->arena, ""), c->label, centroid_bytes(work, c),
                   c->centroid_count, c->model, names(work, &c->keywords), names(work, &c->entities),
                   names(work, &c->actors), c->open ? "open" : "closed", c->count, c->first, c->last, time_now());
}

static struct err *update_cluster(struct work *work, const struct cluster *c)
{
    TRY(db_exec(work->tx,
                "UPDATE cluster SET keywords = $3, primary_entities = $4, primary_actors = $5, status = $6, "
                "observation_count = $7, first_observation_at = $8, last_observation_at = $9, "
                "closed_at = CASE WHEN $6 = 'open' THEN NULL ELSE COALESCE(closed_at, $10) END "
                "WHERE workspace_id = $1 AND id = $2",
                work->workspace, c->id, names(work, &c->keywords), names(work, &c->entities),
                names(work, &c->actors), c->open ? "open" : "closed", c->count, c->first, c->last, time_now()));
    if (!c->moved) return NULL;
    return db_exec(work->tx,
                   "UPDATE cluster SET centroid = $3, centroid_count = $4, centroid_model = $5 "
                   "WHERE workspace_id = $1 AND id = $2",
                   work->workspace, c->id, centroid_bytes(work, c), c->centroid_count, c->model);
}

static struct err *flush_cluster(struct work *work, const struct cluster *c)
{
    if (c->gone) {
        if (c->fresh) return NULL;
        TRY(db_exec(work->tx, "DELETE FROM cluster WHERE workspace_id = $1 AND id = $2", work->workspace, c->id));
        return index_remove(&work->writer, INDEX_CLUSTER, c->id);
    }
    TRY(c->fresh ? insert_cluster(work, c) : update_cluster(work, c));
    if (!c->moved) return NULL;
    struct embed_vector centroid = embed_quantise(work->arena, c->centroid, work->dim);
    return centroid.x ? index_put_cluster(&work->writer, c->id, centroid, work->dim, c->model) : NULL;
}

struct err *clusters_flush(struct work *work)
{
    for (size_t i = 0; i < map_count(work->clusters->by_id); i++) {
        struct str            number;
        const struct cluster *c = (struct cluster *)(intptr_t)*map_entry(work->clusters->by_id, i, &number);
        if (c->dirty) TRY(flush_cluster(work, c));
    }
    return NULL;
}
