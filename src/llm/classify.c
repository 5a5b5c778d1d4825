/* classify.c - what kind of event this is, by a model (spec/pipeline.md 5). */
#include "llm/inside.h"

#include "base/utf8.h"

enum { BODY_SENT = 1000, TITLE_SENT = 200, LONGEST_TOPIC = 64, LONGEST_REASONING = 200, LONGEST_NAME = 40 };
#define TEMPERATURE 0.2
#define TRUSTED     0.6

static const char *const meanings[TEXT_CATEGORIES] = {
    [TEXT_IS_BUG_FIX] = "corrects wrong behaviour",
    [TEXT_IS_FEATURE] = "adds or extends what the product can do",
    [TEXT_IS_REFACTOR] = "changes structure without changing behaviour; cleanup, chores",
    [TEXT_IS_DOCUMENTATION] = "documentation, comments, guides",
    [TEXT_IS_TESTING] = "tests, coverage, test tools",
    [TEXT_IS_INFRASTRUCTURE] = "build, CI, configuration, containers, hosting",
    [TEXT_IS_SECURITY] = "vulnerabilities, permissions, authentication, secrets",
    [TEXT_IS_PERFORMANCE] = "speed, memory, cost of running",
    [TEXT_IS_INCIDENT] = "an outage, an alert, an emergency and its handling",
    [TEXT_IS_DECISION] = "a decision about how to build or work, and its reasons",
    [TEXT_IS_DISCUSSION] = "a proposal, a question, an exchange of views",
    [TEXT_IS_RELEASE] = "a version is prepared or published",
    [TEXT_IS_DEPLOYMENT] = "a version goes, or fails to go, to an environment",
    [TEXT_IS_OTHER] = "none of the above",
};

static struct str instructions(struct arena *arena)
{
    struct buf text = buf_in(arena);
    buf_lit(&text, "You classify events of software teams: commits, pull requests, issues, deployments, alerts.\n\n"
                   "Categories:\n");
    for (int i = 0; i < TEXT_CATEGORIES; i++)
        buf_printf(&text, "- %s: %s\n", text_category_name((enum text_category)i), meanings[i]);
    buf_lit(&text, "\nRules:\n"
                   "- exactly one primaryCategory; where several fit, the dominant intent wins\n"
                   "- up to 3 secondaryCategories, only where they clearly apply\n"
                   "- up to 5 topics: short lower-case phrases that say what the event is about, not what kind it is\n"
                   "- confidence between 0 and 1; reasoning in at most 200 characters\n\n"
                   "Form: {\"primaryCategory\": \"...\", \"secondaryCategories\": [\"...\"], \"topics\": [\"...\"], "
                   "\"confidence\": 0.0, \"reasoning\": \"...\"}");
    return buf_str(&text);
}

static struct str message(struct arena *arena, const struct llm_event *event)
{
    struct llm_prompt prompt = llm_prompt_begin(arena, STR("Classify this event."));
    llm_prompt_field(&prompt, "source", event->source);
    llm_prompt_field(&prompt, "type", event->source_type);
    llm_prompt_field(&prompt, "title", utf8_head(event->title, TITLE_SENT));
    llm_prompt_field(&prompt, "body", utf8_head(event->body, BODY_SENT));
    return llm_prompt_end(&prompt);
}

/* "Bug Fix" and "bug-fix" are bug_fix. */
static bool read_category(struct arena *arena, struct str name, enum text_category *category)
{
    name = str_lower(arena, name);
    name = str_replace(arena, str_replace(arena, name, STR(" "), STR("_")), STR("-"), STR("_"));
    for (int i = 0; i < TEXT_CATEGORIES; i++)
        if (str_eq(name, str_of(text_category_name((enum text_category)i)))) {
            *category = (enum text_category)i;
            return true;
        }
    return false;
}

static void add_topic(struct llm_classification *result, struct arena *arena, struct str topic)
{
    if (!topic.n || result->topic_count == LLM_MAX_TOPICS) return;
    topic = str_lower(arena, topic);
    for (size_t i = 0; i < result->topic_count; i++)
        if (str_eq(result->topics[i], topic)) return;
    result->topics[result->topic_count++] = topic;
}

static void add_secondary(struct llm_classification *result, enum text_category category)
{
    bool known = category == result->primary || category == TEXT_IS_OTHER;
    for (size_t i = 0; i < result->secondary_count; i++) known |= result->secondary[i] == category;
    if (!known && result->secondary_count < LLM_MAX_SECONDARY) result->secondary[result->secondary_count++] = category;
}

struct err *llm_classification_read(struct arena *arena, const json_value *answer, struct llm_classification *result)
{
    struct str topics[LLM_MAX_TOPICS];
    *result = (struct llm_classification){
        .confidence = llm_confidence(json_get(answer, "confidence")),
        .reasoning = llm_line(arena, json_get(answer, "reasoning"), LONGEST_REASONING),
    };
    if (!read_category(arena, llm_line(arena, json_get(answer, "primaryCategory"), LONGEST_NAME), &result->primary))
        return err_new(arena, ERR_UNAVAILABLE, "the language model's answer names no known category");

    size_t n = llm_lines(arena, json_get(answer, "topics"), LONGEST_TOPIC, topics, LLM_MAX_TOPICS);
    for (size_t i = 0; i < n; i++) add_topic(result, arena, topics[i]);
    for (struct json_iter it = json_iter(json_get(answer, "secondaryCategories")); json_step(&it);) {
        enum text_category category;
        struct str name = llm_line(arena, it.value, LONGEST_TOPIC);
        if (read_category(arena, name, &category))
            add_secondary(result, category);
        else
            add_topic(result, arena, name); /* what is no category is still what it is about */
    }
    return NULL;
}

void llm_classification_write(struct json_out *out, const struct llm_classification *classification)
{
    json_begin(out, NULL, '{');
    json_put(out, "primaryCategory", text_category_name(classification->primary));
    json_begin(out, "secondaryCategories", '[');
    for (size_t i = 0; i < classification->secondary_count; i++)
        json_put(out, NULL, text_category_name(classification->secondary[i]));
    json_end(out);
    json_put_texts(out, "topics", classification->topics, classification->topic_count);
    json_put(out, "confidence", classification->confidence);
    if (classification->reasoning.n) json_put(out, "reasoning", classification->reasoning);
    json_end(out);
}

struct err *llm_classify(struct llm *llm, struct arena *arena, const struct llm_event *event, struct llm_terms terms,
                         struct llm_classification *result, struct llm_usage *usage)
{
    const json_value *answer;
    struct llm_question question = {
        .task = LLM_CLASSIFICATION,
        .temperature = TEMPERATURE,
        .instructions = instructions(arena),
        .message = message(arena, event),
        .terms = terms,
    };
    TRY(llm_question(llm, arena, &question, &answer, usage));
    return llm_classification_read(arena, answer, result);
}

enum text_category llm_primary(const struct llm_classification *classification, enum text_category rules)
{
    return classification->confidence < TRUSTED && rules != TEXT_IS_OTHER ? rules : classification->primary;
}
