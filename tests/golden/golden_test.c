/* golden_test.c - what transforms make of whole payloads: the cases committed beside this file, and, where they are
 * present, the storylines of the original system and the examples of @octokit/webhooks-examples. */
#include "check.h"

#include "base/time.h"
#include "crypto/crypto.h"
#include "source/transform.h"
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- files ------------------------------------------------------------------------------------------------------- */

static bool read_file(struct arena *arena, struct str path, struct str *text)
{
    FILE *file = fopen(str_z(arena, path), "rb");
    char piece[1 << 16];
    if (!file) return false;
    struct buf all = buf_in(arena);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) buf_bytes(&all, piece, n);
    fclose(file);
    *text = buf_str(&all);
    return true;
}

static const json_value *read_json(struct arena *arena, struct str path)
{
    struct str text;
    const json_value *value;
    if (!read_file(arena, path, &text)) return NULL;
    check_ok(json_parse(arena, text, &value));
    return value;
}

static const json_value *event_json(struct arena *arena, const struct source_event *event)
{
    struct json_out out = json_out(arena);
    const json_value *value;
    source_event_write(&out, NULL, event);
    check_ok(json_parse(arena, json_out_text(&out), &value));
    return value;
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

/* Every member of `expected` is in `actual`; lists are equal as a whole. Null: must be absent. */
static bool agrees(struct arena *arena, const json_value *expected, const json_value *actual)
{
    if (json_is_null(expected)) return json_is_null(actual);
    if (json_is_object(expected)) {
        for (struct json_iter it = json_iter(expected); json_step(&it);)
            if (!agrees(arena, it.value, json_member(actual, it.key))) return false;
        return json_is_object(actual);
    }
    if (json_is_array(expected)) {
        if (!json_is_array(actual) || json_count(expected) != json_count(actual)) return false;
        struct json_iter a = json_iter(actual);
        for (struct json_iter it = json_iter(expected); json_step(&it) && json_step(&a);)
            if (!str_eq(json_text(arena, it.value), json_text(arena, a.value))) return false;
        return true;
    }
    return actual && str_eq(json_text(arena, expected), json_text(arena, actual));
}

static struct source_context context_of(const json_value *from)
{
    int64_t received = INT64_C(1767225600000); /* 2026-01-01 */
    return (struct source_context){
        .delivery_id = STR("delivery-1"),
        .received_at = received,
        .provider_time = json_int(from, "providerTime", 0),
        .web_url = json_str(from, "webUrl"),
        .id_name = json_str(from, "idName"),
        .resource_id = json_str(from, "resourceId"),
        .default_branch = json_str(from, "defaultBranch"),
        .project_name = json_str(from, "projectName"),
        .organization = json_str(from, "organization"),
        .sync = json_get(from, "sync"),
    };
}

/* The payload of a case: its own, or that of an earlier case with the members of `change` replaced at their paths. */
static const json_value *payload_of(struct arena *arena, const json_value *cases, const json_value *one)
{
    struct str like = json_str(one, "like");
    const json_value *base = json_get(one, "payload"), *change = json_get(one, "change"), *value;
    for (struct json_iter it = json_iter(cases); like.n && json_step(&it);)
        if (str_eq(json_str(it.value, "name"), like)) base = json_get(it.value, "payload");
    if (!change) return base;
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(base); json_step(&it);) {
        const json_value *patch = json_member(change, it.key);
        if (patch && (!json_is_object(patch) || !json_is_object(it.value))) continue;
        json_key(&out, it.key);
        if (!patch) {
            json_put_value(&out, NULL, it.value);
            continue;
        }
        json_begin(&out, NULL, '{');
        for (struct json_iter inner = json_iter(it.value); json_step(&inner);)
            if (!json_member(patch, inner.key)) json_key(&out, inner.key), json_put_value(&out, NULL, inner.value);
        for (struct json_iter inner = json_iter(patch); json_step(&inner);)
            json_key(&out, inner.key), json_put_value(&out, NULL, inner.value);
        json_end(&out);
    }
    for (struct json_iter it = json_iter(change); json_step(&it);)
        if (!json_is_object(it.value) || !json_is_object(json_member(base, it.key)))
            json_key(&out, it.key), json_put_value(&out, NULL, it.value);
    json_end(&out);
    check_ok(json_parse(arena, json_out_text(&out), &value));
    return value;
}

