/* query.c - what the text of a query says: terms, phrases, names, entity keys. Without the database. */
#include "search/parts.h"

#include "base/time.h"

/* The query's term of that hash; a new one if there is none. */
static uint32_t term_of(struct query *query, const struct text_term *found)
{
    for (size_t i = 0; i < query->term_count; i++)
        if (query->terms[i] == found->hash) return (uint32_t)i;
    query->words[query->term_count] = str_slice(query->text, found->from, found->to);
    query->terms[query->term_count] = found->hash;
    return (uint32_t)query->term_count++;
}

static void read_terms(struct arena *arena, const struct text_terms *found, struct query *query)
{
    bool all_stop = true;
    for (size_t i = 0; i < found->n; i++) all_stop = all_stop && found->at[i].stop;
    query->terms = NEW_ARRAY(arena, uint64_t, found->n);
    query->words = NEW_ARRAY(arena, struct str, found->n);
    query->places = NEW_ARRAY(arena, struct query_place, found->n);
    for (size_t i = 0; i < found->n; i++) {
        const struct text_term *term = &found->at[i];
        if (term->stop && !all_stop) continue;
        query->places[query->place_count++] = (struct query_place){term->from, term->to, term_of(query, term)};
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
    static const char *const owning[] = {"'s", "\xe2\x80\x99s"}; /* "Ada's" */
    static const struct str around = {".,;:!?()[]{}<>\"'`", 17};
    while (word.n && memchr(around.s, word.s[0], around.n)) word = str_skip(word, 1);
    while (word.n && memchr(around.s, word.s[word.n - 1], around.n)) word.n--;
    for (size_t i = 0; i < sizeof owning / sizeof *owning; i++)
        if (str_ends(word, str_of(owning[i]))) word.n -= strlen(owning[i]);
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
    query->has_period = text_period(text, time_now(), &query->period);
}

/* ---- people ---------------------------------------------------------------------------------------------------------- */

/* Is the term spelt like one of the words, "Ada's" too? */
static bool spells(struct arena *arena, struct str term, const name_words *words)
{
    name_words own = {0};
    filter_split_name(arena, text_fold(arena, term), &own);
    for (size_t i = 0; own.n && i < words->n; i++)
        if (str_eq(own.at[0], words->at[i])) return true;
    return false;
}

void query_leave_out_people(struct arena *arena, const struct str *people, size_t n, struct query *query)
{
    name_words words = {0};
    size_t     kept = 0, places = 0;
    for (size_t i = 0; i < n; i++) filter_split_name(arena, text_fold(arena, people[i]), &words);
    if (!words.n) return;
    uint32_t *place_of = NEW_ARRAY(arena, uint32_t, query->term_count); /* where a term moves to, from 1; 0: left out */
    for (size_t i = 0; i < query->term_count; i++)
        if (!spells(arena, query->words[i], &words)) place_of[i] = (uint32_t)++kept;
    if (!kept || kept == query->term_count) return;
    query->left_out = NEW_ARRAY(arena, struct str, query->place_count);
    for (size_t i = 0; i < query->place_count; i++) {
        struct query_place place = query->places[i];
        if (!place_of[place.term]) {
            query->left_out[query->left_out_count++] = str_slice(query->text, place.from, place.to);
            continue;
        }
        place.term = place_of[place.term] - 1;
        query->places[places++] = place;
    }
    query->place_count = places;
    for (size_t i = 0; i < query->term_count; i++) {
        if (!place_of[i]) continue;
        query->terms[place_of[i] - 1] = query->terms[i];
        query->words[place_of[i] - 1] = query->words[i];
    }
    query->term_count = kept;
}

/* ---- releases -------------------------------------------------------------------------------------------------------- */

/* "v7.2", "1.20.0" */
static bool is_version(struct str word)
{
    size_t dots = 0;
    if (word.n && (word.s[0] | 0x20) == 'v') word = str_skip(word, 1);
    for (size_t i = 0; i < word.n; i++) {
        if (word.s[i] == '.') dots++;
        else if (word.s[i] < '0' || word.s[i] > '9') return false;
    }
    return dots > 0;
}

bool query_asks_for_releases(const struct query *query)
{
    static const char *const beginnings[] = {"release", "version", "changelog", "shipped"};
    for (size_t i = 0; i < query->term_count; i++) {
        if (is_version(query->words[i])) return true;
        for (size_t k = 0; k < sizeof beginnings / sizeof *beginnings; k++)
            if (str_starts_nocase(query->words[i], str_of(beginnings[k]))) return true;
    }
    return false;
}
