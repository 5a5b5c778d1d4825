/* gzip.c - bodies that come compressed (RFC 1952). */
#include "net/net.h"

#include <zlib.h>

enum { FIRST_BYTES = 64 * 1024, GZIP_ONLY = 16 + MAX_WBITS };

static struct err *broken(struct arena *arena)
{
    return err_new(arena, ERR_INVALID, "The request body is not gzip");
}

/* Room for more, but never for more than one byte above the limit: that one tells that it is too large. */
static void widen(struct arena *arena, char **out, size_t *capacity, size_t limit)
{
    size_t wanted = *capacity ? *capacity * 2 : FIRST_BYTES;
    if (wanted > limit + 1) wanted = limit + 1;
    *out = *out ? arena_grow(arena, *out, *capacity, wanted) : arena_alloc_raw(arena, wanted);
    *capacity = wanted;
}

/* One member after the other; each begins anew. */
static struct err *inflate_all(struct arena *arena, z_stream *zip, size_t limit, struct str *text)
{
    char  *out = NULL;
    size_t n = 0, capacity = 0;
    int    status = Z_OK;
    while (zip->avail_in || status != Z_STREAM_END) {
        if (status == Z_STREAM_END && inflateReset(zip) != Z_OK) return broken(arena);
        if (n == capacity) widen(arena, &out, &capacity, limit);
        zip->next_out = (unsigned char *)out + n;
        zip->avail_out = (unsigned)(capacity - n);
        status = inflate(zip, Z_NO_FLUSH);
        n = capacity - zip->avail_out;
        if (n > limit) return err_new(arena, ERR_TOO_LARGE, "The request body is larger than %zu bytes", limit);
        if (status != Z_OK && status != Z_STREAM_END) return broken(arena);
    }
    *text = (struct str){out, n};
    return NULL;
}

struct err *net_gunzip(struct arena *arena, struct str packed, size_t limit, struct str *text)
{
    z_stream zip = {.next_in = (unsigned char *)packed.s, .avail_in = (unsigned)packed.n};
    if (packed.n > UINT32_MAX || inflateInit2(&zip, GZIP_ONLY) != Z_OK) return broken(arena);
    struct err *err = inflate_all(arena, &zip, limit, text);
    inflateEnd(&zip);
    return err;
}
