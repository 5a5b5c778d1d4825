/* ingest_test.c - what POST /v1/events takes, and what it says to the rest (spec/connectors-other.md 7). */
#include "check.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"
#include "source/source.h"

#define NOW       1770114600000 /* 2026-02-03T10:30:00Z */
#define PLAIN     "\"source\":\"ci\",\"sourceType\":\"build.failed\",\"title\":\"Build failed\""
#define EVENT(id) "{" PLAIN ",\"sourceId\":\"" id "\"}"

static struct err *read_body(struct arena *arena, enum source_ingest_form form, struct str body,
                             struct source_ingest *ingest)
{
    struct source_ingest_request request = {.form = form, .body = body, .request_id = STR("3f0e")};
    return source_ingest_read(arena, request, ingest);
}

/* The only item of a body. */
static struct source_ingest_item only(struct arena *arena, enum source_ingest_form form, const char *body)
{
    struct source_ingest ingest;
    check_ok(read_body(arena, form, str_of(body), &ingest));
    check_int(ingest.n, 1);
    return ingest.at[0];
}

static struct source_event taken(struct arena *arena, enum source_ingest_form form, const char *body)
{
    struct source_ingest_item item = only(arena, form, body);
    if (item.error)
        fail_msg("refused: %s " STR_FMT " " STR_FMT, item.error, STR_ARG(item.field), STR_ARG(item.message));
    return item.event;
}

static const json_value *metadata_of(struct arena *arena, const struct source_event *event)
{
    const json_value *metadata;
    check_ok(json_parse(arena, event->metadata, &metadata));
    return metadata;
}

struct refusal {
    const char *body, *error, *field, *message;
};

static void check_refusals(struct arena *arena, enum source_ingest_form form, const struct refusal *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct source_ingest_item item = only(arena, form, rows[i].body);
        if (!item.error) fail_msg("accepted: %s", rows[i].body);
        assert_string_equal(item.error, rows[i].error);
        check_str(item.field, rows[i].field);
        check_str(item.message, rows[i].message);
    }
}
#define CHECK_REFUSALS(form, rows) check_refusals(arena, (form), (rows), sizeof(rows) / sizeof *(rows))

static const char *with_body(struct arena *arena, size_t characters)
{
    struct str body = repeated(arena, "\xc3\xa9", characters);
    return str_printf(arena, "{" PLAIN ",\"sourceId\":\"1\",\"body\":\"" STR_FMT "\"}", STR_ARG(body)).s;
}

/* ---- forms ------------------------------------------------------------------------------------------------------- */

