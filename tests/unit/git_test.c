#include "check.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"
#include "source/git/git.h"
#include "text/text.h"

#include <ftw.h>
#include <git2.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- repositories made for a test -------------------------------------------------------------------------------- */

struct history {
    struct arena   *arena;
    char            path[64];
    git_repository *repository;
    git_odb        *odb;
    git_index      *files; /* what the next commit holds */
    int64_t         clock;
};

static int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    return remove(path);
}

static void history_end(struct history *history)
{
    git_index_free(history->files);
    git_odb_free(history->odb);
    git_repository_free(history->repository);
    nftw(history->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
#define HISTORY __attribute__((cleanup(history_end))) struct history

static struct history history_begin(struct arena *arena, bool bare)
{
    struct history history = {.arena = arena, .path = "/tmp/lightfast-git-XXXXXX", .clock = 1600000000};
    check(mkdtemp(history.path) != NULL);
    git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
    options.flags = GIT_REPOSITORY_INIT_MKPATH | (bare ? GIT_REPOSITORY_INIT_BARE : 0);
    options.initial_head = "main";
    check_int(git_repository_init_ext(&history.repository, history.path, &options), 0);
    check_int(git_repository_odb(&history.odb, history.repository), 0);
    check_int(git_index_new(&history.files), 0);
    return history;
}

static void put_entry(struct history *history, const char *path, const char *content, uint32_t mode)
{
    git_index_entry entry = {.mode = mode, .path = path};
    git_object_t    type = GIT_OBJECT_BLOB;
    if (mode == GIT_FILEMODE_COMMIT)
        git_oid_fromstr(&entry.id, "1234567890123456789012345678901234567890");
    else
        check_int(git_odb_write(&entry.id, history->odb, content, strlen(content), type), 0);
    check_int(git_index_add(history->files, &entry), 0);
}

static void put_file(struct history *history, const char *path, const char *content)
{
    put_entry(history, path, content, GIT_FILEMODE_BLOB);
}

static void remove_file(struct history *history, const char *path)
{
    check_int(git_index_remove_bypath(history->files, path), 0);
}

struct made {
    struct str     message;
    const git_oid *parents[8]; /* ends at NULL */
    const char    *author, *email, *committer, *headers; /* headers: further lines */
    int64_t        time;
};

static git_oid write_commit(struct history *history, struct made made)
{
    git_oid    id, tree;
    struct buf raw = buf_in(history->arena);
    char       hex[GIT_OID_HEXSZ + 1] = {0};
    int64_t    time = made.time ? made.time : (history->clock += 60);
    check_int(git_index_write_tree_to(&tree, history->files, history->repository), 0);
    git_oid_fmt(hex, &tree);
    buf_printf(&raw, "tree %s\n", hex);
    for (size_t i = 0; i < 8 && made.parents[i]; i++) {
        git_oid_fmt(hex, made.parents[i]);
        buf_printf(&raw, "parent %s\n", hex);
    }
    const char *author = made.author ? made.author : "Ada", *email = made.email ? made.email : "Ada@Example.org";
    buf_printf(&raw, "author %s <%s> %ld +0200\n", author, email, (long)time - 10);
    buf_printf(&raw, "committer %s <c@example.org> %ld +0000\n", made.committer ? made.committer : "Carl", (long)time);
    buf_printf(&raw, "%s\n", made.headers ? made.headers : "");
    buf_str_add(&raw, made.message);
    check_int(git_odb_write(&id, history->odb, raw.s, raw.n, GIT_OBJECT_COMMIT), 0);
    return id;
}

static git_oid commit(struct history *history, const char *message, const git_oid *first, const git_oid *second)
{
    return write_commit(history, (struct made){.message = str_of(message), .parents = {first, second}});
}

static void point(struct history *history, const char *reference, const git_oid *id)
{
    git_reference *made = NULL;
    check_int(git_reference_create(&made, history->repository, reference, id, 1, NULL), 0);
    git_reference_free(made);
}

static void point_to_name(struct history *history, const char *reference, const char *target)
{
    git_reference *made = NULL;
    check_int(git_reference_symbolic_create(&made, history->repository, reference, target, 1, NULL), 0);
    git_reference_free(made);
}

static void annotate(struct history *history, const char *tag, const git_oid *id, const char *message)
{
    char hex[GIT_OID_HEXSZ + 1] = {0};
    git_oid_fmt(hex, id);
    git_oid    object;
    struct str raw =
        str_printf(history->arena,
                   "object %s\ntype commit\ntag %s\ntagger Tess <77+tess@users.noreply.github.com> %ld +0000\n\n%s",
                   hex, tag, (long)(history->clock += 60), message);
    check_int(git_odb_write(&object, history->odb, raw.s, raw.n, GIT_OBJECT_TAG), 0);
    point(history, str_z(history->arena, str_printf(history->arena, "refs/tags/%s", tag)), &object);
}

static void write_text(struct history *history, const char *name, const char *text)
{
    const char *path = str_z(history->arena, str_printf(history->arena, "%s/%s", history->path, name));
    FILE       *file = fopen(path, "w");
    check(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void set_remote(struct history *history, const char *url)
{
    write_text(history, "config",
               str_z(history->arena,
                     str_printf(history->arena, "[core]\n\tbare = true\n[remote \"origin\"]\n\turl = %s\n", url)));
}

/* ---- imports ----------------------------------------------------------------------------------------------------- */

struct imported {
    struct source_git_facts  facts;
    struct source_git_counts counts;
    struct source_event     *events;
    size_t                   n;
    int64_t                  scanned, failed;
    struct str               tags;
};

static struct imported import_with(struct history *history, struct source_git_options options,
                                   struct source_git_plan plan)
{
    struct imported    imported = {0};
    struct source_git *git = NULL;
    struct arena      *arena = history->arena;
    VEC(struct source_event) all = {0};
    if (!options.path.n) options.path = str_of(history->path);
    if (!options.github_web_url.s) options.github_web_url = STR("https://github.com");
    check_ok(source_git_open(arena, options, &git));
    source_git_facts(git, &imported.facts);
    imported.facts.repo = str_dup(arena, imported.facts.repo);
    imported.facts.branch = str_dup(arena, imported.facts.branch);
    imported.facts.host = str_dup(arena, imported.facts.host);
    imported.facts.tip = str_dup(arena, imported.facts.tip);
    imported.facts.path = str_dup(arena, imported.facts.path);
    check_ok(source_git_prepare(git, arena, plan, &imported.counts));
    for (int64_t scanned = 1, failed; scanned;) {
        struct source_event batch[3];
        size_t              count;
        check_ok(source_git_next(git, arena, 3, batch, &count, &scanned, &failed));
        for (size_t i = 0; i < count; i++) *VEC_PUSH(arena, &all) = batch[i];
        imported.scanned += scanned;
        imported.failed += failed;
    }
    imported.tags = source_git_tags(git, arena);
    source_git_close(git);
    imported.events = all.at;
    imported.n = all.n;
    return imported;
}

static struct imported import(struct history *history)
{
    return import_with(history, (struct source_git_options){0}, (struct source_git_plan){0});
}

static struct str hex_of(struct arena *arena, const git_oid *id)
{
    char *hex = arena_alloc(arena, GIT_OID_HEXSZ + 1);
    git_oid_fmt(hex, id);
    return str_of(hex);
}

static const json_value *metadata_of(struct arena *arena, const struct source_event *event)
{
    const json_value *value;
    check_ok(json_parse(arena, event->metadata, &value));
    return value;
}

/* The event of a commit; there must be exactly one. */
static const struct source_event *event_of(struct arena *arena, const struct imported *imported, const git_oid *id)
{
    const struct source_event *found = NULL;
    for (size_t i = 0; i < imported->n; i++) {
        const struct source_event *event = &imported->events[i];
        if (str_eq(event->source_type, STR("release.published"))) continue;
        if (!str_eq(json_str(metadata_of(arena, event), "commitSha"), hex_of(arena, id))) continue;
        check(found == NULL);
        found = event;
    }
    check(found != NULL);
    return found;
}

static const struct source_event *event_named(const struct imported *imported, const char *source_id)
{
    for (size_t i = 0; i < imported->n; i++)
        if (str_eq(imported->events[i].source_id, str_of(source_id))) return &imported->events[i];
    return NULL;
}

/* NULL: no such reference. label NULL: one without label. */
static const struct source_reference *reference(const struct source_event *event, const char *type, const char *id,
                                                const char *label)
{
    for (size_t i = 0; i < event->reference_count; i++) {
        const struct source_reference *found = &event->references[i];
        if (str_eq(found->type, str_of(type)) && str_eq(found->id, str_of(id)) &&
            str_eq(found->label, label ? str_of(label) : STR("")))
            return found;
    }
    return NULL;
}

static int64_t file_count(struct arena *arena, const struct source_event *event)
{
    return json_int(metadata_of(arena, event), "fileCount", -1);
}

static struct str paths(struct arena *arena, const struct source_event *event)
{
    struct buf text = buf_in(arena);
    for (struct json_iter it = json_iter(json_get(metadata_of(arena, event), "paths")); json_step(&it);)
        buf_printf(&text, "%s" STR_FMT, text.n ? " " : "", STR_ARG(json_str(it.value, "")));
    return buf_str(&text);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static struct err *opened(struct arena *arena, struct source_git_options options)
{
    struct source_git *git = NULL;
    struct err        *err = source_git_open(arena, options, &git);
    if (!err) source_git_close(git);
    return err;
}

TEST(open, what_is_no_repository_is_named)
{
    HISTORY     history = history_begin(arena, false);
    const char *path = str_z(arena, str_printf(arena, "%s/nothing", history.path));
    struct err *err = opened(arena, (struct source_git_options){.path = str_of(path)});
    check(err && err->code == ERR_INVALID);
    check_str(err->message, str_z(arena, str_printf(arena, "not a git repository: %s", path)));
    check_err(opened(arena, (struct source_git_options){.path = STR("/proc")}), ERR_INVALID);
    check_err(opened(arena, (struct source_git_options){0}), ERR_INVALID);
}

TEST(open, an_empty_repository_is_no_error)
{
    HISTORY         history = history_begin(arena, false);
    struct imported imported = import(&history);
    check_int(imported.n, 0);
    check_int(imported.scanned, 0);
    check_int(imported.counts.commits, 0);
    check_int(imported.facts.tip.n, 0);
    check_str(imported.facts.branch, "main");
    check_str(imported.tags, "{}");
}

TEST(open, a_path_inside_the_work_tree_will_do)
{
    HISTORY history = history_begin(arena, false);
    git_oid only = commit(&history, "only", NULL, NULL);
    point(&history, "refs/heads/main", &only);
    const char *inner = str_z(arena, str_printf(arena, "%s/sub", history.path));
    check_int(mkdir(inner, 0700), 0);
    struct imported imported =
        import_with(&history, (struct source_git_options){.path = str_of(inner)}, (struct source_git_plan){0});
    check_int(imported.n, 1);
    check_str(imported.facts.path, history.path);
    check_str(imported.facts.repo, str_z(arena, str_printf(arena, "local/%s", history.path + 5)));
}

TEST(open, a_bare_repository_without_config_will_do)
{
    HISTORY history = history_begin(arena, true);
    git_oid only = commit(&history, "only", NULL, NULL);
    point(&history, "refs/heads/main", &only);
    check_int(unlink(str_z(arena, str_printf(arena, "%s/config", history.path))), 0);
    check_int(import(&history).n, 1);
}

/* From libgit2 1.6 on, opening reads the file once (for the object format): it must be readable then. */
#if LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR < 6
#define UNREADABLE "[extensions]\n\tunheardOf = true\n[broken\n\""
#else
#define UNREADABLE ""
#endif

TEST(open, what_the_configuration_includes_or_names_has_no_effect)
{
    HISTORY history = history_begin(arena, true);
    git_oid only = commit(&history, "only", NULL, NULL);
    point(&history, "refs/heads/main", &only);
    write_text(&history, "other", "[remote \"origin\"]\n\turl = https://github.com/in/cluded\n");
    write_text(&history, "config",
               "[include]\n\tpath = other\n[core]\n\tworktree = /nowhere\n\tfsmonitor = /bin/false\n" UNREADABLE);
    struct imported imported = import(&history);
    check_int(imported.n, 1);
    check_str(imported.facts.source, "git");
}

TEST(open, sha256_repositories_are_refused_with_a_reason)
{
    HISTORY history = history_begin(arena, true);
    write_text(&history, "config", "[extensions]\n\tobjectFormat = sha256\n");
    struct err *err = opened(arena, (struct source_git_options){.path = str_of(history.path)});
    check(err && err->code == ERR_INVALID && str_find(err->message, STR("SHA-256"), 0) != SIZE_MAX);
}

TEST(open, the_remote_names_the_repository)
{
    static const struct { const char *url, *repo, *source, *host;
    } expected[] = {
        {"git@github.com:acme/api.git", "acme/api", "github", "github.com"},
        {"https://github.com/Acme/API", "Acme/API", "github", "github.com"},
        {"https://user:secret@github.com/acme/api.git/", "acme/api", "github", "github.com"},
        {"ssh://git@ssh.github.com:443/acme/api.git", "acme/api", "github", "github.com"},
        {"\"https://github.com/acme/api\"", "acme/api", "github", "github.com"},
        {"https://github.com/acme/api # ours", "acme/api", "github", "github.com"},
        {"https://gitlab.example.org/group/sub/api.git", "gitlab.example.org/group/sub/api", "git",
         "gitlab.example.org"},
        {"git@git.example.org:api", "git.example.org/api", "git", "git.example.org"},
        {"https://github.com/only", "github.com/only", "git", "github.com"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        HISTORY history = history_begin(arena, true);
        set_remote(&history, expected[i].url);
        struct imported imported = import(&history);
        check_str(imported.facts.repo, expected[i].repo);
        check_str(imported.facts.source, expected[i].source);
        check_str(imported.facts.host, expected[i].host);
    }
}

TEST(open, the_only_remote_stands_in_for_origin)
{
    HISTORY history = history_begin(arena, true);
    write_text(&history, "config", "[remote \"up\"]\n\tfetch = x\n\turl = git@github.com:a/b\n");
    check_str(import(&history).facts.repo, "a/b");
    write_text(&history, "config",
               "[remote \"up\"]\n\turl = git@github.com:a/b\n[remote \"down\"]\n\turl = git@github.com:c/d\n");
    check(str_starts(import(&history).facts.repo, STR("local/")));
}

TEST(open, the_repository_can_be_named_by_hand)
{
    HISTORY history = history_begin(arena, true);
    git_oid only = commit(&history, "only", NULL, NULL);
    point(&history, "refs/heads/main", &only);
    struct imported imported =
        import_with(&history, (struct source_git_options){.repo = STR("acme/api")}, (struct source_git_plan){0});
    check_str(imported.events[0].source_id,
              str_z(arena, str_printf(arena, "push:acme/api:" STR_FMT, STR_ARG(hex_of(arena, &only)))));
}

/* ---- branches and revisions -------------------------------------------------------------------------------------- */

TEST(branch, the_default_of_the_remote_comes_before_the_current_one)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b", &a, NULL);
    point(&history, "refs/heads/main", &b);
    point(&history, "refs/remotes/origin/trunk", &a);
    point_to_name(&history, "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk");
    struct imported imported = import(&history);
    check_str(imported.facts.branch, "trunk");
    check_int(imported.n, 1);
    check(reference(&imported.events[0], "branch", "trunk", NULL) != NULL);
}

TEST(branch, can_be_chosen_and_must_exist)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b", &a, NULL);
    point(&history, "refs/heads/main", &b);
    point(&history, "refs/remotes/origin/old", &a);
    struct imported imported =
        import_with(&history, (struct source_git_options){.branch = STR("old")}, (struct source_git_plan){0});
    check_int(imported.n, 1);
    check_str(imported.facts.branch, "old");
    struct err *err = opened(arena, (struct source_git_options){.path = str_of(history.path), .branch = STR("none")});
    check(err && err->code == ERR_INVALID);
    check_str(err->message, "unknown branch: none");
}

TEST(branch, any_revision_can_be_the_tip)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b", &a, NULL),
            c = commit(&history, "c", &b, NULL);
    point(&history, "refs/heads/main", &c);
    struct imported imported =
        import_with(&history, (struct source_git_options){.rev = STR("HEAD~1")}, (struct source_git_plan){0});
    check_int(imported.n, 2);
    check_str(imported.facts.tip, hex_of(arena, &b).s);
    check_str(imported.facts.branch, "main");
    check_err(opened(arena, (struct source_git_options){.path = str_of(history.path), .rev = STR("HEAD~9")}),
              ERR_INVALID);
}

TEST(branch, a_detached_head_has_none)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL);
    check_int(git_repository_set_head_detached(history.repository, &a), 0);
    struct imported imported = import(&history);
    check_int(imported.n, 1);
    check_int(imported.facts.branch.n, 0);
    for (size_t i = 0; i < imported.events[0].reference_count; i++)
        check(!str_eq(imported.events[0].references[i].type, STR("branch")));
}

TEST(branch, a_head_that_names_nothing_asks_for_a_choice)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL);
    point(&history, "refs/heads/other", &a);
    check_err(opened(arena, (struct source_git_options){.path = str_of(history.path)}), ERR_INVALID);
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

