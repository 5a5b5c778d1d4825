/* functions.c - /v1/admin/functions: what the engine runs for all workspaces, pausing and resuming it (workflow-engine.md
 * 6). For the operator alone. */
#include "api/call.h"
#include "flow/flow.h"

struct err *api_function_list(struct api_call *call)
{
    struct flow_function_record *functions;
    size_t                       n;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(call->app->db, call->arena, &tx));
    TRY(flow_function_list(tx, &functions, &n));
    struct json_out out = api_answer(call);
    json_begin(&out, "data", '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(&out, NULL, '{');
        json_put(&out, "id", functions[i].name);
        json_put_bool(&out, "system", functions[i].system);
        json_put_bool(&out, "paused", functions[i].paused);
        json_put(&out, "queued", functions[i].queued);
        json_end(&out);
    }
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}

struct pausing { struct api_call *call; bool paused; };

static struct err *write_pause(struct db_tx *tx, void *arg)
{
    const struct pausing *pausing = arg;
    struct str            function = api_parameter(pausing->call, "id");
    TRY(flow_pause(tx, function, pausing->paused));
    return api_tell(tx, pausing->call, (struct activity){.action = pausing->paused ? STR("job.function_paused") : STR("job.function_resumed"),
                                                         .entity_type = STR("function"),
                                                         .entity_id = function,
                                                         .entity_name = function});
}

static struct err *set_paused(struct api_call *call, bool paused)
{
    struct pausing pausing = {call, paused};
    TRY(db_write(call->app->db, call->arena, write_pause, &pausing));
    struct json_out out = api_answer(call);
    json_put_bool(&out, "success", true);
    api_send_with_id(call, &out);
    return NULL;
}

struct err *api_function_pause(struct api_call *call) { return set_paused(call, true); }
struct err *api_function_resume(struct api_call *call) { return set_paused(call, false); }
