/* payload.c - rows of the search log as bytes.
 *
 * Numbers are LEB128 varints, signed ones zigzag; names a length and bytes; everything fixed is little-endian.
 *
 *     add         1 (format)
 *                 time, cluster: signed; significance
 *                 source, type, store, actor: names
 *                 n terms: number, then 8 bytes each, ascending (differences of hashes would save one bit in twelve)
 *                 n entities: number, then 8 bytes each
 *                 dim, number of views, position of the first passage of the full view
 *                 each view: length of the vector as 4-byte float, then dim signed bytes
 *     attributes  1 (format), fields (1 actor, 2 cluster), then actor: name, cluster: signed, where present
 *     remove      nothing
 */
#include "index/payload.h"

#include <math.h>

enum { FORMAT = 1, HAS_ACTOR = 1, HAS_CLUSTER = 2, NORM_BYTES = 4, HASH_BYTES = 8 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "hashes and floats are copied as they lie in memory");

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void put_number(struct buf *out, uint64_t value)
{
    for (; value >= 128; value >>= 7) buf_char(out, (char)(value | 128));
    buf_char(out, (char)value);
}

static void put_signed(struct buf *out, int64_t value)
{
    put_number(out, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void put_name(struct buf *out, struct str name)
{
    put_number(out, name.n);
    buf_str_add(out, name);
}

static struct err *check_item(struct arena *arena, const struct index_item *item)
{
    const struct str names[] = {item->source, item->type, item->store, item->actor, item->model};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].n > INDEX_MAX_NAME)
            return err_new(arena, ERR_TOO_LARGE, "an item's source, type, store, actor or model exceeds %d bytes", INDEX_MAX_NAME);
    if (item->term_count > INDEX_MAX_TERMS) return err_new(arena, ERR_TOO_LARGE, "an item has more than %d terms", INDEX_MAX_TERMS);
    if (item->entity_count > INDEX_MAX_ENTITIES)
        return err_new(arena, ERR_TOO_LARGE, "an item has more than %d entities", INDEX_MAX_ENTITIES);
    if (item->views.n > INDEX_MAX_VIEWS) return err_new(arena, ERR_TOO_LARGE, "an item has more than %d views", INDEX_MAX_VIEWS);
    if (item->significance < 0 || item->significance > 100)
        return err_new(arena, ERR_INVALID, "significance %d is not within 0..100", item->significance);
    for (size_t i = 1; i < item->term_count; i++)
        if (item->terms[i - 1] >= item->terms[i]) return err_new(arena, ERR_INVALID, "an item's terms are not sorted");
    if (!item->views.n) return NULL;
    if (item->dim < 1 || item->dim > EMBED_MAX_DIM || item->views.full > item->views.n || !item->model.n)
        return err_new(arena, ERR_INVALID, "an item's views have no model or %d components", item->dim);
    for (size_t i = 0; i < item->views.n; i++)
        if (!item->views.at[i].x || !(item->views.at[i].norm > 0) || !isfinite(item->views.at[i].norm))
            return err_new(arena, ERR_INVALID, "an item's view is not a vector");
    return NULL;
}

struct err *index_encode_item(struct arena *arena, const struct index_item *item, struct bytes *payload)
{
    TRY(check_item(arena, item));
    struct buf out = buf_in(arena);
    size_t     dim = item->views.n ? (size_t)item->dim : 0;
    buf_reserve(&out, 128 + HASH_BYTES * (item->term_count + item->entity_count) + item->views.n * (dim + NORM_BYTES));
    put_number(&out, FORMAT);
    put_signed(&out, item->time);
    put_signed(&out, item->cluster);
    put_number(&out, (uint64_t)item->significance);
    put_name(&out, item->source);
    put_name(&out, item->type);
    put_name(&out, item->store);
    put_name(&out, item->actor);
    put_number(&out, item->term_count);
    buf_bytes(&out, item->terms, item->term_count * HASH_BYTES);
    put_number(&out, item->entity_count);
    buf_bytes(&out, item->entities, item->entity_count * HASH_BYTES);
    put_number(&out, dim);
    put_number(&out, item->views.n);
    put_number(&out, item->views.n ? item->views.full : 0);
    for (size_t i = 0; i < item->views.n; i++) {
        buf_bytes(&out, &item->views.at[i].norm, NORM_BYTES);
        buf_bytes(&out, item->views.at[i].x, dim);
    }
    *payload = (struct bytes){out.s, out.n};
    return NULL;
}

