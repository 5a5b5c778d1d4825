/* merges.c - two actors turn out to be one: merging, and finding out (spec 7, reconciliation). */
#include "memory/parts.h"

/* ---- merging -------------------------------------------------------------------------------------------------------- */

/* The name stays as it was written; what the observation does not say about the person is filled in. */
static struct str filled(struct work *work, struct str json, struct str email, struct str avatar)
{
    const json_value *actor = NULL;
    if (json.n == 0 || json_parse(work->arena, json, &actor) || !json_is_object(actor)) return json;
    struct json_out out = json_out(work->arena);
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(actor); json_step(&it);) {
        json_key(&out, it.key);
        json_put_value(&out, NULL, it.value);
    }
    if (email.n && json_is_null(json_get(actor, "email"))) json_put_str(&out, "email", email);
    if (avatar.n && json_is_null(json_get(actor, "avatarUrl"))) json_put_str(&out, "avatarUrl", avatar);
    json_end(&out);
    return json_out_text(&out);
}

struct moved { int64_t id, cluster; struct str actor; };

static struct err *move_observations(struct work *work, struct str from, struct str into)
{
    struct db_rows rows;
    struct moved   row;
    struct str     email = {NULL, 0}, avatar = {NULL, 0};
    VEC(struct moved) moved = {0};
    TRY(db_query(work->tx, &rows,
                 "SELECT MAX(source_email), MAX(avatar_url) FROM actor_identity WHERE org_id = $1 "
                 "AND canonical_actor_id = $2 AND provisional = 0",
                 work->org, into));
    (void)db_next(&rows, &email, &avatar);
    TRY(db_done(&rows));
    TRY(db_query(work->tx, &rows,
                 "SELECT id, cluster_id, actor FROM observation WHERE workspace_id = $1 AND actor_id = $2",
                 work->workspace, from));
    while (db_next(&rows, &row.id, &row.cluster, &row.actor)) *VEC_PUSH(work->arena, &moved) = row;
    TRY(db_done(&rows));
    for (size_t i = 0; i < moved.n; i++) {
        TRY(db_exec(work->tx, "UPDATE observation SET actor_id = $3, actor = $4 WHERE workspace_id = $1 AND id = $2",
                    work->workspace, moved.at[i].id, into, filled(work, moved.at[i].actor, email, avatar)));
        TRY(index_change(&work->writer, (struct index_change){.id = moved.at[i].id,
                                                              .kind = INDEX_OBSERVATION,
                                                              .set_actor = true,
                                                              .actor = into}));
        if (moved.at[i].cluster) TRY(clusters_rename_actor(work, moved.at[i].cluster, from, into));
    }
    return NULL;
}

/* What is known of one actor in this workspace goes over to the other; the profile is computed anew. */
static struct err *fold_profile(struct work *work, struct str from, struct str into)
{
    TRY(db_exec(work->tx,
                "INSERT INTO actor_name (workspace_id, name, kind, actor_id) "
                "SELECT workspace_id, name, kind, $3 FROM actor_name WHERE workspace_id = $1 AND actor_id = $2 "
                "ON CONFLICT DO NOTHING",
                work->workspace, from, into));
    TRY(db_exec(work->tx, "DELETE FROM actor_name WHERE workspace_id = $1 AND actor_id = $2", work->workspace, from));
    TRY(db_exec(work->tx,
                "INSERT INTO actor_profile (workspace_id, actor_id, xid, display_name, email, last_active_at, is_bot, "
                "dirty, updated_at) "
                "SELECT workspace_id, $3, $4, display_name, email, last_active_at, is_bot, 1, CAST($5 AS BIGINT) FROM actor_profile "
                "WHERE workspace_id = $1 AND actor_id = $2 "
                "ON CONFLICT (workspace_id, actor_id) DO UPDATE SET dirty = 1, "
                "display_name = COALESCE(actor_profile.display_name, excluded.display_name), "
                "email = COALESCE(actor_profile.email, excluded.email)",
                work->workspace, from, into, id_new(work->arena, ""), time_now()));
    return db_exec(work->tx, "DELETE FROM actor_profile WHERE workspace_id = $1 AND actor_id = $2", work->workspace,
                   from);
}

static struct err *merge_here(struct work *work, struct str from, struct str into)
{
    TRY(move_observations(work, from, into));
    return fold_profile(work, from, into);
}

/* The same person in the organisation's other workspaces. */
static struct err *merge_elsewhere(struct work *work, struct str from, struct str into)
{
    struct db_rows rows;
    int64_t        workspace;
    VEC(int64_t) others = {0};
    TRY(db_query(work->tx, &rows, "SELECT id FROM workspace WHERE org_id = $1 AND id <> $2 ORDER BY id", work->org,
                 work->workspace));
    while (db_next(&rows, &workspace)) *VEC_PUSH(work->arena, &others) = workspace;
    TRY(db_done(&rows));
    for (size_t i = 0; i < others.n; i++) {
        struct work other;
        TRY(work_open(&other, work->memory, work->tx, others.at[i]));
        TRY(merge_here(&other, from, into));
        TRY(work_close(&other));
    }
    return NULL;
}

struct err *actors_merge(struct work *work, struct str from, struct str into)
{
    if (from.n == 0 || into.n == 0 || str_eq(from, into)) return NULL;
    from = str_dup(work->arena, from);
    into = str_dup(work->arena, into);
    TRY(actors_write_identities(work));
    TRY(db_exec(work->tx,
                "UPDATE actor_identity SET canonical_actor_id = $3, provisional = 0 WHERE org_id = $1 "
                "AND canonical_actor_id = $2",
                work->org, from, into));
    TRY(db_exec(work->tx, "UPDATE commit_author SET canonical_actor_id = $3 WHERE org_id = $1 AND canonical_actor_id = $2",
                work->org, from, into));
    TRY(merge_here(work, from, into));
    clusters_redirect(work, from, into);
    actors_redirect(work, from, into);
    return merge_elsewhere(work, from, into);
}

