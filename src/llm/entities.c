/* entities.c - things named in a text that patterns cannot catch, by a model (spec/pipeline.md 6, LLM extraction). */
#include "llm/inside.h"

#include "base/utf8.h"

enum {
    BODY_SENT = 10000,
    TITLE_SENT = 200,
    LONGEST_KEY = 500,
    SHORTEST_KEY = 2,
    LONGEST_EVIDENCE = 200,
    LONGEST_NAME = 40
};
#define TEMPERATURE      0.2
#define LEAST_CONFIDENCE 0.65

enum { CATEGORIES = TEXT_REFERENCE + 1 };
static const char *const meanings[CATEGORIES] = {
    [TEXT_ENGINEER] = "a person who works on the software, named in prose",
    [TEXT_PROJECT] = "a project, an issue, a pull request, a feature with a name",
    [TEXT_ENDPOINT] = "an HTTP endpoint or API operation",
    [TEXT_CONFIG] = "a setting, an environment variable, a feature flag",
    [TEXT_DEFINITION] = "a file, a module, a type, a function, a concept of the code or the domain",
    [TEXT_SERVICE] = "a running service, a database, a queue, a third party's product",
    [TEXT_REFERENCE] = "a commit, a branch, a deployment, a document that is referred to",
};

static struct str instructions(struct arena *arena)
{
    struct buf text = buf_in(arena);
    buf_lit(&text, "You find the entities that a software team's event names.\n\nCategories:\n");
    for (int i = 0; i < CATEGORIES; i++)
        buf_printf(&text, "- %s: %s\n", text_entity_name((enum text_entity_category)i), meanings[i]);
    buf_printf(
        &text,
        "\nRules:\n"
        "- few and clearly stated ones, at most %d; none is a good answer\n"
        "- what patterns cannot catch: names of services, people named in prose, concepts; leave out #12, ENG-12, "
        "@name, paths, URLs and commit hashes\n"
        "- key: lower-case words joined by hyphens, taken from the text; value: as the text writes it\n"
        "- confidence between 0 and 1; reasoning in at most 200 characters\n\n"
        "Form: {\"entities\": [{\"category\": \"...\", \"key\": \"...\", \"value\": \"...\", \"confidence\": 0.0, "
        "\"reasoning\": \"...\"}]}",
        LLM_MAX_ENTITIES);
    return buf_str(&text);
}

static struct str message(struct arena *arena, struct str title, struct str body)
{
    struct llm_prompt prompt = llm_prompt_begin(arena, STR("Find the entities of this event."));
    llm_prompt_field(&prompt, "title", utf8_head(title, TITLE_SENT));
    llm_prompt_field(&prompt, "body", utf8_head(body, BODY_SENT));
    return llm_prompt_end(&prompt);
}

/* ---- the words of the text: what shares none with it was made up ------------------------------------------------- */

struct words {
    uint64_t *at;
    size_t n;
};

static struct words words_of(struct arena *arena, struct str text)
{
    struct text_terms terms = text_terms(arena, text);
    struct words words = {.at = NEW_ARRAY(arena, uint64_t, terms.n)};
    words.n = text_term_set(&terms, words.at);
    return words;
}

