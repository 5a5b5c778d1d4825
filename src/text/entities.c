/* entities.c - entities by pattern (spec/pipeline.md 6), evidence, mentions.
 *
 * Every pattern of the table begins at a border of a run and ends at one, so each is a test of the run at hand; the
 * regular expression that a test stands for is its comment, and a unit test holds the two against each other. No
 * pattern can give a key of the specification's black list (GET, API, one character, bare digits).
 */
#include "text/inside.h"

#include "base/utf8.h"

#include <stdlib.h>

/* In the order of confidence, so that finds are sorted by it when read in this order. */
enum pattern { ENDPOINT, NUMBER, TICKET, MENTION, SETTING, FILE_PATH, BRANCH, HASH, PATTERNS };
static const struct {
    enum text_entity_category category;
    double                    confidence;
} patterns[PATTERNS] = {
    [ENDPOINT] = {TEXT_ENDPOINT, 0.95}, [NUMBER] = {TEXT_PROJECT, 0.95},  [TICKET] = {TEXT_PROJECT, 0.90},
    [MENTION] = {TEXT_ENGINEER, 0.90},  [SETTING] = {TEXT_CONFIG, 0.85},  [FILE_PATH] = {TEXT_DEFINITION, 0.80},
    [BRANCH] = {TEXT_REFERENCE, 0.75},  [HASH] = {TEXT_REFERENCE, 0.70},
};
enum { BEST = 50 }; /* entities kept; no pattern needs to keep more than that many */

struct finds {
    struct arena *arena;
    struct str    text;
    size_t        resume[PATTERNS]; /* matches of one pattern do not overlap */
    size_t        n[PATTERNS];
    struct text_entity at[PATTERNS][BEST];
};

static bool known(const struct finds *finds, enum pattern pattern, struct str key)
{
    for (size_t i = 0; i < finds->n[pattern]; i++)
        if (str_eq_nocase(finds->at[pattern][i].key, key)) return true;
    return false;
}

static void add(struct finds *finds, enum pattern pattern, struct str key, struct str value, size_t from, size_t to)
{
    finds->resume[pattern] = to;
    if (finds->n[pattern] == BEST || known(finds, pattern, key)) return;
    finds->at[pattern][finds->n[pattern]++] = (struct text_entity){
        .category = patterns[pattern].category,
        .key = key,
        .value = value,
        .confidence = patterns[pattern].confidence,
        .at = from,
        .length = to - from,
    };
}

/* End of the longest [^\s"'<>]{0,most} at i, in characters. */
static size_t solid_end(struct str text, size_t i, size_t most)
{
    for (size_t n = 0; i < text.n; i++) {
        char c = text.s[i];
        if (text_is(c, CLASS_SPACE) || c == '"' || c == '\'' || c == '<' || c == '>') break;
        if (((unsigned char)c & 0xc0) != 0x80 && n++ == most) break;
    }
    return i;
}

/* \b(GET|POST|PUT|PATCH|DELETE)\s+(\/[^\s"'<>]{1,200}) */
static void try_endpoint(struct finds *finds, const struct text_run *run)
{
    struct str text = finds->text;
    size_t     slash = text_skip_space(text, run->to);
    if (slash == run->to || slash >= text.n || text.s[slash] != '/') return;
    size_t end = solid_end(text, slash + 1, 200);
    if (end == slash + 1) return;
    struct str path = str_slice(text, slash, end);
    struct buf key = buf_in(finds->arena);
    for (size_t i = run->from; i < run->to; i++) buf_char(&key, (char)(text.s[i] & ~0x20));
    buf_char(&key, ' ');
    buf_str_add(&key, path);
    add(finds, ENDPOINT, buf_str(&key), path, run->from, end);
}

