/* fold.c - case and accents folded, English stems, stop words; hashes of all these. */
#include "text/inside.h"

#include "base/hash.h"
#include "base/utf8.h"

#include <libstemmer.h>
#include <stdlib.h>
#include <utf8proc.h>

/* Compatibility decomposition without marks, case folded: "Größe" and "GROSSE" become "grosse". */
static const utf8proc_option_t folding =
    UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE | UTF8PROC_STRIPMARK;

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text_is(text.s[i], CLASS_BEYOND_ASCII)) return false;
    return true;
}

/* Folds well-formed text into `out` of capacity code points, in place as UTF-8; {NULL, 0} if it does not fit. */
static struct str fold_into(int32_t *out, size_t capacity, struct str text)
{
    utf8proc_ssize_t n = utf8proc_decompose((const uint8_t *)text.s, (utf8proc_ssize_t)text.n, out,
                                            (utf8proc_ssize_t)capacity, folding);
    if (n < 0 || (size_t)n >= capacity) return (struct str){0};
    utf8proc_ssize_t bytes = utf8proc_reencode(out, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    return bytes < 0 ? (struct str){0} : (struct str){(const char *)out, (size_t)bytes};
}

struct str text_fold(struct arena *arena, struct str text)
{
    text_start();
    if (is_ascii(text)) return str_lower(arena, text);
    text = utf8_repair(arena, text);
    utf8proc_ssize_t n = utf8proc_decompose((const uint8_t *)text.s, (utf8proc_ssize_t)text.n, NULL, 0, folding);
    if (n < 0) return text;
    size_t     capacity = (size_t)n + 1;
    struct str folded = fold_into(arena_alloc_raw(arena, capacity * sizeof(int32_t)), capacity, text);
    return folded.s ? folded : text;
}

/* The folded word in memory of the thread: good until the next call. Words are well-formed and short. */
static struct str fold_word(struct text_thread *thread, struct str word)
{
    char *out = (char *)thread->decomposed;
    if (word.n >= sizeof thread->decomposed) word = str_slice(word, 0, sizeof thread->decomposed - 1);
    if (!is_ascii(word)) {
        struct str folded = fold_into(thread->decomposed, sizeof thread->decomposed / sizeof(int32_t), word);
        return folded.s ? folded : word;
    }
    for (size_t i = 0; i < word.n; i++) out[i] = text_lower(word.s[i]);
    return (struct str){out, word.n};
}

uint64_t text_fold_hash(struct str text)
{
    return hash_str(fold_word(text_thread(), text));
}

uint64_t text_stem_hash(struct str word, bool *stop)
{
    struct text_thread *thread = text_thread();
    struct str          folded = fold_word(thread, word);
    uint64_t            hash = hash_str(folded);
    struct text_stem   *known = &thread->stems[hash % TEXT_STEMS];
    if (folded.n <= sizeof known->word && known->n == folded.n && memcmp(known->word, folded.s, folded.n) == 0) {
        *stop = known->stop;
        return known->hash;
    }
    *stop = text_is_stop_word(folded);
    const sb_symbol *stem = sb_stemmer_stem(thread->stemmer, (const sb_symbol *)folded.s, (int)folded.n);
    int              length = sb_stemmer_length(thread->stemmer);
    if (stem && length > 0) hash = hash_str((struct str){(const char *)stem, (size_t)length});
    if (folded.n && folded.n <= sizeof known->word) {
        *known = (struct text_stem){.hash = hash, .stop = *stop, .n = (uint8_t)folded.n};
        memcpy(known->word, folded.s, folded.n);
    }
    return hash;
}

/* snowballstem.org/algorithms/english/stop.txt, sorted; and two abbreviations that stand for such words. */
static const char *const stop_words[] = {
    "a", "about", "above", "after", "again", "against", "all", "am", "an", "and", "any", "are", "aren't", "as", "at",
    "be", "because", "been", "before", "being", "below", "between", "both", "but", "by", "can't", "cannot", "could",
    "couldn't", "did", "didn't", "do", "does", "doesn't", "doing", "don't", "down", "during", "e.g", "each", "few", "for",
    "from", "further", "had", "hadn't", "has", "hasn't", "have", "haven't", "having", "he", "he'd", "he'll", "he's",
    "her", "here", "here's", "hers", "herself", "him", "himself", "his", "how", "how's", "i", "i'd", "i'll", "i'm",
    "i've", "i.e", "if", "in", "into", "is", "isn't", "it", "it's", "its", "itself", "let's", "me", "more", "most",
    "mustn't", "my", "myself", "no", "nor", "not", "of", "off", "on", "once", "only", "or", "other", "ought", "our",
    "ours", "ourselves", "out", "over", "own", "same", "shan't", "she", "she'd", "she'll", "she's", "should",
    "shouldn't", "so", "some", "such", "than", "that", "that's", "the", "their", "theirs", "them", "themselves", "then",
    "there", "there's", "these", "they", "they'd", "they'll", "they're", "they've", "this", "those", "through", "to",
    "too", "under", "until", "up", "very", "was", "wasn't", "we", "we'd", "we'll", "we're", "we've", "were", "weren't",
    "what", "what's", "when", "when's", "where", "where's", "which", "while", "who", "who's", "whom", "why", "why's",
    "with", "won't", "would", "wouldn't", "you", "you'd", "you'll", "you're", "you've", "your", "yours", "yourself",
    "yourselves",
};

static int compare_stop_word(const void *key, const void *element)
{
    return str_cmp(*(const struct str *)key, str_of(*(const char *const *)element));
}

bool text_is_stop_word(struct str word)
{
    return bsearch(&word, stop_words, sizeof stop_words / sizeof *stop_words, sizeof *stop_words, compare_stop_word);
}
