/* seal_test.c - sealed secrets and the keys that seal them (spec/console.md 6). */
#include "check.h"
#include "directory.h"
#include "child.h"

#include "crypto/crypto.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OLD_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define NEW_KEY "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=" /* bytes 0x20 to 0x3f */

static const struct crypto_place token_place = {"connection", "access_token", {"con_1", 5}};

static struct crypto_keys *keys_of(struct arena *arena, const char *text)
{
    struct crypto_keys *keys = NULL;
    check_ok(crypto_keys_read(arena, str_of(text), &keys));
    return keys;
}

static struct str sealed_by(struct arena *arena, const char *keys, const char *plain)
{
    struct str sealed = {0};
    check_ok(crypto_seal(arena, keys_of(arena, keys), token_place, str_of(plain), &sealed));
    return sealed;
}

static struct err *unseal(struct arena *arena, const char *keys, struct str sealed, struct str *plain)
{
    return crypto_unseal(arena, keys_of(arena, keys), token_place, sealed, plain);
}

/* ---- sealing ----------------------------------------------------------------------------------------------------- */

TEST(seal, opens_to_what_was_sealed)
{
    static const char *const secrets[] = {"", "x", "gho_16C7e42F292c6912E7710c838347Ae178B4a", "two\nlines"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        struct str plain;
        check_ok(unseal(arena, OLD_KEY, sealed_by(arena, OLD_KEY, secrets[i]), &plain));
        check_str(plain, secrets[i]);
    }
}

TEST(seal, binary_secrets_keep_their_bytes)
{
    struct crypto_keys *keys = keys_of(arena, OLD_KEY);
    char bytes[1000];
    struct str secret = {bytes, sizeof bytes}, sealed, plain;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)i;
    check_ok(crypto_seal(arena, keys, token_place, secret, &sealed));
    check_ok(crypto_unseal(arena, keys, token_place, sealed, &plain));
    check(str_eq(plain, secret));
}

TEST(seal, stored_form_is_version_key_id_and_base64_of_nonce_tag_and_text)
{
    struct str sealed = sealed_by(arena, OLD_KEY, "secret");
    struct str id = crypto_key_id(keys_of(arena, OLD_KEY), 0), bytes;
    struct str head = str_printf(arena, "v1." STR_FMT ".", STR_ARG(id));
    check(str_starts(sealed, head));
    check(crypto_base64_decode(arena, str_skip(sealed, head.n), &bytes));
    check_int(bytes.n, 12 + 16 + 6);
    check(!mentions(bytes, "secret"));
    check_str(crypto_sealed_key(sealed), str_z(arena, id));
}

/* Made with Node.js: createCipheriv("aes-256-gcm"), associated data "connection/access_token/con_1". */
TEST(seal, opens_what_another_implementation_sealed)
{
    struct str plain;
    struct str sealed = str_printf(arena, "v1." STR_FMT ".oKGio6SlpqeoqaqrCVhxnJkGaHXY2k9Ur9BgMZV9H18gvw==",
                                   STR_ARG(crypto_key_id(keys_of(arena, OLD_KEY), 0)));
    check_ok(unseal(arena, OLD_KEY, sealed, &plain));
    check_str(plain, "secret");
}

TEST(seal, the_same_secret_is_never_sealed_twice_alike)
{
    check(!str_eq(sealed_by(arena, OLD_KEY, "secret"), sealed_by(arena, OLD_KEY, "secret")));
}

TEST(seal, does_not_open_in_another_place)
{
    static const struct crypto_place others[] = {
        {"source", "access_token", {"con_1", 5}},
        {"connection", "refresh_token", {"con_1", 5}},
        {"connection", "access_token", {"con_2", 5}},
        {"connection", "access_token", {"", 0}},
    };
    struct str sealed = sealed_by(arena, OLD_KEY, "secret"), plain;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_err(crypto_unseal(arena, keys_of(arena, OLD_KEY), others[i], sealed, &plain), ERR_INTERNAL);
}

TEST(seal, one_changed_bit_anywhere_is_noticed)
{
    struct str sealed = sealed_by(arena, OLD_KEY, "secret"), bytes, plain;
    struct str head = str_slice(sealed, 0, 12);
    check(crypto_base64_decode(arena, str_skip(sealed, head.n), &bytes));
    for (size_t bit = 0; bit < bytes.n * 8; bit++) {
        struct str changed = str_dup(arena, bytes);
        ((char *)changed.s)[bit / 8] ^= (char)(1 << bit % 8);
        struct str text = str_printf(arena, STR_FMT STR_FMT, STR_ARG(head), STR_ARG(crypto_base64(arena, changed)));
        check_err(unseal(arena, OLD_KEY, text, &plain), ERR_INTERNAL);
    }
}

