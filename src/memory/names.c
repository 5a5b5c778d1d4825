/* names.c - keys that do not name their object alone (spec/pipeline.md 10): "#12" whose repository is not said, and the
 * beginning of a SHA. What they mean depends on what else the workspace knows; when that changes, the edges made by
 * them are made again, so that the order of arrival does not show.
 */
#include "memory/parts.h"

struct name_work {
    struct source_repository *repositories;
    size_t                    repository_count;
    bool                      any_number, any_number_read;
};

struct err *names_open(struct work *work)
{
    work->names = NEW(work->arena, struct name_work);
    return source_repositories(work->tx, work->workspace, &work->names->repositories, &work->names->repository_count);
}

bool names_mainline(const struct work *work, struct str repository, struct str branch)
{
    for (size_t i = 0; i < work->names->repository_count; i++) {
        const struct source_repository *known = &work->names->repositories[i];
        if (str_eq_nocase(known->branch, branch) && (!repository.n || str_eq_nocase(known->name, repository))) return true;
    }
    return false;
}

/* ---- numbers alone --------------------------------------------------------------------------------------------------- */

bool number_alone(struct str key) { return str_starts(key, STR("#")); }

void names_written(struct work *work, const struct memory_link *link)
{
    if (number_alone(link->key) && str_eq(link->type, STR("issue")))
        work->names->any_number = work->names->any_number_read = true;
}

struct err *names_any_number(struct work *work, bool *any)
{
    struct name_work *names = work->names;
    struct db_rows    rows;
    int64_t           observation;
    if (!names->any_number_read) {
        TRY(db_query(work->tx, &rows,
                     "SELECT observation_id FROM observation_reference WHERE workspace_id = $1 AND ref_type = 'issue' "
                     "AND ref_key >= '#' AND ref_key < '$' LIMIT 1",
                     work->workspace));
        names->any_number = db_next(&rows, &observation);
        TRY(db_done(&rows));
        names->any_number_read = true;
    }
    *any = names->any_number;
    return NULL;
}

static struct err *is_known(struct work *work, const struct memory_link *link, bool *known)
{
    struct db_rows rows;
    int64_t        observation;
    TRY(db_query(work->tx, &rows,
                 "SELECT observation_id FROM observation_reference WHERE workspace_id = $1 AND ref_type = $2 "
                 "AND ref_key = $3 LIMIT 1",
                 work->workspace, link->type, link->key));
    *known = db_next(&rows, &observation);
    return db_done(&rows);
}

struct err *names_number(struct work *work, struct str number, struct str *key)
{
    *key = (struct str){NULL, 0};
    for (size_t i = 0; i < work->names->repository_count; i++) {
        struct str candidate =
            str_printf(work->arena, STR_FMT STR_FMT, STR_ARG(work->names->repositories[i].name), STR_ARG(number));
        bool known;
        if (str_eq(candidate, *key)) continue;
        TRY(is_known(work, &(struct memory_link){.type = STR("issue"), .key = candidate}, &known));
        if (!known) continue;
        if (key->n) {
            *key = (struct str){NULL, 0};
            return NULL;
        }
        *key = candidate;
    }
    return NULL;
}

/* ---- edges that are made again --------------------------------------------------------------------------------------- */

/* Edges by keys that are LIKE this: of a SHA its longer spellings, of a number that number of any repository, for the
 * repository that made the edge may no longer be a source. */
static struct err *forget_edges_of(struct work *work, const struct unsettled *unsettled)
{
    bool       number = number_alone(unsettled->key);
    struct str like = str_printf(work->arena, number ? "%%" STR_FMT : STR_FMT "%%", STR_ARG(unsettled->key));
    TRY(db_exec(work->tx,
                "DELETE FROM relationship WHERE workspace_id = $1 AND source_observation_id = $2 AND linking_key LIKE $3 "
                "AND linking_key_type IN ('commit', 'issue', 'pr')",
                work->workspace, unsettled->observation, like));
    return db_exec(work->tx,
                   "DELETE FROM relationship WHERE workspace_id = $1 AND target_observation_id = $2 "
                   "AND linking_key LIKE $3 AND linking_key_type IN ('commit', 'issue', 'pr')",
                   work->workspace, unsettled->observation, like);
}

