#include "org_world.h"
#include "sql.h"

#include "base/id.h"
#include "base/thread.h"
#include "base/time.h"
#include "memory/memory.h"
#include "search/parts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- a small workspace, written row by row so that every test knows what is in it ------------------------------------- */

struct fact { /* an observation; what is not given has a default */
    const char *title, *content, *source, *type, *source_id, *url, *actor, *references;
    const char *entities[4]; /* "project:#12" */
    int64_t     at;          /* days after 2024-01-01 */
    int64_t     cluster;
    int         significance;
    int64_t     id;          /* out */
    struct str  xid;         /* out */
};

struct world {
    struct arena  *arena;
    char           directory[DIRECTORY_PATH];
    struct db     *db;
    struct embed  *embed;
    struct search *search;
    int64_t        workspace;
    bool           result_cache;
};

static const int64_t new_year = 1704067200000; /* 2024-01-01 */

static void world_end(struct world *world)
{
    search_destroy(world->search);
    database_remove(world->db, world->directory);
    embed_destroy(world->embed);
    time_set(0);
}
#define WORLD_SCOPE __attribute__((cleanup(world_end)))

static struct world world_begin(struct arena *arena)
{
    struct world world = {.arena = arena};
    text_start();
    time_set(new_year + DAYS(400));
    world.db = org_database(arena, world.directory);
    world.workspace = main_workspace(world.db, arena).id;
    check_ok(embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &world.embed));
    world.search = search_create(world.db, world.embed, (struct search_config){.memory_limit = 64 << 20});
    return world;
}

struct insertion {
    struct world *world;
    struct fact  *facts;
    size_t        n;
};

static const char *or_else(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static struct err *insert_entities(struct db_tx *tx, struct index_writer *writer, const struct fact *fact,
                                   struct index_item *item)
{
    item->entities = NEW_ARRAY(tx->arena, uint64_t, 4);
    for (int i = 0; i < 4 && fact->entities[i]; i++) {
        struct str     rest = str_of(fact->entities[i]), category;
        struct db_rows rows;
        int64_t        id = 0;
        check(str_cut(&rest, ':', &category));
        TRY(db_query(tx, &rows, "SELECT id FROM entity WHERE workspace_id = $1 AND key_norm = $2 AND category = $3",
                     writer->workspace, str_lower(tx->arena, rest), category));
        db_next(&rows, &id);
        TRY(db_done(&rows));
        if (!id) {
            id = index_new_id(writer);
            TRY(db_exec(tx, "INSERT INTO entity (workspace_id, id, xid, category, key, key_norm, source_observation_id, "
                            "confidence, first_seen_at, extracted_at, last_seen_at, updated_at) "
                            "VALUES ($1, $2, $3, $4, $5, $6, $7, 0.9, 0, 0, 0, 0)",
                        writer->workspace, id, id_new(tx->arena, ""), category, rest, str_lower(tx->arena, rest), item->id));
        }
        TRY(db_exec(tx, "UPDATE entity SET occurrence_count = occurrence_count + 1 WHERE workspace_id = $1 AND id = $2",
                    writer->workspace, id));
        TRY(db_exec(tx, "INSERT INTO entity_observation (workspace_id, observation_id, entity_id, confidence, method) "
                        "VALUES ($1, $2, $3, 0.9, 'pattern')",
                    writer->workspace, item->id, id));
        item->entities[item->entity_count++] = index_entity_hash(category, rest, STR(""));
    }
    return NULL;
}

static struct err *insert_fact(struct db_tx *tx, struct index_writer *writer, struct embed *embed, struct fact *fact)
{
    struct arena *arena = tx->arena;
    fact->id = index_new_id(writer);
    fact->xid = id_new(arena, "");
    struct str        title = str_of(fact->title), content = str_of(or_else(fact->content, ""));
    struct index_item item = {
        .id = fact->id, .kind = INDEX_OBSERVATION, .time = new_year + DAYS(fact->at),
        .source = str_of(or_else(fact->source, "github")), .type = str_of(or_else(fact->type, "push")),
        .actor = str_of(or_else(fact->actor, "")), .cluster = fact->cluster, .significance = fact->significance,
        .model = embed_model(embed), .dim = embed_dim(embed),
    };
    struct text_terms terms = text_terms(arena, str_printf(arena, STR_FMT "\n" STR_FMT, STR_ARG(title), STR_ARG(content)));
    item.terms = NEW_ARRAY(arena, uint64_t, terms.n);
    item.term_count = text_term_set(&terms, item.terms);
    TRY(embed_item(embed, arena, title, content, &item.views));
    struct str source_id = fact->source_id ? str_of(fact->source_id)
                                           : str_printf(arena, "push:acme/api:%lld", (long long)fact->id);
    TRY(db_exec(tx,
                "INSERT INTO observation (workspace_id, id, xid, source, source_type, source_id, observation_type, title, "
                "content, url, occurred_at, captured_at, actor_id, cluster_id, primary_category, secondary_categories, "
                "classification_confidence, classification_method, topics, significance_score, significance_factors, "
                "source_references, metadata, embedding_status, ingestion_source, pipeline_state, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6, $5, $7, $8, $9, $10, 0, $11, $12, 'other', '[]', 0.5, 'rules', '[]', $13, "
                "'[]', $14, '{\"n\":1}', 'ready', 'manual', 'done', 0)",
                writer->workspace, item.id, fact->xid, item.source, item.type, source_id, title, content, fact->url,
                item.time, fact->actor, item.cluster, item.significance, or_else(fact->references, "[]")));
    TRY(insert_entities(tx, writer, fact, &item));
    return index_add(writer, &item);
}

static struct err *insert_facts(struct db_tx *tx, void *arg)
{
    struct insertion   *insertion = arg;
    struct index_writer writer;
    TRY(index_writer_open(tx, insertion->world->workspace, &writer));
    for (size_t i = 0; i < insertion->n; i++)
        TRY(insert_fact(tx, &writer, insertion->world->embed, &insertion->facts[i]));
    return index_writer_close(&writer);
}

static void insert(struct world *world, struct fact *facts, size_t n)
{
    struct insertion insertion = {world, facts, n};
    check_ok(db_write(world->db, world->arena, insert_facts, &insertion));
    for (size_t i = 0; i < n; i++) facts[i].xid = str_dup(world->arena, facts[i].xid);
}
#define INSERT(world, facts) insert((world), (facts), sizeof(facts) / sizeof *(facts))

static void relate(struct world *world, struct fact *from, struct fact *to, const char *type, double confidence)
{
    static int number;
    write_sql(world, str_z(world->arena, str_printf(world->arena,
        "INSERT INTO relationship (workspace_id, id, xid, source_observation_id, target_observation_id, "
        "relationship_type, linking_key, linking_key_type, confidence, metadata, created_at) "
        "VALUES (%lld, %d, 'r%d', %lld, %lld, '%s', 'key', 'issue', %f, '{}', 0)",
        (long long)world->workspace, 100000 + number, number, (long long)from->id, (long long)to->id, type, confidence)));
    number++;
}

static struct search_answer find(struct world *world, struct search_request request)
{
    struct search_answer answer;
    request.workspace = world->workspace;
    if (!request.limit) request.limit = 10;
    check_ok(search_run(world->search, world->arena, &request, &answer));
    return answer;
}
#define FIND(world, ...) find((world), (struct search_request){__VA_ARGS__})

static struct str public_id(struct world *world, const struct fact *fact)
{
    return str_printf(world->arena, "obs_" STR_FMT, STR_ARG(fact->xid));
}

/* Is the fact among the results? */
static bool has(struct world *world, const struct search_answer *answer, const struct fact *fact)
{
    for (size_t i = 0; i < answer->count; i++)
        if (str_eq(answer->items[i].id, public_id(world, fact))) return true;
    return false;
}

/* ---- texts ------------------------------------------------------------------------------------------------------------ */

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

TEST(search, text_that_no_database_takes_finds_nothing_and_fails_nothing)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout"}};
    struct str  name = STR("a\0b\xff");
    INSERT(&world, facts);
    check_int(FIND(&world, .query = STR("session\0 \"\xc3 @x\0y #1\0")).count, 1);
    check_int(FIND(&world, .query = STR("session"), .filters = {.actors = &name, .actor_count = 1}).count, 0);
    int64_t id;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    check_ok(db_read_begin(world.db, arena, &tx));
    check_ok(url_resolve(world.search, tx, 1, STR("https://github.com/a/b\0/pull/1%00%ff"), &id));
    check_int(id, 0);
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
    check(str_find(snippet, STR("The session timeout was raised to thirty minutes."), 0) != SIZE_MAX);
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

/* ---- search ------------------------------------------------------------------------------------------------------------ */

TEST(search, an_empty_workspace_answers_with_nothing)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct search_answer answer = FIND(&world, .query = STR("anything"), .context = true);
    check_int(answer.count, 0);
    check_int(answer.total, 0);
    check_int(answer.cluster_count, 0);
    check(answer.vector);
    check(!answer.keyword);
}

