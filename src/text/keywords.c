/* keywords.c - at most five words or word pairs that say what a text is about (spec/pipeline.md 5). */
#include "text/inside.h"

#include "base/hash.h"
#include "base/utf8.h"

#include <stdlib.h>

enum {
    TITLE_WEIGHT = 3, BODY_WEIGHT = 1, LONGEST_TITLE = 400, LONGEST_BODY = 1000 /* characters */, SHORTEST = 3, LONGEST = 40, KEPT = 5,
    WORDS = (LONGEST_TITLE + LONGEST_BODY) / SHORTEST + 2, SLOTS = 2048, /* slots: a power of two, above twice WORDS */
    NONE = -1,
};

/* A word or a pair of words. Pairs are told apart from words by `first` >= 0. */
struct candidate {
    struct str text; /* of a word, as written */
    uint64_t   hash;
    int        first, second; /* the words of a pair */
    int        score;
    bool       gone, chosen;  /* replaced by a pair, or taken; chosen: a pair that replaces its words */
};

struct candidates {
    struct candidate at[2 * WORDS];
    int16_t          slots[SLOTS]; /* 1 + index */
    int              n, previous;  /* the word just before on this line, or NONE */
};

/* The entry of this hash; a new one if there is none and room is left, else NONE. */
static int candidate_of(struct candidates *all, uint64_t hash)
{
    size_t slot = hash % SLOTS;
    while (all->slots[slot] && all->at[all->slots[slot] - 1].hash != hash) slot = (slot + 1) % SLOTS;
    if (all->slots[slot]) return all->slots[slot] - 1;
    if (all->n == 2 * WORDS) return NONE;
    all->at[all->n] = (struct candidate){.hash = hash, .first = NONE, .second = NONE};
    all->slots[slot] = (int16_t)++all->n;
    return all->n - 1;
}

static bool is_token_byte(char c)
{
    return text_is(c, CLASS_RUN | CLASS_BEYOND_ASCII) || c == '+' || c == '#' || c == '.' || c == '-';
}

/* The token without the marks around it that end sentences rather than belong to it ("c++", "c#" keep theirs). */
static struct str trim_token(struct str token)
{
    while (token.n && !text_is(token.s[0], CLASS_ALNUM | CLASS_BEYOND_ASCII)) token = str_skip(token, 1);
    while (token.n && strchr("._-", token.s[token.n - 1])) token.n--;
    return token;
}

/* Words that messages of every project hold, whatever they are about; sorted. */
static const char *const generic_words[] = {
    "add", "added", "adding", "adds", "allow", "allows", "already", "also", "always", "another", "anymore", "better", "can",
    "case", "cases", "change", "changed", "changes", "currently", "even", "every", "get", "gets", "however", "instead",
    "just", "let", "like", "made", "make", "makes", "making", "many", "may", "might", "much", "must", "need", "needed",
    "needs", "never", "new", "now", "one", "previously", "really", "remove", "removed", "removes", "removing", "see",
    "set", "sets", "shall", "since", "something", "still", "sure", "thing", "things", "thus", "two", "update", "updated",
    "use", "used", "uses", "using", "usual", "usually", "want", "wants", "way", "well", "will", "within", "without", "yet",
};

static int compare_word(const void *key, const void *element)
{
    return str_cmp(*(const struct str *)key, str_of(*(const char *const *)element));
}

/* Stop words, numbers, hashes and fragments of words in other scripts are no keywords. */
static bool is_keyword(struct str lower)
{
    unsigned classes = 0;
    for (size_t i = 0; i < lower.n; i++) classes |= text_classes[(unsigned char)lower.s[i]];
    if (!(classes & CLASS_LETTER) || classes & CLASS_BEYOND_ASCII) return false;
    if (classes == (CLASS_LOWER_HEX | CLASS_DIGIT) && lower.n >= 7) return false;
    if (lower.s[0] == '0' && lower.s[1] == 'x') return false;
    return !text_is_stop_word(lower) &&
           !bsearch(&lower, generic_words, sizeof generic_words / sizeof *generic_words, sizeof *generic_words, compare_word);
}

/* The candidate of a token, or NONE. What is no keyword is remembered as gone, so that it is judged once. */
static int word_of(struct candidates *all, struct str token)
{
    char lower[LONGEST];
    if (token.n < SHORTEST || token.n > LONGEST) return NONE;
    for (size_t i = 0; i < token.n; i++) lower[i] = text_lower(token.s[i]);
    struct str word = {lower, token.n};
    int        at = candidate_of(all, hash_str(word));
    if (at != NONE && !all->at[at].text.s) {
        all->at[at].text = token;
        all->at[at].gone = !is_keyword(word);
    }
    return at == NONE || all->at[at].gone ? NONE : at;
}

static void count_token(struct candidates *all, struct str token, int weight)
{
    int at = word_of(all, token);
    if (at != NONE) {
        all->at[at].score += weight;
        if (all->previous != NONE && all->previous != at) {
            uint64_t parts[2] = {all->at[all->previous].hash, all->at[at].hash};
            int      pair = candidate_of(all, hash_str((struct str){(const char *)parts, sizeof parts}));
            if (pair != NONE) {
                all->at[pair].first = all->previous;
                all->at[pair].second = at;
                all->at[pair].score += weight;
            }
        }
    }
    all->previous = at;
}