static int run_case(struct arena *arena, enum source_provider provider, const json_value *cases, const json_value *one)
{
    struct source_event event;
    struct source_context context = context_of(json_get(one, "context"));
    struct str category, expected = json_str(one, "reason");
    enum source_reason reason = source_transform(arena, provider, json_str(one, "event"), payload_of(arena, cases, one),
                                                 &context, &event, &category);
    struct str actual = str_of(source_reason_name(reason));
    if (!expected.n) expected = STR("captured");
    if (!str_eq(expected, actual)) {
        fprintf(stderr, "%s, " STR_FMT ": " STR_FMT ", expected " STR_FMT "\n", source_provider_name(provider),
                STR_ARG(json_str(one, "name")), STR_ARG(actual), STR_ARG(expected));
        return 1;
    }
    if (reason != SOURCE_CAPTURED) return 0;
    int wrong = 0;
    const json_value *made = event_json(arena, &event);
    for (struct json_iter it = json_iter(json_get(one, "expected")); json_step(&it);) {
        const json_value *got = json_member(made, it.key);
        if (agrees(arena, it.value, got)) continue;
        wrong++;
        fprintf(stderr, "%s, " STR_FMT ": " STR_FMT " is\n  " STR_FMT "\nexpected\n  " STR_FMT "\n",
                source_provider_name(provider), STR_ARG(json_str(one, "name")), STR_ARG(it.key),
                STR_ARG(json_text(arena, got)), STR_ARG(json_text(arena, it.value)));
    }
    return wrong;
}

/* tests/golden/<provider>.json */
static void run_cases(struct arena *arena, enum source_provider provider)
{
    struct str path = str_printf(arena, SOURCE_ROOT "/tests/golden/%s.json", source_provider_name(provider));
    const json_value *cases = read_json(arena, path);
    int wrong = 0;
    check(json_is_array(cases) && json_count(cases) > 0);
    for (struct json_iter it = json_iter(cases); json_step(&it);) wrong += run_case(arena, provider, cases, it.value);
    check_int(wrong, 0);
}

TEST(golden, github_cases_become_what_the_tables_say)
{
    run_cases(arena, SOURCE_GITHUB);
}
TEST(golden, vercel_cases_become_what_the_tables_say)
{
    run_cases(arena, SOURCE_VERCEL);
}
TEST(golden, linear_cases_become_what_the_tables_say)
{
    run_cases(arena, SOURCE_LINEAR);
}
TEST(golden, sentry_cases_become_what_the_tables_say)
{
    run_cases(arena, SOURCE_SENTRY);
}

/* ---- storylines -------------------------------------------------------------------------------------------------- */

/* What the original system made of the same webhooks. It agrees, except where the spec repairs it. */
struct story {
    struct arena *arena;
    struct str place; /* "sandbox-1 10 push" */
    const json_value *golden;
    const struct source_event *event;
    int wrong;
};

static void differs(struct story *story, const char *what, struct str actual, struct str golden)
{
    story->wrong++;
    fprintf(stderr, STR_FMT ", %s:\n  " STR_FMT "\ngolden\n  " STR_FMT "\n", STR_ARG(story->place), what,
            STR_ARG(actual), STR_ARG(golden));
}

/* Titles are one line now. */
static struct str one_line(struct arena *arena, struct str text)
{
    struct buf line = buf_in(arena);
    for (size_t i = 0; i < text.n; i++) {
        bool space = (unsigned char)text.s[i] <= ' ';
        if (!space)
            buf_char(&line, text.s[i]);
        else if (line.n && line.s[line.n - 1] != ' ')
            buf_char(&line, ' ');
    }
    return buf_str(&line);
}

/* A push lists its other commits below the head's message now. */
static bool same_body(const struct story *story, struct str golden)
{
    struct str body = story->event->body;
    if (!str_eq(story->event->source_type, STR("push"))) return str_eq(body, golden);
    return str_starts(body, golden) && (body.n == golden.n || str_starts(str_skip(body, golden.n), STR("\n\n- ")));
}