TEST(search, a_result_shows_what_the_row_holds)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{
        .title = "[PR Merged] Raise session timeout", .content = "Raise session timeout\n\nUsers were signed out.",
        .type = "pull_request_merged", .url = "https://github.com/acme/api/pull/87", .at = 10,
        .references = "[{\"type\":\"issue\",\"id\":\"ENG-42\",\"label\":\"fixes\"},{\"type\":\"pr\",\"id\":\"#87\"}]",
        .entities = {"project:ENG-42", "config:SESSION_TTL"}}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("session timeouts"), .mode = SEARCH_BALANCED, .highlights = true);
    check_int(answer.count, 1);
    check_int(answer.total, 1);
    struct search_item *item = answer.items;
    check(str_eq(item->id, public_id(&world, facts)));
    check_str(item->title, "[PR Merged] Raise session timeout");
    check_str(item->title_highlight, "[PR Merged] Raise <mark>session timeout</mark>");
    check_str(item->snippet, "Users were signed out.");
    check_str(item->snippet_highlight, "Users were signed out.");
    check_str(item->url, "https://github.com/acme/api/pull/87");
    check_str(item->source, "github");
    check_str(item->type, "pull_request_merged");
    check_int(item->occurred_at, new_year + DAYS(10));
    check_int(item->entity_count, 2);
    check_str(item->entities[0].key, "ENG-42");
    check_str(item->entities[0].category, "project");
    check_int(item->reference_count, 2);
    check_str(item->references[0].label, "fixes");
    check(item->references[1].label.s == NULL);
    check(item->score > 0.4 && item->score <= 1);
    check(answer.keyword && answer.vector && answer.entity);
    check_str(str_of(answer.reranker), "builtin");
}

TEST(search, no_url_is_the_empty_text_and_no_highlights_are_made_unasked)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Raise session timeout"}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("session"));
    check(answer.items[0].url.s != NULL);
    check_int(answer.items[0].url.n, 0);
    check(!answer.items[0].highlighted);
}

TEST(search, another_workspace_is_never_seen)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact  mine[] = {{.title = "Session timeout"}}, theirs[] = {{.title = "Session timeout of others", .source_id = "x"}};
    INSERT(&world, mine);
    world.workspace = add_workspace(world.db, arena, "second");
    INSERT(&world, theirs);
    struct search_answer answer = FIND(&world, .query = STR("session timeout"));
    check_int(answer.total, 1);
    check(has(&world, &answer, theirs));
    struct search_content content;
    struct str            id = public_id(&world, mine);
    check_ok(search_contents(world.search, arena, world.workspace, &id, 1, &content));
    check(!content.found);
    struct search_graph_answer graph;
    struct search_graph_request request = {.workspace = world.workspace, .id = id, .depth = 1, .limit = 9};
    check_err(search_graph(world.search, arena, &request, &graph), ERR_NOT_FOUND);
}

TEST(search, a_quoted_phrase_must_match)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Handle out of memory", .content = "now"}, {.title = "Memory is out of the question"},
                           {.title = "Server", .content = "ran Out  of\nMemory"}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("\"out of memory\""));
    check_int(answer.total, 2);
    check(has(&world, &answer, &facts[0]) && has(&world, &answer, &facts[2]));
}

TEST(search, pages_follow_each_other_and_end)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[30] = {0};
    struct map *seen = map_create(arena);
    for (int i = 0; i < 30; i++) facts[i] = (struct fact){.title = "Session timeout", .at = i};
    INSERT(&world, facts);
    for (int offset = 0; offset < 40; offset += 10) {
        struct search_answer answer = FIND(&world, .query = STR("session"), .offset = offset);
        check_int(answer.total, 30);
        check_int(answer.count, offset < 30 ? 10 : 0);
        for (size_t i = 0; i < answer.count; i++) (*map_at(seen, answer.items[i].id))++;
    }
    check_int(map_count(seen), 30);
}

