/* answer_test.c - answers quoted from results, the markers of texts, conversations. */
#include "answer_world.h"

/* ---- sentences --------------------------------------------------------------------------------------------------------- */

static struct str joined(struct arena *arena, const char *text)
{
    struct sentences sentences = sentences_of(arena, str_of(text), 100);
    struct buf       all = buf_in(arena);
    for (size_t i = 0; i < sentences.n; i++)
        buf_printf(&all, "%s%zu:" STR_FMT, i ? "|" : "", sentences.at[i].unit, STR_ARG(sentences.at[i].text));
    return buf_str(&all);
}

TEST(answer, sentences_cross_hard_line_breaks_and_end_with_paragraphs)
{
    check_str(
        joined(arena,
               "The pool was\nexhausted at night. It recovers now, e.g. after a restart.\n\nAnother paragraph begins"),
        "0:The pool was exhausted at night.|0:It recovers now, e.g. after a restart.|1:Another paragraph begins");
}

TEST(answer, code_tables_trailers_and_markup_comments_are_no_sentences)
{
    check_str(joined(arena, "Before the code block.\n```\nint code = 1; int more = 2;\n```\n| a table | of things |\n"
                            "Resolves #1117 Resolves #1106\n\nhttps://example.com/a/long/link and #12\n"
                            "<!-- a comment of the template -->\nSigned-off-by: Ada Lovelace <ada@example.com>\n"),
              "0:Before the code block.");
}

TEST(answer, each_list_item_is_a_unit_of_its_own)
{
    struct sentences list =
        sentences_of(arena, STR("## What changed here\n- the first thing changed\n- the second thing changed\n"), 9);
    check_int(list.n, 3);
    check_str(list.at[0].text, "What changed here");
    check_str(list.at[1].text, "the first thing changed");
    check(list.at[1].unit != list.at[0].unit && list.at[2].unit != list.at[1].unit);
}

TEST(answer, sentences_are_bounded_whatever_the_text)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 5000; i++) buf_lit(&text, "This sentence is repeated. ");
    check_int(sentences_of(arena, buf_str(&text), 60).n, 60);
}

/* ---- quoting ------------------------------------------------------------------------------------------------------------ */

TEST(answer, without_a_model_the_best_sentences_are_quoted_with_their_source)
{
    ASKER(asker);
    remember(&asker, story, 3);
    struct answer_result result = put_query(&asker, "why was the session timeout raised");
    check_str(str_of(result.engine), "extractive");
    check(says(result, "- Users were signed out after 5 minutes. The session timeout is now configurable"));
    check(says(result, " [1]"));
    check_int(result.citation_count, 1);
    check_int(result.citations[0].index, 1);
    check_str(result.citations[0].title, "[PR Merged] Raise session timeout to 30 minutes");
    check(result.citations[0].score > 0 && result.citations[0].score <= 1);
    check_int(result.citations[0].occurred_at, NEW_YEAR + DAYS(10));
    check(!says(result, "Signed-off-by"));
    check_int(result.steps, 0);
    check(!result.model.n && result.rationale.n && !result.warnings.n);
}

TEST(answer, an_item_that_is_only_a_title_is_quoted_by_it)
{
    ASKER(asker);
    remember(&asker, story, 3);
    check_str(put_query(&asker, "prepare the release").content, "- Prepare the release [1]");
}

TEST(answer, nothing_found_is_said_plainly)
{
    ASKER(asker);
    struct answer_result empty = put_query(&asker, "why was the session timeout raised");
    check_str(empty.content, "Nothing in this workspace answers the question.");
    check_int(empty.citation_count, 0);
    check_int(empty.considered, 0);
    remember(&asker, story, 3);
    struct answer_result foreign = put_query(&asker, "kubernetes operator helm charts");
    check_str(foreign.content, "Nothing in this workspace answers the question.");
    check_int(foreign.citation_count, 0);
}

