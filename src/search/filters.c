/* filters.c - filters as people write them, made into what the index compares (spec/search-api.md 3.3). */
#include "search/parts.h"
#include "base/utf8.h"

typedef VEC(struct str) text_list;

static void add_once(struct arena *arena, text_list *list, struct str text)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->at[i], text)) return;
    *VEC_PUSH(arena, list) = text;
}

/* ---- people -------------------------------------------------------------------------------------------------------- */

static struct err *find_exact(struct db_tx *tx, int64_t workspace, struct str name, text_list *actors)
{
    struct db_rows rows;
    struct str     actor;
    TRY(db_query(tx, &rows,
                 "SELECT actor_id FROM actor_name WHERE workspace_id = $1 AND name = $2 "
                 "AND kind IN ('full', 'username', 'email')",
                 workspace, name));
    while (db_next(&rows, &actor)) add_once(tx->arena, actors, actor);
    return db_done(&rows);
}

/* As memory takes names apart: runs of letters and digits. */
static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

void filter_split_name(struct arena *arena, struct str name, name_words *words)
{
    for (size_t i = 0, from; i < name.n && words->n < SEARCH_WORDS;) {
        while (i < name.n && !in_word(name.s[i])) i++;
        for (from = i; i < name.n && in_word(name.s[i]);) i++;
        if (i > from) *VEC_PUSH(arena, words) = str_slice(name, from, i);
    }
}

static bool has_word(struct str name, struct str word)
{
    for (size_t at = str_find(name, word, 0); at != SIZE_MAX; at = str_find(name, word, at + 1)) {
        size_t end = at + word.n;
        if ((at == 0 || !in_word(name.s[at - 1])) && (end == name.n || !in_word(name.s[end]))) return true;
    }
    return false;
}

/* Does one name of the actor hold all the words? */
static struct err *check_words(struct db_tx *tx, int64_t workspace, struct str actor, const name_words *words, bool *all)
{
    struct db_rows rows;
    struct str     name;
    *all = false;
    TRY(db_query(tx, &rows, "SELECT name FROM actor_name WHERE workspace_id = $1 AND actor_id = $2 AND kind = 'full'",
                 workspace, actor));
    while (db_next(&rows, &name)) {
        bool holds = true;
        for (size_t i = 0; i < words->n; i++) holds = holds && has_word(name, words->at[i]);
        *all = *all || holds;
    }
    return db_done(&rows);
}

/* "Jelte Fennema" is "Jelte Fennema-Nio": all words of the given name occur in one name of the actor. The longest word
 * has the fewest bearers. */
static struct err *find_by_words(struct db_tx *tx, int64_t workspace, struct str name, text_list *actors)
{
    name_words     words = {0};
    text_list      candidates = {0};
    struct str     longest = {0}, actor;
    struct db_rows rows;
    filter_split_name(tx->arena, name, &words);
    for (size_t i = 0; i < words.n; i++)
        if (words.at[i].n > longest.n) longest = words.at[i];
    if (longest.n == 0) return NULL;
    TRY(db_query(tx, &rows, "SELECT actor_id FROM actor_name WHERE workspace_id = $1 AND name = $2 AND kind = 'word'",
                 workspace, longest));
    while (db_next(&rows, &actor)) add_once(tx->arena, &candidates, actor);
    TRY(db_done(&rows));
    for (size_t i = 0; i < candidates.n; i++) {
        bool all;
        TRY(check_words(tx, workspace, candidates.at[i], &words, &all));
        if (all) add_once(tx->arena, actors, candidates.at[i]);
    }
    return NULL;
}

static struct err *add_actors(struct db_tx *tx, int64_t workspace, const struct search_filters *filters,
                              struct index_filter *filter)
{
    text_list all = {0};
    for (size_t i = 0; i < filters->actor_count; i++) {
        struct str name = str_trim(utf8_repair(tx->arena, filters->actors[i]));
        if (str_starts(name, STR("@"))) name = str_skip(name, 1);
        name = text_fold(tx->arena, name);
        if (name.n == 0) continue;
        text_list found = {0};
        TRY(find_exact(tx, workspace, name, &found));
        if (found.n == 0) TRY(find_by_words(tx, workspace, name, &found));
        for (size_t k = 0; k < found.n; k++) add_once(tx->arena, &all, found.at[k]);
    }
    filter->actors = all.at;
    filter->actor_count = all.n;
    if (filters->actor_count && all.n == 0) filter->no_match = true;
    return NULL;
}

