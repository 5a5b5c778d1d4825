/* cite.c - markers in a model's text, held against what it was shown.
 *
 * Text comes in pieces that may end anywhere. It is decided word by word, blanks going with the word behind them, so that
 * a marker that is taken out takes its blank along; a word whose bracket is still open waits for its end.
 */
#include "answer/parts.h"

enum {
    LONGEST_MARKER = 80,  /* bytes; what is longer is no marker */
    LONGEST_LINK = 2000,
    LONGEST_WAIT = 4096,
};

struct citer citer_in(struct arena *arena, const struct sources *sources, int most)
{
    return (struct citer){.arena = arena, .sources = sources, .most = most, .waiting = buf_in(arena),
                          .out = buf_in(arena), .rationale = buf_in(arena)};
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------- */

static bool known(const struct citer *citer, int64_t number)
{
    return number >= 1 && number <= (int64_t)citer->sources->list.n;
}

/* May the source be cited? It is from now on. */
static bool cite(struct citer *citer, int64_t number)
{
    if (!known(citer, number)) return false;
    while (citer->cited.n < (size_t)number) *VEC_PUSH(citer->arena, &citer->cited) = false;
    bool *cited = &citer->cited.at[number - 1];
    if (citer->in_rationale || *cited) return *cited;
    if (citer->cited_count == citer->most) return false;
    citer->cited_count++;
    return *cited = true;
}

static void put_marker(struct citer *citer, struct buf *out, int64_t number, size_t *put)
{
    if (!cite(citer, number)) {
        citer->removed++;
        return;
    }
    buf_printf(out, "[%lld]", (long long)number);
    ++*put;
}

static bool separates(char c)
{
    return c == ' ' || c == ',' || c == ';' || c == '^' || c == '&';
}

/* A number, or a range "2-4" of which every member counts. False: something else stands here. */
static bool next_range(struct str *rest, int64_t *from, int64_t *to)
{
    int64_t *number = from;
    *from = *to = -1;
    size_t i = 0, digits = 0;
    for (; i < rest->n && !separates(rest->s[i]); i++) {
        if (rest->s[i] == '-' && number == from && digits) {
            number = to;
            digits = 0;
            continue;
        }
        if (rest->s[i] < '0' || rest->s[i] > '9' || ++digits > 9) return false;
        *number = (*number < 0 ? 0 : *number) * 10 + (rest->s[i] - '0');
    }
    if (!digits) return false;
    if (*to < 0) *to = *from;
    *rest = str_skip(*rest, i);
    return true;
}

static bool is_marker(struct str inside)
{
    int64_t from, to;
    bool any = false;
    if (str_starts(inside, STR("obs_")) || str_starts(inside, STR("doc_"))) return true;
    while (inside.n) {
        if (separates(inside.s[0])) {
            inside = str_skip(inside, 1);
            continue;
        }
        if (!next_range(&inside, &from, &to)) return false;
        any = true;
    }
    return any;
}

/* Each number for itself; returns how many remain. */
static size_t put_markers(struct citer *citer, struct buf *out, struct str inside)
{
    enum { WIDEST = 50 };
    int64_t from, to;
    size_t put = 0;
    if (str_starts(inside, STR("obs_")) || str_starts(inside, STR("doc_"))) {
        put_marker(citer, out, sources_find(citer->sources, str_trim(inside)), &put);
        return put;
    }
    while (inside.n) {
        if (separates(inside.s[0])) {
            inside = str_skip(inside, 1);
            continue;
        }
        if (!next_range(&inside, &from, &to)) break;
        if (to > from + WIDEST) to = from;
        for (int64_t number = from; number <= to; number++) put_marker(citer, out, number, &put);
    }
    return put;
}

/* ---- text ----------------------------------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool names_something(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ']' || c == ')';
}

static void note_code(struct citer *citer, struct str text, size_t *i)
{
    size_t n = 0;
    while (*i + n < text.n && text.s[*i + n] == '`') n++;
    if (n >= 3) citer->fence = !citer->fence;
    else if (!citer->fence && n % 2) citer->code = !citer->code;
    *i += n;
}

/* The bytes of a marker's link, "(https://...)", which a model made up. */
static size_t link_after(struct str text, size_t at)
{
    if (at >= text.n || text.s[at] != '(') return 0;
    size_t end = str_find_char(text, ')', at);
    return end == SIZE_MAX || end - at > LONGEST_LINK ? 0 : end + 1 - at;
}

static void put_text(struct citer *citer, struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n;) {
        size_t from = i;
        if (text.s[i] == '`') {
            note_code(citer, text, &i);
            buf_str_add(out, str_slice(text, from, i));
            continue;
        }
        if (text.s[i] == '\n') citer->code = false;
        size_t close = text.s[i] == '[' ? str_find_char(text, ']', i) : SIZE_MAX;
        bool index = (citer->code || citer->fence) && out->n && names_something(out->s[out->n - 1]); /* argv[1] */
        if (close == SIZE_MAX || close - i > LONGEST_MARKER || index || !is_marker(str_slice(text, i + 1, close))) {
            buf_char(out, text.s[i++]);
            continue;
        }
        i = close + 1;
        size_t blanks = 0, told = out == &citer->out ? citer->told : 0;
        while (blanks < out->n - told && out->s[out->n - 1 - blanks] == ' ') blanks++;
        if (!put_markers(citer, out, str_slice(text, from + 1, close))) out->n -= blanks;
        i += link_after(text, i);
    }
}

