/* mcp.h - the Model Context Protocol: the memory as tools, resources and prompts for language models' programs
 * (spec/search-api.md 9).
 *
 * Everything is asked of the API through struct mcp_api, wherever the API runs, so a tool's result is the API's answer.
 * Two ways in: one JSON-RPC message a line (mcp_serve_lines), and POST /mcp (mcp_handle), which has passed the API's
 * checks. Both speak the revisions with a handshake, 2024-11-05 (lines only) to 2025-11-25, and 2026-07-28, where every
 * request says for itself which revision it is of.
 */
#pragma once
#include "api/api.h"

enum { MCP_LONGEST_MESSAGE = 1 << 20, MCP_LARGEST_BATCH = 20 };

struct mcp_question {
    const char *method;      /* of HTTP */
    struct str  target, body;
    bool      (*stopped)(void *arg); /* true: nobody waits for the answer any more; NULL: never */
    bool      (*piece)(void *arg, struct str text); /* hears a streamed answer as it comes; NULL: in one */
    void       *arg;                 /* of both */
};
struct mcp_answer { int status; struct str body; };

/* The API. Its functions are called by several threads at once. */
struct mcp_api {
    void *arg;
    struct err *(*ask)(void *arg, struct arena *arena, const struct mcp_question *question, struct mcp_answer *answer);
    void (*idle)(void *arg); /* nothing was asked for a while (lines only); NULL: nothing to do then */
};

/* Answer messages from in on out until in ends or out breaks. Requests run beside each other; every message is one line
 * of at most MCP_LONGEST_MESSAGE bytes. Errors: ERR_UNAVAILABLE when reading or writing fails. */
MUST_CHECK struct err *mcp_serve_lines(struct arena *arena, const struct mcp_api *api, int in, int out);

/* Those who listen for changes over HTTP: one for a server. mcp_watch_stop tells them goodbye before the server stops; destroy
 * after it has. */
struct mcp_watch *mcp_watch_create(struct app *app);
void              mcp_watch_stop(struct mcp_watch *watch);
void              mcp_watch_destroy(struct mcp_watch *watch);

/* POST /mcp: api_door. app->config tells which origins may ask. Errors: ERR_FORBIDDEN (a foreign origin). */
struct err *mcp_handle(struct app *app, struct net_request *request, struct net_reply *reply);
