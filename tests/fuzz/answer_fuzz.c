/* answer_fuzz.c - a model's text on its way out: whatever it is and however it is cut into pieces, the same text
 * remains, and it cites only what is known. The first byte says how long the pieces are. */
#include "answer/parts.h"

#include <assert.h>

enum { KNOWN = 3, LONGEST = 3000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct answer_result cited(struct arena *arena, const struct sources *sources, struct str text, size_t piece)
{
    struct answer_result result = {0};
    struct citer         citer = citer_in(arena, sources, 2);
    for (; text.n; text = str_skip(text, piece)) citer_add(&citer, str_slice(text, 0, piece));
    citer_end(&citer, &result);
    return result;
}

static void check_citations(struct answer_result result)
{
    char marker[8] = "[0]";
    assert(result.citation_count <= 2);
    for (size_t i = 0; i < result.citation_count; i++) {
        assert(result.citations[i].index >= 1 && result.citations[i].index <= KNOWN);
        marker[1] = (char)('0' + result.citations[i].index);
        assert(str_find(result.content, str_of(marker), 0) != SIZE_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > LONGEST) return 0;
    struct arena *arena ARENA_SCOPE = arena_create();
    struct str          text = {(const char *)data + 1, size - 1};
    struct sources      sources = sources_in(arena);
    for (int i = 1; i <= KNOWN; i++)
        sources_add(&sources, &(struct answer_citation){.id = str_printf(arena, "obs_%d", i)});
    struct answer_result whole = cited(arena, &sources, text, text.n),
                         parts = cited(arena, &sources, text, 1 + data[0] % 64);
    assert(str_eq(whole.content, parts.content) && str_eq(whole.rationale, parts.rationale));
    check_citations(whole);
    check_citations(parts);

    struct sentences sentences = sentences_of(arena, text, 50);
    assert(sentences.n <= 50);
    for (size_t i = 0; i < sentences.n; i++)
        assert(str_find_char(sentences.at[i].text, '\n', 0) == SIZE_MAX && sentences.at[i].text.n);
    return 0;
}