TEST(order, every_commit_once_parents_first)
{
    HISTORY history = history_begin(arena, true);
    git_oid root = commit(&history, "root", NULL, NULL);
    git_oid left = commit(&history, "left", &root, NULL), right = commit(&history, "right", &root, NULL);
    /* a child whose clock was wrong: older than its parent */
    git_oid early = write_commit(&history, (struct made){.message = STR("early"), .parents = {&right}, .time = 1000});
    git_oid merge = commit(&history, "Merge branch 'right'", &left, &early);
    point(&history, "refs/heads/main", &merge);
    struct imported imported = import(&history);
    const git_oid  *order[] = {&root, &right, &early, &left, &merge};
    check_int(imported.n, 5);
    check_int(imported.scanned, 5);
    check_int(imported.counts.commits, 5);
    for (size_t i = 0; i < 5; i++)
        check_str(json_str(metadata_of(arena, &imported.events[i]), "commitSha"), hex_of(arena, order[i]).s);
}

TEST(order, several_roots_and_an_octopus)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b", NULL, NULL),
            c = commit(&history, "c", NULL, NULL), d = commit(&history, "d", NULL, NULL);
    git_oid octopus = write_commit(&history, (struct made){.message = STR("Merge all"), .parents = {&a, &b, &c, &d}});
    point(&history, "refs/heads/main", &octopus);
    struct imported imported = import(&history);
    check_int(imported.n, 5);
    check_str(event_of(arena, &imported, &octopus)->body, "Merge all\n\n- d\n- c\n- b");
}

