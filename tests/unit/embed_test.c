/* embed_test.c - words and pieces, the built-in table, the views of an item. */
#include "check.h"

#include "embed/parts.h"
#include "json/json.h"

#include <math.h>
#include <stdlib.h>

static struct str words_of(struct arena *arena, struct str text)
{
    struct buf         b = buf_in(arena);
    struct embed_words words = {.text = text};
    while (embed_next_word(&words)) {
        if (b.n) buf_char(&b, ' ');
        buf_bytes(&b, words.word, words.n);
    }
    return buf_str(&b);
}
#define WORDS(text) words_of(arena, STR(text))

static struct embed *builtin(struct arena *arena)
{
    struct embed *embed;
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &embed));
    return embed;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

TEST(words, everything_but_letters_and_digits_separates)
{
    check_str(WORDS("max_client_conn=100, rate-limit's x/y.c"), "max client conn rate limit s x y c");
}

TEST(words, mixed_case_is_split)
{
    check_str(WORDS("HTTPServer OAuth2TokenExchange getURLForID"), "http server o auth2 token exchange get url for id");
}

TEST(words, one_case_stays_whole)
{
    check_str(WORDS("ECONNREFUSED pgbouncer SHA256"), "econnrefused pgbouncer sha256");
}

TEST(words, numbers_and_hashes_are_dropped)
{
    check_str(WORDS("12 2023-11-05 abc1234 deadbeef1234567 a1b2c3"), "a1b2c3");
}

TEST(words, seven_hexadecimal_letters_without_a_digit_stay)
{
    check_str(WORDS("defaced effaced1"), "defaced");
}

TEST(words, longer_than_forty_code_points_are_dropped)
{
    struct str forty = repeated(arena, "x", 40), more = repeated(arena, "x", 41);
    check_int(words_of(arena, forty).n, 40);
    check_int(words_of(arena, more).n, 0);
    check_int(words_of(arena, repeated(arena, "ä", 40)).n, 80);
    check_int(words_of(arena, repeated(arena, "ä", 41)).n, 0);
}

TEST(words, other_scripts_are_words_and_are_folded)
{
    check_str(WORDS("Größe—ÜBERSICHT “naïve” ДОМ日本"), "größe übersicht naïve дом日本");
}

TEST(words, malformed_bytes_separate)
{
    check_str(WORDS("left\xff\xc3(right\xe2\x82"), "left right");
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

TEST(pieces, are_at_most_the_window)
{
    uint32_t ids[256];
    check_int(embed_pieces(repeated(arena, "fix ", 300), ids), 256);
}

TEST(pieces, reading_goes_on_between_two_words)
{
    uint32_t   ids[8];
    size_t     rest;
    struct str text = STR("fix login kubernetesification");
    check_int(embed_pieces_of(text, ids, 3, &rest), 2);
    check_str(str_skip(text, rest), " kubernetesification");
}

TEST(pieces, a_word_that_never_fits_is_cut)
{
    uint32_t   ids[8];
    size_t     rest;
    struct str text = STR("kubernetesification next");
    check_int(embed_pieces_of(text, ids, 2, &rest), 2);
    check_str(str_skip(text, rest), " next");
}

/* ---- data/model/vectors.jsonl ------------------------------------------------------------------------------------ */

static struct str read_file(struct arena *arena, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("cannot open %s", path);
    struct buf b = buf_in(arena);
    char       part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, file));) buf_bytes(&b, part, n);
    fclose(file);
    return buf_str(&b);
}

static void check_words(struct arena *arena, struct str text, const json_value *expected)
{
    struct embed_words words = {.text = text};
    for (struct json_iter it = json_iter(expected); json_step(&it);) {
        check(embed_next_word(&words));
        check_str(((struct str){words.word, words.n}), str_z(arena, json_str(it.value, "")));
    }
    check(!embed_next_word(&words));
}

