/* issues.c - issues that a message closes or mentions (spec/connector-github.md 3.7, pipeline.md 10). */
#include "text/inside.h"

#include <assert.h>
#include <stdlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MOST_CLOSED = 100, MOST_MENTIONED = 50, LONGEST_TARGET = 400 };

/* What may stand after a closing keyword. All repetitions are bounded, and a target starts where the keyword ends. */
enum target { TARGET_NUMBER, TARGET_URL, TARGET_SENTRY, TARGET_TRACKER, TARGETS };
static const char *const target_patterns[TARGETS] = {
    /* #12, owner/repo#12 */
    [TARGET_NUMBER] = "([A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100})?(#[0-9]{1,10})(?!\\w)",
    /* the rest of a url after the web host */
    [TARGET_URL] = "/([A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100})/(?:issues|pull)/([0-9]{1,10})(?!\\w)",
    [TARGET_SENTRY] = "Sentry[ ]([A-Z][A-Z0-9_-]{0,99}-[0-9A-Z]{1,20})(?!\\w)",
    [TARGET_TRACKER] = "([A-Z][A-Z0-9]{0,29}-[0-9]{1,10})(?!\\w)",
};
static pcre2_code *targets[TARGETS]; /* compiled once by text_issues_start, then only read */

void text_issues_start(void)
{
    for (size_t i = 0; i < TARGETS; i++) {
        int        error;
        PCRE2_SIZE at;
        targets[i] = pcre2_compile((PCRE2_SPTR)target_patterns[i], PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED, &error, &at, NULL);
        assert(targets[i]);
        pcre2_jit_compile(targets[i], PCRE2_JIT_COMPLETE); /* without JIT the interpreter answers the same */
    }
}

/* Groups 0 to 2 of the target at the start of `rest`; groups that took no part are {NULL, 0}. */
static bool match_target(enum target target, struct str rest, struct str groups[3])
{
    pcre2_match_data *match = text_thread()->match;
    rest = str_slice(rest, 0, LONGEST_TARGET);
    int count = pcre2_match(targets[target], (PCRE2_SPTR)rest.s, rest.n, 0, 0, match, NULL);
    if (count <= 0) return false;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(match);
    for (int i = 0; i < 3; i++)
        groups[i] = i < count && at[2 * i] != PCRE2_UNSET ? str_slice(rest, at[2 * i], at[2 * i + 1]) : (struct str){0};
    return true;
}

struct issue_list {
    struct arena *arena;
    size_t        most;
    VEC(struct text_issue) found;
};

static void add_issue(struct issue_list *list, struct text_issue issue)
{
    if (list->found.n == list->most) return;
    for (size_t i = 0; i < list->found.n; i++) {
        const struct text_issue *other = &list->found.at[i];
        if (other->label == issue.label && str_eq(other->id, issue.id) && str_eq_nocase(other->repo, issue.repo)) return;
    }
    *VEC_PUSH(list->arena, &list->found) = issue;
}

/* The target at the start of `rest`; false if there is none. Fills all but the label. */
static bool read_target(struct arena *arena, struct str rest, struct str web_url, struct text_issue *issue)
{
    struct str groups[3];
    *issue = (struct text_issue){0};
    if (web_url.n && str_starts_nocase(rest, web_url)) {
        if (!match_target(TARGET_URL, str_skip(rest, web_url.n), groups)) return false;
        issue->repo = groups[1];
        issue->id = str_printf(arena, "#" STR_FMT, STR_ARG(groups[2]));
        issue->url = str_slice(rest, 0, web_url.n + groups[0].n);
        return true;
    }
    if (match_target(TARGET_NUMBER, rest, groups)) {
        issue->repo = groups[1];
        issue->id = groups[2];
        if (groups[1].n && web_url.n)
            issue->url = str_printf(arena, STR_FMT "/" STR_FMT "/issues/" STR_FMT, STR_ARG(web_url), STR_ARG(groups[1]),
                                    STR_ARG(str_skip(groups[2], 1)));
        return true;
    }
    if (match_target(TARGET_SENTRY, rest, groups) || match_target(TARGET_TRACKER, rest, groups)) {
        issue->id = groups[1];
        return !text_is_standard(str_slice(issue->id, 0, str_find_char(issue->id, '-', 0)));
    }
    return false;
}

static const char *closing_label(uint64_t bits)
{
    if (bits & BIT(BIT_FIXES)) return "fixes";
    if (bits & BIT(BIT_CLOSES)) return "closes";
    return bits & BIT(BIT_RESOLVES) ? "resolves" : NULL;
}

/* \b(fix(?:e[sd])?|close[sd]?|resolve[sd]?)\b:?\s+ and one target */
static void find_closing(struct issue_list *list, struct str text, struct str web_url)
{
    struct text_run   run;
    struct text_issue issue;
    for (size_t at = 0; text_next_run(text, &at, &run) && list->found.n < list->most;) {
        const char *label = closing_label(run.bits);
        if (!label) continue;
        size_t after = run.to + (run.to < text.n && text.s[run.to] == ':');
        size_t start = text_skip_space(text, after);
        if (start == after || start >= text.n || !read_target(list->arena, str_skip(text, start), web_url, &issue)) continue;
        issue.label = label;
        add_issue(list, issue);
    }
}

struct text_issues text_closing_issues(struct arena *arena, struct str text, struct str web_url)
{
    text_start();
    struct issue_list list = {.arena = arena, .most = MOST_CLOSED};
    struct text_prose prose = {.rest = text};
    while (web_url.n && web_url.s[web_url.n - 1] == '/') web_url.n--;
    for (struct str piece; text_next_prose(&prose, &piece);) find_closing(&list, piece, web_url);
    return (struct text_issues){list.found.at, list.found.n};
}

/* "owner/name" that ends where "#12" begins, or {NULL, 0}. */
static struct str repo_before(struct str text, size_t hash)
{
    enum { LONGEST_REPO = 200 };
    size_t from = hash, slashes = 0;
    while (from && hash - from < LONGEST_REPO &&
           (text_is(text.s[from - 1], CLASS_RUN) || strchr("./-", text.s[from - 1]) != NULL))
        slashes += text.s[--from] == '/';
    struct str repo = str_slice(text, from, hash), groups[3];
    if (slashes != 1) return (struct str){0};
    return match_target(TARGET_NUMBER, str_slice(text, from, hash + 12), groups) && str_eq(groups[1], repo)
               ? repo : (struct str){0};
}

static void find_mentioned(struct issue_list *list, struct str text)
{
    struct text_run run;
    size_t          to;
    for (size_t at = 0; text_next_run(text, &at, &run) && list->found.n < list->most;) {
        bool       numbered = run.from && text.s[run.from - 1] == '#' && run.classes == CLASS_DIGIT;
        struct str repo = {0};
        if (text_run_is_ticket(text, &run, &to)) add_issue(list, (struct text_issue){.id = str_slice(text, run.from, to)});
        if (!numbered || run.to - run.from > 6) continue;
        if (!text_run_is_number(text, &run) && !(repo = repo_before(text, run.from - 1)).n) continue;
        add_issue(list, (struct text_issue){.id = str_slice(text, run.from - 1, run.to), .repo = repo});
    }
}

struct text_issues text_mentioned_issues(struct arena *arena, struct str text)
{
    text_start();
    struct issue_list list = {.arena = arena, .most = MOST_MENTIONED};
    struct text_prose prose = {.rest = text};
    for (struct str piece; text_next_prose(&prose, &piece);) find_mentioned(&list, piece);
    return (struct text_issues){list.found.at, list.found.n};
}
