/* cite.c - markers in a model's text, held against what it was shown.
 *
 * Text comes in pieces that may end anywhere. It is decided word by word, blanks going with the word behind them, so
 * that a marker that is taken out takes its blank along; a word whose bracket is still open waits for its end.
 */
#include "answer/parts.h"

enum {
    LONGEST_MARKER = 80, /* bytes; what is longer is no marker */
    LONGEST_WAIT = 4096,
};

struct citer citer_in(struct arena *arena, const struct sources *sources, int most)
{
    return (struct citer){.arena = arena,
                          .sources = sources,
                          .most = most,
                          .waiting = buf_in(arena),
                          .out = buf_in(arena),
                          .rationale = buf_in(arena)};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool names_something(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ']' || c == ')';
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

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

/* An item's id in the place of its number. */
static bool is_id(struct str inside)
{
    if (!str_starts(inside, STR("obs_")) && !str_starts(inside, STR("doc_"))) return false;
    for (size_t i = 0; i < inside.n; i++)
        if (!names_something(inside.s[i]) || inside.s[i] == ')') return false;
    return true;
}

static bool is_marker(struct str inside)
{
    int64_t from, to;
    bool    any = false;
    if (is_id(inside)) return true;
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
    size_t  put = 0;
    if (is_id(inside)) {
        put_marker(citer, out, sources_find(citer->sources, inside), &put);
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

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void note_code(struct citer *citer, struct str text, size_t *i)
{
    size_t n = 0;
    while (*i + n < text.n && text.s[*i + n] == '`') n++;
    if (n >= 3)
        citer->fence = !citer->fence;
    else if (!citer->fence && n % 2)
        citer->code = !citer->code;
    *i += n;
}

/* The bytes of a marker's link, "(https://...)", which a model made up. It has neither blanks nor brackets, so it is
 * decided together with its marker. */
static size_t link_after(struct str text, size_t at)
{
    if (at >= text.n || text.s[at] != '(') return 0;
    size_t end = at;
    while (end < text.n && !is_blank(text.s[end]) && text.s[end] != ')' && text.s[end] != '[') end++;
    return end < text.n && text.s[end] == ')' ? end + 1 - at : 0;
}

/* The "!" that makes a picture of what follows. Whoever shows a picture fetches it, and so tells its address to a
 * server that a stored text has named; a link waits for a reader. */
static bool makes_picture(struct str text, size_t i)
{
    if (text.s[i] != '!' || i + 1 >= text.n || text.s[i + 1] != '[') return false;
    size_t close = str_find_char(text, ']', i);
    return close == SIZE_MAX || !is_marker(str_slice(text, i + 2, close));
}

static void put_text(struct citer *citer, struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n;) {
        size_t from = i;
        if (!citer->code && !citer->fence && makes_picture(text, i)) {
            i++;
            continue;
        }
        if (!out->n && is_blank(text.s[i])) {
            i++;
            continue;
        }
        if (text.s[i] == '`') {
            note_code(citer, text, &i);
            buf_str_add(out, str_slice(text, from, i));
            continue;
        }
        if (text.s[i] == '\n') citer->code = false;
        size_t close = text.s[i] == '[' ? str_find_char(text, ']', i) : SIZE_MAX;
        char   before = out->n ? out->s[out->n - 1] : ' ';
        bool   index = (citer->code || citer->fence) && (names_something(before) || before == '!'); /* argv[1], vec![1] */
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

/* ---- the rationale ----------------------------------------------------------------------------------------------- */

/* The bytes of "Rationale:" at the beginning of a line, marks of emphasis allowed; 0: something else. */
static size_t rationale_mark(struct str line)
{
    static const struct str word = STR("rationale");
    size_t                  k = 0;
    while (k < line.n && (line.s[k] == ' ' || line.s[k] == '\t')) k++;
    while (k < line.n && memchr("*_", line.s[k], 2)) k++;
    if (!str_starts_nocase(str_skip(line, k), word)) return 0;
    k += word.n;
    while (k < line.n && memchr("*_", line.s[k], 2)) k++;
    return k < line.n && line.s[k] == ':' ? k + 1 : 0;
}

/* Where the answer ends because its rationale follows, the empty lines between left out; SIZE_MAX: nowhere. *behind:
 * where the rationale's text begins. What the answer begins with is no rationale. */
static size_t before_rationale(const struct citer *citer, struct str text, size_t *behind)
{
    for (size_t i = 0; i < text.n; i++) {
        if (i ? text.s[i - 1] != '\n' : !citer->at_line) continue;
        size_t mark = rationale_mark(str_skip(text, i)), at = i;
        while (at && is_blank(text.s[at - 1])) at--;
        if (!mark || (at == 0 && !citer->begun)) continue;
        *behind = i + mark;
        return at;
    }
    return SIZE_MAX;
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
    int    before = citer->cited_count;
    size_t behind = 0, told = citer->told;
    size_t at = citer->in_rationale ? SIZE_MAX : before_rationale(citer, text, &behind);
    put_text(citer, citer->in_rationale ? &citer->rationale : &citer->out, str_slice(text, 0, at));
    if (at != SIZE_MAX) {
        citer->in_rationale = true;
        put_text(citer, &citer->rationale, str_skip(text, behind));
    }
    citer->begun |= str_trim(text).n > 0;
    if (text.n) citer->at_line = text.s[text.n - 1] == '\n';
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
        while (end && text.s[end - 1] == '!') end--;
        while (end && is_blank(text.s[end - 1])) end--;
        break;
    }
    return end;
}

void citer_add(struct citer *citer, struct str text)
{
    buf_str_add(&citer->waiting, text);
    struct str waiting = buf_str(&citer->waiting);
    size_t     n = decidable(waiting);
    if (waiting.n - n > LONGEST_WAIT) n = waiting.s[waiting.n - 1] == '!' ? waiting.n - 1 : waiting.n;
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
