/* search_texts_test.c - how a question is read, what of a text is marked and shown, and what comes before what. */
#include "check.h"

#include "base/time.h"
#include "search/parts.h"

/* ---- reading, marking, ranking ----------------------------------------------------------------------------------- */

static struct matcher *matcher_for(struct arena *arena, const char *text)
{
    struct query *query = NEW(arena, struct query);
    text_start();
    query_read(arena, str_of(text), query);
    double *weights = NEW_ARRAY(arena, double, query->term_count);
    for (size_t i = 0; i < query->term_count; i++) weights[i] = 1;
    return matcher_create(arena, query, weights);
}

static struct str marked(struct arena *arena, const char *query, const char *text)
{
    return highlight(arena, matcher_for(arena, query), str_of(text));
}

TEST(object, events_of_one_object_share_a_key)
{
    static const char *const expected[][2] = {
        {"pr:acme/api#7:merged", "pr:acme/api#7"},
        {"pr:acme/api#7:synchronize:3f2c1aa", "pr:acme/api#7"},
        {"issue:acme/api#7:closed@1700000000", "issue:acme/api#7"},
        {"push:acme/api:3f2c1aa", "push:acme/api:3f2c1aa"},
        {"release:acme/api:v1.0", "release:acme/api:v1.0"},
        {"release:acme/api:v1.0:edited@1700000000", "release:acme/api:v1.0"},
        {"deployment:dpl_1:succeeded", "deployment:dpl_1"},
        {"linear-issue:ENG:ENG-42:update@17", "linear-issue:ENG:ENG-42"},
        {"ci:build:991", "ci:build:991"},
        {"nothing", "nothing"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        check_str(object_key(str_of(expected[i][0])), expected[i][1]);
}

TEST(query, stop_words_are_no_terms)
{
    struct query query;
    query_read(arena, STR("why is the session timeout"), &query);
    check_int(query.term_count, 2);
    check_str(query.words[0], "session");
    check_str(query.words[1], "timeout");
}

TEST(query, of_nothing_but_stop_words_all_are_terms)
{
    struct query query;
    query_read(arena, STR("to be or not to be"), &query);
    check_int(query.term_count, 4);
}

TEST(query, a_split_identifier_is_asked_whole_and_in_parts)
{
    struct query query;
    query_read(arena, STR("getUserName"), &query);
    check_int(query.term_count, 4);
    check_str(query.words[0], "getUserName");
}

static struct query query_about(struct arena *arena, const char *text, const char *person)
{
    struct query query;
    struct str   people[] = {str_of(person)};
    query_read(arena, str_of(text), &query);
    query_leave_out_people(arena, people, 1, &query);
    return query;
}

TEST(query, words_of_people_that_a_filter_names_are_left_out)
{
    struct query query = query_about(arena, "timeouts by Ada L\xc3\xb6velace and Ada's fixes", "@ada lovelace");
    check_int(query.term_count, 2);
    check_str(query.words[0], "timeouts");
    check_str(query.words[1], "fixes");
    check_int(query.place_count, 2);
    check_int(query.places[1].term, 1);
    check_str(query_plain(arena, &query), "timeouts by and fixes");
}

TEST(query, of_nothing_but_a_name_all_words_stay)
{
    struct query query = query_about(arena, "Ada Lovelace", "Ada Lovelace");
    check_int(query.term_count, 2);
    check_str(query_plain(arena, &query), "Ada Lovelace");
}

TEST(query, a_word_counts_as_its_rarest_part)
{
    struct query query;
    query_read(arena, STR("why is getUser slow, slow?"), &query); /* getUser, get, user, slow */
    const double       idf[] = {9, 1, 4, 2.25};
    struct query_words words = query_weigh(arena, &query, idf, 0.5);
    check_int(query.term_count, 4);
    check_int(words.n, 5);
    check_str(words.at[2].text, "getUser");
    check_near(words.at[2].weight, 3, 1e-6);
    check_near(words.at[3].weight, 1.5, 1e-6);
    check_near(words.at[4].weight, 1.5, 1e-6); /* again the same word */
    check_near(words.at[0].weight, 1, 1e-6);   /* no term: as the most frequent one */
}

TEST(query, phrases_stand_between_quotation_marks)
{
    struct query query;
    query_read(arena, STR("see \"out  of memory\" and \"\" and \"x"), &query);
    check_int(query.phrase_count, 1);
    check_str(query.phrases[0], "out of memory");
}

static bool holds(struct arena *arena, const char *text, const char *phrase)
{
    struct str phrases[] = {STR("the"), str_of(phrase)};
    return phrases_found(arena, phrases, 2, str_of(text));
}

TEST(phrase, case_accents_and_white_space_are_folded)
{
    check(holds(arena, "the server ran Out\n  of MEMORY again", "out of memory"));
    check(holds(arena, "the Caf\xc3\xa9 Ol\xc3\xa9", "cafe ole"));
    check(holds(arena, "the cafe", "Caf\xc3\xa9"));
    check(!holds(arena, "out of the memory", "out of memory"));
    check(!holds(arena, "out of memory again", "out of memory")); /* the other phrase is missing */
}

TEST(highlight, other_forms_of_a_word_are_marked)
{
    check_str(marked(arena, "raising timeouts", "Raise the timeout"), "<mark>Raise</mark> the <mark>timeout</mark>");
    check_str(marked(arena, "die", "Dying slowly, skies"), "<mark>Dying</mark> slowly, skies");
}

TEST(highlight, stop_words_are_not_marked)
{
    check_str(marked(arena, "the timeout", "the timeout"), "the <mark>timeout</mark>");
}

TEST(highlight, adjacent_marks_are_joined)
{
    check_str(marked(arena, "session timeout", "the session timeout."), "the <mark>session timeout</mark>.");
}

TEST(highlight, html_is_escaped)
{
    check_str(marked(arena, "script", "<script>a & 'b'</script>"),
              "&lt;<mark>script</mark>&gt;a &amp; &#x27;b&#x27;&lt;/<mark>script</mark>&gt;");
}

TEST(highlight, at_most_twelve_marks)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 30; i++) buf_lit(&text, "timeout, ");
    struct str out = highlight(arena, matcher_for(arena, "timeout"), buf_str(&text));
    int        marks = 0;
    for (size_t at = str_find(out, STR("<mark>"), 0); at != SIZE_MAX; at = str_find(out, STR("<mark>"), at + 1)) marks++;
    check_int(marks, 12);
}