TEST(search, collapse_leaves_the_best_event_of_an_object)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout", .source_id = "pr:acme/api#7:merged", .at = 2},
                           {.title = "Session timeout", .source_id = "pr:acme/api#7:opened", .at = 1},
                           {.title = "Session timeout", .source_id = "pr:acme/api#77:opened", .at = 1}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("session"), .collapse = true);
    check_int(answer.total, 2);
    check(has(&world, &answer, &facts[0]) && has(&world, &answer, &facts[2]));
}

TEST(search, a_known_entity_of_the_query_comes_first)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Something about sessions"}, {.title = "Unrelated words", .entities = {"project:ENG-42"}}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("ENG-42 sessions"));
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
    check(answer.items[0].score >= 0.92 * 0.85 * 0.9);
}

TEST(search, an_alias_of_an_entity_is_followed)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "First", .entities = {"project:ENG-42"}}, {.title = "Second", .entities = {"project:ENG-7"}}};
    INSERT(&world, facts);
    write_sql(&world, "UPDATE entity SET aliases = '[\"ENG-7\"]' WHERE workspace_id = 1 AND key = 'ENG-42'");
    struct search_answer answer = FIND(&world, .query = STR("ENG-42"));
    check(has(&world, &answer, &facts[0]) && has(&world, &answer, &facts[1]));
}

static size_t count_of_types(struct world *world, const char *asked)
{
    struct str type = str_of(asked);
    return FIND(world, .query = STR("thing"), .filters = {.types = &type, .type_count = 1}).total;
}

TEST(filters, types_are_known_in_any_spelling_and_by_family)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {
        {.title = "thing", .type = "pull_request_merged"}, {.title = "thing", .type = "pull_request_opened"},
        {.title = "thing", .type = "pull_request_review_approved"}, {.title = "thing", .type = "push"},
        {.title = "thing", .type = "issue_comment_created"}, {.title = "thing", .type = "issue_closed"},
        {.title = "thing", .type = "event_alert"}, {.title = "thing", .type = "metric_alert_resolved"},
        {.title = "thing", .type = "comment_created"}, {.title = "thing", .type = "build_failed"}};
    INSERT(&world, facts);
    static const struct { const char *asked; size_t expected; } cases[] = {
        {"pull_request_merged", 1}, {"pull-request.merged", 1}, {"Pull Request Merged", 1}, {"pr_merged", 1},
        {"github:pull-request.merged", 1}, {"github_pr_merged", 1}, {"pull_request", 2}, {"pr", 2}, {"pr_", 0},
        {"review", 1}, {"pull_request_review", 1}, {"commit", 1}, {"push", 1}, {"issue", 1}, {"comment", 2},
        {"issue_comment", 1}, {"alert", 2}, {"build", 1}, {"build_failed", 1}, {"nonsense", 0}, {"", 0}, {"pull", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (count_of_types(&world, cases[i].asked) != cases[i].expected)
            fail_msg("\"%s\" finds %zu", cases[i].asked, count_of_types(&world, cases[i].asked));
}

static size_t count_of_actor(struct world *world, const char *asked)
{
    struct str name = str_of(asked);
    return FIND(world, .query = STR("thing"), .filters = {.actors = &name, .actor_count = 1}).total;
}

static void name_people(struct world *world)
{
    write_sql(world, "INSERT INTO actor_name (workspace_id, name, kind, actor_id) VALUES "
                     "(1, 'jelte fennema-nio', 'full', 'github:1'), (1, 'jelte', 'word', 'github:1'), "
                     "(1, 'fennema', 'word', 'github:1'), (1, 'nio', 'word', 'github:1'), (1, 'jeltef', 'username', 'github:1'), "
                     "(1, 'jelte@example.org', 'email', 'github:1'), (1, 'jelte smith', 'full', 'github:2'), "
                     "(1, 'jelte', 'word', 'github:2'), (1, 'smith', 'word', 'github:2')");
    write_sql(world, "INSERT INTO actor_profile (workspace_id, actor_id, xid, display_name, observation_count, expertise_domains, "
                     "updated_at) VALUES (1, 'github:1', 'p1', 'Jelte Fennema-Nio', 5, "
                     "'[{\"topic\":\"pooling\",\"weight\":1},{\"topic\":\"tls\",\"weight\":0.5}]', 0), "
                     "(1, 'github:2', 'p2', 'Jelte Smith', 9, '[]', 0)");
}

TEST(filters, people_are_known_by_name_user_name_and_address)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing", .actor = "github:1"}, {.title = "thing", .actor = "github:2"}, {.title = "thing"}};
    INSERT(&world, facts);
    name_people(&world);
    static const struct { const char *asked; size_t expected; } cases[] = {
        {"Jelte Fennema-Nio", 1}, {"jelte fennema-nio", 1}, {"@JelteF", 1}, {"Jelte@Example.org", 1}, {"Jelte Fennema", 1},
        {"fennema", 1}, {"Fennema-Nio", 1}, {"Jelte", 2}, {"Smith Fennema", 0}, {"Nobody", 0}, {"@", 0}, {"smit", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (count_of_actor(&world, cases[i].asked) != cases[i].expected)
            fail_msg("\"%s\" finds %zu", cases[i].asked, count_of_actor(&world, cases[i].asked));
}

TEST(filters, dates_are_inclusive)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing", .at = 1}, {.title = "thing", .at = 2}, {.title = "thing", .at = 3}};
    INSERT(&world, facts);
    struct search_answer answer = FIND(
        &world, .query = STR("thing"),
        .filters = {.has_start = true, .start = new_year + DAYS(2), .has_end = true, .end = new_year + DAYS(3)});
    check_int(answer.total, 2);
    check(!has(&world, &answer, &facts[0]));
}

TEST(filters, any_of_the_sources_will_do)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing"}, {.title = "thing", .source = "linear"}, {.title = "thing", .source = "sentry"}};
    struct str  sources[] = {STR("linear"), STR("sentry")};
    INSERT(&world, facts);
    struct search_answer answer = FIND(&world, .query = STR("thing"), .filters = {.sources = sources, .source_count = 2});
    check_int(answer.total, 2);
    check(!has(&world, &answer, &facts[0]));
}

TEST(context, people_of_the_query_with_what_they_know)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing"}};
    INSERT(&world, facts);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("what did @jeltef or jelte do?"), .context = true);
    check(answer.actor);
    check_int(answer.actor_count, 2);
    check_str(answer.actors[0].name, "Jelte Fennema-Nio"); /* mentioned: before the one with more observations */
    check_int(answer.actors[0].domain_count, 2);
    check_str(answer.actors[0].domains[0], "pooling");
    check_str(answer.actors[1].name, "Jelte Smith");
}

