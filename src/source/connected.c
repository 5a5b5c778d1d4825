/* connected.c - sources that providers send to: made with an address and a secret of their own, set, removed. */
#include "source/inbox.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"

enum { MAX_NAME = 200, MIN_SECRET = 8, MAX_SECRET = 255, LIST_MAX = 101, MAX_LIST = 100, MAX_ITEM = 255, SECRET_CHARS = 64 };

/* ---- reading ------------------------------------------------------------------------------------------------------- */

#define COLUMNS                                                                                                       \
    "SELECT workspace_id, id, public_id, source_type, provider_resource_id, source_config, inactive_reason, "         \
    "last_sync_status, is_active, shared_inbound, inbound_secret IS NOT NULL, connected_at, last_synced_at, "         \
    "last_ingested_at, last_delivery_at, document_count, last_sync_error FROM source "

static bool next_source(struct db_rows *rows, struct source_record *s)
{
    *s = (struct source_record){0};
    return db_next(rows, &s->workspace, &s->id, &s->public_id, &s->type, &s->resource_id, &s->config, &s->inactive_reason,
                   &s->last_sync_status, &s->active, &s->shared, &s->has_secret, &s->connected_at, &s->last_synced_at,
                   &s->last_ingested_at, &s->last_delivery_at, &s->document_count, &s->last_sync_error);
}

struct err *source_find(struct db_tx *tx, int64_t workspace, struct str public_id, struct source_record *source)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, COLUMNS "WHERE workspace_id = $1 AND public_id = $2", workspace, public_id));
    bool found = next_source(&rows, source);
    TRY(db_done(&rows));
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "Source not found");
}

struct err *source_list(struct db_tx *tx, int64_t workspace, int64_t before_id, size_t limit,
                        struct source_record **sources, size_t *count)
{
    VEC(struct source_record) found = {0};
    struct source_record source;
    struct db_rows       rows;
    TRY(db_query(tx, &rows, COLUMNS "WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3", workspace,
                 before_id > 0 ? before_id : INT64_MAX, limit < LIST_MAX ? limit : LIST_MAX));
    while (next_source(&rows, &source)) *VEC_PUSH(tx->arena, &found) = source;
    TRY(db_done(&rows));
    *sources = found.at;
    *count = found.n;
    return NULL;
}

struct err *source_totals(struct db_tx *tx, int64_t workspace, struct source_total **totals, size_t *count)
{
    VEC(struct source_total) found = {0};
    struct source_total total;
    struct db_rows      rows;
    TRY(db_query(tx, &rows,
                 "SELECT source_type, COUNT(*) FROM source WHERE workspace_id = $1 GROUP BY source_type ORDER BY source_type",
                 workspace));
    while (db_next(&rows, &total.type, &total.n)) *VEC_PUSH(tx->arena, &found) = total;
    *totals = found.at;
    *count = found.n;
    return db_done(&rows);
}

/* ---- secrets ------------------------------------------------------------------------------------------------------- */

static struct crypto_place place_of(const char *column, struct str public_id)
{
    return (struct crypto_place){"source", column, public_id};
}

/* From the first secret on, the database tells which key it needs. */
static struct err *remember_key(struct db_tx *tx, const struct crypto_keys *keys)
{
    struct db_rows rows;
    struct str     canary;
    TRY(db_query(tx, &rows, "SELECT value FROM instance_fact WHERE name = 'encryption_canary'"));
    bool known = db_next(&rows, &canary);
    TRY(db_done(&rows));
    if (known) return NULL;
    TRY(crypto_canary(tx->arena, keys, &canary));
    return db_exec(tx, "INSERT INTO instance_fact (name, value) VALUES ('encryption_canary', $1)", canary);
}

static struct err *check_secret(struct arena *arena, struct str secret)
{
    if (secret.n < MIN_SECRET || secret.n > MAX_SECRET)
        return err_new(arena, ERR_INVALID, "secret must have %d to %d bytes", MIN_SECRET, MAX_SECRET);
    return utf8_valid(secret) ? NULL : err_new(arena, ERR_INVALID, "secret must be valid UTF-8");
}