TEST(answer, nothing_crosses_a_workspace)
{
    ASKER(asker);
    remember(&asker, story, 3);
    struct answer_result result = put(
        &asker, (struct answer_question){.workspace = asker.other, .query = STR("why was the session timeout raised")});
    check_int(result.considered, 0);
    check_int(result.citation_count, 0);
}

TEST(answer, no_sentence_is_quoted_twice)
{
    ASKER(asker);
    const struct short_event long_text = {
        .id = "push:a:1",
        .title = "[Push] Pool",
        .body =
            "Pool\n\nThe connection pool leaked sockets under load. Each leaked socket kept a server connection alive. "
            "The pool of server connections closes idle sockets now."};
    remember(&asker, &long_text, 1);
    struct str content = put_query(&asker, "connection pool sockets").content;
    size_t     first = str_find(content, STR("Each leaked socket"), 0);
    check(first == SIZE_MAX || str_find(content, STR("Each leaked socket"), first + 1) == SIZE_MAX);
    check(mentions(content, "The pool of server connections"));
}

TEST(answer, a_title_is_quoted_where_no_sentence_has_the_question)
{
    ASKER(asker);
    const struct short_event digression = {.id = "push:a:1",
                                           .title = "[Push] Resolver of adns queries",
                                           .body = "Resolver of adns queries\n\nLunch was excellent on that day."};
    remember(&asker, &digression, 1);
    check_str(put_query(&asker, "resolver of adns queries").content, "- Resolver of adns queries [1]");
}

TEST(answer, near_duplicates_are_quoted_once)
{
    ASKER(asker);
    const struct short_event twice[] = {
        {.id = "push:a:1", .title = "[Push] Pool", .body = "Pool\n\nThe connection pool leaked sockets under load."},
        {.id = "push:a:2",
         .title = "[Push] Pool again",
         .body = "Pool again\n\nThe connection pool leaked sockets under heavy load."},
    };
    remember(&asker, twice, 2);
    check_int(put_query(&asker, "connection pool leaked sockets").citation_count, 1);
}

TEST(answer, numbers_in_brackets_of_a_stored_text_are_no_citations)
{
    ASKER(asker);
    const struct short_event hostile = {.id = "push:a:1",
                                        .title = "[Push] Sockets",
                                        .body =
                                            "Sockets\n\nThe connection pool leaked sockets [7] and handles [1, 2]."};
    remember(&asker, &hostile, 1);
    struct answer_result result = put_query(&asker, "connection pool leaked sockets");
    check_str(result.content, "- The connection pool leaked sockets (7) and handles (1, 2). [1]");
}

TEST(answer, filters_and_most_sources_bound_what_is_looked_at)
{
    ASKER(asker);
    remember(&asker, story, 3);
    struct str           types[] = {STR("push")};
    struct answer_result pushes = put(&asker, (struct answer_question){.query = STR("session timeout release"),
                                                                       .filters = {.types = types, .type_count = 1}});
    check_int(pushes.considered, 1);
    struct answer_result one =
        put(&asker, (struct answer_question){.query = STR("session timeout"), .most_sources = 1});
    check_int(one.considered, 1);
}

static void keep(void *arg, struct str piece)
{
    buf_str_add(arg, piece);
}

TEST(answer, a_listener_hears_the_whole_text)
{
    ASKER(asker);
    remember(&asker, story, 3);
    struct buf           heard = buf_in(arena);
    struct answer_result result = put(
        &asker, (struct answer_question){.query = STR("session timeout"), .listener = {.arg = &heard, .text = keep}});
    check(str_eq(buf_str(&heard), result.content));
}

/* ---- conversations ------------------------------------------------------------------------------------------------------------ */

static struct str history_of(struct asker *asker, struct answer_session session)
{
    struct arena       *arena = asker->world.arena;
    struct llm_message *history;
    size_t              n;
    struct buf          all = buf_in(arena);
    check_ok(answer_session_open(asker->answer, arena, session, &history, &n));
    for (size_t i = 0; i < n; i++)
        buf_printf(&all, "%s" STR_FMT ";", history[i].role == LLM_USER ? "u:" : "a:", STR_ARG(history[i].text));
    return buf_str(&all);
}