TEST(order, first_parent_keeps_to_the_mainline)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), side = commit(&history, "side", &a, NULL),
            b = commit(&history, "b", &a, NULL);
    git_oid merge = commit(&history, "Merge branch 'side'", &b, &side);
    point(&history, "refs/heads/main", &merge);
    struct imported imported =
        import_with(&history, (struct source_git_options){.first_parent = true}, (struct source_git_plan){0});
    check_int(imported.n, 3);
    check_str(event_of(arena, &imported, &merge)->body, "Merge branch 'side'\n\n- side");
}

TEST(order, since_and_max_keep_the_newest)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b", &a, NULL),
            c = commit(&history, "c", &b, NULL);
    point(&history, "refs/heads/main", &c);
    struct imported since =
        import_with(&history, (struct source_git_options){.since = 1600000120000}, (struct source_git_plan){0});
    check_int(since.n, 2);
    check_str(since.events[0].title, "[Push] b");
    struct imported one = import_with(&history, (struct source_git_options){.max = 1}, (struct source_git_plan){0});
    check_int(one.n, 1);
    check_str(one.events[0].title, "[Push] c");
}

/* ---- pushes ------------------------------------------------------------------------------------------------------ */

TEST(push, has_the_message_the_author_and_the_committers_time)
{
    HISTORY history = history_begin(arena, true);
    set_remote(&history, "git@github.com:acme/api.git");
    git_oid id = commit(&history,
                        "Add a parser\n\nBecause.\n\nFixes #12, closes acme/web#3\nCo-authored-by: Bob "
                        "<5+bob@users.noreply.github.com>\n"
                        "Co-authored-by: Eve <Eve@x.org>\nCo-authored-by: Ada <ada@example.org>\nCo-authored-by: "
                        "dependabot[bot] <d@x.org>\n",
                        NULL, NULL);
    point(&history, "refs/heads/main", &id);
    struct imported            imported = import(&history);
    const struct source_event *event = event_of(arena, &imported, &id);
    const json_value          *metadata = metadata_of(arena, event);
    struct str                 hex = hex_of(arena, &id);
    check_str(event->source, "github");
    check_str(event->source_type, "push");
    check_str(event->source_id, str_z(arena, str_printf(arena, "push:acme/api:" STR_FMT, STR_ARG(hex))));
    check_str(event->title, "[Push] Add a parser");
    check(str_starts(event->body, STR("Add a parser\n\nBecause.\n\nFixes #12")));
    check_str(event->actor.id, "email:ada@example.org");
    check_str(event->actor.name, "Ada");
    check_str(event->actor.email, "Ada@Example.org");
    check_int(event->occurred_at, 1600000060000);
    check_str(json_str(metadata, "authorName"), "Ada");
    check_str(json_str(metadata, "authorEmail"), "Ada@Example.org");
    check_str(json_str(metadata, "committerName"), "Carl");
    check_str(json_str(metadata, "origin"), "git-import");
    check_str(json_str(metadata, "host"), "github.com");
    check_str(json_str(metadata, "repoFullName"), "acme/api");
    check_str(json_str(metadata, "url"),
              str_z(arena, str_printf(arena, "https://github.com/acme/api/commit/" STR_FMT, STR_ARG(hex))));
    check_str(reference(event, "commit", str_z(arena, hex), NULL)->url,
              json_str(metadata, "url").s ? str_z(arena, json_str(metadata, "url")) : "");
    check_str(reference(event, "branch", "main", NULL)->url, "https://github.com/acme/api/tree/main");
    check_str(reference(event, "issue", "#12", "fixes")->url, "https://github.com/acme/api/issues/12");
    check(str_starts(reference(event, "issue", "#3", "closes")->url, STR("https://github.com/acme/web/")));
    check(reference(event, "assignee", "bob", "coauthor") != NULL);
    check(reference(event, "assignee", "eve@x.org", "coauthor") != NULL);
    check_int(json_count(json_get(metadata, "coAuthors")), 2);
}

