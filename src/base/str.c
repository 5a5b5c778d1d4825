/* str.c - sized strings, buffers. */
#include "base/str.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int    order = n ? memcmp(a.s, b.s, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.n == b.n && str_starts_nocase(a, b);
}

bool str_starts(struct str text, struct str with)
{
    return text.n >= with.n && str_eq((struct str){text.s, with.n}, with);
}

bool str_ends(struct str text, struct str with)
{
    return text.n >= with.n && str_eq(str_skip(text, text.n - with.n), with);
}

bool str_starts_nocase(struct str text, struct str with)
{
    if (text.n < with.n) return false;
    for (size_t i = 0; i < with.n; i++)
        if (lower(text.s[i]) != lower(with.s[i])) return false;
    return true;
}

size_t str_find(struct str text, struct str part, size_t from)
{
    if (from > text.n) return SIZE_MAX;
    if (part.n == 0) return from;
    if (text.n - from < part.n) return SIZE_MAX;
    const char *found = memmem(text.s + from, text.n - from, part.s, part.n);
    return found ? (size_t)(found - text.s) : SIZE_MAX;
}

size_t str_find_char(struct str text, char c, size_t from)
{
    if (from >= text.n) return SIZE_MAX;
    const char *found = memchr(text.s + from, c, text.n - from);
    return found ? (size_t)(found - text.s) : SIZE_MAX;
}

struct str str_slice(struct str text, size_t from, size_t to)
{
    if (to > text.n) to = text.n;
    if (from > to) from = to;
    return (struct str){text.s ? text.s + from : NULL, to - from};
}

struct str str_skip(struct str text, size_t n)
{
    return str_slice(text, n, text.n);
}

struct str str_trim(struct str text)
{
    size_t from = 0, to = text.n;
    while (from < to && is_space(text.s[from])) from++;
    while (to > from && is_space(text.s[to - 1])) to--;
    return str_slice(text, from, to);
}

bool str_cut(struct str *rest, char separator, struct str *head)
{
    if (!rest->s) return false;
    size_t at = str_find_char(*rest, separator, 0);
    if (at == SIZE_MAX) {
        *head = *rest;
        *rest = (struct str){0};
        return true;
    }
    *head = str_slice(*rest, 0, at);
    *rest = str_skip(*rest, at + 1);
    return true;
}

struct str str_dup(struct arena *arena, struct str text)
{
    if (!text.s) return text;
    char *copy = arena_alloc_raw(arena, text.n + 1);
    if (text.n) memcpy(copy, text.s, text.n);
    copy[text.n] = 0;
    return (struct str){copy, text.n};
}

const char *str_z(struct arena *arena, struct str text)
{
    return text.s ? str_dup(arena, text).s : "";
}

struct str str_lower(struct arena *arena, struct str text)
{
    char *copy = arena_alloc_raw(arena, text.n + 1);
    for (size_t i = 0; i < text.n; i++) copy[i] = lower(text.s[i]);
    copy[text.n] = 0;
    return (struct str){copy, text.n};
}

struct str str_upper(struct arena *arena, struct str text)
{
    char *copy = arena_alloc_raw(arena, text.n + 1);
    for (size_t i = 0; i < text.n; i++) copy[i] = upper(text.s[i]);
    copy[text.n] = 0;
    return (struct str){copy, text.n};
}

struct str str_two_lines(struct arena *arena, struct str first, struct str second)
{
    struct buf b = buf_in(arena);
    buf_reserve(&b, first.n + 1 + second.n);
    buf_str_add(&b, first);
    buf_char(&b, '\n');
    buf_str_add(&b, second);
    return buf_str(&b);
}

struct str str_join(struct arena *arena, const struct str *parts, size_t n, struct str separator)
{
    struct buf b = buf_in(arena);
    for (size_t i = 0; i < n; i++) {
        if (i) buf_str_add(&b, separator);
        buf_str_add(&b, parts[i]);
    }
    return buf_str(&b);
}

struct str str_replace(struct arena *arena, struct str text, struct str what, struct str with)
{
    if (what.n == 0 || str_find(text, what, 0) == SIZE_MAX) return text;
    struct buf b = buf_in(arena);
    size_t     from = 0, at;
    while ((at = str_find(text, what, from)) != SIZE_MAX) {
        buf_bytes(&b, text.s + from, at - from);
        buf_str_add(&b, with);
        from = at + what.n;
    }
    buf_str_add(&b, str_skip(text, from));
    return buf_str(&b);
}

struct str str_vprintf(struct arena *arena, const char *format, va_list args)
{
    char    shorter[256]; /* most are: then it is written once */
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(shorter, sizeof shorter, format, args);
    assert(n >= 0);
    char *s = arena_alloc_raw(arena, (size_t)n + 1);
    if ((size_t)n < sizeof shorter) memcpy(s, shorter, (size_t)n + 1);
    else vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return (struct str){s, (size_t)n};
}

struct str str_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = str_vprintf(arena, format, args);
    va_end(args);
    return text;
}

bool str_to_int(struct str text, int64_t *value)
{
    char digits[24];
    if (text.n == 0 || text.n >= sizeof digits) return false;
    if (text.s[0] != '-' && !isdigit((unsigned char)text.s[0])) return false;
    memcpy(digits, text.s, text.n);
    digits[text.n] = 0;
    char *end;
    errno = 0;
    long long parsed = strtoll(digits, &end, 10);
    if (errno || *end || end == digits) return false;
    *value = parsed;
    return true;
}

void buf_reserve(struct buf *b, size_t more)
{
    if (b->n + more <= b->capacity) return;
    size_t wanted = b->capacity ? b->capacity * 2 : 256;
    if (wanted < b->n + more) wanted = b->n + more;
    b->s = arena_grow(b->arena, b->s, b->capacity, wanted);
    b->capacity = wanted;
}

void buf_bytes(struct buf *b, const void *p, size_t n)
{
    if (n == 0) return;
    buf_reserve(b, n);
    memcpy(b->s + b->n, p, n);
    b->n += n;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);
    buf_reserve(b, (size_t)n + 1);
    vsnprintf(b->s + b->n, (size_t)n + 1, format, again);
    va_end(again);
    b->n += (size_t)n;
}
