/* terms.c - a text as searchable terms.
 *
 * DESIGN. A *chunk* is a run of letters and digits with the joiners that occur inside names (_ . / - ' ::), each with a
 * letter or digit on both sides. A chunk of plain letters is a word: its stem is its term. Any other chunk is an
 * identifier: the whole is a term, unstemmed, and then it is taken apart level by level (path, dots, hyphens,
 * underscores, camelCase), each piece being a term too: "src/t_zset.c" gives itself, "src", "t_zset.c", "t_zset",
 * "zset". So a query finds an identifier by its full name first, and by its words as well. Pieces of one letter are
 * dropped: they match everything. A whole made of letters alone ("HashTable") has the term of its stem, for somebody
 * will write "hashtable".
 */
#include "text/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <utf8proc.h>

enum {
    HAS_SLASH = 1, HAS_DOT = 2, HAS_HYPHEN = 4, HAS_UNDERSCORE = 8, HAS_LETTER = 16, HAS_DIGIT = 32, HAS_BEYOND = 64,
    HAS_UPPER = 128, HAS_APOSTROPHE = 256,
    HAS_JOINER = HAS_SLASH | HAS_DOT | HAS_HYPHEN | HAS_UNDERSCORE,
};

/* Levels at which an identifier is taken apart, outermost first; after them comes camelCase. */
static const char *const levels[] = {"/", ".:", "-", "_"};
enum { CAMEL_LEVEL = sizeof levels / sizeof *levels };

struct terms_work {
    struct arena *arena;
    struct str    text;
    VEC(struct text_term) terms;
};

