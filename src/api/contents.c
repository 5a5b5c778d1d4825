/* contents.c - POST /v1/contents (search-api.md 4). */
#include "api/records.h"
#include "base/hash.h"

static struct str *without_duplicates(struct arena *arena, const struct api_texts *ids, size_t *n)
{
    struct map *seen = map_create(arena);
    struct str *kept = NEW_ARRAY(arena, struct str, ids->n);
    *n = 0;
    for (size_t i = 0; i < ids->n; i++)
        if ((*map_at(seen, ids->at[i]))++ == 0) kept[(*n)++] = ids->at[i];
    return kept;
}

struct err *api_contents(struct api_call *call)
{
    struct api_contents_body body = {0};
    api_fields(call, call->body, api_contents_fields, &body);
    TRY(api_check(call));
    size_t                 n;
    struct str            *ids = without_duplicates(call->arena, &body.ids, &n);
    struct search_content *items = NEW_ARRAY(call->arena, struct search_content, n);
    TRY(search_contents(call->app->search, call->arena, call->workspace.id, ids, n, items));
    struct json_out out = api_answer(call);
    json_begin(&out, "items", '[');
    for (size_t i = 0; i < n; i++) {
        if (!items[i].found) continue;
        json_begin(&out, NULL, '{');
        search_write_content(&out, &items[i]);
        json_end(&out);
    }
    json_end(&out);
    json_begin(&out, "missing", '[');
    int64_t missing = 0;
    for (size_t i = 0; i < n; i++) {
        if (items[i].found) continue;
        json_put(&out, NULL, ids[i]);
        missing++;
    }
    json_end(&out);
    api_send_with_id(call, &out);
    struct json_out metadata = api_telling(call);
    json_put(&metadata, "requestedCount", (int64_t)n);
    json_put(&metadata, "foundCount", (int64_t)n - missing);
    json_put(&metadata, "missingCount", missing);
    api_tell_question(call, "search.contents", &metadata);
    return NULL;
}
