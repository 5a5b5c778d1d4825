/* cli.h - the commands of the program: one file each, one table in main.c.
 *
 * A command that asks the memory speaks to the HTTP API through struct cli_client, whatever stands behind it: a server
 * named by --url, the server that holds the data directory (its Unix socket), or the API's functions in this process
 * under the directory's lock.
 */
#pragma once
#include "api/api.h"

#include <stdio.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli_option {
    const char *name;     /* "limit"; "" ends the list */
    const char *value;    /* what the value is called in the help, NULL for a flag */
    const char *help;
};

struct cli;
struct cli_command {
    const char *name;      /* "search", or "import git" */
    const char *arguments; /* "QUERY" */
    const char *summary;   /* one line */
    const char *examples;  /* lines, each a command with a comment, or NULL */
    int (*run)(struct cli *cli);
    int least, most;       /* number of positional arguments; most -1: any */
    bool remote;           /* takes --url, --api-key, --workspace */
    struct cli_option options[12];
};

/* One invocation. */
struct cli {
    struct arena *arena;
    const struct cli_command *command;
    struct str positional[64];
    int count;
    struct config_option given[32]; /* options of the command: name, value */
    size_t given_count;
    struct config_option settings[32]; /* --listen and the like: settings by their name */
    size_t setting_count;
    struct str config_file;
    bool json, color, terminal; /* terminal: stdout is one */
};

extern const struct cli_command cli_commands[]; /* name NULL ends the table */

bool       cli_has(const struct cli *cli, const char *option);
struct str cli_value(const struct cli *cli, const char *option); /* {NULL, 0} if not given */
/* A number within bounds; false after having said what is wrong. */
bool cli_number(const struct cli *cli, const char *option, int64_t low, int64_t high, int64_t *value);

/* "90d" (1 to 99,999 days ago) or a date. */
bool cli_since(struct str text, int64_t *ms);

/* Say what went wrong on stderr; returns the exit status. */
int cli_fail(const struct cli *cli, const struct err *err);
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the data directory ------------------------------------------------------------------------------------------ */

/* Settings, log, libraries: what every command that touches data does first. */
MUST_CHECK struct err *cli_config(struct cli *cli, struct config **config);

struct cli_app {
    struct app      app;
    struct db_lock *lock;
};
/* Lock and open the data directory. Errors: ERR_CONFLICT when another process holds it. */
MUST_CHECK struct err *cli_app_open(struct cli *cli, struct config *config, struct cli_app *opened);
/* The engine with all its functions, for flow_start. For servers; flow_stop before the workers stop. */
MUST_CHECK struct err *cli_app_engine(struct cli *cli, struct config *config, struct cli_app *opened);
void cli_app_close(struct cli_app *opened);

/* ---- the API, wherever it runs ------------------------------------------------------------------------------------- */

struct cli_client {
    struct cli    *cli;
    struct config *config;    /* NULL when remote */
    struct str     url, key, workspace, socket;
    bool           local;     /* in this process */
    struct cli_app app;       /* when local */
};
MUST_CHECK struct err *cli_connect(struct cli *cli, struct cli_client *client);
void cli_disconnect(struct cli_client *client);

/* Ask. *reply is the parsed body of a 2xx answer; other answers become errors with the server's message. */
MUST_CHECK struct err *cli_ask(struct cli_client *client, const char *method, struct str target, struct str body,
                               const json_value **reply);
/* Ask for Server-Sent Events and hear them until they end; piece and stopped as in struct net_call, with arg. The error lives in
 * `arena`, so that it may run on a thread of its own. Errors: ERR_UNAVAILABLE where no server runs. */
