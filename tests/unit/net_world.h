/* net_world.h - sockets for tests that speak HTTP byte by byte. */
#pragma once
#include "check.h"

#include "net/net.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static inline int dial(struct str address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t            port;
    check(str_to_int(str_skip(address, str_find_char(address, ':', 0) + 1), &port));
    to.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

static inline void say(int fd, const char *text)
{
    size_t n = strlen(text);
    check(send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n);
}

/* Everything until the server closes. */
static inline struct str hear_all(struct arena *arena, int fd)
{
    struct buf heard = buf_in(arena);
    char       part[4096];
    for (ssize_t n; (n = recv(fd, part, sizeof part, 0)) > 0;) buf_bytes(&heard, part, (size_t)n);
    close(fd);
    return buf_str(&heard);
}

/* The text up to `end`, which must come before the connection closes and within half a minute. */
static inline struct str hear_until(struct arena *arena, int fd, const char *end)
{
    struct timeval patience = {.tv_sec = 30};
    struct buf     heard = buf_in(arena);
    time_t         last = time(NULL) + patience.tv_sec;
    char           c;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (!str_ends(buf_str(&heard), str_of(end))) {
        if (recv(fd, &c, 1, 0) != 1 || time(NULL) > last)
            fail_msg("waited for \"%s\", heard \"" STR_FMT "\"", end, STR_ARG(buf_str(&heard)));
        buf_char(&heard, c);
    }
    return buf_str(&heard);
}