TEST(context, a_person_with_several_ids_is_named_once)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "thing"}, {.title = "pooling", .at = 1, .actor = "git:9"}, {.title = "pooling", .at = 2}};
    INSERT(&world, facts);
    name_people(&world);
    for (int i = 3; i <= 9; i++) {
        write_sql(&world, str_z(arena, str_printf(arena,
            "INSERT INTO actor_name (workspace_id, name, kind, actor_id) VALUES (1, 'jelte', 'word', 'git:%d'), "
            "(1, 'fennema', 'word', 'git:%d')", i, i)));
        write_sql(&world, str_z(arena, str_printf(arena,
            "INSERT INTO actor_profile (workspace_id, actor_id, xid, display_name, observation_count, expertise_domains, "
            "updated_at) VALUES (1, 'git:%d', 'q%d', 'Jelte Fennema-Nio', 7, '[]', 0)", i, i)));
    }
    struct search_answer answer = FIND(&world, .query = STR("what did jelte do?"), .context = true);
    check_int(answer.actor_count, 2);
    check_str(answer.actors[0].name, "Jelte Smith");
    check_str(answer.actors[1].name, "Jelte Fennema-Nio");
    answer = FIND(&world, .query = STR("Jelte Fennema pooling"), .context = true, .mode = SEARCH_FAST);
    check_str(answer.actors[0].name, "Jelte Fennema-Nio"); /* named in full: before who did more */
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
}

TEST(context, a_part_of_a_user_name_is_no_mention)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("jeltefoo and elte"), .context = true);
    check(!answer.actor);
}

TEST(context, items_of_a_mentioned_person_are_raised)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "pooling", .at = 2}, {.title = "pooling", .at = 1, .actor = "github:1"}};
    INSERT(&world, facts);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("pooling work jeltef"), .mode = SEARCH_FAST);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
}

TEST(context, two_words_of_a_name_mean_the_person)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "pooling", .at = 3}, {.title = "pooling", .at = 2, .actor = "github:2"},
                           {.title = "pooling", .at = 1, .actor = "github:1"}};
    INSERT(&world, facts);
    name_people(&world);
    struct search_answer answer = FIND(&world, .query = STR("Jelte Fennema's pooling"), .mode = SEARCH_FAST);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[2])));
    answer = FIND(&world, .query = STR("pooling by Jelte"), .mode = SEARCH_FAST); /* a namesake is nobody */
    check(str_eq(answer.items[0].id, public_id(&world, &facts[0])));
}

TEST(search, items_of_the_time_that_a_question_names_are_raised)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "pooling", .at = 50}, {.title = "pooling", .at = 20}};
    INSERT(&world, facts);
    struct search_request request = {.query = STR("pooling in January 2024"), .mode = SEARCH_FAST};
    struct search_answer  answer = find(&world, request);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[1])));
    request.filters = (struct search_filters){.has_end = true, .end = new_year + DAYS(60)}; /* a filter says it better */
    answer = find(&world, request);
    check(str_eq(answer.items[0].id, public_id(&world, &facts[0])));
}

static struct err *put_cluster(struct db_tx *tx, void *arg)
{
    struct world       *world = arg;
    struct index_writer writer;
    struct embed_views  views;
    TRY(index_writer_open(tx, world->workspace, &writer));
    TRY(embed_item(world->embed, tx->arena, STR("Session timeout"), STR(""), &views));
    TRY(index_put_cluster(&writer, 900, views.at[0], embed_dim(world->embed), embed_model(world->embed)));
    TRY(db_exec(tx, "INSERT INTO cluster (workspace_id, id, xid, topic_label, keywords, status, observation_count, "
                    "first_observation_at, last_observation_at, created_at) "
                    "VALUES (1, 900, 'c', 'Session handling', '[\"session\",\"auth\"]', 'open', 25, 0, 0, 0)"));
    return index_writer_close(&writer);
}

TEST(context, the_nearest_clusters)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    check_ok(db_write(world.db, arena, put_cluster, &world));
    struct search_answer answer = FIND(&world, .query = STR("session timeout"), .context = true);
    check(answer.cluster);
    check_int(answer.cluster_count, 1);
    check_str(answer.clusters[0].topic, "Session handling");
    check(answer.clusters[0].summary.s == NULL);
    check_int(answer.clusters[0].keyword_count, 2);
    check_str(answer.clusters[0].keywords[1], "auth");
}

static struct world world_with_result_cache(struct arena *arena)
{
    struct world world = world_begin(arena);
    search_destroy(world.search);
    world.search = search_create(world.db, world.embed, (struct search_config){.memory_limit = 64 << 20, .result_cache = true});
    return world;
}

TEST(cache, the_same_request_is_answered_from_memory_for_a_minute)
{
    struct world world WORLD_SCOPE = world_with_result_cache(arena);
    struct fact facts[] = {{.title = "Session timeout"}};
    struct search_request request = {.query = STR("session"), .highlights = true, .context = true};
    INSERT(&world, facts);
    find(&world, request);
    write_sql(&world, "UPDATE observation SET title = 'changed behind the index' WHERE workspace_id = 1");
    check_str(find(&world, request).items[0].title, "Session timeout");
    request.limit = 11;
    check_str(find(&world, request).items[0].title, "changed behind the index");
    request.limit = 10;
    time_set(time_now() + SECONDS(61));
    check_str(find(&world, request).items[0].title, "changed behind the index");
}

TEST(cache, a_change_of_the_index_ends_it)
{
    struct world world WORLD_SCOPE = world_with_result_cache(arena);
    struct fact first[] = {{.title = "Session timeout"}}, second[] = {{.title = "Session expiry"}};
    INSERT(&world, first);
    check_int(FIND(&world, .query = STR("session")).total, 1);
    INSERT(&world, second);
    check_int(FIND(&world, .query = STR("session")).total, 2);
}

TEST(cache, holds_no_more_than_its_entries)
{
    struct cache *cache = cache_create(8, SECONDS(60));
    int64_t       version;
    size_t        held = 0;
    struct search_answer answer = {0};
    for (int i = 0; i < 1000; i++)
        cache_put(cache, str_printf(arena, "key %d", i), i, &answer, answer_copy, NULL);
    for (int i = 0; i < 1000; i++) held += cache_version(cache, str_printf(arena, "key %d", i), &version);
    check(held > 0 && held <= 8);
    check(cache_version(cache, STR("key 999"), &version));
    check_int(version, 999);
    cache_destroy(cache);
}

