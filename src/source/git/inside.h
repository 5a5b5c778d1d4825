/* inside.h - what the files of source/git share: objects, the graph of commits, tree comparison, tags.
 *
 * DESIGN. Two passes. The first reads every commit once and keeps 64 bytes of it (struct graph_commit), so that the
 * order, the pull requests and the merges are known before the first event is made. The second reads the commits again
 * in that order and makes the events. Objects are parsed here from their raw bytes: libgit2 finds and inflates them,
 * but its own commit parser refuses malformed signatures that git itself lets pass.
 * The repository is opened bare with an empty configuration: nothing that its config says can have an effect.
 */
#pragma once
#include "base/hash.h"
#include "base/library.h"
#include "source/git/git.h"

#include <assert.h>
#include <git2.h>
#include <git2/sys/repository.h>

enum { GRAPH_NONE = UINT32_MAX, GRAPH_CHUNK = 1 << 14, MAX_PULL_REQUEST = (1 << 26) - 1, MAX_MESSAGE = 1 << 18,
       SUBJECT_RING = 4096, SUBJECT_BYTES = 256, MAX_TREE_DEPTH = 256, MAX_PATHS = 100 };

/* ---- the library (repository.c) ---------------------------------------------------------------------------------- */

// clang-format off
#define LIBGIT2(FUNCTION) \
    FUNCTION(git_, libgit2_init) FUNCTION(git_, libgit2_opts) FUNCTION(git_, error_last) FUNCTION(git_, buf_dispose) \
    FUNCTION(git_, repository_discover) FUNCTION(git_, repository_open_bare) FUNCTION(git_, repository_set_config) \
    FUNCTION(git_, repository_commondir) FUNCTION(git_, repository_odb) FUNCTION(git_, repository_free) \
    FUNCTION(git_, config_new) FUNCTION(git_, config_free) \
    FUNCTION(git_, mailmap_from_buffer) FUNCTION(git_, mailmap_resolve) FUNCTION(git_, mailmap_free) \
    FUNCTION(git_, odb_read) FUNCTION(git_, odb_read_header) FUNCTION(git_, odb_free) \
    FUNCTION(git_, odb_object_data) FUNCTION(git_, odb_object_size) FUNCTION(git_, odb_object_type) \
    FUNCTION(git_, odb_object_id) FUNCTION(git_, odb_object_dup) FUNCTION(git_, odb_object_free) \
    FUNCTION(git_, object_id) FUNCTION(git_, object_free) \
    FUNCTION(git_, oid_cmp) FUNCTION(git_, oid_equal) FUNCTION(git_, oid_fmt) FUNCTION(git_, oid_fromstrn) \
    FUNCTION(git_, oid_is_zero) \
    FUNCTION(git_, reference_lookup) FUNCTION(git_, reference_name_to_id) FUNCTION(git_, reference_symbolic_target) \
    FUNCTION(git_, reference_iterator_glob_new) FUNCTION(git_, reference_iterator_free) FUNCTION(git_, reference_next) \
    FUNCTION(git_, reference_next_name) FUNCTION(git_, reference_free) \
    FUNCTION(git_, revparse_single) FUNCTION(git_, graph_descendant_of) \
    FUNCTION(git_, revwalk_new) FUNCTION(git_, revwalk_push) FUNCTION(git_, revwalk_hide) FUNCTION(git_, revwalk_next) \
    FUNCTION(git_, revwalk_free) \
    FUNCTION(git_, tree_lookup) FUNCTION(git_, tree_entry_byname) FUNCTION(git_, tree_entry_filemode) \
    FUNCTION(git_, tree_entry_id) FUNCTION(git_, tree_entry_type) FUNCTION(git_, tree_free) \
    FUNCTION(git_, blob_lookup) FUNCTION(git_, blob_free) \
    FUNCTION(git_, patch_from_blobs) FUNCTION(git_, patch_line_stats) FUNCTION(git_, patch_free)
// clang-format on
extern struct libgit2 {
    LIBGIT2(LIBRARY_POINTER)
} libgit2;

/* Before anything else: load it and settle what is the process's in it. Errors: ERR_UNAVAILABLE. */
MUST_CHECK struct err *git_start(struct arena *arena);

/* ---- objects (object.c) ------------------------------------------------------------------------------------------ */

