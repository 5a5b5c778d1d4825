/* pulls.c - pull requests in the graph: which commit stands for each, and what each brought to the mainline. */
#include "source/git/inside.h"

#include <stdlib.h>

/* ---- subjects (spec/connector-github.md 3.7) --------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static uint32_t pull_number(struct str digits)
{
    int64_t number;
    return digits.n && is_digit(digits.s[0]) && str_to_int(digits, &number) && number > 0 && number <= MAX_PULL_REQUEST
               ? (uint32_t)number
               : 0;
}

static size_t word_end(struct str text)
{
    size_t n = 0;
    while (n < text.n && (unsigned char)text.s[n] > ' ') n++;
    return n;
}

static struct pull_subject merge_subject(struct str rest)
{
    struct pull_subject pull = {.merges_branch = true};
    struct str          number;
    if (!str_cut(&rest, ' ', &number) || !str_starts(rest, STR("from "))) return (struct pull_subject){0};
    rest = str_skip(rest, 5);
    rest = str_slice(rest, 0, word_end(rest));
    pull.branch = rest;
    if (!str_cut(&pull.branch, '/', &pull.owner) || !pull.owner.n || !pull.branch.n) return (struct pull_subject){0};
    pull.number = pull_number(number);
    return pull.number ? pull : (struct pull_subject){0};
}

struct pull_subject pull_subject(struct str subject)
{
    if (str_starts(subject, STR("Merge pull request #"))) {
        struct pull_subject merge = merge_subject(str_skip(subject, 20));
        if (merge.number) return merge;
    }
    if (!str_ends(subject, STR(")"))) return (struct pull_subject){0};
    size_t from = subject.n - 1;
    while (from > 0 && is_digit(subject.s[from - 1])) from--;
    if (from < 3 || memcmp(subject.s + from - 2, "(#", 2) != 0 || (unsigned char)subject.s[from - 3] > ' ')
        return (struct pull_subject){0};
    return (struct pull_subject){.number = pull_number(str_slice(subject, from, subject.n - 1)),
                                 .title = str_trim(str_slice(subject, 0, from - 2))};
}

/* ---- what came through what -------------------------------------------------------------------------------------- */

struct stack {
    uint32_t *at;
    size_t    n;
};

/* A line of first parents, from `at` down to what is placed already; the oldest ends on top of the stack. */
static void push_line(struct graph *graph, struct stack *stack, uint32_t at, struct graph_commit as)
{
    while (at != GRAPH_NONE && !graph_at(graph, at)->placed) {
        struct graph_commit *commit = graph_at(graph, at);
        commit->placed = true;
        commit->mainline = as.mainline;
        commit->via = as.via;
        commit->owner = as.owner;
        stack->at[stack->n++] = at;
        at = commit->parents[0];
    }
}

/* DESIGN. A merge brought what its other parents reach and its first parent does not. Going along the mainline from its
 * oldest commit, everything that the first parent reaches has been placed before, so what is not placed yet is what the
 * merge brought. A branch is a line of first parents again and is treated the same way before the line below it goes
 * on, which finds the innermost merge where merges nest. Of nested pull requests the outermost counts: it was merged
 * into this mainline, while the ones within may have the numbers of a fork. Each commit is pushed once: O(commits +
 * parents). */
void pulls_attribute(struct graph *graph, uint32_t tip, struct arena *scratch)
{
    struct stack stack = {.at = NEW_ARRAY(scratch, uint32_t, graph->n)};
    push_line(graph, &stack, tip, (struct graph_commit){.via = GRAPH_NONE, .mainline = true});
    while (stack.n) {
        uint32_t                   at = stack.at[--stack.n];
        const struct graph_commit *commit = graph_at(graph, at);
        uint32_t owner = commit->owner ? commit->owner : commit->merges_branch ? commit->number : 0;
        bool     last = false;
        for (size_t p = 1; !last; p++)
            push_line(graph, &stack, graph_parent(graph, commit, p, &last),
                      (struct graph_commit){.via = at, .owner = owner});
    }
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The commits that name one pull request, oldest first. */
struct namesakes {
    const uint64_t *at; /* the place in the order is the lower half */
    size_t          n;
};

static struct graph_commit *namesake(const struct graph *graph, struct namesakes named, size_t i)
{
    return graph_at(graph, graph->order[(uint32_t)named.at[i]]);
}

/* Which of them is the pull request; NULL: none. */
static struct graph_commit *choose(const struct graph *graph, const struct source_git_plan *plan, bool incremental,
                                   struct namesakes named)
{
    struct graph_commit *newest = namesake(graph, named, named.n - 1);
    struct str           sha = {0};
    git_oid              id;
    if (!plan->known_pr || !plan->known_pr(plan->arg, newest->number, &sha)) return newest;
    if (sha.n == GIT_OID_HEXSZ && libgit2.oid_fromstrn(&id, sha.s, sha.n) == 0)
        for (size_t i = 0; i < named.n; i++)
            if (libgit2.oid_equal(&namesake(graph, named, i)->id, &id)) return namesake(graph, named, i);
    return incremental ? NULL : newest;
}

/* Number and place in the order as one sortable integer. */
int64_t pulls_choose(struct graph *graph, const struct source_git_plan *plan, bool incremental, struct arena *scratch)
{
    uint64_t *named = NEW_ARRAY(scratch, uint64_t, graph->ordered);
    size_t    n = 0;
    int64_t   chosen = 0;
    for (uint32_t i = 0; i < graph->ordered; i++) {
        const struct graph_commit *commit = graph_at(graph, graph->order[i]);
        if (commit->number) named[n++] = (uint64_t)commit->number << 32 | i;
    }
    qsort(named, n, sizeof *named, by_number);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && named[to] >> 32 == named[from] >> 32;) to++;
        struct graph_commit *commit = choose(graph, plan, incremental, (struct namesakes){named + from, to - from});
        if (!commit) continue;
        commit->pull_request = true;
        chosen++;
    }
    return chosen;
}
