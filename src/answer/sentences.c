/* sentences.c - prose out of stored texts: commit messages, pull requests, issues, mostly Markdown with hard line
 * breaks. */
#include "answer/parts.h"

enum { SHORTEST = 12, FEWEST_LETTERS = 8, FEWEST_WORDS = 3 };

static bool letter(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (unsigned char)c >= 0x80;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* "Signed-off-by: Ada <ada@example.com>", "Fixes: #12": a word with a capital, no blank before the colon. */
static bool is_trailer(struct str line)
{
    size_t colon = str_find(line, STR(": "), 0);
    if (colon == SIZE_MAX || colon == 0 || colon > 30) return false;
    bool hyphen = false;
    for (size_t i = 0; i < colon; i++) {
        if (!letter(line.s[i]) && line.s[i] != '-') return false;
        hyphen |= line.s[i] == '-';
    }
    return hyphen && line.s[0] >= 'A' && line.s[0] <= 'Z';
}

static bool is_no_prose(struct str line)
{
    return line.s[0] == '|' || str_starts(line, STR("<!--")) || str_starts(line, STR("---")) || is_trailer(line);
}

/* The length of a list marker, a heading's or a quotation's: "- ", "12. ", "## ", "> ". */
static size_t marker(struct str line)
{
    size_t i = 0;
    while (i < line.n && (line.s[i] == '#' || line.s[i] == '>')) i++;
    if (i == 0 && line.n > 1 && memchr("-*+", line.s[0], 3)) i = 1;
    while (i < line.n && digit(line.s[i]) && i < 3) i++;
    if (i && digit(line.s[i - 1])) {
        if (i == line.n || (line.s[i] != '.' && line.s[i] != ')')) return 0;
        i++;
    }
    return i && i < line.n && line.s[i] == ' ' ? i + 1 : 0;
}

/* ---- sentences of one unit --------------------------------------------------------------------------------------- */

/* A full stop that ends nothing: "e.g. ", "vs. ", "J. ". */
static bool abbreviates(struct str text, size_t stop)
{
    static const struct str words[] = {STR("e.g"), STR("i.e"),  STR("etc"),   STR("vs"),
                                       STR("cf"),  STR("resp"), STR("approx")};
    size_t                  from = stop;
    while (from && text.s[from - 1] != ' ' && text.s[from - 1] != '(') from--;
    struct str word = str_slice(text, from, stop);
    if (word.n == 1 && letter(word.s[0])) return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq_nocase(word, words[i])) return true;
    return false;
}

static bool ends_sentence(struct str text, size_t i)
{
    if (!memchr(".!?", text.s[i], 3) || i + 2 >= text.n || text.s[i + 1] != ' ') return i + 1 == text.n;
    char next = text.s[i + 2];
    bool begins =
        (next >= 'A' && next <= 'Z') || digit(next) || memchr("\"'`([*", next, 6) || (unsigned char)next >= 0x80;
    return begins && !(text.s[i] == '.' && abbreviates(text, i));
}

/* Words say something; "Resolves #1117 Resolves #1106" and links do not. */
static bool worth_reading(struct str text)
{
    size_t letters = 0, words = 0;
    for (size_t i = 0; i < text.n; i++) {
        letters += letter(text.s[i]);
        bool begins = letter(text.s[i]) && (i == 0 || text.s[i - 1] == ' ');
        words += begins && !str_starts(str_skip(text, i), STR("http"));
    }
    return text.n >= SHORTEST && letters >= FEWEST_LETTERS && letters * 2 >= text.n && words >= FEWEST_WORDS;
}

static void end_unit(struct arena *arena, struct sentences *out, size_t most, struct buf *unit, size_t number)
{
    struct str text = str_trim(str_dup(arena, buf_str(unit)));
    unit->n = 0;
    for (size_t from = 0, i = 0; i < text.n; i++) {
        if (!ends_sentence(text, i)) continue;
        struct str sentence = str_trim(str_slice(text, from, i + 1));
        from = i + 1;
        if (out->n < most && worth_reading(sentence)) *VEC_PUSH(arena, out) = (struct sentence){sentence, number};
    }
}

static void add_line(struct buf *unit, struct str line)
{
    if (unit->n) buf_char(unit, ' ');
    for (size_t i = 0; i < line.n; i++) {
        bool blank = (unsigned char)line.s[i] <= ' ';
        if (!blank)
            buf_char(unit, line.s[i]);
        else if (unit->n && unit->s[unit->n - 1] != ' ')
            buf_char(unit, ' ');
    }
}

struct sentences sentences_of(struct arena *arena, struct str text, size_t most)
{
    struct sentences out = {0};
    struct buf       unit = buf_in(arena);
    size_t           number = 0;
    bool             code = false;
    for (struct str line; out.n < most && str_cut(&text, '\n', &line);) {
        line = str_trim(line);
        bool   fence = str_starts(line, STR("```")) || str_starts(line, STR("~~~"));
        size_t skip = line.n ? marker(line) : 0;
        if (fence) code = !code;
        bool breaks = fence || code || !line.n || skip || is_no_prose(line);
        if (breaks) end_unit(arena, &out, most, &unit, number++);
        if (fence || code || !line.n || is_no_prose(line)) continue;
        add_line(&unit, str_skip(line, skip));
        if (line.s[0] == '#' && skip) end_unit(arena, &out, most, &unit, number++);
    }
    end_unit(arena, &out, most, &unit, number);
    return out;
}
