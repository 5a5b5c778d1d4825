/* hostile_test.c - payloads that nobody should send: every kind of event with everything in it, distorted. */
#include "transform_world.h"

#include "distort.h"

/* ---- hostile payloads -------------------------------------------------------------------------------------------- */

// clang-format off
/* One supported event of each kind with a payload that holds everything it reads. */
static const struct { enum source_provider provider; const char *event, *payload; } kinds[] = {
    {SOURCE_GITHUB, "push", "{\"ref\":\"refs/heads/main\",\"after\":\"%1\",\"head_commit\":{\"message\":\"%1\",\"timestamp\":\"%1\"},\"commits\":[{\"id\":\"%1\",\"message\":\"%1\",\"author\":{\"name\":\"%1\",\"email\":\"%1\",\"username\":\"%1\"}}],\"compare\":\"%1\",\"before\":\"%1\",\"pusher\":{\"name\":\"%1\"},\"repository\":{\"id\":1,\"full_name\":\"a/%1\",\"default_branch\":\"main\"}}"},
    {SOURCE_GITHUB, "pull_request", "{\"action\":\"opened\",\"pull_request\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\",\"html_url\":\"%1\",\"user\":{\"id\":1,\"login\":\"%1\"},\"head\":{\"ref\":\"%1\",\"sha\":\"%1\"},\"labels\":[{\"name\":\"%1\"}],\"milestone\":{\"title\":\"%1\"}},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "issues", "{\"action\":\"opened\",\"issue\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\",\"user\":{\"id\":1,\"login\":\"%1\"}},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "release", "{\"action\":\"published\",\"release\":{\"tag_name\":\"%1\",\"name\":\"%1\",\"body\":\"%1\",\"target_commitish\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "discussion", "{\"action\":\"answered\",\"discussion\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\",\"category\":{\"name\":\"%1\"}},\"answer\":{\"body\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "pull_request_review", "{\"action\":\"submitted\",\"review\":{\"id\":1,\"state\":\"approved\",\"body\":\"%1\",\"commit_id\":\"%1\"},\"pull_request\":{\"number\":1,\"title\":\"%1\",\"body\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "pull_request_review_comment", "{\"action\":\"created\",\"comment\":{\"id\":1,\"path\":\"%1\",\"body\":\"%1\"},\"pull_request\":{\"number\":1,\"title\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_GITHUB, "issue_comment", "{\"action\":\"created\",\"comment\":{\"id\":\"%1\",\"body\":\"%1\"},\"issue\":{\"number\":1,\"title\":\"%1\"},\"repository\":{\"full_name\":\"a/%1\"}}"},
    {SOURCE_VERCEL, "deployment.error", "{\"id\":\"%1\",\"payload\":{\"deployment\":{\"id\":\"%1\",\"name\":\"%1\",\"url\":\"%1\",\"errorMessage\":\"%1\",\"meta\":{\"githubCommitSha\":\"%1\",\"githubCommitRef\":\"%1\",\"githubCommitMessage\":\"%1\",\"githubCommitAuthorName\":\"%1\",\"githubOrg\":\"%1\",\"githubRepo\":\"%1\",\"githubPrId\":\"%1\"}},\"projectId\":\"%1\"}}"},
    {SOURCE_LINEAR, "Issue:update", "{\"updatedFrom\":{\"description\":\"%1\"},\"data\":{\"identifier\":\"%1\",\"title\":\"%1\",\"description\":\"%1\",\"team\":{\"key\":\"%1\",\"name\":\"%1\"},\"labels\":[{\"name\":\"%1\"}],\"updatedAt\":\"%1\",\"creator\":{\"id\":\"%1\",\"name\":\"%1\"}}}"},
    {SOURCE_LINEAR, "Comment:create", "{\"data\":{\"id\":\"%1\",\"body\":\"%1\",\"issue\":{\"identifier\":\"%1\",\"title\":\"%1\"}}}"},
    {SOURCE_LINEAR, "Project:create", "{\"data\":{\"slugId\":\"%1\",\"name\":\"%1\",\"description\":\"%1\",\"progress\":0.5,\"lead\":{\"name\":\"%1\"}}}"},
    {SOURCE_LINEAR, "Cycle:create", "{\"data\":{\"number\":\"%1\",\"name\":\"%1\",\"team\":{\"name\":\"%1\"}}}"},
    {SOURCE_LINEAR, "ProjectUpdate:create", "{\"data\":{\"id\":\"%1\",\"body\":\"%1\",\"health\":\"%1\",\"project\":{\"id\":\"%1\",\"name\":\"%1\"}}}"},
    {SOURCE_SENTRY, "issue.assigned", "{\"data\":{\"issue\":{\"shortId\":\"%1\",\"title\":\"%1\",\"metadata\":{\"type\":\"%1\",\"value\":\"%1\"},\"project\":{\"slug\":\"%1\"},\"assignedTo\":{\"id\":\"%1\",\"name\":\"%1\"},\"statusDetails\":{\"inCommit\":{\"repository\":\"%1/%1\",\"commit\":\"%1\"}}}}}"},
    {SOURCE_SENTRY, "error", "{\"data\":{\"event\":{\"event_id\":\"%1\",\"project\":\"%1\",\"title\":\"%1\",\"tags\":[[\"%1\",\"%1\"]],\"exception\":{\"values\":[{\"type\":\"%1\",\"value\":\"%1\",\"stacktrace\":{\"frames\":[{\"filename\":\"%1\",\"function\":\"%1\"}]}}]}}}}"},
    {SOURCE_SENTRY, "event_alert", "{\"data\":{\"event\":{\"event_id\":\"%1\"},\"triggered_rule\":\"%1\"}}"},
    {SOURCE_SENTRY, "metric_alert", "{\"action\":\"open\",\"data\":{\"metric_alert\":{\"id\":\"%1\",\"projects\":[\"%1\"],\"alert_rule\":{\"name\":\"%1\",\"query\":\"%1\"}}}}"},
    {SOURCE_SENTRY, "comment.created", "{\"data\":{\"comment_id\":\"%1\",\"comment\":\"%1\",\"project_slug\":\"%1\"}}"},
};
// clang-format on
enum { KINDS = sizeof kinds / sizeof *kinds };

static enum source_reason transform(struct arena *arena, size_t kind, const json_value *payload,
                                    struct source_event *event)
{
    struct source_context context = {.delivery_id = STR("d"), .received_at = received};
    struct str category;
    return source_transform(arena, kinds[kind].provider, str_of(kinds[kind].event), payload, &context, event,
                            &category);
}

/* Within every limit of the record, whatever came in. */
static void check_stored_form(struct arena *arena, const struct source_event *event)
{
    check(event->title.n > 0 && utf8_length(event->title) <= SOURCE_MAX_TITLE);
    check(utf8_length(event->body) <= SOURCE_MAX_BODY);
    check(event->source_id.n > 0 && event->source_id.n <= 255);
    check(event->reference_count <= SOURCE_MAX_REFERENCES);
    check(event->metadata.n <= SOURCE_MAX_METADATA);
    check(utf8_valid(event->title) && utf8_valid(event->body) && utf8_valid(event->source_id));
    const json_value *metadata;
    check_ok(json_parse(arena, event->metadata, &metadata));
    check_str(json_str(metadata, "deliveryId"), "d");
    struct json_out out = json_out(arena);
    source_event_write(&out, NULL, event);
    struct str text = json_out_text(&out);
    if (text.n >= 512 * 1024) fail_msg(STR_FMT " has %zu bytes", STR_ARG(event->source_type), text.n); /* a capture has less than 1 MiB */
}

static void fill_everywhere(struct arena *arena, struct str filling)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct arena_mark mark = arena_mark(arena);
        struct source_event event;
        struct str text = str_replace(arena, str_of(kinds[i].payload), STR("%1"), filling);
        if (transform(arena, i, json(arena, str_z(arena, text)), &event) == SOURCE_CAPTURED)
            check_stored_form(arena, &event);
        else
            fail_msg("%s refused", kinds[i].event);
        arena_rewind(arena, mark);
    }
}

TEST(hostile, every_kind_takes_plain_text_everywhere)
{
    fill_everywhere(arena, STR("7"));
}

TEST(hostile, gigantic_texts_are_cut)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 20000; i++)
        buf_lit(&text, "gr\xc3\xb6\xc3\x9f"
                       "er ");
    fill_everywhere(arena, buf_str(&text));
}

TEST(hostile, escapes_that_grow_sixfold_still_fit)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 30000; i++) buf_lit(&text, "\\u0001");
    buf_lit(&text, "x");
    fill_everywhere(arena, buf_str(&text));
}