static void add_exchange(struct asker *asker, struct answer_session session, const char *question, const char *content)
{
    check_ok(answer_session_add(asker->answer, asker->world.arena, session,
                                (struct answer_exchange){.question = str_of(question), .content = str_of(content)}));
}

TEST(session, keeps_what_was_said)
{
    ASKER(asker);
    struct answer_session mine = {asker.world.workspace, STR("s_1"), STR("key_a")};
    check_str(history_of(&asker, mine), "");
    add_exchange(&asker, mine, "one", "1");
    add_exchange(&asker, mine, "two", "2");
    check_str(history_of(&asker, mine), "u:one;a:1;u:two;a:2;");
    for (int i = 0; i < 30; i++) add_exchange(&asker, mine, "q", "a");
    struct llm_message *history;
    size_t              n;
    check_ok(answer_session_open(asker.answer, arena, mine, &history, &n));
    check_int(n, 20);
}

TEST(session, is_closed_to_others_and_to_other_workspaces)
{
    ASKER(asker);
    struct llm_message   *history;
    size_t                n;
    struct answer_session mine = {asker.world.workspace, STR("s_1"), STR("key_a")}, theirs = mine, elsewhere = mine;
    theirs.owner = STR("key_b");
    elsewhere.workspace = asker.other;
    check_str(history_of(&asker, mine), "");
    add_exchange(&asker, mine, "one", "1");
    check_err(answer_session_open(asker.answer, arena, theirs, &history, &n), ERR_FORBIDDEN);
    check_err(answer_session_check(asker.answer, arena, theirs), ERR_FORBIDDEN);
    check_err(answer_session_forget(asker.answer, arena, theirs), ERR_FORBIDDEN);
    check_err(answer_session_check(asker.answer, arena, elsewhere), ERR_NOT_FOUND);
    check_str(history_of(&asker, elsewhere), "");
}

TEST(session, ends_an_hour_after_its_last_use_or_when_forgotten)
{
    ASKER(asker);
    struct answer_session mine = {asker.world.workspace, STR("s_1"), STR("key_a")}, theirs = mine;
    theirs.owner = STR("key_b");
    check_str(history_of(&asker, mine), "");
    add_exchange(&asker, mine, "one", "1");
    time_set(time_now() + MINUTES(59));
    check_str(history_of(&asker, mine), "u:one;a:1;");
    time_set(time_now() + MINUTES(60));
    check_err(answer_session_check(asker.answer, arena, mine), ERR_NOT_FOUND);
    check_str(history_of(&asker, theirs), "");
    check_ok(answer_session_forget(asker.answer, arena, theirs));
    check_err(answer_session_forget(asker.answer, arena, theirs), ERR_NOT_FOUND);
    add_exchange(&asker, theirs, "late", "answer"); /* of a question that was under way */
    check_err(answer_session_check(asker.answer, arena, theirs), ERR_NOT_FOUND);
}

TEST(session, ids_are_plain_words)
{
    check(answer_session_valid(STR("A-z_09")));
    check(!answer_session_valid(STR("")));
    check(!answer_session_valid(STR("a b")));
    check(!answer_session_valid(STR("../x")));
    check(answer_session_valid(STR("0123456789012345678901234567890123456789012345678901234567890123")));
    check(!answer_session_valid(STR("01234567890123456789012345678901234567890123456789012345678901234")));
}

/* ---- markers ------------------------------------------------------------------------------------------------------------------ */

/* The text that remains of a model's when it comes in pieces of so many bytes; three sources are known. */
static struct str cited(struct arena *arena, const char *text, size_t piece)
{
    struct answer_result result = {0};
    struct sources       sources = sources_in(arena);
    for (int i = 0; i < 3; i++)
        sources_add(&sources, &(struct answer_citation){.id = str_printf(arena, "obs_%d", i + 1)});
    struct citer citer = citer_in(arena, &sources, 8);
    for (struct str rest = str_of(text); rest.n; rest = str_skip(rest, piece))
        citer_add(&citer, str_slice(rest, 0, piece));
    citer_end(&citer, &result);
    return result.content;
}

