/* embed.c - the door: the built-in table, or a provider over HTTP. */
#include "embed/parts.h"

enum embed_kind { BUILTIN, REMOTE, DISABLED };

static const struct {
    const char     *provider;
    enum embed_kind kind;
} kinds[] = {
    {"builtin", BUILTIN},
    {"openai", REMOTE},
    {"ollama", REMOTE},
    {"none", DISABLED},
};

struct embed {
    struct arena          *arena; /* its own */
    enum embed_kind        kind;
    struct embed_table     table;
    struct embed_provider *provider;
};

enum {
    TITLE_PIECES = EMBED_WINDOW / 2, /* of a title that stands before a passage: the rest is the passage's */
    REMOTE_PASSAGE_BYTES = 1500,     /* about 400 tokens: fits the smallest models in use (512) with a title */
    REMOTE_TITLE_BYTES = 300,
};

static struct err *open_kind(struct arena *arena, struct embed_config config, struct embed *embed)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!str_eq(config.provider, str_of(kinds[i].provider))) continue;
        embed->kind = kinds[i].kind;
        if (embed->kind == BUILTIN) return embed_table_open(arena, embed->arena, &embed->table);
        if (embed->kind == REMOTE) return embed_provider_create(arena, embed->arena, config, &embed->provider);
        return NULL;
    }
    return err_new(arena, ERR_INVALID, "embedding.provider must be builtin, openai, ollama or none, not \"" STR_FMT "\"",
                   STR_ARG(str_slice(config.provider, 0, 40)));
}

struct err *embed_create(struct arena *arena, struct embed_config config, struct embed **embed)
{
    struct arena *own = arena_create();
    struct embed *made = NEW(own, struct embed);
    made->arena = own;
    struct err *failed = open_kind(arena, config, made);
    if (failed) {
        arena_destroy(own);
        return failed;
    }
    *embed = made;
    return NULL;
}

void embed_destroy(struct embed *embed)
{
    if (embed) arena_destroy(embed->arena);
}

struct str embed_model(const struct embed *embed)
{
    switch (embed->kind) {
    case BUILTIN: return embed->table.name;
    case REMOTE: return embed_provider_model(embed->provider);
    case DISABLED: break;
    }
    return STR("");
}

int embed_dim(const struct embed *embed)
{
    switch (embed->kind) {
    case BUILTIN: return EMBED_TABLE_DIM;
    case REMOTE: return embed_provider_dim(embed->provider);
    case DISABLED: break;
    }
    return 0;
}

bool embed_enabled(const struct embed *embed)
{
    return embed->kind != DISABLED;
}

bool embed_inline(const struct embed *embed)
{
    return embed->kind != REMOTE;
}

struct err *embed_texts(struct embed *embed, struct arena *arena, bool query, const struct str *texts, size_t n,
                        struct embed_vector *out)
{
    (void)query; /* the models served today make no difference */
    if (embed->kind == REMOTE) return embed_provider_texts(embed->provider, arena, texts, n, out);
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct embed_vector){0};
        if (embed->kind == DISABLED) continue;
        uint32_t ids[EMBED_WINDOW];
        float    sum[EMBED_TABLE_DIM] = {0};
        embed_table_add(&embed->table, ids, embed_pieces(texts[i], ids), sum);
        out[i] = embed_quantise(arena, sum, EMBED_TABLE_DIM);
    }
    return NULL;
}

struct embed_vector embed_words(const struct embed *embed, struct arena *arena, const struct embed_word *words, size_t n)
{
    float  sum[EMBED_TABLE_DIM] = {0};
    size_t left = EMBED_WINDOW;
    if (embed->kind != BUILTIN) return (struct embed_vector){0};
    for (size_t i = 0; i < n && left; i++) {
        uint32_t ids[EMBED_WINDOW];
        float    own[EMBED_TABLE_DIM] = {0};
        size_t   count = embed_pieces_of(words[i].text, ids, left, NULL);
        embed_table_add(&embed->table, ids, count, own);
        for (int d = 0; d < EMBED_TABLE_DIM; d++) sum[d] += words[i].weight * own[d];
        left -= count;
    }
    return embed_quantise(arena, sum, EMBED_TABLE_DIM);
}