struct object_person {
    struct str name, email;
    int64_t    time; /* seconds */
};
/* A commit or tag taken apart; everything points into the object. */
struct object_text {
    struct str           tree;   /* 40 hex digits, of commits */
    struct str           target, target_type, tag; /* of tags */
    struct object_person author, committer; /* a tag's tagger is its committer */
    struct str           encoding;
    struct str           message;
    struct str           parents; /* the "parent" lines */
};
void object_parse(struct str raw, struct object_text *text);
/* The next parent of text->parents; false at the end. */
bool object_parent(struct str *parents, git_oid *id);
/* Valid UTF-8 without NUL, in the arena: by the object's encoding, else UTF-8, else Latin-1. */
struct str object_utf8(struct arena *arena, struct str encoding, struct str text);
/* First line of a message, white space around it removed. */
struct str object_subject(struct str message);

git_odb_object *object_read(struct source_git *git, const git_oid *id, git_object_t type); /* NULL: unreadable */
static inline struct str object_raw(git_odb_object *object)
{
    return (struct str){libgit2.odb_object_data(object), libgit2.odb_object_size(object)};
}
/* Follow tags to a commit; false if *id leads to none. */
bool object_peel(struct source_git *git, git_oid *id);
void object_end(git_odb_object **object);
#define OBJECT_SCOPE __attribute__((cleanup(object_end)))

/* A commit read for making an event: everything in the arena and valid UTF-8. */
struct commit_text {
    git_oid    id, tree, first_parent, second_parent;
    size_t     parent_count;
    struct str author_name, author_email, committer_name, committer_email; /* after .mailmap */
    struct str subject, message;
    int64_t    time; /* ms, committer's */
};
bool commit_read(struct source_git *git, struct arena *arena, const git_oid *id, struct commit_text *commit);
int64_t object_time(const struct source_git *git, int64_t seconds); /* ms within what can be stored, not after now */

struct str git_hex(struct arena *arena, const git_oid *id);
struct err *git_failure(struct arena *arena, enum err_code code, const char *what);

/* ---- the graph (graph.c, pulls.c) -------------------------------------------------------------------------------- */

/* Positions are in order of discovery; GRAPH_NONE means none, or outside of what is imported. */
struct graph_commit {
    int64_t  time; /* seconds */
    git_oid  id;
    uint32_t parents[2];
    uint32_t more;  /* start in graph.more of further parents, ended by GRAPH_NONE; GRAPH_NONE: at most two */
    uint32_t rank;  /* while ordering: children not placed yet; then the place in the order, GRAPH_NONE: none */
    uint32_t via;   /* the merge that brought it to the mainline, the innermost if merges nest */
    uint32_t owner; /* number of the pull request it came through, the outermost; 0: none */
    uint32_t number : 26; /* N of its own subject, 0: none */
    bool     unreadable : 1, merges_branch : 1, pull_request : 1, placed : 1, mainline : 1;
};
_Static_assert(sizeof(struct graph_commit) <= 64, "the first pass keeps 64 bytes a commit");

struct graph {
    struct arena         *arena;
    struct graph_commit **chunks;
    size_t                chunk_capacity;
    uint32_t              n;
    uint32_t             *slots; /* open addressing by id: position + 1 */
    uint32_t              slot_count;
    VEC(uint32_t) more;
    uint32_t *order; /* what is imported, oldest first */
    uint32_t  ordered;
};
void     graph_start(struct graph *graph, struct arena *arena);
uint32_t graph_find(const struct graph *graph, const git_oid *id);
static inline struct graph_commit *graph_at(const struct graph *graph, uint32_t at)
{
    assert(graph->chunks && at < graph->n);
    return &graph->chunks[at / GRAPH_CHUNK][at % GRAPH_CHUNK];
}
/* Parent number i, or GRAPH_NONE (also where a parent is outside). *last: no further parents. */
uint32_t graph_parent(const struct graph *graph, const struct graph_commit *commit, size_t i, bool *last);

/* Read the commits reachable from the tip, not from `since` (NULL: all), and put them in order. Sets git->incremental. */
void graph_read(struct source_git *git, const git_oid *since);

/* "Merge pull request #N from OWNER/BRANCH" or "Title (#N)" in a subject. */
struct pull_subject {
    uint32_t   number;        /* 0: none */
    bool       merges_branch; /* the first form */
    struct str title;         /* of the second form: the subject without " (#N)" */
    struct str owner, branch; /* of the first form */
};
struct pull_subject pull_subject(struct str subject);
/* Which merge brought each commit to the mainline, and through which pull request. */
void pulls_attribute(struct graph *graph, uint32_t tip, struct arena *scratch);
/* Which commit of the order stands for each pull request; returns how many do. */
int64_t pulls_choose(struct graph *graph, const struct source_git_plan *plan, bool incremental, struct arena *scratch);

/* ---- trees (trees.c) --------------------------------------------------------------------------------------------- */

