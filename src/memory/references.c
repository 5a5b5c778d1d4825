/* references.c - the reference index: which observation is about, or mentions, which commit, branch, issue, deployment. */
#include "memory/parts.h"

enum {
    KEY_MAX = 500,
    CROWD = 200,        /* a key shared by more observations says too little for edges by mere mention */
    ROWS_READ = 2 * CROWD + 1,
    SHORT_SHA = 7,
    FULL_SHA = 40,
};

struct err *references_write(struct work *work, int64_t observation, const struct memory_analysis *analysis)
{
    for (size_t i = 0; i < analysis->link_count; i++) {
        const struct memory_link *link = &analysis->links[i];
        if (link->key.n == 0 || link->key.n > KEY_MAX) continue;
        names_written(work, link);
        TRY(db_exec(work->tx,
                    "INSERT INTO observation_reference (workspace_id, ref_type, ref_key, scope, role, qualifier, "
                    "observation_id, url) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                    work->workspace, link->type, link->key, empty_if_null(link->scope),
                    link->self ? "self" : "mention", empty_if_null(link->qualifier), observation,
                    null_if_empty(link->url)));
    }
    return NULL;
}

struct err *references_remove(struct work *work, int64_t observation)
{
    return db_exec(work->tx, "DELETE FROM observation_reference WHERE workspace_id = $1 AND observation_id = $2",
                   work->workspace, observation);
}

/* ---- branches ------------------------------------------------------------------------------------------------------ */

static const char *const shared_branches[] = {"main", "master", "develop", "dev", "trunk", "staging", "production"};

static bool push_or_request(const struct prepared_event *item)
{
    return str_eq(item->family, STR("push")) || str_eq(item->family, STR("pull-request"));
}

bool shared_branch(const struct work *work, const struct prepared_event *item, struct str branch)
{
    for (size_t i = 0; i < sizeof shared_branches / sizeof *shared_branches; i++)
        if (str_eq_nocase(branch, str_of(shared_branches[i]))) return true;
    if (names_mainline(work, json_str(item->metadata, "repoFullName"), branch)) return true;
    if (str_eq_nocase(branch, json_str(item->metadata, "defaultBranch"))) return true;
    /* the branch that is imported is the mainline of its repository, whatever it is called */
    if (!str_eq(json_str(item->metadata, "origin"), STR("git-import"))) return false;
    return str_eq_nocase(branch, json_str(item->metadata, "branch")) ||
           str_eq_nocase(branch, json_str(item->metadata, "baseRef")) || !push_or_request(item);
}

/* ---- who shares a key ---------------------------------------------------------------------------------------------- */

static struct str crowd_key(struct work *work, const struct memory_link *link)
{
    return str_printf(work->arena, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(link->type), STR_ARG(link->key),
                      STR_ARG(link->scope));
}

static bool known_as_crowded(struct work *work, const struct memory_link *link)
{
    return map_count(work->crowded) && map_find(work->crowded, crowd_key(work, link));
}

typedef VEC(struct shared_reference) reference_rows;

static struct err *collect(struct work *work, struct db_rows *rows, int64_t observation, reference_rows *found)
{
    struct shared_reference row;
    struct str              role;
    while (db_next(rows, &row.observation, &row.key, &row.scope, &role, &row.qualifier)) {
        row.self = str_eq(role, STR("self"));
        if (row.observation != observation) *VEC_PUSH(work->arena, found) = row;
    }
    return db_done(rows);
}

#define COLUMNS "SELECT observation_id, ref_key, scope, role, qualifier FROM observation_reference "

/* A scope that is not given matches any: some tools name a branch without its repository. */
static struct err *rows_of_key(struct work *work, const struct memory_link *link, struct db_rows *rows)
{
    if (link->scope.n == 0)
        return db_query(work->tx, rows,
                        COLUMNS "WHERE workspace_id = $1 AND ref_type = $2 AND ref_key = $3 LIMIT $4", work->workspace,
                        link->type, link->key, (int)ROWS_READ);
    return db_query(work->tx, rows,
                    COLUMNS "WHERE workspace_id = $1 AND ref_type = $2 AND ref_key = $3 AND scope = '' "
                    "UNION ALL " /* IN would make a table of the two scopes each time */
                    COLUMNS "WHERE workspace_id = $1 AND ref_type = $2 AND ref_key = $3 AND scope = $4 LIMIT $5",
                    work->workspace, link->type, link->key, link->scope, (int)ROWS_READ);
}

/* Short and full SHAs of one commit lie in one range of keys, that of the shortest prefix, and so does what makes a
 * short one ambiguous. What else lies there is told apart afterwards. */
static struct err *rows_of_commit(struct work *work, const struct memory_link *link, struct db_rows *rows)
{
    struct str prefix = str_slice(link->key, 0, SHORT_SHA);
    return db_query(work->tx, rows,
                    COLUMNS "WHERE workspace_id = $1 AND ref_type = 'commit' AND ref_key >= $2 AND ref_key < $3 LIMIT $4",
                    work->workspace, prefix, str_printf(work->arena, STR_FMT "~", STR_ARG(prefix)), (int)ROWS_READ);
}

/* Whether two full SHAs among ours and the rows begin with this short one: then it names none of them. */
static bool ambiguous(const reference_rows *rows, struct str own, struct str sha)
{
    struct str named = own.n == FULL_SHA && str_starts(own, sha) ? own : (struct str){NULL, 0};
    for (size_t i = 0; i < rows->n; i++) {
        struct str key = rows->at[i].key;
        if (key.n != FULL_SHA || !str_starts(key, sha)) continue;
        if (named.s && !str_eq(named, key)) return true;
        named = key;
    }
    return false;
}

