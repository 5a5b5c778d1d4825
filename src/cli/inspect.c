/* inspect.c - `lightfast inspect event`: what would become of a SourceEvent or of a provider's payload, which needs no
 * data; or what became of an event that the server has accepted, by its id. */
#include "cli/cli.h"
#include "base/time.h"
#include "source/transform.h"

#include <errno.h>
#include <unistd.h>

enum { LARGEST_EVENT = 25 << 20 };

static struct err *read_input(struct cli *cli, struct str path, struct str *text)
{
    bool standard = str_eq(path, STR("-"));
    FILE *in = standard ? stdin : fopen(str_z(cli->arena, path), "re");
    if (!in) return err_new(cli->arena, ERR_INVALID, "cannot read " STR_FMT ": %s", STR_ARG(path), strerror(errno));
    char *bytes = arena_alloc_raw(cli->arena, LARGEST_EVENT + 1);
    size_t n = fread(bytes, 1, LARGEST_EVENT + 1, in);
    int why = ferror(in) ? errno : 0;
    if (!standard) fclose(in);
    if (why) return err_new(cli->arena, ERR_INVALID, "cannot read " STR_FMT ": %s", STR_ARG(path), strerror(why));
    if (n > LARGEST_EVENT) return err_new(cli->arena, ERR_TOO_LARGE, "an event has at most %d bytes", LARGEST_EVENT);
    *text = (struct str){bytes, n};
    return NULL;
}

/* ---- a provider's payload ------------------------------------------------------------------------------------------ */

/* The header in which GitHub and Sentry name the event; Sentry's time is now. */
static struct str stand_in(void *arg, const char *name)
{
    struct cli *cli = arg;
    struct str  kind = cli_value(cli, "from"), provider;
    str_cut(&kind, ':', &provider);
    if (strcmp(name, "x-github-event") == 0 || strcmp(name, "sentry-hook-resource") == 0) return kind;
    return strcmp(name, "sentry-hook-timestamp") == 0 ? time_format(cli->arena, time_now()) : (struct str){0};
}

/* --from github:pull_request: what the receiver would make of the file, whatever its age and whoever signed it. */
static struct err *transform(struct cli *cli, struct str body, struct source_event *event)
{
    struct str             rest = cli_value(cli, "from"), name, category;
    struct source_request  request = {.body = body, .header = stand_in, .arg = cli};
    struct source_delivery delivery;
    struct source_context  context = {.received_at = time_now()};
    str_cut(&rest, ':', &name);
    if (!source_provider_parse(name, &request.provider))
        return err_new(cli->arena, ERR_INVALID, "--from is github:EVENT, vercel, linear or sentry:RESOURCE");
    const struct source_refusal *refusal = source_delivery_read(
        cli->arena, &request, (struct source_delivery_options){context.received_at, context.received_at}, &delivery);
    if (refusal) return err_new(cli->arena, ERR_INVALID, "%s", refusal->message);
    context.delivery_id = delivery.id;
    enum source_reason reason = source_transform(cli->arena, delivery.provider, delivery.event, delivery.payload, &context,
                                                 event, &category);
    if (reason == SOURCE_CAPTURED) return NULL;
    return err_new(cli->arena, ERR_INVALID, "nothing would become of it: %s", source_reason_name(reason));
}

static struct err *read_event(struct cli *cli, struct str text, struct source_event *event)
{
    const json_value *root;
    if (cli_value(cli, "from").n) return transform(cli, text, event);
    TRY(json_parse(cli->arena, text, &root));
    if (json_get(root, "sourceEvent")) root = json_get(root, "sourceEvent");
    TRY(source_event_read(cli->arena, root, event, NULL));
    return source_event_normalise(cli->arena, event);
}

/* ---- what would become of it --------------------------------------------------------------------------------------- */

