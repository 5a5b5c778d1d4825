#include "check.h"

#include "crypto/crypto.h"

TEST(crypto, sha256_of_the_standard_vectors)
{
    check_str(crypto_sha256_hex(arena, STR("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_str(crypto_sha256_hex(arena, STR("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(crypto, tokens_have_prefix_length_and_no_repetition)
{
    struct str token = crypto_token(arena, "sk-lf-", 43);
    check_int(token.n, 49);
    check(str_starts(token, STR("sk-lf-")));
    check(!str_eq(token, crypto_token(arena, "sk-lf-", 43)));
}

TEST(crypto, equality_needs_equal_length_and_bytes)
{
    check(crypto_equal(STR("secret"), STR("secret")));
    check(!crypto_equal(STR("secret"), STR("secreT")));
    check(!crypto_equal(STR("secret"), STR("secrets")));
}

static struct str hmac_hex(struct arena *arena, enum crypto_digest digest, struct str key, struct str data)
{
    unsigned char out[CRYPTO_MAX_DIGEST];
    struct buf hex = buf_in(arena);
    for (size_t i = 0, n = crypto_hmac(digest, key, data, out); i < n; i++) buf_printf(&hex, "%02x", out[i]);
    return buf_str(&hex);
}

TEST(crypto, hmac_of_the_vectors_in_rfc_4231_and_2202)
{
    struct str question = STR("what do ya want for nothing?");
    check_str(hmac_hex(arena, CRYPTO_SHA256, STR("Jefe"), question),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    check_str(hmac_hex(arena, CRYPTO_SHA1, STR("Jefe"), question), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(crypto, hmac_of_nothing_with_no_key)
{
    check_str(hmac_hex(arena, CRYPTO_SHA256, (struct str){0}, (struct str){0}),
              "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    check_str(hmac_hex(arena, CRYPTO_SHA1, STR(""), STR("")), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

TEST(crypto, keys_longer_than_a_block_are_digested_first)
{
    char key[131];
    memset(key, 0xaa, sizeof key);
    check_str(hmac_hex(arena, CRYPTO_SHA256, (struct str){key, sizeof key},
                       STR("Test Using Larger Than Block-Size Key - Hash Key First")),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(crypto, hex_is_exactly_two_digits_a_byte)
{
    unsigned char out[2];
    check(crypto_hex_decode(STR("0aFF"), out, 2));
    check_int(out[0], 0x0a);
    check_int(out[1], 0xff);
    struct str wrong[] = {STR(""), STR("0a"), STR("0aFF00"), STR("0aF"), STR("0aFg"), STR(" 0aF"), STR("0a:F"), STR("0a F")};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) check(!crypto_hex_decode(wrong[i], out, 2));
}

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(crypto, sha256_of_the_standard_vectors),
        RUN(crypto, tokens_have_prefix_length_and_no_repetition),
        RUN(crypto, equality_needs_equal_length_and_bytes),
        RUN(crypto, hmac_of_the_vectors_in_rfc_4231_and_2202),
        RUN(crypto, hmac_of_nothing_with_no_key),
        RUN(crypto, keys_longer_than_a_block_are_digested_first),
        RUN(crypto, hex_is_exactly_two_digits_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
