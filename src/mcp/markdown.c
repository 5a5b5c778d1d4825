/* markdown.c - what the API answers, as Markdown for a model to read. */
#include "mcp/parts.h"

static void put_fact(struct buf *out, const char *name, struct str value)
{
    if (value.n) buf_printf(out, "- %s: " STR_FMT "\n", name, STR_ARG(value));
}

static struct str one_line(struct buf *out, struct str text)
{
    return str_trim(str_replace(out->arena, text, STR("\n"), STR(" ")));
}

/* Texts of an array, "a, b"; objects by their `name`. */
static void put_list(struct buf *out, const char *name, const json_value *list, const char *member)
{
    struct buf text = buf_in(out->arena);
    for (struct json_iter it = json_iter(list); json_step(&it);) {
        struct str each = json_is_string(it.value) ? json_str(it.value, "") : json_str(it.value, member);
        if (each.n) buf_printf(&text, "%s" STR_FMT, text.n ? ", " : "", STR_ARG(each));
    }
    put_fact(out, name, buf_str(&text));
}

static void put_metadata(struct buf *out, const json_value *metadata)
{
    if (json_count(metadata) == 0) return;
    buf_lit(out, "\n## Details\n\n");
    for (struct json_iter it = json_iter(metadata); json_step(&it);) {
        struct str value = json_is_string(it.value) ? json_str(it.value, "") : json_text(out->arena, it.value);
        buf_printf(out, "- " STR_FMT ": " STR_FMT "\n", STR_ARG(it.key), STR_ARG(one_line(out, value)));
    }
}

void mcp_put_item(struct buf *out, const json_value *item)
{
    struct str title = json_str(item, "title");
    buf_printf(out, "# " STR_FMT "\n\n", STR_ARG(title.n ? one_line(out, title) : json_str(item, "id")));
    put_fact(out, "Id", json_str(item, "id"));
    put_fact(out, "Type", json_str(item, "type"));
    put_fact(out, "Source", json_str(item, "source"));
    put_fact(out, "When", json_str(item, "occurredAt"));
    put_fact(out, "URL", json_str(item, "url"));
    buf_printf(out, "\n" STR_FMT "\n", STR_ARG(json_str(item, "content")));
    put_metadata(out, json_get(item, "metadata"));
}

/* "- 2026-02-03 Raise session timeout (pull_request_merged, obs_...) https://..." */
static void put_line(struct buf *out, const json_value *item)
{
    struct str day = str_slice(json_str(item, "occurredAt"), 0, 10), url = json_str(item, "url");
    buf_printf(out, "- " STR_FMT " " STR_FMT " (" STR_FMT ", " STR_FMT ")", STR_ARG(day),
               STR_ARG(one_line(out, json_str(item, "title"))), STR_ARG(json_str(item, "type")),
               STR_ARG(json_str(item, "id")));
    if (url.n) buf_printf(out, " " STR_FMT, STR_ARG(url));
    buf_char(out, '\n');
}

void mcp_put_relations(struct buf *out, const json_value *reply)
{
    const json_value *related = json_get(reply, "data.related");
    if (json_count(related) == 0) return;
    buf_lit(out, "\n## Linked with\n\n");
    for (struct json_iter it = json_iter(related); json_step(&it);) {
        put_line(out, it.value);
        buf_printf(out, "  - " STR_FMT ", " STR_FMT "\n", STR_ARG(json_str(it.value, "relationshipType")),
                   STR_ARG(json_str(it.value, "direction")));
    }
}

static void put_newest(struct buf *out, const json_value *observations)
{
    buf_lit(out, "\n## Newest observations\n\n");
    for (struct json_iter it = json_iter(observations); json_step(&it);) put_line(out, it.value);
}

static void put_count(struct buf *out, const json_value *of)
{
    buf_printf(out, "- Observations: %lld\n", (long long)json_int(of, "observationCount", 0));
}

void mcp_put_cluster(struct buf *out, const json_value *cluster)
{
    buf_printf(out, "# " STR_FMT "\n\n", STR_ARG(one_line(out, json_str(cluster, "topicLabel"))));
    put_fact(out, "Id", json_str(cluster, "id"));
    put_fact(out, "Status", json_str(cluster, "status"));
    put_count(out, cluster);
    put_fact(out, "First", json_str(cluster, "firstObservationAt"));
    put_fact(out, "Last", json_str(cluster, "lastObservationAt"));
    put_list(out, "Keywords", json_get(cluster, "keywords"), "");
    put_list(out, "People", json_get(cluster, "actors"), "name");
    struct str summary = json_str(cluster, "summary");
    if (summary.n) buf_printf(out, "\n" STR_FMT "\n", STR_ARG(summary));
    put_newest(out, json_get(cluster, "observations"));
}

void mcp_put_person(struct buf *out, const json_value *person)
{
    buf_printf(out, "# " STR_FMT "\n\n", STR_ARG(one_line(out, json_str(person, "displayName"))));
    put_fact(out, "Id", json_str(person, "id"));
    put_count(out, person);
    put_fact(out, "First active", json_str(person, "firstActiveAt"));
    put_fact(out, "Last active", json_str(person, "lastActiveAt"));
    put_list(out, "Expertise", json_get(person, "expertise"), "topic");
    put_newest(out, json_get(person, "observations"));
}

void mcp_put_results(struct buf *out, const json_value *results)
{
    for (struct json_iter it = json_iter(results); json_step(&it);) {
        put_line(out, it.value);
        struct str snippet = one_line(out, json_str(it.value, "snippet"));
        if (snippet.n) buf_printf(out, "  " STR_FMT "\n", STR_ARG(snippet));
    }
}
