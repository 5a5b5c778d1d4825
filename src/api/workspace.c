/* workspace.c - GET /v1/workspace: where a caller is, so that with nothing but a key it can build workspace paths. */
#include "api/call.h"

struct err *api_workspace(struct api_call *call)
{
    const struct org_workspace *workspace = &call->workspace;
    struct json_out out = api_answer(call);
    json_put(&out, "id", workspace->public_id);
    json_put(&out, "name", workspace->name);
    json_put(&out, "slug", workspace->slug);
    json_put(&out, "isDefault", workspace->is_default);
    json_begin(&out, "organization", '{');
    json_put(&out, "id", workspace->org_public_id);
    json_put(&out, "slug", workspace->org_slug);
    json_end(&out);
    json_put_time(&out, "createdAt", workspace->created_at);
    json_begin(&out, "scopes", '[');
    for (unsigned scope = ORG_READ; scope <= ORG_ADMIN; scope <<= 1)
        if (call->key.id == 0 || (call->key.scopes & scope)) json_put(&out, NULL, org_scope_name(scope));
    json_end(&out);
    api_send_with_id(call, &out);
    return NULL;
}
