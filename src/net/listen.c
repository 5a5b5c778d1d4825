/* listen.c - the sockets that a server accepts on: TCP, its Unix socket, those that systemd passed. */
#include "net/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, SYSTEMD_FIRST = 3 };

static struct err *unavailable(struct arena *arena, struct str address, const char *what)
{
    return err_new(arena, ERR_UNAVAILABLE, "cannot listen on " STR_FMT ": %s", STR_ARG(address), what);
}

static struct str bound_address(struct arena *arena, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t               n = sizeof address;
    char                    host[64], port[16];
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0 || address.ss_family == AF_UNIX ||
        getnameinfo((struct sockaddr *)&address, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return STR("");
    return str_printf(arena, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static struct err *add(struct arena *arena, struct net_server *server, int fd, bool local)
{
    if (server->listener_count == SERVER_MAX_LISTENERS) {
        close(fd);
        return err_new(arena, ERR_INVALID, "more than %d addresses to listen on", SERVER_MAX_LISTENERS);
    }
    server->listeners[server->listener_count++] =
        (struct listener){.server = server, .fd = fd, .local = local, .address = bound_address(server->arena, fd)};
    return NULL;
}

/* "127.0.0.1:80", "[::1]:80", ":80" (all addresses of this machine) */
static bool split_address(struct str address, struct str *host, struct str *port)
{
    size_t colon = SIZE_MAX;
    for (size_t at = 0; (at = str_find_char(address, ':', at)) != SIZE_MAX; at++) colon = at;
    if (colon == SIZE_MAX) return false;
    *host = str_slice(address, 0, colon);
    *port = str_skip(address, colon + 1);
    bool bracketed = host->n > 2 && host->s[0] == '[' && host->s[host->n - 1] == ']';
    if (bracketed) *host = str_slice(*host, 1, host->n - 1);
    int64_t number;
    return str_to_int(*port, &number) && number >= 0 && number <= 65535 &&
           (bracketed || str_find_char(*host, ':', 0) == SIZE_MAX);
}

static int bind_one(const struct addrinfo *to)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (to->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, to->ai_addr, to->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static struct err *listen_tcp(struct arena *arena, struct net_server *server, struct str address)
{
    struct str host, port;
    if (!split_address(address, &host, &port)) return unavailable(arena, address, "not an address like 127.0.0.1:8080");
    struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    int why = getaddrinfo(host.n ? str_z(arena, host) : NULL, str_z(arena, port), &hints, &found);
    if (why) return unavailable(arena, address, gai_strerror(why));
    int fd = -1;
    for (struct addrinfo *to = found; to && fd < 0; to = to->ai_next) fd = bind_one(to);
    why = errno;
    freeaddrinfo(found);
    return fd < 0 ? unavailable(arena, address, strerror(why)) : add(arena, server, fd, false);
}

static bool unix_address(struct str path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path.n == 0 || path.n >= sizeof address->sun_path) return false;
    memcpy(address->sun_path, path.s, path.n);
    return true;
}

/* A socket file that outlived its server refuses connections: that one may go, nothing else. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat seen;
    if (lstat(address->sun_path, &seen) != 0 || !S_ISSOCK(seen.st_mode)) return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static struct err *listen_unix(struct arena *arena, struct net_server *server, struct str path)
{
    struct sockaddr_un address;
    if (!unix_address(path, &address)) return unavailable(arena, path, "the path is too long for a socket");
    if (is_stale(&address)) unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return unavailable(arena, path, strerror(errno));
    /* on Linux the file that bind makes gets the mode of the socket, so it is never open to others */
    if (fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int why = errno;
        close(fd);
        return unavailable(arena, path, strerror(why));
    }
    return add(arena, server, fd, true);
}

/* sd_listen_fds(3): LISTEN_PID names us, LISTEN_FDS says how many, from descriptor 3 on. */
static struct err *listen_inherited(struct arena *arena, struct net_server *server, bool *any)
{
    int64_t process, count;
    *any = false;
    if (!str_to_int(str_of(getenv("LISTEN_PID")), &process) || process != getpid() ||
        !str_to_int(str_of(getenv("LISTEN_FDS")), &count) || count < 1 || count > SERVER_MAX_LISTENERS)
        return NULL;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    for (int fd = SYSTEMD_FIRST; fd < SYSTEMD_FIRST + count; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
            return unavailable(arena, STR("the socket passed in LISTEN_FDS"), strerror(errno));
        /* whoever may open a socket that we did not make is not known to be the owner: no local rights */
        TRY(add(arena, server, fd, false));
        server->listeners[server->listener_count - 1].passed = true;
        *any = true;
    }
    return NULL;
}

struct err *listen_all(struct arena *arena, struct net_server *server)
{
    bool inherited = false;
    if (server->config.inherit) TRY(listen_inherited(arena, server, &inherited));
    for (size_t i = 0; !inherited && i < server->config.listen_count; i++)
        TRY(listen_tcp(arena, server, server->config.listen[i]));
    return server->config.socket_path.n ? listen_unix(arena, server, server->config.socket_path) : NULL;
}

void listen_remove_socket(struct str path)
{
    struct sockaddr_un address;
    if (unix_address(path, &address)) unlink(address.sun_path);
}
