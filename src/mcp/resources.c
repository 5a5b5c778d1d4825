/* resources.c - what can be read by address: the workspace and its latest observations, and by template each
 * observation, document, cluster and person. */
#include "mcp/parts.h"

typedef struct err *(*read_fn)(struct mcp_call *call, struct str name, struct str *text); /* text.s NULL: there is none */

static struct err *read_workspace(struct mcp_call *call, struct str name, struct str *text);
static struct err *read_recent(struct mcp_call *call, struct str name, struct str *text);
static struct err *read_observation(struct mcp_call *call, struct str name, struct str *text);
static struct err *read_document(struct mcp_call *call, struct str name, struct str *text);
static struct err *read_cluster(struct mcp_call *call, struct str name, struct str *text);
static struct err *read_person(struct mcp_call *call, struct str name, struct str *text);

#define JSON_TYPE "application/json"
#define MARKDOWN_TYPE "text/markdown"

/* clang-format off */
static const struct resource { const char *uri, *name, *title, *description; read_fn read; } resources[] = {
    {MCP_WORKSPACE_URI, "workspace", "Workspace",           "Sources, how much is remembered, last synchronisation", read_workspace},
    {MCP_RECENT_URI,    "recent",    "Latest observations", "The latest 50 observations, newest first",              read_recent},
};

/* uri: what stands before the one parameter, at the end */
static const struct template { const char *uri, *parameter, *name, *title, *description; read_fn read; } templates[] = {
    {"lightfast://observation/", "id",   "observation", "Observation", "One observation in full and what it is linked with", read_observation},
    {"lightfast://document/",    "id",   "document",    "Document",    "One document in full",                               read_document},
    {"lightfast://cluster/",     "id",   "cluster",     "Topic",       "One topic: keywords, people, newest observations",   read_cluster},
    {"lightfast://actor/",       "name", "actor",       "Person",      "One person or bot: expertise, newest observations",  read_person},
};
/* clang-format on */

/* ---- lists ------------------------------------------------------------------------------------------------------------- */

struct err *mcp_resources_list(struct mcp_call *call, struct json_out *out)
{
    TRY(mcp_check_cursor(call));
    json_begin(out, "resources", '[');
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        const struct resource *resource = &resources[i];
        json_begin(out, NULL, '{');
        json_put(out, "uri", resource->uri);
        mcp_put_names(out, call->revision, (struct mcp_names){resource->name, resource->title, resource->description});
        json_put(out, "mimeType", JSON_TYPE);
        json_end(out);
    }
    json_end(out);
    return NULL;
}

struct err *mcp_templates_list(struct mcp_call *call, struct json_out *out)
{
    TRY(mcp_check_cursor(call));
    json_begin(out, "resourceTemplates", '[');
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        const struct template *template = &templates[i];
        json_begin(out, NULL, '{');
        json_put(out, "uriTemplate", str_printf(call->arena, "%s{%s}", template->uri, template->parameter));
        mcp_put_names(out, call->revision, (struct mcp_names){template->name, template->title, template->description});
        json_put(out, "mimeType", MARKDOWN_TYPE);
        json_end(out);
    }
    json_end(out);
    return NULL;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------------- */

/* When something last came in from any of the sources. */
static struct str last_sync(const json_value *sources)
{
    static const char *const times[] = {"lastDeliveryAt", "lastSyncedAt"};
    struct str last = {0};
    for (struct json_iter it = json_iter(sources); json_step(&it);)
        for (size_t i = 0; i < sizeof times / sizeof *times; i++)
            if (str_cmp(json_str(it.value, times[i]), last) > 0) last = json_str(it.value, times[i]);
    return last;
}

static void put_source(struct json_out *out, const json_value *source)
{
    static const char *const shown[] = {"id", "sourceType", "displayName", "isActive", "lastSyncedAt", "lastSyncStatus",
                                        "lastDeliveryAt"};
    json_begin(out, NULL, '{');
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (json_get(source, shown[i])) json_put_value(out, shown[i], json_get(source, shown[i]));
    json_end(out);
}

static struct err *read_workspace(struct mcp_call *call, struct str name, struct str *text)
{
    const json_value *workspace, *sources, *observations;
    struct str path;
    (void)name;
    TRY(mcp_fetch(call, "GET", STR("/v1/workspace"), STR(""), &workspace));
    TRY(mcp_workspace_path(call, &path));
    TRY(mcp_fetch(call, "GET", str_printf(call->arena, STR_FMT "/sources?limit=100", STR_ARG(path)), STR(""), &sources));
    TRY(mcp_fetch(call, "GET", str_printf(call->arena, STR_FMT "/observations?limit=1", STR_ARG(path)), STR(""), &observations));
    struct json_out out = json_out(call->arena);
    out.indent = 2;
    json_begin(&out, NULL, '{');
    json_put(&out, "id", json_str(workspace, "id"));
    json_put(&out, "name", json_str(workspace, "name"));
    json_put(&out, "organization", json_str(workspace, "organization.slug"));
    json_begin(&out, "sources", '[');
    for (struct json_iter it = json_iter(json_get(sources, "data")); json_step(&it);) put_source(&out, it.value);
    json_end(&out);
    json_put_value(&out, "observations", json_get(observations, "meta"));
    json_put(&out, "lastSync", last_sync(json_get(sources, "data")));
    json_end(&out);
    *text = json_out_text(&out);
    return NULL;
}

