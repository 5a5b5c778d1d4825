/* keys.c - encryption keys: from the setting, or from a file of the data directory that is made on first use. */
#include "crypto/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEX_CHARS = 2 * KEY_BYTES, BASE64_CHARS = 44, MAX_FILE = 4096 };
#define FILE_NAME    "encryption.key"
#define KEY_ID_LABEL "lightfast key id"

/* ---- keys as text ------------------------------------------------------------------------------------------------ */

static bool decode(struct str text, unsigned char *bytes)
{
    size_t n;
    const char *end;
    int failed = 1;
    if (text.n == HEX_CHARS)
        failed = sodium_hex2bin(bytes, KEY_BYTES, text.s, text.n, NULL, &n, &end);
    else if (text.n == BASE64_CHARS)
        failed = sodium_base642bin(bytes, KEY_BYTES, text.s, text.n, NULL, &n, &end, sodium_base64_VARIANT_ORIGINAL);
    return !failed && n == KEY_BYTES && end == text.s + text.n;
}

static void name_key(struct crypto_key *key)
{
    unsigned char labelled[sizeof KEY_ID_LABEL + KEY_BYTES], digest[crypto_hash_sha256_BYTES];
    char hex[KEY_ID_CHARS + 1];
    memcpy(labelled, KEY_ID_LABEL, sizeof KEY_ID_LABEL);
    memcpy(labelled + sizeof KEY_ID_LABEL, key->bytes, KEY_BYTES);
    crypto_hash_sha256(digest, labelled, sizeof labelled);
    sodium_bin2hex(hex, sizeof hex, digest, KEY_ID_CHARS / 2);
    memcpy(key->id, hex, KEY_ID_CHARS);
    sodium_memzero(labelled, sizeof labelled);
}

static bool separates(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str next_word(struct str *rest)
{
    while (rest->n && separates(*rest->s)) *rest = str_skip(*rest, 1);
    size_t n = 0;
    while (n < rest->n && !separates(rest->s[n])) n++;
    struct str word = str_slice(*rest, 0, n);
    *rest = str_skip(*rest, n);
    return word;
}

struct err *crypto_keys_read(struct arena *arena, struct str text, struct crypto_keys **keys)
{
    struct crypto_keys *made = NEW(arena, struct crypto_keys);
    for (struct str word; (word = next_word(&text)).n;) {
        struct crypto_key key;
        if (!decode(word, key.bytes))
            return err_new(arena, ERR_INVALID, "encryption key %zu is not 64 hex or 44 base64 characters", made->n + 1);
        if (made->n == MOST_KEYS) return err_new(arena, ERR_INVALID, "more than %d encryption keys", MOST_KEYS);
        name_key(&key);
        made->at[made->n++] = key;
        sodium_memzero(&key, sizeof key);
    }
    if (!made->n) return err_new(arena, ERR_INVALID, "no encryption key given");
    *keys = made;
    return NULL;
}

struct str crypto_key_new(struct arena *arena)
{
    unsigned char bytes[KEY_BYTES];
    char *hex = arena_alloc_raw(arena, HEX_CHARS + 1);
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(hex, HEX_CHARS + 1, bytes, sizeof bytes);
    sodium_memzero(bytes, sizeof bytes);
    return (struct str){hex, HEX_CHARS};
}

size_t crypto_key_count(const struct crypto_keys *keys)
{
    return keys->n;
}

struct str crypto_key_id(const struct crypto_keys *keys, size_t i)
{
    return (struct str){keys->at[i].id, KEY_ID_CHARS};
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static struct err *file_error(struct arena *arena, const char *what, const char *path)
{
    return err_new(arena, ERR_UNAVAILABLE, "cannot %s %s: %s", what, path, strerror(errno));
}

/* Everything written and on the disk, or an error. */
static struct err *write_all(struct arena *arena, int fd, const char *path, struct str text)
{
    for (size_t at = 0; at < text.n;) {
        ssize_t n = write(fd, text.s + at, text.n - at);
        if (n < 0) return file_error(arena, "write", path);
        at += (size_t)n;
    }
    return fsync(fd) ? file_error(arena, "sync", path) : NULL;
}

static struct err *sync_directory(struct arena *arena, const char *path)
{
    const char *directory = dirname((char *)str_z(arena, str_of(path)));
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return file_error(arena, "open", directory);
    struct err *failed = fsync(fd) ? file_error(arena, "sync", directory) : NULL;
    close(fd);
    return failed;
}

/* The file appears whole or not at all, and of two processes that make it one wins: link() replaces nothing. */
static struct err *make_file(struct arena *arena, const char *path)
{
    const char *partial = str_printf(arena, "%s.%ld", path, (long)getpid()).s;
    unlink(partial); /* of a process of this number that died in between */
    int fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return file_error(arena, "create", partial);
    struct err *failed = write_all(arena, fd, partial, str_printf(arena, STR_FMT "\n", STR_ARG(crypto_key_new(arena))));
    close(fd);
    if (!failed && link(partial, path) && errno != EEXIST) failed = file_error(arena, "create", path);
    unlink(partial);
    return failed ? failed : sync_directory(arena, path);
}

static struct err *check_file(struct arena *arena, int fd, const char *path)
{
    struct stat status;
    if (fstat(fd, &status)) return file_error(arena, "look at", path);
    if (!S_ISREG(status.st_mode)) return err_new(arena, ERR_INVALID, "%s is not a file", path);
    if (status.st_mode & 077)
        return err_new(arena, ERR_INVALID, "%s may be read by others (mode %03o); run chmod 600 on it", path,
                       (unsigned)status.st_mode & 0777);
    return NULL;
}

static struct err *read_file(struct arena *arena, int fd, const char *path, struct crypto_keys **keys)
{
    char text[MAX_FILE];
    size_t n = 0;
    TRY(check_file(arena, fd, path));
    for (ssize_t got; n < sizeof text && (got = read(fd, text + n, sizeof text - n)) != 0; n += (size_t)got)
        if (got < 0) return file_error(arena, "read", path);
    struct err *failed = crypto_keys_read(arena, (struct str){text, n}, keys);
    sodium_memzero(text, sizeof text);
    return failed ? err_wrap(arena, failed, "%s", path) : NULL;
}

static int open_file(const char *path)
{
    return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static const char *file_path(struct arena *arena, struct str data_dir)
{
    return str_printf(arena, STR_FMT "/" FILE_NAME, STR_ARG(data_dir)).s;
}

bool crypto_keys_absent(struct arena *arena, struct str setting, struct str data_dir)
{
    return !setting.n && access(file_path(arena, data_dir), F_OK) != 0 && errno == ENOENT;
}

struct err *crypto_keys_open(struct arena *arena, struct str setting, struct str data_dir, struct crypto_keys **keys)
{
    if (setting.n) return crypto_keys_read(arena, setting, keys);
    const char *path = file_path(arena, data_dir);
    int fd = open_file(path);
    if (fd < 0 && errno == ENOENT) {
        TRY(make_file(arena, path));
        fd = open_file(path);
    }
    if (fd < 0) return file_error(arena, "open", path);
    struct err *failed = read_file(arena, fd, path, keys);
    close(fd);
    return failed;
}
