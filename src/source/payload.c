/* payload.c - the bytes of deliveries, compressed, and the headers that are kept beside them. */
#include "source/inbox.h"

#include "base/time.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

enum { LEVEL = -3, KEPT = 8, MAX_HEADER = 1000 }; /* 22 KB of a webhook become 3.2 KB in 10 us; level 1: 2.4 KB in 19 */

/* A compressor is a megabyte of tables. The one used last is used next: its tables are in the processor's cache. */
static struct {
    pthread_mutex_t lock;
    ZSTD_CCtx      *at[KEPT];
    size_t          n;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static ZSTD_CCtx *take_compressor(void)
{
    pthread_mutex_lock(&kept.lock);
    ZSTD_CCtx *compressor = kept.n ? kept.at[--kept.n] : NULL;
    pthread_mutex_unlock(&kept.lock);
    if (!compressor && !(compressor = ZSTD_createCCtx())) abort();
    return compressor;
}

static void give_back(ZSTD_CCtx *compressor)
{
    pthread_mutex_lock(&kept.lock);
    bool full = kept.n == KEPT;
    if (!full) kept.at[kept.n++] = compressor;
    pthread_mutex_unlock(&kept.lock);
    if (full) ZSTD_freeCCtx(compressor);
}

struct bytes payload_pack(struct arena *arena, struct str body)
{
    ZSTD_CCtx *compressor = take_compressor();
    size_t room = ZSTD_compressBound(body.n);
    void  *out = arena_alloc_raw(arena, room);
    size_t n = ZSTD_compressCCtx(compressor, out, room, body.s ? body.s : "", body.n, LEVEL);
    if (ZSTD_isError(n)) abort(); /* the room suffices: out of memory */
    give_back(compressor);
    return (struct bytes){out, n};
}

struct err *payload_unpack(struct arena *arena, struct bytes packed, int64_t size, struct str *body)
{
    char  *out = arena_alloc_raw(arena, (size_t)size + 1);
    size_t n = ZSTD_decompress(out, (size_t)size, packed.p, packed.n);
    if (ZSTD_isError(n) || n != (size_t)size)
        return err_new(arena, ERR_INTERNAL, "a stored payload cannot be decompressed");
    *body = (struct str){out, n};
    return NULL;
}

struct err *payload_store(struct db_tx *tx, const struct payload *payload)
{
    return db_exec(tx,
                   "INSERT INTO ingestion_payload (workspace_id, delivery, source, delivery_id, event_type, payload, "
                   "payload_bytes, headers, received_at, ingestion_source, created_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'webhook', $10)",
                   payload->workspace, payload->delivery, payload->source, payload->delivery_id, payload->event,
                   payload->packed, payload->size, payload->headers, payload->received_at, time_now());
}

struct str payload_headers(struct arena *arena, const struct source_request *request)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    for (const char *const *name = source_provider_headers(request->provider); *name; name++) {
        struct str value = request->header(request->arg, *name);
        if (value.s) json_put(&out, *name, str_slice(value, 0, MAX_HEADER));
    }
    json_end(&out);
    return json_out_text(&out);
}