/* ---- many at once ------------------------------------------------------------------------------------------------------ */

struct asker {
    struct world *world;
    atomic_size_t failed, answered;
};

static void ask_often(void *arg)
{
    struct asker *asker = arg;
    for (int i = 0; i < 40; i++) {
        struct arena *arena ARENA_SCOPE = arena_create();
        struct search_request request = {.workspace = 1, .limit = 5, .mode = SEARCH_BALANCED, .highlights = true, .context = true,
                                         .query = str_printf(arena, "session timeout %d", i % 7)};
        struct search_answer  answer;
        struct err           *err = search_run(asker->world->search, arena, &request, &answer);
        if (err) asker->failed++;
        else if (answer.count) asker->answered++;
    }
}

TEST(search, many_at_once_while_others_write)
{
    struct world world   WORLD_SCOPE = world_with_result_cache(arena);
    struct fact          first[] = {{.title = "Session timeout"}};
    struct asker         asker = {.world = &world};
    struct search_answer answer;
    INSERT(&world, first);
    struct workers *workers = workers_start(8, "asking"); /* twice as many as there are database readers */
    for (int i = 0; i < 8; i++) workers_submit(workers, ask_often, &asker);
    for (int i = 0; i < 20; i++) {
        struct fact more[] = {{.title = "Session timeout again", .at = i}};
        INSERT(&world, more);
        answer = FIND(&world, .query = STR("session"), .limit = 50);
        check_int(answer.total, (size_t)i + 2);
    }
    workers_stop(workers);
    check_int(asker.failed, 0);
    check_int(asker.answered, 8 * 40);
}

/* ---- contents ---------------------------------------------------------------------------------------------------------- */

TEST(contents, are_found_by_both_forms_of_the_id)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout", .content = "Whole text"}};
    INSERT(&world, facts);
    struct str ids[] = {facts[0].xid, STR("obs_doesNotExist000000000"), public_id(&world, facts),
                        STR("doc_9aKq2LmN0pRsTuVwXyZ12"), STR(""), STR("obs_'; DROP TABLE x")};
    struct search_content items[6];
    check_ok(search_contents(world.search, arena, 1, ids, 6, items));
    check(items[0].found && !items[1].found && items[2].found && !items[3].found && !items[4].found && !items[5].found);
    check(str_eq(items[0].id, ids[0]) && str_eq(items[2].id, ids[2]));
    check_str(items[2].content, "Whole text");
    check_str(items[2].snippet, "Whole text");
    check_str(items[2].metadata, "{\"n\":1}");
}

/* ---- similar ------------------------------------------------------------------------------------------------------------ */

static struct search_similar_answer similar(struct world *world, struct search_similar_request request)
{
    struct search_similar_answer answer;
    request.workspace = world->workspace;
    if (!request.limit) request.limit = 10;
    check_ok(search_similar(world->search, world->arena, &request, &answer));
    return answer;
}

TEST(similar, other_events_of_the_object_are_left_out_and_objects_collapse)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout raised", .source_id = "pr:acme/api#7:merged"},
                           {.title = "Session timeout raised", .source_id = "pr:acme/api#7:opened"},
                           {.title = "Session timeout lowered", .source_id = "pr:acme/api#8:merged"},
                           {.title = "Session timeout lowered", .source_id = "pr:acme/api#8:opened"}};
    INSERT(&world, facts);
    struct search_similar_answer answer = similar(&world, (struct search_similar_request){.id = public_id(&world, facts)});
    check_int(answer.total, 1);
    check(str_starts(answer.items[0].title, STR("Session timeout lowered")));
    check(answer.found && !answer.generated);
    check(answer.items[0].overlap < 0);
    check(answer.cluster_topic.s == NULL);
}

TEST(similar, shared_entities_raise_the_score)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout", .entities = {"project:#1", "project:#2"}},
                           {.title = "Session expiry", .entities = {"project:#1", "project:#3"}}};
    INSERT(&world, facts);
    struct search_similar_answer answer = similar(&world, (struct search_similar_request){.id = facts[0].xid});
    check_int(answer.count, 1);
    check_near(answer.items[0].overlap, 1.0 / 3, 1e-6);
    check_near(answer.items[0].score, answer.items[0].vector + (1 - answer.items[0].vector) * 0.2 / 3, 1e-6);
}

TEST(similar, same_source_and_excluded_ids)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {{.title = "Session timeout"}, {.title = "Session timeout", .source = "linear"},
                           {.title = "Session timeout"}, {.title = "Session timeout"}};
    INSERT(&world, facts);
    struct str out = public_id(&world, &facts[2]), linear = STR("linear");
    struct search_similar_request request = {.id = facts[0].xid, .exclude = &out, .exclude_count = 1};
    check_int(similar(&world, request).total, 2);
    request.same_source = true;
    check_int(similar(&world, request).total, 1);
    request.filters = (struct search_filters){.sources = &linear, .source_count = 1};
    check_int(similar(&world, request).total, 0);
}

TEST(similar, total_counts_before_the_limit_and_the_threshold_cuts)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[6] = {0};
    for (int i = 0; i < 5; i++) facts[i] = (struct fact){.title = "Session timeout"};
    facts[5] = (struct fact){.title = "Quarterly marketing budget"};
    INSERT(&world, facts);
    struct search_similar_answer answer =
        similar(&world, (struct search_similar_request){.id = facts[0].xid, .limit = 2, .threshold = 0.9});
    check_int(answer.total, 4);
    check_int(answer.count, 2);
}

TEST(similar, what_is_unknown_is_not_found)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct search_similar_answer answer;
    struct search_similar_request by_id = {.workspace = 1, .id = STR("obs_doesNotExist000000000"), .limit = 1};
    struct search_similar_request by_url = {.workspace = 1, .url = STR("https://example.org/x"), .limit = 1};
    struct err *err = search_similar(world.search, arena, &by_id, &answer);
    check(err && err->code == ERR_NOT_FOUND);
    check_str(err->message, "Content not found: obs_doesNotExist000000000");
    err = search_similar(world.search, arena, &by_url, &answer);
    check(err && err->code == ERR_NOT_FOUND);
    check_str(err->message, "URL not found in workspace: https://example.org/x");
}

