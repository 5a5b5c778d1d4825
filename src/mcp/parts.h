/* parts.h - what the files of mcp/ share: messages, revisions, a request on its way; not for other rooms. */
#pragma once
#include "json/json.h"
#include "mcp/mcp.h"

/* ---- messages (message.c) ------------------------------------------------------------------------------------------ */

enum { /* JSON-RPC 2.0, and what MCP adds */
    MCP_PARSE_ERROR = -32700,
    MCP_INVALID_REQUEST = -32600,
    MCP_UNKNOWN_METHOD = -32601,
    MCP_INVALID_PARAMS = -32602,
    MCP_INTERNAL_ERROR = -32603,
    MCP_NO_RESOURCE = -32002,         /* up to 2025-11-25 */
    MCP_HEADER_MISMATCH = -32020,     /* from 2026-07-28 */
    MCP_UNSUPPORTED_VERSION = -32022, /* from 2026-07-28 */
};

/* Why a message gets no result. */
struct mcp_fault {
    int        code;    /* 0: none */
    int        status;  /* of HTTP */
    struct str message;
    struct str data;    /* JSON, or empty */
};

enum mcp_kind { MCP_REQUEST, MCP_NOTIFICATION, MCP_RESPONSE, MCP_MALFORMED };
struct mcp_message {
    enum mcp_kind     kind;
    struct str        id;     /* as JSON; "null" if there is none */
    struct str        method;
    const json_value *params; /* an object, or NULL */
    struct mcp_fault  fault;  /* of a malformed one */
};
void mcp_message_read(struct arena *arena, const json_value *value, struct mcp_message *message);
/* A member of params._meta; NULL if absent. */
const json_value *mcp_meta(const struct mcp_message *message, struct str key);

/* What comes in one piece: a message, or where batches are allowed up to MCP_LARGEST_BATCH of them. False: *fault tells
 * what is wrong with all of it; single messages can be malformed too. */
struct mcp_text { struct mcp_message *at; size_t n; bool batch; };
bool mcp_text_read(struct arena *arena, struct str text, bool batches, struct mcp_text *read, struct mcp_fault *fault);
struct str mcp_text_join(struct arena *arena, const struct str *responses, size_t n, bool batch); /* empty: nothing to say */

#define MCP_SERVER_INFO "io.modelcontextprotocol/serverInfo"
struct str mcp_fault_text(struct arena *arena, struct str id, const struct mcp_fault *fault);
void mcp_notification_begin(struct json_out *out, const char *method); /* params is open; end with mcp_message_end */
struct str mcp_message_end(struct json_out *out);

/* ---- revisions (revision.c) ---------------------------------------------------------------------------------------- */

struct mcp_revision {
    const char *name;
    bool lines, http;   /* ways in */
    bool handshake;     /* begins with initialize */
    bool batches;
    bool structured;    /* structuredContent */
};
extern const struct mcp_revision mcp_revisions[]; /* newest first; name NULL ends the table */
const struct mcp_revision *mcp_revision_named(struct str name, bool http); /* NULL: not spoken there */
const struct mcp_revision *mcp_revision_modern(void);
/* What initialize answers to a client that asks for this one. */
const struct mcp_revision *mcp_revision_agreed(struct str wanted, bool http);
void mcp_put_revisions(struct json_out *out, const char *key, bool http);

#define MCP_WITHOUT_HEADER STR("2025-03-26") /* of a request over HTTP that has no MCP-Protocol-Version */
struct mcp_headers { struct str version, method, name; }; /* {NULL, 0}: absent */
/* The revision that a request is answered by. headers NULL: it came as a line, and handshake is what was agreed on. False:
 * *fault tells why there is none. */
bool mcp_revision_of(struct arena *arena, const struct mcp_message *message, const struct mcp_headers *headers,
                     const struct mcp_revision *handshake, const struct mcp_revision **revision, struct mcp_fault *fault);

/* ---- requests (request.c) -------------------------------------------------------------------------------------------- */

struct mcp_call {
    struct arena              *arena;
    const struct mcp_api      *api;
    const struct mcp_revision *revision;
    bool                       http;
    const struct mcp_message  *message;
    bool                     (*stopped)(void *arg); /* NULL: never */
    void                      *stopped_arg;
    void                     (*notify)(void *arg, struct str notification); /* NULL: nobody would hear of progress */
    void                      *notify_arg;
    const struct mcp_revision *agreed; /* set by initialize */
    struct mcp_fault           fault;
};

/* The response to a request. status: of HTTP. */
struct str mcp_respond(struct mcp_call *call, int *status);

