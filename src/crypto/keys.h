/* keys.h - the encryption keys themselves, for the files of crypto/ only. */
#pragma once
#include "crypto/crypto.h"

enum { KEY_BYTES = 32, KEY_ID_CHARS = 8, MOST_KEYS = 8 };

struct crypto_key {
    unsigned char bytes[KEY_BYTES];
    char id[KEY_ID_CHARS]; /* hex, from a digest of the key: tells keys apart, tells nothing about them */
};

struct crypto_keys {
    struct crypto_key at[MOST_KEYS]; /* the first encrypts, all decrypt */
    size_t n;
};