TEST(push, elsewhere_than_github_has_no_urls)
{
    HISTORY history = history_begin(arena, true);
    set_remote(&history, "git@git.example.org:acme/api.git");
    git_oid id = commit(&history, "Thing\n\nfixes #4", NULL, NULL);
    point(&history, "refs/heads/main", &id);
    struct imported            imported = import(&history);
    const struct source_event *event = event_of(arena, &imported, &id);
    check_str(event->source, "git");
    check(reference(event, "issue", "#4", "fixes") != NULL);
    for (size_t i = 0; i < event->reference_count; i++) check_int(event->references[i].url.n, 0);
    check(json_get(metadata_of(arena, event), "url") == NULL);
}

TEST(push, an_empty_message_is_a_push_to_the_branch)
{
    HISTORY history = history_begin(arena, true);
    git_oid id = commit(&history, "\n \n", NULL, NULL);
    point(&history, "refs/heads/main", &id);
    struct imported imported = import(&history);
    check_str(imported.events[0].title, "[Push] Push to main");
    check_str(imported.events[0].body, "");
}

TEST(push, long_subjects_and_messages_are_cut)
{
    HISTORY history = history_begin(arena, true);
    size_t  n = 10 << 20;
    char   *message = malloc(n);
    memset(message, 'x', n);
    git_oid id = write_commit(&history, (struct made){.message = {message, n}});
    free(message);
    point(&history, "refs/heads/main", &id);
    struct imported imported = import(&history);
    check_int(imported.events[0].title.n, strlen("[Push] ") + 100);
    check_int(imported.events[0].body.n, 10000);
    check(str_ends(imported.events[0].title, STR("x...")));
    check(str_ends(imported.events[0].body, STR("x...")));
}

TEST(push, noreply_addresses_give_the_account)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = write_commit(&history, (struct made){.message = STR("a"), .email = "123+ada@users.noreply.github.com"});
    git_oid b = write_commit(
        &history, (struct made){.message = STR("b"), .email = "bob@users.noreply.github.com", .parents = {&a}});
    point(&history, "refs/heads/main", &b);
    struct imported imported = import(&history);
    check_str(imported.events[0].actor.id, "123");
    check_str(imported.events[0].actor.name, "ada");
    check_str(imported.events[1].actor.id, "bob");
}

TEST(push, malformed_authors_are_no_obstacle)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = write_commit(&history, (struct made){.message = STR("a"), .author = "", .email = ""});
    git_oid tree, b;
    check_int(git_index_write_tree_to(&tree, history.files, history.repository), 0);
    struct str raw = str_printf(arena, "tree " STR_FMT "\nparent " STR_FMT "\nauthor nobody\ncommitter <<>> x\n\nb",
                                STR_ARG(hex_of(arena, &tree)), STR_ARG(hex_of(arena, &a)));
    check_int(git_odb_write(&b, history.odb, raw.s, raw.n, GIT_OBJECT_COMMIT), 0);
    point(&history, "refs/heads/main", &b);
    struct imported imported = import(&history);
    check_int(imported.n, 2);
    check_int(imported.failed, 0);
    check(event_of(arena, &imported, &a)->actor.id.s == NULL);
    check_str(event_of(arena, &imported, &b)->actor.name, "nobody");
    check_int(event_of(arena, &imported, &b)->occurred_at, 0);
}

TEST(push, times_in_the_future_are_taken_as_now)
{
    HISTORY history = history_begin(arena, true);
    git_oid id = write_commit(&history, (struct made){.message = STR("a"), .time = 99999999999});
    point(&history, "refs/heads/main", &id);
    time_set(1700000000000);
    struct imported imported = import(&history);
    time_set(0);
    check_int(imported.events[0].occurred_at, 1700000000000);
}

TEST(push, messages_become_utf8)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = write_commit(&history, (struct made){.message = STR("gr\xfc\xdf"
                                                                    "e"),
                                                     .headers = "encoding ISO-8859-1\n"});
    git_oid b = write_commit(&history, (struct made){.message = STR("gr\xfc\xdf" "e"), .parents = {&a}});
    git_oid c = write_commit(&history, (struct made){.message = STR("\xef\xf0\xe8\xe2\xe5\xf2"),
                                                     .headers = "encoding windows-1251\n",
                                                     .parents = {&b}});
    git_oid d = write_commit(&history, (struct made){.message = STR("\xc3\xbc\0 nul"), .parents = {&c}});
    git_oid e = write_commit(
        &history, (struct made){.message = STR("\xe9t\xe9"), .headers = "encoding no/such\n", .parents = {&d}});
    point(&history, "refs/heads/main", &e);
    struct imported imported = import(&history);
    check_str(event_of(arena, &imported, &a)->title, "[Push] gr\xc3\xbc\xc3\x9f" "e");
    check_str(event_of(arena, &imported, &b)->title, "[Push] gr\xc3\xbc\xc3\x9f" "e");
    check_str(event_of(arena, &imported, &c)->title, "[Push] \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82");
    check_str(event_of(arena, &imported, &d)->title, "[Push] \xc3\xbc nul");
    check_str(event_of(arena, &imported, &e)->title, "[Push] \xc3\xa9t\xc3\xa9");
}

