/* match.c - where a text has the query's terms, phrases and entity keys.
 *
 * Stemming every word of ten results would cost more than finding them. English stems keep the beginning of a word (but
 * for y and i: "dying", "die"), so only pieces of text in which some word begins like a query word are analysed, and
 * each distinct piece once.
 */
#include "search/parts.h"

#include <stdlib.h>

enum { CLASSES = 64, SEPARATOR = 0, DIGIT = 27, OTHER = 37, MEMORY = 512, LONGEST_PIECE = 400 };

struct known { /* a piece that was analysed before */
    struct str    piece;
    struct match *at; /* relative to the piece */
    size_t        n;
};

struct term { uint64_t hash; uint32_t index; };

struct matcher {
    struct arena      *arena;
    const struct query *query;
    const double      *weights;
    double             heaviest;
    struct term       *terms; /* by hash */
    size_t             kinds;
    uint8_t            classes[256];
    bool               begins[CLASSES * CLASSES]; /* may a query word begin with characters of these two classes? */
    struct known       known[MEMORY];
};

static void fill_classes(uint8_t classes[256])
{
    for (int c = 0; c < 256; c++) {
        uint8_t value = SEPARATOR;
        if (c >= 'a' && c <= 'z') value = (uint8_t)(1 + c - 'a');
        if (c >= 'A' && c <= 'Z') value = (uint8_t)(1 + c - 'A');
        if (c == 'y' || c == 'Y') value = 1 + 'i' - 'a';
        if (c >= '0' && c <= '9') value = (uint8_t)(DIGIT + c - '0');
        if (c >= 0x80) value = OTHER;
        classes[c] = value;
    }
}

static uint8_t class_at(const struct matcher *matcher, struct str text, size_t i)
{
    return i < text.n ? matcher->classes[(unsigned char)text.s[i]] : SEPARATOR;
}

