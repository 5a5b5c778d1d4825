/* str.h - text as pointer and length.
 *
 * A struct str does not own its bytes and is not NUL-terminated; s == NULL means "no text" (SQL NULL, JSON absent),
 * which is different from the empty text but compares equal to it. Functions that return a str point into their
 * argument where they can (trim, slice, cut) and into the arena where they must.
 */
#pragma once
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

struct str {
    const char *s;
    size_t      n;
};

/* Binary data, kept apart from text so that the database binds it as such. */
struct bytes {
    const void *p;
    size_t      n;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1}) /* a string literal */
#define STR_FMT "%.*s"
#define STR_ARG(x) (int)(x).n, (x).s ? (x).s : ""

static inline struct str str_of(const char *z) { return (struct str){z, z ? strlen(z) : 0}; }

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

int  str_cmp(struct str a, struct str b);          /* byte order, shorter first */
bool str_eq_nocase(struct str a, struct str b);    /* ASCII only */
bool str_starts(struct str text, struct str with);
bool str_ends(struct str text, struct str with);
bool str_starts_nocase(struct str text, struct str with);

/* Position of the first occurrence at or after `from`, or SIZE_MAX. */
size_t str_find(struct str text, struct str part, size_t from);
size_t str_find_char(struct str text, char c, size_t from);

struct str str_slice(struct str text, size_t from, size_t to); /* bounds are clamped */
struct str str_skip(struct str text, size_t n);
struct str str_trim(struct str text); /* ASCII white space on both ends */

/* Cut at the first `separator`: *head gets what stands before it, *rest what follows. False at the end of text:
 *     for (struct str rest = text, line; str_cut(&rest, '\n', &line);) ...  */
bool str_cut(struct str *rest, char separator, struct str *head);

struct str  str_dup(struct arena *arena, struct str text);
const char *str_z(struct arena *arena, struct str text); /* NUL-terminated copy, ends at the first NUL */
struct str  str_lower(struct arena *arena, struct str text); /* ASCII */
struct str  str_upper(struct arena *arena, struct str text); /* ASCII */
struct str  str_two_lines(struct arena *arena, struct str first, struct str second); /* with a line break between */
struct str  str_join(struct arena *arena, const struct str *parts, size_t n, struct str separator);
struct str  str_replace(struct arena *arena, struct str text, struct str what, struct str with);
struct str  str_vprintf(struct arena *arena, const char *format, va_list args);
struct str  str_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A whole decimal number without surroundings; false if it is not one or does not fit. */
bool str_to_int(struct str text, int64_t *value);

/* A text under construction in an arena. */
struct buf {
    struct arena *arena;
    char         *s;
    size_t        n, capacity;
};

static inline struct buf buf_in(struct arena *arena) { return (struct buf){.arena = arena}; }
static inline struct str buf_str(const struct buf *b) { return (struct str){b->s ? b->s : "", b->n}; }

void buf_reserve(struct buf *b, size_t more);
void buf_bytes(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void buf_str_add(struct buf *b, struct str text) { buf_bytes(b, text.s, text.n); }
static inline void buf_char(struct buf *b, char c)
{
    if (b->n == b->capacity) buf_reserve(b, 1);
    b->s[b->n++] = c;
}
#define buf_lit(b, literal) buf_bytes((b), ("" literal), sizeof(literal) - 1)

/* A growing array in an arena: struct { T *at; size_t n, capacity; } v = {0}; *VEC_PUSH(arena, &v) = x; */
#define VEC(type)            \
    struct {                 \
        type  *at;           \
        size_t n, capacity;  \
    }
#define VEC_PUSH(arena, v)                                                                                        \
    ((v)->n == (v)->capacity                                                                                      \
         ? (void)((v)->at = arena_grow((arena), (v)->at, (v)->n * sizeof *(v)->at,                                \
                                       ((v)->n ? (v)->n * 2 : 8) * sizeof *(v)->at),                              \
                  (v)->capacity = (v)->n ? (v)->n * 2 : 8)                                                        \
         : (void)0,                                                                                               \
     memset(&(v)->at[(v)->n], 0, sizeof *(v)->at), &(v)->at[(v)->n++])
