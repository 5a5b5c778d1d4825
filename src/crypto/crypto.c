#include "crypto/crypto.h"

#include "base/id.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

void crypto_start(void)
{
    if (sodium_init() < 0) {
        fputs("lightfast: libsodium does not start\n", stderr);
        abort();
    }
}

struct str crypto_token(struct arena *arena, const char *prefix, size_t n)
{
    size_t at = strlen(prefix);
    char  *token = arena_alloc_raw(arena, at + n + 1);
    memcpy(token, prefix, at);
    id_random_chars(token + at, n);
    token[at + n] = 0;
    return (struct str){token, at + n};
}

bool crypto_equal(struct str a, struct str b)
{
    return a.n == b.n && sodium_memcmp(a.s, b.s, a.n) == 0;
}

void crypto_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}