struct err *index_encode_change(struct arena *arena, const struct index_change *change, struct bytes *payload)
{
    if (change->set_actor && change->actor.n > INDEX_MAX_NAME)
        return err_new(arena, ERR_TOO_LARGE, "an actor's id exceeds %d bytes", INDEX_MAX_NAME);
    struct buf out = buf_in(arena);
    put_number(&out, FORMAT);
    put_number(&out, (change->set_actor ? HAS_ACTOR : 0) | (change->set_cluster ? HAS_CLUSTER : 0));
    if (change->set_actor) put_name(&out, change->actor);
    if (change->set_cluster) put_signed(&out, change->cluster);
    *payload = (struct bytes){out.s, out.n};
    return NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* Once something did not fit, everything further reads as 0. */
struct reader {
    struct arena  *arena;
    const uint8_t *next, *end;
    bool           broken;
};

static size_t left(const struct reader *in)
{
    return (size_t)(in->end - in->next);
}

static uint64_t number(struct reader *in, uint64_t largest)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && in->next < in->end && !in->broken; shift += 7) {
        uint64_t byte = *in->next++;
        if (shift == 63 && byte > 1) break;
        value |= (byte & 127) << shift;
        if (byte & 128) continue;
        if (value > largest) break;
        return value;
    }
    in->broken = true;
    return 0;
}

static int64_t signed_number(struct reader *in)
{
    uint64_t value = number(in, UINT64_MAX);
    return (int64_t)(value >> 1 ^ -(value & 1));
}

static const void *take(struct reader *in, size_t n)
{
    if (in->broken || left(in) < n) {
        in->broken = true;
        return NULL;
    }
    in->next += n;
    return in->next - n;
}

static struct str name(struct reader *in)
{
    size_t      n = number(in, INDEX_MAX_NAME);
    const void *at = take(in, n);
    return (struct str){at, at ? n : 0};
}

static uint64_t *hashes(struct reader *in, size_t most, size_t *count)
{
    *count = 0;
    size_t      n = number(in, most);
    const void *at = take(in, n * HASH_BYTES);
    if (!at) return NULL;
    uint64_t *out = arena_alloc_raw(in->arena, n * HASH_BYTES); /* the payload's need not be aligned */
    memcpy(out, at, n * HASH_BYTES);
    *count = n;
    return out;
}

static void views(struct reader *in, struct index_item *item)
{
    item->dim = (int)number(in, EMBED_MAX_DIM);
    size_t n = number(in, INDEX_MAX_VIEWS), full = number(in, n);
    if (in->broken || (n && !item->dim) || left(in) != n * (NORM_BYTES + (size_t)item->dim)) {
        in->broken = true;
        return;
    }
    item->views = (struct embed_views){.at = arena_alloc_raw(in->arena, n * sizeof *item->views.at), .n = n, .full = full};
    for (size_t i = 0; i < n && !in->broken; i++) {
        struct embed_vector *view = &item->views.at[i];
        memcpy(&view->norm, take(in, NORM_BYTES), NORM_BYTES);
        view->x = take(in, (size_t)item->dim);
        if (!(view->norm > 0) || !isfinite(view->norm)) in->broken = true;
    }
}

static struct err *finish(const struct reader *in, struct arena *arena, const char *what)
{
    if (!in->broken && in->next == in->end) return NULL;
    return err_new(arena, ERR_INTERNAL, "the payload of %s is damaged", what);
}

static struct reader reader(struct arena *arena, struct bytes payload)
{
    const uint8_t *at = payload.p ? payload.p : (const uint8_t *)"";
    return (struct reader){.arena = arena, .next = at, .end = at + (payload.p ? payload.n : 0)};
}

struct err *index_decode_item(struct arena *arena, struct bytes payload, struct index_item *item)
{
    struct reader in = reader(arena, payload);
    *item = (struct index_item){0};
    if (number(&in, FORMAT) != FORMAT) in.broken = true;
    item->time = signed_number(&in);
    item->cluster = signed_number(&in);
    item->significance = (int)number(&in, 100);
    item->source = name(&in);
    item->type = name(&in);
    item->store = name(&in);
    item->actor = name(&in);
    item->terms = hashes(&in, INDEX_MAX_TERMS, &item->term_count);
    item->entities = hashes(&in, INDEX_MAX_ENTITIES, &item->entity_count);
    views(&in, item);
    return finish(&in, arena, "an item");
}

struct err *index_decode_change(struct arena *arena, struct bytes payload, struct index_change *change)
{
    struct reader in = reader(arena, payload);
    *change = (struct index_change){0};
    if (number(&in, FORMAT) != FORMAT) in.broken = true;
    uint64_t fields = number(&in, HAS_ACTOR | HAS_CLUSTER);
    change->set_actor = fields & HAS_ACTOR;
    change->set_cluster = fields & HAS_CLUSTER;
    if (change->set_actor) change->actor = name(&in);
    if (change->set_cluster) change->cluster = signed_number(&in);
    return finish(&in, arena, "an attribute change");
}