TEST(push, the_mailmap_of_the_tip_is_applied)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL);
    put_file(&history, ".mailmap", "Ada Lovelace <ada@new.org> <ada@example.org>\n");
    git_oid b = commit(&history, "b", &a, NULL);
    point(&history, "refs/heads/main", &b);
    struct imported imported = import(&history);
    check_str(event_of(arena, &imported, &a)->actor.name, "Ada Lovelace");
    check_str(event_of(arena, &imported, &a)->actor.id, "email:ada@new.org");
}

TEST(push, a_commit_that_is_gone_fails_alone)
{
    HISTORY history = history_begin(arena, true);
    git_oid gone;
    git_oid_fromstr(&gone, "00112233445566778899aabbccddeeff00112233");
    git_oid a = commit(&history, "a", &gone, NULL), b = commit(&history, "b", &a, NULL);
    point(&history, "refs/heads/main", &b);
    struct imported imported = import(&history);
    check_int(imported.n, 2);
    check_int(imported.failed, 1);
    check_int(imported.scanned, 3);
}

TEST(push, the_end_of_a_shallow_clone_is_no_failure)
{
    HISTORY history = history_begin(arena, true);
    git_oid gone;
    git_oid_fromstr(&gone, "00112233445566778899aabbccddeeff00112233");
    put_file(&history, "f", "1");
    git_oid a = commit(&history, "a", &gone, NULL);
    put_file(&history, "f", "2");
    git_oid b = commit(&history, "b", &a, NULL);
    point(&history, "refs/heads/main", &b);
    write_text(&history, "shallow", str_z(arena, str_printf(arena, STR_FMT "\n", STR_ARG(hex_of(arena, &a)))));
    struct imported imported = import(&history);
    check(imported.facts.shallow);
    check_int(imported.n, 2);
    check_int(imported.failed, 0);
    check_int(imported.counts.commits, 2);
    check_int(file_count(arena, event_of(arena, &imported, &a)), -1);
    check_int(file_count(arena, event_of(arena, &imported, &b)), 1);
}

/* ---- changed files ----------------------------------------------------------------------------------------------- */

TEST(files, are_compared_with_the_first_parent)
{
    HISTORY history = history_begin(arena, true);
    put_file(&history, "a.c", "1");
    put_file(&history, "src/deep/b.c", "1");
    put_file(&history, "src/deep.c", "1");
    git_oid root = commit(&history, "root", NULL, NULL);
    put_file(&history, "src/deep/b.c", "2");
    git_oid change = commit(&history, "change", &root, NULL);
    git_oid nothing = commit(&history, "nothing", &change, NULL);
    put_file(&history, "side.c", "1");
    git_oid merge = commit(&history, "Merge", &root, &nothing);
    point(&history, "refs/heads/main", &merge);
    struct imported imported = import(&history);
    check_str(paths(arena, event_of(arena, &imported, &root)), "a.c src/deep.c src/deep/b.c");
    check_int(file_count(arena, event_of(arena, &imported, &root)), 3);
    check_str(paths(arena, event_of(arena, &imported, &change)), "src/deep/b.c");
    check_int(file_count(arena, event_of(arena, &imported, &nothing)), 0);
    check_str(paths(arena, event_of(arena, &imported, &merge)), "side.c src/deep/b.c");
}

TEST(files, modes_renames_links_and_submodules)
{
    HISTORY history = history_begin(arena, true);
    put_file(&history, "run", "x");
    put_file(&history, "old", "long enough to be found again");
    put_file(&history, "thing", "file");
    git_oid a = commit(&history, "a", NULL, NULL);
    put_entry(&history, "run", "x", GIT_FILEMODE_BLOB_EXECUTABLE);
    git_oid b = commit(&history, "mode", &a, NULL);
    remove_file(&history, "old");
    put_file(&history, "new", "long enough to be found again");
    git_oid c = commit(&history, "rename", &b, NULL);
    remove_file(&history, "thing");
    put_file(&history, "thing/inner", "file");
    put_entry(&history, "link", "run", GIT_FILEMODE_LINK);
    put_entry(&history, "lib", NULL, GIT_FILEMODE_COMMIT);
    git_oid d = commit(&history, "kinds", &c, NULL);
    point(&history, "refs/heads/main", &d);
    struct imported imported = import(&history);
    check_str(paths(arena, event_of(arena, &imported, &b)), "run");
    check_str(paths(arena, event_of(arena, &imported, &c)), "new old");
    check_str(paths(arena, event_of(arena, &imported, &d)), "lib link thing thing/inner");
}

TEST(files, all_are_counted_and_100_listed)
{
    HISTORY history = history_begin(arena, true);
    for (int i = 0; i < 250; i++) put_file(&history, str_z(arena, str_printf(arena, "d%d/f%03d", i % 5, i)), "x");
    git_oid id = commit(&history, "many", NULL, NULL);
    point(&history, "refs/heads/main", &id);
    struct imported imported = import(&history);
    check_int(file_count(arena, &imported.events[0]), 250);
    check_int(json_count(json_get(metadata_of(arena, &imported.events[0]), "paths")), 100);
    check_str(json_str(metadata_of(arena, &imported.events[0]), "paths.0"), "d0/f000");
}

TEST(files, lines_are_counted_only_when_asked_for)
{
    HISTORY history = history_begin(arena, true);
    put_file(&history, "f", "1\n2\n3\n");
    put_file(&history, "gone", "a\nb\n");
    git_oid a = commit(&history, "a", NULL, NULL);
    put_file(&history, "f", "1\ntwo\n3\n4\n");
    remove_file(&history, "gone");
    git_oid b = commit(&history, "b", &a, NULL);
    point(&history, "refs/heads/main", &b);
    struct imported plain = import(&history);
    check(json_get(metadata_of(arena, event_of(arena, &plain, &b)), "additions") == NULL);
    struct imported imported =
        import_with(&history, (struct source_git_options){.stat = true}, (struct source_git_plan){0});
    const json_value *metadata = metadata_of(arena, event_of(arena, &imported, &b));
    check_int(json_int(metadata, "additions", -1), 2);
    check_int(json_int(metadata, "deletions", -1), 3);
    check_int(json_int(metadata_of(arena, event_of(arena, &imported, &a)), "additions", -1), 5);
}

/* ---- pull requests ----------------------------------------------------------------------------------------------- */

