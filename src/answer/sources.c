/* sources.c - what was found for an answer: each item has one number, whatever finds it again. */
#include "answer/parts.h"

struct sources sources_in(struct arena *arena)
{
    return (struct sources){.arena = arena, .numbers = map_create(arena)};
}

int sources_find(const struct sources *sources, struct str id)
{
    const int64_t *number = map_find(sources->numbers, id);
    return number ? (int)*number : 0;
}

/* A tool that knows only part of an item must not take away what another one knew. */
static void add_to(struct answer_citation *known, const struct answer_citation *item)
{
    if (!known->url.n) known->url = item->url;
    if (!known->snippet.n) known->snippet = item->snippet;
    if (!known->title.n) known->title = item->title;
    if (item->score > known->score) known->score = item->score;
}

int sources_add(struct sources *sources, const struct answer_citation *item)
{
    int64_t *number = map_at(sources->numbers, item->id);
    if (*number) {
        add_to(&sources->list.at[*number - 1], item);
        return (int)*number;
    }
    struct answer_citation *added = VEC_PUSH(sources->arena, &sources->list);
    *added = *item;
    added->index = (int)sources->list.n;
    *number = added->index;
    return added->index;
}

void sources_cited(const struct sources *sources, const bool *cited, struct answer_result *result)
{
    result->citations = NEW_ARRAY(sources->arena, struct answer_citation, sources->list.n);
    result->citation_count = 0;
    result->considered = sources->list.n;
    for (size_t i = 0; i < sources->list.n; i++)
        if (cited[i]) result->citations[result->citation_count++] = sources->list.at[i];
}