/* ---- the rationale ---------------------------------------------------------------------------------------------------------- */

/* Where a line "Rationale: ..." begins, marks of emphasis before it allowed; SIZE_MAX: nowhere. *behind: its text. */
static size_t find_rationale(struct str text, bool at_line, size_t *behind)
{
    static const struct str word = STR("rationale");
    for (size_t i = 0; i < text.n; i++) {
        if (i ? text.s[i - 1] != '\n' : !at_line) continue;
        size_t k = i;
        while (k < text.n && memchr("*_#> \t", text.s[k], 6)) k++;
        if (!str_starts_nocase(str_skip(text, k), word)) continue;
        k += word.n;
        while (k < text.n && memchr("*_", text.s[k], 2)) k++;
        if (k == text.n || text.s[k] != ':') continue;
        *behind = k + 1;
        return i;
    }
    return SIZE_MAX;
}

/* What stands before the rationale, without the empty lines between; SIZE_MAX: no rationale begins here. */
static size_t before_rationale(const struct citer *citer, struct str text, size_t *behind)
{
    bool at_line = citer->out.n && citer->out.s[citer->out.n - 1] == '\n';
    size_t at = find_rationale(text, at_line, behind);
    while (at != SIZE_MAX && at && is_blank(text.s[at - 1])) at--;
    return at == 0 && !citer->out.n ? SIZE_MAX : at; /* nothing was answered yet */
}

static void tell_sources(struct citer *citer)
{
    struct answer_result so_far;
    if (!citer->listener || !citer->listener->sources) return;
    while (citer->cited.n < citer->sources->list.n) *VEC_PUSH(citer->arena, &citer->cited) = false;
    sources_cited(citer->sources, citer->cited.at, &so_far);
    citer->listener->sources(citer->listener->arg, so_far.citations, so_far.citation_count);
}

static void decide(struct citer *citer, struct str text)
{
    int before = citer->cited_count;
    size_t behind = 0, told = citer->told;
    size_t at = citer->in_rationale ? SIZE_MAX : before_rationale(citer, text, &behind);
    put_text(citer, citer->in_rationale ? &citer->rationale : &citer->out, str_slice(text, 0, at));
    if (at != SIZE_MAX) {
        citer->in_rationale = true;
        put_text(citer, &citer->rationale, str_skip(text, behind));
    }
    citer->told = citer->out.n;
    if (citer->cited_count > before) tell_sources(citer);
    if (citer->out.n > told && citer->listener && citer->listener->text)
        citer->listener->text(citer->listener->arg, str_skip(buf_str(&citer->out), told));
}

/* How much of what waits can be decided: up to the blanks before the last word, before an open bracket. */
static size_t decidable(struct str text)
{
    size_t end = text.n;
    while (end && !is_blank(text.s[end - 1])) end--;
    while (end && is_blank(text.s[end - 1])) end--;
    for (size_t i = end, back = 0; i > 0 && back <= LONGEST_MARKER; i--, back++) {
        if (text.s[i - 1] == ']') break;
        if (text.s[i - 1] != '[') continue;
        end = i - 1;
        while (end && is_blank(text.s[end - 1])) end--;
        break;
    }
    return end;
}

void citer_add(struct citer *citer, struct str text)
{
    buf_str_add(&citer->waiting, text);
    struct str waiting = buf_str(&citer->waiting);
    while (!citer->out.n && waiting.n && is_blank(waiting.s[0])) waiting = str_skip(waiting, 1);
    size_t n = decidable(waiting);
    if (waiting.n - n > LONGEST_WAIT) n = waiting.n;
    if (!n) return;
    decide(citer, str_slice(waiting, 0, n));
    memmove(citer->waiting.s, waiting.s + n, waiting.n - n);
    citer->waiting.n = waiting.n - n;
}

static struct str bare(struct str text)
{
    text = str_trim(text);
    while (text.n && memchr("*_ \n", text.s[0], 4)) text = str_skip(text, 1);
    while (text.n && memchr("*_ \n", text.s[text.n - 1], 4)) text.n--;
    return text;
}

void citer_end(struct citer *citer, struct answer_result *result)
{
    struct str left = buf_str(&citer->waiting);
    while (left.n && is_blank(left.s[left.n - 1])) left.n--;
    if (!citer->out.n) left = str_trim(left);
    decide(citer, left);
    citer->waiting.n = 0;
    while (citer->cited.n < citer->sources->list.n) *VEC_PUSH(citer->arena, &citer->cited) = false;
    result->content = buf_str(&citer->out);
    result->rationale = bare(buf_str(&citer->rationale));
    sources_cited(citer->sources, citer->cited.at, result);
    if (citer->removed)
        answer_warn(citer->arena, result, "%zu marker%s without a source %s removed", citer->removed,
             citer->removed == 1 ? "" : "s", citer->removed == 1 ? "was" : "were");
    if (!result->citation_count && result->content.n) answer_warn(citer->arena, result, "The answer cites no source");
}
