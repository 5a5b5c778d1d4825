/* search.c - the commands that ask: search, similar, related, graph, show. */
#include "cli/cli.h"

#include "base/time.h"

enum { INDENT = 5 }; /* of what belongs to a numbered result */

void cli_put_list(struct json_out *out, const char *key, struct str list)
{
    if (!list.s) return;
    json_begin(out, key, '[');
    for (struct str part; str_cut(&list, ',', &part);)
        if (str_trim(part).n) json_put(out, NULL, str_trim(part));
    json_end(out);
}

static int ask(struct cli *cli, const char *path, struct str body, const json_value **reply)
{
    struct err *err = cli_post(cli, path, body, reply);
    return err ? cli_fail(cli, err) : CLI_OK;
}

/* "github · pull_request_merged · 3 days ago · https://..." */
static void print_origin(const struct cli *cli, const json_value *item)
{
    int64_t at;
    struct str url = json_str(item, "url");
    printf("%*s", INDENT, "");
    cli_text(cli, CLI_DIM, json_str(item, "source"));
    cli_text(cli, CLI_DIM, STR(" · "));
    cli_text(cli, CLI_DIM, json_str(item, "type"));
    if (time_parse(json_str(item, "occurredAt"), &at)) {
        struct str day = str_slice(json_str(item, "occurredAt"), 0, 10), age = cli_age(cli->arena, at);
        cli_text(cli, CLI_DIM, str_printf(cli->arena, " · " STR_FMT " (" STR_FMT ")", STR_ARG(age), STR_ARG(day)));
    }
    printf("\n%*s", INDENT, "");
    cli_text(cli, CLI_ACCENT, url.n ? url : json_str(item, "id"));
    putchar('\n');
}

static void print_item(const struct cli *cli, int number, const json_value *item)
{
    struct str title = json_str(item, "highlights.title"), snippet = json_str(item, "highlights.snippet");
    printf("%3d. ", number);
    if (title.s)
        cli_marked(cli, title, INDENT);
    else
        cli_text(cli, CLI_BOLD, json_str(item, "title"));
    cli_text(cli, CLI_GOOD, str_printf(cli->arena, "  %.0f%%\n", 100 * json_real(item, "score", 0)));
    print_origin(cli, item);
    printf("%*s", INDENT, "");
    if (snippet.s)
        cli_marked(cli, snippet, INDENT);
    else
        cli_text(cli, CLI_PLAIN, str_replace(cli->arena, json_str(item, "snippet"), STR("\n"), STR(" ")));
    puts("\n");
}

static struct err *date_range(struct cli *cli, struct json_out *out)
{
    struct str since = cli_value(cli, "since"), until = cli_value(cli, "until");
    int64_t at;
    if (!since.s && !until.s) return NULL;
    json_begin(out, "dateRange", '{');
    if (since.s) {
        if (!cli_since(since, &at))
            return err_new(cli->arena, ERR_INVALID, "--since takes a date (2025-01-31) or days (90d)");
        json_put_time(out, "start", at);
    }
    if (until.s) {
        if (!time_parse(until, &at)) return err_new(cli->arena, ERR_INVALID, "--until takes a date (2025-01-31)");
        json_put_time(out, "end", until.n == 10 ? at + DAYS(1) - 1 : at);
    }
    json_end(out);
    return NULL;
}

struct err *cli_put_filters(struct cli *cli, struct json_out *out)
{
    json_begin(out, "filters", '{');
    cli_put_list(out, "sourceTypes", cli_value(cli, "source"));
    cli_put_list(out, "observationTypes", cli_value(cli, "type"));
    cli_put_list(out, "actorNames", cli_value(cli, "actor"));
    TRY(date_range(cli, out));
    json_end(out);
    return NULL;
}

bool cli_is_mode(struct str name)
{
    return str_eq(name, STR("fast")) || str_eq(name, STR("balanced")) || str_eq(name, STR("thorough")) ||
           str_eq(name, STR("quality"));
}