/* 256 random bits as hex. */
static struct str new_secret(struct arena *arena)
{
    return crypto_sha256_hex(arena, crypto_token(arena, "", SECRET_CHARS));
}

static struct err *seal_secret(struct db_tx *tx, const struct crypto_keys *keys, struct str public_id, struct str secret,
                               struct str *sealed)
{
    TRY(remember_key(tx, keys));
    return crypto_seal(tx->arena, keys, place_of("inbound_secret", public_id), secret, sealed);
}

struct err *source_open_secrets(struct db_tx *tx, const struct crypto_keys *keys, struct str public_id,
                                struct source_secrets *secrets)
{
    struct db_rows rows;
    struct str     now = {0}, before = {0};
    int64_t        until = 0;
    *secrets = (struct source_secrets){0};
    TRY(db_query(tx, &rows, "SELECT inbound_secret, inbound_secret_before, inbound_before_until FROM source WHERE public_id = $1",
                 public_id));
    (void)db_next(&rows, &now, &before, &until);
    TRY(db_done(&rows));
    if (now.s) TRY(crypto_unseal(tx->arena, keys, place_of("inbound_secret", public_id), now, &secrets->at[secrets->n++]));
    if (!before.s || until <= time_now()) return NULL;
    secrets->until = until;
    return crypto_unseal(tx->arena, keys, place_of("inbound_secret_before", public_id), before, &secrets->at[secrets->n++]);
}

struct err *source_renew_secret(struct db_tx *tx, const struct crypto_keys *keys, int64_t workspace, struct str public_id,
                                int64_t grace, struct str *secret)
{
    struct source_record source;
    struct source_secrets old;
    struct str sealed, before = {0};
    TRY(source_find(tx, workspace, public_id, &source));
    if (!source.active) return err_new(tx->arena, ERR_CONFLICT, "The source is not connected");
    TRY(source_open_secrets(tx, keys, public_id, &old));
    if (old.n && grace > 0)
        TRY(crypto_seal(tx->arena, keys, place_of("inbound_secret_before", public_id), old.at[0], &before));
    *secret = new_secret(tx->arena);
    TRY(seal_secret(tx, keys, public_id, *secret, &sealed));
    return db_exec(tx,
                   "UPDATE source SET inbound_secret = $3, inbound_secret_before = $4, inbound_before_until = $5 "
                   "WHERE workspace_id = $1 AND id = $2",
                   workspace, source.id, sealed, before, time_now() + grace);
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

static struct err *check_text(struct arena *arena, const char *what, struct str text)
{
    if (text.n > MAX_NAME || !utf8_valid(text)) return err_new(arena, ERR_INVALID, "%s has at most %d bytes", what, MAX_NAME);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.s[i] <= ' ' || text.s[i] == 127)
            return err_new(arena, ERR_INVALID, "%s must not have spaces or control characters", what);
    return NULL;
}

static struct err *check_addition(struct arena *arena, struct source_addition *addition)
{
    TRY(check_text(arena, "name", addition->name));
    TRY(check_text(arena, "resourceId", addition->resource_id));
    if (!addition->name.n && !addition->resource_id.n) return err_new(arena, ERR_INVALID, "name or resourceId is required");
    if (str_starts(addition->resource_id, STR("name:")))
        return err_new(arena, ERR_INVALID, "resourceId is the provider's own id");
    if (addition->shared && !addition->resource_id.n) /* anybody may give a repository any name */
        return err_new(arena, ERR_INVALID, "a source of the instance's app needs a resourceId");
    size_t slash = str_find_char(addition->name, '/', 0);
    bool   full_name = slash != SIZE_MAX && slash > 0 && slash + 1 < addition->name.n &&
                     str_find_char(addition->name, '/', slash + 1) == SIZE_MAX;
    if (addition->provider == SOURCE_GITHUB && addition->name.n && !full_name)
        return err_new(arena, ERR_INVALID, "name must be owner/name");
    if (!addition->resource_id.n)
        addition->resource_id = str_printf(arena, "name:" STR_FMT, STR_ARG(str_lower(arena, addition->name)));
    return addition->secret.n ? check_secret(arena, addition->secret) : NULL;
}