TEST(seal, every_shortened_text_is_refused)
{
    struct str sealed = sealed_by(arena, OLD_KEY, "secret"), plain;
    for (size_t n = 0; n < sealed.n; n++) check(unseal(arena, OLD_KEY, str_slice(sealed, 0, n), &plain) != NULL);
}

TEST(seal, what_was_never_sealed_is_refused)
{
    static const char *const texts[] = {"", "secret", "v1.", "v1.00000000.", "v1.0000000.AAAA", "v2.00000000.AAAA"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct str plain;
        check(unseal(arena, OLD_KEY, str_of(texts[i]), &plain) != NULL);
    }
    check(crypto_sealed_key(STR("secret")).s == NULL);
}

TEST(seal, errors_hold_neither_key_nor_secret)
{
    struct str sealed = sealed_by(arena, OLD_KEY, "secret"), plain;
    struct str text = err_text(arena, unseal(arena, NEW_KEY, sealed, &plain));
    check(!mentions(text, "secret ") && !mentions(text, "ICEi"));
    struct crypto_keys *keys;
    text = err_text(arena, crypto_keys_read(arena, STR("my-secret-passphrase"), &keys));
    check(!mentions(text, "passphrase"));
}

TEST(seal, an_oversized_secret_is_refused)
{
    struct str sealed, large = {arena_alloc(arena, (1 << 20) + 1), (1 << 20) + 1};
    check_err(crypto_seal(arena, keys_of(arena, OLD_KEY), token_place, large, &sealed), ERR_TOO_LARGE);
}

/* ---- rotation ---------------------------------------------------------------------------------------------------- */

TEST(rotation, the_first_key_encrypts_and_all_decrypt)
{
    struct str plain, old = sealed_by(arena, OLD_KEY, "secret"), now = sealed_by(arena, NEW_KEY "," OLD_KEY, "secret");
    check_ok(unseal(arena, NEW_KEY "\n" OLD_KEY "\n", old, &plain));
    check_str(plain, "secret");
    check_ok(unseal(arena, NEW_KEY, now, &plain));
    check_str(plain, "secret");
}

TEST(rotation, without_the_old_key_its_id_is_named)
{
    struct str plain, sealed = sealed_by(arena, OLD_KEY, "secret");
    struct err *err = unseal(arena, NEW_KEY, sealed, &plain);
    check_err(err, ERR_UNAVAILABLE);
    check(str_find(err->message, crypto_key_id(keys_of(arena, OLD_KEY), 0), 0) != SIZE_MAX);
}

TEST(rotation, resealing_moves_a_secret_to_the_first_key)
{
    struct crypto_keys *both = keys_of(arena, NEW_KEY " " OLD_KEY);
    struct str plain, sealed = sealed_by(arena, OLD_KEY, "secret");
    check_ok(crypto_reseal(arena, both, token_place, &sealed));
    check_str(crypto_sealed_key(sealed), str_z(arena, crypto_key_id(both, 0)));
    check_ok(unseal(arena, NEW_KEY, sealed, &plain));
    check_str(plain, "secret");
}

TEST(rotation, resealing_leaves_what_has_the_first_key)
{
    struct str sealed = sealed_by(arena, NEW_KEY, "secret"), before = sealed;
    check_ok(crypto_reseal(arena, keys_of(arena, NEW_KEY "," OLD_KEY), token_place, &sealed));
    check(str_eq(sealed, before));
}

TEST(rotation, a_key_is_the_same_in_hex_and_base64)
{
    struct str hex_id =
        crypto_key_id(keys_of(arena, "202122232425262728292A2B2C2D2E2F303132333435363738393a3b3c3d3e3f"), 0);
    check_str(hex_id, str_z(arena, crypto_key_id(keys_of(arena, NEW_KEY), 0)));
    check(!str_eq(hex_id, crypto_key_id(keys_of(arena, OLD_KEY), 0)));
}

TEST(rotation, malformed_and_missing_keys_are_refused)
{
    static const char *const wrong[] = {
        "",
        " ,\n",
        "short",
        OLD_KEY "0",
        OLD_KEY ","
                "short",
        "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8!",
        "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8A",
        OLD_KEY "," OLD_KEY "," OLD_KEY "," OLD_KEY "," OLD_KEY "," OLD_KEY "," OLD_KEY "," OLD_KEY "," OLD_KEY,
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct crypto_keys *keys;
        check_err(crypto_keys_read(arena, str_of(wrong[i]), &keys), ERR_INVALID);
    }
}