TEST(hostile, nul_and_markup_are_text)
{
    fill_everywhere(arena, STR("a\\u0000b<script>\\\"'%n%s"));
}

TEST(hostile, everything_of_another_type_is_absent)
{
    static const char *const others[] = {"null", "[]", "{}", "true", "1e308", "-1", "[[[\\\"x\\\"]]]", "\"\""};
    for (size_t i = 0; i < KINDS; i++)
        for (size_t j = 0; j < sizeof others / sizeof *others; j++) {
            struct arena_mark mark = arena_mark(arena);
            struct source_event event;
            struct str other = str_replace(arena, str_of(others[j]), STR("\\\""), STR("\""));
            struct str text = str_replace(arena, str_of(kinds[i].payload), STR("\"%1\""), other);
            enum source_reason reason = transform(arena, i, json(arena, str_z(arena, text)), &event);
            check(reason == SOURCE_CAPTURED || reason == SOURCE_INVALID_EVENT);
            if (reason == SOURCE_CAPTURED) check_stored_form(arena, &event);
            arena_rewind(arena, mark);
        }
}

/* The payload with one member after the other replaced by null. */
static const json_value *without(struct arena *arena, const json_value *value, int *left)
{
    struct json_out out = json_out(arena);
    const json_value *made;
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(value); json_step(&it);) {
        json_key(&out, it.key);
        if ((*left)-- == 0)
            json_put_null(&out, NULL);
        else if (json_is_object(it.value))
            json_put_value(&out, NULL, without(arena, it.value, left));
        else
            json_put_value(&out, NULL, it.value);
    }
    json_end(&out);
    check_ok(json_parse(arena, json_out_text(&out), &made));
    return made;
}

