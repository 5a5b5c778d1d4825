/* seal.c - secrets at rest: AES-256-GCM, bound to the place they are stored in (spec/console.md 6).
 *
 * DESIGN. A sealed secret is "v1.<key id>." and base64 of nonce (12 bytes), tag (16) and ciphertext. The nonce is
 * random, which is safe for some 2^32 seals with one key (NIST SP 800-38D, 8.3). Table, column and row are associated
 * data, so a sealed text that is copied to another row does not open there. The cipher is libcrypto's: libsodium has it
 * only on processors with AES instructions.
 */
#include "crypto/keys.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { NONCE_BYTES = 12, TAG_BYTES = 16, OVERHEAD = NONCE_BYTES + TAG_BYTES, MAX_SECRET = 1 << 20 };
#define VERSION "v1."

static const struct crypto_place canary_place = {"canary", "sealed", {"1", 1}};
static const struct str canary = {"lightfast canary", 16};

/* Neither a table nor a column has a "/" in its name, so no two places give the same text. */
static struct str place_text(struct arena *arena, struct crypto_place place)
{
    return str_printf(arena, "%s/%s/" STR_FMT, place.table, place.column, STR_ARG(place.row));
}

static EVP_CIPHER_CTX *cipher_new(void)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (!cipher) {
        fputs("lightfast: out of memory (cipher)\n", stderr);
        abort();
    }
    return cipher;
}

/* Into out: nonce, tag, ciphertext. */
static bool encrypt(const struct crypto_key *key, struct str place, struct str plain, unsigned char *out)
{
    unsigned char *nonce = out, *tag = out + NONCE_BYTES, *text = out + OVERHEAD;
    int n, end;
    EVP_CIPHER_CTX *cipher = cipher_new();
    randombytes_buf(nonce, NONCE_BYTES);
    bool done = EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
                EVP_EncryptUpdate(cipher, NULL, &n, (const unsigned char *)place.s, (int)place.n) == 1 &&
                EVP_EncryptUpdate(cipher, text, &n, (const unsigned char *)plain.s, (int)plain.n) == 1 &&
                EVP_EncryptFinal_ex(cipher, text + n, &end) == 1 &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return done;
}

/* sealed has at least OVERHEAD bytes; out gets the rest. False: not made with this key and place, or changed. */
static bool decrypt(const struct crypto_key *key, struct str place, struct str sealed, unsigned char *out)
{
    const unsigned char *nonce = (const unsigned char *)sealed.s, *tag = nonce + NONCE_BYTES, *text = nonce + OVERHEAD;
    int n, end, length = (int)(sealed.n - OVERHEAD);
    EVP_CIPHER_CTX *cipher = cipher_new();
    bool done = EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
                EVP_DecryptUpdate(cipher, NULL, &n, (const unsigned char *)place.s, (int)place.n) == 1 &&
                EVP_DecryptUpdate(cipher, out, &n, text, length) == 1 &&
                EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, (void *)tag) == 1 &&
                EVP_DecryptFinal_ex(cipher, out + n, &end) == 1;
    EVP_CIPHER_CTX_free(cipher);
    return done;
}

/* ---- the stored text --------------------------------------------------------------------------------------------- */

struct str crypto_sealed_key(struct str sealed)
{
    struct str rest = str_skip(sealed, strlen(VERSION));
    if (!str_starts(sealed, STR(VERSION)) || str_find_char(rest, '.', 0) != KEY_ID_CHARS) return (struct str){0};
    return str_slice(rest, 0, KEY_ID_CHARS);
}

static const struct crypto_key *find_key(const struct crypto_keys *keys, struct str id)
{
    for (size_t i = 0; i < keys->n; i++)
        if (str_eq(id, crypto_key_id(keys, i))) return &keys->at[i];
    return NULL;
}

struct err *crypto_seal(struct arena *arena, const struct crypto_keys *keys, struct crypto_place place,
                        struct str plain, struct str *sealed)
{
    if (plain.n > MAX_SECRET) return err_new(arena, ERR_TOO_LARGE, "a secret of more than %d bytes", MAX_SECRET);
    size_t n = OVERHEAD + plain.n;
    unsigned char *bytes = arena_alloc_raw(arena, n);
    if (!plain.s) plain = STR("");
    if (!encrypt(&keys->at[0], place_text(arena, place), plain, bytes))
        return err_new(arena, ERR_INTERNAL, "cannot seal a secret of %s.%s", place.table, place.column);
    struct str text = crypto_base64(arena, (struct str){(const char *)bytes, n});
    *sealed = str_printf(arena, VERSION STR_FMT "." STR_FMT, STR_ARG(crypto_key_id(keys, 0)), STR_ARG(text));
    return NULL;
}

struct err *crypto_unseal(struct arena *arena, const struct crypto_keys *keys, struct crypto_place place,
                          struct str sealed, struct str *plain)
{
    struct str id = crypto_sealed_key(sealed), bytes;
    if (!id.n) return err_new(arena, ERR_INTERNAL, "what is stored in %s.%s is not sealed", place.table, place.column);
    const struct crypto_key *key = find_key(keys, id);
    if (!key)
        return err_new(arena, ERR_UNAVAILABLE,
                       "%s.%s is sealed with key " STR_FMT ", which encryption_key does not list", place.table,
                       place.column, STR_ARG(id));
    if (!crypto_base64_decode(arena, str_skip(sealed, strlen(VERSION) + KEY_ID_CHARS + 1), &bytes) ||
        bytes.n < OVERHEAD || bytes.n - OVERHEAD > MAX_SECRET)
        return err_new(arena, ERR_INTERNAL, "what is stored in %s.%s is damaged", place.table, place.column);
    size_t n = bytes.n - OVERHEAD;
    char *out = arena_alloc_raw(arena, n + 1);
    if (!decrypt(key, place_text(arena, place), bytes, (unsigned char *)out)) {
        sodium_memzero(out, n);
        return err_new(arena, ERR_INTERNAL,
                       "a secret of %s.%s does not open: it was changed, or moved from another row", place.table,
                       place.column);
    }
    *plain = (struct str){out, n};
    return NULL;
}

struct err *crypto_reseal(struct arena *arena, const struct crypto_keys *keys, struct crypto_place place,
                          struct str *sealed)
{
    struct str plain;
    if (str_eq(crypto_sealed_key(*sealed), crypto_key_id(keys, 0))) return NULL;
    TRY(crypto_unseal(arena, keys, place, *sealed, &plain));
    struct err *failed = crypto_seal(arena, keys, place, plain, sealed);
    crypto_wipe((char *)plain.s, plain.n);
    return failed;
}

/* ---- the canary -------------------------------------------------------------------------------------------------- */

struct err *crypto_canary(struct arena *arena, const struct crypto_keys *keys, struct str *sealed)
{
    return crypto_seal(arena, keys, canary_place, canary, sealed);
}

struct err *crypto_canary_check(struct arena *arena, const struct crypto_keys *keys, struct str *sealed)
{
    struct str plain;
    struct err *failed = crypto_unseal(arena, keys, canary_place, *sealed, &plain);
    if (failed || !str_eq(plain, canary))
        return err_new(arena, ERR_INVALID,
                       "this database was written with another encryption key (id " STR_FMT
                       "); list it in encryption_key after the new one",
                       STR_ARG(crypto_sealed_key(*sealed)));
    return crypto_reseal(arena, keys, canary_place, sealed);
}
