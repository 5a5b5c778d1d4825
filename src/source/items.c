/* items.c - what many events of one thing tell together: the newest state of pull requests and issues
 * (spec/connector-github.md 3.6), the teams of projects (connectors-other.md 1.4). */
#include "source/inbox.h"

#include "base/utf8.h"

enum { MAX_TITLE = 1000, MAX_NAME = 255, MAX_URL = 2048, MAX_LINKS = 50 }; /* bytes; entries */

/* ---- pull requests and issues -------------------------------------------------------------------------------------- */

static struct str name_of(struct arena *arena, struct str text)
{
    return text.n > MAX_NAME ? utf8_shorten(arena, text, MAX_NAME) : text;
}

static struct str names_json(struct arena *arena, const struct source_texts *names)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < names->n; i++) json_put(&out, NULL, name_of(arena, names->at[i]));
    json_end(&out);
    return json_out_text(&out);
}

static struct str links_json(struct arena *arena, const struct source_github_item *item)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < item->linked_count && i < MAX_LINKS; i++) {
        json_begin(&out, NULL, '{');
        json_put(&out, "id", name_of(arena, item->linked[i].id));
        json_put(&out, "label", item->linked[i].label);
        if (item->linked[i].url.n && item->linked[i].url.n <= MAX_URL) json_put(&out, "url", item->linked[i].url);
        json_end(&out);
    }
    json_end(&out);
    return json_out_text(&out);
}

static struct str coauthors_json(struct arena *arena, const struct source_github_item *item)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < item->coauthor_count && i < MAX_LINKS; i++) {
        const struct source_person *person = &item->coauthors[i];
        json_begin(&out, NULL, '{');
        json_put(&out, "name", name_of(arena, person->name));
        json_put(&out, "email", name_of(arena, person->email));
        if (person->login.n) json_put(&out, "login", name_of(arena, person->login));
        json_end(&out);
    }
    json_end(&out);
    return json_out_text(&out);
}

const struct item_row *items_read(struct arena *arena, const struct source_delivery *delivery,
                                  const struct source_context *context)
{
    struct item_row row;
    if (delivery->provider != SOURCE_GITHUB ||
        !source_github_item_read(arena, delivery->event, delivery->payload, context, &row.item))
        return NULL;
    struct source_github_item *item = &row.item;
    bool listed = item->lists_known;
    row.labels = listed ? names_json(arena, &item->labels) : (struct str){0};
    row.assignees = listed ? names_json(arena, &item->assignees) : (struct str){0};
    row.requested_reviewers = listed ? names_json(arena, &item->requested_reviewers) : (struct str){0};
    row.links = links_json(arena, item);
    row.coauthors = coauthors_json(arena, item);
    item->milestone = item->milestone.n || !listed ? name_of(arena, item->milestone) : STR("");
    if (item->title.n > MAX_TITLE) item->title = utf8_shorten(arena, item->title, MAX_TITLE);
    if (item->url.n > MAX_URL) item->url = (struct str){0};
    item->state = name_of(arena, item->state);
    item->author.login = name_of(arena, item->author.login);
    item->author.id = name_of(arena, item->author.id);
    struct item_row *kept = NEW(arena, struct item_row);
    *kept = row;
    return kept;
}

static struct db_value known(bool is, int64_t value)
{
    return is ? db_of_int(value) : db_of_null(DB_NULL);
}

