/* activities.c - W/activities: the timeline, its counts, comparison and export (console.md 3); O/activities: that of a
 * whole organisation. */
#include "api/call.h"

struct activity_actor api_actor(const struct api_call *call)
{
    bool local = call->key.id == 0;
    return (struct activity_actor){
        .type = local ? ACTIVITY_USER : ACTIVITY_API,
        .key = call->key.public_id,
        .ip = call->request->local ? (struct str){0} : call->client,
        .user_agent = net_header_get(call->request, "User-Agent"),
        .request = call->id,
    };
}

/* ---- filters ----------------------------------------------------------------------------------------------------- */

static const char *const formats[] = {"csv", "json", NULL};

struct query {
    struct api_texts categories, sources;
    int              group, actor_type, status, format; /* -1: not given */
    struct str       action, actor_user, entity_type, entity_id, text;
    int64_t          from, to;
};

enum { MANY = 20, MAX_NAME = 191 };

/* clang-format off */
static const struct api_field query_fields[] = {
    {"category",    NULL, API_TEXTS, offsetof(struct query, categories),  .most = MANY, .values = activity_categories},
    {"source",      NULL, API_TEXTS, offsetof(struct query, sources),     .most = MANY},
    {"group",       NULL, API_ENUM,  offsetof(struct query, group),       .values = activity_groups, .otherwise = -1},
    {"actorType",   NULL, API_ENUM,  offsetof(struct query, actor_type),  .values = activity_actor_types, .otherwise = -1},
    {"status",      NULL, API_ENUM,  offsetof(struct query, status),      .values = activity_statuses, .otherwise = -1},
    {"action",      NULL, API_TEXT,  offsetof(struct query, action),      .most = MAX_NAME},
    {"actorUserId", NULL, API_TEXT,  offsetof(struct query, actor_user),  .most = MAX_NAME},
    {"entityType",  NULL, API_TEXT,  offsetof(struct query, entity_type), .most = MAX_NAME},
    {"entityId",    NULL, API_TEXT,  offsetof(struct query, entity_id),   .most = MAX_NAME},
    {"q",           NULL, API_TEXT,  offsetof(struct query, text),        .most = MAX_NAME},
    {"from",        NULL, API_TIME,  offsetof(struct query, from),        .required = false},
    {"to",          NULL, API_TIME,  offsetof(struct query, to),          .required = false},
    {"format",      NULL, API_ENUM,  offsetof(struct query, format),      .values = formats, .otherwise = ACTIVITY_CSV},
    {0},
};
/* clang-format on */

static struct str name_at(const char *const *names, int at)
{
    return at < 0 ? (struct str){0} : str_of(names[at]);
}

int64_t api_end_of(const struct api_call *call, const char *name, int64_t at)
{
    return at && str_trim(net_query_get(call->request, name)).n == strlen("YYYY-MM-DD") ? at + DAYS(1) : at;
}

static struct err *read_query(struct api_call *call, struct query *query, struct activity_filter *filter)
{
    *query = (struct query){0};
    TRY(api_query_fields(call, query_fields, query));
    *filter = (struct activity_filter){
        .categories = query->categories.at, .category_count = query->categories.n,
        .sources = query->sources.at,       .source_count = query->sources.n,
        .group = name_at(activity_groups, query->group),
        .actor_type = name_at(activity_actor_types, query->actor_type),
        .status = name_at(activity_statuses, query->status),
        .action = query->action,            .actor_user = query->actor_user,
        .entity_type = query->entity_type,  .entity_id = query->entity_id,
        .query = query->text,
        .from = query->from,                .to = api_end_of(call, "to", query->to),
    };
    return NULL;
}

/* ---- list, one --------------------------------------------------------------------------------------------------- */

/* One more than the page has, to see whether there is another. */
static struct err *read_page(struct api_call *call, struct api_page *page, struct activity_filter *filter)
{
    struct query query;
    TRY(read_query(call, &query, filter));
    TRY(api_page(call, page));
    filter->before = page->before;
    filter->limit = page->limit + 1;
    return NULL;
}

static void send_page(struct api_call *call, const struct api_page *page, const struct activity *list, size_t n)
{
    bool more = api_page_more(page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) activity_write(&out, NULL, &list[i]);
    api_page_end(&out, call, more, n ? list[n - 1].id : 0);
}

struct err *api_activity_list(struct api_call *call)
{
    struct activity_filter filter;
    struct api_page        page;
    struct activity       *list;
    size_t                 n;
    TRY(read_page(call, &page, &filter));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_list(tx, call->workspace.id, &filter, &list, &n));
    send_page(call, &page, list, n);
    return NULL;
}

struct err *api_activity_list_of_org(struct api_call *call)
{
    struct activity_filter  filter;
    struct api_page         page;
    struct org_organization org;
    struct activity        *list;
    size_t                  n;
    TRY(read_page(call, &page, &filter));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(org_find(tx, api_parameter(call, "org"), &org));
    TRY(activity_list_of_org(tx, org.id, &filter, &list, &n));
    send_page(call, &page, list, n);
    return NULL;
}

