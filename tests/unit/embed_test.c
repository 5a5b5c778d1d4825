/* embed_test.c - words and pieces, the built-in table, an item's views, vectors over HTTP, the HTTP client. */
#include "check.h"
#include "directory.h"

#include "base/time.h"
#include "embed/parts.h"
#include "json/json.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

static struct str repeat(struct arena *arena, const char *text, size_t n)
{
    struct buf b = buf_in(arena);
    for (size_t i = 0; i < n; i++) buf_str_add(&b, str_of(text));
    return buf_str(&b);
}

/* ---- words --------------------------------------------------------------------------------------------------------- */

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
    struct str forty = repeat(arena, "x", 40), more = repeat(arena, "x", 41);
    check_int(words_of(arena, forty).n, 40);
    check_int(words_of(arena, more).n, 0);
    check_int(words_of(arena, repeat(arena, "ä", 40)).n, 80);
    check_int(words_of(arena, repeat(arena, "ä", 41)).n, 0);
}

TEST(words, other_scripts_are_words_and_are_folded)
{
    check_str(WORDS("Größe—ÜBERSICHT “naïve” ДОМ日本"), "größe übersicht naïve дом日本");
}

TEST(words, malformed_bytes_separate)
{
    check_str(WORDS("left\xff\xc3(right\xe2\x82"), "left right");
}

/* ---- pieces -------------------------------------------------------------------------------------------------------- */

TEST(pieces, are_at_most_the_window)
{
    uint32_t ids[256];
    check_int(embed_pieces(repeat(arena, "fix ", 300), ids), 256);
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

/* ---- data/model/vectors.jsonl ----------------------------------------------------------------------------------- */

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

TEST(model, a_text_without_pieces_has_no_vector)
{
    struct embed       *embed = builtin(arena);
    struct str          texts[] = {STR("?!"), STR(""), STR("123 456")};
    struct embed_vector v[3];
    check_ok(embed_texts(embed, arena, true, texts, 3, v));
    for (int i = 0; i < 3; i++) check(v[i].x == NULL);
    embed_destroy(embed);
}

/* ---- arithmetic ---------------------------------------------------------------------------------------------------- */

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

/* ---- items -------------------------------------------------------------------------------------------------------- */

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
    struct str          first = repeat(arena, "login ", 200), second = repeat(arena, "cookie ", 200);
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
    struct str body = str_printf(arena, STR_FMT "\n\n" STR_FMT, STR_ARG(repeat(arena, "login ", 200)),
                                 STR_ARG(repeat(arena, "cookie ", 200)));
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
        struct str paragraph = repeat(arena, str_printf(arena, "%s ", topics[i]).s, 250);
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
    check_ok(embed_item(embed, arena, STR("Fix"), repeat(arena, "login ", 255 * 3), &views));
    check_int(views.n, 2);
    embed_destroy(embed);
}

TEST(item, a_title_longer_than_the_window_leaves_room_for_the_body)
{
    struct embed      *embed = builtin(arena);
    struct embed_views views;
    check_ok(embed_item(embed, arena, repeat(arena, "login ", 400), repeat(arena, "cookie ", 100), &views));
    check_int(views.n, 2);
    check(embed_cosine(views.at[0], views.at[1], 256) < 0.99);
    embed_destroy(embed);
}

/* ---- choice of provider ---------------------------------------------------------------------------------------------- */

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

/* ---- a server for the HTTP tests: answers one scripted reply after the other ------------------------------------------ */

struct script {
    int         listener;
    char        address[64];   /* "http://127.0.0.1:43210" */
    const char *replies[4];    /* whole HTTP replies; the last repeats; NULL: hold the connection open without a word */
    int         connections, requests;
    char        last[16384];   /* the last request */
    pthread_t   thread;
};

static bool read_request(int fd, char *text, size_t size)
{
    size_t n = 0, wanted = 0;
    for (;;) {
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got <= 0) return false;
        n += (size_t)got;
        text[n] = 0;
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (!end) continue;
        wanted = (size_t)(end + 4 - text) + (length && length < end ? (size_t)atoi(length + 15) : 0);
        if (n >= wanted) return true;
    }
}

static void *serve(void *arg)
{
    struct script *script = arg;
    for (int fd; (fd = accept(script->listener, NULL, NULL)) >= 0; close(fd)) {
        script->connections++;
        while (read_request(fd, script->last, sizeof script->last)) {
            int i = script->requests++;
            while (i > 0 && !(i < 4 && script->replies[i])) i--;
            const char *reply = script->replies[i];
            if (!reply) continue;
            size_t n = strlen(reply);
            if (write(fd, reply, n) != (ssize_t)n) break;
            if (strstr(reply, "Connection: close")) break;
        }
    }
    close(script->listener);
    return NULL;
}

