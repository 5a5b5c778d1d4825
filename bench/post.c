/* post.c - sends webhooks, signed as GitHub signs them, or batches of events, and measures:
 *   post HOST PORT CONNECTIONS TEMPLATE ROWS FIRST COUNT webhook PATH SECRET
 *   post HOST PORT CONNECTIONS TEMPLATE ROWS FIRST COUNT events KEY TOGETHER
 *
 * TEMPLATE is a JSON object in which {{0}}, {{1}}, ... stand for the columns of a row; ROWS has one row a line, its
 * columns divided by tabs and written as inside a JSON string. The first column identifies the delivery. */
#include "crypto/crypto.h"
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 10 };

struct row {
    struct str columns[MAX_COLUMNS];
};

static struct str read_file(struct arena *arena, const char *path)
{
    FILE      *file = fopen(path, "rb");
    struct buf text = buf_in(arena);
    char       piece[1 << 16];
    if (!file) http_fail(path);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) buf_bytes(&text, piece, n);
    fclose(file);
    return buf_str(&text);
}

/* The next part of *rest up to `end`, which is dropped. */
static struct str next_part(struct str *rest, char end)
{
    size_t     at = str_find_char(*rest, end, 0);
    struct str part = str_slice(*rest, 0, at);
    *rest = at == SIZE_MAX ? (struct str){0} : str_skip(*rest, at + 1);
    return part;
}

static struct row read_row(struct str line)
{
    struct row row = {0};
    for (int i = 0; i < MAX_COLUMNS && line.n; i++) row.columns[i] = next_part(&line, '\t');
    return row;
}

static void fill(struct buf *out, struct str template, const struct row *row)
{
    for (size_t at; (at = str_find(template, STR("{{"), 0)) != SIZE_MAX; template = str_skip(template, at + 5)) {
        int column = at + 5 <= template.n ? template.s[at + 2] - '0' : -1;
        if (column < 0 || column >= MAX_COLUMNS) http_fail("a mark of the template");
        buf_str_add(out, str_slice(template, 0, at));
        buf_str_add(out, row->columns[column]);
    }
    buf_str_add(out, template);
}

static struct str webhook(struct arena *arena, char **argv, struct str id, struct str body)
{
    unsigned char digest[CRYPTO_MAX_DIGEST];
    char          hex[2 * CRYPTO_MAX_DIGEST + 1] = "";
    size_t        n = crypto_hmac(CRYPTO_SHA256, str_of(argv[10]), body, digest);
    for (size_t i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return str_printf(arena,
                      "POST %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\n"
                      "X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: " STR_FMT
                      "\r\nX-Hub-Signature-256: sha256=%s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" STR_FMT,
                      argv[9], argv[1], argv[2], STR_ARG(id), hex, body.n, STR_ARG(body));
}

static struct str batch(struct arena *arena, char **argv, struct str body)
{
    return str_printf(arena,
                      "POST /v1/events HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer %s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" STR_FMT,
                      argv[1], argv[2], argv[9], body.n, STR_ARG(body));
}

static void prepare(struct arena *arena, struct http_load *load, char **argv, bool webhooks)
{
    struct str template = str_trim(read_file(arena, argv[4])), rows = read_file(arena, argv[5]);
    size_t first = (size_t)atoll(argv[6]), count = (size_t)atoll(argv[7]);
    size_t together = webhooks ? 1 : (size_t)atoll(argv[10]);
    if (together < 1 || count % together) http_fail("COUNT must be a multiple of TOGETHER");
    for (size_t i = 0; i < first; i++) (void)next_part(&rows, '\n');
    load->requests = NEW_ARRAY(arena, struct str, count / together);
    struct arena *work ARENA_SCOPE = arena_create();
    while (load->count < count / together) {
        arena_reset(work);
        struct buf body = buf_in(work);
        struct row row = {0};
        for (size_t i = 0; i < together; i++) {
            if (!rows.n) http_fail("not enough rows");
            row = read_row(next_part(&rows, '\n'));
            if (together > 1) buf_char(&body, i ? ',' : '[');
            fill(&body, template, &row);
        }
        if (together > 1) buf_char(&body, ']');
        load->requests[load->count++] =
            webhooks ? webhook(arena, argv, row.columns[0], buf_str(&body)) : batch(arena, argv, buf_str(&body));
    }
}

int main(int argc, char **argv)
{
    bool webhooks = argc == 11 && !strcmp(argv[8], "webhook"), events = argc == 11 && !strcmp(argv[8], "events");
    if (!webhooks && !events) {
        fprintf(stderr, "usage: post HOST PORT CONNECTIONS TEMPLATE ROWS FIRST COUNT webhook PATH SECRET\n"
                        "       post HOST PORT CONNECTIONS TEMPLATE ROWS FIRST COUNT events KEY TOGETHER\n");
        return 2;
    }
    struct arena *arena ARENA_SCOPE = arena_create();
    struct http_load    load = {
           .host = argv[1], .port = argv[2], .connections = atoi(argv[3]), .status = webhooks ? "200" : "202"};
    crypto_start();
    prepare(arena, &load, argv, webhooks);
    http_measure(arena, load);
    return 0;
}