/* main: root - base - merge of #7 (two commits of a fork's branch) */
struct merged {
    git_oid root, one, two, base, merge;
};
static struct merged merged_history(struct history *history, const char *message)
{
    struct merged made = {.root = commit(history, "root", NULL, NULL)};
    made.one = commit(history, "one", &made.root, NULL);
    made.two = write_commit(history, (struct made){.message = STR("two"),
                                                   .parents = {&made.one},
                                                   .author = "Fay",
                                                   .email = "9+fay@users.noreply.github.com"});
    made.base = commit(history, "base", &made.root, NULL);
    made.merge = commit(history, message, &made.base, &made.two);
    point(history, "refs/heads/main", &made.merge);
    return made;
}

TEST(pull, a_merge_is_the_pull_request)
{
    HISTORY history = history_begin(arena, true);
    set_remote(&history, "https://github.com/acme/api");
    struct merged made =
        merged_history(&history, "Merge pull request #7 from fay/topic/x\n\nA better way\n\nMore words.");
    struct imported            imported = import(&history);
    const struct source_event *event = event_of(arena, &imported, &made.merge);
    const json_value          *metadata = metadata_of(arena, event);
    const char                *head = hex_of(arena, &made.two).s, *merge = hex_of(arena, &made.merge).s;
    check_int(imported.counts.pull_requests, 1);
    check_str(event->source_type, "pull-request.merged");
    check_str(event->source_id, "pr:acme/api#7:merged");
    check_str(event->title, "[PR Merged] A better way");
    check_str(event->body, "A better way\nMore words.\n\n- one\n- two");
    check_str(event->actor.id, "9");
    check_str(reference(event, "pr", "#7", NULL)->url, "https://github.com/acme/api/pull/7");
    check_int(reference(event, "branch", "topic/x", NULL)->url.n, 0);
    check(reference(event, "commit", head, NULL) != NULL);
    check(reference(event, "commit", merge, "merge") != NULL);
    check(reference(event, "branch", "main", NULL) != NULL);
    check_str(json_str(metadata, "mergedByName"), "Ada");
    check_str(json_str(metadata, "mergedByEmail"), "Ada@Example.org");
    check_str(json_str(metadata, "headSha"), head);
    check_int(json_int(metadata, "prNumber", 0), 7);
    check(json_bool(metadata, "merged", false));
    check_str(json_str(metadata, "url"), "https://github.com/acme/api/pull/7");
}

TEST(pull, a_merge_without_a_body_is_named_after_its_branch)
{
    HISTORY         history = history_begin(arena, true);
    struct merged   made = merged_history(&history, "Merge pull request #7 from fay/topic\n");
    struct imported imported = import(&history);
    check_str(event_of(arena, &imported, &made.merge)->title, "[PR Merged] topic");
}

TEST(pull, its_commits_refer_to_it)
{
    HISTORY         history = history_begin(arena, true);
    struct merged   made = merged_history(&history, "Merge pull request #7 from fay/topic\n\nT");
    struct imported imported = import(&history);
    check(reference(event_of(arena, &imported, &made.one), "pr", "#7", "merges") != NULL);
    check(reference(event_of(arena, &imported, &made.two), "pr", "#7", "merges") != NULL);
    check(reference(event_of(arena, &imported, &made.base), "pr", "#7", "merges") == NULL);
    check(reference(event_of(arena, &imported, &made.root), "pr", "#7", "merges") == NULL);
    check_str(event_of(arena, &imported, &made.one)->source_type, "push");
}

TEST(pull, commits_of_a_nested_merge_came_through_the_outer_one)
{
    HISTORY history = history_begin(arena, true);
    git_oid root = commit(&history, "root", NULL, NULL), inner = commit(&history, "inner", &root, NULL);
    git_oid nested = commit(&history, "Merge pull request #1 from x/y\n\nNested", &root, &inner);
    git_oid outer = commit(&history, "Merge pull request #50 from fay/topic\n\nOuter", &root, &nested);
    git_oid sub = commit(&history, "sub", &root, NULL);
    git_oid plain = commit(&history, "Merge branch 'sub'", &outer, &sub);
    point(&history, "refs/heads/main", &plain);
    struct imported imported = import(&history);
    check(reference(event_of(arena, &imported, &inner), "pr", "#50", "merges") != NULL);
    check(reference(event_of(arena, &imported, &inner), "pr", "#1", "merges") == NULL);
    check(reference(event_of(arena, &imported, &nested), "pr", "#50", "merges") != NULL);
    for (size_t i = 0; i < event_of(arena, &imported, &sub)->reference_count; i++)
        check(!str_eq(event_of(arena, &imported, &sub)->references[i].type, STR("pr")));
}

TEST(pull, pull_requests_merged_by_a_plain_merge_of_their_branch_count)
{
    HISTORY history = history_begin(arena, true);
    git_oid root = commit(&history, "root", NULL, NULL), work = commit(&history, "work", &root, NULL);
    git_oid into_dev = commit(&history, "Merge pull request #4 from x/work\n\nWork", &root, &work);
    git_oid release = commit(&history, "Merge branch 'dev'", &root, &into_dev);
    point(&history, "refs/heads/main", &release);
    struct imported imported = import(&history);
    check(reference(event_of(arena, &imported, &work), "pr", "#4", "merges") != NULL);
}

TEST(pull, a_squashed_commit_is_the_pull_request)
{
    HISTORY history = history_begin(arena, true);
    git_oid id = commit(&history, "Speed up (again) (#31)\n\n* step one\n* step two\n\nFixes #30", NULL, NULL);
    point(&history, "refs/heads/main", &id);
    struct imported imported =
        import_with(&history, (struct source_git_options){.repo = STR("acme/api")}, (struct source_git_plan){0});
    const struct source_event *event = &imported.events[0];
    check_str(event->source_id, "pr:acme/api#31:merged");
    check_str(event->title, "[PR Merged] Speed up (again)");
    check(str_starts(event->body, STR("Speed up (again)\n* step one\n* step two")));
    check_str(event->actor.name, "Ada");
    check(reference(event, "commit", hex_of(arena, &id).s, "merge") != NULL);
    check(reference(event, "issue", "#30", "fixes") != NULL);
}

TEST(pull, only_the_exact_subjects_count)
{
    static const char *const pushes[] = {"Revert \"Speed up (#31)\"",
                                         "Fix(#31)",
                                         "Fix (#31) again",
                                         "Fix (#)",
                                         "Fix (#0)",
                                         "Merge pull request #7",
                                         "Fix (31)",
                                         "Merge pull request #x from a/b",
                                         "Merge pull request #7 from nobranch",
                                         "Fix (#99999999999999999999)"};
    HISTORY history = history_begin(arena, true);
    git_oid last = commit(&history, "root", NULL, NULL);
    size_t  n = sizeof pushes / sizeof *pushes;
    for (size_t i = 0; i < n; i++) last = commit(&history, pushes[i], &last, NULL);
    point(&history, "refs/heads/main", &last);
    struct imported imported = import(&history);
    check_int(imported.n, n + 1);
    for (size_t i = 0; i < imported.n; i++) check_str(imported.events[i].source_type, "push");
}

