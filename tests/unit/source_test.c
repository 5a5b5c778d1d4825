#include "check.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"
#include "source/source.h"

static const json_value *parsed(struct arena *arena, const char *text)
{
    const json_value *value = NULL;
    check_ok(json_parse(arena, str_of(text), &value));
    return value;
}

static struct source_event read_event(struct arena *arena, const char *text)
{
    struct source_event event;
    check_ok(source_event_read(arena, parsed(arena, text), &event, NULL));
    return event;
}

static struct source_event plain_event(void)
{
    return (struct source_event){.source = STR("ci"), .source_type = STR("build"), .source_id = STR("ci:1"),
                                 .title = STR("A build"), .occurred_at = 1000};
}

static bool complains(struct source_issues issues, const char *field, const char *problem)
{
    for (size_t i = 0; i < issues.n; i++)
        if (str_eq(issues.at[i].field, str_of(field)) && str_eq(issues.at[i].problem, str_of(problem))) return true;
    return false;
}

/* The problems that reading `text` reports; it must report at least one. */
static struct source_issues refused(struct arena *arena, const char *text)
{
    struct source_event  event;
    struct source_issues issues;
    check_err(source_event_read(arena, parsed(arena, text), &event, &issues), ERR_INVALID);
    check(issues.n > 0);
    return issues;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

TEST(read, takes_every_field)
{
    struct source_event event = read_event(
        arena,
        "{\"source\":\"ci\",\"sourceType\":\"build.failed\",\"sourceId\":\"ci:9\",\"title\":\"T\",\"body\":\"B\","
        "\"actor\":{\"id\":\"7\",\"name\":\"ada\",\"email\":\"a@b.c\",\"avatarUrl\":\"https://x.y/z\"},"
        "\"occurredAt\":\"2026-02-03T10:30:00+01:00\",\"references\":[{\"type\":\"issue\",\"id\":\"#3\","
        "\"label\":\"fixes\",\"url\":\"https://x.y/3\"}],\"metadata\":{\"k\":[1]}}");
    check_str(event.source, "ci");
    check_str(event.source_type, "build.failed");
    check_str(event.source_id, "ci:9");
    check_str(event.title, "T");
    check_str(event.body, "B");
    check_str(event.actor.id, "7");
    check_str(event.actor.name, "ada");
    check_str(event.actor.email, "a@b.c");
    check_str(event.actor.avatar_url, "https://x.y/z");
    check_str(time_format(arena, event.occurred_at), "2026-02-03T09:30:00.000Z");
    check_int(event.reference_count, 1);
    check_str(event.references[0].type, "issue");
    check_str(event.references[0].label, "fixes");
    check_str(event.metadata, "{\"k\":[1]}");
}

TEST(read, what_is_absent_or_null_has_a_default)
{
    time_set(1700000000000);
    struct source_event event = read_event(
        arena,
        "{\"source\":\"ci\",\"sourceType\":\"build\",\"sourceId\":\"1\",\"title\":\"T\",\"actor\":null,\"body\":null}");
    time_set(0);
    check_int(event.occurred_at, 1700000000000);
    check(event.actor.id.s == NULL);
    check_int(event.reference_count, 0);
    check_str(event.metadata, "{}");
}

TEST(read, reports_all_problems_at_once)
{
    struct source_issues issues = refused(
        arena,
        "{\"sourceType\":5,\"sourceId\":\"\",\"title\":\"T\",\"occurredAt\":\"yesterday\",\"actor\":[],"
        "\"references\":[{\"type\":\"ship\",\"id\":\"1\"},{\"type\":\"pr\",\"id\":7}],\"metadata\":\"x\",\"titel\":1}");
    check(complains(issues, "source", "Required"));
    check(complains(issues, "sourceType", "Expected string, received number"));
    check(complains(issues, "sourceId", "String must contain at least 1 character(s)"));
    check(complains(issues, "occurredAt", "Invalid datetime"));
    check(complains(issues, "actor", "Expected object, received array"));
    check(complains(issues, "references",
                    "Invalid enum value. Expected 'commit' | 'branch' | 'pr' | 'issue' | 'deployment' | 'project' | "
                    "'cycle' | 'assignee' | 'reviewer' | 'team' | 'label', received 'ship'"));
    check(complains(issues, "references", "Expected string, received number"));
    check(complains(issues, "metadata", "Expected object, received string"));
    check(complains(issues, "titel", "Unknown field"));
    check_int(issues.n, 9);
}

TEST(read, the_message_lists_the_problems)
{
    struct source_event event;
    struct err *err = source_event_read(
        arena, parsed(arena, "{\"source\":\"ci\",\"sourceType\":\"b\",\"title\":\"T\"}"), &event, NULL);
    check(err != NULL);
    check_str(err->message, "Invalid event: sourceId: Required");
}

TEST(read, what_is_no_object_is_a_problem_of_the_body)
{
    check(complains(refused(arena, "[1]"), "body", "Expected object, received array"));
}

TEST(read, refuses_more_than_the_limits)
{
    struct str text = str_printf(arena,
                                 "{\"source\":\"ci\",\"sourceType\":\"b\",\"sourceId\":\"1\",\"title\":\"" STR_FMT
                                 "\",\"body\":\"" STR_FMT "\"}",
                                 STR_ARG(repeated(arena, "\xc3\xbc", 201)), STR_ARG(repeated(arena, "x", 50001)));
    struct source_issues issues = refused(arena, str_z(arena, text));
    check(complains(issues, "title", "String must contain at most 200 character(s)"));
    check(complains(issues, "body", "String must contain at most 50000 character(s)"));
    check_int(issues.n, 2);
}

TEST(read, refuses_times_more_than_a_day_ahead)
{
    time_set(1700000000000);
    struct source_issues issues = refused(arena, "{\"source\":\"ci\",\"sourceType\":\"b\",\"sourceId\":\"1\",\"title\":"
                                                 "\"T\",\"occurredAt\":\"2023-11-16T00:00:00Z\"}");
    time_set(0);
    check_str(issues.at[0].field, "occurredAt");
}

TEST(read, source_and_type_have_a_form)
{
    struct source_issues issues =
        refused(arena, "{\"source\":\"My CI\",\"sourceType\":\"Build\",\"sourceId\":\"1\",\"title\":\"T\"}");
    check(complains(issues, "source", "Invalid"));
    check(complains(issues, "sourceType", "Invalid"));
    struct source_event event = read_event(
        arena, "{\"source\":\"ci\",\"sourceType\":\"ci:build.done\",\"sourceId\":\"1\",\"title\":\"T\"}");
    check_str(event.source_type, "build.done");
}

TEST(read, what_was_written_reads_back)
{
    struct source_event event = plain_event(), again;
    struct source_reference reference = {.type = STR("commit"), .id = STR("abc"), .label = STR("merge")};
    event.references = &reference;
    event.reference_count = 1;
    event.actor = (struct source_actor){.id = STR("1"), .name = STR("ada")};
    event.metadata = STR("{\"a\":\"\\\"\"}");
    struct json_out out = json_out(arena);
    source_event_write(&out, NULL, &event);
    const json_value *value;
    check_ok(json_parse(arena, json_out_text(&out), &value));
    check_ok(source_event_read(arena, value, &again, NULL));
    check_str(again.source_id, "ci:1");
    check_int(again.occurred_at, 1000);
    check_str(again.references[0].label, "merge");
    check_str(again.actor.name, "ada");
    check_str(again.metadata, "{\"a\":\"\\\"\"}");
}

/* ---- the stored form --------------------------------------------------------------------------------------------- */

TEST(normalise, trims_cuts_and_repairs_texts)
{
    struct source_event event = plain_event();
    event.title = str_printf(arena, "  a\n b\t" STR_FMT "  ", STR_ARG(repeated(arena, "\xc3\xa4", 300)));
    event.body = str_printf(arena, "x\xff" STR_FMT "\n\n", STR_ARG(repeated(arena, "y", 20000)));
    check_ok(source_event_normalise(arena, &event));
    check_int(utf8_length(event.title), 200);
    check(str_starts(event.title, STR("a b \xc3\xa4")));
    check(str_ends(event.title, STR("\xc3\xa4...")));
    check_int(utf8_length(event.body), 10000);
    check(str_starts(event.body, STR("x\xef\xbf\xbdyyy")));
    check(str_ends(event.body, STR("y...")));
}

TEST(normalise, a_second_time_changes_nothing)
{
    struct source_event event = plain_event();
    event.title = repeated(arena, "long title ", 50);
    event.source_id = repeated(arena, "id/", 200);
    check_ok(source_event_normalise(arena, &event));
    struct source_event again = event;
    check_ok(source_event_normalise(arena, &again));
    check(str_eq(again.title, event.title));
    check(str_eq(again.source_id, event.source_id));
}

TEST(normalise, long_ids_keep_their_identity_as_a_digest)
{
    struct source_event event = plain_event();
    struct str          id = repeated(arena, "0123456789", 30);
    event.source_id = id;
    check_ok(source_event_normalise(arena, &event));
    check_int(event.source_id.n, 190 + 1 + 64);
    check(str_eq(str_slice(event.source_id, 0, 190), str_slice(id, 0, 190)));
    check(str_eq(str_skip(event.source_id, 191), crypto_sha256_hex(arena, id)));
}

TEST(normalise, an_id_of_255_bytes_stays)
{
    struct source_event event = plain_event();
    event.source_id = repeated(arena, "x", 255);
    check_ok(source_event_normalise(arena, &event));
    check_int(event.source_id.n, 255);
    check_int(event.source_id.s[254], 'x');
}

TEST(normalise, the_source_prefix_of_a_type_goes)
{
    struct source_event event = plain_event();
    event.source_type = STR("ci:build.failed");
    check_ok(source_event_normalise(arena, &event));
    check_str(event.source_type, "build.failed");
}

TEST(normalise, bad_addresses_are_dropped_not_fatal)
{
    struct source_event event = plain_event();
    event.actor = (struct source_actor){.id = STR("1"), .name = STR("x"), .email = STR("not an address"),
                                        .avatar_url = STR("javascript:alert(1)")};
    struct source_reference reference = {.type = STR("pr"), .id = STR("#1"), .url = STR("ftp://x/y")};
    event.references = &reference;
    event.reference_count = 1;
    check_ok(source_event_normalise(arena, &event));
    check_int(event.actor.email.n, 0);
    check_int(event.actor.avatar_url.n, 0);
    check_int(event.reference_count, 1);
    check_int(event.references[0].url.n, 0);
}

TEST(normalise, references_are_unique_by_type_id_and_label)
{
    struct source_reference references[] = {
        {.type = STR("commit"), .id = STR("a")},
        {.type = STR("commit"), .id = STR("a"), .label = STR("merge")},
        {.type = STR("commit"), .id = STR("a"), .url = STR("https://later.example/")},
        {.type = STR("commit"), .id = STR(" ")},
        {.type = STR("unknown"), .id = STR("a")},
        {.type = STR("pr"), .id = STR("a")},
    };
    struct source_event event = plain_event();
    event.references = references;
    event.reference_count = 6;
    check_ok(source_event_normalise(arena, &event));
    check_int(event.reference_count, 3);
    check_int(event.references[0].url.n, 0);
    check_str(event.references[1].label, "merge");
    check_str(event.references[2].type, "pr");
}

TEST(normalise, at_most_100_references)
{
    struct source_event event = plain_event();
    event.references = NEW_ARRAY(arena, struct source_reference, 300);
    event.reference_count = 300;
    for (int i = 0; i < 300; i++)
        event.references[i] = (struct source_reference){.type = STR("issue"), .id = str_printf(arena, "#%d", i)};
    check_ok(source_event_normalise(arena, &event));
    check_int(event.reference_count, 100);
    check_str(event.references[99].id, "#99");
}

TEST(normalise, an_actor_needs_an_id_and_takes_it_as_name)
{
    struct source_event event = plain_event();
    event.actor = (struct source_actor){.name = STR("nobody")};
    check_ok(source_event_normalise(arena, &event));
    check(event.actor.id.s == NULL);
    event.actor = (struct source_actor){.id = STR("42")};
    check_ok(source_event_normalise(arena, &event));
    check_str(event.actor.name, "42");
}

TEST(normalise, required_fields_are_required)
{
    struct str *fields[5];
    for (int i = 0; i < 4; i++) {
        struct source_event event = plain_event();
        fields[0] = &event.source, fields[1] = &event.source_type, fields[2] = &event.source_id,
        fields[3] = &event.title;
        *fields[i] = STR(" \n ");
        check_err(source_event_normalise(arena, &event), ERR_INVALID);
    }
    struct source_event event = plain_event();
    event.occurred_at = INT64_MAX;
    check_err(source_event_normalise(arena, &event), ERR_INVALID);
}

TEST(normalise, metadata_must_be_an_object_of_64_kib)
{
    struct source_event event = plain_event();
    event.metadata = STR("[1]");
    check_err(source_event_normalise(arena, &event), ERR_INVALID);
    event.metadata = str_printf(arena, "{\"a\":\"" STR_FMT "\"}", STR_ARG(repeated(arena, "x", 65536)));
    check_err(source_event_normalise(arena, &event), ERR_INVALID);
}

TEST(normalise, a_long_paths_list_is_shortened_to_fit)
{
    struct source_event event = plain_event();
    struct buf          metadata = buf_in(arena);
    buf_lit(&metadata, "{\"a\":1,\"paths\":[\"first\"");
    for (int i = 0; i < 100; i++) buf_printf(&metadata, ",\"" STR_FMT "\"", STR_ARG(repeated(arena, "p", 1000)));
    buf_lit(&metadata, "],\"z\":2}");
    event.metadata = buf_str(&metadata);
    check_ok(source_event_normalise(arena, &event));
    check(event.metadata.n <= SOURCE_MAX_METADATA);
    const json_value *value;
    check_ok(json_parse(arena, event.metadata, &value));
    check_int(json_int(value, "z", 0), 2);
    check_str(json_str(value, "paths.0"), "first");
    check_int(json_count(json_get(value, "paths")), 66);
}

/* ---- names and the registry -------------------------------------------------------------------------------------- */

TEST(type, has_one_stored_spelling)
{
    check_str(source_observation_type(arena, STR("pull-request.ready-for-review")), "pull_request_ready_for_review");
    check_str(source_observation_type(arena, STR("push")), "push");
}

TEST(ingestion, names_are_read_as_written)
{
    static const char *const names[] = {"webhook", "backfill", "manual", "api"};
    for (int i = 0; i < 4; i++) {
        enum source_ingestion ingestion;
        check(source_ingestion_parse(str_of(names[i]), &ingestion));
        check_int(ingestion, i);
        assert_string_equal(source_ingestion_name(ingestion), names[i]);
    }
    enum source_ingestion ingestion;
    check(!source_ingestion_parse(STR("Webhook"), &ingestion));
}

TEST(registry, rows_are_found_by_source_and_type)
{
    static const struct { const char *source, *type, *label; int weight; const char *category; } expected[] = {
        {"github", "push", "Push", 30, "push"},
        {"github", "pull-request.merged", "PR Merged", 60, "pull_request"},
        {"github", "pull-request-review.changes-requested", "Changes Requested", 45, "pull_request_review"},
        {"github", "release.published", "Release Published", 75, "release"},
        {"vercel", "deployment.rollback", "Deployment Rolled Back", 75, "deployment.rollback"},
        {"sentry", "issue.created", "Issue Created", 55, "issue"},
        {"sentry", "metric-alert", "Metric Alert", 70, "metric_alert"},
        {"linear", "project-update.deleted", "Project Update Deleted", 25, "ProjectUpdate"},
        {"notion", "database.schema-updated", "Database Changed", 30, "database"},
        {"zendesk", "note.created", "Internal Note", 30, "internal_note"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct source_type_row *row = source_type_find(str_of(expected[i].source), str_of(expected[i].type));
        check(row != NULL);
        assert_string_equal(row->label, expected[i].label);
        check_int(row->weight, expected[i].weight);
        assert_string_equal(row->category, expected[i].category);
    }
}

TEST(registry, git_uses_the_rows_of_github)
{
    check(source_type_find(STR("git"), STR("push")) == source_type_find(STR("github"), STR("push")));
    check(source_type_find(STR("git"), STR("push")) != NULL);
}

TEST(registry, unknown_types_have_no_row)
{
    check(source_type_find(STR("vercel"), STR("push")) == NULL);
    check(source_type_find(STR("github"), STR("issue.transferred")) == NULL);
}

TEST(registry, every_row_is_listed_once)
{
    size_t n = 0;
    for (const struct source_type_row *row = source_types; row->source; row++, n++) {
        check(source_type_find(str_of(row->source), str_of(row->type)) == row);
        check(row->weight >= 0 && row->weight <= 100);
    }
    check_int(n, 72);
}

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(read, takes_every_field),
        RUN(read, what_is_absent_or_null_has_a_default),
        RUN(read, reports_all_problems_at_once),
        RUN(read, the_message_lists_the_problems),
        RUN(read, what_is_no_object_is_a_problem_of_the_body),
        RUN(read, refuses_more_than_the_limits),
        RUN(read, refuses_times_more_than_a_day_ahead),
        RUN(read, source_and_type_have_a_form),
        RUN(read, what_was_written_reads_back),
        RUN(normalise, trims_cuts_and_repairs_texts),
        RUN(normalise, a_second_time_changes_nothing),
        RUN(normalise, long_ids_keep_their_identity_as_a_digest),
        RUN(normalise, an_id_of_255_bytes_stays),
        RUN(normalise, the_source_prefix_of_a_type_goes),
        RUN(normalise, bad_addresses_are_dropped_not_fatal),
        RUN(normalise, references_are_unique_by_type_id_and_label),
        RUN(normalise, at_most_100_references),
        RUN(normalise, an_actor_needs_an_id_and_takes_it_as_name),
        RUN(normalise, required_fields_are_required),
        RUN(normalise, metadata_must_be_an_object_of_64_kib),
        RUN(normalise, a_long_paths_list_is_shortened_to_fit),
        RUN(type, has_one_stored_spelling),
        RUN(ingestion, names_are_read_as_written),
        RUN(registry, rows_are_found_by_source_and_type),
        RUN(registry, git_uses_the_rows_of_github),
        RUN(registry, unknown_types_have_no_row),
        RUN(registry, every_row_is_listed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