static bool share_a_word(struct words a, struct words b)
{
    for (size_t i = 0, j = 0; i < a.n && j < b.n;) {
        if (a.at[i] == b.at[j]) return true;
        if (a.at[i] < b.at[j])
            i++;
        else
            j++;
    }
    return false;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static bool read_category(struct arena *arena, const json_value *value, enum text_entity_category *category)
{
    struct str name = str_lower(arena, llm_line(arena, value, LONGEST_NAME));
    for (int i = 0; i < CATEGORIES; i++)
        if (str_eq(name, str_of(text_entity_name((enum text_entity_category)i)))) {
            *category = (enum text_entity_category)i;
            return true;
        }
    return false;
}

static struct str evidence(struct arena *arena, const json_value *value, enum text_entity_category category)
{
    struct str reasoning = llm_line(arena, json_get(value, "reasoning"), LONGEST_EVIDENCE);
    return reasoning.n ? reasoning : str_printf(arena, "LLM extracted: %s", text_entity_name(category));
}

/* A key that is too long names nothing, and a part of it would name something else. */
static bool read_entity(struct arena *arena, const json_value *value, struct llm_entity *entity)
{
    *entity = (struct llm_entity){.confidence = llm_confidence(json_get(value, "confidence"))};
    if (entity->confidence < LEAST_CONFIDENCE) return false;
    if (!read_category(arena, json_get(value, "category"), &entity->category)) return false;
    entity->key = llm_line(arena, json_get(value, "key"), LONGEST_KEY + 1);
    size_t length = utf8_length(entity->key);
    if (length < SHORTEST_KEY || length > LONGEST_KEY) return false;
    entity->value = llm_line(arena, json_get(value, "value"), LONGEST_KEY);
    if (!entity->value.n) entity->value = (struct str){0};
    entity->evidence = evidence(arena, value, entity->category);
    return true;
}

static bool in_text(struct arena *arena, struct words known, const struct llm_entity *entity)
{
    return share_a_word(known, words_of(arena, entity->key)) || share_a_word(known, words_of(arena, entity->value));
}

/* Of one category and key the surest stays, where it stood first. */
static void add_entity(struct llm_entities *result, struct llm_entity entity)
{
    for (size_t i = 0; i < result->n; i++) {
        struct llm_entity *known = &result->at[i];
        if (known->category != entity.category || !str_eq_nocase(known->key, entity.key)) continue;
        if (entity.confidence > known->confidence) *known = entity;
        return;
    }
    if (result->n < LLM_MAX_ENTITIES) result->at[result->n++] = entity;
}

/* known NULL: whatever it is. */
static struct err *read_entities(struct arena *arena, const json_value *answer, const struct words *known,
                                 struct llm_entities *result)
{
    const json_value *list = json_get(answer, "entities");
    *result = (struct llm_entities){0};
    if (!json_is_array(list)) return err_new(arena, ERR_UNAVAILABLE, "the language model's answer holds no entities");
    for (struct json_iter it = json_iter(list); json_step(&it);) {
        struct llm_entity entity;
        if (read_entity(arena, it.value, &entity) && (!known || in_text(arena, *known, &entity)))
            add_entity(result, entity);
    }
    return NULL;
}

struct err *llm_entities_read(struct arena *arena, const json_value *value, struct llm_entities *entities)
{
    return read_entities(arena, value, NULL, entities);
}

void llm_entities_write(struct json_out *out, const struct llm_entities *entities)
{
    json_begin(out, NULL, '{');
    json_begin(out, "entities", '[');
    for (size_t i = 0; i < entities->n; i++) {
        const struct llm_entity *entity = &entities->at[i];
        json_begin(out, NULL, '{');
        json_put(out, "category", text_entity_name(entity->category));
        json_put(out, "key", entity->key);
        if (entity->value.n) json_put(out, "value", entity->value);
        json_put(out, "confidence", entity->confidence);
        json_put(out, "reasoning", entity->evidence);
        json_end(out);
    }
    json_end(out);
    json_end(out);
}

struct err *llm_entities(struct llm *llm, struct arena *arena, struct str title, struct str body,
                         struct llm_terms terms, struct llm_entities *result, struct llm_usage *usage)
{
    const json_value *answer;
    struct llm_question question = {
        .task = LLM_ENTITIES,
        .temperature = TEMPERATURE,
        .instructions = instructions(arena),
        .message = message(arena, title, body),
        .terms = terms,
    };
    TRY(llm_question(llm, arena, &question, &answer, usage));
    struct str text = str_two_lines(arena, title, body);
    struct words known = words_of(arena, text);
    return read_entities(arena, answer, &known, result);
}