static bool resolves_to(struct world *world, const char *url, const struct fact *fact)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    int64_t id;
    check_ok(db_read_begin(world->db, world->arena, &tx));
    check_ok(url_resolve(world->search, tx, world->workspace, str_of(url), &id));
    return id == (fact ? fact->id : 0);
}

TEST(url, patterns_find_the_latest_event_of_the_object)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact facts[] = {
        {.title = "a", .at = 1, .source_id = "pr:Acme/api#7:opened"}, {.title = "b", .at = 2, .source_id = "pr:Acme/api#7:merged"},
        {.title = "c", .source_id = "push:Acme/api:3f2c1aa"}, {.title = "d", .source_id = "release:Acme/api:rel/v1.0"},
        {.title = "e", .source_id = "discussion:Acme/api#9"}, {.title = "f", .source = "linear", .source_id = "linear-issue:ENG:ENG-42:create"},
        {.title = "g", .source_id = "sentry-issue:web:WEB-1:created", .url = "https://acme.sentry.io/issues/55/"},
        {.title = "h", .source_id = "deployment:dpl_abc:succeeded"}, {.title = "i", .url = "https://blog.example.org/Post"}};
    INSERT(&world, facts);
    write_sql(&world, str_z(arena, str_printf(arena,
        "INSERT INTO observation_reference (workspace_id, ref_type, ref_key, scope, observation_id, role) VALUES "
        "(1, 'issue', 'acme/api#7', '', %lld, 'self'), (1, 'issue', 'acme/api#7', '', %lld, 'self'), "
        "(1, 'issue', 'acme/api#7', '', %lld, 'mention'), "
        "(1, 'commit', '3f2c1aa9e0d1c2b3a4f5e6d7c8b9a0f1e2d3c4b5', '', %lld, 'self'), "
        "(1, 'issue', 'ENG-42', '', %lld, 'self'), (1, 'deployment', 'dpl_abc', '', %lld, 'self')",
        (long long)facts[0].id, (long long)facts[1].id, (long long)facts[8].id, (long long)facts[2].id,
        (long long)facts[5].id, (long long)facts[7].id)));
    check(resolves_to(&world, "https://github.com/Acme/api/pull/7", &facts[1]));
    check(resolves_to(&world, "http://www.GitHub.com/acme/API/pull/7/files?w=1#diff", &facts[1]));
    check(resolves_to(&world, "https://github.com/acme/api/issues/7", &facts[1]));
    check(resolves_to(&world, "https://github.com/Acme/api/commit/3F2C1AA/", &facts[2]));
    check(resolves_to(&world, "https://github.com/Acme/api/commit/3f2c1aa9e0d1c2b3a4f5e6d7c8b9a0f1e2d3c4b5", &facts[2]));
    check(resolves_to(&world, "https://github.com/Acme/api/releases/tag/rel/v1.0", &facts[3]));
    check(resolves_to(&world, "https://github.com/Acme/api/releases/tag/rel%2Fv1.0", &facts[3]));
    check(resolves_to(&world, "https://github.com/Acme/api/discussions/9", &facts[4]));
    check(resolves_to(&world, "https://linear.app/acme/issue/ENG-42/signed-out-too-soon", &facts[5]));
    check(resolves_to(&world, "https://sentry.io/organizations/acme/issues/55", &facts[6]));
    check(resolves_to(&world, "https://acme.sentry.io/issues/55/?project=1", &facts[6]));
    check(resolves_to(&world, "https://vercel.com/acme/api/abc", &facts[7]));
    check(resolves_to(&world, "https://www.blog.example.org/Post/?utm=1", &facts[8]));
    check(resolves_to(&world, "https://github.com/acme/api/pull/70", NULL));
    check(resolves_to(&world, "https://github.com/acme/api/pull", NULL));
    check(resolves_to(&world, "https://github.com/Acme/api/commit/3f2c1", NULL));
    check(resolves_to(&world, "ftp://github.com/acme/api/pull/7", NULL));
    check(resolves_to(&world, "https://", NULL));
    check(resolves_to(&world, "", NULL));
}

/* ---- graph and related --------------------------------------------------------------------------------------------------- */

static struct search_graph_answer graph(struct world *world, struct search_graph_request request)
{
    struct search_graph_answer answer;
    request.workspace = world->workspace;
    if (!request.limit) request.limit = 200;
    check_ok(search_graph(world->search, world->arena, &request, &answer));
    return answer;
}

TEST(graph, nodes_come_by_hop_and_newest_first)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root", .at = 1}, {.title = "old", .at = 2}, {.title = "new", .at = 3}, {.title = "far", .at = 9},
                       {.title = "farther", .at = 10}};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[2], &f[0], "references", 0.8);
    relate(&world, &f[1], &f[3], "references", 0.8);
    relate(&world, &f[3], &f[4], "references", 0.8);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = public_id(&world, f), .depth = 2});
    check_int(answer.node_count, 4);
    check_str(answer.nodes[0].title, "root");
    check(answer.nodes[0].root && !answer.nodes[1].root);
    check_str(answer.nodes[1].title, "new");
    check_str(answer.nodes[2].title, "old");
    check_str(answer.nodes[3].title, "far");
    check_int(answer.edge_count, 3);
    check(!answer.truncated);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 3}).node_count, 5);
}

TEST(graph, edges_keep_their_direction_and_come_once_also_among_the_outermost)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "a"}, {.title = "b"}};
    INSERT(&world, f);
    relate(&world, &f[1], &f[0], "fixes", 1);
    relate(&world, &f[0], &f[2], "fixes", 1);
    relate(&world, &f[2], &f[1], "references", 0.7);
    relate(&world, &f[0], &f[1], "references", 0.7);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1});
    check_int(answer.node_count, 3);
    check_int(answer.edge_count, 4);
    bool outermost = false, incoming = false;
    for (size_t i = 0; i < answer.edge_count; i++) {
        struct search_edge *e = &answer.edges[i];
        outermost |= str_eq(e->source, public_id(&world, &f[2])) && str_eq(e->target, public_id(&world, &f[1]));
        incoming |= str_eq(e->source, public_id(&world, &f[1])) && str_eq(e->type, STR("fixes"));
    }
    check(outermost && incoming);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 3}).edge_count, 4);
}

TEST(graph, types_filter_and_unknown_ones_match_nothing)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "a"}, {.title = "b"}};
    struct str  fixes[] = {STR("fixes"), STR("nonsense")};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[0], &f[2], "references", 1);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1, .types = fixes, .type_count = 2}).node_count, 2);
    check_int(graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1, .types = fixes + 1, .type_count = 1}).node_count, 1);
}