struct err *api_activity_get(struct api_call *call)
{
    struct activity  activity, *chain;
    size_t           n;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_get(tx, call->workspace.id, api_parameter(call, "id"), &activity));
    TRY(activity_chain(tx, call->workspace.id, &activity, &chain, &n));
    struct json_out out = api_answer(call);
    activity_write(&out, "activity", &activity);
    json_begin(&out, "related", '[');
    for (size_t i = 0; i < n; i++) activity_write(&out, NULL, &chain[i]);
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- counts ------------------------------------------------------------------------------------------------------ */

static struct str category_of(const struct activity_count *count) { return count->category; }
static struct str actor_type_of(const struct activity_count *count) { return count->actor_type; }
static struct str status_of(const struct activity_count *count) { return count->status; }

/* How counts are grouped: every name of the group is answered, with 0 if it did not occur. */
static const struct grouping {
    const char        *key;
    const char *const *names;
    struct str (*name_of)(const struct activity_count *count);
} groupings[] = {
    {"byCategory", activity_categories, category_of},
    {"byActorType", activity_actor_types, actor_type_of},
    {"byStatus", activity_statuses, status_of},
};
enum { GROUPINGS = sizeof groupings / sizeof *groupings };

struct counts {
    struct activity_count *at;
    size_t                 n;
};

/* grouping NULL: all of them */
static int64_t sum(const struct counts *counts, const struct grouping *grouping, const char *name)
{
    int64_t total = 0;
    for (size_t i = 0; i < counts->n; i++)
        if (!grouping || str_eq(grouping->name_of(&counts->at[i]), str_of(name))) total += counts->at[i].n;
    return total;
}

struct err *api_activity_stats(struct api_call *call)
{
    struct counts counts;
    int64_t       hours, now = time_now();
    TRY(api_time_range(call, &hours));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_counts(tx, call->workspace.id, now - HOURS(hours), INT64_MAX, &counts.at, &counts.n));
    struct json_out out = api_answer(call);
    json_put(&out, "total", sum(&counts, NULL, NULL));
    for (size_t g = 0; g < GROUPINGS; g++) {
        json_begin(&out, groupings[g].key, '{');
        for (const char *const *name = groupings[g].names; *name; name++)
            json_put(&out, *name, sum(&counts, &groupings[g], *name));
        json_end(&out);
    }
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- comparison -------------------------------------------------------------------------------------------------- */

struct err *api_activity_comparison(struct api_call *call)
{
    struct api_intervals intervals;
    struct counts    current, previous;
    TRY(api_intervals(call, &intervals));
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(activity_counts(tx, call->workspace.id, intervals.current_start, intervals.current_end, &current.at,
                        &current.n));
    TRY(activity_counts(tx, call->workspace.id, intervals.previous_start, intervals.previous_end, &previous.at,
                        &previous.n));
    struct json_out out = api_answer(call);
    api_put_intervals(&out, &intervals);
    api_put_change(&out, "total", (double)sum(&current, NULL, NULL), (double)sum(&previous, NULL, NULL));
    for (size_t g = 0; g < GROUPINGS; g++) {
        json_begin(&out, groupings[g].key, '{');
        for (const char *const *name = groupings[g].names; *name; name++)
            api_put_change(&out, *name, (double)sum(&current, &groupings[g], *name),
                           (double)sum(&previous, &groupings[g], *name));
        json_end(&out);
    }
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- export ------------------------------------------------------------------------------------------------------ */

struct exporting {
    struct api_call *call;
    struct str       format;
};

static struct err *write_export(struct db_tx *tx, void *arg)
{
    const struct exporting *exporting = arg;
    const struct api_call  *call = exporting->call;
    struct json_out         metadata = json_out(tx->arena);
    json_begin(&metadata, NULL, '{');
    json_put(&metadata, "format", exporting->format);
    json_put(&metadata, "filter", call->request->query);
    json_end(&metadata);
    return api_tell(tx, call, (struct activity){.action = STR("settings.activities_exported"),
                                                  .entity_type = STR("workspace"),
                                                  .entity_id = call->workspace.public_id,
                                                  .entity_name = call->workspace.name,
                                                  .metadata = json_out_text(&metadata)});
}

struct err *api_activity_export(struct api_call *call)
{
    struct query           query;
    struct activity_filter filter;
    struct str             text;
    TRY(read_query(call, &query, &filter));
    TRY(api_check(call));
    struct exporting exporting = {call, str_of(formats[query.format])};
    TRY(activity_export(call->arena, call->app->db, call->workspace.id, &filter, (enum activity_format)query.format,
                        &text));
    TRY(db_write(call->app->db, call->arena, write_export, &exporting));
    call->reply->status = 200;
    call->reply->body = text;
    if (query.format == ACTIVITY_CSV) call->reply->content_type = "text/csv; charset=utf-8";
    net_reply_header(call->reply, "Cache-Control", STR("no-store"));
    net_reply_header(call->reply, "Content-Disposition",
                     str_printf(call->arena, "attachment; filename=\"activities." STR_FMT "\"",
                                STR_ARG(exporting.format)));
    return NULL;
}
