/* relations.c - edges between observations that share a key: the rules of spec/pipeline.md 10 as a table.
 *
 * A rule looks at the pair, never at who arrived first: both orders give the same edge in the same direction.
 */
#include "memory/parts.h"

#include <stdlib.h>

/* ---- the rules ------------------------------------------------------------------------------------------------------ */

enum key_type { COMMIT = 1, BRANCH = 2, ISSUE = 4, DEPLOYMENT = 8 };
enum kind { ANY, GITHUB, GITHUB_CHANGE, GITHUB_PR, VERCEL, SENTRY_ISSUE, LINEAR_ISSUE };
enum role { EITHER, SELF, MENTION };
enum direction { FROM_TO, LATER_TO_EARLIER };

struct end {
    enum kind   kind;
    enum role   role;
    const char *label; /* one of these words, separated by spaces, must qualify the key; NULL: any or none */
};

struct rule {
    const char    *type;
    unsigned       keys;
    struct end     from, to;
    enum direction direction;
    double         confidence;
    const char    *method;
    bool           explicit; /* holds for crowded keys too */
    int64_t        within;   /* ms apart at most, 0 = no limit */
};

// clang-format off
static const struct rule rules[] = {
    {"resolves",    COMMIT,             {GITHUB_CHANGE, EITHER,  NULL},  {SENTRY_ISSUE, EITHER, "resolved_by"}, FROM_TO,          1.0, "explicit",             true,  0},
    {"deploys",     COMMIT,             {VERCEL,        EITHER,  NULL},  {GITHUB,       EITHER, NULL},          FROM_TO,          1.0, "commit_match",         false, 0},
    {"deploys",     ISSUE,              {VERCEL,        EITHER,  NULL},  {GITHUB_PR,    SELF,   NULL},          FROM_TO,          1.0, "pr_match",             false, 0},
    {"same_commit", COMMIT,             {ANY,           EITHER,  NULL},  {ANY,          EITHER, NULL},          LATER_TO_EARLIER, 1.0, "commit_match",         false, 0},
    {"same_branch", BRANCH,             {ANY,           EITHER,  NULL},  {ANY,          EITHER, NULL},          LATER_TO_EARLIER, 0.9, "branch_match",         false, DAYS(90)},
    {"fixes",       ISSUE,              {GITHUB_CHANGE, EITHER,  "fixes closes resolves"}, {ANY, SELF, NULL},   FROM_TO,          1.0, "explicit",             true,  0},
    {"tracked_in",  ISSUE,              {GITHUB_PR,     SELF,    NULL},  {LINEAR_ISSUE, EITHER, "tracked_in"},  FROM_TO,          1.0, "pr_match",             true,  0},
    {"triggers",    ISSUE,              {SENTRY_ISSUE,  SELF,    NULL},  {LINEAR_ISSUE, EITHER, "linked"},      FROM_TO,          0.8, "explicit",             true,  0},
    {"references",  ISSUE | DEPLOYMENT, {ANY,           SELF,    NULL},  {ANY,          SELF,   NULL},          LATER_TO_EARLIER, 1.0, "explicit",             true,  0},
    {"references",  ISSUE | DEPLOYMENT, {ANY,           MENTION, NULL},  {ANY,          SELF,   NULL},          FROM_TO,          0.8, "entity_cooccurrence",  false, 0},
    {"references",  ISSUE | DEPLOYMENT, {ANY,           MENTION, NULL},  {ANY,          MENTION, NULL},         LATER_TO_EARLIER, 0.7, "entity_cooccurrence",  false, 0},
};

static const struct { const char *name; enum key_type type; } key_types[] = {
    {"commit", COMMIT}, {"branch", BRANCH}, {"issue", ISSUE}, {"pr", ISSUE}, {"deployment", DEPLOYMENT},
};

static const char *const symmetric_types[] = {"same_commit", "same_branch", "references"};
// clang-format on

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { EDGES_A_TYPE = 50, MAX_LABELS = 4 };

/* ---- sides of a pair ------------------------------------------------------------------------------------------------ */

struct side {
    const struct observation_facts *facts;
    bool       self;
    struct str key; /* the longest spelling: a full SHA rather than a short one */
    struct str labels[MAX_LABELS];
    size_t     label_count;
};

static void side_add(struct side *side, struct str key, bool self, struct str qualifier)
{
    if (key.n > side->key.n) side->key = key;
    side->self = side->self || self;
    if (qualifier.n && side->label_count < MAX_LABELS) side->labels[side->label_count++] = qualifier;
}