/* ---- the canary -------------------------------------------------------------------------------------------------- */

TEST(canary, tells_the_right_key_from_another)
{
    struct str sealed;
    check_ok(crypto_canary(arena, keys_of(arena, OLD_KEY), &sealed));
    struct str before = sealed;
    check_ok(crypto_canary_check(arena, keys_of(arena, OLD_KEY), &sealed));
    check(str_eq(sealed, before));
    check_err(crypto_canary_check(arena, keys_of(arena, NEW_KEY), &sealed), ERR_INVALID);
}

TEST(canary, follows_a_rotation)
{
    struct str sealed;
    check_ok(crypto_canary(arena, keys_of(arena, OLD_KEY), &sealed));
    check_ok(crypto_canary_check(arena, keys_of(arena, NEW_KEY "," OLD_KEY), &sealed));
    check_ok(crypto_canary_check(arena, keys_of(arena, NEW_KEY), &sealed));
}

/* ---- the file of the data directory ------------------------------------------------------------------------------ */

struct directory {
    char path[DIRECTORY_PATH];
    char file[DIRECTORY_PATH + 16];
};

static struct directory directory_new(void)
{
    struct directory directory;
    directory_make(directory.path);
    snprintf(directory.file, sizeof directory.file, "%s/encryption.key", directory.path);
    return directory;
}

static void directory_end(struct directory *directory)
{
    unlink(directory->file);
    check(rmdir(directory->path) == 0); /* nothing else was left in it */
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    check(chmod(path, mode) == 0);
}

TEST(file, is_made_once_for_the_owner_alone)
{
    struct directory directory = directory_new();
    struct crypto_keys *first, *second;
    struct stat status;
    mode_t mask = umask(0);
    check_ok(crypto_keys_open(arena, STR(""), str_of(directory.path), &first));
    umask(mask);
    check(stat(directory.file, &status) == 0);
    check_int(status.st_mode & 07777, 0600);
    check_ok(crypto_keys_open(arena, STR(""), str_of(directory.path), &second));
    check(str_eq(crypto_key_id(first, 0), crypto_key_id(second, 0)));
    directory_end(&directory);
}

enum { ID = 8 };

/* Arguments: the directory, the pipe that ends when all shall begin, the pipe for the key's id. */
static void open_keys_together(char *const arguments[CHILD_ARGUMENTS])
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct crypto_keys *keys;
    char go;
    crypto_start();
    if (read(atoi(arguments[1]), &go, 1) != 0 || crypto_keys_open(arena, STR(""), str_of(arguments[0]), &keys) ||
        write(atoi(arguments[2]), crypto_key_id(keys, 0).s, ID) != ID)
        _exit(1);
}

TEST(file, of_several_processes_that_make_it_one_wins)
{
    enum { PROCESSES = 8 };
    struct directory directory = directory_new();
    int start[2], ids[2];
    char all[PROCESSES * ID];
    check(pipe(start) == 0 && pipe(ids) == 0 && fcntl(start[1], F_SETFD, FD_CLOEXEC) == 0);
    for (int i = 0; i < PROCESSES; i++)
        CHILD("open_keys_together", directory.path, str_z(arena, str_printf(arena, "%d", start[0])),
              str_z(arena, str_printf(arena, "%d", ids[1])));
    close(start[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        check(wait(&status) > 0);
        check_int(status, 0);
    }
    check(read(ids[0], all, sizeof all) == sizeof all);
    for (int i = 1; i < PROCESSES; i++) check(memcmp(all, all + i * ID, ID) == 0);
    close(start[0]);
    close(ids[0]);
    close(ids[1]);
    directory_end(&directory);
}

TEST(file, two_directories_have_two_keys)
{
    struct directory one = directory_new(), other = directory_new();
    struct crypto_keys *first, *second;
    check_ok(crypto_keys_open(arena, STR(""), str_of(one.path), &first));
    check_ok(crypto_keys_open(arena, STR(""), str_of(other.path), &second));
    check(!str_eq(crypto_key_id(first, 0), crypto_key_id(second, 0)));
    directory_end(&one);
    directory_end(&other);
}

TEST(file, may_list_several_keys)
{
    struct directory directory = directory_new();
    struct crypto_keys *keys;
    write_file(directory.file, NEW_KEY "\n" OLD_KEY "\n", 0600);
    check_ok(crypto_keys_open(arena, STR(""), str_of(directory.path), &keys));
    check_int(crypto_key_count(keys), 2);
    directory_end(&directory);
}

TEST(file, that_others_may_read_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0644, 0660};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct directory directory = directory_new();
        struct crypto_keys *keys;
        write_file(directory.file, OLD_KEY, modes[i]);
        check_err(crypto_keys_open(arena, STR(""), str_of(directory.path), &keys), ERR_INVALID);
        directory_end(&directory);
    }
}

