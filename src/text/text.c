/* text.c - start, the state of a thread, names of categories, titles. */
#include "text/inside.h"

#include <assert.h>
#include <libstemmer.h>
#include <pthread.h>
#include <stdlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static pthread_once_t started = PTHREAD_ONCE_INIT;
static pthread_key_t  thread_key; /* only for its destructor; `own` is what is read */
static __thread struct text_thread *own;

static void thread_end(void *state)
{
    struct text_thread *thread = state;
    sb_stemmer_delete(thread->stemmer);
    pcre2_match_data_free(thread->match);
    free(thread);
    own = NULL;
}

static void start_once(void)
{
    text_words_start();
    text_issues_start();
    int failed = pthread_key_create(&thread_key, thread_end);
    assert(!failed);
}

void text_start(void)
{
    pthread_once(&started, start_once);
}

struct text_thread *text_thread(void)
{
    if (own) return own;
    text_start();
    struct text_thread *thread = calloc(1, sizeof *thread);
    assert(thread);
    thread->stemmer = sb_stemmer_new("english", "UTF_8");
    thread->match = pcre2_match_data_create(16, NULL);
    assert(thread->stemmer && thread->match);
    pthread_setspecific(thread_key, thread);
    return own = thread;
}

const char *text_category_name(enum text_category category)
{
    static const char *const names[TEXT_CATEGORIES] = {
        [TEXT_IS_RELEASE] = "release",
        [TEXT_IS_DEPLOYMENT] = "deployment",
        [TEXT_IS_SECURITY] = "security",
        [TEXT_IS_INCIDENT] = "incident",
        [TEXT_IS_BUG_FIX] = "bug_fix",
        [TEXT_IS_FEATURE] = "feature",
        [TEXT_IS_PERFORMANCE] = "performance",
        [TEXT_IS_TESTING] = "testing",
        [TEXT_IS_DOCUMENTATION] = "documentation",
        [TEXT_IS_INFRASTRUCTURE] = "infrastructure",
        [TEXT_IS_REFACTOR] = "refactor",
        [TEXT_IS_DISCUSSION] = "discussion",
        [TEXT_IS_DECISION] = "decision",
        [TEXT_IS_OTHER] = "other",
    };
    assert(category < TEXT_CATEGORIES);
    return names[category];
}

const char *text_entity_name(enum text_entity_category category)
{
    static const char *const names[] = {
        [TEXT_ENGINEER] = "engineer", [TEXT_PROJECT] = "project",       [TEXT_ENDPOINT] = "endpoint",
        [TEXT_CONFIG] = "config",     [TEXT_DEFINITION] = "definition", [TEXT_SERVICE] = "service",
        [TEXT_REFERENCE] = "reference",
    };
    assert(category <= TEXT_REFERENCE);
    return names[category];
}

struct str text_without_label(struct str title)
{
    enum { LONGEST_LABEL = 60 };
    if (!str_starts(title, STR("["))) return title;
    size_t end = str_find_char(str_slice(title, 0, LONGEST_LABEL), ']', 1);
    if (end == SIZE_MAX || end == 1 || !str_starts(str_skip(title, end + 1), STR(" "))) return title;
    struct str rest = str_trim(str_skip(title, end + 1));
    return rest.n ? rest : title;
}

/* ---- fences ------------------------------------------------------------------------------------------------------ */

/* Length of the fence that opens a line (``` or ~~~, three or more, indented by at most three blanks), 0 if none. */
static size_t fence_of(struct str line, char *mark, struct str *after)
{
    size_t indent = 0, n = 0;
    while (indent < line.n && line.s[indent] == ' ') indent++;
    struct str rest = str_skip(line, indent);
    if (indent > 3 || !rest.n || (rest.s[0] != '`' && rest.s[0] != '~')) return 0;
    while (n < rest.n && rest.s[n] == rest.s[0]) n++;
    *mark = rest.s[0];
    *after = str_skip(rest, n);
    return n >= 3 ? n : 0;
}

/* Where the block that a fence opened ends: after its closing line, or at the end of the text. */
static struct str after_block(struct str rest, size_t opened, char mark)
{
    struct str line, after;
    char       closing;
    while (str_cut(&rest, '\n', &line)) {
        size_t n = fence_of(line, &closing, &after);
        if (n >= opened && closing == mark && !str_trim(after).n) return rest;
    }
    return rest;
}

/* By single marks, of which texts have few: memchr reads many times as fast as memmem. */
static bool has_three(struct str text, char mark)
{
    for (size_t at = 0; (at = str_find_char(text, mark, at)) != SIZE_MAX && at + 2 < text.n; at++)
        if (text.s[at + 1] == mark && text.s[at + 2] == mark) return true;
    return false;
}

bool text_next_prose(struct text_prose *prose, struct str *piece)
{
    struct str whole = prose->rest;
    if (!whole.n) return false;
    if (!prose->has_fences) prose->has_fences = has_three(whole, '`') || has_three(whole, '~');
    *piece = whole;
    prose->rest = (struct str){0};
    if (!prose->has_fences) return true;
    struct str rest = whole, line, after;
    char       mark;
    for (size_t from = 0; str_cut(&rest, '\n', &line); from = rest.s ? (size_t)(rest.s - whole.s) : whole.n) {
        size_t opened = fence_of(line, &mark, &after);
        /* the text after a fence of backticks holds none, else it is inline code */
        if (!opened || (mark == '`' && str_find_char(after, '`', 0) != SIZE_MAX)) continue;
        *piece = str_slice(whole, 0, from);
        prose->rest = after_block(rest, opened, mark);
        return true;
    }
    return true;
}
