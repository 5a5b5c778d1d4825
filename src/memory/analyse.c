/* analyse.c - the analysis of one event, step by step. */
#include "memory/analysis.h"

/* The repository in "push:R:<sha>", "pr:R#12:merged", "release:R:v1": where metadata does not name it. */
static struct str repo_of_source_id(struct str id)
{
    static const char *const prefixes[] = {"push:", "pr:", "issue:", "release:", "discussion:", "review:", "comment:"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!str_starts(id, str_of(prefixes[i]))) continue;
        struct str rest = str_skip(id, strlen(prefixes[i]));
        size_t     hash = str_find_char(rest, '#', 0), colon = str_find_char(rest, ':', 0);
        rest = str_slice(rest, 0, hash < colon ? hash : colon);
        return str_find_char(rest, '/', 0) == SIZE_MAX ? (struct str){0} : rest;
    }
    return (struct str){0};
}

static struct str repo_of_event(struct arena *arena, const struct source_event *event, const json_value *metadata)
{
    struct str repo = json_str(metadata, "repoFullName");
    bool       git = str_eq(event->source, STR("github")) || str_eq(event->source, STR("git"));
    if (!repo.n && git) repo = repo_of_source_id(event->source_id);
    return str_lower(arena, repo);
}

/* metadata.url, else the page of the object that the event is about; a branch only if there is nothing better. */
static struct str url_of(const struct analysis *analysis)
{
    struct str url = json_str(analysis->metadata, "url"), branch = {0};
    for (size_t i = 0; i < analysis->result->link_count && !url.n; i++) {
        const struct memory_link *link = &analysis->result->links[i];
        if (!link->self) continue;
        if (!str_eq(link->type, STR("branch"))) url = link->url;
        else if (!branch.n) branch = link->url;
    }
    return url.n ? url : branch;
}

void memory_analyse_by(struct arena *arena, const struct source_event *event, const struct llm_classification *model,
                       struct memory_analysis *result)
{
    *result = (struct memory_analysis){0};
    struct analysis analysis = {
        .arena = arena,
        .event = event,
        .result = result,
        .model = model,
        .title = text_without_label(event->title),
        .text = str_two_lines(arena, event->title, event->body),
        .family = str_slice(event->source_type, 0, str_find_char(event->source_type, '.', 0)),
    };
    if (event->metadata.n && json_parse(arena, event->metadata, &analysis.metadata)) analysis.metadata = NULL;
    if (!json_is_object(analysis.metadata)) analysis.metadata = NULL;
    analysis.repo = repo_of_event(arena, event, analysis.metadata);
    analysis.signs = text_signs(analysis.title, event->body);
    result->observation_type = source_observation_type(arena, event->source_type);
    analysis_score(&analysis);
    analysis_classify(&analysis);
    analysis_topics(&analysis);
    analysis_links(&analysis);
    analysis_entities(&analysis);
    result->url = url_of(&analysis);
}

void memory_analyse(struct arena *arena, const struct source_event *event, struct memory_analysis *result)
{
    memory_analyse_by(arena, event, NULL, result);
}