struct err *names_links(struct work *work, int64_t observation, struct memory_analysis *analysis)
{
    VEC(struct memory_link) links = {0};
    struct memory_link link = {0};
    struct db_rows     rows;
    struct str         role;
    TRY(db_query(work->tx, &rows,
                 "SELECT ref_type, ref_key, scope, role, qualifier FROM observation_reference "
                 "WHERE workspace_id = $1 AND observation_id = $2",
                 work->workspace, observation));
    while (db_next(&rows, &link.type, &link.key, &link.scope, &role, &link.qualifier)) {
        link.self = str_eq(role, STR("self"));
        *VEC_PUSH(work->arena, &links) = link;
    }
    analysis->links = links.at;
    analysis->link_count = links.n;
    return db_done(&rows);
}

struct err *names_settle(struct work *work, const struct unsettled *unsettled)
{
    struct prepared_event item = {0};
    struct str            type, metadata;
    struct db_rows        rows;
    TRY(db_query(work->tx, &rows, "SELECT source_type, metadata FROM observation WHERE workspace_id = $1 AND id = $2",
                 work->workspace, unsettled->observation));
    bool found = db_next(&rows, &type, &metadata);
    TRY(db_done(&rows));
    if (!found) return NULL;
    item.family = str_slice(type, 0, str_find_char(type, '.', 0));
    TRY(json_parse(work->arena, metadata, &item.metadata));
    TRY(names_links(work, unsettled->observation, &item.analysis));
    TRY(forget_edges_of(work, unsettled));
    return relations_link_again(work, &item, unsettled->observation);
}

typedef VEC(struct unsettled) unsettled_list;

static struct err *settle_all(struct work *work, struct db_rows *rows, unsettled_list *all)
{
    struct unsettled one;
    while (db_next(rows, &one.key, &one.observation)) *VEC_PUSH(work->arena, all) = one;
    TRY(db_done(rows));
    for (size_t i = 0; i < all->n; i++) TRY(names_settle(work, &all->at[i]));
    return NULL;
}

struct err *names_settle_numbers(struct work *work, struct unsettled *after, size_t limit, bool *more)
{
    unsettled_list all = {0};
    struct db_rows rows;
    TRY(db_query(work->tx, &rows,
                 "SELECT ref_key, observation_id FROM observation_reference WHERE workspace_id = $1 "
                 "AND ref_type = 'issue' AND ref_key >= $2 AND ref_key < '$' AND (ref_key > $2 OR observation_id > $3) "
                 "GROUP BY ref_key, observation_id ORDER BY ref_key, observation_id LIMIT $4",
                 work->workspace, after->key.n ? after->key : STR("#"), after->observation, (int64_t)limit));
    TRY(settle_all(work, &rows, &all));
    *more = all.n == limit;
    if (all.n) *after = all.at[all.n - 1];
    return NULL;
}

/* What the key that is gone was, or could have been, the meaning of. */
static struct err *settle_short(struct work *work, const struct memory_link *gone)
{
    enum { SHORT_SHA = 7, MOST = 200 };
    unsettled_list all = {0};
    struct db_rows rows;
    size_t         hash = str_find_char(gone->key, '#', 0);
    bool           issue = str_eq(gone->type, STR("issue")) && hash != SIZE_MAX && hash > 0, known;
    if (!issue && (!str_eq(gone->type, STR("commit")) || gone->key.n <= SHORT_SHA)) return NULL;
    TRY(is_known(work, gone, &known));
    if (known) return NULL;
    if (issue)
        TRY(db_query(work->tx, &rows,
                     "SELECT ref_key, observation_id FROM observation_reference WHERE workspace_id = $1 "
                     "AND ref_type = 'issue' AND ref_key = $2 GROUP BY ref_key, observation_id LIMIT $3",
                     work->workspace, str_skip(gone->key, hash), (int)MOST));
    else
        TRY(db_query(work->tx, &rows,
                     "SELECT ref_key, observation_id FROM observation_reference WHERE workspace_id = $1 "
                     "AND ref_type = 'commit' AND ref_key >= $2 AND ref_key < $3 AND $3 LIKE ref_key || '%' "
                     "GROUP BY ref_key, observation_id LIMIT $4",
                     work->workspace, str_slice(gone->key, 0, SHORT_SHA), gone->key, (int)MOST));
    return settle_all(work, &rows, &all);
}

struct err *names_forgotten(struct work *work, const struct memory_analysis *gone)
{
    for (size_t i = 0; i < gone->link_count; i++) TRY(settle_short(work, &gone->links[i]));
    return NULL;
}
