/* jobs.c - what the server works on, and what became of an event. */
#include "cli/cli.h"

#include "base/time.h"

enum { ID_COLUMNS = 25, MAX_OUTPUT = 2000 };

static struct str age_of(struct cli *cli, struct str time)
{
    int64_t at;
    return time_parse(time, &at) ? cli_age(cli->arena, at) : STR("");
}

static struct str duration_of(struct cli *cli, const json_value *ms)
{
    int64_t n = json_int(ms, "", 0);
    if (json_is_null(ms)) return STR("-");
    if (n < SECONDS(10)) return str_printf(cli->arena, "%lld ms", (long long)n);
    if (n < MINUTES(10)) return str_printf(cli->arena, "%lld s", (long long)(n / SECONDS(1)));
    return str_printf(cli->arena, "%lld min", (long long)(n / MINUTES(1)));
}

static enum cli_style style_of(struct str status)
{
    if (str_eq(status, STR("completed"))) return CLI_GOOD;
    if (str_eq(status, STR("failed"))) return CLI_BAD;
    return str_eq(status, STR("cancelled")) ? CLI_DIM : CLI_ACCENT;
}

/* ---- list -------------------------------------------------------------------------------------------------------- */

static void add_parameter(struct cli *cli, struct buf *query, const char *option, const char *parameter)
{
    struct str value = cli_value(cli, option);
    if (value.s)
        buf_printf(query, "%c%s=" STR_FMT, query->n ? '&' : '?', parameter, STR_ARG(net_encode(cli->arena, value)));
}

static void print_job(struct cli *cli, const json_value *job)
{
    struct str status = json_str(job, "status");
    cli_text(cli, CLI_PLAIN, json_str(job, "id"));
    fputs("  ", stdout);
    cli_text(cli, style_of(status), str_printf(cli->arena, "%-9.*s", STR_ARG(status)));
    printf("  %8.*s  %14.*s  ", STR_ARG(duration_of(cli, json_get(job, "durationMs"))),
           STR_ARG(age_of(cli, json_str(job, "createdAt"))));
    cli_text(cli, CLI_BOLD, json_str(job, "name"));
    putchar('\n');
    if (json_str(job, "errorMessage").n) {
        printf("%*s", ID_COLUMNS + 2, "");
        cli_text(cli, CLI_BAD, json_str(job, "errorMessage"));
        putchar('\n');
    }
}

static void print_counts(const json_value *counts)
{
    bool any = false;
    for (struct json_iter it = json_iter(counts); json_step(&it);) {
        int64_t n = json_int(it.value, "", 0);
        if (!n || str_eq(it.key, STR("total"))) continue;
        printf("%s%lld " STR_FMT, any ? ", " : "", (long long)n, STR_ARG(it.key));
        any = true;
    }
    puts(any ? "" : "No jobs.");
}