struct cli_hearing {
    const char *method; /* NULL: GET */
    struct str target, body;
    bool     (*piece)(void *arg, struct str text);
    bool     (*stopped)(void *arg);
    void      *arg;
};
MUST_CHECK struct err *cli_hear(const struct cli_client *client, struct arena *arena, struct cli_hearing hearing);
/* One request and its answer, whatever its status. Several threads may ask at once, each with an arena of its own. */
struct cli_request {
    const char *method;
    struct str  target, body;
    bool      (*stopped)(void *arg); /* asked now and then; true ends the request; NULL: never */
    bool      (*piece)(void *arg, struct str text); /* hears a 2xx answer as it comes; false ends it; NULL: in one */
    void       *arg;
};
MUST_CHECK struct err *cli_exchange(struct cli_client *client, struct arena *arena, const struct cli_request *request,
                                    int *status, struct str *answer);
/* The path of the workspace's own routes: "/v1/orgs/local/workspaces/main". */
MUST_CHECK struct err *cli_workspace_path(struct cli_client *client, struct str *path);

/* For a command with one question: connect, cli_ask, disconnect. The second takes a path below the workspace's: "/jobs". */
MUST_CHECK struct err *cli_post(struct cli *cli, const char *path, struct str body, const json_value **reply);
MUST_CHECK struct err *cli_ask_workspace(struct cli *cli, const char *method, struct str path, struct str body,
                                         const json_value **reply);

/* ---- output -------------------------------------------------------------------------------------------------------- */

/* Print the reply as --json wants it (indented, one document). */
void cli_print_json(const struct cli *cli, const json_value *reply);

enum cli_style { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_ACCENT, CLI_GOOD, CLI_BAD, CLI_MARK };
/* Text from outside: control characters are replaced, so that stored text cannot drive the terminal. */
void cli_text(const struct cli *cli, enum cli_style style, struct str text);
/* Escaped HTML with <mark>, as search answers have it: marked words in colour, lines broken at the terminal's width and
 * indented by `indent` columns, at which the cursor stands. */
void cli_marked(const struct cli *cli, struct str html, int indent);
/* "/jobs/ID/action" of the first argument: one segment of the path, whatever was typed. */
struct str cli_id_path(const struct cli *cli, const char *collection, const char *action);
/* "3 days ago", "in 2019" */
struct str cli_age(struct arena *arena, int64_t at);

/* "a,b" as a member that is an array; none if the option was not given. */
void cli_put_list(struct json_out *out, const char *key, struct str list);
/* The member `filters` of a request, from --source, --type, --actor, --since and --until. */
MUST_CHECK struct err *cli_put_filters(struct cli *cli, struct json_out *out);
bool cli_is_mode(struct str name); /* of a search */

int cli_serve(struct cli *cli);
int cli_mcp(struct cli *cli);
int cli_import_git(struct cli *cli);
int cli_search(struct cli *cli);
int cli_ask_question(struct cli *cli);
int cli_similar(struct cli *cli);
int cli_related(struct cli *cli);
int cli_graph(struct cli *cli);
int cli_show(struct cli *cli);
int cli_key_create(struct cli *cli);
int cli_key_list(struct cli *cli);
int cli_key_revoke(struct cli *cli);
int cli_key_rotate(struct cli *cli);
int cli_key_delete(struct cli *cli);
int cli_source_add(struct cli *cli);
int cli_source_list(struct cli *cli);
int cli_source_set(struct cli *cli);
int cli_source_secret(struct cli *cli);
int cli_source_remove(struct cli *cli);
int cli_jobs_list(struct cli *cli);
int cli_jobs_show(struct cli *cli);
int cli_jobs_cancel(struct cli *cli);
int cli_jobs_restart(struct cli *cli);
int cli_jobs_resume(struct cli *cli);
int cli_show_event(struct cli *cli, struct str id);
int cli_activity(struct cli *cli);
int cli_inspect_event(struct cli *cli);
int cli_backup(struct cli *cli);
int cli_restore(struct cli *cli);
int cli_re_encrypt(struct cli *cli);
int cli_doctor(struct cli *cli);
int cli_config_check(struct cli *cli);
int cli_version(struct cli *cli);
int cli_completion(struct cli *cli);
