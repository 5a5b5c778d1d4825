/* workspace.c - GET /v1/workspace: where a caller is, so that with nothing but a key it can build workspace paths; GET and
 * PATCH W: its name, settings and whether it is the default (console.md 1.2, 1.3, 2.2). */
#include "api/call.h"

static void put_fields(struct json_out *out, const struct org_workspace *workspace)
{
    json_put(out, "id", workspace->public_id);
    json_put(out, "name", workspace->name);
    json_put(out, "slug", workspace->slug);
    json_put(out, "isDefault", workspace->is_default);
    json_begin(out, "organization", '{');
    json_put(out, "id", workspace->org_public_id);
    json_put(out, "slug", workspace->org_slug);
    json_end(out);
    json_put_time(out, "createdAt", workspace->created_at);
}

struct err *api_workspace(struct api_call *call)
{
    struct json_out out = api_answer(call);
    put_fields(&out, &call->workspace);
    json_begin(&out, "scopes", '[');
    for (unsigned scope = ORG_READ; scope <= ORG_ADMIN; scope <<= 1)
        if (call->key.id == 0 || (call->key.scopes & scope)) json_put(&out, NULL, org_scope_name(scope));
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

static struct err *send_workspace(struct api_call *call, const struct org_workspace *workspace)
{
    struct json_out out = api_answer(call);
    put_fields(&out, workspace);
    json_put(&out, "workspaceKey", str_printf(call->arena, "ws-" STR_FMT, STR_ARG(workspace->slug)));
    json_put_raw(&out, "settings", workspace->settings.n ? workspace->settings : STR("{}"));
    api_send_with_id(call, &out);
    return NULL;
}

struct err *api_workspace_get(struct api_call *call)
{
    return send_workspace(call, &call->workspace);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

enum { MOST_BYTES = 64 << 10, MOST_DEPTH = 8, MOST_DAYS = 36500 };

struct body {
    struct str        name;
    bool              is_default;
    const json_value *settings;
};

static const struct api_field body_fields[] = {
    {"name", NULL, API_TEXT, offsetof(struct body, name), .most = API_UNBOUNDED},
    {"isDefault", NULL, API_BOOLEAN, offsetof(struct body, is_default), .otherwise = false},
    {"settings", NULL, API_MAP, offsetof(struct body, settings)},
    {0},
};

/* Numbers that other parts of the program read; everything else is theirs to judge. */
static const struct { const char *path; int64_t least, most; } numbers[] = {
    {"retention.activityDays", 0, MOST_DAYS}, {"retention.metricDays", 0, MOST_DAYS},
    {"retention.jobDays", 0, MOST_DAYS},      {"retention.payloadDays", 0, MOST_DAYS},
    {"thresholds.capture", 0, 100},           {"thresholds.notification", 0, 100},
};

static void check_settings(struct api_call *call, const json_value *settings)
{
    static const char *const groups[] = {"retention", "thresholds"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const json_value *group = json_get(settings, groups[i]);
        if (!json_is_null(group) && !json_is_object(group)) api_issue(call, STR("settings"), "%s is an object", groups[i]);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const json_value *value = json_get(settings, numbers[i].path);
        if (json_is_null(value)) continue; /* as it is, or back to the default */
        int64_t number = json_int(value, "", -1);
        if (!json_is_integer(value) || number < numbers[i].least || number > numbers[i].most)
            api_issue(call, STR("settings"), "%s is a whole number from %lld to %lld", numbers[i].path,
                      (long long)numbers[i].least, (long long)numbers[i].most);
    }
}

/* Members of `patch` over those of `base`: objects are joined, null takes away (RFC 7396). */
static void put_merged(struct json_out *out, const char *key, const json_value *base, const json_value *patch, int depth)
{
    json_begin(out, key, '{');
    for (struct json_iter it = json_iter(json_is_object(base) ? base : NULL); json_step(&it);) {
        const json_value *over = json_member(patch, it.key);
        if (over && json_is_null(over)) continue;
        json_key(out, it.key);
        if (over && json_is_object(over) && depth < MOST_DEPTH) put_merged(out, NULL, it.value, over, depth + 1);
        else json_put_value(out, NULL, over ? over : it.value);
    }
    for (struct json_iter it = json_iter(patch); json_step(&it);) {
        if (json_is_null(it.value) || (json_is_object(base) && json_member(base, it.key))) continue;
        json_key(out, it.key);
        if (json_is_object(it.value) && depth < MOST_DEPTH) put_merged(out, NULL, NULL, it.value, depth + 1);
        else json_put_value(out, NULL, it.value);
    }
    json_end(out);
}

static void check_name(struct api_call *call, struct str name)
{
    struct err *wrong = name.s ? org_check_workspace_name(call->arena, name) : NULL;
    if (wrong) api_issue(call, STR("name"), STR_FMT, STR_ARG(wrong->message));
}

/* A default ends when another workspace becomes it: there is always one. */
static void check_default(struct api_call *call)
{
    const json_value *given = json_get(call->body, "isDefault");
    if (json_is_bool(given) && !json_bool(given, "", false) && call->workspace.is_default)
        api_issue(call, STR("isDefault"), "Make another workspace the default instead");
}

static bool says_anything(const json_value *body)
{
    for (const struct api_field *field = body_fields; field->name; field++)
        if (!json_is_null(json_get(body, field->name))) return true;
    return false;
}

struct change {
    struct api_call     *call;
    struct body          asked;
    struct org_workspace after;
    struct json_out      told; /* {"retention": {"from": ..., "to": ...}} */
};

static struct err *change_name(struct db_tx *tx, struct change *change)
{
    struct str before = change->after.name, name = change->asked.name;
    if (!name.s || str_eq(before, name)) return NULL;
    TRY(org_workspace_rename(tx, &change->after, name));
    change->after.name = name;
    json_begin(&change->told, "name", '{');
    json_put(&change->told, "from", before);
    json_put(&change->told, "to", name);
    json_end(&change->told);
    return NULL;
}

static struct err *change_default(struct db_tx *tx, struct change *change)
{
    if (!change->asked.is_default || change->after.is_default) return NULL;
    TRY(org_workspace_make_default(tx, &change->after));
    change->after.is_default = true;
    json_begin(&change->told, "isDefault", '{');
    json_put_bool(&change->told, "from", false);
    json_put_bool(&change->told, "to", true);
    json_end(&change->told);
    return NULL;
}

/* The members that the patch names; one called as a field of the workspace is not to look like it. */
static void tell_settings(struct json_out *told, const json_value *patch, const json_value *before, const json_value *after)
{
    for (struct json_iter it = json_iter(patch); json_step(&it);) {
        bool field = str_eq(it.key, STR("name")) || str_eq(it.key, STR("isDefault"));
        json_key(told, field ? str_printf(told->buf.arena, "settings." STR_FMT, STR_ARG(it.key)) : it.key);
        json_begin(told, NULL, '{');
        json_put_value(told, "from", json_member(before, it.key));
        json_put_value(told, "to", json_member(after, it.key));
        json_end(told);
    }
}

static struct err *change_settings(struct db_tx *tx, struct change *change)
{
    const json_value *patch = change->asked.settings, *before = NULL, *after;
    struct json_out   out = json_out(tx->arena);
    if (!patch) return NULL;
    if (json_parse(tx->arena, change->after.settings, &before)) before = NULL;
    put_merged(&out, NULL, before, patch, 0);
    change->after.settings = json_out_text(&out);
    if (change->after.settings.n > MOST_BYTES)
        return err_new(tx->arena, ERR_TOO_LARGE, "The settings are larger than %d bytes", MOST_BYTES);
    TRY(org_workspace_set(tx, change->after.id, change->after.settings));
    TRY(json_parse(tx->arena, change->after.settings, &after));
    tell_settings(&change->told, patch, before, after);
    return NULL;
}

static struct err *write_change(struct db_tx *tx, void *arg)
{
    struct change  *change = arg;
    struct json_out metadata = json_out(tx->arena);
    change->told = json_out(tx->arena);
    TRY(org_workspace_by_id(tx, change->call->workspace.id, &change->after));
    json_begin(&change->told, NULL, '{');
    TRY(change_name(tx, change));
    TRY(change_default(tx, change));
    TRY(change_settings(tx, change));
    json_end(&change->told);
    if (str_eq(json_out_text(&change->told), STR("{}"))) return NULL; /* it is so already */
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "workspaceName", change->after.name);
    json_put(&metadata, "workspaceSlug", change->after.slug);
    json_end(&metadata);
    return api_tell(tx, change->call, (struct activity){.action = STR("workspace.updated"),
                                                        .entity_type = STR("workspace"),
                                                        .entity_id = change->after.public_id,
                                                        .entity_name = change->after.name,
                                                        .changes = json_out_text(&change->told),
                                                        .metadata = json_out_text(&metadata)});
}

struct err *api_workspace_set(struct api_call *call)
{
    struct change change = {.call = call};
    api_fields(call, call->body, body_fields, &change.asked);
    check_name(call, change.asked.name);
    check_default(call);
    check_settings(call, change.asked.settings);
    if (!says_anything(call->body)) api_issue(call, STR("name"), "Give a name, isDefault or settings");
    TRY(api_check(call));
    TRY(db_write(call->app->db, call->arena, write_change, &change));
    if (change.asked.name.s || change.asked.is_default)
        api_keys_forget(call->api->keys); /* the workspace of a key is remembered as it was */
    return send_workspace(call, &change.after);
}