struct err *memory_merge_actors(struct memory *memory, struct db_tx *tx, int64_t workspace, struct str from,
                                struct str into)
{
    struct work work;
    if (from.n == 0 || into.n == 0) return err_new(tx->arena, ERR_INVALID, "An actor id is empty");
    TRY(work_open(&work, memory, tx, workspace));
    TRY(actors_merge(&work, from, into));
    return work_close(&work);
}

/* ---- finding out ---------------------------------------------------------------------------------------------------- */

/* The provisional actor of this login is the account that carries it. */
static struct err *merge_login(struct work *work, struct str login, struct str canonical)
{
    struct db_rows rows;
    struct str     provisional;
    if (actors_login_settled(work, login, canonical)) return NULL;
    TRY(actors_write_identities(work));
    TRY(db_query(work->tx, &rows,
                 "SELECT canonical_actor_id FROM actor_identity WHERE org_id = $1 AND source_username = $2 "
                 "AND source IN ('github', 'vercel') AND provisional = 1 AND canonical_actor_id <> $3 LIMIT 1",
                 work->org, login, canonical));
    bool found = db_next(&rows, &provisional);
    TRY(db_done(&rows));
    if (found) return actors_merge(work, provisional, canonical);
    actors_settle_login(work, login, canonical);
    return NULL;
}

/* Deployments of commits that this push brings, made by someone known by name only. */
static struct err *merge_deployers(struct work *work)
{
    struct db_rows rows;
    struct merge { struct str from, into; } row;
    VEC(struct merge) merges = {0};
    TRY(actors_write_identities(work));
    TRY(db_query(work->tx, &rows,
                 "SELECT DISTINCT i.canonical_actor_id, c.canonical_actor_id FROM actor_identity i "
                 "JOIN observation o ON o.workspace_id = $2 AND o.actor_id = i.canonical_actor_id "
                 "JOIN observation_reference r ON r.workspace_id = $2 AND r.observation_id = o.id "
                 "AND r.ref_type = 'commit' JOIN commit_author c ON c.org_id = i.org_id AND c.sha = r.ref_key "
                 "WHERE i.org_id = $1 AND i.source = 'vercel' AND i.provisional = 1 AND o.source = 'vercel' "
                 "AND c.canonical_actor_id <> i.canonical_actor_id",
                 work->org, work->workspace));
    while (db_next(&rows, &row.from, &row.into)) *VEC_PUSH(work->arena, &merges) = row;
    TRY(db_done(&rows));
    for (size_t i = 0; i < merges.n; i++) TRY(actors_merge(work, merges.at[i].from, merges.at[i].into));
    return NULL;
}

/* Canonical ids are preferred in this order. */
static const char *const preferred[] = {"github:", "linear:", "sentry:"};

static size_t rank(struct str canonical)
{
    size_t i = 0;
    while (i < sizeof preferred / sizeof *preferred && !str_starts(canonical, str_of(preferred[i]))) i++;
    return str_starts(canonical, STR("email:")) ? i + 1 : i;
}

/* An account's own address, told by its provider, joins accounts of several providers and takes in the people known
 * by that address only. */
static struct err *merge_email(struct work *work, struct str email, struct str canonical)
{
    struct db_rows rows;
    struct str     other;
    VEC(struct str) others = {0};
    TRY(actors_write_identities(work));
    TRY(db_query(work->tx, &rows,
                 "SELECT DISTINCT canonical_actor_id FROM actor_identity WHERE org_id = $1 AND source_email = $2 "
                 "AND canonical_actor_id <> $3 AND source NOT IN ('github', 'git', 'vercel')",
                 work->org, email, canonical));
    while (db_next(&rows, &other)) *VEC_PUSH(work->arena, &others) = other;
    TRY(db_done(&rows));
    for (size_t i = 0; i < others.n; i++) {
        bool theirs = rank(others.at[i]) < rank(canonical);
        TRY(actors_merge(work, theirs ? canonical : others.at[i], theirs ? others.at[i] : canonical));
        if (theirs) canonical = others.at[i];
    }
    return NULL;
}

/* Providers whose actor address is the account's own, not one that stands in a commit header. */
static bool tells_account_address(struct str source)
{
    return str_eq(source, STR("linear")) || str_eq(source, STR("sentry")) || str_eq(source, STR("notion")) ||
           str_eq(source, STR("zendesk"));
}

struct err *actors_reconcile(struct work *work, const struct prepared_event *item, struct str canonical)
{
    const struct source_event *event = &item->event;
    bool delivered = work->ingestion == SOURCE_WEBHOOK || work->ingestion == SOURCE_BACKFILL;
    if (!delivered || canonical.n == 0) return NULL;
    if (str_eq(event->source, STR("github"))) {
        if (event->actor.name.n) TRY(merge_login(work, str_lower(work->arena, event->actor.name), canonical));
        return str_eq(item->family, STR("push")) ? merge_deployers(work) : NULL;
    }
    struct str login, id, email = str_lower(work->arena, event->actor.email);
    if (email.n == 0 || text_noreply(email, &login, &id) || !tells_account_address(event->source)) return NULL;
    return merge_email(work, email, canonical);
}