TEST(hostile, any_single_member_may_be_null)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct str text = str_replace(arena, str_of(kinds[i].payload), STR("%1"), STR("7"));
        const json_value *whole = json(arena, str_z(arena, text));
        for (int member = 0;; member++) {
            struct source_event event;
            int left = member;
            const json_value *payload = without(arena, whole, &left);
            if (left >= 0) break;
            if (transform(arena, i, payload, &event) == SOURCE_CAPTURED) check_stored_form(arena, &event);
        }
    }
}

TEST(hostile, long_lists_are_bounded)
{
    struct buf text = buf_in(arena);
    buf_lit(&text, "{\"ref\":\"refs/heads/main\",\"after\":\"a\",\"repository\":{\"full_name\":\"a/"
                   "b\",\"default_branch\":\"main\"},\"commits\":[{}");
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, ",{\"id\":\"%040d\",\"message\":\"Change %d\\n\\nFixes #%d\",\"author\":{\"name\":\"N\"}}", i,
                   i, i);
    buf_lit(&text, "]}");
    struct source_event event;
    const json_value *metadata;
    check_int(transform(arena, 0, json(arena, str_z(arena, buf_str(&text))), &event), SOURCE_CAPTURED);
    check_stored_form(arena, &event);
    check_ok(json_parse(arena, event.metadata, &metadata));
    check_int(json_count(json_get(metadata, "commits")), 100);
    check_int(json_int(metadata, "commitCount", 0), 3001);
    check(str_ends(event.body, STR("- (+2950 more)")));
    size_t included = 0;
    for (size_t i = 0; i < event.reference_count; i++) included += str_eq(event.references[i].label, STR("included"));
    check_int(included, 20);
}

TEST(hostile, a_payload_that_is_no_object_is_no_event)
{
    struct source_event event;
    for (size_t i = 0; i < KINDS; i++) {
        check_int(transform(arena, i, json(arena, "[1]"), &event), SOURCE_INVALID_EVENT);
        check_int(transform(arena, i, NULL, &event), SOURCE_INVALID_EVENT);
    }
}

/* ---- every place of whole payloads ------------------------------------------------------------------------------- */

static struct str read_file(struct arena *arena, const char *path)
{
    struct buf text = buf_in(arena);
    char       piece[1 << 16];
    FILE      *file = fopen(path, "rb");
    check(file != NULL);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) buf_bytes(&text, piece, n);
    fclose(file);
    return buf_str(&text);
}

struct distortion {
    enum source_provider provider;
    struct str           event, action;
    const json_value    *payload;
    struct str           replacement;
};

/* As a receiver would take it. */
static void receive_distorted(struct arena *arena, const struct distortion *distortion, const json_value *payload)
{
    struct source_context      context = {.delivery_id = STR("d"), .received_at = received};
    struct source_delivery     delivery = {.provider = distortion->provider, .event = distortion->event,
                                           .action = json_str(payload, "action"), .payload = payload};
    struct source_event        event;
    struct source_github_item  item;
    struct source_route        route;
    struct source_state_change change;
    struct str                 category;
    enum source_reason reason = source_transform(arena, distortion->provider, distortion->event, payload, &context,
                                                 &event, &category);
    if (reason == SOURCE_CAPTURED) check_stored_form(arena, &event);
    source_route_find(arena, &delivery, &route);
    (void)source_state_change_find(arena, &delivery, &change);
    if (distortion->provider == SOURCE_GITHUB &&
        source_github_item_read(arena, distortion->event, payload, &context, &item))
        check(item.number > 0 && item.labels.n <= 100 && item.linked_count <= SOURCE_MAX_REFERENCES);
}

