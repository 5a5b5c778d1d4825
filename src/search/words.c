/* words.c - the words of a query's vector, and how much each counts. */
#include "search/parts.h"

#include <math.h>

/* A word that every fourth item has; what stands in no list of terms counts no more. */
static const double common_idf = 1.386;

static bool next_word(struct str text, size_t *at, struct str *word)
{
    size_t from = *at;
    while (from < text.n && (unsigned char)text.s[from] <= ' ') from++;
    size_t to = from;
    while (to < text.n && (unsigned char)text.s[to] > ' ') to++;
    *word = str_slice(text, from, to);
    *at = to;
    return to > from;
}

static bool stands_in(struct str part, struct str word)
{
    return part.s >= word.s && part.s < word.s + word.n;
}

static bool is_left_out(const struct query *query, struct str word)
{
    for (size_t i = 0; i < query->left_out_count; i++)
        if (stands_in(query->left_out[i], word)) return true;
    return false;
}

struct query_words query_weigh(struct arena *arena, const struct query *query, const double *idf, double power)
{
    VEC(struct embed_word) words = {0};
    double     least = common_idf;
    struct str word;
    for (size_t i = 0; i < query->term_count; i++) least = fmin(least, idf[i]);
    for (size_t at = 0, place = 0; next_word(query->text, &at, &word);) {
        double rarest = 0;
        /* places are in order, but for the parts of an identifier, which stand in the word of the whole */
        for (; place < query->place_count && query->places[place].from < at; place++)
            rarest = fmax(rarest, idf[query->places[place].term]);
        if (is_left_out(query, word)) continue;
        double weight = pow(rarest > 0 ? rarest : least, power);
        *VEC_PUSH(arena, &words) = (struct embed_word){word, (float)weight};
    }
    return (struct query_words){words.at, words.n};
}

struct str query_plain(struct arena *arena, const struct query *query)
{
    struct buf plain = buf_in(arena);
    struct str word;
    for (size_t at = 0; next_word(query->text, &at, &word);) {
        if (is_left_out(query, word)) continue;
        if (buf_str(&plain).n) buf_char(&plain, ' ');
        buf_str_add(&plain, word);
    }
    return buf_str(&plain);
}
