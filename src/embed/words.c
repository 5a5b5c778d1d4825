/* words.c - a text taken apart into lower-case words, as data/model/README.md says (lightfast-words-1, steps 1 to 3).
 * Nearly all text is ASCII: its words are found by a table of byte classes, all else by Unicode category. */
#include "embed/parts.h"

#include <utf8proc.h>

enum { SEPARATOR = 0, LOWER = 1, UPPER = 2, DIGIT = 4, BEYOND = 8, HEX_LEAST = 7 };

// clang-format off
#define S SEPARATOR
#define L LOWER
#define U UPPER
#define D DIGIT
#define B BEYOND
#define B16 B,B,B,B,B,B,B,B,B,B,B,B,B,B,B,B
static const uint8_t class_of[256] = {
    S,S,S,S,S,S,S,S,S,S,S,S,S,S,S,S, S,S,S,S,S,S,S,S,S,S,S,S,S,S,S,S,
    S,S,S,S,S,S,S,S,S,S,S,S,S,S,S,S, D,D,D,D,D,D,D,D,D,D,S,S,S,S,S,S,
    S,U,U,U,U,U,U,U,U,U,U,U,U,U,U,U, U,U,U,U,U,U,U,U,U,U,U,S,S,S,S,S,
    S,L,L,L,L,L,L,L,L,L,L,L,L,L,L,L, L,L,L,L,L,L,L,L,L,L,L,S,S,S,S,S,
    B16, B16, B16, B16, B16, B16, B16, B16,
};
#undef S
#undef L
#undef U
#undef D
#undef B
#undef B16
// clang-format on

static inline uint8_t class_at(struct str text, size_t i)
{
    return i < text.n ? class_of[(uint8_t)text.s[i]] : SEPARATOR;
}

/* Bytes of the letter or digit at i (any script), 0 if something else stands there; *skip: bytes of whatever it is. */
static size_t alphanumeric(struct str text, size_t i, size_t *skip)
{
    utf8proc_int32_t code;
    utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)text.s + i, (utf8proc_ssize_t)(text.n - i), &code);
    *skip = n > 0 ? (size_t)n : 1;
    if (n <= 0) return 0;
    utf8proc_category_t category = utf8proc_category(code);
    bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    bool number = category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
    return letter || number ? (size_t)n : 0;
}

/* Looks like a hash or an address: says nothing. */
static bool hexadecimal(const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (word[i] > 'f') return false;
    return true;
}

/* Lower-cases text[from, to), which is ASCII letters and digits; false if the word is dropped. */
static bool take_ascii(struct embed_words *words, size_t from, size_t to, unsigned classes)
{
    size_t n = to - from;
    if (n > EMBED_WORD_CHARS || classes == DIGIT) return false;
    for (size_t i = 0; i < n; i++) words->word[i] = (char)(words->text.s[from + i] | 0x20);
    words->n = n;
    return !(n >= HEX_LEAST && classes & DIGIT && hexadecimal(words->word, n));
}

static bool take_unicode(struct embed_words *words, size_t from, size_t to)
{
    size_t chars = 0;
    words->n = 0;
    while (from < to) {
        if (++chars > EMBED_WORD_CHARS) return false;
        utf8proc_int32_t code;
        from += (size_t)utf8proc_iterate((const utf8proc_uint8_t *)words->text.s + from,
                                         (utf8proc_ssize_t)(to - from), &code);
        words->n += (size_t)utf8proc_encode_char(utf8proc_tolower(code), (utf8proc_uint8_t *)words->word + words->n);
    }
    return true;
}

/* The next part of a mixed-case word: [A-Z]+(?![a-z]) | [A-Z]?[a-z0-9]+ . Capitals before a small letter leave it the
 * last of them. */
static bool take_part(struct embed_words *words)
{
    struct str text = words->text;
    size_t     from = words->at, to = from;
    unsigned   classes = 0;
    while (to < words->split_to && class_at(text, to) == UPPER) to++;
    bool small_follows = to < words->split_to && class_at(text, to) == LOWER;
    if (to > from) classes = UPPER;
    if (to > from && small_follows) to--;
    if (to == from) {
        if (class_at(text, to) == UPPER) to++;
        for (; to < words->split_to && class_at(text, to) & (LOWER | DIGIT); to++) classes |= class_at(text, to);
    }
    words->at = to;
    return take_ascii(words, from, to, classes);
}

/* End of the maximal run of letters and digits at from; ORs the classes of its ASCII bytes, and BEYOND, into classes. */
static size_t run_end(struct str text, size_t from, unsigned *classes)
{
    size_t to = from;
    for (;;) {
        uint8_t class;
        while ((class = class_at(text, to)) & (LOWER | UPPER | DIGIT)) {
            *classes |= class;
            to++;
        }
        if (class != BEYOND) return to;
        size_t skip, n = alphanumeric(text, to, &skip);
        if (!n) return to;
        *classes |= BEYOND;
        to += n;
    }
}

bool embed_next_word(struct embed_words *words)
{
    struct str text = words->text;
    while (words->at < text.n) {
        if (words->at < words->split_to) {
            if (take_part(words)) return true;
            continue;
        }
        if (class_at(text, words->at) == SEPARATOR) {
            words->at++;
            continue;
        }
        unsigned classes = 0;
        size_t   from = words->at, to = run_end(text, from, &classes);
        if (to == from) { /* beyond ASCII, neither letter nor digit */
            size_t skip;
            alphanumeric(text, from, &skip);
            words->at += skip;
            continue;
        }
        if (!(classes & BEYOND) && classes & UPPER && classes & LOWER) {
            words->split_to = to;
            continue;
        }
        words->at = to;
        if (classes & BEYOND ? take_unicode(words, from, to) : take_ascii(words, from, to, classes)) return true;
    }
    return false;
}
