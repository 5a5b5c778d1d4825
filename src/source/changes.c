/* changes.c - what happened to a source itself: app removed, repository renamed, archived, deleted
 * (spec/connector-github.md 4, connectors-other.md 1.3). */
#include "source/inbox.h"
#include "source/outline.h"

#include "base/hash.h"

#define COLUMNS                                                                                                    \
    "SELECT workspace_id, id, public_id, provider_resource_id, source_config, is_active, inactive_reason FROM source "

static bool next_source(struct db_rows *rows, struct source_record *source)
{
    struct str type = source->type;
    *source = (struct source_record){.type = type};
    return db_next(rows, &source->workspace, &source->id, &source->public_id, &source->resource_id, &source->config,
                   &source->active, &source->inactive_reason);
}

/* ---- which sources are meant --------------------------------------------------------------------------------------- */

struct meaning {
    const struct source_state_change *change;
    struct map *listed;  /* ids of the repositories that the payload lists, NULL: it lists none */
    struct str  own_name; /* "name:acme/api" of the payload's repository, at a source's own address; else empty */
    const char *account; /* member of the configuration that holds the installation's id */
};

static const char *const account_members[SOURCE_PROVIDERS] = {
    [SOURCE_GITHUB] = "installationId",
    [SOURCE_VERCEL] = "configurationId",
    [SOURCE_LINEAR] = "installationId",
    [SOURCE_SENTRY] = "installationId",
};

static struct meaning meaning_of(struct arena *arena, const struct source_delivery *delivery, struct str address,
                                 const struct source_state_change *change)
{
    struct meaning meaning = {.change = change, .account = account_members[delivery->provider]};
    struct str     name = payload_text(arena, delivery->payload, "repository.full_name");
    if (address.n && name.n) meaning.own_name = str_printf(arena, "name:" STR_FMT, STR_ARG(name));
    if (!json_is_array(change->repositories)) return meaning;
    meaning.listed = map_create(arena);
    for (struct json_iter it = json_iter(change->repositories); json_step(&it);) {
        struct str id = payload_text(arena, it.value, "id");
        if (id.n) *map_at(meaning.listed, id) = 1;
    }
    return meaning;
}

static bool has_resource(const struct meaning *meaning, const struct source_record *source)
{
    const struct source_texts *ids = &meaning->change->resource_ids;
    if (meaning->listed && map_find(meaning->listed, source->resource_id)) return true;
    if (meaning->own_name.n && str_eq_nocase(meaning->own_name, source->resource_id)) return true;
    for (size_t i = 0; i < ids->n; i++)
        if (str_eq(source->resource_id, ids->at[i])) return true;
    return false;
}

static bool is_of_organization(const struct meaning *meaning, const json_value *config)
{
    struct str wanted = meaning->change->organization_id, own = json_str(config, "organizationId");
    if (!own.n) own = json_str(config, "teamId");
    return wanted.n && str_eq(own, wanted);
}

/* A source that does not know its installation yet is known by what the payload lists, or by its team. */
static bool is_of_installation(const struct meaning *meaning, const struct source_record *source, const json_value *config)
{
    struct str own = json_str(config, meaning->account);
    if (own.n && str_eq(own, meaning->change->installation_id)) return true;
    bool fresh = meaning->change->effect == SOURCE_STATE_INSTALLATION; /* a reinstalled app has a new id */
    return (fresh || !own.n) && (has_resource(meaning, source) || is_of_organization(meaning, config));
}

static bool is_meant(struct arena *arena, const struct meaning *meaning, const struct source_record *source)
{
    const struct source_state_change *change = meaning->change;
    const json_value                 *config = NULL;
    if (json_parse(arena, source->config, &config)) return false;
    if (change->target == SOURCE_OF_INSTALLATION) return is_of_installation(meaning, source, config);
    if (change->target == SOURCE_OF_ORGANIZATION) return is_of_organization(meaning, config);
    if (change->target != SOURCE_OF_RESOURCES || !has_resource(meaning, source)) return false;
    /* A repository that went over to another installation is removed from the old one, perhaps after the news came. */
    struct str own = json_str(config, meaning->account);
    bool       listed_elsewhere =
        meaning->listed && own.n && change->installation_id.n && !str_eq(own, change->installation_id);
    return change->effect != SOURCE_STATE_DEACTIVATE || !listed_elsewhere;
}

struct records { struct source_record *at; size_t n, capacity; };

/* A source's own address speaks for that source alone; the instance's for those that listen to it. */
static struct err *find_meant(struct db_tx *tx, const struct source_delivery *delivery, struct str address,
                              const struct source_state_change *change, struct records *records)
{
    struct meaning       meaning = meaning_of(tx->arena, delivery, address, change);
    const char          *type = source_provider_name(delivery->provider);
    struct source_record source = {.type = str_of(type)};
    struct db_rows       rows;
    if (address.n) TRY(db_query(tx, &rows, COLUMNS "WHERE public_id = $1 AND source_type = $2", address, type));
    else TRY(db_query(tx, &rows, COLUMNS "WHERE source_type = $1 AND shared_inbound = 1", type));
    while (next_source(&rows, &source))
        if (is_meant(tx->arena, &meaning, &source)) *VEC_PUSH(tx->arena, records) = source;
    return db_done(&rows);
}

/* ---- what becomes of them ------------------------------------------------------------------------------------------ */

struct application {
    const struct source_delivery     *delivery;
    const struct source_state_change *change;
    struct source_record             *source;
    struct json_out                   changes; /* {field: {from, to}} */
    bool                              changed;
};

static void begin_change(struct application *application, const char *field)
{
    json_begin(&application->changes, field, '{');
    application->changed = true;
}

enum { MAX_TEXT = 300 }; /* bytes: names longer than any provider's are none */