TEST(graph, a_hub_shows_fifty_edges_and_says_so)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[71] = {0};
    for (int i = 0; i < 71; i++) f[i] = (struct fact){.title = i ? "leaf" : "root", .at = i};
    INSERT(&world, f);
    for (int i = 1; i < 71; i++) relate(&world, &f[i], &f[0], "references", i == 1 ? 1.0 : 0.8);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 1});
    check_int(answer.node_count, 51);
    check_int(answer.edge_count, 50);
    check(answer.truncated);
    check_int(answer.hub_count, 1);
    check_int(answer.hubs[0].degree, 70);
    check_int(answer.hubs[0].shown, 50);
    check_str(answer.nodes[50].title, "leaf");
    check_int(answer.nodes[50].occurred_at, new_year + DAYS(1)); /* the most confident, though the oldest */
    check_int(answer.nodes[49].occurred_at, new_year + DAYS(22));
}

TEST(graph, an_outermost_hub_whose_edges_were_not_all_looked_at_says_so)
{
    enum { LEAVES = 2001 };
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact *f = NEW_ARRAY(arena, struct fact, LEAVES + 2);
    for (int i = 0; i < LEAVES + 2; i++) f[i] = (struct fact){.title = i == 0 ? "root" : i == 1 ? "hub" : "leaf", .at = i};
    insert(&world, f, LEAVES + 2);
    relate(&world, &f[0], &f[1], "fixes", 1);
    struct search_graph_request request = {.id = f[0].xid, .depth = 1};
    check(!graph(&world, request).truncated);
    write_sql(&world, str_z(arena, str_printf(arena,
        "INSERT INTO relationship (workspace_id, id, xid, source_observation_id, target_observation_id, relationship_type, "
        "linking_key, linking_key_type, confidence, metadata, created_at) SELECT 1, 500000 + id, 'leaf' || id, %lld, id, "
        "'references', 'key', 'issue', 0.8, '{}', 0 FROM observation WHERE title = 'leaf'", (long long)f[1].id)));
    struct search_graph_answer answer = graph(&world, request);
    check_int(answer.edge_count, 1);
    check(answer.truncated);
    check_int(answer.hub_count, 1);
    check_int(answer.hubs[0].degree, LEAVES + 1);
}

TEST(graph, the_limit_of_nodes_truncates)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "a", .at = 1}, {.title = "b", .at = 2}};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[0], &f[2], "fixes", 1);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = f[0].xid, .depth = 2, .limit = 2});
    check_int(answer.node_count, 2);
    check_int(answer.edge_count, 1);
    check(answer.truncated);
}

TEST(related, one_entry_a_neighbour_newest_first_with_all_relations)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct fact f[] = {{.title = "root"}, {.title = "old", .at = 1}, {.title = "new", .at = 2}};
    INSERT(&world, f);
    relate(&world, &f[0], &f[1], "references", 0.7);
    relate(&world, &f[0], &f[1], "fixes", 1);
    relate(&world, &f[2], &f[0], "same_commit", 1);
    struct search_related_answer  answer;
    struct search_related_request request = {.workspace = 1, .id = public_id(&world, f), .limit = 1};
    check_ok(search_related(world.search, arena, &request, &answer));
    check_int(answer.total, 2);
    check_int(answer.count, 1);
    check_str(answer.items[0].node.title, "new");
    check(!answer.items[0].relations[0].outgoing);
    request.limit = 100;
    check_ok(search_related(world.search, arena, &request, &answer));
    check_int(answer.items[1].relation_count, 2);
    check_str(answer.items[1].relations[0].type, "fixes");
    check(answer.items[1].relations[0].outgoing);
    request.id = STR("doc_9aKq2LmN0pRsTuVwXyZ12");
    struct err *err = search_related(world.search, arena, &request, &answer);
    check(err && err->code == ERR_NOT_FOUND);
    check_str(err->message, "Observation not found: doc_9aKq2LmN0pRsTuVwXyZ12");
}

/* ---- on what memory stores --------------------------------------------------------------------------------------------- */

struct capture {
    struct memory         memory;
    struct memory_batch  *batch;
    struct memory_result *results;
};

static struct err *store(struct db_tx *tx, void *arg)
{
    struct capture *capture = arg;
    TRY(memory_store(&capture->memory, tx, capture->batch, capture->results));
    return memory_settle(&capture->memory, tx, 1);
}

enum { ISSUE, PULL_REQUEST, OTHER_REPOSITORY, CAPTURED };

/* An issue, the pull request that fixes it, and an issue of the same number elsewhere. */
static void capture_events(struct world *world, struct memory_result results[CAPTURED])
{
    struct arena            *arena = world->arena;
    struct source_reference *issue = NEW_ARRAY(arena, struct source_reference, 1), *fix = NEW_ARRAY(arena, struct source_reference, 2);
    issue[0] = (struct source_reference){.type = STR("issue"), .id = STR("#12"), .url = STR("https://github.com/Acme/api/issues/12")};
    fix[0] = (struct source_reference){.type = STR("pr"), .id = STR("#87"), .url = STR("https://github.com/Acme/api/pull/87")};
    fix[1] = (struct source_reference){.type = STR("issue"), .id = STR("#12"), .label = STR("fixes")};
    struct source_event events[CAPTURED] = {
        [ISSUE] = {.source = STR("github"), .source_type = STR("issue.opened"), .source_id = STR("issue:Acme/api#12:opened"),
                   .title = STR("[Issue Opened] Signed out too soon"), .body = STR("Signed out too soon\nAfter five minutes."),
                   .actor = {.id = STR("41"), .name = STR("Zo\xc3\xab Fennema-Nio"), .email = STR("zoe@example.org")},
                   .occurred_at = new_year, .references = issue, .reference_count = 1,
                   .metadata = STR("{\"repoFullName\":\"Acme/api\",\"issueNumber\":12,\"url\":\"https://github.com/Acme/api/issues/12\"}")},
        [PULL_REQUEST] = {.source = STR("github"), .source_type = STR("pull-request.merged"), .source_id = STR("pr:Acme/api#87:merged"),
                   .title = STR("[PR Merged] Raise session timeout to 30 minutes"),
                   .body = STR("Raise session timeout to 30 minutes\nThe timeout is now configurable: SESSION_TTL. Fixes #12"),
                   .actor = {.id = STR("42"), .name = STR("backend-dev"), .email = STR("dev@example.org")},
                   .occurred_at = new_year + DAYS(1), .references = fix, .reference_count = 2,
                   .metadata = STR("{\"repoFullName\":\"Acme/api\",\"prNumber\":87,\"url\":\"https://github.com/Acme/api/pull/87\"}")},
        [OTHER_REPOSITORY] = {.source = STR("github"), .source_type = STR("issue.opened"), .source_id = STR("issue:Acme/web#12:opened"),
                   .title = STR("[Issue Opened] Wrong colour"), .body = STR("Wrong colour"), .occurred_at = new_year,
                   .metadata = STR("{\"repoFullName\":\"Acme/web\",\"issueNumber\":12}")},
    };
    struct capture capture = {.memory = {world->db, world->embed}, .results = results};
    check_ok(memory_prepare(&capture.memory, arena, (struct memory_capture){.workspace = 1, .ingestion = SOURCE_MANUAL,
                                                                           .events = events, .count = CAPTURED}, &capture.batch));
    check_ok(db_write(world->db, arena, store, &capture));
    for (int i = 0; i < CAPTURED; i++) {
        check_int(results[i].outcome, MEMORY_STORED);
        results[i].public_id = str_dup(arena, results[i].public_id);
    }
}