/* Of the rows in the range keep those that name our commit. */
static void keep_same_commit(struct arena *arena, reference_rows *rows, struct str own)
{
    reference_rows kept = {0};
    bool           clear = own.n == FULL_SHA || !ambiguous(rows, own, own);
    for (size_t i = 0; i < rows->n; i++) {
        struct str key = rows->at[i].key;
        bool       same = str_eq(key, own);
        if (!same && key.n > own.n) same = str_starts(key, own) && clear;
        else if (!same) same = str_starts(own, key) && !ambiguous(rows, own, key);
        if (same) *VEC_PUSH(arena, &kept) = rows->at[i];
    }
    *rows = kept;
}

typedef VEC(struct unsettled) unsettled_rows;

/* The first mention of a commit decides anew what its short spellings name. */
static void unsettle_short(struct arena *arena, const reference_rows *rows, struct str own, unsettled_rows *unsettled)
{
    if (own.n != FULL_SHA) return;
    for (size_t i = 0; i < rows->n; i++)
        if (str_eq(rows->at[i].key, own)) return;
    for (size_t i = 0; i < rows->n; i++)
        if (str_starts(own, rows->at[i].key))
            *VEC_PUSH(arena, unsettled) = (struct unsettled){rows->at[i].observation, rows->at[i].key};
}

/* Rows of "#12" alone, if our "owner/repo#12" is what they mean; found has the rows of our own key. */
static struct err *add_numbers(struct work *work, const struct memory_link *link, int64_t observation,
                               reference_rows *found, unsettled_rows *unsettled)
{
    size_t         hash = str_find_char(link->key, '#', 0), known = found->n;
    bool           any;
    struct str     key;
    struct db_rows rows;
    if (hash == SIZE_MAX || hash == 0) return NULL;
    TRY(names_any_number(work, &any));
    if (!any) return NULL;
    struct memory_link alone = {.type = link->type, .key = str_skip(link->key, hash)};
    TRY(rows_of_key(work, &alone, &rows));
    TRY(collect(work, &rows, observation, found));
    if (found->n == known) return NULL;
    for (size_t i = known; !known && i < found->n; i++)
        *VEC_PUSH(work->arena, unsettled) = (struct unsettled){found->at[i].observation, alone.key};
    TRY(names_number(work, alone.key, &key));
    if (!str_eq(key, link->key)) found->n = known;
    for (size_t i = known; i < found->n; i++) found->at[i].key = key;
    return NULL;
}

static bool too_many(struct work *work, const reference_rows *rows)
{
    if (rows->n <= CROWD) return false;
    struct map *observations = map_create(work->arena);
    for (size_t i = 0; i < rows->n; i++) map_at(observations, key_of_number(&rows->at[i].observation));
    return map_count(observations) > CROWD;
}

/* Of a crowded key only what explicit rules can use: the observations that are about it, and mentions that say why. */
static struct err *explicit_rows(struct work *work, const struct memory_link *link, int64_t observation,
                                 reference_rows *found)
{
    struct db_rows rows;
    found->n = 0;
    if (!link->self && link->qualifier.n == 0) return NULL;
    if (str_eq(link->type, STR("branch"))) return NULL; /* no rule about branches is explicit */
    TRY(db_query(work->tx, &rows,
                 COLUMNS "WHERE workspace_id = $1 AND ref_type = $2 AND ref_key = $3 AND scope = $4 AND role = 'self' "
                         "LIMIT $5",
                 work->workspace, link->type, link->key, empty_if_null(link->scope), (int)CROWD));
    TRY(collect(work, &rows, observation, found));
    if (!link->self) return NULL;
    TRY(db_query(work->tx, &rows,
                 COLUMNS "WHERE workspace_id = $1 AND ref_type = $2 AND ref_key = $3 AND scope = $4 "
                         "AND role = 'mention' AND qualifier > '' LIMIT $5",
                 work->workspace, link->type, link->key, empty_if_null(link->scope), (int)CROWD));
    return collect(work, &rows, observation, found);
}

struct err *references_sharing(struct work *work, const struct memory_link *link, int64_t observation,
                               struct shared_references *shared)
{
    struct db_rows rows;
    reference_rows found = {0};
    unsettled_rows unsettled = {0};
    bool           commit = str_eq(link->type, STR("commit"));
    *shared = (struct shared_references){0};
    if (commit && link->key.n < SHORT_SHA) return NULL;
    shared->crowded = known_as_crowded(work, link);
    if (!shared->crowded) {
        TRY(commit ? rows_of_commit(work, link, &rows) : rows_of_key(work, link, &rows));
        TRY(collect(work, &rows, observation, &found));
        if (commit) unsettle_short(work->arena, &found, link->key, &unsettled);
        if (commit) keep_same_commit(work->arena, &found, link->key);
        if (str_eq(link->type, STR("issue"))) TRY(add_numbers(work, link, observation, &found, &unsettled));
        shared->crowded = too_many(work, &found);
    }
    if (shared->crowded) {
        *map_at(work->crowded, crowd_key(work, link)) = 1;
        TRY(explicit_rows(work, link, observation, &found));
    }
    shared->at = found.at;
    shared->n = found.n;
    shared->unsettled = unsettled.at;
    shared->unsettled_count = unsettled.n < CROWD ? unsettled.n : CROWD;
    return NULL;
}
