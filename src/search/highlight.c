/* highlight.c - a text with the query's words marked, safe to put into a page. */
#include "search/parts.h"

static void escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.s[i]) {
        case '&': buf_lit(out, "&amp;"); break;
        case '<': buf_lit(out, "&lt;"); break;
        case '>': buf_lit(out, "&gt;"); break;
        case '"': buf_lit(out, "&quot;"); break;
        case '\'': buf_lit(out, "&#x27;"); break;
        default: buf_char(out, text.s[i]);
        }
    }
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
