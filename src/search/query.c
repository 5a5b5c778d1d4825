/* query.c - what the text of a query says: terms, phrases, names, entity keys. Without the database. */
#include "search/parts.h"

static bool has_hash(const uint64_t *hashes, size_t n, uint64_t hash)
{
    for (size_t i = 0; i < n; i++)
        if (hashes[i] == hash) return true;
    return false;
}

static void read_terms(struct arena *arena, const struct text_terms *found, struct query *query)
{
    bool all_stop = true;
    for (size_t i = 0; i < found->n; i++) all_stop = all_stop && found->at[i].stop;
    query->terms = NEW_ARRAY(arena, uint64_t, found->n);
    query->words = NEW_ARRAY(arena, struct str, found->n);
    for (size_t i = 0; i < found->n; i++) {
        const struct text_term *term = &found->at[i];
        if ((term->stop && !all_stop) || has_hash(query->terms, query->term_count, term->hash)) continue;
        query->words[query->term_count] = str_slice(query->text, term->from, term->to);
        query->terms[query->term_count++] = term->hash;
    }
}

static void read_phrases(struct arena *arena, struct query *query)
{
    query->phrases = NEW_ARRAY(arena, struct str, SEARCH_PHRASES);
    for (size_t from = 0; query->phrase_count < SEARCH_PHRASES;) {
        size_t open = str_find_char(query->text, '"', from);
        size_t close = open == SIZE_MAX ? SIZE_MAX : str_find_char(query->text, '"', open + 1);
        if (close == SIZE_MAX) return;
        struct str phrase = plain_text(arena, str_slice(query->text, open + 1, close));
        if (phrase.n) query->phrases[query->phrase_count++] = phrase;
        from = close + 1;
    }
}

static void read_mentions(struct arena *arena, struct query *query)
{
    struct str after_at[20];
    size_t     n = text_mentions(query->text, after_at);
    query->mentions = NEW_ARRAY(arena, struct str, n + query->phrase_count);
    for (size_t i = 0; i < n; i++) query->mentions[query->mention_count++] = text_fold(arena, after_at[i]);
    for (size_t i = 0; i < query->phrase_count; i++)
        query->mentions[query->mention_count++] = text_fold(arena, query->phrases[i]);
}

static void add_name(struct arena *arena, struct query *query, struct str word)
{
    static const struct str around = {".,;:!?()[]{}<>\"'`", 17};
    while (word.n && memchr(around.s, word.s[0], around.n)) word = str_skip(word, 1);
    while (word.n && memchr(around.s, word.s[word.n - 1], around.n)) word.n--;
    if (word.n < 3 || word.n > 100 || query->name_count == SEARCH_WORDS) return;
    struct str name = text_fold(arena, word);
    for (size_t i = 0; i < query->name_count; i++)
        if (str_eq(query->names[i], name)) return;
    query->names[query->name_count++] = name;
}

/* Words as the terms have them, and as they stand between blanks ("enjoy-binbin"). Stop words are nobody's name. */
static void read_names(struct arena *arena, const struct text_terms *found, struct query *query)
{
    query->names = NEW_ARRAY(arena, struct str, SEARCH_WORDS);
    for (size_t i = 0; i < found->n; i++)
        if (!found->at[i].stop) add_name(arena, query, str_slice(query->text, found->at[i].from, found->at[i].to));
    struct str rest = plain_text(arena, query->text), word;
    while (str_cut(&rest, ' ', &word))
        if (str_find_char(word, '-', 0) != SIZE_MAX || str_find_char(word, '_', 0) != SIZE_MAX)
            add_name(arena, query, word);
}

void query_read(struct arena *arena, struct str text, struct query *query)
{
    *query = (struct query){.text = text};
    struct text_terms found = text_terms(arena, text);
    read_terms(arena, &found, query);
    read_phrases(arena, query);
    read_mentions(arena, query);
    read_names(arena, &found, query);
    query->keys = text_entities(arena, text);
}