int cli_search(struct cli *cli)
{
    int64_t limit = 10, offset = 0;
    if (cli_has(cli, "mode") && !cli_is_mode(cli_value(cli, "mode")))
        return cli_usage(cli, "--mode takes fast, balanced or thorough");
    if (!cli_number(cli, "limit", 1, 100, &limit) || !cli_number(cli, "offset", 0, 100000, &offset)) return CLI_USAGE;
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "query", str_join(cli->arena, cli->positional, (size_t)cli->count, STR(" ")));
    json_put(&out, "limit", limit);
    json_put(&out, "offset", offset);
    if (cli_has(cli, "mode")) json_put(&out, "mode", cli_value(cli, "mode"));
    if (cli_has(cli, "collapse")) json_put_bool(&out, "collapse", true);
    struct err *err = cli_put_filters(cli, &out);
    if (err) return cli_usage(cli, STR_FMT, STR_ARG(err->message));
    json_end(&out);
    const json_value *reply;
    int status = ask(cli, "/v1/search", json_out_text(&out), &reply);
    if (status) return status;
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    int number = (int)offset;
    for (struct json_iter it = json_iter(json_get(reply, "data")); json_step(&it);)
        print_item(cli, ++number, it.value);
    int64_t total = json_int(reply, "meta.total", 0);
    if (number == (int)offset) puts(total ? "No more results." : "Nothing found.");
    else
        cli_text(cli, CLI_DIM, str_printf(cli->arena, "%lld found, %lld ms\n", (long long)total,
                                          (long long)json_int(reply, "meta.took", 0)));
    return CLI_OK;
}

int cli_similar(struct cli *cli)
{
    int64_t limit = 10;
    struct str threshold = cli_value(cli, "threshold");
    if (!cli_number(cli, "limit", 1, 50, &limit)) return CLI_USAGE;
    const json_value *number = NULL, *reply;
    if (threshold.s && (json_parse(cli->arena, threshold, &number) || !json_is_number(number) ||
                        json_real(number, "", 0) < 0 || json_real(number, "", 0) > 1))
        return cli_usage(cli, "--threshold takes a number from 0 to 1");
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    bool is_url = str_find(cli->positional[0], STR("://"), 0) != SIZE_MAX;
    json_put(&out, is_url ? "url" : "id", cli->positional[0]);
    json_put(&out, "limit", limit);
    if (number) json_put_value(&out, "threshold", number);
    if (cli_has(cli, "same-source")) json_put_bool(&out, "sameSourceOnly", true);
    json_end(&out);
    int status = ask(cli, "/v1/findsimilar", json_out_text(&out), &reply);
    if (status) return status;
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    cli_text(cli, CLI_DIM, STR("Similar to "));
    cli_text(cli, CLI_BOLD, json_str(reply, "source.title"));
    puts("\n");
    int n = 0;
    for (struct json_iter it = json_iter(json_get(reply, "similar")); json_step(&it);) print_item(cli, ++n, it.value);
    if (!n) puts("Nothing above the threshold.");
    return CLI_OK;
}

int cli_related(struct cli *cli)
{
    int64_t limit = 100;
    if (!cli_number(cli, "limit", 1, 200, &limit)) return CLI_USAGE;
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "id", cli->positional[0]);
    json_put(&out, "limit", limit);
    cli_put_list(&out, "types", cli_value(cli, "type"));
    json_end(&out);
    const json_value *reply;
    int status = ask(cli, "/v1/related", json_out_text(&out), &reply);
    if (status) return status;
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    cli_text(cli, CLI_BOLD, json_str(reply, "data.source.title"));
    puts("\n");
    size_t n = 0;
    for (struct json_iter it = json_iter(json_get(reply, "data.related")); json_step(&it); n++) {
        bool outgoing = str_eq(json_str(it.value, "direction"), STR("outgoing"));
        fputs(outgoing ? "  -> " : "  <- ", stdout);
        cli_text(cli, CLI_MARK, json_str(it.value, "relationshipType"));
        fputs("  ", stdout);
        cli_text(cli, CLI_PLAIN, json_str(it.value, "title"));
        putchar('\n');
        print_origin(cli, it.value);
    }
    if (!n) puts("Nothing is linked to it.");
    return CLI_OK;
}

