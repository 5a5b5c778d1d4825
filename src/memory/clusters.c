/* clusters.c - observations that belong together in time and matter: choosing, joining and closing (spec 9).
 *
 * DESIGN. The candidates are the ten most recent clusters near the observation. They are found by their last
 * observation, newest first, in stretches of days that are read from the database page by page, only as far as the ten
 * need: what happens now looks at a page however many clusters the week has. Spans are bounded (a cluster takes no more
 * after 30 days), hence so is the search, whether history comes oldest first, newest first or a second time. Centroid
 * and lists are read only of clusters that become candidates.
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
    FIRST_PAGE = 32, LARGEST_PAGE = 2048,
    MAX_ENTITIES = 20, MAX_ACTORS = 10, MAX_KEYWORDS = 20,
};

/* Names used lately, latest first. */
struct recent {
    struct str at[MAX_ENTITIES];
    size_t     n;
};

struct detail {
    int64_t       centroid_count;
    struct str    xid, label, model;
    float        *centroid;
    struct recent entities, actors, keywords;
};

struct cluster {
    int64_t        id, first, last, count, stretch;
    bool           open, fresh, dirty, moved /* its centroid */, gone, closed /* in this working set */;
    struct detail *detail; /* NULL until it is needed */
    const struct prepared_event *founder; /* of a fresh one */
};

/* The clusters whose last observation lies in these days. All that are more recent than `read` are known. */
struct stretch {
    VEC(struct cluster *) known;
    struct { int64_t last, id; } read;
    int64_t page;
    bool    begun, whole; /* whole: there are no others */
};

struct cluster_work {
    struct map *by_id;
    struct map *stretches; /* number of the stretch -> struct stretch * */
};

struct err *clusters_open(struct work *work)
{
    work->clusters = NEW(work->arena, struct cluster_work);
    work->clusters->by_id = map_create(work->arena);
    work->clusters->stretches = map_create(work->arena);
    return NULL;
}