/* An issue was created when it was first seen, and settled when the delivery came, not when its error last occurred. */
static bool time_was_wrong(const struct source_event *event)
{
    return str_eq(event->source, STR("sentry")) && str_starts(event->source_type, STR("issue."));
}

/* The customer who met an error is no actor; a deployment's actor is known by login, not by name. */
static bool same_actor(const struct story *story)
{
    const struct source_event *event = story->event;
    const json_value *actor = json_get(story->golden, "actor");
    if (str_eq(event->source_type, STR("error"))) return event->actor.id.s == NULL;
    if (!json_is_object(actor)) return event->actor.id.s == NULL;
    bool vercel = str_eq(event->source, STR("vercel"));
    return str_eq(event->actor.name, json_str(actor, "name")) &&
           (vercel || str_eq(event->actor.id, json_str(actor, "id")));
}

/* The original's labels had lost their endings. */
static struct str repaired(struct str label)
{
    static const char *const labels[][2] = {{"fix", "fixes"}, {"clos", "closes"}, {"resolv", "resolves"}};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (str_eq(label, str_of(labels[i][0]))) return str_of(labels[i][1]);
    return label;
}

static bool same_reference(const struct source_reference *reference, const json_value *golden)
{
    return str_eq(reference->type, json_str(golden, "type")) && str_eq(reference->id, json_str(golden, "id")) &&
           str_eq(reference->label, repaired(json_str(golden, "label")));
}

/* A push also names the commits it contains, the pull request they came through and the issues they settle. */
static bool is_new(const struct source_event *event, const struct source_reference *reference)
{
    static const char *const labels[] = {"included", "merges", "fixes", "closes", "resolves", "coauthor"};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (str_eq(reference->label, str_of(labels[i]))) return str_eq(event->source_type, STR("push"));
    return false;
}

static void compare_references(struct story *story)
{
    const struct source_event *event = story->event;
    const json_value *golden = json_get(story->golden, "references");
    for (struct json_iter it = json_iter(golden); json_step(&it);) {
        bool found = false;
        for (size_t i = 0; i < event->reference_count; i++) found |= same_reference(&event->references[i], it.value);
        if (!found) differs(story, "reference", STR("missing"), json_text(story->arena, it.value));
    }
    for (size_t i = 0; i < event->reference_count; i++) {
        bool found = is_new(event, &event->references[i]);
        for (struct json_iter it = json_iter(golden); json_step(&it);)
            found |= same_reference(&event->references[i], it.value);
        if (!found) differs(story, "reference", event->references[i].id, STR("has none"));
    }
}

static void compare_story(struct story *story)
{
    const struct source_event *event = story->event;
    const json_value *golden = story->golden;
    struct str title = one_line(story->arena, json_str(golden, "title")), body = json_str(golden, "body");
    int64_t at = 0;
    if (!str_eq(event->source, json_str(golden, "source")))
        differs(story, "source", event->source, json_str(golden, "source"));
    if (!str_eq(event->source_type, json_str(golden, "sourceType")))
        differs(story, "sourceType", event->source_type, json_str(golden, "sourceType"));
    if (!str_eq(event->title, title)) differs(story, "title", event->title, title);
    if (!same_body(story, body)) differs(story, "body", event->body, body);
    check(time_parse(json_str(golden, "occurredAt"), &at));
    if (at != event->occurred_at && !time_was_wrong(event))
        differs(story, "occurredAt", time_format(story->arena, event->occurred_at), json_str(golden, "occurredAt"));
    if (!same_actor(story))
        differs(story, "actor", event->actor.id, json_text(story->arena, json_get(golden, "actor")));
    compare_references(story);
}

static struct str storyline_event(struct arena *arena, const json_value *webhook)
{
    struct str type = json_str(webhook, "eventType");
    if (!str_eq(json_str(webhook, "source"), STR("linear"))) return type;
    return str_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(type), STR_ARG(json_str(webhook, "payload.action")));
}