static int by_hash(const void *left, const void *right)
{
    const struct term *a = left, *b = right;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

static const struct term *find_term(const struct matcher *matcher, uint64_t hash)
{
    struct term wanted = {.hash = hash};
    return bsearch(&wanted, matcher->terms, matcher->query->term_count, sizeof wanted, by_hash);
}

struct matcher *matcher_create(struct arena *arena, const struct query *query, const double *weights)
{
    struct matcher *matcher = NEW(arena, struct matcher);
    fill_classes(matcher->classes);
    matcher->arena = arena;
    matcher->query = query;
    matcher->weights = weights;
    matcher->kinds = query->term_count + query->phrase_count + query->keys.n;
    matcher->terms = NEW_ARRAY(arena, struct term, query->term_count);
    for (size_t i = 0; i < query->term_count; i++) {
        matcher->terms[i] = (struct term){query->terms[i], (uint32_t)i};
        if (weights[i] > matcher->heaviest) matcher->heaviest = weights[i];
        struct str word = text_fold(arena, query->words[i]);
        if (word.n) matcher->begins[class_at(matcher, word, 0) * CLASSES + class_at(matcher, word, 1)] = true;
    }
    qsort(matcher->terms, query->term_count, sizeof *matcher->terms, by_hash);
    for (int next = 0; next < CLASSES; next++) /* what a letter outside ASCII folds to is not known here */
        matcher->begins[OTHER * CLASSES + next] = query->term_count > 0;
    return matcher;
}

double matcher_weight(const struct matcher *matcher, uint32_t what)
{
    return what < matcher->query->term_count ? matcher->weights[what] : 2 * matcher->heaviest;
}

size_t matcher_kinds(const struct matcher *matcher)
{
    return matcher->kinds;
}

/* Words begin after a separator, at a capital letter, and where letters and digits meet; a letter outside ASCII may be
 * part of any of these. */
static bool at_word(const struct matcher *matcher, struct str text, size_t i)
{
    uint8_t now = class_at(matcher, text, i), before = i ? class_at(matcher, text, i - 1) : SEPARATOR;
    bool    capital = text.s[i] >= 'A' && text.s[i] <= 'Z';
    return now == OTHER || before == SEPARATOR || capital || (before >= DIGIT) != (now >= DIGIT);
}

static void analyse(struct matcher *matcher, struct str piece, struct known *known)
{
    struct text_terms found = text_terms(matcher->arena, piece);
    *known = (struct known){.piece = str_dup(matcher->arena, piece)};
    known->at = NEW_ARRAY(matcher->arena, struct match, found.n);
    for (size_t i = 0; i < found.n; i++) {
        const struct term *term = find_term(matcher, found.at[i].hash);
        if (term) known->at[known->n++] = (struct match){found.at[i].from, found.at[i].to, term->index};
    }
}

typedef VEC(struct match) match_list;

static void match_piece(struct matcher *matcher, struct arena *arena, struct str text, size_t from, size_t to,
                        match_list *list)
{
    struct str piece = str_slice(text, from, to);
    if (piece.n > LONGEST_PIECE) /* not through the middle of a character */
        for (piece.n = LONGEST_PIECE; piece.n && ((unsigned char)piece.s[piece.n] & 0xc0) == 0x80;) piece.n--;
    struct known *known = &matcher->known[hash_str(piece) % MEMORY];
    if (!known->piece.s || !str_eq(known->piece, piece)) analyse(matcher, piece, known);
    for (size_t i = 0; i < known->n; i++) {
        struct match m = known->at[i];
        *VEC_PUSH(arena, list) = (struct match){(uint32_t)from + m.from, (uint32_t)from + m.to, m.what};
    }
}

/* Occurrences of a text that stands for itself, ASCII case ignored, not inside a longer word. */
static void match_literal(const struct matcher *matcher, struct arena *arena, struct str text, struct str literal,
                          uint32_t what, match_list *list)
{
    if (literal.n == 0 || literal.n > text.n) return;
    char first[3] = {literal.s[0], literal.s[0], 0};
    if (first[0] >= 'a' && first[0] <= 'z') first[1] = (char)(first[0] - 'a' + 'A');
    if (first[0] >= 'A' && first[0] <= 'Z') first[1] = (char)(first[0] - 'A' + 'a');
    for (size_t i = 0; i + literal.n <= text.n; i++) {
        if (text.s[i] != first[0] && text.s[i] != first[1]) continue;
        if (!str_starts_nocase(str_skip(text, i), literal)) continue;
        bool open_left = i && class_at(matcher, literal, 0) != SEPARATOR && class_at(matcher, text, i - 1) != SEPARATOR;
        bool open_right = class_at(matcher, literal, literal.n - 1) != SEPARATOR &&
                          class_at(matcher, text, i + literal.n) != SEPARATOR;
        if (open_left || open_right) continue;
        *VEC_PUSH(arena, list) = (struct match){(uint32_t)i, (uint32_t)(i + literal.n), what};
        i += literal.n - 1;
    }
}

static int by_place(const void *left, const void *right)
{
    const struct match *a = left, *b = right;
    if (a->from != b->from) return a->from < b->from ? -1 : 1;
    return (a->to < b->to) - (a->to > b->to);
}

static bool blank(char c)
{
    return (unsigned char)c <= ' ';
}

struct matches matcher_find(struct matcher *matcher, struct arena *arena, struct str text)
{
    const struct query *query = matcher->query;
    match_list          list = {0};
    uint8_t             next = class_at(matcher, text, 0);
    for (size_t i = 0, end = 0; i < text.n; i++) {
        uint8_t now = next;
        next = class_at(matcher, text, i + 1);
        if (!matcher->begins[now * CLASSES + next] || i < end || !at_word(matcher, text, i)) continue;
        size_t from = i;
        while (from > end && !blank(text.s[from - 1])) from--;
        for (end = i; end < text.n && !blank(text.s[end]);) end++;
        match_piece(matcher, arena, text, from, end, &list);
    }
    uint32_t what = (uint32_t)query->term_count;
    for (size_t i = 0; i < query->phrase_count; i++) match_literal(matcher, arena, text, query->phrases[i], what++, &list);
    for (size_t i = 0; i < query->keys.n; i++) match_literal(matcher, arena, text, query->keys.at[i].key, what++, &list);
    if (list.n > 1) qsort(list.at, list.n, sizeof *list.at, by_place);
    return (struct matches){list.at, list.n};
}

static bool ascii(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.s[i] >= 0x80) return false;
    return true;
}

bool phrases_found(struct arena *arena, const struct str *phrases, size_t n, struct str text)
{
    struct str plain = plain_text(arena, text), lower = str_lower(arena, plain), folded = {0};
    bool       simple = ascii(plain);
    for (size_t i = 0; i < n; i++) {
        if (ascii(phrases[i]) && str_find(lower, str_lower(arena, phrases[i]), 0) != SIZE_MAX) continue;
        if (simple && ascii(phrases[i])) return false;
        if (!folded.s) folded = simple ? lower : text_fold(arena, plain);
        if (str_find(folded, text_fold(arena, phrases[i]), 0) == SIZE_MAX) return false;
    }
    return true;
}
