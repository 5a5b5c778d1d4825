/* words.c - the words of the scoring and classification tables, found by walking each run of letters through a trie. */
#include "text/inside.h"

#include <assert.h>
#include <pthread.h>

uint8_t text_classes[256]; /* written once by text_words_start */

/* Whole words; "word*" stands for every run that begins with word. */
// clang-format off
static const struct word_row {
    int         bit;
    const char *words;
} rows[] = {
    /* spec/pipeline.md 4 */
    {BIT_SIGNAL + TEXT_CRITICAL,   "breaking critical urgent security vulnerability"},
    {BIT_SIGNAL + TEXT_INCIDENT,   "hotfix emergency incident outage downtime"},
    {BIT_SIGNAL + TEXT_IMPORTANT,  "major important significant release deploy"},
    {BIT_SIGNAL + TEXT_FEATURE,    "feature feat new"},
    {BIT_SIGNAL + TEXT_FIX,        "fix bug patch resolve"},
    {BIT_SIGNAL + TEXT_ROUTINE,    "chore deps dependencies bump update upgrade"},
    {BIT_SIGNAL + TEXT_TRIVIAL,    "typo whitespace formatting lint"},
    {BIT_SIGNAL + TEXT_WIP,        "wip draft temp test"},
    /* spec/pipeline.md 5 */
    {BIT_CATEGORY + TEXT_IS_RELEASE,        "release"},
    {BIT_CATEGORY + TEXT_IS_DEPLOYMENT,     "deploy* shipp shippe shippd shipped"},
    {BIT_CATEGORY + TEXT_IS_SECURITY,       "security vulnerability auth permission*"},
    {BIT_CATEGORY + TEXT_IS_INCIDENT,       "incident outage downtime emergency hotfix"},
    {BIT_CATEGORY + TEXT_IS_BUG_FIX,        "fix fixes fixed fixing bug patch resolve resolves resolved correct*"},
    {BIT_CATEGORY + TEXT_IS_FEATURE,        "add adds added adding new implement* introduce*"},
    {BIT_CATEGORY + TEXT_IS_PERFORMANCE,    "perf performance optimiz* speed* faster slow*"},
    {BIT_CATEGORY + TEXT_IS_TESTING,        "test tests testing spec coverage e2e unit"},
    {BIT_CATEGORY + TEXT_IS_DOCUMENTATION,  "doc docs readme comment* jsdoc documentation"},
    {BIT_CATEGORY + TEXT_IS_INFRASTRUCTURE, "ci cd pipeline workflow docker* config* infra*"},
    {BIT_CATEGORY + TEXT_IS_REFACTOR,       "refactor* restructure* reorganize* cleanup chore"},
    {BIT_CATEGORY + TEXT_IS_DISCUSSION,     "rfc proposal discuss*"},
    {BIT_CATEGORY + TEXT_IS_DECISION,       "decision decide decides decided adr architecture"},
    /* topics: words of the title, in the order of title_words */
    {BIT_TITLE_WORD + 0, "fix"},   {BIT_TITLE_WORD + 1, "feat"},  {BIT_TITLE_WORD + 2, "refactor"},
    {BIT_TITLE_WORD + 3, "test"},  {BIT_TITLE_WORD + 4, "docs"},  {BIT_TITLE_WORD + 5, "chore"},
    {BIT_TITLE_WORD + 6, "ci"},    {BIT_TITLE_WORD + 7, "perf"},
    /* beginnings of longer patterns */
    {BIT_VERSION,     "version"},
    {BIT_FEATURE,     "feat feature"},
    {BIT_CVE,         "cve"},
    {BIT_METHOD,      "get post put patch delete"},
    {BIT_BRANCH,      "branch"},
    {BIT_SOURCE_ROOT, "src lib packages apps api components"},
    {BIT_FIXES,       "fix fixes fixed"},
    {BIT_CLOSES,      "close closes closed"},
    {BIT_RESOLVES,    "resolve resolves resolved"},
};
// clang-format on
static const char *const title_words[8] = {"fix", "feat", "refactor", "test", "docs", "chore", "ci", "perf"};

/* Node 0 is where nothing matches any more, node 1 the root. Columns: 1..26 letters, 27 the digit 2 (of "e2e"). */
enum { NODES = 1024, COLUMNS = 28, DEAD = 0, ROOT = 1 };
struct node {
    uint64_t through, at_end; /* bits of runs that pass here, of runs that end here */
    uint16_t next[COLUMNS];
};
static struct node nodes[NODES]; /* written once by text_words_start */
static size_t      node_count;
static uint8_t     columns[256];

static void classify_bytes(void)
{
    for (int c = 0; c < 256; c++) {
        uint8_t class = 0;
        if (c >= 'A' && c <= 'Z') class = CLASS_UPPER;
        if (c >= 'a' && c <= 'z') class = c <= 'f' ? CLASS_LOWER_HEX : CLASS_LOWER_REST;
        if (c >= '0' && c <= '9') class = CLASS_DIGIT;
        if (c == '_') class = CLASS_UNDERSCORE;
        if (c == ' ' || (c >= '\t' && c <= '\r')) class = CLASS_SPACE;
        if (c >= 0x80) class = CLASS_BEYOND_ASCII;
        text_classes[c] = class;
    }
    for (int i = 0; i < 26; i++) columns['a' + i] = columns['A' + i] = (uint8_t)(i + 1);
    columns['2'] = 27;
}