static bool has_label(const struct side *side, const char *wanted)
{
    struct str rest = str_of(wanted), word;
    while (str_cut(&rest, ' ', &word))
        for (size_t i = 0; i < side->label_count; i++)
            if (str_eq(side->labels[i], word)) return true;
    return false;
}

static bool of_family(const struct observation_facts *facts, const char *family)
{
    struct str name = str_of(family);
    return str_starts(facts->source_type, name) &&
           (facts->source_type.n == name.n || facts->source_type.s[name.n] == '.');
}

static bool is_kind(const struct observation_facts *facts, enum kind kind)
{
    bool github = str_eq(facts->source, STR("github")) || str_eq(facts->source, STR("git"));
    switch (kind) {
    case ANY: return true;
    case GITHUB: return github;
    case GITHUB_PR: return github && of_family(facts, "pull-request");
    case GITHUB_CHANGE: return github && (of_family(facts, "push") || of_family(facts, "pull-request"));
    case VERCEL: return str_eq(facts->source, STR("vercel"));
    case SENTRY_ISSUE: return str_eq(facts->source, STR("sentry")) && of_family(facts, "issue");
    case LINEAR_ISSUE: return str_eq(facts->source, STR("linear")) && of_family(facts, "issue");
    }
    return false;
}

static bool fits(const struct end *end, const struct side *side)
{
    if (end->role == SELF && !side->self) return false;
    if (end->role == MENTION && side->self) return false;
    return is_kind(side->facts, end->kind) && (!end->label || has_label(side, end->label));
}

static bool later(const struct observation_facts *a, const struct observation_facts *b)
{
    return a->time != b->time ? a->time > b->time : str_cmp(a->source_id, b->source_id) > 0;
}

static int64_t apart(const struct observation_facts *a, const struct observation_facts *b)
{
    return a->time > b->time ? a->time - b->time : b->time - a->time;
}

/* ---- edges ---------------------------------------------------------------------------------------------------------- */

struct edge {
    const struct rule              *rule;
    const struct observation_facts *from, *to, *other; /* other: the end that is not the new observation */
    struct str  key;
    const char *key_type;
    int64_t     apart;
};
typedef VEC(struct edge) edge_list;

static bool apply(const struct rule *rule, const struct side *one, const struct side *two, struct edge *edge)
{
    bool forward = fits(&rule->from, one) && fits(&rule->to, two);
    bool backward = fits(&rule->from, two) && fits(&rule->to, one);
    if (!forward && !backward) return false;
    edge->apart = apart(one->facts, two->facts);
    if (rule->within && edge->apart > rule->within) return false;
    /* where both ways fit, time decides, so that the order of arrival cannot */
    bool one_first = (rule->direction == LATER_TO_EARLIER || (forward && backward)) ? later(one->facts, two->facts) : forward;
    edge->rule = rule;
    edge->from = one_first ? one->facts : two->facts;
    edge->to = one_first ? two->facts : one->facts;
    return true;
}

static const char *type_of_key(enum key_type type, const struct side *one, const struct side *two)
{
    if (type != ISSUE) return type == COMMIT ? "commit" : type == BRANCH ? "branch" : "deployment";
    bool request = (one->self && of_family(one->facts, "pull-request")) ||
                   (two->self && of_family(two->facts, "pull-request"));
    return request ? "pr" : "issue";
}

/* The first rule of the table that fits the pair under this key. */
static bool edge_of_pair(enum key_type type, bool crowded, const struct side *own, const struct side *other,
                         struct edge *edge)
{
    for (size_t i = 0; i < COUNT(rules); i++) {
        if (!(rules[i].keys & type)) continue;
        if (!apply(&rules[i], own, other, edge)) continue;
        edge->key_type = type_of_key(type, own, other);
        edge->other = other->facts;
        return !crowded || rules[i].explicit;
    }
    return false;
}

static bool symmetric(const char *type)
{
    for (size_t i = 0; i < COUNT(symmetric_types); i++)
        if (strcmp(symmetric_types[i], type) == 0) return true;
    return false;
}

static int nearest_first(const void *pa, const void *pb)
{
    const struct edge *a = pa, *b = pb;
    if (a->apart != b->apart) return a->apart < b->apart ? -1 : 1;
    return str_cmp(a->other->source_id, b->other->source_id);
}

