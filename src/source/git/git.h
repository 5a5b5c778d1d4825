/* git.h - a repository's history as SourceEvents (spec/connector-github.md 8), read with libgit2.
 *
 * Nothing named in the repository's configuration is ever run, nothing uses the network. Memory: 64 bytes a commit for
 * the first pass, one batch of events for the second.
 */
#pragma once
#include "source/source.h"

struct source_git_options {
    struct str path;        /* a work tree, a bare repository, a worktree */
    struct str repo;        /* --repo, or empty: from the remote */
    struct str branch, rev; /* or empty */
    int64_t    since;       /* ms, 0 = all */
    int64_t    max;         /* commits, 0 = all */
    bool       first_parent, no_pr, no_tags, stat;
    struct str github_web_url; /* "https://github.com" */
};

struct source_git; /* for one thread at a time */
/* Call text_start() and crypto_start() before. Errors: ERR_INVALID "not a git repository: PATH", unknown branch or revision, with a text for people. */
MUST_CHECK struct err *source_git_open(struct arena *arena, struct source_git_options options, struct source_git **git);
void source_git_close(struct source_git *git); /* NULL is fine */

struct source_git_facts {
    struct str repo;     /* R: "owner/name", "host/path" or "local/dir" */
    struct str source;   /* "github" or "git" */
    struct str host, branch, tip; /* tip: full sha, empty for an empty repository */
    struct str path;     /* absolute */
    bool       shallow;
};
/* They live until source_git_close. */
void source_git_facts(const struct source_git *git, struct source_git_facts *facts);

/* First pass: decide what is new since last_sha (empty: everything) and what is a pull request. `tags`: JSON object
 * tag -> commit of the previous import. known_pr(arg, n, &sha): the pull request number n is stored already, as the
 * commit sha (empty: unknown); that commit stays the pull request and others that name it are pushes. Where everything
 * is read and that commit is not there, the newest stands for it, so that what is stored is known again.
 * *rewritten: last_sha is no ancestor of the tip, so everything is read. */
struct source_git_plan {
    struct str last_sha, last_tags;
    bool (*known_pr)(void *arg, int64_t number, struct str *sha);
    void *arg;
};
struct source_git_counts { int64_t commits, tags, pull_requests; bool rewritten; };
MUST_CHECK struct err *source_git_prepare(struct source_git *git, struct arena *arena, struct source_git_plan plan,
                                          struct source_git_counts *counts);

/* Second pass: the next events, at most `limit`, oldest first in topological order, then tags. 0 at the end. They live
 * in `arena`, in stored form (source_event_normalise). *scanned: commits and tags that this call looked at, 0 at the
 * end; *count may be less, for a commit that cannot be read counts in *failed and does not end the walk. */
MUST_CHECK struct err *source_git_next(struct source_git *git, struct arena *arena, size_t limit,
                                       struct source_event *events, size_t *count, int64_t *scanned, int64_t *failed);

/* Tags as JSON object tag -> commit, for the next import. */
struct str source_git_tags(const struct source_git *git, struct arena *arena);
