/* git_test.c - opening repositories, choosing what is read, and the order in which it comes. */
#include "git_world.h"

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
    check_str(imported.facts.repo, str_z(arena, str_printf(arena, "local%s", strrchr(history.path, '/'))));
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
    check(err && err->code == ERR_INVALID && mentions(err->message, "SHA-256"));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