static bool is_category(const char *type, struct str category)
{
    for (const struct source_type_row *row = source_types; row->source; row++)
        if (strcmp(row->source, type) == 0 && str_eq(category, str_of(row->category))) return true;
    return false;
}

static struct err *check_category(struct arena *arena, const char *type, const char *member, struct str category)
{
    if (is_category(type, category)) return NULL;
    struct str head = str_slice(category, 0, 60);
    return err_new(arena, ERR_INVALID, "%s: unknown category '" STR_FMT "'", member, STR_ARG(head));
}

static struct err *check_events(struct arena *arena, const char *type, const json_value *events)
{
    if (!json_is_array(events)) return err_new(arena, ERR_INVALID, "events must be a list");
    for (struct json_iter it = json_iter(events); json_step(&it);)
        TRY(check_category(arena, type, "events", json_str(it.value, "")));
    return NULL;
}

/* The categories that a new source does not listen to unless it is told to (connectors-other.md 6). */
static const struct { const char *type, *category; } off_at_first[] = {
    {"vercel", "deployment.check-rerequested"},
    {"vercel", "deployment.promoted"},
    {"vercel", "deployment.rollback"},
    {"sentry", "comment"},
};

static bool on_at_first(const struct source_type_row *row)
{
    for (size_t i = 0; i < sizeof off_at_first / sizeof *off_at_first; i++)
        if (strcmp(row->source, off_at_first[i].type) == 0 && strcmp(row->category, off_at_first[i].category) == 0) return false;
    return true;
}

static void put_first_categories(struct json_out *out, const char *type)
{
    json_begin(out, "events", '[');
    for (const struct source_type_row *row = source_types; row->source; row++) {
        if (strcmp(row->source, type) != 0) continue;
        bool first = on_at_first(row);
        for (const struct source_type_row *before = source_types; before < row; before++)
            first &= strcmp(before->source, type) != 0 || strcmp(before->category, row->category) != 0;
        if (first) json_put(out, NULL, row->category);
    }
    json_end(out);
}

static struct str sync_of(struct arena *arena, const struct source_addition *addition)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    if (addition->events) json_put_value(&out, "events", addition->events);
    else put_first_categories(&out, source_provider_name(addition->provider));
    json_end(&out);
    return json_out_text(&out);
}

/* What a source that is connected again had before stays, its name in source ids above all; its account may be another. */
static struct err *write_config(struct arena *arena, const struct source_addition *addition, struct str *config)
{
    const char               *type = source_provider_name(addition->provider);
    const struct source_kind *kind = source_kind_of(str_of(type));
    const json_value         *before;
    struct source_member      members[7];
    size_t                    n = 0;
    TRY(json_parse(arena, *config, &before));
    members[n++] = (struct source_member){.key = "version", .json = STR("1")};
    members[n++] = (struct source_member){.key = "sourceType", .text = str_of(type)};
    members[n++] = (struct source_member){.key = "type", .text = str_of(kind->type)};
    if (addition->name.n) {
        members[n++] = (struct source_member){.key = kind->name, .text = addition->name};
        struct str imported = json_str(before, kind->name), known = json_str(before, "idName");
        if (addition->provider == SOURCE_GITHUB && !known.n)
            members[n++] = (struct source_member){.key = "idName", .text = imported.n ? imported : addition->name};
    }
    members[n++] = (struct source_member){.key = kind->account};
    members[n++] = (struct source_member){.key = "sync", .json = sync_of(arena, addition)};
    return source_replace_members(arena, config, members, n);
}

/* The same resource under its id or, as far as it is known, its name; else the source that a repository's history was
 * imported for: linking the repository takes it over, so that ids of events and of documents stay. */
