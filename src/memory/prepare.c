/* prepare.c - everything about an event that needs no database: normal form, analysis, terms, vectors, JSON columns. */
#include "memory/parts.h"

struct str memory_json_list(struct arena *arena, const struct str *at, size_t n)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < n; i++) json_put_str(&out, NULL, at[i]);
    json_end(&out);
    return json_out_text(&out);
}

static struct str actor_json(struct arena *arena, const struct source_actor *actor)
{
    if (!actor->id.s) return (struct str){NULL, 0};
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put_str(&out, "id", actor->id);
    if (actor->name.s) json_put_str(&out, "name", actor->name);
    if (actor->email.s) json_put_str(&out, "email", actor->email);
    if (actor->avatar_url.s) json_put_str(&out, "avatarUrl", actor->avatar_url);
    json_end(&out);
    return json_out_text(&out);
}

static struct str references_json(struct arena *arena, const struct source_event *event)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < event->reference_count; i++) {
        const struct source_reference *reference = &event->references[i];
        json_begin(&out, NULL, '{');
        json_put_str(&out, "type", reference->type);
        json_put_str(&out, "id", reference->id);
        if (reference->url.s) json_put_str(&out, "url", reference->url);
        if (reference->label.s) json_put_str(&out, "label", reference->label);
        json_end(&out);
    }
    json_end(&out);
    return json_out_text(&out);
}

static void json_columns(struct arena *arena, struct prepared_event *item)
{
    const struct memory_analysis *analysis = &item->analysis;
    struct str secondary[3];
    for (size_t i = 0; i < analysis->secondary_count; i++) secondary[i] = str_of(analysis->secondary[i]);
    item->secondary = memory_json_list(arena, secondary, analysis->secondary_count);
    item->topics = memory_json_list(arena, analysis->topics, analysis->topic_count);
    item->factors = memory_json_list(arena, analysis->factors, analysis->factor_count);
    item->references = references_json(arena, &item->event);
    item->actor = actor_json(arena, &item->event.actor);
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

/* Identifiers that must be found as one piece although they stand in no sentence. */
static void whole_terms_of_references(struct arena *arena, const struct source_event *event, struct text_terms *terms)
{
    for (size_t i = 0; i < event->reference_count; i++) {
        struct str id = event->references[i].id;
        bool       commit = str_eq(event->references[i].type, STR("commit"));
        terms->at[terms->n++].hash = text_whole_term(id);
        if (commit && id.n > 7) terms->at[terms->n++].hash = text_whole_term(str_slice(id, 0, 7));
    }
}

enum { MAX_PATHS = 100 };

static void whole_terms_of_paths(const json_value *paths, struct text_terms *terms)
{
    size_t left = MAX_PATHS;
    for (struct json_iter it = json_iter(paths); left && json_step(&it); left--) {
        struct str path = json_str(it.value, "");
        if (path.n == 0) continue;
        size_t name = path.n;
        while (name > 0 && path.s[name - 1] != '/') name--;
        terms->at[terms->n++].hash = text_whole_term(path);
        if (name > 0 && name < path.n) terms->at[terms->n++].hash = text_whole_term(str_skip(path, name));
    }
}

/* The words of an event take ten times the room of its terms: they live in `scratch` and are gone afterwards. */
static void terms_of(struct arena *arena, struct arena *scratch, struct prepared_event *item)
{
    const struct source_event *event = &item->event;
    struct str        text = str_two_lines(scratch, text_without_label(event->title), event->body);
    struct text_terms words = text_terms(scratch, text);
    size_t            most = words.n + 2 * (event->reference_count + MAX_PATHS);
    struct text_terms all = {.at = arena_alloc_raw(scratch, sizeof *all.at * (most + 1)), .n = words.n};
    if (words.n) memcpy(all.at, words.at, sizeof *words.at * words.n);
    memset(all.at + words.n, 0, sizeof *all.at * (most - words.n));
    whole_terms_of_references(arena, event, &all);
    whole_terms_of_paths(json_get(item->metadata, "paths"), &all);
    uint64_t *terms = arena_alloc_raw(scratch, sizeof *terms * (all.n + 1));
    item->term_count = text_term_set(&all, terms);
    item->terms = NEW_ARRAY(arena, uint64_t, item->term_count);
    memcpy(item->terms, terms, item->term_count * sizeof *terms);
    arena_reset(scratch);
}

static void entity_hashes(struct arena *arena, struct prepared_event *item)
{
    const struct memory_analysis *analysis = &item->analysis;
    item->entities = NEW_ARRAY(arena, uint64_t, analysis->entity_count);
    for (size_t i = 0; i < analysis->entity_count; i++) {
        const struct memory_entity *entity = &analysis->entities[i];
        item->entities[i] = index_entity_hash(entity->category, entity->key, entity->scope);
    }
}

/* ---- vectors ----------------------------------------------------------------------------------------------------- */

static const char *status_of(const struct err *err)
{
    if (!err) return "ready";
    return err->code == ERR_INVALID ? "failed" : "pending";
}

static void embed_here(struct memory *memory, struct arena *arena, struct memory_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct prepared_event *item = &batch->events[i];
        if (item->refused.s) continue;
        item->embedding_status = status_of(embed_item(memory->embed, arena, text_without_label(item->event.title),
                                                      item->event.body, &item->views));
    }
}

