/* key.c - API keys. */
#include "cli/cli.h"

#include "base/time.h"
#include "org/org.h"

static int put_expiry(struct cli *cli, struct json_out *out)
{
    struct str expires = cli_value(cli, "expires");
    int64_t at;
    if (!expires.s) return CLI_OK;
    if (!time_parse(expires, &at)) return cli_usage(cli, "--expires takes a date (2027-01-31)");
    json_put_time(out, "expiresAt", at);
    return CLI_OK;
}

/* A reply that holds a new secret. */
static int print_secret(struct cli *cli, const json_value *reply)
{
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    cli_text(cli, CLI_BOLD, json_str(reply, "key"));
    putchar('\n');
    if (cli->terminal)
        fprintf(stderr, "Keep it now: it is not shown again. Its id is " STR_FMT ".\n", STR_ARG(json_str(reply, "id")));
    return CLI_OK;
}

int cli_key_create(struct cli *cli)
{
    struct str scopes = cli_value(cli, "scope");
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "name", cli->positional[0]);
    if (scopes.s) {
        json_begin(&out, "scopes", '[');
        for (struct str scope; str_cut(&scopes, ',', &scope);) {
            unsigned known = 0;
            if (!org_scope_parse(str_trim(scope), &known))
                return cli_usage(cli, "--scope takes a list of read, answer, ingest, admin");
            json_put(&out, NULL, str_trim(scope));
        }
        json_end(&out);
    }
    int status = put_expiry(cli, &out);
    if (status) return status;
    json_end(&out);
    const json_value *reply;
    struct err *err = cli_ask_workspace(cli, "POST", STR("/api-keys"), json_out_text(&out), &reply);
    return err ? cli_fail(cli, err) : print_secret(cli, reply);
}

int cli_key_rotate(struct cli *cli)
{
    int64_t grace = 0;
    if (!cli_number(cli, "grace", 0, 604800, &grace)) return CLI_USAGE;
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "graceSeconds", grace);
    int status = put_expiry(cli, &out);
    if (status) return status;
    json_end(&out);
    const json_value *reply;
    struct err *err = cli_ask_workspace(cli, "POST", cli_id_path(cli, "/api-keys", "/rotate"), json_out_text(&out), &reply);
    return err ? cli_fail(cli, err) : print_secret(cli, reply);
}

static struct str scopes_text(struct cli *cli, const json_value *scopes)
{
    struct buf text = buf_in(cli->arena);
    for (struct json_iter it = json_iter(scopes); json_step(&it);) {
        if (text.n) buf_char(&text, ',');
        buf_str_add(&text, json_str(it.value, ""));
    }
    return buf_str(&text);
}

static const char *state_of(const json_value *key)
{
    int64_t expires_at;
    if (!json_bool(key, "isActive", false)) return "revoked";
    return time_parse(json_str(key, "expiresAt"), &expires_at) && expires_at <= time_now() ? "expired" : "active";
}

int cli_key_list(struct cli *cli)
{
    const json_value *reply;
    struct err *err = cli_ask_workspace(cli, "GET", STR("/api-keys?limit=100"), STR(""), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    for (struct json_iter it = json_iter(json_get(reply, "data")); json_step(&it);) {
        struct str used = json_str(it.value, "lastUsedAt");
        printf(STR_FMT "  " STR_FMT "  %-8s ", STR_ARG(json_str(it.value, "id")), STR_ARG(json_str(it.value, "display")),
               state_of(it.value));
        cli_text(cli, CLI_BOLD, json_str(it.value, "name"));
        printf("  " STR_FMT "  %s" STR_FMT "\n", STR_ARG(scopes_text(cli, json_get(it.value, "scopes"))),
               used.s ? "used " : "never used", STR_ARG(str_slice(used, 0, 10)));
    }
    if (!json_count(json_get(reply, "data"))) puts("No keys. Make one: lightfast key create NAME");
    return CLI_OK;
}

static int end_key(struct cli *cli, const char *method, const char *action, const char *done)
{
    const json_value *reply;
    struct err *err = cli_ask_workspace(cli, method, cli_id_path(cli, "/api-keys", action), STR(""), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json)
        cli_print_json(cli, reply);
    else
        printf("%s " STR_FMT "\n", done, STR_ARG(cli->positional[0]));
    return CLI_OK;
}

int cli_key_revoke(struct cli *cli)
{
    return end_key(cli, "POST", "/revoke", "Revoked");
}

int cli_key_delete(struct cli *cli)
{
    return end_key(cli, "DELETE", "", "Deleted");
}
