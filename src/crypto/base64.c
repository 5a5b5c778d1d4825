/* base64.c - RFC 4648 section 4, with padding, from libsodium. */
#include "crypto/crypto.h"

#include <sodium.h>

struct str crypto_base64(struct arena *arena, struct str data)
{
    size_t size = sodium_base64_encoded_len(data.n, sodium_base64_VARIANT_ORIGINAL); /* with a NUL */
    char *text = arena_alloc_raw(arena, size);
    sodium_bin2base64(text, size, (const unsigned char *)(data.s ? data.s : ""), data.n,
                      sodium_base64_VARIANT_ORIGINAL);
    return (struct str){text, size - 1};
}

bool crypto_base64_decode(struct arena *arena, struct str text, struct str *data)
{
    size_t n, most = text.n / 4 * 3 + 3;
    char *bytes = arena_alloc_raw(arena, most);
    const char *end;
    int failed = sodium_base642bin((unsigned char *)bytes, most, text.s ? text.s : "", text.n, NULL, &n, &end,
                                   sodium_base64_VARIANT_ORIGINAL);
    if (failed || end != (text.s ? text.s + text.n : end)) return false;
    *data = (struct str){bytes, n};
    return true;
}