TEST(model, gives_the_words_pieces_and_vectors_of_its_test_file)
{
    struct embed_table table;
    check_ok(embed_table_open(arena, arena, &table));
    struct str rest = read_file(arena, SOURCE_ROOT "/data/model/vectors.jsonl"), line;
    size_t     lines = 0;
    for (; str_cut(&rest, '\n', &line) && line.n; lines++) {
        const json_value *row;
        check_ok(json_parse(arena, line, &row));
        struct str text = json_str(row, "text");
        check_words(arena, text, json_get(row, "words"));

        uint32_t ids[EMBED_WINDOW];
        float    sum[EMBED_TABLE_DIM] = {0}, squares = 0;
        size_t   n = embed_pieces(text, ids), i = 0;
        check_int(n, json_count(json_get(row, "ids")));
        for (struct json_iter it = json_iter(json_get(row, "ids")); json_step(&it); i++)
            check_int(ids[i], json_int(it.value, "", -1));

        embed_table_add(&table, ids, n, sum);
        for (i = 0; i < EMBED_TABLE_DIM; i++) squares += sum[i] * sum[i];
        float length = squares > 0 ? sqrtf(squares) : 1;
        check_int(json_count(json_get(row, "vector")), EMBED_TABLE_DIM);
        i = 0;
        for (struct json_iter it = json_iter(json_get(row, "vector")); json_step(&it); i++)
            check_near(sum[i] / length, json_real(it.value, "", NAN), 1e-4);
    }
    check_int(lines, 14);
}

TEST(model, names_itself)
{
    struct embed *embed = builtin(arena);
    check_str(embed_model(embed), "engineering-256");
    check_int(embed_dim(embed), 256);
    check(embed_inline(embed) && embed_enabled(embed));
    embed_destroy(embed);
}

TEST(model, puts_related_texts_nearer_than_others)
{
    struct embed       *embed = builtin(arena);
    struct str          texts[] = {STR("Fix login failure on Safari"), STR("sign-in broken in the browser"),
                                   STR("Bump yaml dependency to 2.1")};
    struct embed_vector v[3];
    check_ok(embed_texts(embed, arena, false, texts, 3, v));
    check(embed_cosine(v[0], v[1], 256) > embed_cosine(v[0], v[2], 256) + 0.1);
    embed_destroy(embed);
}

TEST(model, words_that_count_alike_give_the_vector_of_their_text)
{
    struct embed            *embed = builtin(arena);
    struct str               text = STR("session timeout raised");
    const struct embed_word  words[] = {{STR("session"), 2}, {STR("timeout"), 2}, {STR("raised"), 2}};
    struct embed_vector      whole, sum = embed_words(embed, arena, words, 3);
    check_ok(embed_texts(embed, arena, true, &text, 1, &whole));
    check_int(memcmp(sum.x, whole.x, (size_t)embed_dim(embed)), 0);
    embed_destroy(embed);
}

TEST(model, a_word_that_counts_more_is_nearer)
{
    struct embed           *embed = builtin(arena);
    struct str              word = STR("timeout");
    const struct embed_word plain[] = {{STR("session"), 1}, {word, 1}}, heavy[] = {{STR("session"), 1}, {word, 3}};
    struct embed_vector     alone;
    check_ok(embed_texts(embed, arena, true, &word, 1, &alone));
    check(embed_cosine(alone, embed_words(embed, arena, heavy, 2), embed_dim(embed)) >
          embed_cosine(alone, embed_words(embed, arena, plain, 2), embed_dim(embed)) + 0.05f);
    check(embed_words(embed, arena, NULL, 0).x == NULL);
    embed_destroy(embed);
}

TEST(model, maxsim_knows_a_word_among_many_others)
{
    struct embed           *embed = builtin(arena);
    const struct embed_word word = {STR("timeout"), 1};
    struct str              among = STR("documentation of the build: compilers, packages and colours; one timeout");
    struct embed_maxsim    *maxsim = embed_maxsim(embed, arena, &word, 1);
    check_near(embed_maxsim_of(maxsim, word.text), 1, 1e-3);
    check_near(embed_maxsim_of(maxsim, among), 1, 1e-3);
    check(embed_maxsim_of(maxsim, STR("colours of the documentation")) < 0.5);
    check(embed_maxsim_of(maxsim, STR("?!")) == 0);
    embed_destroy(embed);
}

TEST(model, maxsim_counts_each_word_by_its_weight)
{
    struct embed           *embed = builtin(arena);
    const struct embed_word words[] = {{STR("timeout"), 3}, {STR("colour"), 1}, {STR("?!"), 9}};
    struct embed_maxsim    *both = embed_maxsim(embed, arena, words, 3), *second = embed_maxsim(embed, arena, words + 1, 1);
    struct str              text = STR("timeout");
    check_near(embed_maxsim_of(both, text), (3 + embed_maxsim_of(second, text)) / 4, 1e-3);
    check(embed_maxsim(embed, arena, words + 2, 1) == NULL);
    embed_destroy(embed);
}

TEST(model, maxsim_takes_the_first_sixteen_words)
{
    struct embed     *embed = builtin(arena);
    struct embed_word words[20];
    for (int i = 0; i < 20; i++) words[i] = (struct embed_word){i < 16 ? STR("timeout") : STR("colour"), 1};
    check_near(embed_maxsim_of(embed_maxsim(embed, arena, words, 20), STR("timeout")), 1, 1e-3);
    embed_destroy(embed);
}

