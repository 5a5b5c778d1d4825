/* extract.c - an answer without a language model: the best sentences of the best results, quoted with their sources. */
#include "answer/parts.h"

#include "base/log.h"
#include "base/utf8.h"
#include "text/text.h"

#include <stdlib.h>

enum {
    PASSAGES = 5, /* quoted at most */
    PASSAGES_OF_ITEM = 2,
    SENTENCES_OF_ITEM = 60,
    COMPARED = 48,         /* passages whose vectors are compared with the question's */
    LONGEST_PASSAGE = 400, /* characters */
    TITLE = 1 << 20        /* behind all sentences: what they say is said better */
};
static const double alike = 0.6;       /* share of terms from which two passages say the same */
static const double least_cover = 0.3; /* of the question's weight, in a passage and its item's title */
static const double least_cosine = 0.5;
static const double least_share = 0.45;                                         /* of the best passage's score */
static const double cover_share = 0.55, title_share = 0.15, cosine_share = 0.3; /* of a passage's score */
static const double opening = 0.06, context = 0.04; /* more for a text's opening, which says why; for two sentences */
static const double behind = 0.25;                  /* less for a title, which the list of sources shows anyway */

struct passage {
    struct str text;
    int        number; /* of its source */
    size_t     at;     /* position within the item, or TITLE */
    double     cover, with_title, cosine, score;
    uint64_t  *terms; /* sorted, without stop words */
    size_t     term_count;
    bool       pair; /* of sentences */
    bool       chosen;
};

struct extraction {
    struct answer                *answer;
    struct arena                 *arena;
    const struct answer_question *question;
    struct search_terms           terms;
    double                        weight; /* of all terms */
    struct sources                sources;
    struct {
        struct passage *at;
        size_t          n, capacity;
    } passages;
};

void answer_warn(struct arena *arena, struct answer_result *result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *VEC_PUSH(arena, &result->warnings) = str_vprintf(arena, format, args);
    va_end(args);
}

/* ---- weighing ---------------------------------------------------------------------------------------------------- */