/* \b(?:src|lib|packages|apps|api|components)\/[^\s"'<>]{1,150}\.[a-z]{1,10}\b */
static void try_file_path(struct finds *finds, const struct text_run *run)
{
    struct str text = finds->text;
    size_t     start = run->to + 1;
    if (run->to >= text.n || text.s[run->to] != '/') return;
    for (size_t dot = solid_end(text, start, 150); dot > start; dot--) {
        size_t end = dot + 1;
        if (dot >= text.n || text.s[dot] != '.') continue;
        while (end - dot <= 11 && text_is_at(text, end, CLASS_LETTER)) end++;
        if (end == dot + 1 || end - dot > 11 || text_is_at(text, end, CLASS_RUN)) continue;
        struct str path = str_slice(text, run->from, end);
        add(finds, FILE_PATH, path, (struct str){0}, run->from, end);
        return;
    }
}

/* \bbranch[:\s]+([a-zA-Z0-9/_-]{1,100})\b */
static void try_branch(struct finds *finds, const struct text_run *run)
{
    struct str text = finds->text;
    size_t     start = run->to;
    while (start < text.n && (text.s[start] == ':' || text_is(text.s[start], CLASS_SPACE))) start++;
    size_t end = start;
    while (end - start < 100 && end < text.n &&
           (text_is(text.s[end], CLASS_RUN) || text.s[end] == '/' || text.s[end] == '-'))
        end++;
    while (end > start && !text_border(text, end)) end--;
    if (start == run->to || end == start) return;
    struct str name = str_slice(text, start, end);
    add(finds, BRANCH, str_printf(finds->arena, "branch:" STR_FMT, STR_ARG(name)), name, run->from, end);
}

/* cs \b([A-Z][A-Z0-9_]{2,}(?:_[A-Z0-9]+)+)\b */
static bool is_setting(struct str text, const struct text_run *run)
{
    if (run->classes & CLASS_LOWER || !(run->classes & CLASS_UNDERSCORE) || !text_is(text.s[run->from], CLASS_UPPER))
        return false;
    size_t last = run->to - 1;
    while (text.s[last] != '_') last--;
    return last >= run->from + 3 && last < run->to - 1;
}

/* cs \b([a-f0-9]{7,40})\b, with a digit and a letter */
static bool is_hash(const struct text_run *run)
{
    size_t n = run->to - run->from;
    return run->classes == (CLASS_LOWER_HEX | CLASS_DIGIT) && n >= 7 && n <= 40;
}

/* cs \b([A-Z]{2,10}-\d{1,6})\b */
bool text_run_is_ticket(struct str text, const struct text_run *run, size_t *to)
{
    size_t n = run->to - run->from, i = run->to + 1;
    if (run->classes != CLASS_UPPER || n < 2 || n > 10 || run->to >= text.n || text.s[run->to] != '-') return false;
    while (i - run->to <= 7 && text_is_at(text, i, CLASS_DIGIT)) i++;
    if (i == run->to + 1 || i - run->to > 7 || text_is_at(text, i, CLASS_RUN)) return false;
    *to = i;
    return !text_is_standard(str_slice(text, run->from, run->to));
}

bool text_is_standard(struct str prefix)
{
    static const char *const standards[] = {"UTF", "SHA", "ISO", "RFC", "HTTP", "AES", "RSA",
                                            "TLS", "SSL", "UTC", "GMT", "CVE",  "IEEE", "ECMA"};
    for (size_t i = 0; i < sizeof standards / sizeof *standards; i++)
        if (str_eq(prefix, str_of(standards[i]))) return true;
    return false;
}

/* cs (?<!\w)@([a-zA-Z0-9_-]{1,39})\b; the name may begin with hyphens */
bool text_run_is_mention(struct str text, const struct text_run *run, struct str *name)
{
    enum { LONGEST = 39 };
    size_t start = run->from;
    while (start && text.s[start - 1] == '-' && run->from - start < LONGEST) start--;
    if (!start || text.s[start - 1] != '@' || text_is_at(text, start - 2, CLASS_RUN)) return false;
    size_t end = start;
    while (end < text.n && end - start < LONGEST && (text_is(text.s[end], CLASS_RUN) || text.s[end] == '-')) end++;
    while (end > start && !text_border(text, end)) end--;
    *name = str_slice(text, start, end);
    return end > start;
}

