/* http_script.h - an HTTP server for a test that answers one scripted reply after the other. */
#pragma once
#include "check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct script {
    int         listener;
    char        address[64];   /* "http://127.0.0.1:43210" */
    const char *replies[4];    /* whole HTTP replies; the last repeats; NULL: hold the connection open without a word */
    int         connections, requests;
    char        last[16384];   /* the last request */
    pthread_t   thread;
};

static inline bool read_request(int fd, char *text, size_t size)
{
    size_t n = 0, wanted = 0;
    for (;;) {
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got <= 0) return false;
        n += (size_t)got;
        text[n] = 0;
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (!end) continue;
        wanted = (size_t)(end + 4 - text) + (length && length < end ? (size_t)atoi(length + 15) : 0);
        if (n >= wanted) return true;
    }
}

static inline void *serve(void *arg)
{
    struct script *script = arg;
    for (int fd; (fd = accept(script->listener, NULL, NULL)) >= 0; close(fd)) {
        script->connections++;
        while (read_request(fd, script->last, sizeof script->last)) {
            int i = script->requests++;
            while (i > 0 && !(i < 4 && script->replies[i])) i--;
            const char *reply = script->replies[i];
            if (!reply) continue;
            size_t n = strlen(reply);
            if (write(fd, reply, n) != (ssize_t)n) break;
            if (strstr(reply, "Connection: close")) break;
        }
    }
    close(script->listener);
    return NULL;
}

static inline void listen_on(struct script *script, const struct sockaddr *address, socklen_t n)
{
    assert_return_code(bind(script->listener, address, n), 0);
    assert_return_code(listen(script->listener, 8), 0);
    assert_int_equal(pthread_create(&script->thread, NULL, serve, script), 0);
}

static inline void script_start(struct script *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          n = sizeof address;
    script->listener = socket(AF_INET, SOCK_STREAM, 0);
    listen_on(script, (struct sockaddr *)&address, n);
    getsockname(script->listener, (struct sockaddr *)&address, &n);
    snprintf(script->address, sizeof script->address, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

/* The client keeps its connection open, so the thread may stay in read(): it is left behind, with the socket that it will
 * try to accept from, and its script is static. */
static inline void script_stop(struct script *script)
{
    shutdown(script->listener, SHUT_RDWR);
    pthread_detach(script->thread);
}

#define OK_JSON(length) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " length "\r\n\r\n"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"
