/* answer.c - deep copies of an answer and the key of a request, for the cache of results. */
#include "search/parts.h"

static struct str *copy_strs(struct arena *arena, const struct str *from, size_t n)
{
    struct str *to = NEW_ARRAY(arena, struct str, n);
    for (size_t i = 0; i < n; i++) to[i] = str_dup(arena, from[i]);
    return to;
}

static struct search_item copy_item(struct arena *arena, const struct search_item *from)
{
    struct search_item to = *from;
    struct str *texts[] = {&to.id,   &to.title, &to.url, &to.snippet, &to.source,
                           &to.type, &to.title_highlight, &to.snippet_highlight};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = str_dup(arena, *texts[i]);
    to.entities = NEW_ARRAY(arena, struct search_entity, from->entity_count);
    for (size_t i = 0; i < from->entity_count; i++)
        to.entities[i] = (struct search_entity){str_dup(arena, from->entities[i].key),
                                                str_dup(arena, from->entities[i].category)};
    to.references = NEW_ARRAY(arena, struct search_reference, from->reference_count);
    for (size_t i = 0; i < from->reference_count; i++) {
        struct search_reference r = from->references[i];
        to.references[i] = (struct search_reference){str_dup(arena, r.type), str_dup(arena, r.id),
                                                     str_dup(arena, r.url), str_dup(arena, r.label)};
    }
    return to;
}

void *answer_copy(struct arena *arena, const void *answer, const void *context)
{
    (void)context;
    const struct search_answer *from = answer;
    struct search_answer       *to = NEW(arena, struct search_answer);
    *to = *from;
    to->items = NEW_ARRAY(arena, struct search_item, from->count);
    for (size_t i = 0; i < from->count; i++) to->items[i] = copy_item(arena, &from->items[i]);
    to->clusters = NEW_ARRAY(arena, struct search_cluster, from->cluster_count);
    for (size_t i = 0; i < from->cluster_count; i++) {
        struct search_cluster c = from->clusters[i];
        to->clusters[i] = (struct search_cluster){str_dup(arena, c.topic), str_dup(arena, c.summary),
                                                  copy_strs(arena, c.keywords, c.keyword_count), c.keyword_count};
    }
    to->actors = NEW_ARRAY(arena, struct search_actor, from->actor_count);
    for (size_t i = 0; i < from->actor_count; i++) {
        struct search_actor a = from->actors[i];
        to->actors[i] = (struct search_actor){str_dup(arena, a.name), copy_strs(arena, a.domains, a.domain_count),
                                              a.domain_count};
    }
    return to;
}

size_t answer_size(const struct search_answer *answer)
{
    size_t size = sizeof *answer;
    for (size_t i = 0; i < answer->count; i++) {
        const struct search_item *item = &answer->items[i];
        size += sizeof *item + item->title.n + item->url.n + item->snippet.n + item->title_highlight.n +
                item->snippet_highlight.n;
        for (size_t k = 0; k < item->entity_count; k++) size += sizeof *item->entities + item->entities[k].key.n;
        for (size_t k = 0; k < item->reference_count; k++)
            size += sizeof *item->references + item->references[k].id.n + item->references[k].url.n;
    }
    return size;
}

/* Lengths stand before texts, so that two requests never share a key. */
static void key_texts(struct buf *key, const struct str *texts, size_t n)
{
    buf_printf(key, "%zu[", n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(key, "%zu:", texts[i].n);
        buf_str_add(key, texts[i]);
    }
}

struct str request_key(struct arena *arena, const struct search_request *request)
{
    const struct search_filters *f = &request->filters;
    struct buf                   key = buf_in(arena);
    buf_printf(&key, "%lld %d %d %d %d%d%d %d:%lld %d:%lld ", (long long)request->workspace, request->limit,
               request->offset, (int)request->mode, request->context, request->highlights, request->collapse,
               f->has_start, (long long)f->start, f->has_end, (long long)f->end);
    key_texts(&key, f->sources, f->source_count);
    key_texts(&key, f->types, f->type_count);
    key_texts(&key, f->actors, f->actor_count);
    key_texts(&key, f->stores, f->store_count);
    key_texts(&key, &request->query, 1);
    return buf_str(&key);
}