TEST(highlight, an_entity_key_is_marked_but_not_inside_a_longer_one)
{
    check_str(marked(arena, "#12", "see #12, not #123"), "see <mark>#12</mark>, not #123");
}

TEST(highlight, words_inside_identifiers_are_marked)
{
    check_str(marked(arena, "user", "call getUserName()"), "call get<mark>User</mark>Name()");
    check_str(marked(arena, "zset", "in src/t_zset.c"), "in src/t_<mark>zset</mark>.c");
}

TEST(highlight, accents_do_not_hide_a_word)
{
    check_str(marked(arena, "resume", "the R\xc3\xa9sum\xc3\xa9"), "the <mark>R\xc3\xa9sum\xc3\xa9</mark>");
}

TEST(snippet, a_short_text_is_shown_whole)
{
    check_str(snippet_best(arena, matcher_for(arena, "timeout"), STR("A short text.")), "A short text.");
}

static struct str long_text(struct arena *arena, const char *inside)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 40; i++) buf_lit(&text, "Nothing of interest here. ");
    buf_str_add(&text, str_of(inside));
    for (int i = 0; i < 40; i++) buf_lit(&text, " Nothing of interest here either.");
    return buf_str(&text);
}

TEST(snippet, the_passage_with_the_highest_cover_is_shown)
{
    struct str text = long_text(arena, "One timeout. The session timeout was raised to thirty minutes.");
    struct str snippet = snippet_best(arena, matcher_for(arena, "session timeout raised"), text);
    check(mentions(snippet, "The session timeout was raised to thirty minutes."));
    check(str_starts(snippet, STR("... ")));
    check(str_ends(snippet, STR(" ...")));
    check(snippet.n <= 300);
}

TEST(snippet, without_a_match_the_opening_is_shown_cut_at_a_word)
{
    struct str snippet = snippet_best(arena, matcher_for(arena, "zebra"), long_text(arena, ""));
    check(str_starts(snippet, STR("Nothing of interest")));
    check(str_ends(snippet, STR(" ...")));
    check(snippet.n <= 300 && snippet.n > 280);
    check(snippet.s[snippet.n - 5] != ' ');
}

TEST(snippet, characters_are_counted_and_never_cut)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 500; i++) buf_lit(&text, "\xe4\xb8\xad");
    struct str snippet = snippet_opening(arena, buf_str(&text), 200);
    check_int(snippet.n, 196 * 3 + 4);
    check(str_ends(snippet, STR("\xad ...")));
}

TEST(snippet, a_first_line_that_repeats_the_title_is_left_out)
{
    check_str(content_after_title(STR("[Push] Fix leak"), STR("Fix leak\n\nIt leaked.")), "It leaked.");
    check_str(content_after_title(STR("[Push] Fix leak"), STR("Fix leak\n")), "Fix leak\n");
    check_str(content_after_title(STR("[Push] Fix leak"), STR("Other\ntext")), "Other\ntext");
}

static const struct search_weights dated = {.recency = 0.05, .significance = 0.03};
static const struct search_weights led = {.feedback = 0.1, .feedback_unfound = 0.4};

TEST(rerank, of_equals_the_newer_comes_first)
{
    struct index_hit hits[] = {{.id = 1, .score = 0.5, .time = 0}, {.id = 2, .score = 0.5, .time = DAYS(1000)}};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &search_weights, .now = DAYS(1000)}, hits, 2);
    check_int(hits[0].id, 2);
}

TEST(rerank, recency_halves_in_ninety_days)
{
    struct index_hit hits[] = {{.score = 0.5, .time = DAYS(90)}, {.score = 0.5, .time = 0}};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &dated, .now = DAYS(90)}, hits, 2);
    check_near(hits[0].score, 0.92 * 0.5 + 0.05, 1e-9);
    check_near(hits[1].score, 0.92 * 0.5 + 0.025, 1e-9);
}

