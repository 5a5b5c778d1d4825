/* source.c - what the workspace listens to: sources with an address and a secret of their own. */
#include "cli/cli.h"

#include <unistd.h>

/* ---- add --------------------------------------------------------------------------------------------------------------- */

/* A secret on the command line would be seen by everybody who lists processes. */
static int read_secret(struct cli *cli, struct str *secret)
{
    enum { MOST = 256 };
    char   bytes[MOST + 1];
    size_t n = 0;
    for (ssize_t got; n < sizeof bytes && (got = read(STDIN_FILENO, bytes + n, sizeof bytes - n)) > 0;) n += (size_t)got;
    *secret = str_trim(str_dup(cli->arena, (struct str){bytes, n}));
    if (secret->n < 8 || n > MOST) return cli_usage(cli, "the secret on standard input must have 8 to 255 characters");
    return CLI_OK;
}

int cli_source_add(struct cli *cli)
{
    struct str name = cli_value(cli, cli_has(cli, "repo") ? "repo" : "name"), secret;
    struct json_out out = json_out(cli->arena);
    const json_value *reply;
    json_begin(&out, NULL, '{');
    json_put(&out, "sourceType", cli->positional[0]);
    if (name.s) json_put(&out, "name", name);
    if (cli_has(cli, "resource-id")) json_put(&out, "resourceId", cli_value(cli, "resource-id"));
    cli_put_list(&out, "events", cli_value(cli, "events"));
    if (cli_has(cli, "shared")) json_put_bool(&out, "shared", true);
    if (cli_has(cli, "secret-stdin")) {
        int status = read_secret(cli, &secret);
        if (status) return status;
        json_put(&out, "secret", secret);
    }
    json_end(&out);
    struct err *err = cli_ask_workspace(cli, "POST", STR("/sources"), json_out_text(&out), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    cli_text(cli, CLI_BOLD, json_str(reply, "id"));
    printf("\nAddress  " STR_FMT "\n", STR_ARG(json_str(reply, "url")));
    if (!cli_has(cli, "secret-stdin"))
        printf("Secret   " STR_FMT "\nKeep it now: it is not shown again.\n", STR_ARG(json_str(reply, "secret")));
    return CLI_OK;
}

/* ---- the others --------------------------------------------------------------------------------------------------------- */

int cli_source_list(struct cli *cli)
{
    const json_value *reply;
    struct err       *err = cli_ask_workspace(cli, "GET", STR("/sources?limit=100"), STR(""), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    for (struct json_iter it = json_iter(json_get(reply, "data")); json_step(&it);) {
        struct str last = json_str(it.value, "lastDeliveryAt");
        printf(STR_FMT "  %-8.*s %-8s ", STR_ARG(json_str(it.value, "id")), STR_ARG(json_str(it.value, "sourceType")),
               json_bool(it.value, "isActive", false) ? "active" : "inactive");
        cli_text(cli, CLI_BOLD, json_str(it.value, "displayName"));
        printf("  %s" STR_FMT "\n", last.s ? "heard " : "", STR_ARG(str_slice(last, 0, 10)));
    }
    if (!json_count(json_get(reply, "data"))) puts("No sources. Make one: lightfast source add github --repo OWNER/NAME");
    return CLI_OK;
}

int cli_source_set(struct cli *cli)
{
    struct str bots = cli_value(cli, "bots");
    struct json_out out = json_out(cli->arena);
    const json_value *reply;
    if (bots.s && !str_eq(bots, STR("yes")) && !str_eq(bots, STR("no"))) return cli_usage(cli, "--bots takes yes or no");
    if (!bots.s && !cli_has(cli, "events") && !cli_has(cli, "branches"))
        return cli_usage(cli, "nothing to set: give --events, --branches or --bots");
    json_begin(&out, NULL, '{');
    json_begin(&out, "sync", '{');
    cli_put_list(&out, "events", cli_value(cli, "events"));
    cli_put_list(&out, "branches", cli_value(cli, "branches"));
    if (bots.s) json_put_bool(&out, "includeBots", str_eq(bots, STR("yes")));
    json_end(&out);
    json_end(&out);
    struct err *err = cli_ask_workspace(cli, "PATCH", cli_id_path(cli, "/sources", ""), json_out_text(&out), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) cli_print_json(cli, reply);
    else printf("set " STR_FMT "\n", STR_ARG(cli->positional[0]));
    return CLI_OK;
}

int cli_source_secret(struct cli *cli)
{
    const json_value *reply;
    struct err       *err = cli_ask_workspace(cli, "POST", cli_id_path(cli, "/sources", "/webhook-secret"), STR(""), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) cli_print_json(cli, reply);
    else printf(STR_FMT "\n", STR_ARG(json_str(reply, "secret")));
    return CLI_OK;
}

int cli_source_remove(struct cli *cli)
{
    const json_value *reply;
    const char       *what = cli_has(cli, "delete-data") ? "?deleteData=true" : "";
    struct err       *err = cli_ask_workspace(cli, "DELETE", cli_id_path(cli, "/sources", what), STR(""), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) cli_print_json(cli, reply);
    else printf("removed " STR_FMT "\n", STR_ARG(cli->positional[0]));
    return CLI_OK;
}