TEST(model, a_text_without_pieces_has_no_vector)
{
    struct embed       *embed = builtin(arena);
    struct str          texts[] = {STR("?!"), STR(""), STR("123 456")};
    struct embed_vector v[3];
    check_ok(embed_texts(embed, arena, true, texts, 3, v));
    for (int i = 0; i < 3; i++) check(v[i].x == NULL);
    embed_destroy(embed);
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

TEST(vector, quantised_keeps_its_direction)
{
    float v[4] = {0.5f, -1.0f, 0.25f, 0};
    struct embed_vector q = embed_quantise(arena, v, 4);
    int8_t expected[4] = {64, -127, 32, 0};
    assert_memory_equal(q.x, expected, 4);
    check_near(q.norm, sqrt(64 * 64 + 127 * 127 + 32 * 32), 1e-3);
}

TEST(vector, of_zeros_or_infinity_is_none)
{
    float zero[2] = {0, 0}, infinite[2] = {INFINITY, 1}, tiny[2] = {1e-40f, -1e-40f};
    check(embed_quantise(arena, zero, 2).x == NULL);
    check(embed_quantise(arena, infinite, 2).x == NULL);
    check_int(embed_quantise(arena, tiny, 2).x[1], -127);
}

TEST(vector, cosine_of_none_is_zero)
{
    float v[2] = {1, 1}, w[2] = {1, -1};
    struct embed_vector a = embed_quantise(arena, v, 2), b = embed_quantise(arena, w, 2);
    check_near(embed_cosine(a, a, 2), 1, 1e-6);
    check_near(embed_cosine(a, b, 2), 0, 1e-6);
    check_near(embed_cosine(a, (struct embed_vector){0}, 2), 0, 0);
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

TEST(item, has_a_view_of_the_title_and_one_of_the_whole)
{
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    struct embed_vector whole;
    check_ok(embed_item(embed, arena, STR("Fix login"), STR("The cookie was lost."), &views));
    check_ok(embed_texts(embed, arena, false, &STR("Fix login\nThe cookie was lost."), 1, &whole));
    check_int(views.n, 2);
    check_int(views.full, 1);
    assert_memory_equal(views.at[1].x, whole.x, 256);
    assert_memory_equal(views.mean.x, whole.x, 256);
    embed_destroy(embed);
}

TEST(item, without_a_body_has_one_view_that_is_both)
{
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    check_ok(embed_item(embed, arena, STR("Fix login"), STR(" \n"), &views));
    check_int(views.n, 1);
    check_int(views.full, 0);
    assert_memory_equal(views.mean.x, views.at[0].x, 256);
    embed_destroy(embed);
}

TEST(item, without_a_known_piece_has_no_view)
{
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    check_ok(embed_item(embed, arena, STR("#12"), STR("..."), &views));
    check_int(views.n, 0);
    check_int(views.full, 0);
    check(views.mean.x == NULL);
    embed_destroy(embed);
}

TEST(item, that_is_long_is_cut_at_paragraphs_each_after_the_title)
{
    struct embed       *embed = builtin(arena);
    struct str          first = repeated(arena, "login ", 200), second = repeated(arena, "cookie ", 200);
    struct embed_views  views;
    struct embed_vector expected[2];
    check_ok(embed_item(embed, arena, STR("Fix"), str_printf(arena, STR_FMT "\n\n" STR_FMT, STR_ARG(first), STR_ARG(second)),
                        &views));
    struct str texts[] = {str_printf(arena, "Fix\n" STR_FMT, STR_ARG(first)), str_printf(arena, "Fix\n" STR_FMT, STR_ARG(second))};
    check_ok(embed_texts(embed, arena, false, texts, 2, expected));
    check_int(views.n, 3);
    check_int(views.full, 1);
    for (int i = 0; i < 2; i++) assert_memory_equal(views.at[1 + i].x, expected[i].x, 256);
    embed_destroy(embed);
}

TEST(item, mean_lies_between_its_passages)
{
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    struct str body = str_printf(arena, STR_FMT "\n\n" STR_FMT, STR_ARG(repeated(arena, "login ", 200)),
                                 STR_ARG(repeated(arena, "cookie ", 200)));
    check_ok(embed_item(embed, arena, STR("Fix"), body, &views));
    float between = embed_cosine(views.at[1], views.at[2], 256);
    check(embed_cosine(views.mean, views.at[1], 256) > between);
    check_near(embed_cosine(views.mean, views.at[1], 256), embed_cosine(views.mean, views.at[2], 256), 0.01);
    embed_destroy(embed);
}

TEST(item, has_at_most_eight_passages)
{
    static const char *const topics[] = {"login", "cookie", "index", "memory", "socket", "thread",
                                         "query", "release", "cluster", "backup", "packet"};
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    struct buf         body = buf_in(arena);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        struct str paragraph = repeated(arena, str_printf(arena, "%s ", topics[i]).s, 250);
        buf_printf(&body, STR_FMT "\n\n", STR_ARG(paragraph));
    }
    check_ok(embed_item(embed, arena, STR("Notes"), buf_str(&body), &views));
    check_int(views.n, 1 + EMBED_MAX_PASSAGES);
    embed_destroy(embed);
}

TEST(item, equal_passages_are_one_view)
{
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    check_ok(embed_item(embed, arena, STR("Fix"), repeated(arena, "login ", 255 * 3), &views));
    check_int(views.n, 2);
    embed_destroy(embed);
}

TEST(item, a_title_longer_than_the_window_leaves_room_for_the_body)
{
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    check_ok(embed_item(embed, arena, repeated(arena, "login ", 400), repeated(arena, "cookie ", 100), &views));
    check_int(views.n, 2);
    check(embed_cosine(views.at[0], views.at[1], 256) < 0.99);
    embed_destroy(embed);
}

/* ---- choice of provider ------------------------------------------------------------------------------------------ */

TEST(provider, none_gives_no_vectors)
{
    struct embed *embed;
    struct embed_vector v;
    struct embed_views  views;
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("none")}, &embed));
    check(!embed_enabled(embed));
    check_ok(embed_texts(embed, arena, false, &STR("text"), 1, &v));
    check_ok(embed_item(embed, arena, STR("title"), STR("body"), &views));
    check(v.x == NULL && views.n == 0);
    embed_destroy(embed);
}