static struct err *store_item(struct db_tx *tx, int64_t workspace, const struct item_row *row)
{
    const struct source_github_item *item = &row->item;
    const struct db_value values[] = {
        db_of_int(workspace),
        db_of_str(item->id_name),
        db_of_int(item->number),
        db_of_z(item->kind),
        db_of_str(item->title),
        db_of_str(item->url),
        db_of_str(item->state),
        known(item->draft != SOURCE_UNSET, item->draft == SOURCE_TRUE),
        db_of_str(row->labels),
        db_of_str(row->assignees),
        db_of_str(row->requested_reviewers),
        db_of_str(item->milestone),
        db_of_str(row->links),
        db_of_str(row->coauthors),
        db_of_str(item->author.id),
        db_of_str(item->author.login),
        known(item->comment_count >= 0, item->comment_count),
        known(item->review_comment_count >= 0, item->review_comment_count),
        known(item->created_at != 0, item->created_at),
        db_of_int(item->updated_at),
        known(item->closed_at != 0, item->closed_at),
        known(item->merged_at != 0, item->merged_at),
    };
    return db_exec_values(
        tx,
        "INSERT INTO github_item (workspace_id, repo, number, kind, title, url, state, draft, labels, assignees, "
        "requested_reviewers, milestone, linked_issues, coauthors, author_id, author_login, comment_count, "
        "review_comment_count, created_at, updated_at, closed_at, merged_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
        "$9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) "
        "ON CONFLICT (workspace_id, repo, number) DO UPDATE SET kind = excluded.kind, "
        "title = COALESCE(excluded.title, github_item.title), url = COALESCE(excluded.url, github_item.url), "
        "state = COALESCE(excluded.state, github_item.state), draft = COALESCE(excluded.draft, github_item.draft), "
        "labels = COALESCE(excluded.labels, github_item.labels), "
        "assignees = COALESCE(excluded.assignees, github_item.assignees), "
        "requested_reviewers = COALESCE(excluded.requested_reviewers, github_item.requested_reviewers), "
        "milestone = COALESCE(excluded.milestone, github_item.milestone), linked_issues = excluded.linked_issues, "
        "coauthors = excluded.coauthors, author_id = COALESCE(excluded.author_id, github_item.author_id), "
        "author_login = COALESCE(excluded.author_login, github_item.author_login), "
        "comment_count = COALESCE(excluded.comment_count, github_item.comment_count), "
        "review_comment_count = COALESCE(excluded.review_comment_count, github_item.review_comment_count), "
        "created_at = COALESCE(excluded.created_at, github_item.created_at), updated_at = excluded.updated_at, "
        "closed_at = CASE WHEN excluded.state = 'open' THEN NULL "
        "ELSE COALESCE(excluded.closed_at, github_item.closed_at) END, "
        "merged_at = COALESCE(excluded.merged_at, github_item.merged_at) "
        "WHERE github_item.updated_at <= excluded.updated_at",
        values, sizeof values / sizeof *values);
}

/* A remark after an approval leaves the approval standing. */
static struct err *store_verdict(struct db_tx *tx, int64_t workspace, const struct source_github_item *item)
{
    const struct source_verdict *verdict = &item->verdict;
    if (!verdict->login.n || verdict->login.n > MAX_NAME || !verdict->state.n || verdict->state.n > MAX_NAME) return NULL;
    return db_exec(tx,
                   "INSERT INTO github_verdict (workspace_id, repo, number, login, state, given_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, repo, number, login) "
                   "DO UPDATE SET state = excluded.state, given_at = excluded.given_at "
                   "WHERE github_verdict.given_at <= excluded.given_at AND excluded.state <> 'commented'",
                   workspace, item->id_name, item->number, verdict->login, verdict->state, verdict->at);
}

/* ---- projects ------------------------------------------------------------------------------------------------------ */

struct err *items_project_teams(struct db_tx *tx, int64_t workspace, struct str project, struct source_texts *teams)
{
    enum { MOST = 100 };
    struct db_rows rows;
    *teams = (struct source_texts){.at = NEW_ARRAY(tx->arena, struct str, MOST)};
    TRY(db_query(tx, &rows,
                 "SELECT team_id FROM linear_project_team WHERE workspace_id = $1 AND project_id = $2 "
                 "ORDER BY team_id LIMIT $3",
                 workspace, project, (int)MOST));
    while (teams->n < MOST && db_next(&rows, &teams->at[teams->n])) teams->n++;
    return db_done(&rows);
}

static bool same_texts(const struct source_texts *one, const struct source_texts *other)
{
    size_t found = 0;
    for (size_t i = 0; i < one->n; i++)
        for (size_t k = 0; k < other->n; k++) found += str_eq(one->at[i], other->at[k]);
    return one->n == other->n && found == one->n;
}

static struct err *store_teams(struct db_tx *tx, int64_t workspace, struct str project, const struct source_texts *teams)
{
    struct source_texts before;
    if (!project.n || project.n > MAX_NAME || !teams->n) return NULL;
    TRY(items_project_teams(tx, workspace, project, &before));
    if (same_texts(teams, &before)) return NULL;
    TRY(db_exec(tx, "DELETE FROM linear_project_team WHERE workspace_id = $1 AND project_id = $2", workspace, project));
    for (size_t i = 0; i < teams->n; i++)
        if (teams->at[i].n <= MAX_NAME)
            TRY(db_exec(tx, "INSERT INTO linear_project_team (workspace_id, project_id, team_id) VALUES ($1, $2, $3)",
                        workspace, project, teams->at[i]));
    return NULL;
}

struct err *items_store(struct db_tx *tx, const struct candidate *candidate)
{
    int64_t workspace = candidate->source.workspace;
    TRY(store_teams(tx, workspace, candidate->project, &candidate->project_teams));
    if (!candidate->item) return NULL;
    TRY(store_item(tx, workspace, candidate->item));
    return store_verdict(tx, workspace, &candidate->item->item);
}
