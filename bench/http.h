/* http.h - a client of many connections for measuring: each sends its next request when the answer to the last is
 * complete. Requests are made before the clock starts and sent from memory. */
#pragma once
#include "base/arena.h"
#include "base/str.h"

struct http_load {
    const char *host; /* an IPv4 address */
    const char *port;
    int         connections;
    const char *status; /* what every answer must have, "200"; any other ends the program with status 1 */
    struct str *requests;
    size_t      count;
};

/* Sends everything and prints JSON: milliseconds from a request's first byte to its answer's last, and the rate. */
void http_measure(struct arena *arena, struct http_load load);

__attribute__((noreturn)) void http_fail(const char *what);
