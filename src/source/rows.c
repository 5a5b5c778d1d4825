/* rows.c - sources and imports as rows: which repository, how far its history has been read, what became of it. */
#include "source/inbox.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"

enum { MAX_REPO = 300, MAX_BRANCH = 300, MAX_PATH = 4096, MAX_IDEMPOTENCY = 255, MAX_ERROR = 1000, MAX_SHA = 64,
       LIST_MAX = 100 };

struct err *source_next_row_id(struct db_tx *tx, int64_t workspace, int64_t *id)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "UPDATE workspace_counter SET next_id = next_id + 1 WHERE workspace_id = $1 RETURNING next_id - 1",
                 workspace));
    bool found = db_next(&rows, id);
    TRY(db_done(&rows));
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "Workspace not found");
}

/* ---- the configuration of a source ------------------------------------------------------------------------------- */

static bool is_among(struct str key, const struct source_member *members, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(key, str_of(members[i].key))) return true;
    return false;
}

/* What other parts of the program keep in the configuration (sync, status ...) stays as it is. */
struct err *source_replace_members(struct arena *arena, struct str *config, const struct source_member *members,
                                   size_t n)
{
    const json_value *old;
    struct json_out   out = json_out(arena);
    TRY(json_parse(arena, *config, &old));
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(old); json_step(&it);) {
        if (is_among(it.key, members, n)) continue;
        json_key(&out, it.key);
        json_put_value(&out, NULL, it.value);
    }
    for (size_t i = 0; i < n; i++) {
        if (members[i].json.s)
            json_put_raw(&out, members[i].key, members[i].json);
        else if (members[i].text.s)
            json_put_str(&out, members[i].key, members[i].text);
    }
    json_end(&out);
    *config = json_out_text(&out);
    return NULL;
}

struct err *source_write_config(struct db_tx *tx, int64_t workspace, int64_t source, struct str config)
{
    return db_exec(tx, "UPDATE source SET source_config = $3 WHERE workspace_id = $1 AND id = $2", workspace, source, config);
}

static struct err *connect_again(struct db_tx *tx, int64_t workspace, const struct source_row *source)
{
    TRY(source_write_config(tx, workspace, source->id, source->config));
    return db_exec(tx, "UPDATE source SET is_active = 1, inactive_reason = NULL WHERE workspace_id = $1 AND id = $2",
                   workspace, source->id);
}

/* ---- finding and making the source of a repository --------------------------------------------------------------- */

static struct err *find_git_source(struct db_tx *tx, int64_t workspace, struct source_row *source, bool *found)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT id, public_id, source_config FROM source "
                 "WHERE workspace_id = $1 AND source_type = 'git' AND provider_resource_id = $2",
                 workspace, source->resource_id));
    *found = db_next(&rows, &source->id, &source->public_id, &source->config);
    return db_done(&rows);
}

/* Their resource id is GitHub's number, the name is in the configuration. */
static struct err *find_github_source(struct db_tx *tx, int64_t workspace, struct str repo, struct source_row *source,
                                      bool *found)
{
    struct db_rows    rows;
    struct source_row row = {.type = STR("github")};
    TRY(db_query(tx, &rows,
                 "SELECT id, public_id, provider_resource_id, source_config FROM source "
                 "WHERE workspace_id = $1 AND source_type = 'github' AND is_active = 1 ORDER BY id",
                 workspace));
    while (!*found && db_next(&rows, &row.id, &row.public_id, &row.resource_id, &row.config)) {
        const json_value *config;
        TRY(json_parse(tx->arena, row.config, &config));
        *found = str_eq_nocase(json_str(config, "repoFullName"), repo);
    }
    TRY(db_done(&rows));
    if (*found) *source = row;
    return NULL;
}

static struct err *insert_git_source(struct db_tx *tx, int64_t workspace, struct source_row *source)
{
    TRY(source_next_row_id(tx, workspace, &source->id));
    source->public_id = id_new(tx->arena, "src_");
    return db_exec(tx,
                   "INSERT INTO source (workspace_id, id, public_id, source_type, provider_resource_id, source_config, "
                   "connected_at) VALUES ($1, $2, $3, 'git', $4, $5, $6)",
                   workspace, source->id, source->public_id, source->resource_id, source->config, time_now());
}