static struct err *find_same(struct db_tx *tx, const struct source_addition *addition, struct source_record *same, bool *found)
{
    struct source_record source;
    struct db_rows       rows;
    const char          *type = source_provider_name(addition->provider);
    enum { NONE, IMPORTED, NAMED, ITSELF } best = NONE;
    TRY(db_query(tx, &rows,
                 COLUMNS "WHERE workspace_id = $1 AND (source_type = $2 OR source_type = $3) ORDER BY is_active DESC, id",
                 addition->workspace, type, addition->provider == SOURCE_GITHUB ? "git" : type));
    while (next_source(&rows, &source)) {
        const json_value *config = NULL;
        TRY(json_parse(tx->arena, source.config, &config));
        bool own = str_eq(source.type, str_of(type));
        bool named = addition->name.n && str_eq_nocase(source_display_name(&source, config), addition->name);
        int  fits = own && str_eq(source.resource_id, addition->resource_id) ? ITSELF : !named ? NONE : own ? NAMED : IMPORTED;
        if (fits <= (int)best) continue;
        best = fits;
        *same = source;
    }
    *found = best != NONE;
    return db_done(&rows);
}

static struct err *write_source(struct db_tx *tx, const struct source_addition *addition, struct source_record *source,
                                struct str sealed)
{
    if (!source->config.n) source->config = STR("{}");
    TRY(write_config(tx->arena, addition, &source->config));
    return db_exec(tx,
                   "INSERT INTO source (workspace_id, id, public_id, source_type, provider_resource_id, source_config, "
                   "inbound_secret, shared_inbound, connected_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
                   "ON CONFLICT (workspace_id, id) DO UPDATE SET source_type = $4, provider_resource_id = $5, "
                   "source_config = $6, inbound_secret = $7, "
                   "shared_inbound = $8, connected_at = $9, is_active = 1, inactive_reason = NULL, last_sync_status = 'pending', "
                   "last_sync_error = NULL",
                   addition->workspace, source->id, source->public_id, source_provider_name(addition->provider),
                   addition->resource_id, source->config, sealed, addition->shared, time_now());
}

struct err *source_add(struct db_tx *tx, const struct crypto_keys *keys, struct source_addition addition,
                       struct source_record *source, struct str *secret)
{
    struct source_record same = {.public_id = id_new(tx->arena, "src_")};
    struct str           sealed;
    bool                 found;
    TRY(check_addition(tx->arena, &addition));
    if (addition.events) TRY(check_events(tx->arena, source_provider_name(addition.provider), addition.events));
    TRY(find_same(tx, &addition, &same, &found));
    bool taken_over = found && str_eq(same.type, STR("git"));
    if (found && same.active && !taken_over)
        return err_new(tx->arena, ERR_CONFLICT, "This is connected already, as " STR_FMT, STR_ARG(same.public_id));
    bool known = found && !taken_over && !str_starts(same.resource_id, STR("name:"));
    if (known) addition.resource_id = same.resource_id;
    if (!found) TRY(source_next_row_id(tx, addition.workspace, &same.id));
    *secret = addition.secret.n ? addition.secret : new_secret(tx->arena);
    TRY(seal_secret(tx, keys, same.public_id, *secret, &sealed));
    TRY(write_source(tx, &addition, &same, sealed));
    TRY(source_find(tx, addition.workspace, same.public_id, source));
    return source_tell_connected(tx, source, addition.trigger ? addition.trigger : "user");
}

/* ---- setting ------------------------------------------------------------------------------------------------------- */

static bool is_list_of_texts(const json_value *list)
{
    if (!json_is_array(list) || json_count(list) > MAX_LIST) return false;
    for (struct json_iter it = json_iter(list); json_step(&it);)
        if (!json_is_string(it.value) || json_str(it.value, "").n > MAX_ITEM) return false;
    return true;
}