static void add_word(struct str word, int bit)
{
    bool   prefix = str_ends(word, STR("*"));
    size_t at = ROOT;
    for (size_t i = 0; i < word.n - prefix; i++) {
        uint8_t column = columns[(unsigned char)word.s[i]];
        assert(column);
        if (!nodes[at].next[column]) {
            assert(node_count < NODES);
            nodes[at].next[column] = (uint16_t)node_count++;
        }
        at = nodes[at].next[column];
    }
    if (prefix) nodes[at].through |= BIT(bit);
    else nodes[at].at_end |= BIT(bit);
}

void text_words_start(void)
{
    static_assert(BITS <= 64, "the meaning of a run fits one word");
    classify_bytes();
    node_count = ROOT + 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (struct str rest = str_of(rows[i].words), word; str_cut(&rest, ' ', &word);) add_word(word, rows[i].bit);
}

bool text_next_run(struct str text, size_t *at, struct text_run *run)
{
    size_t i = *at;
    while (i < text.n && !text_is(text.s[i], CLASS_RUN)) i++;
    *run = (struct text_run){.from = i};
    unsigned class;
    size_t   node = ROOT;
    for (; i < text.n && (class = text_classes[(unsigned char)text.s[i]]) & CLASS_RUN; i++) {
        run->classes |= class;
        node = nodes[node].next[columns[(unsigned char)text.s[i]]];
        run->bits |= nodes[node].through;
    }
    run->bits |= nodes[node].at_end;
    run->to = *at = i;
    return run->to > run->from;
}

/* ---- signs --------------------------------------------------------------------------------------------------------- */

/* version\s+\d, where the title may end between the two */
static bool number_follows(struct str text, size_t at, struct str next)
{
    size_t i = text_skip_space(text, at);
    if (i < text.n) return i > at && text_is(text.s[i], CLASS_DIGIT);
    return text_is_at(next, text_skip_space(next, 0), CLASS_DIGIT);
}

/* v\d+\.\d+ */
static bool is_version(struct str text, const struct text_run *run)
{
    if (text_lower(text.s[run->from]) != 'v' || !(run->classes & CLASS_DIGIT) || run->to + 1 >= text.n ||
        text.s[run->to] != '.' || !text_is(text.s[run->to + 1], CLASS_DIGIT))
        return false;
    for (size_t i = run->from + 1; i < run->to; i++)
        if (!text_is(text.s[i], CLASS_DIGIT)) return false;
    return true;
}

/* Bits of the patterns that look beyond the run. */
static uint64_t longer_patterns(struct str text, const struct text_run *run, struct str next)
{
    uint64_t bits = 0;
    if (run->bits & BIT(BIT_FEATURE))
        if (run->to < text.n ? text.s[run->to] == ':' || text_is(text.s[run->to], CLASS_SPACE) : next.s != NULL)
            bits |= BIT(BIT_CATEGORY + TEXT_IS_FEATURE);
    if (run->bits & BIT(BIT_VERSION) && number_follows(text, run->to, next)) bits |= BIT(BIT_CATEGORY + TEXT_IS_RELEASE);
    if (run->bits & BIT(BIT_CVE) && run->to < text.n && text.s[run->to] == '-' &&
        text_is_at(text, run->to + 1, CLASS_DIGIT)) {
        size_t i = run->to + 1;
        while (text_is_at(text, i, CLASS_DIGIT)) i++;
        bits |= BIT(BIT_CATEGORY + TEXT_IS_SECURITY);
        if (!text_is_at(text, i, CLASS_RUN)) bits |= BIT(BIT_SIGNAL + TEXT_CRITICAL);
    }
    if (run->classes & CLASS_DIGIT && is_version(text, run)) bits |= BIT(BIT_CATEGORY + TEXT_IS_RELEASE);
    return bits;
}

/* `next` follows the text after a line end; {NULL, 0}: nothing does. */
static uint64_t signs_of(struct str text, struct str next)
{
    const uint64_t  longer = BIT(BIT_FEATURE) | BIT(BIT_VERSION) | BIT(BIT_CVE);
    uint64_t        bits = 0;
    size_t          at = 0;
    struct text_run run;
    while (text_next_run(text, &at, &run)) {
        bits |= run.bits;
        if (run.bits & longer || run.classes & CLASS_DIGIT) bits |= longer_patterns(text, &run, next);
    }
    return bits;
}

struct text_signs text_signs(struct str title, struct str body)
{
    text_start();
    if (!body.s) body.s = "";
    uint64_t bits = signs_of(title, body) | signs_of(body, (struct str){0});
    return (struct text_signs){
        .signals = (uint32_t)(bits >> BIT_SIGNAL) & ((1u << TEXT_SIGNALS) - 1),
        .categories = (uint32_t)(bits >> BIT_CATEGORY) & ((1u << TEXT_CATEGORIES) - 1),
    };
}

size_t text_title_words(struct str title, const char *out[8])
{
    text_start();
    uint64_t        bits = 0;
    size_t          at = 0, n = 0;
    struct text_run run;
    while (text_next_run(title, &at, &run)) bits |= run.bits;
    for (size_t i = 0; i < 8; i++)
        if (bits & BIT(BIT_TITLE_WORD + i)) out[n++] = title_words[i];
    return n;
}