static struct err *source_of(struct db_tx *tx, int64_t workspace, const struct source_import_request *request,
                             struct source_row *source)
{
    bool found = false;
    if (request->github) TRY(find_github_source(tx, workspace, request->repo, source, &found));
    if (found) return NULL;
    *source = (struct source_row){
        .type = STR("git"),
        .resource_id = str_printf(tx->arena, "git:" STR_FMT, STR_ARG(str_lower(tx->arena, request->repo))),
    };
    TRY(find_git_source(tx, workspace, source, &found));
    bool is_new = !found;
    if (is_new) source->config = STR("{\"version\":1,\"sourceType\":\"git\",\"type\":\"repository\"}");
    struct source_member members[] = {
        {.key = "branch", .text = request->branch},
        {.key = "repoFullName", .text = request->repo},
        {.key = "path", .text = request->host_path},
    };
    TRY(source_replace_members(tx->arena, &source->config, members, request->host_path.n ? 3 : 2));
    return is_new ? insert_git_source(tx, workspace, source) : connect_again(tx, workspace, source);
}

struct err *source_repositories(struct db_tx *tx, int64_t workspace, struct source_repository **repositories,
                                size_t *count)
{
    VEC(struct source_repository) found = {0};
    struct db_rows rows;
    struct str     text;
    TRY(db_query(tx, &rows,
                 "SELECT source_config FROM source WHERE workspace_id = $1 AND source_type IN ('git', 'github') "
                 "AND is_active = 1 ORDER BY id",
                 workspace));
    while (db_next(&rows, &text)) {
        const json_value *config;
        TRY(json_parse(tx->arena, text, &config));
        struct source_repository repository = {.name = str_lower(tx->arena, json_str(config, "repoFullName")),
                                               .branch = json_str(config, "defaultBranch")};
        if (!repository.branch.n) repository.branch = json_str(config, "branch");
        if (repository.name.n) *VEC_PUSH(tx->arena, &found) = repository;
    }
    *repositories = found.at;
    *count = found.n;
    return db_done(&rows);
}

/* ---- reading imports --------------------------------------------------------------------------------------------- */

#define IMPORT_COLUMNS                                                                                              \
    "SELECT i.id, i.source_id, i.public_id, s.public_id, i.repo, i.branch, i.status, i.started_at, i.finished_at, " \
    "i.scanned, i.stored, i.duplicates, i.failed, i.error "                                                         \
    "FROM import i JOIN source s ON s.workspace_id = i.workspace_id AND s.id = i.source_id "

static bool next_import(struct db_rows *rows, struct source_import *import)
{
    *import = (struct source_import){.last_sha = STR(""), .last_tags = STR("{}")};
    return db_next(rows, &import->id, &import->source, &import->public_id, &import->source_public_id, &import->repo,
                   &import->branch, &import->status, &import->started_at, &import->finished_at, &import->scanned,
                   &import->stored, &import->duplicates, &import->failed, &import->error);
}

static struct err *read_position(struct db_tx *tx, int64_t workspace, struct source_import *import)
{
    struct db_rows    rows;
    struct str        config = STR("{}");
    const json_value *value;
    TRY(db_query(tx, &rows, "SELECT source_config FROM source WHERE workspace_id = $1 AND id = $2", workspace,
                 import->source));
    (void)db_next(&rows, &config);
    TRY(db_done(&rows));
    TRY(json_parse(tx->arena, config, &value));
    struct str        sha = json_str(value, "import.lastSha");
    const json_value *tags = json_get(value, "import.lastTags");
    if (sha.s) import->last_sha = sha;
    if (json_is_object(tags)) import->last_tags = json_text(tx->arena, tags);
    return NULL;
}

struct err *source_import_find(struct db_tx *tx, int64_t workspace, struct str public_id, struct source_import *import)
{
    bool           found = false;
    struct db_rows rows;
    if (id_valid(public_id, "job_")) {
        TRY(db_query(tx, &rows, IMPORT_COLUMNS "WHERE i.workspace_id = $1 AND i.public_id = $2", workspace, public_id));
        found = next_import(&rows, import);
        TRY(db_done(&rows));
    }
    if (!found) return err_new(tx->arena, ERR_NOT_FOUND, "Import not found");
    return read_position(tx, workspace, import);
}

