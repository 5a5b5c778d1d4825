/* analysis_links.c - the typed keys by which an event is linked to others (spec/pipeline.md 10). */
#include "memory/analysis.h"

enum { MOST_LISTED_COMMITS = 100, MOST_MENTIONS = 50, LONGEST_KEY = 500 };

struct str analysis_repo_of_url(struct arena *arena, struct str url)
{
    static const char *const pages[] = {"issues", "pull", "discussions", "tree", "commit"};
    size_t                   scheme = str_find(url, STR("://"), 0);
    struct str               rest = str_skip(url, scheme == SIZE_MAX ? url.n : scheme + 3), host, owner, name, page;
    if (!str_cut(&rest, '/', &host) || !str_cut(&rest, '/', &owner) || !str_cut(&rest, '/', &name) ||
        !str_cut(&rest, '/', &page) || !owner.n || !name.n)
        return (struct str){0};
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (str_eq(page, str_of(pages[i])))
            return str_lower(arena, (struct str){owner.s, owner.n + 1 + name.n}); /* they stand side by side */
    return (struct str){0};
}

struct str analysis_scope(const struct analysis *analysis, struct str url)
{
    struct str repo = analysis_repo_of_url(analysis->arena, url);
    return repo.n ? repo : analysis->repo;
}

static bool is(struct str text, const char *word) { return str_eq(text, str_of(word)); }

/* The number in "pr:R#12:merged", "issue:R#12:opened", with its "#"; empty for ids of another form. */
static struct str own_number(struct str source_id)
{
    size_t hash = str_find_char(source_id, '#', 0);
    if (hash == SIZE_MAX || (!str_starts(source_id, STR("pr:")) && !str_starts(source_id, STR("issue:"))))
        return (struct str){0};
    return str_slice(source_id, hash, str_find_char(source_id, ':', hash));
}