int cli_jobs_list(struct cli *cli)
{
    static const struct { const char *option, *parameter; } filters[] = {
        {"status", "status"}, {"function", "functionId"}, {"trigger", "trigger"}, {"source", "sourceId"},
        {"name", "q"},        {"from", "from"},           {"to", "to"},           {"cursor", "cursor"}};
    struct buf query = buf_in(cli->arena);
    int64_t    limit = 20;
    if (!cli_number(cli, "limit", 1, 100, &limit)) return CLI_USAGE;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        add_parameter(cli, &query, filters[i].option, filters[i].parameter);
    buf_printf(&query, "%climit=%lld%s", query.n ? '&' : '?', (long long)limit, cli_has(cli, "system") ? "&system=true" : "");
    const json_value *reply;
    struct str path = str_printf(cli->arena, "/jobs" STR_FMT, STR_ARG(buf_str(&query)));
    struct err *err = cli_ask_workspace(cli, "GET", path, STR(""), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    for (struct json_iter it = json_iter(json_get(reply, "data")); json_step(&it);) print_job(cli, it.value);
    print_counts(json_get(reply, "meta.counts"));
    return CLI_OK;
}

/* ---- show -------------------------------------------------------------------------------------------------------- */

static void print_field(struct cli *cli, const char *name, struct str value)
{
    if (!value.n) return;
    printf("%-12s", name);
    cli_text(cli, CLI_PLAIN, value);
    putchar('\n');
}

static void print_json_field(struct cli *cli, const char *name, const json_value *value)
{
    struct str text = json_is_null(value) ? (struct str){0} : json_text(cli->arena, value);
    bool       cut = text.n > MAX_OUTPUT;
    if (cut) text = str_printf(cli->arena, STR_FMT "...", STR_ARG(str_slice(text, 0, MAX_OUTPUT)));
    print_field(cli, name, text);
}

static void print_step(struct cli *cli, const json_value *step)
{
    struct str status = json_str(step, "status");
    fputs("  ", stdout);
    cli_text(cli, style_of(status), str_printf(cli->arena, "%-9.*s", STR_ARG(status)));
    printf("  %8.*s  ", STR_ARG(duration_of(cli, json_get(step, "durationMs"))));
    cli_text(cli, CLI_BOLD, json_str(step, "name"));
    printf(" (" STR_FMT ")", STR_ARG(json_str(step, "op")));
    if (json_int(step, "attempts", 0)) printf("  %lld failed", (long long)json_int(step, "attempts", 0));
    putchar('\n');
    if (json_str(step, "error").n) {
        printf("%23s", "");
        cli_text(cli, CLI_BAD, json_str(step, "error"));
        putchar('\n');
    }
}

int cli_jobs_show(struct cli *cli)
{
    static const char *const fields[] = {"functionId", "trigger", "triggeredBy", "sourceId", "createdAt", "startedAt",
                                         "completedAt", "parentJobId", "restartOfJobId"};
    const json_value *job;
    struct err       *err = cli_ask_workspace(cli, "GET", cli_id_path(cli, "/jobs", ""), STR(""), &job);
    if (err) return cli_fail(cli, err);
    if (cli->json) {
        cli_print_json(cli, job);
        return CLI_OK;
    }
    print_job(cli, job);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) print_field(cli, fields[i], json_str(job, fields[i]));
    print_json_field(cli, "input", json_get(job, "input"));
    print_json_field(cli, "output", json_get(job, "output"));
    print_json_field(cli, "progress", json_get(job, "progress"));
    if (json_count(json_get(job, "steps"))) puts("steps");
    for (struct json_iter it = json_iter(json_get(job, "steps")); json_step(&it);) print_step(cli, it.value);
    return CLI_OK;
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

static int act(struct cli *cli, const char *action, const char *done)
{
    const json_value *reply;
    struct err       *err = cli_ask_workspace(cli, "POST", cli_id_path(cli, "/jobs", action), STR(""), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json)
        cli_print_json(cli, reply);
    else
        printf("%s " STR_FMT "\n", done, STR_ARG(json_str(reply, "jobId")));
    return CLI_OK;
}

int cli_jobs_cancel(struct cli *cli)
{
    return act(cli, "/cancel", "Cancelled");
}

int cli_jobs_restart(struct cli *cli)
{
    return act(cli, "/restart", "Restarted as");
}

int cli_jobs_resume(struct cli *cli)
{
    return act(cli, "/resume", "Resumed");
}

/* ---- an event ---------------------------------------------------------------------------------------------------- */

int cli_show_event(struct cli *cli, struct str id)
{
    const json_value *event;
    struct str        path = str_printf(cli->arena, "/events/" STR_FMT, STR_ARG(net_encode(cli->arena, id)));
    struct err       *err = cli_ask_workspace(cli, "GET", path, STR(""), &event);
    if (err) return cli_fail(cli, err);
    if (cli->json) {
        cli_print_json(cli, event);
        return CLI_OK;
    }
    cli_text(cli, CLI_BOLD, json_str(event, "name"));
    putchar('\n');
    print_field(cli, "id", json_str(event, "id"));
    print_field(cli, "timestamp", json_str(event, "timestamp"));
    print_field(cli, "received", json_str(event, "receivedAt"));
    print_json_field(cli, "data", json_get(event, "data"));
    for (struct json_iter it = json_iter(json_get(event, "outcomes")); json_step(&it);) {
        fputs("  ", stdout);
        cli_text(cli, CLI_ACCENT, json_str(it.value, "functionId"));
        printf("  " STR_FMT "  ", STR_ARG(json_str(it.value, "outcome")));
        cli_text(cli, CLI_DIM, json_str(it.value, "jobId"));
        putchar('\n');
    }
    return CLI_OK;
}
