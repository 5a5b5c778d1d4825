/* browse.c - W/observations, W/clusters, W/actors: what there is, without a question (console.md 2.2). */
#include "api/call.h"

#include <stdio.h>

static void put_json(struct json_out *out, const char *key, struct str json)
{
    json_put_raw(out, key, json.n ? json : STR("[]"));
}

static void put_if(struct json_out *out, const char *key, struct str text)
{
    if (text.n) json_put(out, key, text);
}

static void put_actor(struct json_out *out, const struct search_listed *item)
{
    if (!item->actor.n && !item->actor_name.n) return;
    json_begin(out, "actor", '{');
    put_if(out, "id", item->actor);
    put_if(out, "name", item->actor_name);
    put_if(out, "avatarUrl", item->actor_avatar);
    json_end(out);
}

static void put_listed(struct json_out *out, const struct search_listed *item)
{
    json_begin(out, NULL, '{');
    json_put(out, "id", item->id);
    json_put(out, "source", item->source);
    json_put(out, "type", item->type);
    json_put(out, "title", item->title);
    put_if(out, "url", item->url);
    put_actor(out, item);
    json_put_time(out, "occurredAt", item->occurred_at);
    json_put_time(out, "capturedAt", item->captured_at);
    json_put(out, "significanceScore", item->significance);
    json_put(out, "primaryCategory", item->category);
    put_json(out, "secondaryCategories", item->categories);
    put_json(out, "topics", item->topics);
    put_if(out, "clusterId", item->cluster);
    json_put(out, "ingestionSource", item->ingestion);
    json_put(out, "embeddingStatus", item->embedding);
    json_end(out);
}

static void put_newest(struct json_out *out, const struct search_listed *items, size_t n)
{
    json_begin(out, "observations", '[');
    for (size_t i = 0; i < n; i++) put_listed(out, &items[i]);
    json_end(out);
}

/* ---- pages ------------------------------------------------------------------------------------------------------------- */

/* A cursor is where a page begins: the list's letter, the time and the row of the last item before it. */
static bool read_cursor(const char *text, char letter, struct search_list_request *request)
{
    long long at = 0, row = 0;
    int       used = 0;
    if (*text != letter || sscanf(text + 1, "%lld.%lld%n", &at, &row, &used) != 2 || text[1 + used] || row <= 0) return false;
    request->before_at = at;
    request->before_id = row;
    return true;
}

static struct str cursor_of(struct arena *arena, char letter, int64_t at, int64_t row)
{
    return str_printf(arena, "%c%lld.%lld", letter, (long long)at, (long long)row);
}

enum { MOST_VALUES = 100 };

struct filter_query {
    struct api_texts sources, types, actors;
    int64_t          from, to;
};

/* clang-format off */
static const struct api_field filter_fields[] = {
    {"sourceTypes",      NULL, API_TEXTS, offsetof(struct filter_query, sources), .most = MOST_VALUES},
    {"observationTypes", NULL, API_TEXTS, offsetof(struct filter_query, types),   .most = MOST_VALUES},
    {"actorNames",       NULL, API_TEXTS, offsetof(struct filter_query, actors),  .most = MOST_VALUES},
    {"from",             NULL, API_TIME,  offsetof(struct filter_query, from),    .required = false},
    {"to",               NULL, API_TIME,  offsetof(struct filter_query, to),      .required = false},
    {0},
};
/* clang-format on */

/* As a search's filters; from and to as in other lists. */
static struct err *read_filters(struct api_call *call, struct search_filters *filters)
{
    struct filter_query query = {0};
    TRY(api_query_fields(call, filter_fields, &query));
    *filters = (struct search_filters){
        .sources = query.sources.at, .source_count = query.sources.n,
        .types = query.types.at,     .type_count = query.types.n,
        .actors = query.actors.at,   .actor_count = query.actors.n,
        .has_start = query.from != 0, .start = query.from,
        .has_end = query.to != 0,     .end = api_end_of(call, "to", query.to),
    };
    return NULL;
}

static struct err *read_page(struct api_call *call, char letter, struct api_page *page, struct search_list_request *request)
{
    *page = (struct api_page){0};
    *request = (struct search_list_request){.workspace = call->workspace.id};
    TRY(api_query_fields(call, api_list_fields, page));
    TRY(read_filters(call, &request->filters));
    if (page->cursor.n && !read_cursor(str_z(call->arena, page->cursor), letter, request))
        api_issue(call, STR("cursor"), "Invalid cursor");
    request->limit = page->limit + 1;
    return api_check(call);
}

/* ---- observations ------------------------------------------------------------------------------------------------------ */

struct err *api_put_observation_counts(struct json_out *out, const struct api_call *call)
{
    struct search_source *sources;
    size_t                n;
    int64_t               total = 0;
    TRY(search_sources(call->app->search, call->arena, call->workspace.id, &sources, &n));
    json_begin(out, "bySource", '{');
    for (size_t i = 0; i < n; i++) {
        json_key(out, sources[i].source);
        json_put(out, NULL, sources[i].items);
        total += sources[i].items;
    }
    json_end(out);
    json_put(out, "total", total);
    return NULL;
}

