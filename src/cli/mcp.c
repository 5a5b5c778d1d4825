/* mcp.c - lightfast mcp: the Model Context Protocol over standard input and output (search-api.md 9.3).
 *
 * An agent keeps this program running for hours. So the data directory is taken only while something is asked, and given
 * back soon after: a server can start, and other agents can ask, in between. Once a server holds it, that is asked.
 */
#include "cli/cli.h"

#include "base/time.h"
#include "mcp/mcp.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { KEEP_MS = 3000, TRY_MS = 10000, AGAIN_MS = 100 };

struct link {
    struct cli       *cli;
    pthread_mutex_t   lock; /* guards what follows; of an open client only members that do not change are used without */
    bool              open;
    int               users;
    int64_t           used_at_us;
    struct arena     *arena; /* of the client */
    struct cli        own;   /* the invocation, in that arena */
    struct cli_client client;
};

static void close_link(struct link *link)
{
    if (!link->open) return;
    cli_disconnect(&link->client);
    arena_destroy(link->arena);
    link->open = false;
}

static struct err *connect_once(struct link *link, struct arena *arena)
{
    link->arena = arena_create();
    link->own = *link->cli;
    link->own.arena = link->arena;
    struct err *err = cli_connect(&link->own, &link->client);
    link->open = !err;
    if (err) {
        err = err_new(arena, err->code, STR_FMT, STR_ARG(err_text(link->arena, err)));
        arena_destroy(link->arena);
    }
    return err;
}

/* Another command may hold the directory for a moment. */
static struct err *connect_link(struct link *link, struct arena *arena)
{
    int64_t until = time_monotonic_us() + TRY_MS * 1000;
    struct err *err = connect_once(link, arena);
    while (err && err->code == ERR_CONFLICT && time_monotonic_us() < until) {
        nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
        err = connect_once(link, arena);
    }
    return err;
}

static struct err *begin_use(struct link *link, struct arena *arena)
{
    pthread_mutex_lock(&link->lock);
    struct err *err = link->open ? NULL : connect_link(link, arena);
    if (!err) link->users++;
    pthread_mutex_unlock(&link->lock);
    return err;
}

static void end_use(struct link *link, bool lost)
{
    pthread_mutex_lock(&link->lock);
    link->used_at_us = time_monotonic_us();
    if (--link->users == 0 && lost) close_link(link);
    pthread_mutex_unlock(&link->lock);
}

static struct err *ask(void *arg, struct arena *arena, const struct mcp_question *question, struct mcp_answer *answer)
{
    struct link *link = arg;
    struct cli_request request = {.method = question->method, .target = question->target, .body = question->body,
                                  .stopped = question->stopped, .piece = question->piece, .arg = question->arg};
    struct err *err = NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        TRY(begin_use(link, arena));
        err = cli_exchange(&link->client, arena, &request, &answer->status, &answer->body);
        bool gone = err && err->code == ERR_UNAVAILABLE && link->client.socket.n;
        end_use(link, gone);
        if (!gone) break; /* a server that stopped has left the directory to us, or to its successor */
    }
    return err;
}

static void rest(void *arg)
{
    struct link *link = arg;
    pthread_mutex_lock(&link->lock);
    if (link->open && link->client.local && !link->users && time_monotonic_us() - link->used_at_us > KEEP_MS * 1000)
        close_link(link);
    pthread_mutex_unlock(&link->lock);
}

int cli_mcp(struct cli *cli)
{
    if (cli_has(cli, "version")) return cli_version(cli);
    struct link link = {.cli = cli};
    struct mcp_api api = {.arg = &link, .ask = ask, .idle = rest};
    pthread_mutex_init(&link.lock, NULL);
    struct err *err = begin_use(&link, cli->arena);
    if (!err && link.client.key.n && !str_starts(link.client.key, STR("sk-lf-")))
        err = err_new(cli->arena, ERR_UNAUTHORIZED, "an API key begins with sk-lf-: see --api-key and LIGHTFAST_API_KEY");
    if (link.users) end_use(&link, false);
    if (!err) err = mcp_serve_lines(cli->arena, &api, STDIN_FILENO, STDOUT_FILENO);
    close_link(&link);
    pthread_mutex_destroy(&link.lock);
    return err ? cli_fail(cli, err) : CLI_OK;
}
