/* serve.c - the server: start, wait for a signal, stop. */
#include "cli/cli.h"

#include "base/log.h"
#include "base/time.h"
#include "flow/flow.h"
#include "mcp/mcp.h"

#include <signal.h>
#include <unistd.h>

enum { ANSWERERS = 32 }; /* answers that may wait for language models together */

/* metrics.listen: an address of its own, so that a scraper needs neither a key nor the way to the API. */
static struct err *listen_for_metrics(struct cli *cli, struct config *config, struct app *app, struct net_server **metrics)
{
    struct net_server_config server_config = {
        .listen = &config->metrics_listen,
        .listen_count = 1,
        .workers = app->workers,
        .handler = api_handle_metrics,
        .arg = app,
        .max_connections = 64,
    };
    TRY(net_server_start(cli->arena, server_config, metrics));
    log_info("serve", "metrics on " STR_FMT, STR_ARG(net_server_address(*metrics, 0)));
    return NULL;
}

static struct err *listen_and_wait(struct cli *cli, struct config *config, struct cli_app *opened, const sigset_t *signals)
{
    struct app *app = &opened->app;
    struct net_server *server, *metrics = NULL;
    struct net_server_config server_config = {
        .listen = config->listen,
        .listen_count = config->listen_count,
        .socket_path = str_printf(cli->arena, STR_FMT "/lightfast.sock", STR_ARG(config->data_dir)),
        .workers = app->workers,
        .handler = api_handle,
        .terms = api_terms,
        .inherit = true,
        .arg = app,
    };
    TRY(net_server_start(cli->arena, server_config, &server));
    for (size_t i = 0; i < net_server_address_count(server); i++)
        log_info("serve", "listening on " STR_FMT, STR_ARG(net_server_address(server, i)));
    struct err *err = config->metrics_listen.n ? listen_for_metrics(cli, config, app, &metrics) : NULL;
    if (!err) err = flow_start(app->flow, cli->arena); /* after all that can answer: what comes meanwhile is queued */
    int received = 0;
    if (!err) {
        while (sigwait(signals, &received) != 0) continue;
        log_info("serve", "stopping on signal %d", received);
    }
    if (metrics) net_server_stop(metrics, 0);
    api_stop_answers(app->api);
    mcp_watch_stop(app->mcp_watch);
    net_server_stop(server, config->shutdown_grace_ms);
    return err;
}

int cli_serve(struct cli *cli)
{
    int64_t started = time_monotonic_us();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before the first thread, so that all inherit it */
    struct config *config;
    struct err *err = cli_config(cli, &config);
    if (err) return cli_fail(cli, err);
    struct cli_app opened;
    err = cli_app_open(cli, config, &opened);
    if (err) return cli_fail(cli, err);
    opened.app.mcp = mcp_handle;
    opened.app.mcp_watch = mcp_watch_create(&opened.app);
    opened.app.workers = workers_start((size_t)config->workers, "worker");
    /* they never wait: as many as there are processors, for each more takes the caches from the others */
    opened.app.receivers = workers_start((size_t)sysconf(_SC_NPROCESSORS_ONLN), "receiver");
    opened.app.answerers = workers_start(ANSWERERS, "answerer");
    log_info("serve", "data directory " STR_FMT " ready in %lld ms", STR_ARG(config->data_dir),
             (long long)((time_monotonic_us() - started) / 1000));
    err = cli_app_engine(cli, config, &opened);
    if (!err) err = listen_and_wait(cli, config, &opened, &signals);
    if (opened.app.flow) flow_stop(opened.app.flow);
    workers_stop(opened.app.workers);
    workers_stop(opened.app.receivers);
    db_writers_wait(opened.app.db); /* replies that wait for it */
    workers_stop(opened.app.answerers);
    mcp_watch_destroy(opened.app.mcp_watch);
    cli_app_close(&opened);
    if (err) return cli_fail(cli, err);
    log_info("serve", "stopped");
    return CLI_OK;
}
