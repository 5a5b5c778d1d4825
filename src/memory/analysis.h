/* analysis.h - what the files of the analysis share: one event, taken apart once. */
#pragma once
#include "json/json.h"
#include "memory/memory.h"

struct analysis {
    struct arena              *arena;
    const struct source_event *event;
    struct memory_analysis    *result;
    struct str                 title;    /* without its "[Label] " */
    struct str                 text;     /* title as it is, line end, body */
    struct str                 family;   /* "pull-request": sourceType up to its first '.' */
    struct str                 repo;     /* "owner/repo" in lower case, empty if unknown */
    const json_value          *metadata; /* an object, or NULL */
    const struct llm_classification *model; /* NULL: the rules alone decide */
    struct text_signs          signs;
};

void analysis_score(struct analysis *analysis);
void analysis_classify(struct analysis *analysis);
void analysis_topics(struct analysis *analysis);   /* after analysis_classify */
void analysis_links(struct analysis *analysis);
void analysis_entities(struct analysis *analysis);

/* The reference names the event's own object (spec/pipeline.md 10). */
bool analysis_is_self(const struct analysis *analysis, const struct source_reference *reference);

/* "owner/repo" of an issue, pull request, branch or commit page, in lower case; empty if the url is none. */
struct str analysis_repo_of_url(struct arena *arena, struct str url);

/* "owner/repo" that "#n" belongs to: from the url, else the event's own. */
struct str analysis_scope(const struct analysis *analysis, struct str url);
