/* vocabulary.c - the word pieces of a text: greedy longest match against the 32,000 pieces in the program.
 *
 * DESIGN. A slot of the hash is 4 bytes: 17 bits of the piece's hash and its number, so that a probe that misses rarely
 * reads the vocabulary's text. The hash is taken byte by byte, therefore one pass over a word gives the hashes of all its
 * prefixes, and the usual case, a word that is one piece, is the last of them and one probe. Pieces that continue a word
 * ("##ing") hash from another seed instead of with their mark. Built at first use, about a millisecond, 380 KB.
 */
#include "embed/parts.h"

#include <assert.h>
#include <pthread.h>

enum { SLOT_BITS = 16, SLOTS = 1 << SLOT_BITS, ID_BITS = 15, LARGEST_COUNT = (1 << ID_BITS) - 1 };
#define TAG_MASK ((1u << (32 - ID_BITS)) - 1)
#define FIRST_SEED UINT64_C(0x6c62272e07bb0142)
#define CONTINUATION_SEED UINT64_C(0x62b821756295c58d)
#define MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)

extern const char file_vocab_txt[], file_vocab_txt_end[];

/* Cache of the process: written once by build(), read-only afterwards. */
static struct {
    pthread_once_t once;
    uint32_t       slots[SLOTS]; /* tag << ID_BITS | id + 1; 0 = free */
    uint32_t       starts[LARGEST_COUNT + 1];
    size_t         count, longest; /* bytes of the longest piece, without its mark */
} vocabulary = {.once = PTHREAD_ONCE_INIT};

static inline uint64_t hash_step(uint64_t hash, char c)
{
    return (hash ^ (uint8_t)c) * MULTIPLIER;
}

static inline uint32_t slot_of(uint64_t hash)
{
    return (uint32_t)(hash >> (64 - SLOT_BITS));
}

static inline uint32_t tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 24) & TAG_MASK;
}

static struct str piece_text(uint32_t id)
{
    return (struct str){file_vocab_txt + vocabulary.starts[id], vocabulary.starts[id + 1] - vocabulary.starts[id] - 1};
}

static void build(void)
{
    struct str text = {file_vocab_txt, (size_t)(file_vocab_txt_end - file_vocab_txt)};
    struct str rest = text, piece;
    while (rest.n && str_cut(&rest, '\n', &piece)) {
        assert(vocabulary.count < LARGEST_COUNT);
        vocabulary.starts[vocabulary.count] = (uint32_t)(piece.s - text.s);
        bool continues = str_starts(piece, STR("##"));
        if (continues) piece = str_skip(piece, 2);
        if (piece.n > vocabulary.longest) vocabulary.longest = piece.n;
        uint64_t hash = continues ? CONTINUATION_SEED : FIRST_SEED;
        for (size_t i = 0; i < piece.n; i++) hash = hash_step(hash, piece.s[i]);
        uint32_t slot = slot_of(hash);
        while (vocabulary.slots[slot]) slot = (slot + 1) % SLOTS;
        vocabulary.slots[slot] = tag_of(hash) << ID_BITS | (uint32_t)(vocabulary.count + 1);
        vocabulary.starts[++vocabulary.count] = (uint32_t)(piece.s + piece.n - text.s) + 1;
    }
}

/* 1 + id of the piece, or 0. */
static inline uint32_t find(uint64_t hash, const char *s, size_t n, bool continues)
{
    uint32_t tag = tag_of(hash), entry;
    for (uint32_t slot = slot_of(hash); (entry = vocabulary.slots[slot]); slot = (slot + 1) % SLOTS) {
        if (entry >> ID_BITS != tag) continue;
        struct str piece = piece_text((entry & LARGEST_COUNT) - 1);
        if (continues) piece = str_skip(piece, 2);
        if (piece.n == n && memcmp(piece.s, s, n) == 0) return entry & LARGEST_COUNT;
    }
    return 0;
}

/* The longest piece at the beginning of s: 1 + id and its length, or 0. Since pieces are whole code points, so is it. */
static uint32_t longest_match(const char *s, size_t n, bool continues, size_t *length)
{
    uint64_t hashes[EMBED_WORD_BYTES];
    uint64_t hash = continues ? CONTINUATION_SEED : FIRST_SEED;
    if (n > vocabulary.longest) n = vocabulary.longest;
    for (size_t i = 0; i < n; i++) hashes[i] = hash = hash_step(hash, s[i]);
    for (; n; n--) {
        uint32_t found = find(hashes[n - 1], s, n, continues);
        *length = n;
        if (found) return found;
    }
    return 0;
}

static size_t pieces_of_word(const char *s, size_t n, uint32_t *ids, size_t limit)
{
    size_t count = 0;
    for (size_t i = 0; i < n && count < limit;) {
        size_t   length;
        uint32_t found = longest_match(s + i, n - i, count > 0, &length);
        if (found) {
            ids[count++] = found - 1;
            i += length;
            continue;
        }
        do i++;
        while (i < n && ((uint8_t)s[i] & 0xc0) == 0x80);
    }
    return count;
}

size_t embed_pieces_of(struct str text, uint32_t *ids, size_t limit, size_t *rest)
{
    pthread_once(&vocabulary.once, build);
    struct embed_words words = {.text = text};
    size_t             count = 0, before = 0;
    while (embed_next_word(&words)) {
        uint32_t word_ids[EMBED_WORD_BYTES];
        size_t   n = pieces_of_word(words.word, words.n, word_ids, EMBED_WORD_BYTES);
        if (n > limit - count) {
            bool only = count == 0; /* a word that never fits is cut, or nobody would get past it */
            if (rest) n = only ? limit : 0;
            else n = limit - count;
            memcpy(ids + count, word_ids, n * sizeof *ids);
            if (rest) *rest = only ? words.at : before;
            return count + n;
        }
        memcpy(ids + count, word_ids, n * sizeof *ids);
        count += n;
        before = words.at;
    }
    if (rest) *rest = text.n;
    return count;
}

size_t embed_pieces(struct str text, uint32_t ids[256])
{
    return embed_pieces_of(text, ids, EMBED_WINDOW, NULL);
}