/* Length of the letter, digit or mark at i, 0 if there is none; *ideograph: a script written without spaces. */
static size_t letter_at(struct str text, size_t i, bool *ideograph)
{
    *ideograph = false;
    if (i >= text.n) return 0;
    if (!text_is(text.s[i], CLASS_BEYOND_ASCII)) return text_is(text.s[i], CLASS_ALNUM);
    utf8proc_int32_t c;
    size_t           left = text.n - i;
    utf8proc_ssize_t n = utf8proc_iterate((const uint8_t *)text.s + i, left > 4 ? 4 : (utf8proc_ssize_t)left, &c);
    if (n <= 0) return 0;
    *ideograph = (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
                 (c >= 0x20000 && c <= 0x3ffff);
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO ? (size_t)n : 0;
}

/* Length of the joiner at i if a letter or digit follows it, else 0. */
static size_t joiner_at(struct str text, size_t i, unsigned *has)
{
    static const struct { const char *joiner; unsigned has; } joiners[] = {
        {".", HAS_DOT}, {"/", HAS_SLASH}, {"-", HAS_HYPHEN}, {"::", HAS_DOT}, {"'", HAS_APOSTROPHE},
        {"\xe2\x80\x99", HAS_APOSTROPHE},
    };
    bool       ideograph;
    struct str rest = str_skip(text, i);
    size_t     underscores = 0;
    while (underscores < rest.n && rest.s[underscores] == '_') underscores++;
    if (underscores) {
        if (!letter_at(text, i + underscores, &ideograph)) return 0;
        *has |= HAS_UNDERSCORE;
        return underscores;
    }
    for (size_t j = 0; j < sizeof joiners / sizeof *joiners; j++) {
        if (rest.s[0] != joiners[j].joiner[0]) continue;
        struct str joiner = str_of(joiners[j].joiner);
        if (!str_starts(rest, joiner)) continue;
        if (rest.n > joiner.n && (letter_at(text, i + joiner.n, &ideograph) || rest.s[joiner.n] == '_')) {
            *has |= joiners[j].has;
            return joiner.n;
        }
    }
    return 0;
}

/* The end of the chunk that begins at `from`, and what it has. */
static size_t chunk_end(struct str text, size_t from, unsigned *has)
{
    bool   ideograph;
    size_t i = from;
    *has = 0;
    while (i < text.n) {
        unsigned class = text_classes[(unsigned char)text.s[i]];
        if (class & CLASS_ALNUM) {
            *has |= class & CLASS_DIGIT ? HAS_DIGIT : HAS_LETTER;
            if (class & CLASS_UPPER && i > from) *has |= HAS_UPPER;
            i++;
            continue;
        }
        if (class & CLASS_SPACE) break;
        size_t n = letter_at(text, i, &ideograph);
        if (n) {
            if (ideograph && i > from) break;
            *has |= HAS_LETTER | HAS_BEYOND;
            i += n;
            if (ideograph) break;
            continue;
        }
        if (!(n = joiner_at(text, i, has))) break;
        i += n;
    }
    return i;
}

static void push(struct terms_work *work, uint64_t hash, size_t from, size_t to, bool stop, bool part)
{
    *VEC_PUSH(work->arena, &work->terms) =
        (struct text_term){.hash = hash, .from = (uint32_t)from, .to = (uint32_t)to, .stop = stop, .part = part};
}

/* One word without joiners: stemmed if it is all letters. */
static void push_word(struct terms_work *work, size_t from, size_t to, bool part)
{
    struct str word = str_slice(work->text, from, to);
    bool       stop = false, digits = false;
    if (word.n > TEXT_LONGEST_WORD) return;
    for (size_t i = 0; i < word.n && !digits; i++) digits = text_is(word.s[i], CLASS_DIGIT);
    uint64_t hash = digits ? text_fold_hash(word) : text_stem_hash(word, &stop);
    push(work, hash, from, to, stop, part);
}

static void push_whole(struct terms_work *work, size_t from, size_t to, bool part)
{
    struct str whole = str_slice(work->text, from, to);
    push(work, text_fold_hash(whole), from, to, !part && whole.n == 3 && text_is_stop_word(str_lower(work->arena, whole)),
         part);
}

/* Where the camelCase word that begins at i ends: [A-Z]+(?![a-z]{2}) | [A-Z]?[a-z0-9]+ */
static size_t hump_end(struct str word, size_t i)
{
    size_t capitals = i;
    while (text_is_at(word, capitals, CLASS_UPPER)) capitals++;
    size_t small = capitals;
    while (text_is_at(word, small, CLASS_LOWER | CLASS_DIGIT)) small++;
    if (capitals - i <= 1) return small;
    if (text_is_at(word, capitals, CLASS_DIGIT)) return small;
    return small - capitals >= 2 ? capitals - 1 : small; /* "HTTPServer", but "URLs" */
}

static bool is_camel(struct str word)
{
    for (size_t i = 0; i < word.n; i++)
        if (text_is(word.s[i], CLASS_BEYOND_ASCII)) return false;
    return word.n && hump_end(word, 0) < word.n;
}

static void push_humps(struct terms_work *work, size_t from, size_t to)
{
    struct str word = str_slice(work->text, from, to);
    for (size_t i = 0, end; i < word.n; i = end) {
        end = hump_end(word, i);
        if (end == i) end++;
        if (end - i > 1) push_word(work, from + i, from + end, true);
    }
}

static bool has_any(struct str text, const char *set)
{
    for (; *set; set++)
        if (text.n && memchr(text.s, *set, text.n)) return true;
    return false;
}

static void push_parts(struct terms_work *work, size_t from, size_t to, size_t level);

/* A piece of an identifier: itself, and what is inside. */
static void push_piece(struct terms_work *work, size_t from, size_t to, size_t level)
{
    struct str piece = str_slice(work->text, from, to);
    if (piece.n <= 1) return;
    if (!has_any(piece, "/.:-_")) push_word(work, from, to, true);
    else push_whole(work, from, to, true);
    push_parts(work, from, to, level);
}

static void push_parts(struct terms_work *work, size_t from, size_t to, size_t level)
{
    struct str whole = str_slice(work->text, from, to);
    if (level == CAMEL_LEVEL) {
        if (is_camel(whole)) push_humps(work, from, to);
        return;
    }
    if (!has_any(whole, levels[level])) {
        push_parts(work, from, to, level + 1);
        return;
    }
    for (size_t i = 0, end; i <= whole.n; i = end + 1) {
        for (end = i; end < whole.n && !strchr(levels[level], whole.s[end]);) end++;
        push_piece(work, from + i, from + end, level + 1);
    }
}

/* "7.0.11", "2021-03-04": pieces of such mean nothing alone. */
static bool is_numbers(struct str chunk)
{
    for (size_t i = 0; i < chunk.n; i++)
        if (text_is(chunk.s[i], CLASS_LETTER | CLASS_UNDERSCORE | CLASS_BEYOND_ASCII)) return false;
    return true;
}

/* "and/or", "I/O": a slash between short words, no path. */
static bool is_alternative(struct str chunk, unsigned has)
{
    struct str rest = chunk, first, second;
    if ((has & (HAS_JOINER | HAS_DIGIT)) != HAS_SLASH) return false;
    str_cut(&rest, '/', &first);
    return str_cut(&rest, '/', &second) && !rest.s && first.n <= 3 && second.n <= 3;
}

/* A chunk that is no identifier, or too long for one: its words, cut at the joiners. */
static void push_words(struct terms_work *work, size_t from, size_t to)
{
    for (size_t i = from, end; i < to; i = end + 1) {
        for (end = i; end < to && !strchr("/.:-_", work->text.s[end]);) end++;
        if (end > i) push_word(work, i, end, false);
    }
}

static void push_chunk(struct terms_work *work, size_t from, size_t to, unsigned has)
{
    struct str chunk = str_slice(work->text, from, to);
    if (has & HAS_APOSTROPHE) {
        push_words(work, from, to);
        return;
    }
    if (!(has & HAS_JOINER)) {
        push_word(work, from, to, false);
        if (has & HAS_UPPER && chunk.n <= TEXT_LONGEST_WORD && is_camel(chunk)) push_humps(work, from, to);
        return;
    }
    if (chunk.n > TEXT_LONGEST_WORD || is_alternative(chunk, has)) {
        push_words(work, from, to);
        return;
    }
    push_whole(work, from, to, false);
    if (is_numbers(chunk)) return;
    if (text_lower(chunk.s[0]) == 'v' && text_is_at(chunk, 1, CLASS_DIGIT) && is_numbers(str_skip(chunk, 1))) push_whole(work, from + 1, to, true);
    else push_parts(work, from, to, 0);
}

/* "#12" is a whole with its mark, and its number a part; returns the end, or `at` if there is none. */
static size_t push_number(struct terms_work *work, size_t at)
{
    size_t end = at + 1;
    while (text_is_at(work->text, end, CLASS_DIGIT)) end++;
    if (end == at + 1 || end - at > 11 || text_is_at(work->text, end, CLASS_RUN)) return at;
    push_whole(work, at, end, false);
    push_word(work, at + 1, end, true);
    return end;
}

struct text_terms text_terms(struct arena *arena, struct str text)
{
    text_start();
    struct terms_work work = {.arena = arena, .text = str_slice(text, 0, UINT32_MAX)};
    text = work.text;
    for (size_t i = 0; i < text.n;) {
        bool   ideograph;
        size_t number;
        if (text.s[i] == '#' && (number = push_number(&work, i)) > i) {
            i = number;
            continue;
        }
        if (!letter_at(text, i, &ideograph)) {
            i++;
            continue;
        }
        unsigned has;
        size_t   end = chunk_end(text, i, &has);
        push_chunk(&work, i, end, has);
        i = end;
    }
    return (struct text_terms){work.terms.at, work.terms.n};
}

uint64_t text_whole_term(struct str whole)
{
    bool ideograph, stop, letters = true;
    text_start();
    while (whole.n && !letter_at(whole, 0, &ideograph) &&
           !(whole.s[0] == '#' && text_is_at(whole, 1, CLASS_DIGIT)))
        whole = str_skip(whole, 1);
    while (whole.n && !text_is(whole.s[whole.n - 1], CLASS_ALNUM | CLASS_BEYOND_ASCII)) whole.n--;
    for (size_t i = 0; i < whole.n; i++) letters = letters && text_is(whole.s[i], CLASS_LETTER | CLASS_BEYOND_ASCII);
    return letters && whole.n <= TEXT_LONGEST_WORD ? text_stem_hash(whole, &stop) : text_fold_hash(whole);
}

enum { FEW = 24 };

static void sort_few(uint64_t *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t one = at[i];
        size_t   j = i;
        for (; j && at[j - 1] > one; j--) at[j] = at[j - 1];
        at[j] = one;
    }
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* In place, by the highest bits first: hashes are spread evenly, so 64 buckets leave few in each. qsort takes three
 * times as long, and an import sorts the terms of every commit. */
static void sort_hashes(uint64_t *at, size_t n)
{
    enum { BUCKETS = 64, SHIFT = 58 };
    size_t ends[BUCKETS] = {0}, next[BUCKETS];
    if (n <= FEW) {
        sort_few(at, n);
        return;
    }
    for (size_t i = 0; i < n; i++) ends[at[i] >> SHIFT]++;
    for (size_t b = 0, sum = 0; b < BUCKETS; b++) next[b] = sum, ends[b] = sum += ends[b];
    for (size_t b = 0; b < BUCKETS; b++)
        while (next[b] < ends[b]) {
            uint64_t one = at[next[b]], *home;
            size_t   to;
            while ((to = one >> SHIFT) != b) {
                home = &at[next[to]++];
                uint64_t other = *home;
                *home = one;
                one = other;
            }
            at[next[b]++] = one;
        }
    for (size_t b = 0, from = 0; b < BUCKETS; from = ends[b++]) {
        if (ends[b] - from <= FEW) sort_few(at + from, ends[b] - from);
        else qsort(at + from, ends[b] - from, sizeof *at, compare_hashes);
    }
}

size_t text_term_set(const struct text_terms *terms, uint64_t *out)
{
    size_t n = 0, unique = 0;
    for (size_t i = 0; i < terms->n; i++)
        if (!terms->at[i].stop) out[n++] = terms->at[i].hash;
    sort_hashes(out, n);
    for (size_t i = 0; i < n; i++)
        if (!unique || out[i] != out[unique - 1]) out[unique++] = out[i];
    return unique;
}
