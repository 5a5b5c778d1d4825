/* inside.h - what the files of text/ share: character classes, the word walker, state of a thread.
 *
 * A *run* is a maximal sequence of [A-Za-z0-9_], which is what \b of the specification's patterns delimits. Nearly all
 * of those patterns begin and end at such a border, so they are tests of one run and what stands beside it. Hence one
 * walk over the runs answers for all patterns at once, in linear time whatever the input.
 */
#pragma once
#include "text/text.h"

enum text_class { /* of one byte */
    CLASS_UPPER = 1, CLASS_LOWER_HEX = 2, CLASS_LOWER_REST = 4, CLASS_DIGIT = 8, CLASS_UNDERSCORE = 16, CLASS_SPACE = 32,
    CLASS_BEYOND_ASCII = 64,
    CLASS_LOWER = CLASS_LOWER_HEX | CLASS_LOWER_REST,
    CLASS_LETTER = CLASS_UPPER | CLASS_LOWER,
    CLASS_ALNUM = CLASS_LETTER | CLASS_DIGIT,
    CLASS_RUN = CLASS_ALNUM | CLASS_UNDERSCORE,
};
extern uint8_t text_classes[256];

static inline bool text_is(char c, unsigned classes) { return (text_classes[(unsigned char)c] & classes) != 0; }
/* Whether the byte at i exists and is of one of these classes. */
static inline bool text_is_at(struct str text, size_t i, unsigned classes)
{
    return i < text.n && text_is(text.s[i], classes);
}
static inline char text_lower(char c) { return text_is(c, CLASS_UPPER) ? (char)(c | 0x20) : c; }

/* Whether \b matches between the bytes at i - 1 and i. */
static inline bool text_border(struct str text, size_t i)
{
    return text_is_at(text, i - 1, CLASS_RUN) != text_is_at(text, i, CLASS_RUN);
}

/* What a run means, as bits: signals, categories, title words, then the words that begin a longer pattern. */
enum {
    BIT_SIGNAL = 0,
    BIT_CATEGORY = BIT_SIGNAL + TEXT_SIGNALS,
    BIT_TITLE_WORD = BIT_CATEGORY + TEXT_CATEGORIES,
    BIT_VERSION = BIT_TITLE_WORD + 8, /* version\s+\d */
    BIT_FEATURE,                      /* feat(ure)?[:\s] */
    BIT_CVE,                          /* CVE-\d+ */
    BIT_METHOD,                       /* GET /path */
    BIT_BRANCH,                       /* branch: name */
    BIT_SOURCE_ROOT,                  /* src/... */
    BIT_FIXES, BIT_CLOSES, BIT_RESOLVES,
    BITS,
};
#define BIT(n) ((uint64_t)1 << (n))

struct text_run {
    size_t   from, to;
    uint64_t bits;
    unsigned classes; /* of all its bytes */
};

/* The next run at or after *at; moves *at to its end. */
bool text_next_run(struct str text, size_t *at, struct text_run *run);
void text_words_start(void);

static inline size_t text_skip_space(struct str text, size_t i)
{
    while (text_is_at(text, i, CLASS_SPACE)) i++;
    return i;
}

/* "#12" ending in this run: it is all digits, at most 6, after a "#" that no word character and no "&" precedes. */
static inline bool text_run_is_number(struct str text, const struct text_run *run)
{
    return run->classes == CLASS_DIGIT && run->to - run->from <= 6 && run->from && text.s[run->from - 1] == '#' &&
           (run->from < 2 || (!text_is(text.s[run->from - 2], CLASS_RUN) && text.s[run->from - 2] != '&'));
}

/* "ENG-42" beginning with this run; *to is its end. Prefixes of standards (UTF-8, CVE-2021) are no tickets. */
bool text_run_is_ticket(struct str text, const struct text_run *run, size_t *to);
bool text_is_standard(struct str prefix);

/* The name of "@name" whose "@" stands before this run, without the "@"; false if it is none. */
bool text_run_is_mention(struct str text, const struct text_run *run, struct str *name);

/* ---- prose: the text without its fenced code blocks -------------------------------------------------------------- */

struct text_prose {
    struct str rest;
    bool       has_fences; /* known after the first piece; saves looking ahead each time */
};
/* The next piece outside of fences (whole lines). An unclosed fence runs to the end, as in CommonMark. */
bool text_next_prose(struct text_prose *prose, struct str *piece);

/* ---- words as terms ------------------------------------------------------------------------------------------------ */

enum { TEXT_LONGEST_WORD = 512 }; /* bytes; longer ones are data, not words */

/* Snowball's stop list; the word is in lower case. */
bool text_is_stop_word(struct str word);

/* Hash of the English stem of a word of letters, in any case; *stop: on the stop list. */
uint64_t text_stem_hash(struct str word, bool *stop);

/* Hash of the folded text as it is, without stemming. */
uint64_t text_fold_hash(struct str text);

/* ---- a thread's own ------------------------------------------------------------------------------------------------ */

struct text_stem { /* cache entry: a word in lower case and what it became */
    uint64_t hash;
    bool     stop;
    uint8_t  n;
    char     word[30];
};
enum { TEXT_STEMS = 4096 };

struct text_thread {
    struct sb_stemmer *stemmer;
    void              *match; /* pcre2_match_data */
    int32_t            decomposed[4 * TEXT_LONGEST_WORD];
    struct text_stem   stems[TEXT_STEMS];
};
/* Made at first use, freed when the thread ends. */
struct text_thread *text_thread(void);
void                text_issues_start(void);