TEST(captured, is_found_by_words_people_and_keys)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    check(str_eq(FIND(&world, .query = STR("timeouts of sessions")).items[0].id, results[PULL_REQUEST].public_id));
    check(str_eq(FIND(&world, .query = STR("SESSION_TTL")).items[0].id, results[PULL_REQUEST].public_id));
    struct str names[] = {STR("Zoe Fennema"), STR("@zoe@example.org"), STR("ZO\xc3\x8b FENNEMA-NIO")};
    for (int i = 0; i < 3; i++) {
        struct search_answer answer = FIND(&world, .query = STR("anything"), .filters = {.actors = &names[i], .actor_count = 1});
        struct search_answer all = FIND(&world, .query = STR("signed out"), .filters = {.actors = &names[i], .actor_count = 1});
        check(answer.total <= 1);
        check_int(all.total, 1);
        check(str_eq(all.items[0].id, results[ISSUE].public_id));
    }
    struct search_answer number = FIND(&world, .query = STR("#12"));
    check(number.entity);
    check(number.count >= 2);
}

TEST(captured, is_joined_in_the_graph)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    struct search_graph_answer answer = graph(&world, (struct search_graph_request){.id = results[ISSUE].public_id, .depth = 1});
    check_int(answer.node_count, 2);
    check_int(answer.edge_count, 1);
    check_str(answer.edges[0].type, "fixes");
    check(str_eq(answer.edges[0].source, results[PULL_REQUEST].public_id));
}

TEST(captured, is_found_by_its_address)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    struct fact pull = {.id = results[PULL_REQUEST].id}, issue = {.id = results[ISSUE].id}, other = {.id = results[OTHER_REPOSITORY].id};
    check(resolves_to(&world, "https://github.com/acme/API/pull/87/files", &pull));
    check(resolves_to(&world, "https://github.com/Acme/api/issues/12#issuecomment-1", &issue));
    check(resolves_to(&world, "https://github.com/Acme/web/issues/12", &other));
    check(resolves_to(&world, "https://github.com/Acme/other/issues/12", NULL));
}

TEST(captured, context_names_people_and_clusters)
{
    struct world world WORLD_SCOPE = world_begin(arena);
    struct memory_result results[CAPTURED];
    capture_events(&world, results);
    struct search_answer answer = FIND(&world, .query = STR("what did fennema report on sessions"), .context = true);
    check_int(answer.actor_count, 1);
    check_str(answer.actors[0].name, "Zo\xc3\xab Fennema-Nio");
    check(answer.cluster_count >= 1);
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
        RUN(search, text_that_no_database_takes_finds_nothing_and_fails_nothing),
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
        RUN(search, an_empty_workspace_answers_with_nothing),
        RUN(search, a_result_shows_what_the_row_holds),
        RUN(search, no_url_is_the_empty_text_and_no_highlights_are_made_unasked),
        RUN(search, another_workspace_is_never_seen),
        RUN(search, a_quoted_phrase_must_match),
        RUN(search, pages_follow_each_other_and_end),
        RUN(search, collapse_leaves_the_best_event_of_an_object),
        RUN(search, a_known_entity_of_the_query_comes_first),
        RUN(search, an_alias_of_an_entity_is_followed),
        RUN(filters, types_are_known_in_any_spelling_and_by_family),
        RUN(filters, people_are_known_by_name_user_name_and_address),
        RUN(filters, dates_are_inclusive),
        RUN(filters, any_of_the_sources_will_do),
        RUN(context, people_of_the_query_with_what_they_know),
        RUN(context, a_person_with_several_ids_is_named_once),
        RUN(context, a_part_of_a_user_name_is_no_mention),
        RUN(context, items_of_a_mentioned_person_are_raised),
        RUN(context, two_words_of_a_name_mean_the_person),
        RUN(search, items_of_the_time_that_a_question_names_are_raised),
        RUN(context, the_nearest_clusters),
        RUN(cache, the_same_request_is_answered_from_memory_for_a_minute),
        RUN(cache, a_change_of_the_index_ends_it),
        RUN(cache, holds_no_more_than_its_entries),
        RUN(search, many_at_once_while_others_write),
        RUN(contents, are_found_by_both_forms_of_the_id),
        RUN(similar, other_events_of_the_object_are_left_out_and_objects_collapse),
        RUN(similar, shared_entities_raise_the_score),
        RUN(similar, same_source_and_excluded_ids),
        RUN(similar, total_counts_before_the_limit_and_the_threshold_cuts),
        RUN(similar, what_is_unknown_is_not_found),
        RUN(url, patterns_find_the_latest_event_of_the_object),
        RUN(graph, nodes_come_by_hop_and_newest_first),
        RUN(graph, edges_keep_their_direction_and_come_once_also_among_the_outermost),
        RUN(graph, types_filter_and_unknown_ones_match_nothing),
        RUN(graph, a_hub_shows_fifty_edges_and_says_so),
        RUN(graph, an_outermost_hub_whose_edges_were_not_all_looked_at_says_so),
        RUN(graph, the_limit_of_nodes_truncates),
        RUN(related, one_entry_a_neighbour_newest_first_with_all_relations),
        RUN(captured, is_found_by_words_people_and_keys),
        RUN(captured, is_joined_in_the_graph),
        RUN(captured, is_found_by_its_address),
        RUN(captured, context_names_people_and_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
