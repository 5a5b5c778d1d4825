/* filters.c - what a model may search: within the filters of the question. */
#include "answer/parts.h"

enum { MOST_VALUES = 50 };

static struct err *read_list(struct arena *arena, const json_value *value, const char *name, struct str **list,
                             size_t *n)
{
    const json_value *given = json_get(value, name);
    if (*n || json_is_null(given)) return NULL; /* the question's own list stands */
    if (!json_is_array(given) || json_count(given) > MOST_VALUES)
        return err_new(arena, ERR_INVALID, "filters.%s must be a list of at most %d texts", name, MOST_VALUES);
    *list = NEW_ARRAY(arena, struct str, json_count(given));
    for (struct json_iter it = json_iter(given); json_step(&it);)
        if (json_is_string(it.value)) (*list)[(*n)++] = json_str(it.value, "");
    return NULL;
}

static struct err *read_time(struct arena *arena, const json_value *value, const char *path, bool *has, int64_t *at)
{
    const json_value *given = json_get(value, path);
    if (json_is_null(given)) return NULL;
    *has = time_parse(json_str(given, ""), at);
    if (!*has) return err_new(arena, ERR_INVALID, "filters.%s must be a time such as 2026-02-03T10:30:00Z", path);
    if (str_ends(str_of(path), STR("end")) && json_str(given, "").n == strlen("YYYY-MM-DD")) *at += DAYS(1) - 1;
    return NULL;
}

struct err *filters_read(struct arena *arena, const json_value *value, const struct search_filters *within,
                         struct search_filters *filters)
{
    bool    has_start = false, has_end = false;
    int64_t start = 0, end = 0;
    *filters = *within;
    if (!json_is_null(value) && !json_is_object(value)) return err_new(arena, ERR_INVALID, "filters must be an object");
    TRY(read_list(arena, value, "sourceTypes", &filters->sources, &filters->source_count));
    TRY(read_list(arena, value, "observationTypes", &filters->types, &filters->type_count));
    TRY(read_list(arena, value, "actorNames", &filters->actors, &filters->actor_count));
    TRY(read_time(arena, value, "dateRange.start", &has_start, &start));
    TRY(read_time(arena, value, "dateRange.end", &has_end, &end));
    if (has_start && (!filters->has_start || start > filters->start)) filters->start = start;
    if (has_end && (!filters->has_end || end < filters->end)) filters->end = end;
    filters->has_start |= has_start;
    filters->has_end |= has_end;
    return NULL;
}
