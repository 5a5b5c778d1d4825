/* id.h - public ids: a prefix and 21 characters of [0-9A-Za-z]. The first 8 tell the millisecond of their making, so
 * that rows made together lie together in an index of ids; the other 13 are random (77 bits). Secrets are all random:
 * crypto_token. */
#pragma once
#include "base/str.h"

enum { ID_CHARS = 21, ID_TIME_CHARS = 8 };

/* id_new(arena, "obs_") -> "obs_V1StGXR8Z5jdHi6B4myT0" */
struct str id_new(struct arena *arena, const char *prefix);

/* True if text is prefix + 21 characters of the alphabet. */
bool id_valid(struct str text, const char *prefix);

/* Fill with unbiased characters of [0-9A-Za-z] from the kernel's generator (buffered per thread). */
void id_random_chars(char *out, size_t n);

/* "3f0e0f5e-6a1b-4c0e-9a55-0d7b1c1f2a34", RFC 4122 version 4 */
struct str id_uuid(struct arena *arena);
