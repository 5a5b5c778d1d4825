/* client.c - one way to ask the API: over HTTP, over the data directory's socket, or as a function call. */
#include "cli/cli.h"

#include "base/time.h"

#include <stdlib.h>
#include <unistd.h>

static struct str option_or_variable(struct cli *cli, const char *option, const char *variable)
{
    struct str value = cli_value(cli, option);
    if (!value.s) value = str_of(getenv(variable));
    return value.s ? str_trim(value) : STR("");
}

static struct err *connect_remote(struct cli *cli, struct cli_client *client)
{
    if (!str_starts(client->url, STR("http://")) && !str_starts(client->url, STR("https://")))
        return err_new(cli->arena, ERR_INVALID, "--url takes an http:// or https:// URL");
    while (client->url.n && client->url.s[client->url.n - 1] == '/') client->url.n--;
    if (!client->key.n) return err_new(cli->arena, ERR_UNAUTHORIZED, "--url needs a key: --api-key or LIGHTFAST_API_KEY");
    return NULL;
}

struct err *cli_connect(struct cli *cli, struct cli_client *client)
{
    *client = (struct cli_client){.cli = cli,
                                  .url = option_or_variable(cli, "url", "LIGHTFAST_BASE_URL"),
                                  .key = option_or_variable(cli, "api-key", "LIGHTFAST_API_KEY"),
                                  .workspace = option_or_variable(cli, "workspace", "LIGHTFAST_WORKSPACE_ID")};
    if (client->url.n) return connect_remote(cli, client);
    TRY(cli_config(cli, &client->config));
    client->socket = str_printf(cli->arena, STR_FMT "/lightfast.sock", STR_ARG(client->config->data_dir));
    if (db_directory_locked(client->config->data_dir) && access(client->socket.s, F_OK) == 0) {
        client->url = STR("http://localhost");
        return NULL;
    }
    client->local = true;
    return cli_app_open(cli, client->config, &client->app);
}

void cli_disconnect(struct cli_client *client)
{
    if (client->local) cli_app_close(&client->app);
}

/* What a reply that is no success says, as an error with the same meaning. */
static struct err *refusal(struct arena *arena, int status, const json_value *body)
{
    enum err_code code = status == 400   ? ERR_INVALID
                         : status == 401 ? ERR_UNAUTHORIZED
                         : status == 403 ? ERR_FORBIDDEN
                         : status == 404 ? ERR_NOT_FOUND
                         : status == 409 ? ERR_CONFLICT
                         : status == 413 ? ERR_TOO_LARGE
                         : status == 429 ? ERR_RATE_LIMITED
                         : status == 503 ? ERR_UNAVAILABLE
                                         : ERR_INTERNAL;
    struct buf text = buf_in(arena);
    struct str message = json_str(body, "message");
    if (message.n)
        buf_str_add(&text, message);
    else
        buf_printf(&text, "the server answered %d", status);
    for (struct json_iter field = json_iter(json_get(body, "details")); json_step(&field);)
        for (struct json_iter problem = json_iter(field.value); json_step(&problem);) {
            struct str what = json_str(problem.value, "");
            bool       says = str_eq(field.key, STR("body")) || str_starts(what, field.key);
            if (says) buf_printf(&text, "; " STR_FMT, STR_ARG(what));
            else buf_printf(&text, "; " STR_FMT ": " STR_FMT, STR_ARG(field.key), STR_ARG(what));
        }
    return err_new(arena, code, STR_FMT, STR_ARG(buf_str(&text)));
}

static struct net_call call_of(const struct cli_client *client, struct arena *arena, const char *method, struct str target)
{
    struct net_call call = {.method = method,
                            .url = str_printf(arena, STR_FMT STR_FMT, STR_ARG(client->url), STR_ARG(target)),
                            .socket_path = client->socket};
    if (client->key.n && !client->socket.n)
        call.headers[call.header_count++] = (struct net_header){
            STR("Authorization"), str_printf(arena, "Bearer " STR_FMT, STR_ARG(client->key))};
    if (client->workspace.n)
        call.headers[call.header_count++] = (struct net_header){STR("X-Workspace-ID"), client->workspace};
    return call;
}

static struct err *unreachable(const struct cli_client *client, struct arena *arena, struct err *err)
{
    return err_wrap(arena, err, "cannot reach " STR_FMT, STR_ARG(client->socket.n ? client->socket : client->url));
}