static int run_storyline(struct arena *arena, int n, const json_value *input, const json_value *golden)
{
    struct source_context context = context_of(NULL);
    struct json_iter made = json_iter(golden);
    int wrong = 0;
    check_ok(
        json_parse(arena, STR("{\"branches\":[\"**\"]}"), &context.sync)); /* the stories push to topic branches too */
    check_int(json_count(golden), json_count(json_get(input, "webhooks")));
    for (struct json_iter it = json_iter(json_get(input, "webhooks")); json_step(&it) && json_step(&made);) {
        struct source_event event;
        struct str category, key = storyline_event(arena, it.value);
        enum source_provider provider;
        check(source_provider_parse(json_str(it.value, "source"), &provider));
        check_int(source_transform(arena, provider, key, json_get(it.value, "payload"), &context, &event, &category),
                  SOURCE_CAPTURED);
        struct story story = {.arena = arena,
                              .place = str_printf(arena, "sandbox-%d " STR_FMT, n, STR_ARG(key)),
                              .golden = json_get(made.value, "sourceEvent"),
                              .event = &event};
        compare_story(&story);
        wrong += story.wrong;
    }
    return wrong;
}

TEST(golden, storylines_agree_with_the_original_except_where_the_spec_repairs_it)
{
    enum { STORYLINES = 6 };
    int wrong = 0, seen = 0;
    for (int n = 1; n <= STORYLINES; n++) {
        const char *path = SOURCE_ROOT "/../shared/data/storylines/sandbox-%d.%s.json";
        const json_value *input = read_json(arena, str_printf(arena, path, n, "input"));
        const json_value *golden = read_json(arena, str_printf(arena, path, n, "golden"));
        if (!input || !golden) continue;
        seen++;
        wrong += run_storyline(arena, n, input, golden);
    }
    if (!seen) LEAVE("no storylines here");
    check_int(wrong, 0);
}

/* ---- the examples of @octokit/webhooks-examples ------------------------------------------------------------------ */

// clang-format off
static const struct expectation {
    const char *event, *captured, *opt_in; /* actions, each between spaces; every other one is never captured */
} expectations[] = {
    {"pull_request", " opened closed reopened ready_for_review ",
     " converted_to_draft review_requested review_request_removed synchronize edited assigned unassigned labeled unlabeled"
     " milestoned demilestoned "},
    {"issues", " opened closed reopened ",
     " assigned unassigned labeled unlabeled milestoned demilestoned typed untyped edited transferred "},
    {"release", " published ", " created released prereleased edited unpublished deleted "},
    {"discussion", " created answered ", " closed reopened unanswered edited category_changed labeled "},
    {"pull_request_review", " submitted dismissed ", " "},
    {"pull_request_review_comment", " created ", " "},
    {"issue_comment", " created ", " "},
};
static const char *const state_events[] = {
    "installation", "installation_repositories", "repository", "installation_target", "github_app_authorization"};
// clang-format on

static bool listed(struct arena *arena, const char *list, struct str action)
{
    return str_find(str_of(list), str_printf(arena, " " STR_FMT " ", STR_ARG(action)), 0) != SIZE_MAX;
}

static enum source_reason expected_of_push(struct arena *arena, const json_value *payload)
{
    struct str branch =
        str_printf(arena, "refs/heads/" STR_FMT, STR_ARG(json_str(payload, "repository.default_branch")));
    bool tracked = str_eq(json_str(payload, "ref"), branch) && !json_bool(payload, "deleted", false);
    return tracked ? SOURCE_CAPTURED : SOURCE_BRANCH_NOT_TRACKED;
}

static enum source_reason expected_of(struct arena *arena, struct str event, const json_value *payload, bool all)
{
    struct str action = json_str(payload, "action");
    if (str_eq(event, STR("push"))) return expected_of_push(arena, payload);
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
        const struct expectation *row = &expectations[i];
        if (!str_eq(event, str_of(row->event))) continue;
        if (!listed(arena, row->captured, action) && !(all && listed(arena, row->opt_in, action)))
            return SOURCE_ACTION_NOT_CAPTURED;
        bool wordless =
            str_eq(json_str(payload, "review.state"), STR("commented")) && !json_str(payload, "review.body").n;
        if (wordless) return SOURCE_ACTION_NOT_CAPTURED;
        const json_value *author =
            json_get(payload, "review") ? json_get(payload, "review.user") : json_get(payload, "comment.user");
        return str_eq(json_str(author, "type"), STR("Bot")) ? SOURCE_BOT : SOURCE_CAPTURED;
    }
    return SOURCE_UNHANDLED_EVENT;
}

