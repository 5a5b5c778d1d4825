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

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(crypto, sha256_of_the_standard_vectors),
        RUN(crypto, tokens_have_prefix_length_and_no_repetition),
        RUN(crypto, equality_needs_equal_length_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
