/* grades.c - how good answers are under other weights: grades DATA_DIR QUESTIONS, with weights on standard input, one
 * JSON object of them a line ({"title": 0.3}; what is not named is as in weights.c).
 *
 * Each line is answered by a line: for every question a word of ten digits, the grades of the first ten results (0: not
 * labelled). Asks as a caller does, through search_run; time stands still at the newest observation.
 */
#include "base/hash.h"
#include "base/time.h"
#include "search/parts.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESULTS = 10 };

static const struct { const char *name; size_t offset; } names[] = {
#define WEIGHT(name) {#name, offsetof(struct search_weights, name)}
    WEIGHT(word), WEIGHT(title), WEIGHT(cover), WEIGHT(period), WEIGHT(feedback), WEIGHT(feedback_unfound), WEIGHT(maxsim), WEIGHT(recency), WEIGHT(significance),
    WEIGHT(release),
#undef WEIGHT
};

struct question {
    struct search_request request;
    struct map           *grades; /* of commits */
};

struct judge {
    struct arena  *arena;
    struct db     *db;
    struct search *search;
    struct map    *commits; /* public id of an observation -> struct str *, its commit */
    VEC(struct question) questions;
};

/* ---- what is asked --------------------------------------------------------------------------------------------------- */

static struct err *read_commits(struct judge *judge, struct db_tx *tx)
{
    struct db_rows rows;
    struct str     xid, metadata;
    int64_t        time, newest = 0;
    TRY(db_query(tx, &rows, "SELECT xid, metadata, occurred_at FROM observation"));
    while (db_next(&rows, &xid, &metadata, &time)) {
        const json_value *root;
        TRY(json_parse(judge->arena, metadata, &root));
        struct str *commit = NEW(judge->arena, struct str);
        *commit = str_dup(judge->arena, json_str(root, "commitSha"));
        *map_at(judge->commits, str_printf(judge->arena, "obs_" STR_FMT, STR_ARG(xid))) = (int64_t)(intptr_t)commit;
        newest = time > newest ? time : newest;
    }
    time_set(newest);
    return db_done(&rows);
}

static struct question read_question(struct arena *arena, const json_value *line)
{
    struct question        question = {.request = {.workspace = 1, .query = json_str(line, "query"), .limit = RESULTS,
                                                   .mode = SEARCH_BALANCED}};
    struct search_filters *filters = &question.request.filters;
    filters->actors = NEW(arena, struct str);
    filters->actors[0] = json_str(line, "actor");
    filters->actor_count = filters->actors[0].n > 0;
    filters->has_start = time_parse(json_str(line, "after"), &filters->start);
    filters->has_end = time_parse(json_str(line, "before"), &filters->end);
    filters->end--;
    question.grades = map_create(arena);
    for (struct json_iter it = json_iter(json_get(line, "relevant")); json_step(&it);)
        *map_at(question.grades, json_str(it.value, "sha")) = json_int(it.value, "grade", 0);
    return question;
}

static struct err *read_questions(struct judge *judge, FILE *file)
{
    char  *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, file)) > 0;) {
        const json_value *root;
        TRY(json_parse(judge->arena, str_dup(judge->arena, (struct str){line, (size_t)n}), &root));
        *VEC_PUSH(judge->arena, &judge->questions) = read_question(judge->arena, root);
    }
    free(line);
    return NULL;
}

static struct err *open_judge(struct judge *judge, const char *data_dir, FILE *questions)
{
    struct embed *embed;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    text_start();
    judge->commits = map_create(judge->arena);
    TRY(embed_create(judge->arena, (struct embed_config){.provider = STR("builtin")}, &embed));
    TRY(db_open(judge->arena, (struct db_config){.data_dir = str_of(data_dir)}, &judge->db));
    judge->search = search_create(judge->db, embed, (struct search_config){.memory_limit = (size_t)1 << 30});
    TRY(db_read_begin(judge->db, judge->arena, &tx));
    TRY(read_commits(judge, tx));
    return read_questions(judge, questions);
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static struct err *read_weights(struct arena *arena, struct str line, struct search_weights *weights)
{
    const json_value *root;
    *weights = search_weights;
    TRY(json_parse(arena, line, &root));
    weights->leaders = (size_t)json_int(root, "leaders", (int64_t)weights->leaders);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double *value = (double *)((char *)weights + names[i].offset);
        *value = json_real(root, names[i].name, *value);
    }
    return NULL;
}

static struct err *ask(struct judge *judge, const struct question *question)
{
    struct arena *arena  ARENA_SCOPE = arena_create();
    struct search_answer answer;
    char                 grades[RESULTS + 1] = "0000000000";
    struct err          *failed = search_run(judge->search, arena, &question->request, &answer);
    if (failed) return err_new(judge->arena, failed->code, STR_FMT, STR_ARG(err_text(arena, failed)));
    for (size_t i = 0; i < answer.count && i < RESULTS; i++) {
        const int64_t *commit = map_find(judge->commits, answer.items[i].id);
        const int64_t *grade = commit ? map_find(question->grades, *(const struct str *)(intptr_t)*commit) : NULL;
        if (grade) grades[i] = (char)('0' + *grade);
    }
    fputs(grades, stdout);
    return NULL;
}

static struct err *answer_lines(struct judge *judge, FILE *file)
{
    char  *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, file)) > 0;) {
        struct search_weights weights;
        struct arena         *arena ARENA_SCOPE = arena_create();
        TRY(read_weights(arena, (struct str){line, (size_t)n}, &weights));
        judge->search->weights = &weights;
        for (size_t i = 0; i < judge->questions.n; i++) {
            if (i) putchar(' ');
            TRY(ask(judge, &judge->questions.at[i]));
        }
        putchar('\n');
    }
    free(line);
    return NULL;
}

int main(int argc, char **argv)
{
    FILE *questions = argc == 3 ? fopen(argv[2], "r") : NULL;
    if (!questions) {
        fprintf(stderr, "usage: grades DATA_DIR QUESTIONS < WEIGHTS\n");
        return 2;
    }
    struct judge judge = {.arena = arena_create()};
    struct err  *failed = open_judge(&judge, argv[1], questions);
    if (!failed) failed = answer_lines(&judge, stdin);
    if (failed) fprintf(stderr, "grades: " STR_FMT "\n", STR_ARG(err_text(judge.arena, failed)));
    return failed != NULL;
}