TEST(file, that_is_empty_or_broken_is_refused_and_kept)
{
    static const char *const contents[] = {"", "\n", "not a key\n"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct directory directory = directory_new();
        struct crypto_keys *keys;
        struct stat status;
        write_file(directory.file, contents[i], 0600);
        check_err(crypto_keys_open(arena, STR(""), str_of(directory.path), &keys), ERR_INVALID);
        check(stat(directory.file, &status) == 0 && (size_t)status.st_size == strlen(contents[i]));
        directory_end(&directory);
    }
}

TEST(file, is_not_made_when_the_setting_has_a_key)
{
    struct directory directory = directory_new();
    struct crypto_keys *keys;
    check_ok(crypto_keys_open(arena, STR(OLD_KEY), str_of(directory.path), &keys));
    check(str_eq(crypto_key_id(keys, 0), crypto_key_id(keys_of(arena, OLD_KEY), 0)));
    check(access(directory.file, F_OK) != 0);
    directory_end(&directory);
}

TEST(file, in_a_directory_that_is_not_there_is_an_error)
{
    struct crypto_keys *keys;
    check_err(crypto_keys_open(arena, STR(""), STR("/nonexistent/lightfast"), &keys), ERR_UNAVAILABLE);
}

/* ---- base64 ------------------------------------------------------------------------------------------------------ */

TEST(base64, has_the_vectors_of_the_rfc)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str data;
        check_str(crypto_base64(arena, str_of(rows[i][0])), rows[i][1]);
        check(crypto_base64_decode(arena, str_of(rows[i][1]), &data));
        check_str(data, rows[i][0]);
    }
}

TEST(base64, refuses_everything_else)
{
    static const char *const wrong[] = {"Zg", "Zg=", "Z", "Zm9v!", "Zm9v\n", " Zm9v", "Zm9_", "Zm9vZg==Zg=="};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct str data;
        check(!crypto_base64_decode(arena, str_of(wrong[i]), &data));
    }
    struct str data;
    check(!crypto_base64_decode(arena, (struct str){"Zm9v\0", 5}, &data));
}

int main(int argc, char **argv)
{
    static const struct child_part parts[] = {{"open_keys_together", open_keys_together}};
    child_play(parts, 1, argc, argv);
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(seal, opens_to_what_was_sealed),
        RUN(seal, binary_secrets_keep_their_bytes),
        RUN(seal, stored_form_is_version_key_id_and_base64_of_nonce_tag_and_text),
        RUN(seal, opens_what_another_implementation_sealed),
        RUN(seal, the_same_secret_is_never_sealed_twice_alike),
        RUN(seal, does_not_open_in_another_place),
        RUN(seal, one_changed_bit_anywhere_is_noticed),
        RUN(seal, every_shortened_text_is_refused),
        RUN(seal, what_was_never_sealed_is_refused),
        RUN(seal, errors_hold_neither_key_nor_secret),
        RUN(seal, an_oversized_secret_is_refused),
        RUN(rotation, the_first_key_encrypts_and_all_decrypt),
        RUN(rotation, without_the_old_key_its_id_is_named),
        RUN(rotation, resealing_moves_a_secret_to_the_first_key),
        RUN(rotation, resealing_leaves_what_has_the_first_key),
        RUN(rotation, a_key_is_the_same_in_hex_and_base64),
        RUN(rotation, malformed_and_missing_keys_are_refused),
        RUN(canary, tells_the_right_key_from_another),
        RUN(canary, follows_a_rotation),
        RUN(file, is_made_once_for_the_owner_alone),
        RUN(file, of_several_processes_that_make_it_one_wins),
        RUN(file, two_directories_have_two_keys),
        RUN(file, may_list_several_keys),
        RUN(file, that_others_may_read_is_refused),
        RUN(file, that_is_empty_or_broken_is_refused_and_kept),
        RUN(file, is_not_made_when_the_setting_has_a_key),
        RUN(file, in_a_directory_that_is_not_there_is_an_error),
        RUN(base64, has_the_vectors_of_the_rfc),
        RUN(base64, refuses_everything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