TEST(form, is_told_by_the_content_type)
{
    static const struct {
        const char *type;
        enum source_ingest_form form;
    } rows[] = {
        {"application/json", SOURCE_INGEST_JSON},
        {"Application/JSON; charset=utf-8", SOURCE_INGEST_JSON},
        {"application/x-ndjson", SOURCE_INGEST_LINES},
        {"application/jsonl", SOURCE_INGEST_LINES},
        {"application/cloudevents+json;charset=UTF-8", SOURCE_INGEST_CLOUDEVENT},
        {"application/cloudevents-batch+json", SOURCE_INGEST_CLOUDEVENTS},
        {"text/plain", SOURCE_INGEST_UNSUPPORTED},
        {"application/jsonp", SOURCE_INGEST_UNSUPPORTED},
        {"application/cloudevents+avro", SOURCE_INGEST_UNSUPPORTED},
        {"", SOURCE_INGEST_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_int(source_ingest_form(str_of(rows[i].type), false), rows[i].form);
}

TEST(form, binary_mode_is_not_supported)
{
    check_int(source_ingest_form(STR("application/json"), true), SOURCE_INGEST_UNSUPPORTED);
    check_int(source_ingest_form(STR("application/x-ndjson"), true), SOURCE_INGEST_UNSUPPORTED);
    check_int(source_ingest_form(STR("application/cloudevents+json"), true), SOURCE_INGEST_CLOUDEVENT);
}

/* ---- SourceEvents ------------------------------------------------------------------------------------------------ */

TEST(json, a_single_event_is_taken_in_its_stored_form)
{
    struct source_event event =
        taken(arena, SOURCE_INGEST_JSON,
              "{\"source\":\"ci\",\"sourceType\":\"ci:build.failed\",\"sourceId\":\"ci:build:991\",\"title\":\"  Build "
              "991\\nfailed \","
              "\"body\":\"Step 3\",\"actor\":{\"id\":\"7\",\"name\":\"ada\",\"email\":\"not an address\"},"
              "\"occurredAt\":\"2026-02-03T11:00:00+01:00\",\"references\":[{\"type\":\"issue\",\"id\":\"ENG-1\"},"
              "{\"type\":\"issue\",\"id\":\"ENG-1\"}],\"metadata\":{\"n\":1}}");
    check_str(event.source_type, "build.failed");
    check_str(event.source_id, "ci:build:991");
    check_str(event.title, "Build 991 failed");
    check_str(event.actor.name, "ada");
    check(event.actor.email.s == NULL);
    check_int(event.occurred_at, NOW - MINUTES(30));
    check_int(event.reference_count, 1);
    check_int(json_int(metadata_of(arena, &event), "n", 0), 1);
}

TEST(json, what_may_be_left_out_has_defaults)
{
    struct source_event event = taken(arena, SOURCE_INGEST_JSON, EVENT("1"));
    check_int(event.occurred_at, NOW);
    check_int(event.reference_count, 0);
    check_str(event.body, "");
    check_str(event.metadata, "{\"deliveryId\":\"api-3f0e-0\"}");
}

TEST(json, delivery_id_is_the_servers_word)
{
    struct source_event event =
        taken(arena, SOURCE_INGEST_JSON,
              "{" PLAIN ",\"sourceId\":\"1\",\"metadata\":{\"deliveryId\":\"mine\",\"url\":\"https://x.y\"}}");
    check_str(json_str(metadata_of(arena, &event), "deliveryId"), "api-3f0e-0");
    check_str(json_str(metadata_of(arena, &event), "url"), "https://x.y");
}

TEST(json, any_source_name_may_be_used)
{
    check_str(taken(arena, SOURCE_INGEST_JSON,
                    "{\"source\":\"chat-bot-9\",\"sourceType\":\"1.note_x\",\"sourceId\":\"1\",\"title\":\"T\"}")
                  .source,
              "chat-bot-9");
    check_str(taken(arena, SOURCE_INGEST_JSON,
                    "{\"source\":\"github\",\"sourceType\":\"push\",\"sourceId\":\"1\",\"title\":\"T\"}")
                  .source,
              "github");
}

TEST(json, problems_have_code_field_and_wording)
{
    static const struct refusal rows[] = {
        {"7", "NOT_AN_OBJECT", "", "Expected object, received number"},
        {"null", "NOT_AN_OBJECT", "", "Expected object, received null"},
        {"{" PLAIN "}", "MISSING_FIELD", "sourceId", "Required"},
        {"{" PLAIN ",\"sourceId\":null}", "MISSING_FIELD", "sourceId", "Required"},
        {"{" PLAIN ",\"sourceId\":7}", "INVALID_FIELD", "sourceId", "Expected string, received number"},
        {"{" PLAIN ",\"sourceId\":\"\"}", "INVALID_FIELD", "sourceId", "String must contain at least 1 character(s)"},
        {"{" PLAIN ",\"sourceId\":\"1\",\"occuredAt\":\"2026-02-03T10:30:00Z\"}", "UNKNOWN_FIELD", "occuredAt",
         "Unknown field"},
        {"{" PLAIN ",\"sourceId\":\"1\",\"occurredAt\":\"yesterday\"}", "INVALID_FIELD", "occurredAt",
         "Invalid datetime"},
        {"{" PLAIN ",\"sourceId\":\"1\",\"occurredAt\":\"2026-02-04T10:30:01Z\"}", "INVALID_FIELD", "occurredAt",
         "Invalid datetime: more than 24 hours ahead"},
        {"{" PLAIN ",\"sourceId\":\"1\",\"metadata\":[]}", "INVALID_FIELD", "metadata",
         "Expected object, received array"},
        {"{" PLAIN ",\"sourceId\":\"1\",\"actor\":{\"id\":\"7\"}}", "MISSING_FIELD", "actor", "Required"},
        {"{" PLAIN ",\"sourceId\":\"1\",\"references\":{}}", "INVALID_FIELD", "references",
         "Expected array, received object"},
        {"{\"source\":\"CI\",\"sourceType\":\"a\",\"sourceId\":\"1\",\"title\":\"T\"}", "INVALID_FIELD", "source",
         "Invalid"},
        {"{\"source\":\"ci\",\"sourceType\":\"A b\",\"sourceId\":\"1\",\"title\":\"T\"}", "INVALID_FIELD", "sourceType",
         "Invalid"},
        {"{\"source\":\"ci\",\"sourceType\":\"a\",\"sourceId\":\"1\",\"title\":\"\\u0001\"}", "INVALID_FIELD", "title",
         "title is missing"},
        {"{\"source\":\"ci\",\"sourceType\":\"ci:\",\"sourceId\":\"1\",\"title\":\"T\"}", "INVALID_FIELD", "sourceType",
         "sourceType is missing"},
    };
    CHECK_REFUSALS(SOURCE_INGEST_JSON, rows);
}

TEST(json, what_is_over_its_limit_is_refused)
{
    struct str long_title =
        str_printf(arena, "{\"source\":\"ci\",\"sourceType\":\"a\",\"sourceId\":\"1\",\"title\":\"" STR_FMT "\"}",
                   STR_ARG(repeated(arena, "t", 201)));
    struct str long_id = str_printf(arena, "{" PLAIN ",\"sourceId\":\"" STR_FMT "\"}", STR_ARG(repeated(arena, "i", 256)));
    struct str references = str_printf(arena, "{" PLAIN ",\"sourceId\":\"1\",\"references\":[" STR_FMT "0]}",
                                       STR_ARG(repeated(arena, "{\"type\":\"issue\",\"id\":\"1\"},", 100)));
    struct str metadata = str_printf(arena, "{" PLAIN ",\"sourceId\":\"1\",\"metadata\":{\"m\":\"" STR_FMT "\"}}",
                                     STR_ARG(repeated(arena, "m", 65536)));
    struct str almost = str_printf(arena, "{" PLAIN ",\"sourceId\":\"1\",\"metadata\":{\"m\":\"" STR_FMT "\"}}",
                                   STR_ARG(repeated(arena, "m", 65520)));
    const struct refusal rows[] = {
        {long_title.s, "FIELD_TOO_LONG", "title", "String must contain at most 200 character(s)"},
        {long_id.s, "FIELD_TOO_LONG", "sourceId", "String must contain at most 255 character(s)"},
        {references.s, "FIELD_TOO_LONG", "references", "Array must contain at most 100 element(s)"},
        {metadata.s, "FIELD_TOO_LONG", "metadata", "Object must be at most 65536 bytes as JSON"},
        {almost.s, "FIELD_TOO_LONG", "metadata", "Object must be at most 65536 bytes as JSON"},
        {with_body(arena, 50001), "FIELD_TOO_LONG", "body", "String must contain at most 50000 character(s)"},
    };
    CHECK_REFUSALS(SOURCE_INGEST_JSON, rows);
}

TEST(json, a_body_over_ten_thousand_characters_is_cut_and_the_item_says_so)
{
    struct source_ingest_item item = only(arena, SOURCE_INGEST_JSON, with_body(arena, 10000));
    check(!item.error && !item.truncated);
    check_int(utf8_length(item.event.body), 10000);
    item = only(arena, SOURCE_INGEST_JSON, with_body(arena, 50000));
    check(!item.error && item.truncated);
    check_int(utf8_length(item.event.body), 10000);
    check(str_ends(item.event.body, STR("...")));
}

/* ---- several events ---------------------------------------------------------------------------------------------- */

TEST(batch, items_keep_their_order_and_refuse_only_themselves)
{
    struct source_ingest ingest;
    check_ok(read_body(arena, SOURCE_INGEST_JSON, STR("[" EVENT("1") ",{},[]," EVENT("2") "]"), &ingest));
    check_int(ingest.n, 4);
    check_str(ingest.at[0].event.source_id, "1");
    assert_string_equal(ingest.at[1].error, "MISSING_FIELD");
    assert_string_equal(ingest.at[2].error, "NOT_AN_OBJECT");
    check(!ingest.at[3].error);
    check_str(json_str(metadata_of(arena, &ingest.at[3].event), "deliveryId"), "api-3f0e-3");
}

TEST(batch, a_source_id_that_came_before_is_a_repetition)
{
    struct source_ingest ingest;
    check_ok(read_body(arena, SOURCE_INGEST_JSON,
                       STR("[{\"sourceId\":\"1\"}," EVENT("1") "," EVENT("2") "," EVENT(" 1 ") "]"), &ingest));
    check(ingest.at[0].error && !ingest.at[0].repeated);
    check(!ingest.at[1].repeated); /* the first was refused */
    check(!ingest.at[2].repeated);
    check(ingest.at[3].repeated);
}

TEST(batch, a_thousand_events_are_taken_and_one_more_is_not)
{
    struct source_ingest ingest;
    for (int form = SOURCE_INGEST_JSON; form <= SOURCE_INGEST_LINES; form++) {
        bool lines = form == SOURCE_INGEST_LINES;
        struct str events = repeated(arena, lines ? EVENT("1") "\n" : EVENT("1") ",", 999);
        struct str most = str_printf(arena, lines ? STR_FMT EVENT("2") : "[" STR_FMT EVENT("2") "]", STR_ARG(events));
        check_ok(read_body(arena, (enum source_ingest_form)form, most, &ingest));
        check_int(ingest.n, 1000);
        struct str more =
            str_printf(arena, lines ? STR_FMT EVENT("2") "\n" EVENT("3") : "[" STR_FMT EVENT("2") "," EVENT("3") "]",
                       STR_ARG(events));
        check_err(read_body(arena, (enum source_ingest_form)form, more, &ingest), ERR_TOO_LARGE);
    }
}

TEST(batch, what_is_no_document_is_refused_as_a_whole)
{
    static const char *const bodies[] = {"", "  ", "{", "[]", "{}]", "\xff", "[1,]"};
    struct source_ingest ingest;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        check_err(read_body(arena, SOURCE_INGEST_JSON, str_of(bodies[i]), &ingest), ERR_INVALID);
    check_err(read_body(arena, SOURCE_INGEST_LINES, STR("\n \r\n"), &ingest), ERR_INVALID);
    check_err(read_body(arena, SOURCE_INGEST_CLOUDEVENTS, STR("{}"), &ingest), ERR_INVALID);
}

TEST(batch, deep_nesting_is_refused)
{
    struct source_ingest ingest;
    struct str deep = str_printf(arena, "{\"metadata\":" STR_FMT, STR_ARG(repeated(arena, "[", 100000)));
    check_err(read_body(arena, SOURCE_INGEST_JSON, deep, &ingest), ERR_INVALID);
    check_ok(read_body(arena, SOURCE_INGEST_LINES, deep, &ingest));
    assert_string_equal(ingest.at[0].error, "INVALID_JSON");
}

TEST(batch, metadata_nested_too_deep_refuses_only_itself)
{
    struct source_ingest ingest;
    struct str           deep = str_printf(arena, STR_FMT "1" STR_FMT, STR_ARG(repeated(arena, "{\"a\":", 101)), STR_ARG(repeated(arena, "}", 101)));
    struct str plain = str_printf(arena, "[{" PLAIN ",\"sourceId\":\"1\",\"metadata\":" STR_FMT "},{" PLAIN ",\"sourceId\":\"2\"}]", STR_ARG(deep));
    struct str event = str_printf(arena, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data\":{\"metadata\":" STR_FMT "}}", STR_ARG(deep));
    check_ok(read_body(arena, SOURCE_INGEST_JSON, plain, &ingest));
    assert_string_equal(ingest.at[0].error, "INVALID_FIELD");
    check_str(ingest.at[0].field, "metadata");
    check(!ingest.at[1].error);
    check_ok(read_body(arena, SOURCE_INGEST_CLOUDEVENT, event, &ingest));
    assert_string_equal(ingest.at[0].error, "INVALID_FIELD");
}

TEST(lines, blank_ones_are_skipped_and_broken_ones_refuse_only_themselves)
{
    struct source_ingest ingest;
    check_ok(read_body(arena, SOURCE_INGEST_LINES, STR("\n" EVENT("1") "\r\n\n{\"source\":\n7\n" EVENT("2")), &ingest));
    check_int(ingest.n, 4);
    check_str(ingest.at[0].event.source_id, "1");
    assert_string_equal(ingest.at[1].error, "INVALID_JSON");
    check(ingest.at[1].field.s == NULL && ingest.at[1].message.n);
    assert_string_equal(ingest.at[2].error, "NOT_AN_OBJECT");
    check_str(ingest.at[3].event.source_id, "2");
    check_str(json_str(metadata_of(arena, &ingest.at[3].event), "deliveryId"), "api-3f0e-3");
}

/* ---- CloudEvents ------------------------------------------------------------------------------------------------- */

#define CE                                                                                                             \
    "\"specversion\":\"1.0\",\"id\":\"A-1\",\"source\":\"https://ci.example.com:8443/builds\",\"type\":\"com.Example/" \
    "Build.Done\""

TEST(cloudevent, is_mapped_as_the_table_says)
{
    struct source_event event = taken(
        arena, SOURCE_INGEST_CLOUDEVENT,
        "{" CE ",\"time\":\"2026-02-03T09:00:00Z\",\"subject\":\"Build 9\",\"traceparent\":\"00-1\",\"sampled\":true,"
        "\"datacontenttype\":\"application/json\",\"data\":{\"message\":\"All "
        "green\",\"actor\":{\"id\":\"7\",\"name\":\"Ada\"},"
        "\"references\":[{\"type\":\"commit\",\"id\":\"abc\"},{\"type\":\"planet\",\"id\":\"x\"},7],"
        "\"metadata\":{\"n\":1,\"url\":\"https://old\"},\"url\":\"https://ci.example.com/9\"}}");
    check_str(event.source, "ci-example-com");
    check_str(event.source_type, "com.example-build.done");
    check_str(event.source_id, "ce:https://ci.example.com:8443/builds:A-1");
    check_str(event.title, "Build 9");
    check_str(event.body, "All green");
    check_str(event.actor.id, "7");
    check_int(event.occurred_at, NOW - MINUTES(90));
    check_int(event.reference_count, 1);
    const json_value *metadata = metadata_of(arena, &event);
    check_int(json_int(metadata, "n", 0), 1);
    check_str(json_str(metadata, "url"), "https://ci.example.com/9");
    check_str(json_str(metadata, "deliveryId"), "api-3f0e-0");
    check_str(
        json_text(arena, json_get(metadata, "cloudevents")),
        "{\"id\":\"A-1\",\"source\":\"https://ci.example.com:8443/builds\",\"type\":\"com.Example/Build.Done\","
        "\"subject\":\"Build 9\",\"traceparent\":\"00-1\",\"sampled\":true,\"datacontenttype\":\"application/json\"}");
}

TEST(cloudevent, needs_nothing_but_its_four_attributes)
{
    struct source_event event = taken(arena, SOURCE_INGEST_CLOUDEVENT, "{" CE "}");
    check_str(event.title, "com.Example/Build.Done A-1");
    check_str(event.body, "");
    check_int(event.occurred_at, NOW);
    check(event.actor.id.s == NULL);
}

TEST(cloudevent, source_becomes_a_slug)
{
    static const char *const rows[][2] = {
        {"https://user:secret@Build.Example.com:8443/a/b", "build-example-com"},
        {"http://[2001:db8::1]:80/x", "x-2001-db8-1"},
        {"/My App/Worker_7/", "my-app-worker-7"},
        {"urn:uuid:6e8bc430", "urn-uuid-6e8bc430"},
        {"42crunch", "x-42crunch"},
        {"--", "cloudevents"},
        {"\xc3\xa9t\xc3\xa9", "t"},
        {"://x", "x"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbb",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str body =
            str_printf(arena, "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\",\"source\":\"%s\"}", rows[i][0]);
        check_str(taken(arena, SOURCE_INGEST_CLOUDEVENT, body.s).source, rows[i][1]);
    }
}

TEST(cloudevent, body_is_the_first_text_there_is)
{
    static const char *const rows[][2] = {
        {"{\"body\":\"b\",\"message\":\"m\"}", "b"},
        {"{\"body\":\" \",\"message\":\"m\",\"description\":\"d\"}", "m"},
        {"{\"body\":7,\"description\":\"d\"}", "d"},
        {"\"plain text\"", "plain text"},
        {"{\"n\":1}", "{\n  \"n\": 1\n}"},
        {"[1]", "[\n  1\n]"},
        {"7", "7"},
        {"null", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str body = str_printf(arena, "{" CE ",\"data\":%s}", rows[i][0]);
        check_str(taken(arena, SOURCE_INGEST_CLOUDEVENT, body.s).body, rows[i][1]);
    }
}

TEST(cloudevent, title_and_body_are_cut_whatever_their_length)
{
    struct str text = repeated(arena, "x", 60000);
    struct str body = str_printf(arena, "{" CE ",\"data\":{\"title\":\"" STR_FMT "\",\"body\":\"" STR_FMT "\"}}",
                                 STR_ARG(text), STR_ARG(text));
    struct source_ingest_item item = only(arena, SOURCE_INGEST_CLOUDEVENT, body.s);
    check(!item.error && item.truncated);
    check_int(item.event.title.n, 200);
    check_int(item.event.body.n, 10000);
}

TEST(cloudevent, a_long_id_stays_an_identity)
{
    struct str text = repeated(arena, "x", 300);
    struct str body = str_printf(
        arena, "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\",\"id\":\"" STR_FMT "\"}", STR_ARG(text));
    struct source_event event = taken(arena, SOURCE_INGEST_CLOUDEVENT, body.s);
    check_int(event.source_id.n, 190 + 1 + 64);
    check(str_starts(event.source_id, STR("ce:s:xxx")));
}

TEST(cloudevent, data_that_is_a_source_event_is_taken_as_such)
{
    struct source_event event =
        taken(arena, SOURCE_INGEST_CLOUDEVENT,
              "{" CE ",\"time\":\"2026-02-03T09:00:00Z\",\"data\":{\"sourceType\":\"build.failed\","
              "\"sourceId\":\"b:1\",\"title\":\"Build failed\",\"metadata\":{\"n\":1}}}");
    check_str(event.source, "ci-example-com");
    check_str(event.source_type, "build.failed");
    check_str(event.source_id, "b:1");
    check_str(event.body, "");
    check_int(event.occurred_at, NOW - MINUTES(90));
    check_int(json_int(metadata_of(arena, &event), "n", 0), 1);
    check_str(json_str(metadata_of(arena, &event), "cloudevents.id"), "A-1");
    event = taken(
        arena, SOURCE_INGEST_CLOUDEVENT,
        "{" CE
        ",\"time\":\"2026-02-03T09:00:00Z\",\"data\":{\"source\":\"ci\",\"sourceType\":\"a\",\"sourceId\":\"b:1\","
        "\"title\":\"T\",\"occurredAt\":\"2026-02-03T08:00:00Z\"}}");
    check_str(event.source, "ci");
    check_int(event.occurred_at, NOW - MINUTES(150));
}

TEST(cloudevent, data_that_is_a_source_event_is_held_to_its_rules)
{
    static const struct refusal rows[] = {
        {"{" CE ",\"data\":{\"sourceType\":\"a\",\"sourceId\":\"1\",\"title\":\"T\",\"text\":\"x\"}}", "UNKNOWN_FIELD",
         "text", "Unknown field"},
        {"{" CE ",\"data\":{\"sourceType\":\"A!\",\"sourceId\":\"1\",\"title\":\"T\"}}", "INVALID_FIELD", "sourceType",
         "Invalid"},
    };
    CHECK_REFUSALS(SOURCE_INGEST_CLOUDEVENT, rows);
}

TEST(cloudevent, encoded_text_and_json_are_decoded)
{
    static const char *const rows[][2] = {
        {"\"datacontenttype\":\"text/plain\",\"data_base64\":\"aGVsbG8=\"", "hello"},
        {"\"datacontenttype\":\"application/json\",\"data_base64\":\"eyJib2R5IjoiaGkifQ==\"", "hi"},
        {"\"datacontenttype\":\"application/vnd.x+json; v=1\",\"data_base64\":\"eyJib2R5IjoiaGkifQ==\"", "hi"},
        {"\"data_base64\":\"ImhpIg==\"", "hi"},
        {"\"datacontenttype\":\"text/plain\",\"data_base64\":\"/w==\"", "\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str body = str_printf(arena, "{" CE ",%s}", rows[i][0]);
        check_str(taken(arena, SOURCE_INGEST_CLOUDEVENT, body.s).body, rows[i][1]);
    }
}

TEST(cloudevent, problems_have_code_field_and_wording)
{
    static const struct refusal rows[] = {
        {"[]", "NOT_AN_OBJECT", "", "Expected object, received array"},
        {"{\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"}", "MISSING_FIELD", "specversion", "Required"},
        {"{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"}", "UNSUPPORTED_SPECVERSION",
         "specversion", "Only CloudEvents 1.0 is supported"},
        {"{\"specversion\":1.0,\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"}", "UNSUPPORTED_SPECVERSION", "specversion",
         "Only CloudEvents 1.0 is supported"},
        {"{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\"}", "MISSING_FIELD", "id", "Required"},
        {"{\"specversion\":\"1.0\",\"id\":7,\"source\":\"s\",\"type\":\"t\"}", "INVALID_FIELD", "id",
         "Expected string, received number"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\" \",\"type\":\"t\"}", "INVALID_FIELD", "source",
         "String must contain at least 1 character(s)"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"!\"}", "INVALID_FIELD", "type", "Invalid"},
        {"{" CE ",\"time\":\"noon\"}", "INVALID_FIELD", "time", "Invalid datetime"},
        {"{" CE ",\"time\":\"2026-02-05T00:00:00Z\"}", "INVALID_FIELD", "time",
         "Invalid datetime: more than 24 hours ahead"},
        {"{" CE ",\"subject\":7}", "INVALID_FIELD", "subject", "Expected string, received number"},
        {"{" CE ",\"Data\":{}}", "UNKNOWN_FIELD", "Data", "Unknown field"},
        {"{" CE ",\"extension\":{}}", "INVALID_FIELD", "extension",
         "Expected string, number or boolean, received object"},
        {"{" CE ",\"datacontenttype\":\"image/png\",\"data_base64\":\"AAAA\"}", "UNSUPPORTED_DATA", "data_base64",
         "Only text and JSON are supported"},
        {"{" CE ",\"data_base64\":\"!!\"}", "INVALID_FIELD", "data_base64", "Invalid base64"},
        {"{" CE ",\"data_base64\":\"aGVsbG8=\"}", "INVALID_FIELD", "data_base64", "Invalid JSON"},
        {"{" CE ",\"data\":1,\"data_base64\":\"aGVsbG8=\"}", "INVALID_FIELD", "data_base64", "data is given as well"},
    };
    CHECK_REFUSALS(SOURCE_INGEST_CLOUDEVENT, rows);
}

TEST(cloudevent, a_type_that_is_too_long_is_refused)
{
    struct str body =
        str_printf(arena, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"" STR_FMT "\"}",
                   STR_ARG(repeated(arena, "t", 101)));
    struct refusal row = {body.s, "FIELD_TOO_LONG", "type", "String must contain at most 100 character(s)"};
    check_refusals(arena, SOURCE_INGEST_CLOUDEVENT, &row, 1);
}

TEST(cloudevent, batches_are_arrays)
{
    struct source_ingest ingest;
    check_ok(read_body(arena, SOURCE_INGEST_CLOUDEVENTS, STR("[{" CE "},{},{" CE "}]"), &ingest));
    check_int(ingest.n, 3);
    check(!ingest.at[0].error && !ingest.at[0].repeated);
    assert_string_equal(ingest.at[1].error, "MISSING_FIELD");
    check(ingest.at[2].repeated);
}

TEST(cloudevent, actors_without_id_or_name_are_left_out)
{
    static const char *const actors[] = {"\"ada\"", "{}", "{\"id\":\"7\"}", "{\"id\":\"7\",\"name\":\" \"}",
                                         "{\"id\":7,\"name\":\"Ada\"}"};
    for (size_t i = 0; i < sizeof actors / sizeof *actors; i++) {
        struct str body = str_printf(arena, "{" CE ",\"data\":{\"actor\":%s}}", actors[i]);
        check(taken(arena, SOURCE_INGEST_CLOUDEVENT, body.s).actor.id.s == NULL);
    }
}

TEST(cloudevent, an_address_that_is_not_of_the_web_is_no_url)
{
    struct source_event event =
        taken(arena, SOURCE_INGEST_CLOUDEVENT, "{" CE ",\"data\":{\"url\":\"javascript:alert(1)\"}}");
    check(json_get(metadata_of(arena, &event), "url") == NULL);
}

int main(void)
{
    crypto_start();
    time_set(NOW);
    const struct CMUnitTest tests[] = {
        RUN(form, is_told_by_the_content_type),
        RUN(form, binary_mode_is_not_supported),
        RUN(json, a_single_event_is_taken_in_its_stored_form),
        RUN(json, what_may_be_left_out_has_defaults),
        RUN(json, delivery_id_is_the_servers_word),
        RUN(json, any_source_name_may_be_used),
        RUN(json, problems_have_code_field_and_wording),
        RUN(json, what_is_over_its_limit_is_refused),
        RUN(json, a_body_over_ten_thousand_characters_is_cut_and_the_item_says_so),
        RUN(batch, items_keep_their_order_and_refuse_only_themselves),
        RUN(batch, a_source_id_that_came_before_is_a_repetition),
        RUN(batch, a_thousand_events_are_taken_and_one_more_is_not),
        RUN(batch, what_is_no_document_is_refused_as_a_whole),
        RUN(batch, deep_nesting_is_refused),
        RUN(batch, metadata_nested_too_deep_refuses_only_itself),
        RUN(lines, blank_ones_are_skipped_and_broken_ones_refuse_only_themselves),
        RUN(cloudevent, is_mapped_as_the_table_says),
        RUN(cloudevent, needs_nothing_but_its_four_attributes),
        RUN(cloudevent, source_becomes_a_slug),
        RUN(cloudevent, body_is_the_first_text_there_is),
        RUN(cloudevent, title_and_body_are_cut_whatever_their_length),
        RUN(cloudevent, a_long_id_stays_an_identity),
        RUN(cloudevent, data_that_is_a_source_event_is_taken_as_such),
        RUN(cloudevent, data_that_is_a_source_event_is_held_to_its_rules),
        RUN(cloudevent, encoded_text_and_json_are_decoded),
        RUN(cloudevent, problems_have_code_field_and_wording),
        RUN(cloudevent, a_type_that_is_too_long_is_refused),
        RUN(cloudevent, batches_are_arrays),
        RUN(cloudevent, actors_without_id_or_name_are_left_out),
        RUN(cloudevent, an_address_that_is_not_of_the_web_is_no_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
