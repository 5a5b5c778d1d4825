/* load.c - asks a server over HTTP and measures: load HOST PORT KEY CONNECTIONS QUERIES_FILE [FIRST COUNT].
 * One question a line; prints what http_measure() says. */
#include "http.h"
#include "json/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void prepare(struct arena *arena, struct http_load *load, char **argv, size_t first, size_t count)
{
    FILE *file = fopen(argv[5], "r");
    if (!file) http_fail(argv[5]);
    load->requests = NEW_ARRAY(arena, struct str, count);
    char  *line = NULL;
    size_t capacity = 0, row = 0;
    for (ssize_t n; load->count < count && (n = getline(&line, &capacity, file)) > 0; row++) {
        if (row < first) continue;
        struct json_out body = json_out(arena);
        json_begin(&body, NULL, '{');
        json_put(&body, "query", str_trim((struct str){line, (size_t)n}));
        json_put(&body, "mode", "balanced");
        json_end(&body);
        struct str text = json_out_text(&body);
        load->requests[load->count++] =
            str_printf(arena,
                       "POST /v1/search HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" STR_FMT,
                       argv[1], argv[2], argv[3], text.n, STR_ARG(text));
    }
    free(line);
    fclose(file);
    errno = 0;
    if (!load->count) http_fail("no queries");
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: load HOST PORT KEY CONNECTIONS QUERIES_FILE [FIRST COUNT]\n");
        return 2;
    }
    struct arena *arena ARENA_SCOPE = arena_create();
    struct http_load    load = {.host = argv[1], .port = argv[2], .connections = atoi(argv[4]), .status = "200"};
    prepare(arena, &load, argv, argc == 8 ? (size_t)atoll(argv[6]) : 0, argc == 8 ? (size_t)atoll(argv[7]) : 100000);
    http_measure(arena, load);
    return 0;
}