struct err *source_import_list(struct db_tx *tx, int64_t workspace, int64_t before_id, size_t limit,
                               struct source_import **imports, size_t *count)
{
    VEC(struct source_import) found = {0};
    struct source_import import;
    struct db_rows       rows;
    TRY(db_query(tx, &rows, IMPORT_COLUMNS "WHERE i.workspace_id = $1 AND i.id < $2 ORDER BY i.id DESC LIMIT $3",
                 workspace, before_id > 0 ? before_id : INT64_MAX,
                 (int64_t)(limit < LIST_MAX + 1 ? limit : LIST_MAX + 1)));
    while (next_import(&rows, &import)) *VEC_PUSH(tx->arena, &found) = import;
    TRY(db_done(&rows));
    *imports = found.at;
    *count = found.n;
    return NULL;
}

/* ---- begin ------------------------------------------------------------------------------------------------------- */

static struct err *check_text(struct arena *arena, const char *name, struct str text, size_t least, size_t most)
{
    if (text.n < least || text.n > most)
        return err_new(arena, ERR_INVALID, "%s must have %zu to %zu bytes", name, least, most);
    if (!utf8_valid(text)) return err_new(arena, ERR_INVALID, "%s must be valid UTF-8", name);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.s[i] < ' ' || text.s[i] == 127)
            return err_new(arena, ERR_INVALID, "%s must not have control characters", name);
    return NULL;
}

static struct err *check_request(struct arena *arena, struct source_import_request *request)
{
    request->host_path = utf8_repair(arena, request->host_path); /* a directory's name may be any bytes */
    TRY(check_text(arena, "repoFullName", request->repo, 1, MAX_REPO));
    TRY(check_text(arena, "branch", request->branch, 1, MAX_BRANCH));
    TRY(check_text(arena, "idempotencyKey", request->idempotency, 0, MAX_IDEMPOTENCY));
    if (request->host_path.n > MAX_PATH) return err_new(arena, ERR_INVALID, "path is longer than %d bytes", MAX_PATH);
    return NULL;
}

static struct err *begun_before(struct db_tx *tx, int64_t workspace, struct str idempotency, struct str *public_id)
{
    struct db_rows rows;
    *public_id = (struct str){0};
    if (idempotency.n == 0) return NULL;
    TRY(db_query(tx, &rows, "SELECT public_id FROM import WHERE workspace_id = $1 AND idempotency = $2", workspace,
                 idempotency));
    (void)db_next(&rows, public_id);
    return db_done(&rows);
}

struct ended_imports { struct source_import *at; size_t n, capacity; };

/* Of one source, or by public id (source 0), with the counts that a job's output tells. */
static struct err *stop_running(struct db_tx *tx, int64_t workspace, int64_t source, struct str public_id, const char *status,
                                const char *error, struct ended_imports *ended)
{
    struct db_rows       rows;
    struct source_import import = {0};
    *ended = (struct ended_imports){0};
    TRY(db_query(tx, &rows,
                 "UPDATE import SET status = $3, error = $4, finished_at = $5 "
                 "WHERE workspace_id = $1 AND status = 'running' AND (source_id = $2 OR public_id = $6) "
                 "RETURNING source_id, public_id, status, error, scanned, stored, duplicates, failed",
                 workspace, source, status, error, time_now(), public_id));
    while (db_next(&rows, &import.source, &import.public_id, &import.status, &import.error, &import.scanned, &import.stored,
                   &import.duplicates, &import.failed))
        *VEC_PUSH(tx->arena, ended) = import;
    return db_done(&rows);
}

static struct err *stop_imports(struct db_tx *tx, int64_t workspace, int64_t source, const char *status, const char *error)
{
    struct ended_imports ended;
    TRY(stop_running(tx, workspace, source, STR(""), status, error, &ended));
    for (size_t i = 0; i < ended.n; i++) TRY(importing_end(tx, workspace, &ended.at[i]));
    return NULL;
}

static struct err *insert_import(struct db_tx *tx, int64_t workspace, int64_t source,
                                 const struct source_import_request *request, struct str public_id)
{
    int64_t id;
    TRY(source_next_row_id(tx, workspace, &id));
    return db_exec(tx,
                   "INSERT INTO import (workspace_id, id, public_id, source_id, repo, branch, status, idempotency, "
                   "started_at) VALUES ($1, $2, $3, $4, $5, $6, 'running', $7, $8)",
                   workspace, id, public_id, source, request->repo, request->branch,
                   request->idempotency.n ? request->idempotency : (struct str){0}, time_now());
}