static int64_t stretch_number(int64_t time)
{
    return time / DAYS(STRETCH_DAYS) - (time % DAYS(STRETCH_DAYS) < 0);
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static struct stretch *stretch_at(struct work *work, int64_t number)
{
    int64_t *at = map_at(work->clusters->stretches, key_of_number(&number));
    if (!*at) *at = (int64_t)(intptr_t)NEW(work->arena, struct stretch);
    return (struct stretch *)(intptr_t)*at;
}

static void file_under_stretch(struct work *work, struct cluster *cluster)
{
    cluster->stretch = stretch_number(cluster->last);
    *VEC_PUSH(work->arena, &stretch_at(work, cluster->stretch)->known) = cluster;
}

static void move_to_stretch(struct work *work, struct cluster *cluster)
{
    if (stretch_number(cluster->last) == cluster->stretch) return;
    struct stretch *before = stretch_at(work, cluster->stretch);
    for (size_t i = 0; i < before->known.n; i++)
        if (before->known.at[i] == cluster) {
            before->known.at[i] = before->known.at[--before->known.n];
            break;
        }
    file_under_stretch(work, cluster);
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
    file_under_stretch(work, kept);
    return kept;
}

#define COLUMNS "SELECT id, first_observation_at, last_observation_at, observation_count, status FROM cluster "

static bool next_cluster(struct db_rows *rows, struct cluster *cluster)
{
    struct str status;
    *cluster = (struct cluster){0};
    if (!db_next(rows, &cluster->id, &cluster->first, &cluster->last, &cluster->count, &status)) return false;
    cluster->open = str_eq(status, STR("open"));
    return true;
}

static struct err *read_page(struct work *work, int64_t number, struct stretch *stretch)
{
    struct db_rows rows;
    struct cluster cluster;
    int64_t        n = 0;
    if (!stretch->begun) {
        stretch->begun = true;
        stretch->page = FIRST_PAGE;
        stretch->read.last = (number + 1) * DAYS(STRETCH_DAYS); /* no cluster of it is as recent */
    }
    TRY(db_query(work->tx, &rows,
                 COLUMNS "WHERE workspace_id = $1 AND last_observation_at >= $2 AND (last_observation_at, id) < ($3, $4) "
                         "ORDER BY last_observation_at DESC, id DESC LIMIT $5",
                 work->workspace, number * DAYS(STRETCH_DAYS), stretch->read.last, stretch->read.id, stretch->page));
    for (; next_cluster(&rows, &cluster); n++) {
        stretch->read.last = cluster.last;
        stretch->read.id = cluster.id;
        if (!known(work, cluster.id)) (void)keep(work, cluster);
    }
    stretch->whole = n < stretch->page;
    if (stretch->page < LARGEST_PAGE) stretch->page *= 2;
    return db_done(&rows);
}

static struct err *find(struct work *work, int64_t id, struct cluster **out)
{
    struct db_rows rows;
    struct cluster cluster;
    *out = known(work, id);
    if (*out) return NULL;
    TRY(db_query(work->tx, &rows, COLUMNS "WHERE workspace_id = $1 AND id = $2", work->workspace, id));
    if (next_cluster(&rows, &cluster)) *out = keep(work, cluster);
    return db_done(&rows);
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
    if (c->detail) return NULL;
    struct db_rows rows;
    struct bytes   centroid = {NULL, 0};
    struct str     keywords, entities, actors;
    struct detail *d = c->detail = NEW(work->arena, struct detail);
    TRY(db_query(work->tx, &rows,
                 "SELECT xid, topic_label, centroid, centroid_count, centroid_model, keywords, primary_entities, "
                 "primary_actors FROM cluster WHERE workspace_id = $1 AND id = $2",
                 work->workspace, c->id));
    bool found = db_next(&rows, &d->xid, &d->label, &centroid, &d->centroid_count, &d->model, &keywords, &entities, &actors);
    TRY(db_done(&rows));
    if (!found) return NULL;
    /* one of another model or size cannot be compared */
    if (centroid.n && centroid.n == (size_t)work->dim * sizeof(float) && str_eq(d->model, work->model)) {
        d->centroid = arena_alloc_raw(work->arena, centroid.n);
        memcpy(d->centroid, centroid.p, centroid.n);
    }
    read_recent(work, keywords, MAX_KEYWORDS, &d->keywords);
    read_recent(work, entities, MAX_ENTITIES, &d->entities);
    read_recent(work, actors, MAX_ACTORS, &d->actors);
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

/* Of the clusters of a stretch that are certain to be the most recent: those beyond its last page may be older than some
 * that are not read yet. */
static void add_known(struct work *work, const struct stretch *stretch, int64_t time, struct candidates *list)
{
    for (size_t i = 0; i < stretch->known.n; i++) {
        struct cluster *c = stretch->known.at[i];
        bool read = stretch->whole || c->last > stretch->read.last ||
                    (c->last == stretch->read.last && c->id >= stretch->read.id);
        if (read && may_join(work, c, time)) add_candidate(list, c);
    }
}

static struct err *find_candidates(struct work *work, int64_t time, struct candidates *list)
{
    int64_t newest = stretch_number(time + DAYS(WIDEN_DAYS + LONGEST_DAYS));
    int64_t oldest = stretch_number(time - DAYS(WIDEN_DAYS));
    for (int64_t number = newest; number >= oldest && list->n < CANDIDATES; number--) {
        struct stretch   *stretch = stretch_at(work, number);
        struct candidates before = *list;
        if (!stretch->begun) TRY(read_page(work, number, stretch));
        add_known(work, stretch, time, list);
        while (list->n < CANDIDATES && !stretch->whole) {
            TRY(read_page(work, number, stretch));
            *list = before;
            add_known(work, stretch, time, list);
        }
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
        if (str_starts(entity->key, STR("branch:")) && shared_branch(work, item, str_skip(entity->key, 7))) continue;
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
    const float *centroid = c->detail->centroid;
    if (!centroid || !vector.x) return 0;
    float dot = 0, square = 0;
    for (int i = 0; i < work->dim; i++) {
        dot += centroid[i] * (float)vector.x[i];
        square += centroid[i] * centroid[i];
    }
    double cosine = square > 0 && vector.norm > 0 ? dot / (sqrt(square) * vector.norm) : 0;
    return cosine > 0 ? cosine : 0;
}

static double jaccard(const struct cluster *c, const struct traits *traits)
{
    size_t both = 0;
    for (size_t i = 0; i < traits->entity_count; i++) both += holds(&c->detail->entities, traits->entities[i]);
    size_t either = c->detail->entities.n + traits->entity_count - both;
    return either ? (double)both / (double)either : 0;
}

static double affinity(const struct work *work, const struct cluster *c, const struct traits *traits)
{
    int64_t apart = traits->time > c->last ? traits->time - c->last : c->last - traits->time;
    int64_t hours = apart / HOURS(1); /* whole ones */
    double  others = 30 * jaccard(c, traits) + (traits->actor.n && holds(&c->detail->actors, traits->actor) ? 20 : 0) +
                    (hours < 10 ? (double)(10 - hours) : 0);
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
    struct detail *d = c->detail;
    if (!vector.x || vector.norm <= 0) return;
    if (!d->centroid) {
        d->centroid = NEW_ARRAY(work->arena, float, work->dim);
        d->centroid_count = 0;
        d->model = work->model;
    }
    float share = 1.0f / (float)(d->centroid_count + 1);
    for (int i = 0; i < work->dim; i++)
        d->centroid[i] += ((float)vector.x[i] / vector.norm - d->centroid[i]) * share;
    if (d->centroid_count < FULL_COUNT) d->centroid_count++;
    c->moved = true;
}

static void join(struct work *work, struct cluster *c, const struct prepared_event *item, const struct traits *traits)
{
    struct detail *d = c->detail;
    c->dirty = true;
    c->count++;
    if (traits->time < c->first) c->first = traits->time;
    if (traits->time > c->last) c->last = traits->time;
    move_centroid(work, c, traits->vector);
    for (size_t i = traits->entity_count; i-- > 0;) use(&d->entities, MAX_ENTITIES, traits->entities[i]);
    for (size_t i = item->analysis.content_topics; i-- > 0;) use(&d->keywords, MAX_KEYWORDS, item->analysis.topics[i]);
    if (traits->actor.n) use(&d->actors, MAX_ACTORS, traits->actor);
    if (!full(c)) return;
    c->closed = c->closed || c->open;
    c->open = false;
}

enum { LABEL_CHARACTERS = 100 };

static struct cluster *create(struct work *work, const struct prepared_event *item, const struct traits *traits)
{
    struct str     title = text_without_label(item->event.title);
    struct detail *detail = NEW(work->arena, struct detail);
    detail->xid = id_new(work->arena, "");
    detail->label = item->analysis.content_topics ? item->analysis.topics[0] : utf8_head(title, LABEL_CHARACTERS);
    return keep(work, (struct cluster){.id = index_new_id(&work->writer),
                                       .first = traits->time,
                                       .last = traits->time,
                                       .open = true,
                                       .fresh = true,
                                       .detail = detail,
                                       .founder = item});
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
    move_to_stretch(work, best);
    *cluster = best->id;
    return NULL;
}

struct err *clusters_tell(struct work *work, int64_t id, const struct prepared_event *item, struct memory_home *home)
{
    struct cluster *c = NULL;
    *home = (struct memory_home){0};
    if (id) TRY(find(work, id, &c));
    if (!c) return NULL;
    TRY(read_detail(work, c));
    *home = (struct memory_home){c->detail->xid, c->detail->label, c->count, c->founder == item, c->closed};
    return NULL;
}

/* ---- leaving -------------------------------------------------------------------------------------------------------- */

/* The mean of the members that are left, from their texts: what is stored of their vectors belongs to the index. A
 * provider over the network cannot be asked inside a transaction; there the centroid stays where it was. */
static struct err *recompute_centroid(struct work *work, struct cluster *c)
{
    struct detail *d = c->detail;
    if (!d->centroid || !work->memory->embed || !embed_inline(work->memory->embed)) return NULL;
    struct db_rows rows;
    struct str     title, body;
    memset(d->centroid, 0, sizeof(float) * (size_t)work->dim);
    d->centroid_count = 0;
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
    move_to_stretch(work, c);
    return recompute_centroid(work, c);
}

static void rename_actor(struct cluster *c, struct str from, struct str into)
{
    if (!c->detail || !holds(&c->detail->actors, from)) return;
    struct recent actors = {0};
    for (size_t i = 0; i < c->detail->actors.n; i++) {
        struct str name = str_eq(c->detail->actors.at[i], from) ? into : c->detail->actors.at[i];
        if (!holds(&actors, name)) actors.at[actors.n++] = name;
    }
    c->detail->actors = actors;
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

static struct bytes centroid_bytes(const struct work *work, const struct detail *d)
{
    return (struct bytes){d->centroid, d->centroid ? sizeof(float) * (size_t)work->dim : 0};
}

static struct str names(struct work *work, const struct recent *recent)
{
    return memory_json_list(work->arena, recent->at, recent->n);
}

static struct err *insert_cluster(struct work *work, const struct cluster *c)
{
    const struct detail *d = c->detail;
    return db_exec(work->tx,
                   "INSERT INTO cluster (workspace_id, id, xid, topic_label, centroid, centroid_count, centroid_model, "
                   "keywords, primary_entities, primary_actors, status, observation_count, first_observation_at, "
                   "last_observation_at, closed_at, created_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
                   "CASE WHEN $11 = 'open' THEN NULL ELSE CAST($15 AS BIGINT) END, $15)",
                   work->workspace, c->id, d->xid, d->label, centroid_bytes(work, d),
                   d->centroid_count, d->model, names(work, &d->keywords), names(work, &d->entities),
                   names(work, &d->actors), c->open ? "open" : "closed", c->count, c->first, c->last, time_now());
}

static struct err *update_cluster(struct work *work, const struct cluster *c)
{
    const struct detail *d = c->detail;
    TRY(db_exec(work->tx,
                "UPDATE cluster SET keywords = $3, primary_entities = $4, primary_actors = $5, status = $6, "
                "observation_count = $7, first_observation_at = $8, last_observation_at = $9, "
                "closed_at = CASE WHEN $6 = 'open' THEN NULL ELSE COALESCE(closed_at, $10) END "
                "WHERE workspace_id = $1 AND id = $2",
                work->workspace, c->id, names(work, &d->keywords), names(work, &d->entities),
                names(work, &d->actors), c->open ? "open" : "closed", c->count, c->first, c->last, time_now()));
    if (!c->moved) return NULL;
    return db_exec(work->tx,
                   "UPDATE cluster SET centroid = $3, centroid_count = $4, centroid_model = $5 "
                   "WHERE workspace_id = $1 AND id = $2",
                   work->workspace, c->id, centroid_bytes(work, d), d->centroid_count, d->model);
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
    struct embed_vector centroid = embed_quantise(work->arena, c->detail->centroid, work->dim);
    return centroid.x ? index_put_cluster(&work->writer, c->id, centroid, work->dim, c->detail->model) : NULL;
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