static struct err *ask_http(struct cli_client *client, struct arena *arena, const struct cli_request *request,
                            int *status, struct str *answer)
{
    struct net_call   call = call_of(client, arena, request->method, request->target);
    struct net_answer got;
    call.body = request->body;
    call.timeout_ms = MINUTES(2);
    call.stopped = request->stopped;
    call.piece = request->piece;
    call.arg = request->arg;
    call.headers[call.header_count++] = (struct net_header){STR("Content-Type"), STR("application/json")};
    struct err *err = net_http(arena, &call, &got);
    if (err) return unreachable(client, arena, err);
    *status = got.status;
    *answer = got.body;
    return NULL;
}

struct err *cli_hear(const struct cli_client *client, struct arena *arena, struct cli_hearing hearing)
{
    const json_value *body = NULL;
    struct net_answer got;
    if (client->local)
        return err_new(arena, ERR_UNAVAILABLE, "no server runs on this data directory: nothing will happen until one does");
    struct net_call call = call_of(client, arena, hearing.method ? hearing.method : "GET", hearing.target);
    call.body = hearing.body;
    call.headers[call.header_count++] = (struct net_header){STR("Accept"), STR("text/event-stream")};
    call.timeout_ms = -1;
    call.piece = hearing.piece;
    call.stopped = hearing.stopped;
    call.arg = hearing.arg;
    struct err *err = net_http(arena, &call, &got);
    if (err) return unreachable(client, arena, err);
    if (got.status == 200) return NULL;
    if (json_parse(arena, got.body, &body)) body = NULL;
    return refusal(arena, got.status, body);
}

static void ask_here(struct cli_client *client, struct arena *arena, const struct cli_request *asked, int *status,
                     struct str *answer)
{
    struct net_request *request = net_request_local(arena, asked->method, asked->target, asked->body);
    if (client->workspace.n) net_request_header(request, "X-Workspace-ID", client->workspace);
    request->piece = asked->piece;
    request->stopped = asked->stopped;
    request->listener = asked->arg;
    struct net_reply reply = {0};
    api_handle(&client->app.app, request, &reply);
    *status = reply.status;
    *answer = reply.body;
}

struct err *cli_exchange(struct cli_client *client, struct arena *arena, const struct cli_request *request, int *status,
                         struct str *answer)
{
    if (!client->local) return ask_http(client, arena, request, status, answer);
    ask_here(client, arena, request, status, answer);
    return NULL;
}

struct err *cli_ask(struct cli_client *client, const char *method, struct str target, struct str body,
                    const json_value **reply)
{
    struct arena *arena = client->cli->arena;
    struct str answer;
    int status;
    struct cli_request request = {.method = method, .target = target, .body = body};
    TRY(cli_exchange(client, arena, &request, &status, &answer));
    struct err *err = json_parse(arena, answer, reply);
    if (err) return err_new(arena, ERR_INTERNAL, "the server answered %d with something that is not JSON", status);
    return status >= 200 && status < 300 ? NULL : refusal(arena, status, *reply);
}

struct err *cli_workspace_path(struct cli_client *client, struct str *path)
{
    const json_value *workspace;
    TRY(cli_ask(client, "GET", STR("/v1/workspace"), STR(""), &workspace));
    struct str org = json_str(workspace, "organization.slug"), id = json_str(workspace, "id");
    *path = str_printf(client->cli->arena, "/v1/orgs/" STR_FMT "/workspaces/" STR_FMT, STR_ARG(org), STR_ARG(id));
    return NULL;
}

/* ---- commands that ask once ---------------------------------------------------------------------------------------- */

struct err *cli_post(struct cli *cli, const char *path, struct str body, const json_value **reply)
{
    struct cli_client client;
    TRY(cli_connect(cli, &client));
    struct err *err = cli_ask(&client, "POST", str_of(path), body, reply);
    cli_disconnect(&client);
    return err;
}

struct err *cli_ask_workspace(struct cli *cli, const char *method, struct str path, struct str body,
                              const json_value **reply)
{
    struct cli_client client;
    struct str base;
    TRY(cli_connect(cli, &client));
    struct err *err = cli_workspace_path(&client, &base);
    if (!err)
        err = cli_ask(&client, method, str_printf(cli->arena, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(path)), body, reply);
    cli_disconnect(&client);
    return err;
}
