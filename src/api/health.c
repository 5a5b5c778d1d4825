/* health.c - GET /healthz (the process answers) and /readyz (the database does too). */
#include "api/call.h"
#include "base/log.h"

static struct err *check_token(struct api_call *call)
{
    struct str token = call->app->config->health_token;
    if (token.n == 0 || call->request->local || api_bearer_is(call->request, token)) return NULL;
    return err_new(call->arena, ERR_UNAUTHORIZED, "Token required");
}

static struct err *send_status(struct api_call *call, int status, const char *word)
{
    struct json_out out = api_answer(call);
    json_put(&out, "status", word);
    json_put_time(&out, "timestamp", time_now());
    json_put(&out, "service", "lightfast");
    json_put(&out, "environment", "production");
    json_put(&out, "version", LIGHTFAST_VERSION);
    net_reply_header(call->reply, "Cache-Control", STR("no-store"));
    api_send(call, status, &out);
    return NULL;
}

static struct err *ask_database(struct api_call *call)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    struct db_rows rows;
    int64_t        workspaces = 0;
    TRY(db_query(tx, &rows, "SELECT COUNT(*) FROM workspace"));
    db_next(&rows, &workspaces);
    TRY(db_done(&rows));
    return workspaces ? NULL : err_new(call->arena, ERR_UNAVAILABLE, "there is no workspace");
}

struct err *api_health(struct api_call *call)
{
    TRY(check_token(call));
    return send_status(call, 200, "ok");
}

struct err *api_ready(struct api_call *call)
{
    TRY(check_token(call));
    struct err *err = ask_database(call);
    if (!err) return send_status(call, 200, "ready");
    log_warn("api", "not ready: " STR_FMT, STR_ARG(err_text(call->arena, err)));
    return send_status(call, 503, "unavailable");
}
