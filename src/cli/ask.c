/* ask.c - `lightfast ask`: a question, its answer as it comes, and the sources it cites. */
#include "cli/cli.h"

#include "base/time.h"
#include "base/utf8.h"

#include <unistd.h>

/* ---- what is printed --------------------------------------------------------------------------------------------- */

/* "[1] Raise session timeout" and, below, where it stands. */
static void print_source(const struct cli *cli, const json_value *citation)
{
    int64_t    at;
    struct str url = json_str(citation, "url");
    cli_text(cli, CLI_ACCENT, str_printf(cli->arena, "[%lld] ", (long long)json_int(citation, "index", 0)));
    cli_text(cli, CLI_BOLD, str_replace(cli->arena, json_str(citation, "title"), STR("\n"), STR(" ")));
    fputs("\n    ", stdout);
    cli_text(cli, CLI_DIM, json_str(citation, "source"));
    if (time_parse(json_str(citation, "timestamp"), &at))
        cli_text(cli, CLI_DIM, str_printf(cli->arena, " · " STR_FMT, STR_ARG(cli_age(cli->arena, at))));
    cli_text(cli, CLI_DIM, STR(" · "));
    cli_text(cli, CLI_ACCENT, url.n ? url : json_str(citation, "id"));
    putchar('\n');
}

/* What follows the text: sources, and on stderr what is to be known about them. */
static void print_end(const struct cli *cli, const json_value *reply)
{
    putchar('\n');
    if (json_count(json_get(reply, "answer.citations"))) putchar('\n');
    for (struct json_iter it = json_iter(json_get(reply, "answer.citations")); json_step(&it);)
        print_source(cli, it.value);
    fflush(stdout);
    for (struct json_iter it = json_iter(json_get(reply, "meta.warnings")); json_step(&it);)
        fprintf(stderr, "lightfast: " STR_FMT "\n", STR_ARG(json_str(it.value, "")));
}

/* ---- an answer as it comes --------------------------------------------------------------------------------------- */

struct hearing {
    struct cli       *cli;
    struct buf        line;
    struct str        name; /* of the event that is being read */
    const json_value *done;
    struct str        error; /* message of an error event */
    bool              shows_steps, step_shown;
};

static void clear_step(struct hearing *hearing)
{
    if (hearing->step_shown) fputs("\r\033[K", stderr);
    hearing->step_shown = false;
}

/* What the model looks at, in one line that gives way to the next. */
static void show_step(struct hearing *hearing, const json_value *step)
{
    struct arena *arena = hearing->cli->arena;
    if (!hearing->shows_steps || !str_eq(json_str(step, "state"), STR("running"))) return;
    struct str about = json_str(step, "input.query");
    if (!about.n) about = json_str(step, "input.id");
    const char *text = str_z(arena, utf8_head(about, 60));
    clear_step(hearing);
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) text = "";
    fprintf(stderr, "%s %s", str_z(arena, json_str(step, "tool")), text);
    hearing->step_shown = true;
}

static void end_event(struct hearing *hearing, struct str data)
{
    const json_value *value;
    if (json_parse(hearing->cli->arena, data, &value)) return;
    if (str_eq(hearing->name, STR("step"))) show_step(hearing, value);
    if (str_eq(hearing->name, STR("delta"))) {
        clear_step(hearing);
        cli_text(hearing->cli, CLI_PLAIN, json_str(value, "text"));
        fflush(stdout);
    }
    if (str_eq(hearing->name, STR("done"))) hearing->done = value;
    if (str_eq(hearing->name, STR("error"))) hearing->error = json_str(value, "message");
}

static bool hear(void *arg, struct str text)
{
    enum { LONGEST_LINE = 4 << 20 };
    struct hearing *hearing = arg;
    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] != '\n') {
            buf_char(&hearing->line, text.s[i]);
            continue;
        }
        struct str line = buf_str(&hearing->line);
        if (str_starts(line, STR("event: "))) hearing->name = str_dup(hearing->cli->arena, str_skip(line, 7));
        if (str_starts(line, STR("data: "))) end_event(hearing, str_dup(hearing->cli->arena, str_skip(line, 6)));
        hearing->line.n = 0;
    }
    return hearing->line.n < LONGEST_LINE;
}

static struct err *ask_in_pieces(struct cli *cli, struct cli_client *client, struct str body)
{
    struct hearing hearing = {
        .cli = cli, .line = buf_in(cli->arena), .shows_steps = cli->terminal && isatty(STDERR_FILENO)};
    TRY(cli_hear(client, cli->arena,
                 (struct cli_hearing){
                     .method = "POST", .target = STR("/v1/answer"), .body = body, .piece = hear, .arg = &hearing}));
    clear_step(&hearing);
    if (hearing.error.n) return err_new(cli->arena, ERR_UNAVAILABLE, STR_FMT, STR_ARG(hearing.error));
    if (!hearing.done) return err_new(cli->arena, ERR_UNAVAILABLE, "the answer broke off");
    print_end(cli, hearing.done);
    return NULL;
}

static struct err *ask_in_one(struct cli *cli, struct cli_client *client, struct str body)
{
    const json_value *reply;
    TRY(cli_ask(client, "POST", STR("/v1/answer"), body, &reply));
    if (cli->json) {
        cli_print_json(cli, reply);
        return NULL;
    }
    cli_text(cli, CLI_PLAIN, json_str(reply, "answer.content"));
    print_end(cli, reply);
    return NULL;
}

int cli_ask_question(struct cli *cli)
{
    int64_t           sources = 8;
    struct cli_client client;
    if (cli_has(cli, "mode") && !cli_is_mode(cli_value(cli, "mode")))
        return cli_usage(cli, "--mode takes fast, balanced or thorough");
    if (!cli_number(cli, "max-sources", 1, 20, &sources)) return CLI_USAGE;
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "query", str_join(cli->arena, cli->positional, (size_t)cli->count, STR(" ")));
    json_put(&out, "maxSources", sources);
    if (cli_has(cli, "mode")) json_put(&out, "mode", cli_value(cli, "mode"));
    if (cli_has(cli, "session")) json_put(&out, "sessionId", cli_value(cli, "session"));
    struct err *err = cli_put_filters(cli, &out);
    if (err) return cli_usage(cli, STR_FMT, STR_ARG(err->message));
    json_end(&out);
    struct str body = json_out_text(&out);
    err = cli_connect(cli, &client);
    if (err) return cli_fail(cli, err);
    /* one program that prints JSON, or answers by itself, has nobody who waits for pieces */
    err = cli->json || client.local ? ask_in_one(cli, &client, body) : ask_in_pieces(cli, &client, body);
    cli_disconnect(&client);
    return err ? cli_fail(cli, err) : CLI_OK;
}