/* Members of the configuration, as far as they are new. */
static struct err *update(struct db_tx *tx, struct application *application)
{
    const struct source_state_change *change = application->change;
    bool github = application->delivery->provider == SOURCE_GITHUB;
    const struct { const char *key; struct str text; } texts[] = {
        {"repoFullName", change->repo_full_name},
        {"repoName", change->repo_name},
        {"defaultBranch", change->default_branch},
        {"projectName", change->project_name},
        {"installationId", github ? change->installation_id : (struct str){0}},
    };
    const struct { const char *key; enum source_flag flag; } flags[] = {
        {"isArchived", change->is_archived},
        {"isPrivate", change->is_private},
    };
    struct source_record *source = application->source;
    struct source_member  members[sizeof texts / sizeof *texts + sizeof flags / sizeof *flags];
    const json_value     *config;
    size_t                n = 0;
    TRY(json_parse(tx->arena, source->config, &config));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct str before = json_str(config, texts[i].key);
        if (!texts[i].text.n || texts[i].text.n > MAX_TEXT || str_eq(before, texts[i].text)) continue;
        members[n++] = (struct source_member){.key = texts[i].key, .text = texts[i].text};
        begin_change(application, texts[i].key);
        json_put(&application->changes, "from", before);
        json_put(&application->changes, "to", texts[i].text);
        json_end(&application->changes);
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const json_value *before = json_get(config, flags[i].key);
        bool              now = flags[i].flag == SOURCE_TRUE;
        if (flags[i].flag == SOURCE_UNSET || (json_is_bool(before) && json_bool(before, "", false) == now)) continue;
        members[n++] = (struct source_member){.key = flags[i].key, .json = now ? STR("true") : STR("false")};
        begin_change(application, flags[i].key);
        json_put_value(&application->changes, "from", before);
        json_put(&application->changes, "to", now);
        json_end(&application->changes);
    }
    if (!n) return NULL;
    TRY(source_replace_members(tx->arena, &source->config, members, n));
    return source_write_config(tx, source->workspace, source->id, source->config);
}

static void change_of_state(struct application *application)
{
    begin_change(application, "isActive");
    json_put_bool(&application->changes, "from", !application->source->active);
    json_put(&application->changes, "to", application->source->active);
    json_end(&application->changes);
}

static struct err *deactivate(struct db_tx *tx, struct application *application)
{
    struct source_record *source = application->source;
    const char           *reason = application->change->reason;
    if (!source->active && str_eq(source->inactive_reason, STR(SOURCE_REMOVED))) return NULL; /* a person's decision stays */
    if (!source->active)
        return db_exec(tx, "UPDATE source SET inactive_reason = $3 WHERE workspace_id = $1 AND id = $2", source->workspace,
                       source->id, reason);
    TRY(source_deactivate(tx, source, reason));
    change_of_state(application);
    return NULL;
}

static struct err *reactivate(struct db_tx *tx, struct application *application)
{
    struct source_record *source = application->source;
    if (source->active || !str_eq(source->inactive_reason, str_of(application->change->reason))) return NULL;
    TRY(source_reactivate(tx, source));
    change_of_state(application);
    return NULL;
}

static struct err *apply(struct db_tx *tx, struct application *application)
{
    const struct source_state_change *change = application->change;
    struct source_record             *source = application->source;
    TRY(update(tx, application));
    switch (change->effect) {
    case SOURCE_STATE_DEACTIVATE: return deactivate(tx, application);
    case SOURCE_STATE_REACTIVATE: return reactivate(tx, application);
    case SOURCE_STATE_UPDATE:
        return change->full_sync && application->changed && source->active ? source_request_sync(tx, source) : NULL;
    default: return NULL; /* what belongs to connections, which only linked apps have */
    }
}

static struct err *tell(struct db_tx *tx, struct application *application)
{
    const struct source_state_change *change = application->change;
    json_end(&application->changes);
    bool worth = application->changed || change->effect == SOURCE_STATE_INSTALLATION;
    if (!change->activity || !worth) return NULL;
    struct source_told told = {.action = change->activity,
                               .reason = change->reason,
                               .delivery_id = application->delivery->id,
                               .installation_id = application->delivery->installation_id,
                               .changes = application->changed ? json_out_text(&application->changes) : (struct str){0}};
    return source_tell_activity(tx, application->source, &told);
}

/* Nothing was done: the same delivery may come again once there is a source. */
static struct err *note_unconnected(struct db_tx *tx, int64_t delivery)
{
    return db_exec(tx, "UPDATE inbound_delivery SET outcome = 'skipped', reason = $2 WHERE id = $1", delivery,
                   source_reason_name(SOURCE_NOT_CONNECTED));
}

struct err *changes_apply(struct db_tx *tx, const struct source_delivery *delivery, const struct change_place *place,
                          const struct source_state_change *change)
{
    struct records records = {0};
    if (change->effect == SOURCE_STATE_NONE) return NULL;
    /* Only the app's own secret vouches for what is said of its installations. */
    if (delivery->provider == SOURCE_GITHUB && !place->address.n)
        TRY(installations_apply(tx, change, place->received_at));
    TRY(find_meant(tx, delivery, place->address, change, &records));
    if (!records.n && change->target == SOURCE_OF_RESOURCES) return note_unconnected(tx, place->delivery);
    for (size_t i = 0; i < records.n; i++) {
        struct application application = {.delivery = delivery, .change = change, .source = &records.at[i],
                                          .changes = json_out(tx->arena)};
        json_begin(&application.changes, NULL, '{');
        TRY(apply(tx, &application));
        TRY(tell(tx, &application));
        TRY(inbox_share(tx, place->delivery, &records.at[i]));
    }
    return NULL;
}
