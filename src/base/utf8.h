/* utf8.h - well-formed UTF-8 (RFC 3629), counted in code points. Folding and normalisation live in text/. */
#pragma once
#include "base/str.h"

bool   utf8_valid(struct str text);   /* well-formed and without NUL */
size_t utf8_length(struct str text);  /* code points; text must be valid */

/* Each malformed byte sequence becomes U+FFFD, NUL is removed. Returns text itself when nothing was to be done. */
struct str utf8_repair(struct arena *arena, struct str text);

/* The first n code points. */
struct str utf8_head(struct str text, size_t n);

/* Trimmed; if longer than n code points, its first n - 3 and "...". (connector-github.md 1.1) */
struct str utf8_shorten(struct arena *arena, struct str text, size_t n);
