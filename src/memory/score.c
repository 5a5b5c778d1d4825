/* score.c - how significant an event is, 0 to 100 (spec/pipeline.md 4). */
#include "memory/analysis.h"

#include "base/utf8.h"

enum { UNKNOWN_TYPE_WEIGHT = 35, REFERENCE_WEIGHT = 3, MOST_FOR_REFERENCES = 15 };

static const struct {
    enum text_signal signal;
    int              weight;
    const char      *factor;
} signal_rows[] = {
    {TEXT_CRITICAL, +20, "critical_keyword"}, {TEXT_INCIDENT, +15, "incident_keyword"},
    {TEXT_IMPORTANT, +10, "important_keyword"}, {TEXT_FEATURE, +8, "feature_keyword"},
    {TEXT_FIX, +5, "fix_keyword"},            {TEXT_ROUTINE, -10, "routine_keyword"},
    {TEXT_TRIVIAL, -15, "trivial_keyword"},   {TEXT_WIP, -10, "wip_keyword"},
};

static const struct {
    size_t      above; /* characters of the body */
    int         weight;
    const char *factor;
} length_rows[] = {
    {500, 5, "substantial_content"},
    {200, 2, "moderate_content"},
};

static void add_factor(struct memory_analysis *result, struct str factor, int weight)
{
    result->factors[result->factor_count++] = factor;
    result->score += weight;
}

/* What a push contains or came from says nothing about its weight. */
static size_t counted_references(const struct source_event *event)
{
    size_t n = 0;
    for (size_t i = 0; i < event->reference_count; i++) {
        struct str label = event->references[i].label;
        n += !str_eq(label, STR("included")) && !str_eq(label, STR("merges"));
    }
    return n;
}

void analysis_score(struct analysis *analysis)
{
    const struct source_event    *event = analysis->event;
    struct memory_analysis       *result = analysis->result;
    const struct source_type_row *type = source_type_find(event->source, event->source_type);
    size_t                        references = counted_references(event), length = utf8_length(event->body);

    result->factors = NEW_ARRAY(analysis->arena, struct str, TEXT_SIGNALS + 3);
    add_factor(result, str_printf(analysis->arena, "base:" STR_FMT, STR_ARG(event->source_type)),
               type ? type->weight : UNKNOWN_TYPE_WEIGHT);
    for (size_t i = 0; i < sizeof signal_rows / sizeof *signal_rows; i++)
        if (analysis->signs.signals & 1u << signal_rows[i].signal)
            add_factor(result, str_of(signal_rows[i].factor), signal_rows[i].weight);
    if (references) {
        int weight = references > MOST_FOR_REFERENCES ? MOST_FOR_REFERENCES : REFERENCE_WEIGHT * (int)references;
        add_factor(result, str_printf(analysis->arena, "references:%zu", references),
                   weight > MOST_FOR_REFERENCES ? MOST_FOR_REFERENCES : weight);
    }
    for (size_t i = 0; i < sizeof length_rows / sizeof *length_rows; i++)
        if (length > length_rows[i].above) {
            add_factor(result, str_of(length_rows[i].factor), length_rows[i].weight);
            break;
        }
    if (result->score < 0) result->score = 0;
    if (result->score > 100) result->score = 100;
}