static void distort_everywhere(struct arena *arena, const struct distortion *distortion)
{
    struct arena_mark mark = arena_mark(arena);
    struct str        text;
    for (int place = 0; (text = distorted(arena, distortion->payload, place, distortion->replacement)).s; place++) {
        receive_distorted(arena, distortion, json(arena, str_z(arena, text)));
        arena_rewind(arena, mark);
    }
}

static struct str repeated_between(struct arena *arena, const char *before, const char *each, const char *after, int n)
{
    struct buf text = buf_in(arena);
    buf_str_add(&text, str_of(before));
    for (int i = 0; i < n; i++) buf_str_add(&text, str_of(each));
    buf_str_add(&text, str_of(after));
    return buf_str(&text);
}

TEST(hostile, every_place_of_whole_payloads_may_hold_anything)
{
    struct str anything[] = {STR("null"), STR("{}"), STR("[]"), STR("true"), STR("\"\""), STR("-1"), STR("1e308"),
                             STR("18446744073709551615"), STR("\"\\u0000\""), STR("\"2026-13-45T99:99:99Z\""),
                             STR("[null,1,\"x\",{\"id\":[]}]"),
                             repeated_between(arena, "\"", "#7 Fixes #8 acme/x#9 Co-authored-by: A <a@b.c>\\n", "\"", 2000),
                             repeated_between(arena, "{\"id\":", "[", "", 100)};
    anything[sizeof anything / sizeof *anything - 1] =
        str_printf(arena, STR_FMT STR_FMT, STR_ARG(anything[sizeof anything / sizeof *anything - 1]),
                   STR_ARG(repeated_between(arena, "", "]", "}", 100)));
    for (int provider = 0; provider < SOURCE_PROVIDERS; provider++) {
        struct str path = str_printf(arena, SOURCE_ROOT "/tests/golden/%s.json", source_provider_name(provider));
        const json_value *cases = json(arena, str_z(arena, read_file(arena, str_z(arena, path))));
        for (struct json_iter it = json_iter(cases); json_step(&it);)
            for (size_t i = 0; i < sizeof anything / sizeof *anything && json_get(it.value, "payload"); i++)
                distort_everywhere(arena, &(struct distortion){.provider = provider, .event = json_str(it.value, "event"),
                                                               .payload = json_get(it.value, "payload"),
                                                               .replacement = anything[i]});
    }
}

/* ---- the registry ------------------------------------------------------------------------------------------------ */

TEST(registry, what_is_captured_by_default_has_a_row_and_its_category)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct source_event event;
        struct str category;
        struct source_context context = {.received_at = received};
        struct str text = str_replace(arena, str_of(kinds[i].payload), STR("%1"), STR("7"));
        check_int(source_transform(arena, kinds[i].provider, str_of(kinds[i].event), json(arena, str_z(arena, text)),
                                   &context, &event, &category),
                  SOURCE_CAPTURED);
        const struct source_type_row *row = source_type_find(event.source, event.source_type);
        check(row != NULL);
        check_str(category, row->category);
    }
}

TEST(registry, every_row_of_vercel_linear_and_sentry_is_made_by_its_event)
{
    for (const struct source_type_row *row = source_types; row->source; row++) {
        enum source_provider provider;
        if (!source_provider_parse(str_of(row->source), &provider) || provider == SOURCE_GITHUB) continue;
        for (struct str rest = str_of(row->external), event; str_cut(&rest, ',', &event);) {
            struct source_event made;
            struct str category, filling = STR("7");
            struct source_context context = {.received_at = received, .resource_id = STR("r")};
            enum source_reason reason = SOURCE_INVALID_EVENT;
            for (size_t i = 0; i < KINDS && reason != SOURCE_CAPTURED; i++)
                if (kinds[i].provider == provider)
                    reason = source_transform(
                        arena, provider, event,
                        json(arena, str_z(arena, str_replace(arena, str_of(kinds[i].payload), STR("%1"), filling))),
                        &context, &made, &category);
            check_int(reason, SOURCE_CAPTURED);
            check_str(made.source_type, row->type);
            check_str(category, row->category);
        }
    }
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(hostile, every_kind_takes_plain_text_everywhere),
        RUN(hostile, gigantic_texts_are_cut),
        RUN(hostile, escapes_that_grow_sixfold_still_fit),
        RUN(hostile, nul_and_markup_are_text),
        RUN(hostile, everything_of_another_type_is_absent),
        RUN(hostile, any_single_member_may_be_null),
        RUN(hostile, long_lists_are_bounded),
        RUN(hostile, a_payload_that_is_no_object_is_no_event),
        RUN(hostile, every_place_of_whole_payloads_may_hold_anything),
        RUN(registry, what_is_captured_by_default_has_a_row_and_its_category),
        RUN(registry, every_row_of_vercel_linear_and_sentry_is_made_by_its_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