TEST(pull, a_merge_of_no_branch_may_be_squashed_itself)
{
    HISTORY history = history_begin(arena, true);
    git_oid id = commit(&history, "Merge pull request #12 from fay (#13)", NULL, NULL);
    point(&history, "refs/heads/main", &id);
    struct imported imported = import_with(&history, (struct source_git_options){.repo = STR("r/x")},
                                           (struct source_git_plan){0});
    check_str(imported.events[0].source_id, "pr:r/x#13:merged");
    check_str(imported.events[0].title, "[PR Merged] Merge pull request #12 from fay");
}

TEST(pull, of_several_commits_the_newest_is_the_pull_request)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "First try (#5)", NULL, NULL), b = commit(&history, "Second try (#5)", &a, NULL);
    point(&history, "refs/heads/main", &b);
    struct imported imported = import(&history);
    check_int(imported.counts.pull_requests, 1);
    check_str(event_of(arena, &imported, &a)->source_type, "push");
    check(reference(event_of(arena, &imported, &a), "pr", "#5", "merges") != NULL);
    check_str(event_of(arena, &imported, &b)->source_type, "pull-request.merged");
}

TEST(pull, can_be_left_alone)
{
    HISTORY         history = history_begin(arena, true);
    struct merged   made = merged_history(&history, "Merge pull request #7 from fay/topic\n\nT");
    struct imported imported =
        import_with(&history, (struct source_git_options){.no_pr = true}, (struct source_git_plan){0});
    check_int(imported.counts.pull_requests, 0);
    check_str(event_of(arena, &imported, &made.merge)->source_type, "push");
    check(reference(event_of(arena, &imported, &made.one), "pr", "#7", "merges") == NULL);
}

/* ---- releases ---------------------------------------------------------------------------------------------------- */

TEST(release, an_annotated_tag_lists_the_mainline_since_the_one_before)
{
    HISTORY history = history_begin(arena, true);
    set_remote(&history, "git@github.com:acme/api");
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b (#2)", &a, NULL),
            c = commit(&history, "c", &b, NULL);
    point(&history, "refs/heads/main", &c);
    point(&history, "refs/tags/v1.0", &a);
    annotate(&history, "v1.1", &c,
             "Second of its kind\n\nNotes.\n-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----\n");
    struct imported            imported = import(&history);
    const struct source_event *event = event_named(&imported, "release:acme/api:v1.1");
    check(event != NULL);
    check_int(imported.counts.tags, 2);
    check_str(event->source_type, "release.published");
    check_str(event->title, "[Release Published] Second of its kind");
    check_str(event->body, "Second of its kind\n\nNotes.\n\n- c\n- b (#2)");
    check_str(event->actor.id, "77");
    check_int(event->occurred_at, history.clock * 1000);
    check(reference(event, "commit", hex_of(arena, &c).s, NULL) != NULL);
    check(reference(event, "branch", "main", NULL) != NULL);
    check_str(reference(event, "pr", "#2", "included")->url, "https://github.com/acme/api/pull/2");
    check_str(json_str(metadata_of(arena, event), "tagName"), "v1.1");
    check_str(json_str(metadata_of(arena, event), "url"), "https://github.com/acme/api/releases/tag/v1.1");
    const struct source_event *light = event_named(&imported, "release:acme/api:v1.0");
    check_str(light->title, "[Release Published] v1.0");
    check_str(light->body, "- a");
    check_str(light->actor.name, "Ada");
    check_int(light->occurred_at, 1600000060000);
}

TEST(release, a_lightweight_tag_must_look_like_a_version)
{
    static const struct { const char *tag; bool release;
    } expected[] = {
        {"v1.0", true},       {"1.2.3", true}, {"web@2.0.1", true},    {"rel/v1.2-rc.1", true},
        {"v1.0+build", true}, {"v1", false},   {"latest", false},      {"1.2.x", true},
        {"v1.0rc1", false},   {"@1.0", false}, {"release-1.0", false}, {"5.1.0.Final", true},
        {"1.2.3rc1", false},  {"1.x", false},  {"v1.2.0.rc.1", true},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        HISTORY history = history_begin(arena, true);
        git_oid a = commit(&history, "a", NULL, NULL);
        point(&history, "refs/heads/main", &a);
        point(&history, str_z(arena, str_printf(arena, "refs/tags/%s", expected[i].tag)), &a);
        check_int(import(&history).counts.tags, expected[i].release);
    }
}

TEST(release, tags_of_other_branches_and_of_other_things)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), main_tip = commit(&history, "b", &a, NULL),
            fix = commit(&history, "fix", &a, NULL);
    git_oid blob;
    check_int(git_odb_write(&blob, history.odb, "x", 1, GIT_OBJECT_BLOB), 0);
    point(&history, "refs/heads/main", &main_tip);
    point(&history, "refs/tags/v1.0.1", &fix);
    point(&history, "refs/tags/v9.9", &blob);
    struct imported imported =
        import_with(&history, (struct source_git_options){.repo = STR("r/x")}, (struct source_git_plan){0});
    const struct source_event *event = event_named(&imported, "release:r/x:v1.0.1");
    check(event != NULL);
    check(reference(event, "branch", "main", NULL) == NULL);
    check_int(imported.counts.tags, 1);
}

TEST(release, tags_can_be_left_alone)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL);
    point(&history, "refs/heads/main", &a);
    annotate(&history, "v1.0", &a, "One");
    check_int(import_with(&history, (struct source_git_options){.no_tags = true}, (struct source_git_plan){0}).n, 1);
}

/* ---- again ------------------------------------------------------------------------------------------------------- */

static bool knows_five(void *asked, int64_t number, struct str *sha)
{
    ++*(int *)asked;
    *sha = (struct str){0};
    return number == 5;
}

static bool knows_five_as(void *commit, int64_t number, struct str *sha)
{
    *sha = *(struct str *)commit;
    return number == 5;
}

TEST(again, the_commit_that_is_stored_stays_the_pull_request)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a (#5)", NULL, NULL), b = commit(&history, "b (#5)", &a, NULL);
    point(&history, "refs/heads/main", &b);
    struct str      sha = hex_of(arena, &a), gone = STR("00112233445566778899aabbccddeeff00112233");
    struct imported full = import_with(&history, (struct source_git_options){0},
                                       (struct source_git_plan){.known_pr = knows_five_as, .arg = &sha});
    check_str(event_of(arena, &full, &a)->source_type, "pull-request.merged");
    check_str(event_of(arena, &full, &b)->source_type, "push");
    struct imported rewritten = import_with(&history, (struct source_git_options){0},
                                            (struct source_git_plan){.known_pr = knows_five_as, .arg = &gone});
    check_str(event_of(arena, &rewritten, &b)->source_type, "pull-request.merged");
    /* a delivery told of it before the import met its commit */
    sha = hex_of(arena, &b);
    struct imported told = import_with(&history, (struct source_git_options){0},
                                       (struct source_git_plan){.last_sha = hex_of(arena, &a), .known_pr = knows_five_as, .arg = &sha});
    check_int(told.n, 1);
    check_str(told.events[0].source_type, "pull-request.merged");
}