bool analysis_is_self(const struct analysis *analysis, const struct source_reference *reference)
{
    const struct source_event *event = analysis->event;
    bool       push = is(analysis->family, "push"), pull_request = is(analysis->family, "pull-request");
    bool       plain = !reference->label.n;
    if (is(reference->type, "commit")) return (push && plain) || (pull_request && (plain || is(reference->label, "merge")));
    if (is(reference->type, "branch")) return (push || pull_request) && plain;
    if (is(reference->type, "deployment")) return is(analysis->family, "deployment") && plain;
    if (is(reference->type, "pr") ? !pull_request : !is(reference->type, "issue") || !is(analysis->family, "issue"))
        return false;
    struct str number = own_number(event->source_id);
    return plain && (!number.n || str_eq(number, reference->id));
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static bool is_number(struct str id)
{
    if (id.n < 2 || id.s[0] != '#') return false;
    for (size_t i = 1; i < id.n; i++)
        if (id.s[i] < '0' || id.s[i] > '9') return false;
    return true;
}

/* "#12" belongs to a repository; "owner/repo#12" names it; everything else is a tracker's own id. */
static struct str issue_key(const struct analysis *analysis, struct str id, struct str repo)
{
    struct arena *arena = analysis->arena;
    size_t        hash = str_find_char(id, '#', 0);
    if (is_number(id)) return str_printf(arena, STR_FMT STR_FMT, STR_ARG(repo), STR_ARG(id));
    if (hash != SIZE_MAX && is_number(str_skip(id, hash)) && str_find_char(id, '/', 0) < hash) return str_lower(arena, id);
    return str_upper(arena, id);
}

static bool is_sha(struct str id)
{
    if (id.n < 7 || id.n > 64) return false;
    for (size_t i = 0; i < id.n; i++)
        if (!strchr("0123456789abcdefABCDEF", id.s[i]) || !id.s[i]) return false;
    return true;
}

/* The spellings of labels that settle an issue, in one form. */
static struct str qualifier_of(struct str label)
{
    static const struct { const char *written, *stored; } forms[] = {
        {"fix", "fixes"},       {"fixed", "fixes"},       {"fixes", "fixes"},       {"close", "closes"},
        {"closed", "closes"},   {"closes", "closes"},     {"resolve", "resolves"},  {"resolved", "resolves"},
        {"resolves", "resolves"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (str_eq_nocase(label, str_of(forms[i].written))) return str_of(forms[i].stored);
    return label;
}

static void add_link(struct memory_analysis *result, struct memory_link link)
{
    link.key = str_slice(link.key, 0, LONGEST_KEY);
    for (size_t i = 0; i < result->link_count; i++) {
        const struct memory_link *other = &result->links[i];
        if (str_eq(other->type, link.type) && str_eq(other->key, link.key) && str_eq(other->scope, link.scope) &&
            str_eq(other->qualifier, link.qualifier) && other->self == link.self)
            return;
    }
    result->links[result->link_count++] = link;
}

static void link_reference(struct analysis *analysis, const struct source_reference *reference)
{
    struct arena      *arena = analysis->arena;
    struct memory_link link = {
        .url = reference->url,
        .qualifier = reference->label,
        .self = analysis_is_self(analysis, reference),
    };
    if (is(reference->type, "commit") && is_sha(reference->id)) {
        link.type = STR("commit");
        link.key = str_lower(arena, reference->id);
    } else if (is(reference->type, "branch")) {
        const struct str heads = STR("refs/heads/");
        link.type = STR("branch");
        link.key = str_lower(arena, str_skip(reference->id, str_starts(reference->id, heads) ? heads.n : 0));
        link.scope = is(analysis->event->source, "linear") ? (struct str){0} : analysis_scope(analysis, reference->url);
    } else if (is(reference->type, "pr") || is(reference->type, "issue")) {
        link.type = STR("issue");
        link.key = issue_key(analysis, reference->id, analysis_scope(analysis, reference->url));
        link.qualifier = qualifier_of(reference->label);
    } else if (is(reference->type, "deployment")) {
        link.type = STR("deployment");
        link.key = reference->id;
    }
    if (link.key.n) add_link(analysis->result, link);
}

static bool is_linked(const struct memory_analysis *result, struct str type, struct str key)
{
    for (size_t i = 0; i < result->link_count; i++)
        if (str_eq(result->links[i].type, type) && str_eq(result->links[i].key, key)) return true;
    return false;
}

/* All commits of a push: references name only some of them. */
static void link_listed_commits(struct analysis *analysis)
{
    size_t left = MOST_LISTED_COMMITS;
    for (struct json_iter it = json_iter(json_get(analysis->metadata, "commits")); left && json_step(&it); left--) {
        struct str sha = json_str(it.value, "sha");
        if (!is_sha(sha)) continue;
        struct memory_link link = {
            .type = STR("commit"), .key = str_lower(analysis->arena, sha), .qualifier = STR("included")};
        if (!is_linked(analysis->result, link.type, link.key)) add_link(analysis->result, link);
    }
}

static void link_mentions(struct analysis *analysis)
{
    struct text_issues issues = text_mentioned_issues(analysis->arena, analysis->text);
    for (size_t i = 0; i < issues.n; i++) {
        struct str repo = issues.at[i].repo.n ? str_lower(analysis->arena, issues.at[i].repo) : analysis->repo;
        struct memory_link link = {.type = STR("issue"), .key = issue_key(analysis, issues.at[i].id, repo)};
        if (!is_linked(analysis->result, link.type, link.key)) add_link(analysis->result, link);
    }
}

void analysis_links(struct analysis *analysis)
{
    const struct source_event *event = analysis->event;
    struct memory_analysis    *result = analysis->result;
    struct memory_link         links[SOURCE_MAX_REFERENCES + MOST_LISTED_COMMITS + MOST_MENTIONS]; /* most have few */
    size_t references = event->reference_count < SOURCE_MAX_REFERENCES ? event->reference_count : SOURCE_MAX_REFERENCES;
    result->links = links;
    for (size_t i = 0; i < references; i++) link_reference(analysis, &event->references[i]);
    if (is(analysis->family, "push")) link_listed_commits(analysis);
    link_mentions(analysis);
    result->links = NEW_ARRAY(analysis->arena, struct memory_link, result->link_count);
    memcpy(result->links, links, result->link_count * sizeof *links);
}
