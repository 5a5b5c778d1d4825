/* answer_test.c - answers with citations: quoted from results without a language model. */
#include "answer/parts.h"
#include "memory_world.h"

struct asker {
    struct world   world;
    struct search *search;
    struct answer *answer;
    int64_t        other; /* another workspace */
};

static struct err *make_workspace(struct db_tx *tx, void *arg)
{
    struct org_workspace first, made;
    TRY(org_workspace_default(tx, STR(""), &first));
    TRY(org_workspace_create(tx, first.org_id, STR("other"), &made));
    *(int64_t *)arg = made.id;
    return NULL;
}

static void asker_end(struct asker *asker)
{
    answer_destroy(asker->answer);
    search_destroy(asker->search);
    world_end(&asker->world);
}

static void asker_begin(struct asker *asker, struct arena *arena)
{
    asker->world = world_begin(arena);
    struct world *world = &asker->world;
    check_ok(db_write(world->db, arena, make_workspace, &asker->other));
    asker->search = search_create(world->db, world->memory.embed, (struct search_config){.memory_limit = 64 << 20});
    asker->answer = answer_create((struct answer_config){world->db, asker->search, world->memory.embed, NULL});
}
#define ASKER(name)                                                       \
    struct asker name __attribute__((cleanup(asker_end))) = {0};          \
    asker_begin(&name, arena)

static const struct short_event story[] = {
    {.type = "pull-request.merged", .id = "pr:acme/api#87:merged", .title = "[PR Merged] Raise session timeout to 30 minutes",
     .body = "Raise session timeout to 30 minutes\n\nUsers were signed out after 5 minutes. The session timeout is now\n"
             "configurable, and its default is 30 minutes. Nobody liked the old one.\n\nSigned-off-by: Ada <ada@example.com>\n",
     .actor = "github:1", .name = "Ada", .day = 10},
    {.type = "pull-request.merged", .id = "pr:acme/api#61:merged", .title = "[PR Merged] Rotate refresh tokens",
     .body = "Rotate refresh tokens\n\nA stolen refresh token dies at its second use.", .actor = "github:2", .name = "Grace", .day = 20},
    {.id = "push:acme/api:1", .title = "[Push] Prepare the release", .body = "Prepare the release", .actor = "github:2", .day = 30},
};

static void remember(struct asker *asker, const struct short_event *events, size_t n)
{
    capture_all(&asker->world, SOURCE_MANUAL, events, n);
}

static struct answer_result put(struct asker *asker, struct answer_question question)
{
    struct answer_result result;
    if (!question.workspace) question.workspace = asker->world.workspace;
    check_ok(answer_ask(asker->answer, asker->world.arena, &question, &result));
    return result;
}

static struct answer_result put_query(struct asker *asker, const char *query)
{
    return put(asker, (struct answer_question){.query = str_of(query)});
}

static bool says(struct answer_result result, const char *text)
{
    return str_find(result.content, str_of(text), 0) != SIZE_MAX;
}

/* ---- sentences --------------------------------------------------------------------------------------------------------- */

static struct str joined(struct arena *arena, const char *text)
{
    struct sentences sentences = sentences_of(arena, str_of(text), 100);
    struct buf all = buf_in(arena);
    for (size_t i = 0; i < sentences.n; i++)
        buf_printf(&all, "%s%zu:" STR_FMT, i ? "|" : "", sentences.at[i].unit, STR_ARG(sentences.at[i].text));
    return buf_str(&all);
}

TEST(answer, sentences_cross_hard_line_breaks_and_end_with_paragraphs)
{
    check_str(joined(arena, "The pool was\nexhausted at night. It recovers now, e.g. after a restart.\n\nAnother paragraph begins"),
              "0:The pool was exhausted at night.|0:It recovers now, e.g. after a restart.|1:Another paragraph begins");
}

TEST(answer, code_tables_trailers_and_markup_comments_are_no_sentences)
{
    check_str(joined(arena, "Before the code block.\n```\nint code = 1; int more = 2;\n```\n| a table | of things |\n"
                            "<!-- a comment of the template -->\nSigned-off-by: Ada Lovelace <ada@example.com>\n"),
              "0:Before the code block.");
}

TEST(answer, each_list_item_is_a_unit_of_its_own)
{
    struct sentences list = sentences_of(arena, STR("## What changed here\n- the first thing changed\n- the second thing changed\n"), 9);
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
    struct answer_result result =
        put(&asker, (struct answer_question){.workspace = asker.other, .query = STR("why was the session timeout raised")});
    check_int(result.considered, 0);
    check_int(result.citation_count, 0);
}

TEST(answer, near_duplicates_are_quoted_once)
{
    ASKER(asker);
    const struct short_event twice[] = {
        {.id = "push:a:1", .title = "[Push] Pool", .body = "Pool\n\nThe connection pool leaked sockets under load."},
        {.id = "push:a:2", .title = "[Push] Pool again", .body = "Pool again\n\nThe connection pool leaked sockets under heavy load."},
    };
    remember(&asker, twice, 2);
    check_int(put_query(&asker, "connection pool leaked sockets").citation_count, 1);
}

TEST(answer, numbers_in_brackets_of_a_stored_text_are_no_citations)
{
    ASKER(asker);
    const struct short_event hostile = {
        .id = "push:a:1", .title = "[Push] Sockets", .body = "Sockets\n\nThe connection pool leaked sockets [7] and handles [1, 2]."};
    remember(&asker, &hostile, 1);
    struct answer_result result = put_query(&asker, "connection pool leaked sockets");
    check_str(result.content, "- The connection pool leaked sockets (7) and handles (1, 2). [1]");
}

TEST(answer, filters_and_most_sources_bound_what_is_looked_at)
{
    ASKER(asker);
    remember(&asker, story, 3);
    struct str types[] = {STR("push")};
    struct answer_result pushes = put(&asker, (struct answer_question){
        .query = STR("session timeout release"), .filters = {.types = types, .type_count = 1}});
    check_int(pushes.considered, 1);
    struct answer_result one = put(&asker, (struct answer_question){.query = STR("session timeout"), .most_sources = 1});
    check_int(one.considered, 1);
}

static void keep(void *arg, struct str piece) { buf_str_add(arg, piece); }

TEST(answer, a_listener_hears_the_whole_text)
{
    ASKER(asker);
    remember(&asker, story, 3);
    struct buf heard = buf_in(arena);
    struct answer_result result = put(&asker, (struct answer_question){
        .query = STR("session timeout"), .listener = {.arg = &heard, .text = keep}});
    check(str_eq(buf_str(&heard), result.content));
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
        RUN(answer, near_duplicates_are_quoted_once),
        RUN(answer, numbers_in_brackets_of_a_stored_text_are_no_citations),
        RUN(answer, filters_and_most_sources_bound_what_is_looked_at),
        RUN(answer, a_listener_hears_the_whole_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