TEST(again, only_what_is_new_since_the_last_import)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a (#5)", NULL, NULL), side = commit(&history, "side", &a, NULL);
    point(&history, "refs/heads/main", &a);
    point(&history, "refs/tags/v1.0", &a);
    struct imported first = import(&history);
    git_oid b = commit(&history, "b again (#5)", &a, NULL),
            c = commit(&history, "Merge pull request #6 from x/y\n\nC", &b, &side);
    point(&history, "refs/heads/main", &c);
    point(&history, "refs/tags/v1.1", &c);
    int             asked = 0;
    struct imported again =
        import_with(&history, (struct source_git_options){0},
                    (struct source_git_plan){
                        .last_sha = first.facts.tip, .last_tags = first.tags, .known_pr = knows_five, .arg = &asked});
    check(!again.counts.rewritten);
    check_int(again.counts.commits, 3);
    check_int(again.counts.tags, 1);
    check_int(again.n, 4);
    check_int(asked, 2);
    check_str(event_of(arena, &again, &b)->source_type, "push");
    check_str(event_of(arena, &again, &c)->source_type, "pull-request.merged");
    check(reference(event_of(arena, &again, &side), "pr", "#6", "merges") != NULL);
    struct imported third = import_with(&history, (struct source_git_options){0},
                                        (struct source_git_plan){.last_sha = again.facts.tip, .last_tags = again.tags});
    check_int(third.n, 0);
    check_int(third.counts.commits, 0);
}

TEST(again, a_moved_tag_is_a_new_release)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b", &a, NULL);
    point(&history, "refs/heads/main", &b);
    point(&history, "refs/tags/v1.0", &a);
    struct imported first = import(&history);
    point(&history, "refs/tags/v1.0", &b);
    struct imported again = import_with(&history, (struct source_git_options){0},
                                        (struct source_git_plan){.last_sha = first.facts.tip, .last_tags = first.tags});
    check_int(again.counts.tags, 1);
    check(reference(&again.events[0], "branch", "main", NULL) != NULL);
}

TEST(again, a_rewritten_history_is_read_as_a_whole)
{
    HISTORY history = history_begin(arena, true);
    git_oid a = commit(&history, "a", NULL, NULL), b = commit(&history, "b", &a, NULL),
            other = commit(&history, "other", &a, NULL);
    point(&history, "refs/heads/main", &other);
    struct imported imported =
        import_with(&history, (struct source_git_options){0}, (struct source_git_plan){.last_sha = hex_of(arena, &b)});
    check(imported.counts.rewritten);
    check_int(imported.n, 2);
    struct imported lost =
        import_with(&history, (struct source_git_options){0},
                    (struct source_git_plan){.last_sha = STR("00112233445566778899aabbccddeeff00112233")});
    check(lost.counts.rewritten);
    check_int(lost.n, 2);
}

TEST(again, the_same_history_gives_the_same_events)
{
    HISTORY history = history_begin(arena, true);
    merged_history(&history, "Merge pull request #7 from fay/topic\n\nT");
    struct imported one = import(&history), two = import(&history);
    check_int(one.n, two.n);
    for (size_t i = 0; i < one.n; i++) {
        check(str_eq(one.events[i].source_id, two.events[i].source_id));
        check(str_eq(one.events[i].metadata, two.events[i].metadata));
    }
}

int main(void)
{
    crypto_start();
    text_start();
    git_libgit2_init();
    const struct CMUnitTest tests[] = {
        RUN(open, what_is_no_repository_is_named),
        RUN(open, an_empty_repository_is_no_error),
        RUN(open, a_path_inside_the_work_tree_will_do),
        RUN(open, a_bare_repository_without_config_will_do),
        RUN(open, what_the_configuration_includes_or_names_has_no_effect),
        RUN(open, sha256_repositories_are_refused_with_a_reason),
        RUN(open, the_remote_names_the_repository),
        RUN(open, the_only_remote_stands_in_for_origin),
        RUN(open, the_repository_can_be_named_by_hand),
        RUN(branch, the_default_of_the_remote_comes_before_the_current_one),
        RUN(branch, can_be_chosen_and_must_exist),
        RUN(branch, any_revision_can_be_the_tip),
        RUN(branch, a_detached_head_has_none),
        RUN(branch, a_head_that_names_nothing_asks_for_a_choice),
        RUN(order, every_commit_once_parents_first),
        RUN(order, several_roots_and_an_octopus),
        RUN(order, first_parent_keeps_to_the_mainline),
        RUN(order, since_and_max_keep_the_newest),
        RUN(push, has_the_message_the_author_and_the_committers_time),
        RUN(push, elsewhere_than_github_has_no_urls),
        RUN(push, an_empty_message_is_a_push_to_the_branch),
        RUN(push, long_subjects_and_messages_are_cut),
        RUN(push, noreply_addresses_give_the_account),
        RUN(push, malformed_authors_are_no_obstacle),
        RUN(push, times_in_the_future_are_taken_as_now),
        RUN(push, messages_become_utf8),
        RUN(push, the_mailmap_of_the_tip_is_applied),
        RUN(push, a_commit_that_is_gone_fails_alone),
        RUN(push, the_end_of_a_shallow_clone_is_no_failure),
        RUN(files, are_compared_with_the_first_parent),
        RUN(files, modes_renames_links_and_submodules),
        RUN(files, all_are_counted_and_100_listed),
        RUN(files, lines_are_counted_only_when_asked_for),
        RUN(pull, a_merge_is_the_pull_request),
        RUN(pull, a_merge_without_a_body_is_named_after_its_branch),
        RUN(pull, its_commits_refer_to_it),
        RUN(pull, commits_of_a_nested_merge_came_through_the_outer_one),
        RUN(pull, pull_requests_merged_by_a_plain_merge_of_their_branch_count),
        RUN(pull, a_squashed_commit_is_the_pull_request),
        RUN(pull, only_the_exact_subjects_count),
        RUN(pull, a_merge_of_no_branch_may_be_squashed_itself),
        RUN(pull, of_several_commits_the_newest_is_the_pull_request),
        RUN(pull, can_be_left_alone),
        RUN(release, an_annotated_tag_lists_the_mainline_since_the_one_before),
        RUN(release, a_lightweight_tag_must_look_like_a_version),
        RUN(release, tags_of_other_branches_and_of_other_things),
        RUN(release, tags_can_be_left_alone),
        RUN(again, only_what_is_new_since_the_last_import),
        RUN(again, the_commit_that_is_stored_stays_the_pull_request),
        RUN(again, a_moved_tag_is_a_new_release),
        RUN(again, a_rewritten_history_is_read_as_a_whole),
        RUN(again, the_same_history_gives_the_same_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