/* What the methods use. A method fills result's members and returns NULL, or refuses. */
struct err *mcp_refuse(struct mcp_call *call, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
MUST_CHECK struct err *mcp_ask(struct mcp_call *call, const char *method, struct str target, struct str body,
                               struct mcp_answer *answer);
/* The same, with every status but 2xx as an error: 404 is absence (*reply NULL), the others refuse. */
MUST_CHECK struct err *mcp_fetch(struct mcp_call *call, const char *method, struct str target, struct str body,
                                 const json_value **reply);
MUST_CHECK struct err *mcp_check_cursor(struct mcp_call *call); /* every list is one page */

/* "/v1/orgs/local/workspaces/ws_..." */
MUST_CHECK struct err *mcp_workspace_path(struct mcp_call *call, struct str *path);
/* Item by id, in full; NULL if there is none. */
MUST_CHECK struct err *mcp_fetch_item(struct mcp_call *call, struct str id, const json_value **item);
/* That item and what it is linked with, as Markdown. */
MUST_CHECK struct err *mcp_put_linked(struct mcp_call *call, struct str id, const json_value *item, struct buf *out);

/* What lists call a tool, a prompt or a resource; not every revision has titles. */
struct mcp_names { const char *name, *title, *description; };
void mcp_put_names(struct json_out *out, const struct mcp_revision *revision, struct mcp_names names);

/* ---- progress (progress.c) ------------------------------------------------------------------------------------------- */

/* The token of a request whose progress can be told: lightfast_answer with params._meta.progressToken. NULL: none. */
const json_value *mcp_progress_token(const struct mcp_message *message);
/* Ask for an answer in pieces and tell of its steps; answer is what it would have been in one. */
MUST_CHECK struct err *mcp_ask_with_progress(struct mcp_call *call, struct str target, const json_value *arguments,
                                             struct mcp_answer *answer);

/* ---- listening (listen.c) -------------------------------------------------------------------------------------------- */

/* subscriptions/listen: a request whose response comes when the server ends it. */
struct mcp_listener {
    struct str id;     /* of the request, as JSON */
    bool       recent; /* wants to know of changes of MCP_RECENT_URI */
    uint64_t   seen;   /* hash of what it held */
};
bool mcp_is_listening(const struct mcp_message *message, const struct mcp_revision *revision);
/* From the request; looks once. Errors: refusals. */
MUST_CHECK struct err *mcp_listener_begin(struct mcp_call *call, struct mcp_listener *listener);
struct str mcp_listener_greeting(struct arena *arena, const struct mcp_listener *listener);
/* Look again. *news: the notification, or {NULL, 0}. */
MUST_CHECK struct err *mcp_listener_look(struct mcp_listener *listener, const struct mcp_api *api, struct arena *arena,
                                         struct str *news);
struct str mcp_listener_goodbye(struct arena *arena, const struct mcp_listener *listener);

/* ---- over HTTP (http.c, watch.c) --------------------------------------------------------------------------------------- */

/* Who asks over HTTP: a copy of the request's credentials, for what is asked of the API on the way. */
struct mcp_caller {
    struct app         *app;
    struct net_request *request;
};
struct mcp_caller *mcp_caller_copy(struct arena *arena, struct app *app, const struct net_request *request);
struct err *mcp_caller_ask(void *caller, struct arena *arena, const struct mcp_question *question, struct mcp_answer *answer);
/* The listener's stream from now on; its memory is the watch's. False: too many, or the server stops. */
bool mcp_watch_add(struct mcp_watch *watch, struct arena *arena, struct mcp_caller *caller, struct mcp_listener listener,
                   struct net_stream *stream);
bool mcp_watch_full(struct mcp_watch *watch);
void mcp_put_server_info(struct json_out *out, const char *key);

/* ---- the methods' own files -------------------------------------------------------------------------------------------- */

#define MCP_WORKSPACE_URI "lightfast://workspace"
#define MCP_RECENT_URI "lightfast://workspace/recent"
struct err *mcp_resources_list(struct mcp_call *call, struct json_out *out);
struct err *mcp_templates_list(struct mcp_call *call, struct json_out *out);
struct err *mcp_resources_read(struct mcp_call *call, struct json_out *out);
MUST_CHECK struct err *mcp_recent(struct mcp_call *call, struct str *text); /* what MCP_RECENT_URI holds */
struct err *mcp_prompts_list(struct mcp_call *call, struct json_out *out);
struct err *mcp_prompts_get(struct mcp_call *call, struct json_out *out);
struct err *mcp_tools_list(struct mcp_call *call, struct json_out *out);
struct err *mcp_tools_call(struct mcp_call *call, struct json_out *out);

/* ---- what was stored, as Markdown (markdown.c) ----------------------------------------------------------------------- */

void mcp_put_item(struct buf *out, const json_value *item);                 /* an observation or a document */
void mcp_put_relations(struct buf *out, const json_value *reply);           /* of GET /v1/related/ID */
void mcp_put_cluster(struct buf *out, const json_value *cluster);
void mcp_put_person(struct buf *out, const json_value *person);
void mcp_put_results(struct buf *out, const json_value *results);           /* of a search, one line each */
