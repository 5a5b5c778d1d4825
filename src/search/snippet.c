/* snippet.c - the passage of a text that a result shows. */
#include "search/parts.h"

#include "base/utf8.h"

static bool white(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str plain_text(struct arena *arena, struct str text)
{
    char  *out = arena_alloc_raw(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.s[i] > ' ') out[n++] = text.s[i]; /* other control characters are no text either */
        else if (n && out[n - 1] != ' ') out[n++] = ' ';
    }
    while (n && out[n - 1] == ' ') n--;
    return (struct str){out, n};
}

struct str content_after_title(struct str title, struct str content)
{
    struct str rest = content, line;
    if (!str_cut(&rest, '\n', &line)) return content;
    struct str bare = str_trim(text_without_label(title)), first = str_trim(line);
    /* A title that was cut ends in "..." and repeats only the beginning of the line. */
    if (str_ends(bare, STR("..."))) bare = str_trim(str_slice(bare, 0, bare.n - 3));
    if (bare.n == 0 || !str_starts(first, bare)) return content;
    struct str left = str_trim(rest);
    return left.n ? left : content;
}

static bool continues(char c) /* a byte inside a code point */
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Where the last whole word within `limit` characters after `from` ends. */
static size_t cut_end(struct str text, size_t from, size_t limit)
{
    size_t i = from, count = 0;
    while (i < text.n && count < limit) {
        i++;
        while (i < text.n && continues(text.s[i])) i++;
        count++;
    }
    if (i >= text.n || white(text.s[i])) return i;
    size_t end = i;
    while (end > from && !white(text.s[end - 1])) end--;
    if (end > from) end--;
    return end > from + (i - from) / 2 ? end : i; /* one endless word is cut inside */
}

struct str snippet_opening(struct arena *arena, struct str plain, size_t characters)
{
    if (cut_end(plain, 0, characters) >= plain.n) return plain;
    size_t end = cut_end(plain, 0, characters - 4);
    return str_printf(arena, STR_FMT " ...", STR_ARG(str_slice(plain, 0, end)));
}

/* The densest window: the run of matches within `span` bytes whose distinct kinds weigh most; the earliest of equals. */
static bool best_window(struct arena *arena, const struct matcher *matcher, struct matches found, size_t span,
                        size_t *from, size_t *to)
{
    uint32_t *held = NEW_ARRAY(arena, uint32_t, matcher_kinds(matcher));
    double    weight = 0, best = 0;
    size_t    first = 0;
    for (size_t last = 0; last < found.n; last++) {
        if (held[found.at[last].what]++ == 0) weight += matcher_weight(matcher, found.at[last].what);
        for (; found.at[last].to - found.at[first].from > span && first < last; first++)
            if (--held[found.at[first].what] == 0) weight -= matcher_weight(matcher, found.at[first].what);
        if (weight > best + 1e-9) {
            best = weight;
            *from = found.at[first].from;
            *to = found.at[last].to;
        }
    }
    return best > 0;
}

/* Begin with the sentence if it starts shortly before, else with a word some way before the first match. */
static size_t begin_of_passage(struct str text, size_t from, size_t room)
{
    size_t farthest = from > room ? from - room : 0;
    if (farthest == 0) return 0;
    for (size_t i = from; i > farthest; i--)
        if (text.s[i - 1] == ' ' && i >= 2 && (text.s[i - 2] == '.' || text.s[i - 2] == '!' || text.s[i - 2] == '?'))
            return i;
    for (size_t i = from > room / 2 ? from - room / 2 : 0; i < from; i++)
        if (text.s[i] == ' ') return i + 1;
    size_t i = from;
    while (i < text.n && continues(text.s[i])) i++;
    return i;
}

struct str snippet_best(struct arena *arena, struct matcher *matcher, struct str plain)
{
    enum { SPAN = SEARCH_SNIPPET - 60 };
    size_t from = 0, to = 0;
    if (cut_end(plain, 0, SEARCH_SNIPPET) >= plain.n) return plain;
    if (!matcher) return snippet_opening(arena, plain, SEARCH_SNIPPET);
    struct matches found = matcher_find(matcher, arena, plain);
    if (!best_window(arena, matcher, found, SPAN, &from, &to)) return snippet_opening(arena, plain, SEARCH_SNIPPET);
    size_t used = to - from < SPAN ? to - from : SPAN;
    size_t begin = begin_of_passage(plain, from, (SEARCH_SNIPPET - 10 - used) * 2 / 3);
    if (begin == 0) return snippet_opening(arena, plain, SEARCH_SNIPPET);
    size_t end = cut_end(plain, begin, SEARCH_SNIPPET - 8);
    return str_printf(arena, "... " STR_FMT "%s", STR_ARG(str_slice(plain, begin, end)), end < plain.n ? " ..." : "");
}