static bool holds(const uint64_t *terms, size_t n, uint64_t hash)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (terms[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && terms[low] == hash;
}

static uint64_t *term_set(struct arena *arena, struct str text, size_t *n)
{
    struct text_terms found = text_terms(arena, text);
    uint64_t         *set = NEW_ARRAY(arena, uint64_t, found.n);
    *n = text_term_set(&found, set);
    return set;
}

/* The share of the question's weight that a passage has, alone and together with its title. */
static void weigh(const struct extraction *extraction, struct passage *passage, const uint64_t *title,
                  size_t title_count)
{
    double alone = 0, together = 0;
    for (size_t i = 0; i < extraction->terms.n; i++) {
        const struct search_term *term = &extraction->terms.at[i];
        bool                      here = holds(passage->terms, passage->term_count, term->hash);
        alone += here ? term->weight : 0;
        together += here || holds(title, title_count, term->hash) ? term->weight : 0;
    }
    passage->cover = extraction->weight > 0 ? alone / extraction->weight : 0;
    passage->with_title = extraction->weight > 0 ? together / extraction->weight : 0;
}

static double shared(const struct passage *a, const struct passage *b)
{
    size_t common = 0, smaller = a->term_count < b->term_count ? a->term_count : b->term_count;
    for (size_t i = 0; i < a->term_count; i++) common += holds(b->terms, b->term_count, a->terms[i]);
    return smaller ? (double)common / (double)smaller : 1;
}

/* ---- passages of an item ----------------------------------------------------------------------------------------- */

/* A number between brackets in a stored text must not look like a source of ours. */
static struct str without_markers(struct arena *arena, struct str text)
{
    char *out = arena_alloc_raw(arena, text.n + 1);
    memcpy(out, text.s, text.n);
    for (size_t i = 0; i < text.n; i++) {
        size_t end = i + 1;
        while (text.s[i] == '[' && end < text.n && text.s[end] != ']' && text.s[end] != '[') end++;
        bool digits = text.s[i] == '[' && end < text.n && text.s[end] == ']' && end > i + 1;
        for (size_t k = i + 1; digits && k < end; k++)
            digits = (text.s[k] >= '0' && text.s[k] <= '9') || memchr(" ,;-", text.s[k], 4);
        if (digits) out[i] = '(', out[end] = ')';
    }
    return (struct str){out, text.n};
}

static struct str shortened(struct arena *arena, struct str text)
{
    struct str head = utf8_head(text, LONGEST_PASSAGE);
    if (head.n == text.n) return text;
    while (head.n && head.s[head.n - 1] != ' ') head.n--;
    return str_printf(arena, STR_FMT " ...", STR_ARG(str_trim(head.n ? head : utf8_head(text, LONGEST_PASSAGE))));
}

static struct passage *add_passage(struct extraction *extraction, struct str text, int number, size_t at,
                                   const uint64_t *title, size_t title_count)
{
    struct passage *passage = VEC_PUSH(extraction->arena, &extraction->passages);
    passage->text = without_markers(extraction->arena, shortened(extraction->arena, text));
    passage->number = number;
    passage->at = at;
    passage->terms = term_set(extraction->arena, passage->text, &passage->term_count);
    weigh(extraction, passage, title, title_count);
    return passage;
}

/* Stored texts of commits and pull requests begin with their title's line, which is no sentence of the text. */
static struct str after_title(struct str title, struct str content)
{
    enum { ENOUGH = 24 }; /* bytes of a title that was cut */
    struct str rest = content, line;
    if (!title.n || !str_cut(&rest, '\n', &line)) return content;
    bool repeats = str_starts(str_trim(line), title.n < ENOUGH ? title : str_slice(title, 0, ENOUGH));
    return repeats ? rest : content;
}

/* Each sentence alone and with the one that follows it, and the title. */
static void add_item(struct extraction *extraction, const struct search_content *content, int number)
{
    struct arena    *arena = extraction->arena;
    struct str       title = str_trim(text_without_label(content->title));
    size_t           title_count;
    uint64_t        *title_terms = term_set(arena, title, &title_count);
    struct sentences sentences = sentences_of(arena, after_title(title, content->content), SENTENCES_OF_ITEM);
    for (size_t i = 0; i < sentences.n; i++) {
        struct sentence *sentence = &sentences.at[i];
        add_passage(extraction, sentence->text, number, i, title_terms, title_count);
        if (i + 1 < sentences.n && sentence[1].unit == sentence->unit &&
            sentence->text.n + sentence[1].text.n < LONGEST_PASSAGE)
            add_passage(extraction,
                        str_printf(arena, STR_FMT " " STR_FMT, STR_ARG(sentence->text), STR_ARG(sentence[1].text)),
                        number, i, title_terms, title_count)
                ->pair = true;
    }
    if (title.n) add_passage(extraction, title, number, TITLE, title_terms, title_count);
}

static int by_cover(const void *left, const void *right)
{
    const struct passage *a = left, *b = right;
    double                x = a->cover + a->with_title, y = b->cover + b->with_title;
    if (x != y) return x < y ? 1 : -1;
    if (a->number != b->number) return a->number - b->number;
    return (a->at > b->at) - (a->at < b->at);
}

/* Vectors of the most promising ones only: a provider over HTTP takes its time, and without vectors words decide. */
static void compare(struct extraction *extraction)
{
    struct embed *embed = extraction->answer->embed;
    size_t        n = extraction->passages.n < COMPARED ? extraction->passages.n : COMPARED;
    if (!n || !embed || !embed_enabled(embed)) return;
    struct embed_vector question, *vectors = NEW_ARRAY(extraction->arena, struct embed_vector, n);
    struct str         *texts = NEW_ARRAY(extraction->arena, struct str, n);
    for (size_t i = 0; i < n; i++) texts[i] = extraction->passages.at[i].text;
    struct err *failed = embed_texts(embed, extraction->arena, true, &extraction->question->query, 1, &question);
    if (!failed) failed = embed_texts(embed, extraction->arena, false, texts, n, vectors);
    if (failed) {
        log_warn("answer", "passages are chosen by words alone: " STR_FMT,
                 STR_ARG(err_text(extraction->arena, failed)));
        return;
    }
    for (size_t i = 0; i < n; i++)
        extraction->passages.at[i].cosine = (double)embed_cosine(question, vectors[i], embed_dim(embed));
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static int by_score(const void *left, const void *right)
{
    const struct passage *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    if (a->number != b->number) return a->number - b->number;
    return (a->at > b->at) - (a->at < b->at);
}

static int by_place(const void *left, const void *right)
{
    const struct passage *a = left, *b = right;
    if (a->number != b->number) return a->number - b->number;
    return (a->at > b->at) - (a->at < b->at);
}

static bool overlap(const struct passage *a, const struct passage *b)
{
    return a->number == b->number && a->at <= b->at + b->pair && b->at <= a->at + a->pair;
}

/* Does it have something of the question itself, and not only its title? */
static bool fits(const struct extraction *extraction, const struct passage *passage)
{
    if (passage->score < least_share * extraction->passages.at[0].score) return false;
    return passage->cosine >= least_cosine || (passage->cover > 0 && passage->with_title >= least_cover);
}

static bool says_something_new(const struct extraction *extraction, const struct passage *passage)
{
    int of_item = 0;
    for (const struct passage *other = extraction->passages.at; other < passage; other++) {
        if (!other->chosen) continue;
        if (other->number == passage->number && ++of_item == PASSAGES_OF_ITEM) return false;
        if (overlap(passage, other) || shared(passage, other) >= alike) return false;
    }
    return true;
}

static size_t choose(struct extraction *extraction, struct passage chosen[PASSAGES])
{
    size_t          n = 0;
    struct passage *at = extraction->passages.at;
    for (size_t i = 0; i < extraction->passages.n; i++) {
        double cosine = at[i].cosine > 0 ? at[i].cosine : 0;
        at[i].score = cover_share * at[i].cover + title_share * at[i].with_title + cosine_share * cosine +
                      (at[i].at == 0 ? opening : 0) + (at[i].pair ? context : 0) - (at[i].at == TITLE ? behind : 0);
    }
    if (extraction->passages.n > 1) qsort(at, extraction->passages.n, sizeof *at, by_score);
    for (size_t i = 0; i < extraction->passages.n && n < PASSAGES; i++) {
        if (!fits(extraction, &at[i]) || !says_something_new(extraction, &at[i])) continue;
        at[i].chosen = true;
        chosen[n++] = at[i];
    }
    if (n > 1) qsort(chosen, n, sizeof *chosen, by_place);
    return n;
}

static void quote(struct extraction *extraction, const struct passage *chosen, size_t n, struct answer_result *result)
{
    struct buf text = buf_in(extraction->arena);
    bool      *cited = NEW_ARRAY(extraction->arena, bool, extraction->sources.list.n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&text, "%s- " STR_FMT " [%d]", i ? "\n" : "", STR_ARG(chosen[i].text), chosen[i].number);
        cited[chosen[i].number - 1] = true;
    }
    if (!n) buf_lit(&text, "Nothing in this workspace answers the question.");
    result->content = buf_str(&text);
    result->rationale = n ? STR("Quoted from the results that match the question best; no language model was used.")
                          : STR("No result of the search holds what the question asks for.");
    sources_cited(&extraction->sources, cited, result);
}

/* ---- together ---------------------------------------------------------------------------------------------------- */

static struct err *find(struct extraction *extraction)
{
    const struct answer_question *question = extraction->question;
    struct search_request         request = {
                .workspace = question->workspace,
                .query = question->query,
                .limit = question->most_sources,
                .mode = question->mode,
                .filters = question->filters,
    };
    struct search_answer found;
    TRY(search_run(extraction->answer->search, extraction->arena, &request, &found));
    struct str            *ids = NEW_ARRAY(extraction->arena, struct str, found.count);
    struct search_content *contents = NEW_ARRAY(extraction->arena, struct search_content, found.count);
    for (size_t i = 0; i < found.count; i++) ids[i] = found.items[i].id;
    TRY(search_contents(extraction->answer->search, extraction->arena, question->workspace, ids, found.count,
                        contents));
    for (size_t i = 0; i < found.count; i++) {
        const struct search_item *item = &found.items[i];
        int                       number = sources_add(&extraction->sources, &CITATION_OF(item, item->score));
        if (contents[i].found) add_item(extraction, &contents[i], number);
    }
    return NULL;
}

struct err *answer_extract(struct answer *answer, struct arena *arena, const struct answer_question *question,
                           struct answer_result *result)
{
    struct passage    chosen[PASSAGES];
    struct extraction extraction = {
        .answer = answer, .arena = arena, .question = question, .sources = sources_in(arena)};
    TRY(search_query_terms(answer->search, arena, question->workspace, question->query, &extraction.terms));
    for (size_t i = 0; i < extraction.terms.n; i++) extraction.weight += extraction.terms.at[i].weight;
    TRY(find(&extraction));
    if (extraction.passages.n > 1)
        qsort(extraction.passages.at, extraction.passages.n, sizeof *extraction.passages.at, by_cover);
    compare(&extraction);
    size_t n = choose(&extraction, chosen);
    result->engine = "extractive";
    result->model = STR("");
    quote(&extraction, chosen, n, result);
    return NULL;
}
