/* digest.c - digests and keyed digests. libcrypto rather than libsodium: it uses the processor's own SHA rounds, and a
 * delivery may be 25 MB. */
#include "crypto/crypto.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static const struct digest_row {
    const char *name;
    size_t bytes;
} digests[] = {
    [CRYPTO_SHA256] = {"SHA256", CRYPTO_SHA256_BYTES},
    [CRYPTO_SHA1] = {"SHA1", CRYPTO_SHA1_BYTES},
};
enum { DIGESTS = sizeof digests / sizeof *digests };

/* Looking an algorithm up costs more than a small digest: contexts with it, without a key, made once and only copied.
 */
static EVP_MAC_CTX *unkeyed[DIGESTS];
static EVP_MD *sha256;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void must(bool worked)
{
    if (worked) return;
    fputs("lightfast: libcrypto does not compute a digest\n", stderr);
    abort();
}

static void prepare(void)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(hmac);
    for (int i = 0; i < DIGESTS; i++) {
        OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digests[i].name, 0),
                                   OSSL_PARAM_construct_end()};
        unkeyed[i] = EVP_MAC_CTX_new(hmac);
        must(unkeyed[i] && EVP_MAC_CTX_set_params(unkeyed[i], parameters));
    }
    EVP_MAC_free(hmac);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(sha256);
}

size_t crypto_hmac(enum crypto_digest digest, struct str key, struct str data, unsigned char out[CRYPTO_MAX_DIGEST])
{
    assert((unsigned)digest < DIGESTS);
    size_t written = 0;
    pthread_once(&prepared, prepare);
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(unkeyed[digest]);
    must(context && EVP_MAC_init(context, (const unsigned char *)(key.n ? key.s : ""), key.n, NULL) &&
         EVP_MAC_update(context, (const unsigned char *)(data.n ? data.s : ""), data.n) &&
         EVP_MAC_final(context, out, &written, CRYPTO_MAX_DIGEST));
    EVP_MAC_CTX_free(context);
    assert(written == digests[digest].bytes);
    return written;
}

struct str crypto_sha256_hex(struct arena *arena, struct str data)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    char *hex = arena_alloc_raw(arena, 2 * sizeof digest + 1);
    pthread_once(&prepared, prepare);
    must(EVP_Digest(data.n ? data.s : "", data.n, digest, NULL, sha256, NULL));
    sodium_bin2hex(hex, 2 * sizeof digest + 1, digest, sizeof digest);
    return (struct str){hex, 2 * sizeof digest};
}

bool crypto_hex_decode(struct str hex, unsigned char *out, size_t n)
{
    size_t written = 0;
    const char *end = NULL;
    return hex.n == 2 * n && sodium_hex2bin(out, n, hex.s, hex.n, NULL, &written, &end) == 0 && written == n &&
           end == hex.s + hex.n;
}