TEST(provider, unknown_or_incomplete_is_refused)
{
    static const struct embed_config wrong[] = {
        {.provider = {"word2vec", 8}},
        {.provider = {"openai", 6}, .api_key = {"k", 1}},
        {.provider = {"openai", 6}, .model = {"m", 1}},
        {.provider = {"ollama", 6}, .model = {"m", 1}, .base_url = {"file:///etc", 11}},
        {.provider = {"ollama", 6}, .model = {"m", 1}, .dim = 5000},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct embed *embed;
        check_err(embed_create(arena, wrong[i], &embed), ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(words, everything_but_letters_and_digits_separates),
        RUN(words, mixed_case_is_split),
        RUN(words, one_case_stays_whole),
        RUN(words, numbers_and_hashes_are_dropped),
        RUN(words, seven_hexadecimal_letters_without_a_digit_stay),
        RUN(words, longer_than_forty_code_points_are_dropped),
        RUN(words, other_scripts_are_words_and_are_folded),
        RUN(words, malformed_bytes_separate),
        RUN(pieces, are_at_most_the_window),
        RUN(pieces, reading_goes_on_between_two_words),
        RUN(pieces, a_word_that_never_fits_is_cut),
        RUN(model, gives_the_words_pieces_and_vectors_of_its_test_file),
        RUN(model, names_itself),
        RUN(model, puts_related_texts_nearer_than_others),
        RUN(model, words_that_count_alike_give_the_vector_of_their_text),
        RUN(model, a_word_that_counts_more_is_nearer),
        RUN(model, maxsim_knows_a_word_among_many_others),
        RUN(model, maxsim_counts_each_word_by_its_weight),
        RUN(model, maxsim_takes_the_first_sixteen_words),
        RUN(model, a_text_without_pieces_has_no_vector),
        RUN(vector, quantised_keeps_its_direction),
        RUN(vector, of_zeros_or_infinity_is_none),
        RUN(vector, cosine_of_none_is_zero),
        RUN(item, has_a_view_of_the_title_and_one_of_the_whole),
        RUN(item, without_a_body_has_one_view_that_is_both),
        RUN(item, without_a_known_piece_has_no_view),
        RUN(item, that_is_long_is_cut_at_paragraphs_each_after_the_title),
        RUN(item, mean_lies_between_its_passages),
        RUN(item, has_at_most_eight_passages),
        RUN(item, equal_passages_are_one_view),
        RUN(item, a_title_longer_than_the_window_leaves_room_for_the_body),
        RUN(provider, none_gives_no_vectors),
        RUN(provider, unknown_or_incomplete_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