/* The edges of one key, by the sides that share it. */
static struct err *edges_of_key(struct work *work, enum key_type type, const struct memory_link *link,
                                const struct side *own, edge_list *edges)
{
    struct shared_references shared;
    TRY(references_sharing(work, link, own->facts->id, &shared));
    if (shared.n == 0) return NULL;
    struct map *sides = map_create(work->arena);
    for (size_t i = 0; i < shared.n; i++) {
        int64_t *at = map_at(sides, key_of_number(&shared.at[i].observation));
        if (!*at) *at = (int64_t)(intptr_t)NEW(work->arena, struct side);
        side_add((struct side *)(intptr_t)*at, shared.at[i].key, shared.at[i].self, shared.at[i].qualifier);
    }
    for (size_t i = 0; i < map_count(sides); i++) {
        struct str   number;
        struct side *other = (struct side *)(intptr_t)*map_entry(sides, i, &number);
        int64_t      id;
        struct edge  edge = {.key = other->key.n > own->key.n ? other->key : own->key};
        memcpy(&id, number.s, sizeof id);
        struct observation_facts *facts;
        TRY(observation_facts(work, id, &facts));
        other->facts = facts;
        if (facts && edge_of_pair(type, shared.crowded, own, other, &edge)) *VEC_PUSH(work->arena, edges) = edge;
    }
    return NULL;
}

static bool same_edge(const struct edge *a, const struct edge *b)
{
    if (a->other != b->other || strcmp(a->rule->type, b->rule->type) != 0) return false;
    return a->from == b->from || symmetric(a->rule->type);
}

/* Of two edges that may exist only once: the surer, then the one whose key comes first. */
static bool better(const struct edge *a, const struct edge *b)
{
    if (a->rule->confidence != b->rule->confidence) return a->rule->confidence > b->rule->confidence;
    int types = strcmp(a->key_type, b->key_type);
    return types ? types < 0 : str_cmp(a->key, b->key) < 0;
}

static void keep_best(edge_list *edges)
{
    size_t kept = 0;
    if (edges->n) qsort(edges->at, edges->n, sizeof *edges->at, nearest_first);
    for (size_t i = 0; i < edges->n; i++) {
        /* the edges to one observation stand together */
        size_t at = kept;
        while (at > 0 && edges->at[at - 1].other == edges->at[i].other && !same_edge(&edges->at[at - 1], &edges->at[i])) at--;
        bool known = at > 0 && edges->at[at - 1].other == edges->at[i].other;
        if (!known) edges->at[kept++] = edges->at[i];
        else if (better(&edges->at[i], &edges->at[at - 1])) edges->at[at - 1] = edges->at[i];
    }
    edges->n = kept;
}

/* ---- storing -------------------------------------------------------------------------------------------------------- */

/* A symmetric relation may be stored the other way round, from before one of both was replaced. */
static struct err *clear_way(struct work *work, const struct edge *edge, bool *stored)
{
    struct db_rows rows;
    double         confidence = 0;
    TRY(db_query(work->tx, &rows,
                 "SELECT confidence FROM relationship WHERE workspace_id = $1 AND source_observation_id = $2 "
                 "AND target_observation_id = $3 AND relationship_type = $4",
                 work->workspace, edge->to->id, edge->from->id, edge->rule->type));
    bool reversed = db_next(&rows, &confidence);
    TRY(db_done(&rows));
    *stored = reversed && confidence >= edge->rule->confidence;
    if (!reversed || *stored) return NULL;
    return db_exec(work->tx,
                   "DELETE FROM relationship WHERE workspace_id = $1 AND source_observation_id = $2 "
                   "AND target_observation_id = $3 AND relationship_type = $4",
                   work->workspace, edge->to->id, edge->from->id, edge->rule->type);
}

static struct err *only_issue(struct work *work, int64_t observation, struct str *key, bool *one)
{
    struct db_rows rows;
    size_t         n = 0;
    TRY(db_query(work->tx, &rows,
                 "SELECT DISTINCT ref_key FROM observation_reference WHERE workspace_id = $1 AND observation_id = $2 "
                 "AND role = 'self' AND ref_type = 'issue' LIMIT 2",
                 work->workspace, observation));
    while (db_next(&rows, key)) n++;
    *one = n == 1;
    return db_done(&rows);
}

/* A pull request that fixes exactly one issue, and an issue that is tracked by exactly one pull request, are one piece
 * of work under two names. */
