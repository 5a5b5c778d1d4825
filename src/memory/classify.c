/* classify.c - categories by rules, and topics (spec/pipeline.md 5). */
#include "memory/analysis.h"

#include "base/utf8.h"

enum { MOST_SECONDARY = 3, MOST_TOPICS = 20, LONGEST_TOPIC = 64 };
#define RULES_CONFIDENCE 0.5

/* The patterns with "^": what a sourceType says. */
static const struct {
    enum text_category category;
    const char        *begins;
} type_rows[] = {
    {TEXT_IS_RELEASE, "release."},        {TEXT_IS_RELEASE, "release_"},       {TEXT_IS_DEPLOYMENT, "deployment."},
    {TEXT_IS_INCIDENT, "event-alert"},    {TEXT_IS_INCIDENT, "metric-alert"},  {TEXT_IS_BUG_FIX, "issue.resolved"},
    {TEXT_IS_DISCUSSION, "discussion."},  {TEXT_IS_DISCUSSION, "discussion_"}, {TEXT_IS_DISCUSSION, "comment."},
    {TEXT_IS_DISCUSSION, "comment_"},
};

static enum text_category named(const char *name)
{
    int i = 0;
    while (i < TEXT_IS_OTHER && strcmp(name, text_category_name((enum text_category)i)) != 0) i++;
    return (enum text_category)i;
}

/* The model's classes take the place of the rules', unless it is unsure and they found one. */
static void take_model(struct analysis *analysis)
{
    struct memory_analysis          *result = analysis->result;
    const struct llm_classification *model = analysis->model;
    enum text_category               rules = named(result->primary);
    if (llm_primary(model, rules) != model->primary) return;
    result->primary = text_category_name(model->primary);
    result->secondary_count = model->secondary_count;
    for (size_t i = 0; i < model->secondary_count; i++) result->secondary[i] = text_category_name(model->secondary[i]);
    result->confidence = model->confidence;
    result->method = "llm";
}
_Static_assert((int)MOST_SECONDARY >= (int)LLM_MAX_SECONDARY, "a model's classes fit");

void analysis_classify(struct analysis *analysis)
{
    struct memory_analysis *result = analysis->result;
    uint32_t                categories = analysis->signs.categories;
    for (size_t i = 0; i < sizeof type_rows / sizeof *type_rows; i++)
        if (str_starts_nocase(analysis->event->source_type, str_of(type_rows[i].begins)))
            categories |= 1u << type_rows[i].category;
    for (int i = 0; i < TEXT_IS_OTHER; i++) {
        if (!(categories & 1u << i)) continue;
        const char *name = text_category_name((enum text_category)i);
        if (!result->primary) result->primary = name;
        else if (result->secondary_count < MOST_SECONDARY) result->secondary[result->secondary_count++] = name;
    }
    if (!result->primary) result->primary = text_category_name(TEXT_IS_OTHER);
    result->confidence = RULES_CONFIDENCE;
    result->method = "rules";
    if (analysis->model) take_model(analysis);
}

static void add_topic(struct analysis *analysis, struct str topic)
{
    struct memory_analysis *result = analysis->result;
    topic = str_trim(utf8_head(str_trim(topic), LONGEST_TOPIC));
    if (!topic.n || result->topic_count == MOST_TOPICS) return;
    topic = str_lower(analysis->arena, topic);
    for (size_t i = 0; i < result->topic_count; i++)
        if (str_eq(result->topics[i], topic)) return;
    result->topics[result->topic_count++] = topic;
}

void analysis_topics(struct analysis *analysis)
{
    const struct source_event *event = analysis->event;
    struct memory_analysis    *result = analysis->result;
    struct str                 keywords[5];
    const char                *words[8];
    result->topics = NEW_ARRAY(analysis->arena, struct str, MOST_TOPICS);

    const struct str *content = analysis->model ? analysis->model->topics : keywords;
    size_t            n = analysis->model ? analysis->model->topic_count : 0;
    if (!n) {
        content = keywords;
        n = text_keywords(analysis->arena, analysis->title, event->body, keywords);
    }
    for (size_t i = 0; i < n; i++) add_topic(analysis, content[i]);
    for (size_t i = 0; i < event->reference_count; i++)
        if (str_eq(event->references[i].type, STR("label"))) add_topic(analysis, event->references[i].id);
    result->content_topics = result->topic_count;

    if (strcmp(result->primary, text_category_name(TEXT_IS_OTHER)) != 0) add_topic(analysis, str_of(result->primary));
    for (size_t i = 0; i < result->secondary_count; i++) add_topic(analysis, str_of(result->secondary[i]));
    n = text_title_words(analysis->title, words);
    for (size_t i = 0; i < n; i++) add_topic(analysis, str_of(words[i]));
    add_topic(analysis, event->source);
    add_topic(analysis, result->observation_type);
}
