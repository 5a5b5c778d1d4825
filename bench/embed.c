/* embed.c - messages a second from text to int8 vector, on one core: embed FILE, messages separated by NUL bytes. */
#include "base/time.h"
#include "embed/embed.h"

#include <stdio.h>

enum { ROUNDS = 5 };

static struct str read_all(struct arena *arena, FILE *file)
{
    struct buf b = buf_in(arena);
    char       part[65536];
    for (size_t n; (n = fread(part, 1, sizeof part, file));) buf_bytes(&b, part, n);
    return buf_str(&b);
}

int main(int argc, char **argv)
{
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file) {
        fprintf(stderr, "usage: embed FILE\n");
        return 2;
    }
    struct arena *arena = arena_create(), *work = arena_create();
    struct str    rest = read_all(arena, file), message;
    VEC(struct str) messages = {0};
    while (rest.n && str_cut(&rest, 0, &message)) *VEC_PUSH(arena, &messages) = message;

    int64_t       begin = time_monotonic_us();
    struct embed *embed;
    uint32_t      ids[256];
    size_t        pieces = 0;
    if (embed_create(arena, (struct embed_config){.provider = STR("builtin")}, &embed)) return 1;
    embed_pieces(STR("first"), ids);
    int64_t start = time_monotonic_us() - begin, best = INT64_MAX;
    for (size_t i = 0; i < messages.n; i++) pieces += embed_pieces(messages.at[i], ids);
    for (int round = 0; round < ROUNDS; round++) {
        begin = time_monotonic_us();
        for (size_t i = 0; i < messages.n; i++) {
            struct embed_vector vector;
            arena_reset(work);
            if (embed_texts(embed, work, false, &messages.at[i], 1, &vector)) return 1;
        }
        int64_t took = time_monotonic_us() - begin;
        best = took < best ? took : best;
    }
    printf("{\"messages\": %zu, \"piecesPerMessage\": %.1f, \"startMs\": %.2f, \"perSecond\": %.0f}\n", messages.n,
           (double)pieces / (double)messages.n, (double)start / 1e3, (double)messages.n * 1e6 / (double)best);
    return 0;
}
