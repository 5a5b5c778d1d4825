/* embeddings.c - POST W/embeddings/retry: what could not be embedded for good is tried again (console.md 2.1). */
#include "api/call.h"

struct retrial {
    int64_t workspace, queued;
};

static struct err *retry(struct db_tx *tx, void *arg)
{
    struct retrial *retrial = arg;
    return memory_retry_embeddings(tx, retrial->workspace, &retrial->queued);
}

struct err *api_retry_embeddings(struct api_call *call, int64_t *queued)
{
    struct retrial retrial = {.workspace = call->workspace.id};
    TRY(db_write(call->app->db, call->arena, retry, &retrial));
    *queued = retrial.queued;
    return NULL;
}

struct err *api_embedding_retry(struct api_call *call)
{
    int64_t queued;
    TRY(api_retry_embeddings(call, &queued));
    struct json_out out = api_answer(call);
    json_put(&out, "queued", queued);
    api_send_with_id(call, &out);
    return NULL;
}
