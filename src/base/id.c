#include "base/id.h"

#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static unsigned char random_byte(void)
{
    static _Thread_local unsigned char pool[256];
    static _Thread_local size_t        left;
    if (left == 0) {
        if (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool) {
            perror("lightfast: getrandom");
            abort();
        }
        left = sizeof pool;
    }
    unsigned char byte = pool[--left];
    pool[left] = 0;
    return byte;
}

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"; /* in byte order */

void id_random_chars(char *out, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned char byte = random_byte() & 63; /* 62 and 63 are drawn again: no character is favoured */
        if (byte < 62) out[i++] = alphabet[byte];
    }
}

struct str id_new(struct arena *arena, const char *prefix)
{
    size_t n = strlen(prefix);
    char  *id = arena_alloc_raw(arena, n + ID_CHARS + 1);
    memcpy(id, prefix, n);
    int64_t ms = time_now();
    for (size_t i = ID_TIME_CHARS; i-- > 0; ms /= 62) id[n + i] = alphabet[ms % 62];
    id_random_chars(id + n + ID_TIME_CHARS, ID_CHARS - ID_TIME_CHARS);
    id[n + ID_CHARS] = 0;
    return (struct str){id, n + ID_CHARS};
}

bool id_valid(struct str text, const char *prefix)
{
    if (!str_starts(text, str_of(prefix)) || text.n != strlen(prefix) + ID_CHARS) return false;
    for (size_t i = text.n - ID_CHARS; i < text.n; i++) {
        char c = text.s[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) return false;
    }
    return true;
}

struct str id_uuid(struct arena *arena)
{
    unsigned char b[16];
    for (size_t i = 0; i < sizeof b; i++) b[i] = random_byte();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    return str_printf(arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
                      b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
