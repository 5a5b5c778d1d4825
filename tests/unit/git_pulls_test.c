/* git_pulls_test.c - pull requests and releases found in a history, and imports of the same one again. */
#include "git_world.h"

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
