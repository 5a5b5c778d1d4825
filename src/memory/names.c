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

static struct err *is_known(struct work *work, struct str key, bool *known)
{
    struct db_rows rows;
    int64_t        observation;
    TRY(db_query(work->tx, &rows,
                 "SELECT observation_id FROM observation_reference WHERE workspace_id = $1 AND ref_type = 'issue' "
                 "AND ref_key = $2 LIMIT 1",
                 work->workspace, key));
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
        TRY(is_known(work, candidate, &known));
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

/* Edges by keys from `from` up to but not including `to`. */
static struct err *forget_edges(struct work *work, int64_t observation, struct str from, struct str to)
{
    TRY(db_exec(work->tx,
                "DELETE FROM relationship WHERE workspace_id = $1 AND source_observation_id = $2 AND linking_key >= $3 "
                "AND linking_key < $4 AND linking_key_type IN ('commit', 'issue', 'pr')",
                work->workspace, observation, from, to));
    return db_exec(work->tx,
                   "DELETE FROM relationship WHERE workspace_id = $1 AND target_observation_id = $2 "
                   "AND linking_key >= $3 AND linking_key < $4 AND linking_key_type IN ('commit', 'issue', 'pr')",
                   work->workspace, observation, from, to);
}

static struct err *forget_edges_of(struct work *work, const struct unsettled *unsettled)
{
    struct arena *arena = work->arena;
    if (!number_alone(unsettled->key))
        return forget_edges(work, unsettled->observation, unsettled->key,
                            str_printf(arena, STR_FMT "~", STR_ARG(unsettled->key)));
    for (size_t i = 0; i < work->names->repository_count; i++) {
        struct str key =
            str_printf(arena, STR_FMT STR_FMT, STR_ARG(work->names->repositories[i].name), STR_ARG(unsettled->key));
        TRY(forget_edges(work, unsettled->observation, key, str_printf(arena, STR_FMT " ", STR_ARG(key))));
    }
    return NULL;
}

static struct err *read_links(struct work *work, int64_t observation, struct memory_analysis *analysis)
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
    TRY(read_links(work, unsettled->observation, &item.analysis));
    TRY(forget_edges_of(work, unsettled));
    return relations_link_again(work, &item, unsettled->observation);
}