struct tree_cache;
struct tree_cache *tree_cache_create(void);
void               tree_cache_destroy(struct tree_cache *cache);

struct tree_changes {
    struct str paths[MAX_PATHS];
    size_t     path_count;
    int64_t    files, additions, deletions;
    bool       known;       /* false: a tree is missing, nothing can be said */
    bool       lines_known; /* with --stat: every blob was there */
};
/* What changed from tree `before` (NULL: nothing was there) to `after`. */
void trees_compare(struct source_git *git, struct arena *arena, const git_oid *before, const git_oid *after,
                   struct tree_changes *changes);

/* ---- tags (tags.c) ----------------------------------------------------------------------------------------------- */

struct git_tag_row {
    struct str name;
    git_oid    object, commit; /* object: the tag object, or the commit of a lightweight tag */
    bool       annotated, release, wanted;
    int64_t    time; /* seconds; of the tagger or committer */
};
struct git_tags {
    struct git_tag_row *at;
    size_t              n;
    uint32_t           *wanted; /* positions, oldest first */
    size_t              wanted_count;
    struct map         *released; /* ids of commits that a release tag names */
};
struct err *tags_read(struct source_git *git, struct arena *arena);
struct err *tags_choose(struct source_git *git, struct arena *arena, struct str last_tags);
bool        tags_release_at(const struct git_tags *tags, const git_oid *commit);

/* ---- config (config.c) ------------------------------------------------------------------------------------------- */

struct git_remote_name {
    struct str repo, host; /* "owner/name" on the GitHub web host, else "host/path"; {NULL, 0}: no remote */
    bool       github;
};
/* The url of remote "origin", else of the only remote; {NULL, 0} if there is none. */
struct str config_remote_url(struct arena *arena, struct str config);
bool       config_is_sha256(struct str config);
bool       remote_name(struct arena *arena, struct str url, struct str web_url, struct git_remote_name *name);

/* ---- the whole --------------------------------------------------------------------------------------------------- */

struct source_git {
    struct arena             *arena;
    struct source_git_options options;
    struct source_git_facts   facts;
    git_repository           *repository;
    git_odb                  *odb;
    git_mailmap              *mailmap;
    struct tree_cache        *trees;
    size_t                    missing_blobs; /* met while counting lines */
    git_oid                   tip;
    struct graph              graph;
    struct git_tags           tags;
    bool                      incremental, prepared;
    uint32_t                  next_commit;
    size_t                    next_tag;
    int64_t                   now;
    struct str                page; /* "https://github.com/owner/name"; {NULL, 0} unless on GitHub */
    struct recent_subject {
        uint32_t at; /* position in the graph + 1; 0: empty */
        uint32_t n;
        char     bytes[SUBJECT_BYTES];
    } *recent; /* SUBJECT_RING of them, for the lists of what a merge brought */
};

/* Is the commit part of the branch that is imported? */
bool repository_reaches(struct source_git *git, const git_oid *commit);

/* ---- events (compose.c, details.c) ------------------------------------------------------------------------------------------ */

/* An event under construction. */
struct draft {
    struct source_git   *git;
    struct arena        *arena;
    struct source_event *event;
    VEC(struct source_reference) references;
    struct json_out metadata;
    struct str      author_email; /* of the actor, to leave out of the co-authors */
};
enum { LIST_LENGTH = 50, RELEASE_LENGTH = 100, TITLE_LENGTH = 100 };
/* U + path as formatted, {NULL, 0} unless on GitHub. */
struct str draft_url(struct draft *draft, const char *format, ...) __attribute__((format(printf, 2, 3)));
void       draft_refer(struct draft *draft, const char *type, struct str id, struct str url, const char *label);
void       draft_refer_branch(struct draft *draft, struct str branch);
void       draft_refer_commit(struct draft *draft, const git_oid *id, const char *label);
void       draft_refer_pull(struct draft *draft, uint32_t number, const char *label);
void       draft_actor(struct draft *draft, struct str name, struct str email);
/* Closing issues and co-authors of a message, as references and metadata. */
void draft_mentions(struct draft *draft, struct str message);
void draft_changes(struct draft *draft, const struct commit_text *commit);
/* "- subject" of what a merge brought, oldest first; returns how many commits that were. */
size_t draft_merged(struct draft *draft, uint32_t merge, struct buf *body);
void   draft_remember(struct source_git *git, uint32_t at, struct str subject);
bool   draft_finish(struct draft *draft);

bool compose_commit(struct source_git *git, struct arena *arena, uint32_t at, struct source_event *event);
bool compose_tag(struct source_git *git, struct arena *arena, const struct git_tag_row *tag, struct source_event *event);