static size_t url_end(struct str line, size_t i)
{
    struct str rest = str_skip(line, i);
    if (!str_starts_nocase(rest, STR("http://")) && !str_starts_nocase(rest, STR("https://"))) return i;
    while (i < line.n && !text_is(line.s[i], CLASS_SPACE)) i++;
    return i;
}

/* Words are adjacent when only blanks stand between them. */
static void count_line(struct candidates *all, struct str line, int weight)
{
    all->previous = NONE;
    for (size_t i = 0, end; i < line.n; i = end) {
        if ((line.s[i] == 'h' || line.s[i] == 'H') && (end = url_end(line, i)) > i) {
            all->previous = NONE;
            continue;
        }
        for (end = i; end < line.n && is_token_byte(line.s[end]);) end++;
        if (end == i) {
            if (!text_is(line.s[i], CLASS_SPACE)) all->previous = NONE;
            end++;
            continue;
        }
        struct str token = trim_token(str_slice(line, i, end));
        if (token.s != line.s + i) all->previous = NONE;
        count_token(all, token, weight);
        if (token.s + token.n != line.s + end) all->previous = NONE;
    }
}

/* "    at parse (file.js:10:3)", "  File "x.py", line 3", "#4 0x... in main": lines of a stack trace; and trailers
 * ("Signed-off-by: ..."), which name people. */
static bool is_noise(struct str line)
{
    line = str_trim(line);
    if (str_starts(line, STR("at ")))
        return str_find_char(line, '(', 3) != SIZE_MAX || str_find_char(line, ':', 3) != SIZE_MAX;
    if (str_starts(line, STR("File \"")) || str_starts(line, STR("Traceback "))) return true;
    if (line.n > 2 && line.s[0] == '#' && text_is(line.s[1], CLASS_DIGIT))
        return str_find(str_slice(line, 0, 20), STR(" 0x"), 0) != SIZE_MAX;
    size_t colon = str_find(str_slice(line, 0, 60), STR("-by: "), 0);
    return colon != SIZE_MAX && str_find_char(str_slice(line, 0, colon), ' ', 0) == SIZE_MAX;
}

static void count_body(struct candidates *all, struct str body)
{
    size_t            left = LONGEST_BODY;
    struct text_prose prose = {.rest = body};
    for (struct str piece, line; left && text_next_prose(&prose, &piece);)
        for (struct str rest = piece; left && str_cut(&rest, '\n', &line);) {
            if (is_noise(line)) continue;
            line = utf8_head(line, left);
            count_line(all, line, BODY_WEIGHT);
            left -= utf8_length(line);
        }
}

/* The best pair that may replace this word: at least 0.8 of the better of its words, both still there. */
static int replacement(const struct candidates *all, int word)
{
    int best = NONE;
    for (int i = 0; i < all->n; i++) {
        const struct candidate *pair = &all->at[i];
        if (pair->first != word && pair->second != word) continue;
        const struct candidate *first = &all->at[pair->first], *second = &all->at[pair->second];
        int                     better = first->score > second->score ? first->score : second->score;
        if (first->gone || second->gone || 5 * pair->score < 4 * better) continue;
        if (best == NONE || pair->score > all->at[best].score) best = i;
    }
    return best;
}

static int best_candidate(const struct candidates *all)
{
    int best = NONE;
    for (int i = 0; i < all->n; i++) {
        const struct candidate *one = &all->at[i];
        if (one->gone || (one->first != NONE && !one->chosen)) continue;
        if (best == NONE || one->score > all->at[best].score) best = i;
    }
    return best;
}

static struct str candidate_text(struct arena *arena, const struct candidates *all, int at)
{
    const struct candidate *one = &all->at[at];
    if (one->first == NONE) return str_lower(arena, one->text);
    struct str both[] = {all->at[one->first].text, all->at[one->second].text};
    return str_lower(arena, str_join(arena, both, 2, STR(" ")));
}

size_t text_keywords(struct arena *arena, struct str title, struct str body, struct str out[5])
{
    text_start();
    struct candidates  memory, *all = &memory; /* 50 KB that only live for this call */
    size_t             kept = 0;
    int                picks[KEPT], best;
    memset(all->slots, 0, sizeof all->slots);
    all->n = 0;
    for (struct str rest = str_slice(title, 0, LONGEST_TITLE), line; str_cut(&rest, '\n', &line);)
        count_line(all, line, TITLE_WEIGHT);
    count_body(all, body);
    while (kept < KEPT && (best = best_candidate(all)) != NONE) {
        int pair = all->at[best].first == NONE ? replacement(all, best) : NONE;
        if (pair == NONE) {
            picks[kept++] = best;
            all->at[best].gone = true;
            continue;
        }
        all->at[all->at[pair].first].gone = all->at[all->at[pair].second].gone = true;
        all->at[pair].chosen = true;
    }
    for (size_t i = 0; i < kept; i++) out[i] = candidate_text(arena, all, picks[i]);
    return kept;
}