static void listen_on(struct script *script, const struct sockaddr *address, socklen_t n)
{
    assert_return_code(bind(script->listener, address, n), 0);
    assert_return_code(listen(script->listener, 8), 0);
    assert_int_equal(pthread_create(&script->thread, NULL, serve, script), 0);
}

static void script_start(struct script *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          n = sizeof address;
    script->listener = socket(AF_INET, SOCK_STREAM, 0);
    listen_on(script, (struct sockaddr *)&address, n);
    getsockname(script->listener, (struct sockaddr *)&address, &n);
    snprintf(script->address, sizeof script->address, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

/* The client keeps its connection open, so the thread may stay in read(): it is left behind, with the socket that it will
 * try to accept from, and its script is static. */
static void script_stop(struct script *script)
{
    shutdown(script->listener, SHUT_RDWR);
    pthread_detach(script->thread);
}

#define OK_JSON(length) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " length "\r\n\r\n"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"
/* {"data":[{"index":1,...},{"index":0,...}]}: out of order, as the API allows */
#define TWO_VECTORS OK_JSON("77") "{\"data\":[{\"index\":1,\"embedding\":[0,1,0]},{\"index\":0,\"embedding\":[1,0,0.5]}]} "

static struct embed *remote(struct arena *arena, const char *base, int dim)
{
    struct embed *embed;
    struct embed_config config = {.provider = STR("openai"), .base_url = str_of(base), .api_key = STR("sk-secret-key"),
                                  .model = STR("small"), .dim = dim};
    check_ok(embed_create(arena, config, &embed));
    return embed;
}

static const struct str two_texts[] = {{"first", 5}, {"second \"quoted\"", 15}};

TEST(http, vectors_are_asked_for_and_read)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 0);
    struct embed_vector v[2];
    check(!embed_inline(embed));
    check_int(embed_dim(embed), 0);
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check_int(embed_dim(embed), 3);
    check_int(v[0].x[0], 127);
    check_int(v[0].x[2], 64);
    check_int(v[1].x[1], 127);
    check(strstr(script.last, "POST /v1/embeddings HTTP/1.1\r\n"));
    check(strstr(script.last, "Authorization: Bearer sk-secret-key\r\n"));
    check(strstr(script.last, "{\"model\":\"small\",\"input\":[\"first\",\"second \\\"quoted\\\"\"]}"));
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, base_address_may_end_in_v1)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed       *embed = remote(arena, str_printf(arena, "%s/v1/", script.address).s, 0);
    struct embed_vector v[2];
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check(strstr(script.last, "POST /v1/embeddings HTTP/1.1\r\n"));
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, a_wanted_dimension_is_asked_for_and_is_part_of_the_name)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 3);
    struct embed_vector v[2];
    check_str(embed_model(embed), "small@3");
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check(strstr(script.last, "\"dimensions\":3"));
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, an_item_is_one_call)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed      *embed = remote(arena, script.address, 0);
    struct embed_views views;
    check_ok(embed_item(embed, arena, STR("Title"), STR("Body"), &views));
    check_int(script.requests, 1);
    check(strstr(script.last, "\"input\":[\"Title\",\"Title\\nBody\"]"));
    check_int(views.n, 2);
    check_int(views.full, 1);
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, empty_texts_are_not_sent)
{
    static struct script script = {.replies = {STATUS("500 Oops")}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 0);
    struct embed_vector v[2];
    check_ok(embed_texts(embed, arena, false, (struct str[]){STR(""), STR(" \n")}, 2, v));
    check(v[0].x == NULL && v[1].x == NULL);
    check_int(script.requests, 0);
    embed_destroy(embed);
    script_stop(&script);
}

static struct err *ask_twice(struct arena *arena, struct script *script, struct embed_vector *v)
{
    script_start(script);
    struct embed *embed = remote(arena, script->address, 0);
    struct err   *failed = embed_texts(embed, arena, false, two_texts, 2, v);
    embed_destroy(embed);
    script_stop(script);
    return failed;
}

TEST(http, a_busy_service_is_asked_once_more)
{
    static struct script script = {.replies = {STATUS("503 Busy"), TWO_VECTORS}};
    struct embed_vector v[2];
    check_ok(ask_twice(arena, &script, v));
    check_int(script.requests, 2);
}

