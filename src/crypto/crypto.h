/* crypto.h - hashes, signatures, random tokens and comparison in constant time, from libsodium and libcrypto. */
#pragma once
#include "base/err.h"

void crypto_start(void); /* once, before threads start */

/* SHA-256 as 64 lower-case hex digits. */
struct str crypto_sha256_hex(struct arena *arena, struct str data);

/* HMAC over exact bytes (RFC 2104); the key may be empty. Returns the number of bytes written: 32 or 20. */
enum crypto_digest { CRYPTO_SHA256, CRYPTO_SHA1 };
enum { CRYPTO_SHA256_BYTES = 32, CRYPTO_SHA1_BYTES = 20, CRYPTO_MAX_DIGEST = 32 };
size_t crypto_hmac(enum crypto_digest digest, struct str key, struct str data, unsigned char out[CRYPTO_MAX_DIGEST]);

/* Hex digits of any case into exactly n bytes; false if the text is anything else. */
bool crypto_hex_decode(struct str hex, unsigned char *out, size_t n);

/* prefix + n random characters of [0-9A-Za-z], from the kernel's generator. */
struct str crypto_token(struct arena *arena, const char *prefix, size_t n);

/* Equality without telling by time where the difference is. */
bool crypto_equal(struct str a, struct str b);

/* Overwrite a secret that is no longer needed. */
void crypto_wipe(void *p, size_t n);

/* Standard base64 with padding (RFC 4648, section 4). Decoding is strict: false for anything else. */
struct str crypto_base64(struct arena *arena, struct str data);
bool       crypto_base64_decode(struct arena *arena, struct str text, struct str *data);

/* ---- sealed secrets (spec/console.md 6) ---------------------------------------------------------------------------
 *
 * Tokens and signing secrets are stored as "v1.<key id>.<base64>" (AES-256-GCM): whoever reads the database without the
 * key learns nothing, and a sealed text opens only in the place it was sealed for. Of several keys the first encrypts and
 * all decrypt: to rotate, put the new key first, reseal everything, and drop the old one when nothing names its id.
 */
struct crypto_keys;

/* Keys of 64 hex or 44 base64 characters, divided by commas or white space. Errors: ERR_INVALID, without the key. */
MUST_CHECK struct err *crypto_keys_read(struct arena *arena, struct str text, struct crypto_keys **keys);

/* Those of the setting encryption_key; if it is empty, of the file encryption.key in the data directory, which is made
 * with a new key if it is not there (mode 0600). Call under the directory's lock. Errors: ERR_INVALID (also for a file
 * that others may read), ERR_UNAVAILABLE. */
MUST_CHECK struct err *crypto_keys_open(struct arena *arena, struct str setting, struct str data_dir,
                                        struct crypto_keys **keys);
/* Would crypto_keys_open make a new key? */
bool       crypto_keys_absent(struct arena *arena, struct str setting, struct str data_dir);
struct str crypto_key_new(struct arena *arena); /* a random key as text */
size_t     crypto_key_count(const struct crypto_keys *keys);
struct str crypto_key_id(const struct crypto_keys *keys, size_t i); /* 8 hex digits that tell nothing about the key */

/* Where a secret is stored; no "/" in the names. */
struct crypto_place {
    const char *table, *column;
    struct str  row;
};
MUST_CHECK struct err *crypto_seal(struct arena *arena, const struct crypto_keys *keys, struct crypto_place place,
                                   struct str plain, struct str *sealed);
/* Errors: ERR_UNAVAILABLE naming the key that is missing, ERR_INTERNAL for what was changed or moved. */
MUST_CHECK struct err *crypto_unseal(struct arena *arena, const struct crypto_keys *keys, struct crypto_place place,
                                     struct str sealed, struct str *plain);
/* Seal again with the first key; *sealed stays as it is if it is that key's already. */
MUST_CHECK struct err *crypto_reseal(struct arena *arena, const struct crypto_keys *keys, struct crypto_place place,
                                     struct str *sealed);
struct str crypto_sealed_key(struct str sealed); /* the id of its key; {NULL, 0}: not a sealed text */

/* A known text, sealed: stored at first run, checked at each start. crypto_canary_check: ERR_INVALID if these are not the
 * keys of this database; else *sealed is the text to store from now on (another one after a rotation). */
MUST_CHECK struct err *crypto_canary(struct arena *arena, const struct crypto_keys *keys, struct str *sealed);
MUST_CHECK struct err *crypto_canary_check(struct arena *arena, const struct crypto_keys *keys, struct str *sealed);