struct err *source_import_begin(struct db_tx *tx, int64_t workspace, struct source_import_request request,
                                struct source_import *import)
{
    struct source_row source = {0};
    struct str        public_id;
    TRY(check_request(tx->arena, &request));
    TRY(begun_before(tx, workspace, request.idempotency, &public_id));
    bool is_new = !public_id.s;
    if (is_new) {
        public_id = id_new(tx->arena, "job_");
        TRY(source_check_forgotten(tx, workspace, request.repo));
        TRY(source_of(tx, workspace, &request, &source));
        TRY(stop_imports(tx, workspace, source.id, "failed", "interrupted"));
        TRY(insert_import(tx, workspace, source.id, &request, public_id));
    }
    TRY(source_import_find(tx, workspace, public_id, import));
    if (is_new) TRY(importing_begin(tx, workspace, import, request.by));
    if (request.full) {
        import->last_sha = STR("");
        import->last_tags = STR("{}");
    }
    return NULL;
}

/* ---- progress and end -------------------------------------------------------------------------------------------- */

/* Zero rows were changed: why? */
static struct err *not_running(struct db_tx *tx, int64_t workspace, int64_t id)
{
    struct db_rows rows;
    struct str     status;
    TRY(db_query(tx, &rows, "SELECT status FROM import WHERE workspace_id = $1 AND id = $2", workspace, id));
    bool found = db_next(&rows, &status);
    TRY(db_done(&rows));
    if (!found) return err_new(tx->arena, ERR_NOT_FOUND, "Import not found");
    return err_new(tx->arena, ERR_CONFLICT, "The import is no longer running, it is " STR_FMT, STR_ARG(status));
}

struct err *source_import_progress(struct db_tx *tx, int64_t workspace, int64_t id, int64_t scanned, int64_t stored,
                                   int64_t duplicates, int64_t failed)
{
    struct db_rows       rows;
    struct source_import import = {0};
    TRY(db_query(tx, &rows,
                 "UPDATE import SET scanned = scanned + $3, stored = stored + $4, duplicates = duplicates + $5, "
                 "failed = failed + $6 WHERE workspace_id = $1 AND id = $2 AND status = 'running' "
                 "RETURNING public_id, scanned, stored, duplicates, failed",
                 workspace, id, scanned, stored, duplicates, failed));
    bool running = db_next(&rows, &import.public_id, &import.scanned, &import.stored, &import.duplicates, &import.failed);
    TRY(db_done(&rows));
    return running ? importing_tell(tx, workspace, &import) : not_running(tx, workspace, id);
}

static struct err *check_end(struct arena *arena, struct source_import_end *end)
{
    static const char *const ends[] = {"completed", "failed", "cancelled"};
    bool known = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) known = known || str_eq(str_of(end->status), str_of(ends[i]));
    if (!known) return err_new(arena, ERR_INVALID, "status must be completed, failed or cancelled");
    TRY(check_text(arena, "tip", end->tip, 0, MAX_SHA));
    const json_value *tags;
    if (end->tags.n == 0) end->tags = STR("{}");
    TRY(json_parse(arena, end->tags, &tags));
    if (!json_is_object(tags)) return err_new(arena, ERR_INVALID, "tags must be an object");
    end->tags = json_text(arena, tags);
    if (end->error.s) end->error = utf8_shorten(arena, utf8_repair(arena, end->error), MAX_ERROR);
    return NULL;
}

/* The next import reads from here on. Without a tip (an empty repository) the old position stays. */
static struct err *remember_position(struct db_tx *tx, int64_t workspace, int64_t source_id, struct str branch,
                                     const struct source_import_end *end)
{
    struct source_row source = {.id = source_id};
    struct db_rows    rows;
    if (end->tip.n == 0) return NULL;
    TRY(db_query(tx, &rows, "SELECT source_config FROM source WHERE workspace_id = $1 AND id = $2", workspace, source_id));
    (void)db_next(&rows, &source.config);
    TRY(db_done(&rows));
    struct json_out position = json_out(tx->arena);
    json_begin(&position, NULL, '{');
    json_put_str(&position, "branch", branch);
    json_put_str(&position, "lastSha", end->tip);
    json_put_raw(&position, "lastTags", end->tags);
    json_end(&position);
    struct source_member member = {.key = "import", .json = json_out_text(&position)};
    TRY(source_replace_members(tx->arena, &source.config, &member, 1));
    /* one that its provider has ended meanwhile stays so */
    return source_write_config(tx, workspace, source_id, source.config);
}