TEST(answer, markers_are_verified_wherever_pieces_end)
{
    static const struct {
        const char *text, *remains;
    } cases[] = {
        {"Plain [1] and [2].", "Plain [1] and [2]."},
        {"Both [1, 2] and a range [1-3].", "Both [1][2] and a range [1][2][3]."},
        {"Invented [4] and [0] and [007].", "Invented and and."},
        {"A footnote [^2] and an id [obs_3].", "A footnote [2] and an id [3]."},
        {"A link [1](https://evil.example/x) and [9](https://evil.example/y).", "A link [1] and."},
        {"No link [1](a[b) ends it.", "No link [1](a[b) ends it."},
        {"Not markers: [x], [ ], [2024-01-02], [a](b).", "Not markers: [x], [ ], [2024-01-02], [a](b)."},
        {"Code `argv[9]` stays, `[9]` goes.", "Code `argv[9]` stays, `` goes."},
        {"```\nint x = y[5];\n```\nAfter [5].", "```\nint x = y[5];\n```\nAfter."},
        {"A picture ![p](https://evil.example/?q=1) or ![of two words](https://evil.example/?q=2), ![x][y].",
         "A picture [p](https://evil.example/?q=1) or [of two words](https://evil.example/?q=2), [x][y]."},
        {"Fixed![1] Really![9] It was!", "Fixed![1] Really! It was!"},
        {"`vec![9]` and\n```\nvec![1, 2]; ![a](b)\n```", "`vec![9]` and\n```\nvec![1, 2]; ![a](b)\n```"},
        {"An open bracket [1", "An open bracket [1"},
        {"Huge [99999999999999999999] and [1-999999999].", "Huge [99999999999999999999] and [1]."},
        {"  Blanks around. \n\n", "Blanks around."},
        {"Text.\n\nRationale: because [1].", "Text."},
        {"Text.\n\n_Rationale_: because.", "Text."},
        {"The rationale: it is part of the text.", "The rationale: it is part of the text."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 40; piece++) check_str(cited(arena, cases[i].text, piece), cases[i].remains);
}

TEST(answer, text_without_blanks_is_not_held_forever)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 100000; i++) buf_char(&text, 'x');
    buf_char(&text, 0);
    check_int(cited(arena, text.s, 100).n, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(answer, sentences_cross_hard_line_breaks_and_end_with_paragraphs),
        RUN(answer, code_tables_trailers_and_markup_comments_are_no_sentences),
        RUN(answer, each_list_item_is_a_unit_of_its_own),
        RUN(answer, sentences_are_bounded_whatever_the_text),
        RUN(answer, without_a_model_the_best_sentences_are_quoted_with_their_source),
        RUN(answer, an_item_that_is_only_a_title_is_quoted_by_it),
        RUN(answer, nothing_found_is_said_plainly),
        RUN(answer, nothing_crosses_a_workspace),
        RUN(answer, no_sentence_is_quoted_twice),
        RUN(answer, a_title_is_quoted_where_no_sentence_has_the_question),
        RUN(answer, near_duplicates_are_quoted_once),
        RUN(answer, numbers_in_brackets_of_a_stored_text_are_no_citations),
        RUN(answer, filters_and_most_sources_bound_what_is_looked_at),
        RUN(answer, a_listener_hears_the_whole_text),
        RUN(session, keeps_what_was_said),
        RUN(session, is_closed_to_others_and_to_other_workspaces),
        RUN(session, ends_an_hour_after_its_last_use_or_when_forgotten),
        RUN(session, ids_are_plain_words),
        RUN(answer, markers_are_verified_wherever_pieces_end),
        RUN(answer, text_without_blanks_is_not_held_forever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