static struct err *check_member(struct arena *arena, struct str type, struct str key, const json_value *value)
{
    if (str_eq(key, STR("events"))) return check_events(arena, str_z(arena, type), value);
    if (str_eq(key, STR("branches")))
        return is_list_of_texts(value) ? NULL : err_new(arena, ERR_INVALID, "branches must be a list of patterns");
    if (str_eq(key, STR("includeBots")))
        return json_is_bool(value) ? NULL : err_new(arena, ERR_INVALID, "includeBots must be true or false");
    if (!str_eq(key, STR("actions")))
        return err_new(arena, ERR_INVALID, "unknown member '" STR_FMT "'", STR_ARG(str_slice(key, 0, 60)));
    bool good = json_is_object(value) && json_count(value) <= MAX_LIST;
    for (struct json_iter it = json_iter(value); good && json_step(&it);) good = is_list_of_texts(it.value);
    if (!good) return err_new(arena, ERR_INVALID, "actions must be an object of lists");
    for (struct json_iter it = json_iter(value); json_step(&it);)
        TRY(check_category(arena, str_z(arena, type), "actions", it.key));
    return NULL;
}

struct err *source_set_sync(struct db_tx *tx, int64_t workspace, struct str public_id, const json_value *members,
                            struct source_record *source)
{
    const json_value *config, *sync;
    struct json_out   out = json_out(tx->arena);
    TRY(source_find(tx, workspace, public_id, source));
    TRY(json_parse(tx->arena, source->config, &config));
    sync = json_get(config, "sync");
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(sync); json_step(&it);) {
        if (json_member(members, it.key)) continue;
        json_key(&out, it.key);
        json_put_value(&out, NULL, it.value);
    }
    for (struct json_iter it = json_iter(members); json_step(&it);) {
        TRY(check_member(tx->arena, source->type, it.key, it.value));
        json_key(&out, it.key);
        json_put_value(&out, NULL, it.value);
    }
    json_end(&out);
    struct source_member member = {.key = "sync", .json = json_out_text(&out)};
    TRY(source_replace_members(tx->arena, &source->config, &member, 1));
    return source_write_config(tx, workspace, source->id, source->config);
}

/* ---- removing ------------------------------------------------------------------------------------------------------ */

struct err *source_remove(struct db_tx *tx, int64_t workspace, struct str public_id, bool delete_data)
{
    struct source_record source;
    TRY(source_find(tx, workspace, public_id, &source));
    TRY(source_end_imports(tx, &source, delete_data));
    if (source.active || delete_data) TRY(source_tell_disconnected(tx, &source, SOURCE_REMOVED, delete_data));
    return db_exec(tx,
                   "UPDATE source SET is_active = 0, inbound_secret = NULL, inbound_secret_before = NULL, shared_inbound = 0, "
                   "inactive_reason = $3 WHERE workspace_id = $1 AND id = $2",
                   workspace, source.id, SOURCE_REMOVED);
}

/* ---- the subscription filter ---------------------------------------------------------------------------------------- */

struct err *source_allows(struct db_tx *tx, int64_t workspace, const struct source_event *event, bool *allowed)
{
    static const char *const own_keys[] = {"repoId", "projectId", "teamId"};
    const json_value *metadata = NULL, *config = NULL;
    struct db_rows    rows;
    struct str        text;
    *allowed = false;
    if (json_parse(tx->arena, event->metadata, &metadata)) return NULL;
    struct str resource = json_str(metadata, "resourceId");
    for (size_t i = 0; i < sizeof own_keys / sizeof *own_keys && !resource.n; i++) {
        const json_value *own = json_get(metadata, own_keys[i]);
        resource = json_is_integer(own) ? json_text(tx->arena, own) : json_str(own, "");
    }
    TRY(db_query(tx, &rows,
                 "SELECT source_config FROM source WHERE workspace_id = $1 AND source_type = $2 "
                 "AND provider_resource_id = $3 AND is_active = 1",
                 workspace, event->source, resource.n ? resource : STR("")));
    bool found = db_next(&rows, &text);
    TRY(db_done(&rows));
    if (!found || json_parse(tx->arena, text, &config)) return NULL;
    *allowed = source_category_wanted(json_get(config, "sync"), source_category_find(event->source, event->source_type));
    return NULL;
}
