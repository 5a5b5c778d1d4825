/* highlight.c - a text with the query's words marked, safe to put into a page. */
#include "search/parts.h"

static const struct { char c; const char *entity; } escapes[] = {
    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#x27;"},
};

static const char *escape_of(char c)
{
    if (c > '>') return NULL; /* none of them: most characters */
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (escapes[i].c == c) return escapes[i].entity;
    return NULL;
}

static void escape(struct buf *out, struct str text)
{
    size_t copied = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *entity = escape_of(text.s[i]);
        if (!entity) continue;
        buf_bytes(out, text.s + copied, i - copied);
        buf_str_add(out, str_of(entity));
        copied = i + 1;
    }
    buf_bytes(out, text.s + copied, text.n - copied);
}

/* Is there nothing but white space between two places? */
static bool joined(struct str text, size_t from, size_t to)
{
    return from >= to || str_trim(str_slice(text, from, to)).n == 0;
}

struct str highlight(struct arena *arena, struct matcher *matcher, struct str text)
{
    struct matches found = matcher_find(matcher, arena, text);
    struct buf     out = buf_in(arena);
    size_t         written = 0, marks = 0;
    for (size_t i = 0; i < found.n && marks < SEARCH_MARKS; marks++) {
        size_t from = found.at[i].from, to = found.at[i].to;
        for (i++; i < found.n && joined(text, to, found.at[i].from); i++)
            if (found.at[i].to > to) to = found.at[i].to;
        escape(&out, str_slice(text, written, from));
        buf_lit(&out, "<mark>");
        escape(&out, str_slice(text, from, to));
        buf_lit(&out, "</mark>");
        written = to;
    }
    escape(&out, str_skip(text, written));
    return buf_str(&out);
}