TEST(http, a_service_that_stays_busy_is_unavailable)
{
    static struct script script = {.replies = {STATUS("429 Slow down")}};
    struct embed_vector v[2];
    check_err(ask_twice(arena, &script, v), ERR_UNAVAILABLE);
    check_int(script.requests, 2);
}

TEST(http, a_wait_longer_than_the_budget_is_not_waited)
{
    static struct script script = {.replies = {"HTTP/1.1 429 Slow down\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"}};
    struct embed_vector v[2];
    check_err(ask_twice(arena, &script, v), ERR_UNAVAILABLE);
    check_int(script.requests, 1);
}

TEST(http, a_refusal_is_permanent_and_never_shows_the_key)
{
    static struct script script = {
        .replies = {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 28\r\n\r\nIncorrect key: sk-secret-key"}};
    struct embed_vector v[2];
    struct err *failed = ask_twice(arena, &script, v);
    check_err(failed, ERR_INVALID);
    check_int(script.requests, 1);
    check(str_find(err_text(arena, failed), STR("secret"), 0) == SIZE_MAX);
}

TEST(http, answers_are_checked)
{
    static struct script scripts[] = {
        {.replies = {OK_JSON("9") "not json!"}},
        {.replies = {OK_JSON("11") "{\"data\":[]}"}},
        {.replies = {OK_JSON("54") "{\"data\":[{\"embedding\":[1]},{\"embedding\":[\"x\"]}],\"a\":1}"}},
        {.replies = {OK_JSON("69") "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}   "}},
        {.replies = {OK_JSON("45") "{\"data\":[{\"embedding\":[]},{\"embedding\":[1]}]}"}},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct embed_vector v[2];
        check_err(ask_twice(arena, &scripts[i], v), ERR_UNAVAILABLE);
    }
}

TEST(http, another_dimension_than_before_is_refused)
{
    static struct script script = {.replies = {TWO_VECTORS, OK_JSON("46") "{\"data\":[{\"embedding\":[1]},{\"embedding\":[1]}]}"}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 0);
    struct embed_vector v[2];
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check_err(embed_texts(embed, arena, false, two_texts, 2, v), ERR_INVALID);
    embed_destroy(embed);
    script_stop(&script);
}

/* ---- the client -------------------------------------------------------------------------------------------------------- */

static struct err *get(struct arena *arena, const char *url, struct net_answer *answer)
{
    return net_http(arena, &(struct net_call){.method = "GET", .url = str_of(url), .timeout_ms = 5000}, answer);
}

TEST(client, connections_are_used_again)
{
    static struct script script = {.replies = {OK_JSON("2") "{}"}};
    script_start(&script);
    for (int i = 0; i < 3; i++) {
        struct net_answer answer;
        check_ok(get(arena, script.address, &answer));
        check_str(answer.body, "{}");
    }
    check_int(script.requests, 3);
    check_int(script.connections, 1);
    script_stop(&script);
}

TEST(client, redirects_are_answers)
{
    static struct script script = {
        .replies = {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}};
    script_start(&script);
    struct net_answer answer;
    check_ok(get(arena, script.address, &answer));
    check_int(answer.status, 302);
    script_stop(&script);
}

TEST(client, retry_after_is_reported)
{
    static struct script script = {.replies = {"HTTP/1.1 429 No\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n"}};
    script_start(&script);
    struct net_answer answer;
    check_ok(get(arena, script.address, &answer));
    check_int(answer.status, 429);
    check_str(answer.retry_after, "7");
    script_stop(&script);
}

TEST(client, longer_answers_than_allowed_are_refused)
{
    static struct script script = {.replies = {OK_JSON("10") "0123456789"}};
    script_start(&script);
    struct net_answer answer;
    struct net_call   call = {.method = "GET", .url = str_of(script.address), .max_reply = 9};
    check_err(net_http(arena, &call, &answer), ERR_TOO_LARGE);
    call.max_reply = 10;
    check_ok(net_http(arena, &call, &answer));
    script_stop(&script);
}

TEST(client, a_cut_answer_is_an_error)
{
    static struct script script = {.replies = {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf"}};
    script_start(&script);
    struct net_answer answer;
    check_err(get(arena, script.address, &answer), ERR_UNAVAILABLE);
    script_stop(&script);
}

TEST(client, silence_ends_in_a_timeout)
{
    static struct script script = {.replies = {NULL}};
    script_start(&script);
    struct net_answer answer;
    struct net_call   call = {.method = "GET", .url = str_of(script.address), .timeout_ms = 100};
    check_err(net_http(arena, &call, &answer), ERR_TIMEOUT);
    script_stop(&script);
}

TEST(client, nobody_listening_is_unavailable)
{
    struct net_answer answer;
    check_err(get(arena, "http://127.0.0.1:1/", &answer), ERR_UNAVAILABLE);
}

TEST(client, only_http_is_spoken)
{
    struct net_answer answer;
    check_err(get(arena, "file:///etc/passwd", &answer), ERR_INVALID);
    check_err(get(arena, "gopher://127.0.0.1/", &answer), ERR_INVALID);
    check_err(get(arena, "", &answer), ERR_INVALID);
}

TEST(client, headers_cannot_be_smuggled)
{
    struct net_answer answer;
    struct net_call   call = {.method = "GET", .url = STR("http://127.0.0.1:1/"),
                              .headers = {{STR("X-Name"), STR("a\r\nX-Other: b")}}, .header_count = 1};
    check_err(net_http(arena, &call, &answer), ERR_INVALID);
}

TEST(client, proxies_of_the_environment_are_not_used_on_this_machine)
{
    static struct script script = {.replies = {OK_JSON("2") "{}"}};
    script_start(&script);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    struct net_answer answer;
    struct err       *failed = get(arena, script.address, &answer);
    unsetenv("http_proxy");
    check_ok(failed);
    script_stop(&script);
}

TEST(client, speaks_through_a_unix_socket)
{
    static struct script script = {.replies = {OK_JSON("2") "{}"}};
    char               directory[DIRECTORY_PATH];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    directory_make(directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
    script.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    listen_on(&script, (struct sockaddr *)&address, sizeof address);

    struct net_answer answer;
    struct net_call   call = {.method = "POST", .url = STR("http://localhost/v1/search"), .body = STR("{\"q\":1}"),
                              .socket_path = str_of(address.sun_path)};
    struct err *failed = net_http(arena, &call, &answer);
    directory_remove(directory);
    check_ok(failed);
    check_int(answer.status, 200);
    check(strstr(script.last, "POST /v1/search HTTP/1.1\r\n"));
    check(strstr(script.last, "\r\n\r\n{\"q\":1}"));
    script_stop(&script);
}

struct parallel {
    const char *url;
    int         good;
};

static void *get_many(void *arg)
{
    struct parallel *parallel = arg;
    for (int i = 0; i < 20; i++) {
        struct arena     *work ARENA_SCOPE = arena_create();
        struct net_answer answer;
        if (!get(work, parallel->url, &answer) && str_eq(answer.body, STR("{}"))) parallel->good++;
    }
    return NULL;
}

TEST(client, serves_many_threads)
{
    static struct script script = {.replies = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"}};
    script_start(&script);
    pthread_t       threads[4];
    struct parallel parallel[4];
    for (int i = 0; i < 4; i++) {
        parallel[i] = (struct parallel){.url = script.address};
        pthread_create(&threads[i], NULL, get_many, &parallel[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) check_int(parallel[i].good, 20);
    script_stop(&script);
}

int main(void)
{
    net_client_start();
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
        RUN(http, vectors_are_asked_for_and_read),
        RUN(http, base_address_may_end_in_v1),
        RUN(http, a_wanted_dimension_is_asked_for_and_is_part_of_the_name),
        RUN(http, an_item_is_one_call),
        RUN(http, empty_texts_are_not_sent),
        RUN(http, a_busy_service_is_asked_once_more),
        RUN(http, a_service_that_stays_busy_is_unavailable),
        RUN(http, a_wait_longer_than_the_budget_is_not_waited),
        RUN(http, a_refusal_is_permanent_and_never_shows_the_key),
        RUN(http, answers_are_checked),
        RUN(http, another_dimension_than_before_is_refused),
        RUN(client, connections_are_used_again),
        RUN(client, redirects_are_answers),
        RUN(client, retry_after_is_reported),
        RUN(client, longer_answers_than_allowed_are_refused),
        RUN(client, a_cut_answer_is_an_error),
        RUN(client, silence_ends_in_a_timeout),
        RUN(client, nobody_listening_is_unavailable),
        RUN(client, only_http_is_spoken),
        RUN(client, headers_cannot_be_smuggled),
        RUN(client, proxies_of_the_environment_are_not_used_on_this_machine),
        RUN(client, speaks_through_a_unix_socket),
        RUN(client, serves_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
