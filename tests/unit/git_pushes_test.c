/* git_pushes_test.c - commits as pushes: people, messages, changed files. */
#include "git_world.h"

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

int main(void)
{
    crypto_start();
    text_start();
    git_libgit2_init();
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