static struct str title_of(const json_value *nodes, struct str id)
{
    for (struct json_iter it = json_iter(nodes); json_step(&it);)
        if (str_eq(json_str(it.value, "id"), id)) return json_str(it.value, "title");
    return id;
}

int cli_graph(struct cli *cli)
{
    int64_t depth = 2, limit = 200;
    if (!cli_number(cli, "depth", 1, 3, &depth) || !cli_number(cli, "limit", 1, 500, &limit)) return CLI_USAGE;
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "id", cli->positional[0]);
    json_put(&out, "depth", depth);
    json_put(&out, "limit", limit);
    cli_put_list(&out, "types", cli_value(cli, "type"));
    json_end(&out);
    const json_value *reply;
    int status = ask(cli, "/v1/graph", json_out_text(&out), &reply);
    if (status) return status;
    if (cli->json) {
        cli_print_json(cli, reply);
        return CLI_OK;
    }
    const json_value *nodes = json_get(reply, "data.nodes");
    cli_text(cli, CLI_BOLD, json_str(reply, "data.root.title"));
    printf("\n%lld nodes, %lld edges%s\n\n", (long long)json_int(reply, "meta.nodeCount", 0),
           (long long)json_int(reply, "meta.edgeCount", 0), json_bool(reply, "meta.truncated", false) ? " (cut)" : "");
    for (struct json_iter it = json_iter(json_get(reply, "data.edges")); json_step(&it);) {
        cli_text(cli, CLI_PLAIN, title_of(nodes, json_str(it.value, "source")));
        putchar(' ');
        cli_text(cli, CLI_MARK, json_str(it.value, "type"));
        putchar(' ');
        cli_text(cli, CLI_PLAIN, title_of(nodes, json_str(it.value, "target")));
        struct str key = json_str(it.value, "linkingKey");
        if (key.n) cli_text(cli, CLI_DIM, str_printf(cli->arena, "  (" STR_FMT ")", STR_ARG(key)));
        putchar('\n');
    }
    return CLI_OK;
}

int cli_show(struct cli *cli)
{
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put_texts(&out, "ids", cli->positional, (size_t)cli->count);
    json_end(&out);
    const json_value *reply;
    int status = ask(cli, "/v1/contents", json_out_text(&out), &reply);
    if (status) return status;
    if (cli->json) cli_print_json(cli, reply);
    for (struct json_iter it = json_iter(json_get(reply, "items")); !cli->json && json_step(&it);) {
        cli_text(cli, CLI_BOLD, json_str(it.value, "title"));
        putchar('\n');
        print_origin(cli, it.value);
        putchar('\n');
        cli_text(cli, CLI_PLAIN, json_str(it.value, "content"));
        puts("\n");
        for (struct json_iter fact = json_iter(json_get(it.value, "metadata")); json_step(&fact);) {
            struct str value = json_is_string(fact.value) ? json_str(fact.value, "") : json_text(cli->arena, fact.value);
            cli_text(cli, CLI_DIM, str_printf(cli->arena, "  " STR_FMT ": ", STR_ARG(fact.key)));
            cli_text(cli, CLI_PLAIN, value);
            putchar('\n');
        }
        putchar('\n');
    }
    for (struct json_iter it = json_iter(json_get(reply, "missing")); json_step(&it); status = CLI_FAILED)
        fprintf(stderr, "lightfast: not found: " STR_FMT "\n", STR_ARG(json_str(it.value, "")));
    return status;
}