struct err *filter_read(struct db_tx *tx, int64_t workspace, const struct search_filters *filters,
                        struct index_filter *filter)
{
    *filter = (struct index_filter){
        .sources = filters->sources, .source_count = filters->source_count,
        .stores = filters->stores, .store_count = filters->store_count,
        .has_start = filters->has_start, .start = filters->start,
        .has_end = filters->has_end, .end = filters->end,
    };
    return add_actors(tx, workspace, filters, filter);
}

/* ---- types --------------------------------------------------------------------------------------------------------- */

// clang-format off
/* Names that people use for other names; one of them may stand for several. */
static const struct { const char *said, *meant; } aliases[] = {
    {"pr",       "pull_request"},
    {"review",   "pull_request_review"},
    {"comment",  "issue_comment"},
    {"alert",    "event_alert"},
    {"alert",    "metric_alert"},
    {"commit",   "push"},
    {"document", "file"},
};
/* Families whose name begins another family's name or is longer than one word: what a stored type belongs to cannot be
 * seen from its underscores alone. The longest that fits counts. */
static const char *const families[] = {
    "pull_request_review", "pull_request", "issue_comment", "issue", "project_update", "project", "event_alert",
    "metric_alert", "deployment", "release", "discussion", "comment", "cycle", "push", "file",
};
// clang-format on

static struct str normalised(struct arena *arena, struct str type)
{
    struct str trimmed = str_lower(arena, str_trim(type));
    char      *s = (char *)trimmed.s;
    for (size_t i = 0; i < trimmed.n; i++)
        if (s[i] && strchr("-.: ", s[i])) s[i] = '_';
    return str_starts(trimmed, STR("pr_")) ? str_printf(arena, "pull_request" STR_FMT, STR_ARG(str_skip(trimmed, 2)))
                                           : trimmed;
}

static bool begins_family(struct str type, struct str family)
{
    return str_starts(type, family) && (type.n == family.n || type.s[family.n] == '_');
}

/* Is `name` the stored type or its family? */
static bool names_type(struct str name, struct str stored)
{
    if (str_eq(name, stored)) return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (begins_family(stored, str_of(families[i]))) return str_eq(name, str_of(families[i]));
    return name.n && begins_family(stored, name); /* a type of somebody else's: any beginning may be its family */
}

static bool means_type(struct str name, struct str stored)
{
    if (names_type(name, stored)) return true;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (str_eq(name, str_of(aliases[i].said)) && names_type(str_of(aliases[i].meant), stored)) return true;
    return false;
}

struct expansion {
    struct arena *arena;
    struct str    asked; /* normalised */
    text_list    *types;
    text_list     sources;
};

static void expand(void *arg, struct str stored)
{
    struct expansion *e = arg;
    if (means_type(e->asked, stored)) add_once(e->arena, e->types, stored);
}

static void note_source(void *arg, struct str source)
{
    struct expansion *e = arg;
    add_once(e->arena, &e->sources, source);
}

void filter_add_types(struct arena *arena, const struct index *index, const struct search_filters *filters,
                      struct index_filter *filter)
{
    text_list        types = {0};
    struct expansion e = {.arena = arena, .types = &types};
    if (filters->type_count == 0) return;
    index_sources(index, note_source, &e);
    for (size_t i = 0; i < filters->type_count; i++) {
        struct str name = normalised(arena, filters->types[i]);
        e.asked = name;
        index_types(index, expand, &e);
        for (size_t k = 0; k < e.sources.n; k++) { /* "github:pull-request.merged" */
            struct str prefix = str_printf(arena, STR_FMT "_", STR_ARG(normalised(arena, e.sources.at[k])));
            if (!str_starts(name, prefix)) continue;
            e.asked = normalised(arena, str_skip(name, prefix.n));
            index_types(index, expand, &e);
        }
    }
    filter->types = types.at;
    filter->type_count = types.n;
    if (types.n == 0) filter->no_match = true;
}
