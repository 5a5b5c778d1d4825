/* text_fuzz.c - every function of text/ on arbitrary bytes; the first byte says where the title ends. */
#include "text/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t NOW = 1715774400000; /* 2024-05-15T12:00 */

static void check_spans(struct text_terms terms, struct str text)
{
    for (size_t i = 0; i < terms.n; i++) assert(terms.at[i].from < terms.at[i].to && terms.at[i].to <= text.n);
}

static void check_entities(struct arena *arena, struct text_entities entities, struct str text)
{
    assert(entities.n <= 50);
    for (size_t i = 0; i < entities.n; i++) {
        assert(entities.at[i].at + entities.at[i].length <= text.n && entities.at[i].key.n >= 2);
        text_evidence(arena, text, entities.at[i].at, entities.at[i].length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    struct arena *arena ARENA_SCOPE = arena_create();
    struct str    text = {(const char *)data + 1, size - 1}, web = STR("https://github.com"), out[20], login, id;
    struct str    title = text_without_label(str_slice(text, 0, data[0])), body = str_skip(text, data[0]);
    const char   *words[8];

    text_start();
    struct text_terms terms = text_terms(arena, text);
    uint64_t         *set = arena_alloc(arena, terms.n * sizeof *set);
    check_spans(terms, text);
    size_t unique = text_term_set(&terms, set);
    for (size_t i = 1; i < unique; i++) assert(set[i - 1] < set[i]);
    text_whole_term(text);
    text_fold(arena, text);

    struct text_signs signs = text_signs(title, body);
    assert(!(signs.signals >> TEXT_SIGNALS) && !(signs.categories >> TEXT_CATEGORIES));
    assert(text_title_words(title, words) <= 8);
    assert(text_keywords(arena, title, body, out) <= 5);

    check_entities(arena, text_entities(arena, text), text);
    assert(text_mentions(text, out) <= 20);
    assert(text_closing_issues(arena, text, web).n <= 100);
    assert(text_mentioned_issues(arena, text).n <= 50);
    struct text_people people = text_coauthors(arena, text);
    for (size_t i = 0; i < people.n; i++) assert(people.at[i].name.n && people.at[i].email.n);
    text_noreply(text, &login, &id);
    struct text_period period;
    if (text_period(text, NOW, &period)) assert(period.start <= period.end);
    return 0;
}