struct embed_maxsim *embed_maxsim(const struct embed *embed, struct arena *arena, const struct embed_word *words, size_t n)
{
    return embed->kind == BUILTIN ? embed_maxsim_create(&embed->table, arena, words, n) : NULL;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

/* Room for pieces that a passage has beside the title. */
static size_t pieces_fit(void *arg, struct str text)
{
    uint32_t ids[EMBED_WINDOW];
    size_t   rest;
    embed_pieces_of(text, ids, *(const size_t *)arg, &rest);
    return rest;
}

/* A text's vector is the sum of its pieces, so a passage's is the title's sum and what its own pieces add. */
static void builtin_item(const struct embed *embed, struct arena *arena, struct str title, struct str body,
                         struct embed_views *views)
{
    const struct embed_table *table = &embed->table;
    struct embed_vector       vectors[1 + EMBED_MAX_PASSAGES];
    uint32_t                  ids[EMBED_WINDOW];
    float                     title_sum[EMBED_TABLE_DIM] = {0};
    size_t                    n = 1, title_count = embed_pieces(title, ids);

    embed_table_add(table, ids, title_count, title_sum);
    vectors[0] = embed_quantise(arena, title_sum, EMBED_TABLE_DIM);
    if (title_count > TITLE_PIECES) {
        title_count = TITLE_PIECES;
        memset(title_sum, 0, sizeof title_sum);
        embed_table_add(table, ids, title_count, title_sum);
    }
    size_t room = EMBED_WINDOW - title_count;
    while (body.n && n < 1 + EMBED_MAX_PASSAGES) {
        struct str passage = embed_next_passage(&body, pieces_fit, &room);
        size_t     count = embed_pieces_of(passage, ids, room, NULL);
        if (!count) continue;
        float sum[EMBED_TABLE_DIM];
        memcpy(sum, title_sum, sizeof sum);
        embed_table_add(table, ids, count, sum);
        vectors[n++] = embed_quantise(arena, sum, EMBED_TABLE_DIM);
    }
    if (n == 1) vectors[n++] = vectors[0]; /* no words in the body: title and full view are one */
    embed_views_collect(arena, vectors, n, EMBED_TABLE_DIM, views);
}

static size_t bytes_fit(void *arg, struct str text)
{
    size_t room = *(const size_t *)arg;
    if (text.n <= room) return text.n;
    size_t space = room;
    while (space > room / 2 && text.s[space] != ' ' && text.s[space] != '\n') space--;
    if (space > room / 2) return space;
    while (room > 1 && ((unsigned char)text.s[room] & 0xc0) == 0x80) room--;
    return room;
}

static struct err *remote_item(struct embed *embed, struct arena *arena, struct str title, struct str body,
                               struct embed_views *views)
{
    struct str          texts[1 + EMBED_MAX_PASSAGES] = {title};
    struct embed_vector vectors[1 + EMBED_MAX_PASSAGES];
    struct str          head = str_slice(title, 0, bytes_fit(&(size_t){REMOTE_TITLE_BYTES}, title));
    size_t              n = 1, room = REMOTE_PASSAGE_BYTES;
    while (body.n && n < 1 + EMBED_MAX_PASSAGES) {
        struct str passage = str_trim(embed_next_passage(&body, bytes_fit, &room));
        if (passage.n) texts[n++] = str_two_lines(arena, head, passage);
    }
    TRY(embed_provider_texts(embed->provider, arena, texts, n, vectors));
    if (n == 1) vectors[n++] = vectors[0];
    embed_views_collect(arena, vectors, n, embed_provider_dim(embed->provider), views);
    return NULL;
}

struct err *embed_item(struct embed *embed, struct arena *arena, struct str title, struct str body,
                       struct embed_views *views)
{
    *views = (struct embed_views){0};
    if (embed->kind == REMOTE) return remote_item(embed, arena, title, body, views);
    if (embed->kind == BUILTIN) builtin_item(embed, arena, title, body, views);
    return NULL;
}