struct err *api_observations(struct api_call *call)
{
    struct api_page            page;
    struct search_listed      *items;
    size_t                     n;
    struct search_list_request request;
    TRY(read_page(call, 'o', &page, &request));
    TRY(search_list(call->app->search, call->arena, &request, &items, &n));
    bool more = api_page_more(&page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) put_listed(&out, &items[i]);
    api_put_next(&out, more ? cursor_of(call->arena, 'o', items[n - 1].occurred_at, items[n - 1].row) : (struct str){0});
    json_begin(&out, "meta", '{');
    TRY(api_put_observation_counts(&out, call));
    json_end(&out);
    api_send(call, 200, &out);
    return NULL;
}

/* ---- clusters ---------------------------------------------------------------------------------------------------------- */

static void put_topic(struct json_out *out, const struct search_topic *topic)
{
    json_put(out, "id", topic->id);
    json_put(out, "topicLabel", topic->label);
    json_put(out, "status", topic->status);
    put_if(out, "activityStatus", topic->activity);
    put_if(out, "summary", topic->summary);
    put_json(out, "keyTopics", topic->key_topics);
    put_json(out, "keyContributors", topic->key_contributors);
    put_json(out, "keywords", topic->keywords);
    json_put(out, "observationCount", topic->count);
    json_put_time(out, "firstObservationAt", topic->first_at);
    json_put_time(out, "lastObservationAt", topic->last_at);
    if (topic->closed_at) json_put_time(out, "closedAt", topic->closed_at);
}

struct err *api_clusters(struct api_call *call)
{
    struct api_page            page;
    struct search_topic       *topics;
    size_t                     n;
    struct search_list_request request;
    TRY(read_page(call, 'c', &page, &request));
    TRY(search_topics(call->app->search, call->arena, &request, &topics, &n));
    bool more = api_page_more(&page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(&out, NULL, '{');
        put_topic(&out, &topics[i]);
        json_end(&out);
    }
    api_put_next(&out, more ? cursor_of(call->arena, 'c', topics[n - 1].last_at, topics[n - 1].row) : (struct str){0});
    api_send(call, 200, &out);
    return NULL;
}

struct err *api_cluster(struct api_call *call)
{
    struct search_topic topic;
    TRY(search_topic_get(call->app->search, call->arena, call->workspace.id, api_parameter(call, "id"), &topic));
    struct json_out out = api_answer(call);
    put_topic(&out, &topic);
    put_json(&out, "entities", topic.entities);
    json_begin(&out, "actors", '[');
    for (size_t i = 0; i < topic.actor_count; i++) {
        json_begin(&out, NULL, '{');
        json_put(&out, "id", topic.actors[i].id);
        json_put(&out, "name", topic.actors[i].name);
        json_end(&out);
    }
    json_end(&out);
    put_newest(&out, topic.newest, topic.newest_count);
    api_send_with_id(call, &out);
    return NULL;
}

/* ---- people ------------------------------------------------------------------------------------------------------------ */

struct people_query {
    struct api_page page;
    struct str      text;
};

/* clang-format off */
static const struct api_field people_fields[] = {
    {"search", NULL, API_TEXT,    offsetof(struct people_query, text),        .most = 191},
    {"limit",  NULL, API_INTEGER, offsetof(struct people_query, page.limit),  .least = 1, .most = 50, .otherwise = 20},
    {"cursor", NULL, API_TEXT,    offsetof(struct people_query, page.cursor), .most = 100},
    {0},
};
/* clang-format on */

/* Of people the cursor is how busy the last one before the page is, and their profile. */
static bool read_place(struct arena *arena, const char *text, struct search_people_request *request)
{
    long long busy = 0;
    int       used = 0;
    char      xid[22];
    if (sscanf(text, "p%lld.%21[0-9A-Za-z]%n", &busy, xid, &used) != 2 || text[used]) return false;
    request->before_count = busy;
    request->before_xid = str_dup(arena, str_of(xid));
    return true;
}

static void put_people(struct json_out *out, const struct search_person *people, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "id", people[i].id);
        json_put(out, "displayName", people[i].name);
        json_put(out, "observationCount", people[i].count);
        json_end(out);
    }
}

struct err *api_actors(struct api_call *call)
{
    struct people_query   query = {0};
    struct search_person *people;
    size_t                n;
    TRY(api_query_fields(call, people_fields, &query));
    struct search_people_request request = {.workspace = call->workspace.id, .limit = query.page.limit + 1, .text = query.text};
    if (query.page.cursor.n && !read_place(call->arena, str_z(call->arena, query.page.cursor), &request))
        api_issue(call, STR("cursor"), "Invalid cursor");
    TRY(api_check(call));
    TRY(search_people(call->app->search, call->arena, &request, &people, &n));
    bool more = api_page_more(&query.page, &n);
    const struct search_person *last = more ? &people[n - 1] : NULL;
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    put_people(&out, people, n);
    api_put_next(&out, last ? str_printf(call->arena, "p%lld." STR_FMT, (long long)last->count, STR_ARG(last->xid))
                            : (struct str){0});
    api_send(call, 200, &out);
    return NULL;
}

struct err *api_actor_get(struct api_call *call)
{
    struct search_person person;
    TRY(search_person_get(call->app->search, call->arena, call->workspace.id, api_parameter(call, "id"), &person));
    struct json_out out = api_answer(call);
    json_put(&out, "id", person.id);
    json_put(&out, "displayName", person.name);
    json_put(&out, "observationCount", person.count);
    put_json(&out, "expertise", person.domains);
    if (person.first_at) json_put_time(&out, "firstActiveAt", person.first_at);
    if (person.last_at) json_put_time(&out, "lastActiveAt", person.last_at);
    put_newest(&out, person.newest, person.newest_count);
    api_send_with_id(call, &out);
    return NULL;
}
