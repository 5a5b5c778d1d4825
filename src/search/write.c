/* write.c - results as JSON objects, as search-api.md 3 to 7 shows them: the API's answers have them, and models see them. */
#include "search/search.h"

#include "json/json.h"

static void put_origin(struct json_out *out, struct str source, struct str type, int64_t occurred_at)
{
    json_put(out, "source", source);
    json_put(out, "type", type);
    if (occurred_at) json_put_time(out, "occurredAt", occurred_at);
}

static void put_entities(struct json_out *out, const struct search_item *item)
{
    json_begin(out, "entities", '[');
    for (size_t i = 0; i < item->entity_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "key", item->entities[i].key);
        json_put(out, "category", item->entities[i].category);
        json_end(out);
    }
    json_end(out);
}

static void put_references(struct json_out *out, const struct search_item *item)
{
    if (item->reference_count == 0) return;
    json_begin(out, "references", '[');
    for (size_t i = 0; i < item->reference_count; i++) {
        const struct search_reference *reference = &item->references[i];
        json_begin(out, NULL, '{');
        json_put(out, "type", reference->type);
        json_put(out, "id", reference->id);
        if (reference->url.n) json_put(out, "url", reference->url);
        if (reference->label.n) json_put(out, "label", reference->label);
        json_end(out);
    }
    json_end(out);
}

void search_write_item(struct json_out *out, const struct search_item *item)
{
    json_put(out, "id", item->id);
    json_put(out, "title", item->title);
    json_put_or_empty(out, "url", item->url);
    json_put_or_empty(out, "snippet", item->snippet);
    json_put(out, "score", item->score);
    put_origin(out, item->source, item->type, item->occurred_at);
    put_entities(out, item);
    put_references(out, item);
    if (item->highlighted) {
        json_begin(out, "highlights", '{');
        json_put(out, "title", item->title_highlight);
        json_put(out, "snippet", item->snippet_highlight);
        json_end(out);
    }
}

void search_write_content(struct json_out *out, const struct search_content *item)
{
    json_put(out, "id", item->id);
    json_put(out, "title", item->title);
    json_put_or_empty(out, "url", item->url);
    json_put_or_empty(out, "snippet", item->snippet);
    json_put_or_empty(out, "content", item->content);
    put_origin(out, item->source, item->type, item->occurred_at);
    json_put_raw(out, "metadata", item->metadata.n ? item->metadata : STR("{}"));
}

void search_write_similar(struct json_out *out, const struct search_similar_item *item)
{
    json_put(out, "id", item->id);
    json_put(out, "title", item->title);
    json_put_or_empty(out, "url", item->url);
    json_put_or_empty(out, "snippet", item->snippet);
    json_put(out, "score", item->score);
    json_put(out, "vectorSimilarity", item->vector);
    if (item->overlap >= 0) json_put(out, "entityOverlap", item->overlap);
    json_put(out, "sameCluster", item->same_cluster);
    put_origin(out, item->source, item->type, item->occurred_at);
}

static void put_node(struct json_out *out, const struct search_node *node)
{
    json_put(out, "id", node->id);
    json_put(out, "title", node->title);
    json_put(out, "source", node->source);
    json_put(out, "type", node->type);
    json_put_time(out, "occurredAt", node->occurred_at);
    json_put_or_null(out, "url", node->url);
}

void search_write_node(struct json_out *out, const struct search_node *node)
{
    put_node(out, node);
    json_put(out, "isRoot", node->root);
}

void search_write_edge(struct json_out *out, const struct search_edge *edge)
{
    json_put(out, "source", edge->source);
    json_put(out, "target", edge->target);
    json_put(out, "type", edge->type);
    json_put_or_null(out, "linkingKey", edge->linking_key);
    json_put(out, "confidence", edge->confidence);
}

static const char *direction(const struct search_relation *relation)
{
    return relation->outgoing ? "outgoing" : "incoming";
}

static const struct search_relation *most_confident(const struct search_related_item *item)
{
    const struct search_relation *best = item->relations;
    for (size_t i = 1; i < item->relation_count; i++)
        if (item->relations[i].confidence > best->confidence) best = &item->relations[i];
    return best;
}

void search_write_related(struct json_out *out, const struct search_related_item *item)
{
    put_node(out, &item->node);
    if (item->relation_count) {
        json_put(out, "relationshipType", most_confident(item)->type);
        json_put(out, "direction", direction(most_confident(item)));
    }
    json_begin(out, "relationships", '[');
    for (size_t i = 0; i < item->relation_count; i++) {
        json_begin(out, NULL, '{');
        json_put(out, "type", item->relations[i].type);
        json_put(out, "direction", direction(&item->relations[i]));
        json_put(out, "confidence", item->relations[i].confidence);
        json_end(out);
    }
    json_end(out);
}