TEST(rerank, a_future_time_is_no_advantage)
{
    struct index_hit hit = {.score = 0, .time = DAYS(9)};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &dated, .now = DAYS(1)}, &hit, 1);
    check_near(hit.score, 0.05, 1e-9);
}

TEST(rerank, significance_counts_its_share)
{
    struct index_hit hit = {.score = 0.5, .time = 0, .significance = 100};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &dated, .now = DAYS(90000)}, &hit, 1);
    check_near(hit.score, 0.46 + 0.03, 1e-9);
}

TEST(rerank, what_resembles_the_best_is_raised)
{
    struct index_hit hits[] = {{.id = 1, .score = 0.5, .cover = 1, .feedback = 0.2},
                               {.id = 2, .score = 0.49, .cover = 0.2, .feedback = 0.9}};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &led, .now = 0}, hits, 2);
    check_int(hits[0].id, 2);
    check_near(hits[0].score, (0.49 + 0.1 * 0.9) / 1.1, 1e-9);
}

TEST(rerank, resemblance_counts_more_where_words_are_missing)
{
    struct index_hit hit = {.score = 0.5, .cover = 0.25, .feedback = 1};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &led, .now = 0}, &hit, 1);
    check_near(hit.score, (0.5 + 0.4) / 1.4, 1e-9);
}

TEST(rerank, a_release_that_nobody_asked_for_comes_later)
{
    static const struct search_weights weights = {.release = 0.1};
    struct index_hit hits[] = {{.id = 1, .score = 0.5, .type = STR("release_published")}, {.id = 2, .score = 0.45, .type = STR("push")}};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &weights, .releases = true}, hits, 2);
    check_int(hits[0].id, 1);
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &weights}, hits, 2);
    check_int(hits[0].id, 2);
    check_near(hits[1].score, 0.4, 1e-9);
}

TEST(query, asks_for_releases_by_their_name_or_number)
{
    static const struct { const char *text; bool asks; } rows[] = {
        {"what was released in May", true}, {"changes of v7.2", true}, {"1.20.0", true}, {"which version has SCRAM", true},
        {"why is it slow", false}, {"127", false}, {"file.c of v", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct query query;
        query_read(arena, str_of(rows[i].text), &query);
        check_int(query_asks_for_releases(&query), rows[i].asks);
    }
}

TEST(rerank, without_vectors_scores_stay)
{
    struct index_hit hit = {.score = 0.5, .cover = 0.25};
    rerank((struct rerank){.mode = SEARCH_BALANCED, .weights = &led, .now = 0}, &hit, 1);
    check_near(hit.score, 0.5, 1e-9);
}

TEST(rerank, fast_keeps_the_merged_score)
{
    struct index_hit hit = {.score = 0.5, .time = DAYS(9), .significance = 100, .feedback = 1};
    rerank((struct rerank){.mode = SEARCH_FAST, .weights = &led, .now = DAYS(9)}, &hit, 1);
    check_near(hit.score, 0.5, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(object, events_of_one_object_share_a_key),
        RUN(query, stop_words_are_no_terms),
        RUN(query, of_nothing_but_stop_words_all_are_terms),
        RUN(query, a_split_identifier_is_asked_whole_and_in_parts),
        RUN(query, words_of_people_that_a_filter_names_are_left_out),
        RUN(query, of_nothing_but_a_name_all_words_stay),
        RUN(query, a_word_counts_as_its_rarest_part),
        RUN(query, phrases_stand_between_quotation_marks),
        RUN(phrase, case_accents_and_white_space_are_folded),
        RUN(highlight, other_forms_of_a_word_are_marked),
        RUN(highlight, stop_words_are_not_marked),
        RUN(highlight, adjacent_marks_are_joined),
        RUN(highlight, html_is_escaped),
        RUN(highlight, at_most_twelve_marks),
        RUN(highlight, an_entity_key_is_marked_but_not_inside_a_longer_one),
        RUN(highlight, words_inside_identifiers_are_marked),
        RUN(highlight, accents_do_not_hide_a_word),
        RUN(snippet, a_short_text_is_shown_whole),
        RUN(snippet, the_passage_with_the_highest_cover_is_shown),
        RUN(snippet, without_a_match_the_opening_is_shown_cut_at_a_word),
        RUN(snippet, characters_are_counted_and_never_cut),
        RUN(snippet, a_first_line_that_repeats_the_title_is_left_out),
        RUN(rerank, of_equals_the_newer_comes_first),
        RUN(rerank, recency_halves_in_ninety_days),
        RUN(rerank, a_future_time_is_no_advantage),
        RUN(rerank, significance_counts_its_share),
        RUN(rerank, what_resembles_the_best_is_raised),
        RUN(rerank, resemblance_counts_more_where_words_are_missing),
        RUN(rerank, a_release_that_nobody_asked_for_comes_later),
        RUN(query, asks_for_releases_by_their_name_or_number),
        RUN(rerank, without_vectors_scores_stay),
        RUN(rerank, fast_keeps_the_merged_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