enum { TEXTS_A_CALL = 64 }; /* below what every provider accepts in one request */

/* A provider that is asked over the network gets the views of many items in one request. Its window is larger than a
 * stored body, so the full view is one vector. */
static void embed_far(struct memory *memory, struct arena *arena, struct memory_batch *batch)
{
    for (size_t from = 0; from < batch->count; from += TEXTS_A_CALL / 2) {
        struct str             texts[TEXTS_A_CALL];
        struct prepared_event *owners[TEXTS_A_CALL];
        size_t                 n = 0;
        for (size_t i = from; i < batch->count && i < from + TEXTS_A_CALL / 2; i++) {
            struct prepared_event *item = &batch->events[i];
            if (item->refused.s) continue;
            struct str title = text_without_label(item->event.title);
            owners[n] = item;
            texts[n++] = title;
            if (item->event.body.n == 0) continue;
            owners[n] = item;
            texts[n++] = str_two_lines(arena, title, item->event.body);
        }
        struct embed_vector *vectors = NEW_ARRAY(arena, struct embed_vector, n);
        struct err          *err = n ? embed_texts(memory->embed, arena, false, texts, n, vectors) : NULL;
        for (size_t i = 0; i < n; i++) {
            struct embed_views *views = &owners[i]->views;
            owners[i]->embedding_status = status_of(err);
            if (err || !vectors[i].x) continue;
            if (!views->at) views->at = NEW_ARRAY(arena, struct embed_vector, 2);
            views->at[views->n++] = vectors[i];
            views->mean = vectors[i];
            views->full = views->n - 1;
        }
    }
}

void prepared_embed(struct memory *memory, struct arena *arena, struct memory_batch *batch)
{
    batch->embedding = memory->embed && embed_enabled(memory->embed);
    for (size_t i = 0; i < batch->count; i++) batch->events[i].embedding_status = "disabled";
    if (!batch->embedding) return;
    if (embed_inline(memory->embed)) embed_here(memory, arena, batch);
    else embed_far(memory, arena, batch);
    batch->model = embed_model(memory->embed);
    batch->dim = embed_dim(memory->embed);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static struct str family_of(struct str source_type)
{
    size_t dot = str_find_char(source_type, '.', 0);
    return dot == SIZE_MAX ? source_type : str_slice(source_type, 0, dot);
}

void prepare_event(struct arena *arena, struct arena *scratch, const struct source_event *event,
                   struct prepared_event *item)
{
    item->event = *event;
    struct err *err = source_event_normalise(arena, &item->event);
    if (err) {
        item->refused = err_text(arena, err);
        return;
    }
    const json_value *metadata = NULL;
    if (item->event.metadata.n && !json_parse(arena, item->event.metadata, &metadata) && json_is_object(metadata))
        item->metadata = metadata;
    else
        item->event.metadata = STR("{}");
    item->family = family_of(item->event.source_type);
    memory_analyse(arena, &item->event, &item->analysis);
    json_columns(arena, item);
    terms_of(arena, scratch, item);
    entity_hashes(arena, item);
}

/* Entities and terms do not depend on the class. */
void prepared_classify(struct arena *arena, struct prepared_event *item, const struct llm_classification *model)
{
    memory_analyse_by(arena, &item->event, model, &item->analysis);
    json_columns(arena, item);
}

struct err *memory_prepare(struct memory *memory, struct arena *arena, struct memory_capture capture,
                           struct memory_batch **out)
{
    struct memory_batch *batch = NEW(arena, struct memory_batch);
    batch->workspace = capture.workspace;
    batch->ingestion = capture.ingestion;
    batch->history = capture.ingestion == SOURCE_BACKFILL || capture.ingestion == SOURCE_MANUAL;
    batch->count = capture.count;
    batch->events = NEW_ARRAY(arena, struct prepared_event, capture.count);
    struct arena *scratch ARENA_SCOPE = arena_create();
    for (size_t i = 0; i < capture.count; i++) prepare_event(arena, scratch, &capture.events[i], &batch->events[i]);
    prepared_embed(memory, arena, batch);
    *out = batch;
    return NULL;
}