static struct err *read_recent(struct mcp_call *call, struct str name, struct str *text)
{
    const json_value *observations;
    struct str path;
    (void)name;
    TRY(mcp_workspace_path(call, &path));
    TRY(mcp_fetch(call, "GET", str_printf(call->arena, STR_FMT "/observations?limit=50", STR_ARG(path)), STR(""), &observations));
    struct json_out out = json_out(call->arena);
    json_begin(&out, NULL, '{');
    json_put_value(&out, "observations", json_get(observations, "data"));
    json_end(&out);
    *text = json_out_text(&out);
    return NULL;
}

struct err *mcp_recent(struct mcp_call *call, struct str *text)
{
    return read_recent(call, STR(""), text);
}

/* ---- Markdown ---------------------------------------------------------------------------------------------------------- */

static struct err *read_observation(struct mcp_call *call, struct str name, struct str *text)
{
    const json_value *item;
    struct buf out = buf_in(call->arena);
    TRY(mcp_fetch_item(call, name, &item));
    if (!item || str_starts(name, STR("doc_"))) return NULL;
    TRY(mcp_put_linked(call, name, item, &out));
    *text = buf_str(&out);
    return NULL;
}

static struct err *read_document(struct mcp_call *call, struct str name, struct str *text)
{
    const json_value *item;
    struct buf out = buf_in(call->arena);
    if (!str_starts(name, STR("doc_")) && !str_starts(name, STR("github:"))) return NULL;
    TRY(mcp_fetch_item(call, name, &item));
    if (!item) return NULL;
    mcp_put_item(&out, item);
    *text = buf_str(&out);
    return NULL;
}

/* What the workspace has one of by name, and how it is written. */
struct kind { const char *collection; void (*put)(struct buf *out, const json_value *object); };

static struct err *read_object(struct mcp_call *call, struct kind kind, struct str name, struct str *text)
{
    const json_value *object;
    struct str path;
    struct buf out = buf_in(call->arena);
    TRY(mcp_workspace_path(call, &path));
    struct str target = str_printf(call->arena, STR_FMT "/%s/" STR_FMT, STR_ARG(path), kind.collection,
                                   STR_ARG(net_encode(call->arena, name)));
    TRY(mcp_fetch(call, "GET", target, STR(""), &object));
    if (!object) return NULL;
    kind.put(&out, object);
    *text = buf_str(&out);
    return NULL;
}

static struct err *read_cluster(struct mcp_call *call, struct str name, struct str *text)
{
    return read_object(call, (struct kind){"clusters", mcp_put_cluster}, name, text);
}

static struct err *read_person(struct mcp_call *call, struct str name, struct str *text)
{
    return read_object(call, (struct kind){"actors", mcp_put_person}, name, text);
}

/* ---- resources/read ---------------------------------------------------------------------------------------------------- */

static struct err *absent(struct mcp_call *call, struct str uri)
{
    int code = call->revision->handshake ? MCP_NO_RESOURCE : MCP_INVALID_PARAMS;
    struct err *err = mcp_refuse(call, code, "Resource not found");
    struct json_out out = json_out(call->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "uri", uri);
    json_end(&out);
    call->fault.data = json_out_text(&out);
    return err;
}

static struct str parameter_of(struct arena *arena, struct str uri, const struct template *template)
{
    struct str rest = net_decode(arena, str_skip(uri, strlen(template->uri)), false);
    return str_replace(arena, str_replace(arena, rest, STR("%2F"), STR("/")), STR("%2f"), STR("/"));
}

static struct err *find(struct mcp_call *call, struct str uri, struct str *text, const char **type)
{
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
        if (str_eq(uri, str_of(resources[i].uri))) {
            *type = JSON_TYPE;
            return resources[i].read(call, STR(""), text);
        }
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        if (str_starts(uri, str_of(templates[i].uri)) && uri.n > strlen(templates[i].uri)) {
            *type = MARKDOWN_TYPE;
            return templates[i].read(call, parameter_of(call->arena, uri, &templates[i]), text);
        }
    return NULL;
}

struct err *mcp_resources_read(struct mcp_call *call, struct json_out *out)
{
    const json_value *given = json_get(call->message->params, "uri");
    struct str  uri = json_str(given, ""), text = {0};
    const char *type = NULL;
    if (!json_is_string(given)) return mcp_refuse(call, MCP_INVALID_PARAMS, "uri must be a string");
    TRY(find(call, uri, &text, &type));
    if (!text.s) return absent(call, uri);
    json_begin(out, "contents", '[');
    json_begin(out, NULL, '{');
    json_put(out, "uri", uri);
    json_put(out, "mimeType", type);
    json_put(out, "text", text);
    json_end(out);
    json_end(out);
    return NULL;
}