static struct err *write_aliases(struct work *work, const struct edge *edge)
{
    bool fixes = strcmp(edge->rule->type, "fixes") == 0;
    if (!fixes && strcmp(edge->rule->type, "tracked_in") != 0) return NULL;
    struct str     from, to;
    struct db_rows rows;
    int64_t        targets = 0;
    bool           from_one, to_one;
    TRY(only_issue(work, edge->from->id, &from, &from_one));
    TRY(only_issue(work, edge->to->id, &to, &to_one));
    if (!from_one || !to_one || str_eq(from, to)) return NULL;
    TRY(db_query(work->tx, &rows,
                 "SELECT COUNT(DISTINCT ref_key) FROM observation_reference WHERE workspace_id = $1 "
                 "AND observation_id = $2 AND ref_type = 'issue' AND qualifier IN ($3, $4, $5)",
                 work->workspace, fixes ? edge->from->id : edge->to->id, fixes ? "fixes" : "tracked_in",
                 fixes ? "closes" : "tracked_in", fixes ? "resolves" : "tracked_in"));
    (void)db_next(&rows, &targets);
    TRY(db_done(&rows));
    if (targets != 1) return NULL;
    TRY(entities_alias(work, from, to, edge->from->id));
    return entities_alias(work, to, from, edge->to->id);
}

static struct err *store_edge(struct work *work, const struct edge *edge)
{
    bool stored = false;
    if (symmetric(edge->rule->type)) TRY(clear_way(work, edge, &stored));
    if (stored) return NULL;
    TRY(db_exec(work->tx,
                "INSERT INTO relationship (workspace_id, id, xid, source_observation_id, target_observation_id, "
                "relationship_type, linking_key, linking_key_type, confidence, metadata, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
                "ON CONFLICT (workspace_id, source_observation_id, target_observation_id, relationship_type) "
                "DO UPDATE SET linking_key = excluded.linking_key, linking_key_type = excluded.linking_key_type, "
                "confidence = excluded.confidence, metadata = excluded.metadata "
                "WHERE excluded.confidence > relationship.confidence",
                work->workspace, index_new_id(&work->writer), id_new(work->arena, ""), edge->from->id, edge->to->id,
                edge->rule->type, edge->key, edge->key_type, edge->rule->confidence,
                str_printf(work->arena, "{\"detectionMethod\":\"%s\"}", edge->rule->method), time_now()));
    return write_aliases(work, edge);
}

/* ---- one observation ------------------------------------------------------------------------------------------------ */

static bool looked_up(const struct prepared_event *item, const struct memory_link *link, enum key_type *type)
{
    size_t i = 0;
    while (i < COUNT(key_types) && !str_eq(link->type, str_of(key_types[i].name))) i++;
    if (i == COUNT(key_types) || link->key.n == 0) return false;
    *type = key_types[i].type;
    if (*type == BRANCH) return !shared_branch(item, link->key);
    return *type != ISSUE || link->key.s[0] != '#'; /* a bare number belongs to no repository */
}

static bool same_key(const struct memory_link *a, const struct memory_link *b)
{
    return str_eq(a->key, b->key) && str_eq(a->type, b->type) && str_eq(a->scope, b->scope);
}

/* Our own rows under the key of links[i]; false if an earlier link has shown them already. */
static bool own_side(const struct memory_analysis *analysis, size_t i, struct side *own, struct memory_link *key)
{
    *key = analysis->links[i];
    for (size_t j = 0; j < analysis->link_count; j++) {
        const struct memory_link *link = &analysis->links[j];
        if (!same_key(link, &analysis->links[i])) continue;
        if (j < i) return false;
        side_add(own, link->key, link->self, link->qualifier);
        key->self = key->self || link->self;
        if (link->qualifier.n) key->qualifier = link->qualifier;
    }
    return true;
}

struct err *relations_link(struct work *work, const struct prepared_event *item, int64_t observation)
{
    struct observation_facts *facts;
    edge_list                 all = {0};
    TRY(observation_facts(work, observation, &facts));
    static const enum key_type order[] = {COMMIT, BRANCH, ISSUE, DEPLOYMENT};
    for (size_t t = 0; t < COUNT(order); t++) {
        edge_list edges = {0};
        for (size_t i = 0; i < item->analysis.link_count; i++) {
            enum key_type      type;
            struct side        own = {.facts = facts};
            struct memory_link key;
            if (!looked_up(item, &item->analysis.links[i], &type) || type != order[t]) continue;
            if (own_side(&item->analysis, i, &own, &key)) TRY(edges_of_key(work, type, &key, &own, &edges));
        }
        keep_best(&edges);
        for (size_t i = 0; i < edges.n && i < EDGES_A_TYPE; i++) *VEC_PUSH(work->arena, &all) = edges.at[i];
    }
    keep_best(&all);
    for (size_t i = 0; i < all.n; i++) TRY(store_edge(work, &all.at[i]));
    return NULL;
}