static struct err *record_sync(struct db_tx *tx, int64_t workspace, int64_t source, bool completed, bool failed,
                               bool stored, struct str error)
{
    int64_t now = time_now();
    return db_exec(tx,
                   "UPDATE source SET last_synced_at = $3, last_sync_status = $4, last_sync_error = $6, "
                   "last_ingested_at = CASE WHEN $5 = 1 THEN $3 ELSE last_ingested_at END "
                   "WHERE workspace_id = $1 AND id = $2",
                   workspace, source, now, failed ? "failed" : completed ? "success" : "partial", stored, error);
}

struct err *source_import_finish(struct db_tx *tx, int64_t workspace, int64_t id, struct source_import_end end)
{
    TRY(check_end(tx->arena, &end));
    struct db_rows rows;
    struct source_import import = {.status = str_of(end.status), .error = end.error};
    TRY(db_query(tx, &rows,
                 "UPDATE import SET status = $3, error = $4, finished_at = $5 "
                 "WHERE workspace_id = $1 AND id = $2 AND status = 'running' "
                 "RETURNING public_id, source_id, branch, scanned, stored, duplicates, failed",
                 workspace, id, end.status, end.error, time_now()));
    bool ended = db_next(&rows, &import.public_id, &import.source, &import.branch, &import.scanned, &import.stored,
                         &import.duplicates, &import.failed);
    TRY(db_done(&rows));
    if (!ended) return not_running(tx, workspace, id);
    bool completed = str_eq(import.status, STR("completed"));
    if (completed) TRY(remember_position(tx, workspace, import.source, import.branch, &end));
    TRY(importing_end(tx, workspace, &import));
    return record_sync(tx, workspace, import.source, completed && import.failed == 0,
                       str_eq(import.status, STR("failed")), import.stored > 0, end.error);
}

struct err *source_import_stop(struct db_tx *tx, int64_t workspace, struct str public_id, const char *status,
                               const char *error, bool *stopped)
{
    struct ended_imports ended;
    TRY(stop_running(tx, workspace, 0, public_id, status, error, &ended));
    *stopped = ended.n > 0;
    if (!*stopped) return NULL;
    return record_sync(tx, workspace, ended.at[0].source, false, strcmp(status, "failed") == 0, ended.at[0].stored > 0,
                       ended.at[0].error);
}

/* ---- the end of a source ----------------------------------------------------------------------------------------- */

struct err *source_end_imports(struct db_tx *tx, struct source_record *source, bool forget)
{
    struct source_member position = {.key = "import"};
    TRY(stop_imports(tx, source->workspace, source->id, "cancelled", "the source was removed"));
    if (!forget) return NULL;
    TRY(source_replace_members(tx->arena, &source->config, &position, 1));
    return source_write_config(tx, source->workspace, source->id, source->config);
}

struct err *source_imported(struct db_tx *tx, int64_t workspace, struct str public_id, struct str **repos, size_t *count)
{
    VEC(struct str) found = {0};
    struct db_rows rows;
    struct str     repo;
    TRY(db_query(tx, &rows,
                 "SELECT DISTINCT LOWER(i.repo) FROM import i "
                 "JOIN source s ON s.workspace_id = i.workspace_id AND s.id = i.source_id "
                 "WHERE s.workspace_id = $1 AND s.public_id = $2 AND NOT EXISTS (SELECT 1 FROM import j "
                 "JOIN source o ON o.workspace_id = j.workspace_id AND o.id = j.source_id "
                 "WHERE j.workspace_id = $1 AND o.id <> s.id AND o.is_active = 1 AND LOWER(j.repo) = LOWER(i.repo))",
                 workspace, public_id));
    while (db_next(&rows, &repo)) *VEC_PUSH(tx->arena, &found) = repo;
    *repos = found.at;
    *count = found.n;
    return db_done(&rows);
}
