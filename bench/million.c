/* million.c - a data directory of many made-up observations: million DATA_DIR COUNT QUERIES_FILE.
 *
 * Texts are words of the model's vocabulary, frequent ones as frequent as in real messages (a logarithmic draw over
 * ranks). Rows and index entries are written as the pipeline writes them; what searching does not read is left out.
 * QUERIES_FILE gets distinct questions of three to six such words, one a line.
 */
#include "base/hash.h"
#include "base/id.h"
#include "base/time.h"
#include "db/db.h"
#include "embed/embed.h"
#include "index/index.h"
#include "org/org.h"
#include "text/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 5000, FIRST_RANK = 20, WORD_LEAST = 3, ACTORS = 400, QUERIES = 4000 };

extern const char file_vocab_txt[], file_vocab_txt_end[];

struct million {
    struct embed *embed;
    int64_t       workspace, written, wanted, now;
    VEC(struct str) words;
    uint64_t      random;
};

static const struct {
    const char *source, *source_type, *type;
} kinds[] = {
    {"github", "push", "push"},
    {"github", "pull-request.merged", "pull_request_merged"},
    {"github", "issue.opened", "issue_opened"},
    {"git", "push", "push"},
};

static uint64_t random_number(struct million *million)
{
    million->random ^= million->random << 13;
    million->random ^= million->random >> 7;
    million->random ^= million->random << 17;
    return million->random >> 16;
}

static struct str random_word(struct million *million)
{
    double draw = (double)(random_number(million) % 1000000) / 1e6;
    double rank = FIRST_RANK * pow((double)million->words.n / FIRST_RANK, draw);
    return million->words.at[(size_t)rank < million->words.n ? (size_t)rank : million->words.n - 1];
}

static struct str random_text(struct million *million, struct arena *arena, size_t least, size_t spread)
{
    struct buf b = buf_in(arena);
    for (size_t n = least + random_number(million) % spread; n; n--) {
        buf_str_add(&b, random_word(million));
        if (n > 1) buf_char(&b, n % 12 ? ' ' : '\n');
    }
    return buf_str(&b);
}

static struct err *add(struct million *million, struct index_writer *writer)
{
    struct arena *arena = writer->tx->arena;
    struct str    title = random_text(million, arena, 5, 6), body = random_text(million, arena, 10, 40);
    size_t        kind = random_number(million) % (sizeof kinds / sizeof *kinds);
    struct index_item item = {.id = index_new_id(writer),
                              .kind = INDEX_OBSERVATION,
                              .time = million->now - (int64_t)(random_number(million) % (uint64_t)DAYS(3650)),
                              .source = str_of(kinds[kind].source),
                              .type = str_of(kinds[kind].type),
                              .actor = str_printf(arena, "github:%d", (int)(random_number(million) % ACTORS)),
                              .significance = (int)(random_number(million) % 100),
                              .model = embed_model(million->embed)};
    struct text_terms terms = text_terms(arena, str_printf(arena, STR_FMT "\n" STR_FMT, STR_ARG(title), STR_ARG(body)));
    item.terms = NEW_ARRAY(arena, uint64_t, terms.n);
    item.term_count = text_term_set(&terms, item.terms);
    TRY(embed_item(million->embed, arena, title, body, &item.views));
    item.dim = embed_dim(million->embed);
    TRY(index_add(writer, &item));
    return db_exec(writer->tx,
                   "INSERT INTO observation (workspace_id, id, xid, source, source_type, source_id, observation_type, title,"
                   " content, occurred_at, captured_at, actor_id, primary_category, secondary_categories,"
                   " classification_confidence, classification_method, topics, significance_score, significance_factors,"
                   " source_references, metadata, embedding_status, embedding_model, ingestion_source, pipeline_state,"
                   " created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'other', '[]', 0.5, 'rules',"
                   " '[]', $13, '[]', '[]', '{}', 'ready', $14, 'backfill', 'done', $11)",
                   million->workspace, item.id, id_new(arena, ""), item.source, kinds[kind].source_type,
                   str_printf(arena, "made-up:%lld", (long long)item.id), item.type, title, body, item.time, million->now,
                   item.actor, item.significance, item.model);
}

static struct err *add_batch(struct db_tx *tx, void *arg)
{
    struct million     *million = arg;
    struct index_writer writer;
    TRY(index_writer_open(tx, million->workspace, &writer));
    for (int i = 0; i < BATCH; i++) {
        struct arena_mark mark = arena_mark(tx->arena);
        TRY(add(million, &writer));
        arena_rewind(tx->arena, mark);
    }
    return index_writer_close(&writer);
}

static struct err *find_workspace(struct db *db, struct arena *arena, int64_t *id)
{
    struct db_tx        *tx DB_READ_SCOPE = NULL;
    struct org_workspace workspace;
    TRY(db_read_begin(db, arena, &tx));
    TRY(org_workspace_default(tx, STR(""), &workspace));
    *id = workspace.id;
    return NULL;
}

static struct err *fill(struct million *million, struct arena *arena, struct str data_dir)
{
    struct db      *db;
    struct db_lock *lock;
    TRY(db_lock_directory(arena, data_dir, &lock));
    TRY(db_open(arena, (struct db_config){.data_dir = data_dir}, &db));
    TRY(org_prepare(db, arena));
    TRY(find_workspace(db, arena, &million->workspace));
    for (; million->written < million->wanted; million->written += BATCH) {
        struct arena *work ARENA_SCOPE = arena_create();
        struct err   *failed = db_write(db, work, add_batch, million);
        if (failed) return err_new(arena, failed->code, STR_FMT, STR_ARG(err_text(work, failed)));
    }
    db_close(db);
    db_unlock_directory(lock);
    return NULL;
}

static void write_queries(struct million *million, struct arena *arena, FILE *file)
{
    struct map *seen = map_create(arena);
    while (map_count(seen) < QUERIES) {
        struct str query = random_text(million, arena, 3, 4);
        if (*map_at(seen, query)) continue;
        *map_at(seen, query) = 1;
        fprintf(file, STR_FMT "\n", STR_ARG(query));
    }
}

int main(int argc, char **argv)
{
    FILE *queries = argc == 4 ? fopen(argv[3], "w") : NULL;
    if (!queries) {
        fprintf(stderr, "usage: million DATA_DIR COUNT QUERIES_FILE\n");
        return 2;
    }
    struct arena  *arena = arena_create();
    struct million million = {.now = time_now(), .wanted = atoll(argv[2]), .random = 88172645463325252u};
    struct str     rest = {file_vocab_txt, (size_t)(file_vocab_txt_end - file_vocab_txt)}, word;
    while (rest.n && str_cut(&rest, '\n', &word))
        if (word.n >= WORD_LEAST && word.s[0] >= 'a' && word.s[0] <= 'z') *VEC_PUSH(arena, &million.words) = word;
    text_start();
    struct err *failed = embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &million.embed);
    if (!failed) failed = fill(&million, arena, str_of(argv[1]));
    if (failed) {
        fprintf(stderr, "million: " STR_FMT "\n", STR_ARG(err_text(arena, failed)));
        return 1;
    }
    write_queries(&million, arena, queries);
    return fclose(queries) ? 1 : 0;
}
