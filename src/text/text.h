/* text.h - what can be found in a text: terms, words, entities, references, co-authors.
 *
 * Pure functions of their input: no clock, no database. Everything returned points into the text or the arena.
 */
#pragma once
#include "base/err.h"

void text_start(void); /* compile patterns, make word tables; done once, by the first call of any function here */

/* ---- terms: what keyword search compares (spec/search-api.md 3.1, "cover") ------------------------------------- */

/* One occurrence of a searchable word: hash of its stem (or of a whole identifier), and where it stands. A split
 * identifier yields the whole and each part, all with their own span. */
struct text_term {
    uint64_t hash;
    uint32_t from, to; /* bytes of the text */
    bool     stop;     /* on Snowball's stop list: not a term of queries; items do not store it */
    bool     part;     /* a part of the identifier that encloses it */
};
struct text_terms {
    struct text_term *at;
    size_t            n;
};

/* Words in order of appearance: case and accents folded, English stems, identifiers whole and split (camelCase,
 * snake_case, paths, dots). */
struct text_terms text_terms(struct arena *arena, struct str text);

/* The hash that `whole` has when it must match as one piece: ids, file paths ("src/net/tcp.c"), "#12". It is the hash
 * that text_terms gives to the same identifier as a whole; marks around it do not matter. */
uint64_t text_whole_term(struct str whole);

/* Sort, drop duplicates and stop words: the form in which an item is stored. Returns the new length. */
size_t text_term_set(const struct text_terms *terms, uint64_t *out);

/* Case- and accent-folded copy, for comparing names. */
struct str text_fold(struct arena *arena, struct str text);

/* ---- words: tables of plain words and short patterns, found in one pass --------------------------------------- */

/* Which rows of the tables of spec/pipeline.md 4 (signals) and 5 (classification) the text touches: bit i = row i. */
struct text_signs {
    uint32_t signals;    /* bits: enum text_signal */
    uint32_t categories; /* bits: enum text_category, from the text patterns only (not those that test the type) */
};
enum text_signal {
    TEXT_CRITICAL, TEXT_INCIDENT, TEXT_IMPORTANT, TEXT_FEATURE, TEXT_FIX, TEXT_ROUTINE, TEXT_TRIVIAL, TEXT_WIP,
    TEXT_SIGNALS
};
enum text_category { /* in the order of the rule table: the first that matches is primary */
    TEXT_IS_RELEASE, TEXT_IS_DEPLOYMENT, TEXT_IS_SECURITY, TEXT_IS_INCIDENT, TEXT_IS_BUG_FIX, TEXT_IS_FEATURE,
    TEXT_IS_PERFORMANCE, TEXT_IS_TESTING, TEXT_IS_DOCUMENTATION, TEXT_IS_INFRASTRUCTURE, TEXT_IS_REFACTOR,
    TEXT_IS_DISCUSSION, TEXT_IS_DECISION, TEXT_IS_OTHER, TEXT_CATEGORIES
};
struct text_signs text_signs(struct str title, struct str body);
const char       *text_category_name(enum text_category category); /* "bug_fix" */

/* The title words of the topic rule: fix, feat, refactor, test, docs, chore, ci, perf, as a list. */
size_t text_title_words(struct str title, const char *out[8]);

/* Keywords without a language model (pipeline.md 5): at most 5, lower-case, best first. */
size_t text_keywords(struct arena *arena, struct str title, struct str body, struct str out[5]);

/* ---- entities (pipeline.md 6) ------------------------------------------------------------------------------------ */

enum text_entity_category {
    TEXT_ENGINEER, TEXT_PROJECT, TEXT_ENDPOINT, TEXT_CONFIG, TEXT_DEFINITION, TEXT_SERVICE, TEXT_REFERENCE
};
const char *text_entity_name(enum text_entity_category category); /* "engineer" */

struct text_entity {
    enum text_entity_category category;
    struct str key;      /* "#12", "@ada", "POST /v1/search" */
    struct str value;    /* {NULL, 0}: none */
    double     confidence;
    size_t     at, length; /* the match within the text */
};
struct text_entities {
    struct text_entity *at;
    size_t              n;
};
/* By pattern, guards and black list applied, merged by category and lower-case key, best 50 by confidence, then first
 * occurrence. */
struct text_entities text_entities(struct arena *arena, struct str text);

/* The match with 50 characters on each side, "..." where cut, white space collapsed. */
struct str text_evidence(struct arena *arena, struct str text, size_t at, size_t length);

/* Names after "@" in a text (mentions), without the "@"; at most 20. */
size_t text_mentions(struct str text, struct str out[20]);

/* ---- references in messages (connector-github.md 3.7) ----------------------------------------------------------- */

struct text_issue {
    const char *label; /* "fixes", "closes", "resolves", or NULL for a plain mention */
    struct str  id;    /* "#12" or "ENG-42" or a Sentry short id */
    struct str  repo;  /* "owner/name" when the text names another repository, else {NULL, 0} */
    struct str  url;   /* when the text gives one */
};
struct text_issues {
    struct text_issue *at;
    size_t             n;
};
/* Targets of closing keywords, at most 100, without repetitions. web_url: "https://github.com". Fenced code blocks are
 * not searched. "#12" has neither repo nor url: they are the caller's own; "owner/name#12" gets a url from web_url. */
struct text_issues text_closing_issues(struct arena *arena, struct str text, struct str web_url);

/* "#n" and "ABC-n" anywhere (pipeline.md 10), not in fenced code; at most 50. */
struct text_issues text_mentioned_issues(struct arena *arena, struct str text);

struct text_person {
    struct str name, email;
    struct str login; /* of id+login@users.noreply.github.com, else {NULL, 0} */
    struct str id;    /* numeric GitHub id of such an address, else {NULL, 0} */
};
struct text_people {
    struct text_person *at;
    size_t              n;
};
/* Co-authored-by trailers, in order, without duplicates (by e-mail) and "[bot]" accounts; at most 100. Leaving out the
 * event's own actor is the caller's part. */
struct text_people text_coauthors(struct arena *arena, struct str text);

/* Take a GitHub noreply address apart: login and id of "123+ada@users.noreply.github.com". False for other addresses. */
bool text_noreply(struct str email, struct str *login, struct str *id);

/* The first period that a text names, in UTC: "in 2023", "March 2021", "first half of 2022", "since 2020-05-01", "before
 * 2019", "last week", "past 3 months". False if there is none. Bounds are inclusive; INT64_MIN and INT64_MAX are open. */
struct text_period { int64_t start, end; };
bool text_period(struct str text, int64_t now, struct text_period *period);

/* Title without the "[Label] " that connectors write in front. */
struct str text_without_label(struct str title);
