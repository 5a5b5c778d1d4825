/* browse.c - W/observations, W/clusters/{id}, W/actors/{id}: what there is, without a question (console.md 2.4). */
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

/* ---- observations ------------------------------------------------------------------------------------------------------ */

/* Where a page begins: the time and the row of the last observation before it. */
static void read_cursor(struct api_call *call, struct str cursor, struct search_list_request *request)
{
    long long   at = 0, id = 0;
    int         used = 0;
    const char *text = str_z(call->arena, cursor);
    if (sscanf(text, "o%lld.%lld%n", &at, &id, &used) == 2 && (size_t)used == cursor.n && id > 0) {
        request->before_at = at;
        request->before_id = id;
    } else
        api_issue(call, STR("cursor"), "Invalid cursor");
}

static struct str cursor_of(struct arena *arena, const struct search_listed *last)
{
    return str_printf(arena, "o%lld.%lld", (long long)last->occurred_at, (long long)last->row);
}

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
    struct api_page            page = {0};
    struct search_listed      *items;
    size_t                     n;
    struct search_list_request request = {.workspace = call->workspace.id};
    TRY(api_query_fields(call, api_list_fields, &page));
    if (page.cursor.n) read_cursor(call, page.cursor, &request);
    TRY(api_check(call));
    request.limit = page.limit + 1;
    TRY(search_list(call->app->search, call->arena, &request, &items, &n));
    bool more = api_page_more(&page, &n);
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) put_listed(&out, &items[i]);
    json_end(&out);
    json_put(&out, "nextCursor", more ? cursor_of(call->arena, &items[n - 1]) : (struct str){0});
    json_put(&out, "hasMore", more);
    json_begin(&out, "meta", '{');
    TRY(api_put_observation_counts(&out, call));
    json_end(&out);
    api_send(call, 200, &out);
    return NULL;
}

/* ---- one of a kind ----------------------------------------------------------------------------------------------------- */

struct err *api_cluster(struct api_call *call)
{
    struct search_topic topic;
    TRY(search_topic_get(call->app->search, call->arena, call->workspace.id, api_parameter(call, "id"), &topic));
    struct json_out out = api_answer(call);
    json_put(&out, "id", topic.id);
    json_put(&out, "topicLabel", topic.label);
    json_put(&out, "status", topic.status);
    put_if(&out, "activityStatus", topic.activity);
    put_if(&out, "summary", topic.summary);
    put_json(&out, "keyTopics", topic.key_topics);
    put_json(&out, "keyContributors", topic.key_contributors);
    put_json(&out, "keywords", topic.keywords);
    json_put(&out, "observationCount", topic.count);
    json_put_time(&out, "firstObservationAt", topic.first_at);
    json_put_time(&out, "lastObservationAt", topic.last_at);
    if (topic.closed_at) json_put_time(&out, "closedAt", topic.closed_at);
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
