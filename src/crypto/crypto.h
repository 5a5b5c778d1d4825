/* crypto.h - hashes, random tokens and comparison in constant time, from libsodium. */
#pragma once
#include "base/str.h"

void crypto_start(void); /* once, before threads start */

/* SHA-256 as 64 lower-case hex digits. */
struct str crypto_sha256_hex(struct arena *arena, struct str data);

/* prefix + n random characters of [0-9A-Za-z], from the kernel's generator. */
struct str crypto_token(struct arena *arena, const char *prefix, size_t n);

/* Equality without telling by time where the difference is. */
bool crypto_equal(struct str a, struct str b);

/* Overwrite a secret that is no longer needed. */
void crypto_wipe(void *p, size_t n);