static void try_run(struct finds *finds, const struct text_run *run)
{
    struct str text = finds->text, word = str_slice(text, run->from, run->to), none = {0}, name;
    char       before = run->from ? text.s[run->from - 1] : ' ';
    size_t     to;
    if (run->bits & BIT(BIT_METHOD) && run->from >= finds->resume[ENDPOINT]) try_endpoint(finds, run);
    if (run->bits & BIT(BIT_SOURCE_ROOT) && run->from >= finds->resume[FILE_PATH]) try_file_path(finds, run);
    if (run->bits & BIT(BIT_BRANCH) && run->from >= finds->resume[BRANCH]) try_branch(finds, run);
    if (before == '#' && text_run_is_number(text, run))
        add(finds, NUMBER, str_slice(text, run->from - 1, run->to), none, run->from - 1, run->to);
    if ((before == '@' || before == '-') && text_run_is_mention(text, run, &name)) {
        size_t at = (size_t)(name.s - text.s) - 1;
        add(finds, MENTION, str_slice(text, at, at + 1 + name.n), name, at, at + 1 + name.n);
    }
    if (run->classes == CLASS_UPPER && text_run_is_ticket(text, run, &to))
        add(finds, TICKET, str_slice(text, run->from, to), none, run->from, to);
    if (run->classes & CLASS_UNDERSCORE && is_setting(text, run)) add(finds, SETTING, word, none, run->from, run->to);
    if (is_hash(run)) add(finds, HASH, str_slice(word, 0, 7), word, run->from, run->to);
}

static int compare_entities(const void *a, const void *b)
{
    const struct text_entity *x = a, *y = b;
    if (x->confidence != y->confidence) return x->confidence < y->confidence ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

struct text_entities text_entities(struct arena *arena, struct str text)
{
    text_start();
    struct finds    finds;
    size_t          total = 0, at = 0;
    struct text_run run;
    finds.arena = arena;
    finds.text = text;
    memset(finds.resume, 0, sizeof finds.resume);
    memset(finds.n, 0, sizeof finds.n);
    while (text_next_run(text, &at, &run)) try_run(&finds, &run);
    for (size_t p = 0; p < PATTERNS; p++) total += finds.n[p];
    struct text_entities found = {NEW_ARRAY(arena, struct text_entity, total), 0};
    for (size_t p = 0; p < PATTERNS; p++)
        for (size_t i = 0; i < finds.n[p]; i++) found.at[found.n++] = finds.at[p][i];
    if (total > 1) qsort(found.at, total, sizeof *found.at, compare_entities);
    if (found.n > BEST) found.n = BEST;
    return found;
}

/* i moved by at most `most` characters, backwards or forwards. */
static size_t characters_before(struct str text, size_t i, size_t most)
{
    while (i && most) most -= ((unsigned char)text.s[--i] & 0xc0) != 0x80;
    return i;
}

struct str text_evidence(struct arena *arena, struct str text, size_t at, size_t length)
{
    enum { AROUND = 50 };
    text_start();
    if (at > text.n) at = text.n;
    size_t from = characters_before(text, at, AROUND);
    size_t end = length > text.n - at ? text.n : at + length;
    size_t to = end + utf8_head(str_skip(text, end), AROUND).n;
    struct buf evidence = buf_in(arena);
    if (from) buf_lit(&evidence, "...");
    bool space = false;
    for (size_t i = from; i < to; i++) {
        if (text_is(text.s[i], CLASS_SPACE)) {
            space = evidence.n > 0 && !(from && evidence.n == 3);
            continue;
        }
        if (space) buf_char(&evidence, ' ');
        space = false;
        buf_char(&evidence, text.s[i]);
    }
    if (to < text.n) buf_lit(&evidence, "...");
    return buf_str(&evidence);
}

size_t text_mentions(struct str text, struct str out[20])
{
    text_start();
    size_t          n = 0, at = 0;
    struct text_run run;
    struct str      name;
    if (!text.n || !memchr(text.s, '@', text.n)) return 0;
    while (n < 20 && text_next_run(text, &at, &run)) {
        if (!text_run_is_mention(text, &run, &name)) continue;
        bool repeated = false;
        for (size_t i = 0; i < n && !repeated; i++) repeated = str_eq_nocase(out[i], name);
        if (!repeated) out[n++] = name;
    }
    return n;
}
