/* spread.c - classes of values. */
#include "activity/spread.h"

#include <math.h>

static const double growth = 1.02;
enum { ZERO = -1000000 }; /* the class of everything up to 0 */

static int64_t class_of(double value)
{
    return value > 0 ? (int64_t)ceil(log(value) / log(growth)) : ZERO;
}

static double value_of(int64_t at)
{
    return at == ZERO ? 0 : 2 * pow(growth, (double)at) / (growth + 1);
}

static void add_class(struct arena *arena, struct spread *spread, int64_t at, int64_t n)
{
    size_t low = 0, high = spread->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (spread->classes[middle].at < at) low = middle + 1;
        else high = middle;
    }
    if (low < spread->count && spread->classes[low].at == at) {
        spread->classes[low].n += n;
        return;
    }
    if (spread->count == spread->capacity) {
        size_t wanted = spread->capacity ? 2 * spread->capacity : 8;
        spread->classes = arena_grow(arena, spread->classes, spread->capacity * sizeof *spread->classes,
                                     wanted * sizeof *spread->classes);
        spread->capacity = wanted;
    }
    memmove(&spread->classes[low + 1], &spread->classes[low], (spread->count - low) * sizeof *spread->classes);
    spread->classes[low] = (struct spread_class){at, n};
    spread->count++;
}

static void add_bounds(struct spread *spread, double least, double most, double total, int64_t n)
{
    if (!spread->n || least < spread->least) spread->least = least;
    if (!spread->n || most > spread->most) spread->most = most;
    spread->total += total;
    spread->n += n;
}

void spread_add(struct arena *arena, struct spread *spread, double value, int64_t n)
{
    add_class(arena, spread, class_of(value), n);
    add_bounds(spread, value, value, value * (double)n, n);
}

void spread_join(struct arena *arena, struct spread *spread, const struct spread *other)
{
    if (!other->n) return;
    for (size_t i = 0; i < other->count; i++) add_class(arena, spread, other->classes[i].at, other->classes[i].n);
    add_bounds(spread, other->least, other->most, other->total, other->n);
}

double spread_percentile(const struct spread *spread, int percent)
{
    int64_t place = (percent * spread->n + 99) / 100, passed = 0;
    for (size_t i = 0; i < spread->count; i++) {
        passed += spread->classes[i].n;
        if (passed < place) continue;
        double value = value_of(spread->classes[i].at);
        return value < spread->least ? spread->least : value > spread->most ? spread->most : value;
    }
    return spread->most;
}

struct str spread_write(struct arena *arena, const struct spread *spread)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < spread->count; i++) {
        json_begin(&out, NULL, '[');
        json_put(&out, NULL, spread->classes[i].at);
        json_put(&out, NULL, spread->classes[i].n);
        json_end(&out);
    }
    json_end(&out);
    return json_out_text(&out);
}

void spread_read(struct arena *arena, struct str text, struct spread *spread)
{
    const json_value *classes = NULL;
    if (json_parse(arena, text, &classes)) return;
    for (struct json_iter it = json_iter(classes); json_step(&it);) {
        int64_t n = json_int(it.value, "1", 0);
        if (n > 0) add_class(arena, spread, json_int(it.value, "0", ZERO), n);
    }
}