static const json_value *every_action(struct arena *arena)
{
    struct json_out out = json_out(arena);
    const json_value *sync;
    json_begin(&out, NULL, '{');
    json_begin(&out, "actions", '{');
    for (int i = 0; i < 4; i++) { /* reviews and comments have no opt-in actions */
        struct str both = str_printf(arena, "%s%s", expectations[i].captured, expectations[i].opt_in), action;
        json_begin(&out, expectations[i].event, '[');
        while (str_cut(&both, ' ', &action))
            if (action.n) json_put(&out, NULL, action);
        json_end(&out);
    }
    json_end(&out);
    json_end(&out);
    check_ok(json_parse(arena, json_out_text(&out), &sync));
    return sync;
}

static void check_example(struct arena *arena, struct str event, const json_value *payload,
                          const struct source_context *context)
{
    struct source_event result;
    struct str category;
    enum source_reason reason = source_transform(arena, SOURCE_GITHUB, event, payload, context, &result, &category);
    enum source_reason expected = expected_of(arena, event, payload, context->sync != NULL);
    if (reason != expected)
        fail_msg(STR_FMT " " STR_FMT ": %s, expected %s", STR_ARG(event), STR_ARG(json_str(payload, "action")),
                 source_reason_name(reason), source_reason_name(expected));
    if (reason != SOURCE_CAPTURED) return;
    check_str(source_category_find(result.source, result.source_type), str_z(arena, category));
    if (!context->sync) check(source_type_find(result.source, result.source_type) != NULL);
}

static void check_state(struct arena *arena, struct str event, const json_value *payload)
{
    struct source_delivery delivery = {.event = event, .action = json_str(payload, "action"), .payload = payload};
    struct source_state_change change;
    bool expected = false;
    for (size_t i = 0; i < sizeof state_events / sizeof *state_events; i++)
        expected |= str_eq(event, str_of(state_events[i]));
    check(source_state_change_find(arena, &delivery, &change) == expected);
}

TEST(golden, octokit_examples_become_what_the_tables_say)
{
    static const char *const places[] = {SOURCE_ROOT "/tests/e2e/node_modules", SOURCE_ROOT "/node_modules"};
    const char *chosen = getenv("OCTOKIT_EXAMPLES"); /* a folder that holds @octokit/webhooks-examples */
    const json_value *events = NULL;
    struct source_context context = context_of(NULL), all = context;
    struct source_github_item item;
    for (int i = -1; i < 2 && !events; i++)
        if (i >= 0 || chosen)
            events = read_json(arena, str_printf(arena, "%s/@octokit/webhooks-examples/api.github.com/index.json",
                                                 i < 0 ? chosen : places[i]));
    if (!events) LEAVE("no examples here: set OCTOKIT_EXAMPLES");
    all.sync = every_action(arena);
    for (struct json_iter it = json_iter(events); json_step(&it);) {
        struct str event = json_str(it.value, "name");
        for (struct json_iter example = json_iter(json_get(it.value, "examples")); json_step(&example);) {
            check_example(arena, event, example.value, &context);
            check_example(arena, event, example.value, &all);
            check_state(arena, event, example.value);
            bool is_item = source_github_item_read(arena, event, example.value, &context, &item);
            bool about = json_get(example.value, "issue") || json_get(example.value, "pull_request");
            bool known = !str_eq(event, STR("pull_request_review_thread"));
            check(is_item == (about && known));
        }
    }
}

int main(void)
{
    crypto_start();
    text_start();
    const struct CMUnitTest tests[] = {
        RUN(golden, github_cases_become_what_the_tables_say),
        RUN(golden, vercel_cases_become_what_the_tables_say),
        RUN(golden, linear_cases_become_what_the_tables_say),
        RUN(golden, sentry_cases_become_what_the_tables_say),
        RUN(golden, storylines_agree_with_the_original_except_where_the_spec_repairs_it),
        RUN(golden, octokit_examples_become_what_the_tables_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
