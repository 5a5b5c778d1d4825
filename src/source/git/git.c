/* git.c - the two passes. */
#include "source/git/inside.h"

/* The commit where the last import ended, if the tip still grows from it. */
static bool find_since(struct source_git *git, struct str last_sha, git_oid *since)
{
    if (last_sha.n != GIT_OID_HEXSZ || libgit2.oid_fromstrn(since, last_sha.s, last_sha.n) != 0) return false;
    return libgit2.oid_equal(since, &git->tip) || libgit2.graph_descendant_of(git->repository, &git->tip, since) == 1;
}

struct err *source_git_prepare(struct source_git *git, struct arena *arena, struct source_git_plan plan,
                               struct source_git_counts *counts)
{
    struct arena *scratch ARENA_SCOPE = arena_create();
    git_oid               since;
    *counts = (struct source_git_counts){0};
    git->next_commit = 0;
    git->next_tag = 0;
    git->recent = NEW_ARRAY(git->arena, struct recent_subject, SUBJECT_RING);
    if (str_eq(git->facts.source, STR("github")))
        git->page =
            str_printf(git->arena, STR_FMT "/" STR_FMT, STR_ARG(git->options.github_web_url), STR_ARG(git->facts.repo));
    if (git->facts.tip.n) {
        bool grown = find_since(git, plan.last_sha, &since);
        counts->rewritten = plan.last_sha.n && !grown;
        graph_read(git, grown ? &since : NULL);
        counts->commits = git->graph.ordered;
        counts->pull_requests = pulls_choose(&git->graph, &plan, git->incremental, scratch);
    }
    TRY(tags_read(git, arena));
    TRY(tags_choose(git, arena, counts->rewritten ? (struct str){0} : plan.last_tags));
    counts->tags = (int64_t)git->tags.wanted_count;
    git->prepared = true;
    return NULL;
}

struct err *source_git_next(struct source_git *git, struct arena *arena, size_t limit, struct source_event *events,
                            size_t *count, int64_t *scanned, int64_t *failed)
{
    *count = 0;
    *scanned = *failed = 0;
    if (!git->prepared) return err_new(arena, ERR_INTERNAL, "the import was not prepared");
    while (*count < limit) {
        bool made;
        if (git->next_commit < git->graph.ordered)
            made = compose_commit(git, arena, git->graph.order[git->next_commit++], &events[*count]);
        else if (git->next_tag < git->tags.wanted_count)
            made = compose_tag(git, arena, &git->tags.at[git->tags.wanted[git->next_tag++]], &events[*count]);
        else
            break;
        ++*scanned;
        if (made)
            ++*count;
        else
            ++*failed;
    }
    return NULL;
}