static struct str as_json(struct cli *cli, const struct source_event *event, const struct memory_analysis *analysis)
{
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    source_event_write(&out, "sourceEvent", event);
    json_put(&out, "observationType", analysis->observation_type);
    json_put(&out, "url", analysis->url);
    json_put(&out, "significanceScore", analysis->score);
    json_put_texts(&out, "significanceFactors", analysis->factors, analysis->factor_count);
    json_put(&out, "primaryCategory", analysis->primary);
    json_begin(&out, "secondaryCategories", '[');
    for (size_t i = 0; i < analysis->secondary_count; i++) json_put(&out, NULL, analysis->secondary[i]);
    json_end(&out);
    json_put_texts(&out, "topics", analysis->topics, analysis->topic_count);
    json_begin(&out, "entities", '[');
    for (size_t i = 0; i < analysis->entity_count; i++) {
        const struct memory_entity *entity = &analysis->entities[i];
        json_begin(&out, NULL, '{');
        json_put(&out, "category", entity->category);
        json_put(&out, "key", entity->key);
        if (entity->value.s) json_put(&out, "value", entity->value);
        if (entity->scope.n) json_put(&out, "scope", entity->scope);
        json_put(&out, "confidence", entity->confidence);
        json_put(&out, "method", entity->method);
        json_put(&out, "evidence", entity->evidence);
        json_end(&out);
    }
    json_end(&out);
    json_begin(&out, "references", '[');
    for (size_t i = 0; i < analysis->link_count; i++) {
        const struct memory_link *link = &analysis->links[i];
        json_begin(&out, NULL, '{');
        json_put(&out, "type", link->type);
        json_put(&out, "key", link->key);
        if (link->scope.n) json_put(&out, "scope", link->scope);
        json_put(&out, "role", link->self ? "self" : "mention");
        if (link->qualifier.n) json_put(&out, "label", link->qualifier);
        json_end(&out);
    }
    json_end(&out);
    json_end(&out);
    return json_out_text(&out);
}

static void print_list(const struct cli *cli, const char *name, const struct str *items, size_t n)
{
    printf("%-12s", name);
    for (size_t i = 0; i < n; i++) {
        if (i) fputs(", ", stdout);
        cli_text(cli, CLI_PLAIN, items[i]);
    }
    putchar('\n');
}

static void print_analysis(const struct cli *cli, const struct source_event *event, const struct memory_analysis *analysis)
{
    cli_text(cli, CLI_BOLD, event->title);
    printf("\n%-12s", "type");
    cli_text(cli, CLI_PLAIN, analysis->observation_type);
    printf("\n%-12s%d\n", "score", analysis->score);
    print_list(cli, "factors", analysis->factors, analysis->factor_count);
    printf("%-12s%s", "class", analysis->primary);
    for (size_t i = 0; i < analysis->secondary_count; i++) printf(", %s", analysis->secondary[i]);
    putchar('\n');
    print_list(cli, "topics", analysis->topics, analysis->topic_count);
    for (size_t i = 0; i < analysis->entity_count; i++) {
        printf("%-12s", i ? "" : "entities");
        cli_text(cli, CLI_ACCENT, analysis->entities[i].category);
        putchar(' ');
        cli_text(cli, CLI_PLAIN, analysis->entities[i].key);
        printf("  %.2f\n", analysis->entities[i].confidence);
    }
    for (size_t i = 0; i < analysis->link_count; i++) {
        printf("%-12s", i ? "" : "references");
        cli_text(cli, CLI_ACCENT, analysis->links[i].type);
        putchar(' ');
        cli_text(cli, CLI_PLAIN, analysis->links[i].key);
        printf("  %s ", analysis->links[i].self ? "self" : "mention");
        cli_text(cli, CLI_DIM, analysis->links[i].qualifier);
        putchar('\n');
    }
}

/* Ids look like no path that is likely, but a file that is there is what was meant. */
static bool names_event(struct cli *cli, struct str argument)
{
    bool path = str_eq(argument, STR("-")) || access(str_z(cli->arena, argument), F_OK) == 0;
    return !path && !str_ends(argument, STR(".json")) && str_find_char(argument, '/', 0) == SIZE_MAX;
}

int cli_inspect_event(struct cli *cli)
{
    struct str text;
    struct source_event event;
    struct memory_analysis analysis;
    if (names_event(cli, cli->positional[0])) return cli_show_event(cli, cli->positional[0]);
    struct err *err = read_input(cli, cli->positional[0], &text);
    if (!err) err = read_event(cli, text, &event);
    if (err) return cli_fail(cli, err);
    memory_analyse(cli->arena, &event, &analysis);
    if (cli->json) {
        const json_value *reply;
        err = json_parse(cli->arena, as_json(cli, &event, &analysis), &reply);
        if (err) return cli_fail(cli, err);
        cli_print_json(cli, reply);
    } else {
        print_analysis(cli, &event, &analysis);
    }
    return CLI_OK;
}
