/* analysis_entities.c - entities of the text and of the references, merged (spec/pipeline.md 6). */
#include "memory/analysis.h"

#include <stdlib.h>

enum { MOST_ENTITIES = 50, SHORT_SHA = 7 };
#define REFERENCE_CONFIDENCE 0.98

enum key_form { KEY_ID, KEY_SHORT_SHA, KEY_BRANCH, KEY_PERSON };
static const struct entity_row {
    const char                *type;
    enum text_entity_category  category;
    enum key_form              form;
} rows[] = {
    {"issue", TEXT_PROJECT, KEY_ID},           {"pr", TEXT_PROJECT, KEY_ID},
    {"project", TEXT_PROJECT, KEY_ID},         {"commit", TEXT_REFERENCE, KEY_SHORT_SHA},
    {"branch", TEXT_REFERENCE, KEY_BRANCH},    {"assignee", TEXT_ENGINEER, KEY_PERSON},
    {"reviewer", TEXT_ENGINEER, KEY_PERSON},   {"deployment", TEXT_REFERENCE, KEY_ID},
    {"cycle", TEXT_REFERENCE, KEY_ID},         {"team", TEXT_REFERENCE, KEY_ID},
    {"label", TEXT_REFERENCE, KEY_ID},
};

/* An entity on its way, with where it was first seen. */
struct found_entity {
    struct memory_entity entity;
    size_t               order;
};
struct found_entities {
    struct found_entity *at;
    size_t               n;
};

static struct str key_of(struct arena *arena, enum key_form form, struct str id)
{
    switch (form) {
    case KEY_SHORT_SHA: return str_slice(id, 0, SHORT_SHA);
    case KEY_BRANCH: return str_printf(arena, "branch:" STR_FMT, STR_ARG(id));
    case KEY_PERSON:
        return str_find_char(id, '@', 1) != SIZE_MAX ? str_lower(arena, id)
               : str_starts(id, STR("@"))            ? id
                                                     : str_printf(arena, "@" STR_FMT, STR_ARG(id));
    case KEY_ID: break;
    }
    return id;
}

/* Highest confidence wins; what the winner lacks it takes from the other. */
static void add_entity(struct found_entities *found, struct memory_entity entity, size_t order)
{
    for (size_t i = 0; i < found->n; i++) {
        struct memory_entity *other = &found->at[i].entity;
        if (!str_eq(other->category, entity.category) || !str_eq_nocase(other->key, entity.key) ||
            !str_eq(other->scope, entity.scope))
            continue;
        struct memory_entity better = entity.confidence > other->confidence ? entity : *other;
        if (!better.value.n) better.value = entity.confidence > other->confidence ? other->value : entity.value;
        *other = better;
        return;
    }
    found->at[found->n++] = (struct found_entity){entity, order};
}

static void add_reference(struct analysis *analysis, struct found_entities *found, const struct source_reference *reference,
                          size_t order)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!str_eq(reference->type, str_of(rows[i].type))) continue;
        struct str key = key_of(analysis->arena, rows[i].form, reference->id);
        bool       numbered = str_starts(key, STR("#")) && rows[i].category == TEXT_PROJECT;
        add_entity(found,
                   (struct memory_entity){
                       .category = str_of(text_entity_name(rows[i].category)),
                       .key = key,
                       .value = rows[i].form == KEY_SHORT_SHA ? reference->id : reference->label,
                       .scope = numbered ? analysis_scope(analysis, reference->url) : (struct str){0},
                       .confidence = REFERENCE_CONFIDENCE,
                       .evidence = str_printf(analysis->arena, "Reference: " STR_FMT, STR_ARG(reference->type)),
                       .method = "reference",
                   },
                   order);
        return;
    }
}

static void add_found_in_text(struct analysis *analysis, struct found_entities *found, const struct text_entity *entity)
{
    add_entity(found,
               (struct memory_entity){
                   .category = str_of(text_entity_name(entity->category)),
                   .key = entity->key,
                   .value = entity->value,
                   .scope = str_starts(entity->key, STR("#")) ? analysis->repo : (struct str){0},
                   .confidence = entity->confidence,
                   .evidence = text_evidence(analysis->arena, analysis->text, entity->at, entity->length),
                   .method = "pattern",
               },
               entity->at);
}

static int compare_found(const void *a, const void *b)
{
    const struct found_entity *x = a, *y = b;
    if (x->entity.confidence != y->entity.confidence) return x->entity.confidence < y->entity.confidence ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

void analysis_entities(struct analysis *analysis)
{
    const struct source_event *event = analysis->event;
    struct memory_analysis    *result = analysis->result;
    struct text_entities       in_text = text_entities(analysis->arena, analysis->text);
    struct found_entities found = {NEW_ARRAY(analysis->arena, struct found_entity, event->reference_count + in_text.n), 0};
    for (size_t i = 0; i < event->reference_count; i++)
        if (!analysis_is_self(analysis, &event->references[i]))
            add_reference(analysis, &found, &event->references[i], analysis->text.n + i);
    for (size_t i = 0; i < in_text.n; i++) add_found_in_text(analysis, &found, &in_text.at[i]);
    if (found.n > 1) qsort(found.at, found.n, sizeof *found.at, compare_found);
    result->entity_count = found.n < MOST_ENTITIES ? found.n : MOST_ENTITIES;
    result->entities = NEW_ARRAY(analysis->arena, struct memory_entity, result->entity_count);
    for (size_t i = 0; i < result->entity_count; i++) result->entities[i] = found.at[i].entity;
}
