/* import.c - `lightfast import git`: one thread reads the repository, this one stores.
 *
 * The counts and the new tip are written through the API like everything else; only the batches take the short way
 * when the data directory is ours: straight into the pipeline, without JSON.
 */
#include "cli/cli.h"

#include "base/hash.h"
#include "base/time.h"
#include "org/org.h"
#include "source/git/git.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 500, QUEUE = 3 };

struct counts {
    int64_t scanned, stored, replaced, duplicates, failed;
    int64_t pull_requests, pushes, releases;
};

struct batch {
    struct arena *arena;
    struct source_event *events;
    size_t count;
    int64_t scanned, failed;
    struct memory_batch *prepared; /* local imports: analysed and embedded by the reader */
    struct err *err;
};

struct reading {
    struct source_git *git;
    struct memory *memory;  /* NULL: events go out as JSON */
    int64_t workspace;
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed;
    struct batch *queue[QUEUE];
    size_t first, queued;
    bool ended, stop;
};

struct known_pull {
    int64_t    number;
    struct str sha; /* empty: unknown */
};

struct importing {
    struct cli *cli;
    struct cli_client client;
    struct source_git *git;
    struct source_git_facts facts;
    struct source_git_counts plan;
    struct counts counts;
    struct map *issues; /* distinct issues that events refer to */
    const json_value *begun;
    struct str base;    /* ".../imports" */
    struct str job;
    int64_t import_id, workspace;
    struct known_pull *known; /* stored pull requests, by number */
    size_t known_count;
    int64_t started_us, shown_us;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* ---- the reading thread -------------------------------------------------------------------------------------------- */

static void offer(struct reading *reading, struct batch *batch)
{
    pthread_mutex_lock(&reading->lock);
    while (reading->queued == QUEUE && !reading->stop) pthread_cond_wait(&reading->changed, &reading->lock);
    if (reading->stop) {
        pthread_mutex_unlock(&reading->lock);
        arena_destroy(batch->arena);
        return;
    }
    reading->queue[(reading->first + reading->queued++) % QUEUE] = batch;
    pthread_cond_broadcast(&reading->changed);
    pthread_mutex_unlock(&reading->lock);
}

static struct batch *take(struct reading *reading)
{
    pthread_mutex_lock(&reading->lock);
    while (reading->queued == 0 && !reading->ended) pthread_cond_wait(&reading->changed, &reading->lock);
    struct batch *batch = NULL;
    if (reading->queued) {
        batch = reading->queue[reading->first];
        reading->first = (reading->first + 1) % QUEUE;
        reading->queued--;
        pthread_cond_broadcast(&reading->changed);
    }
    pthread_mutex_unlock(&reading->lock);
    return batch;
}

static struct batch *read_batch(struct reading *reading)
{
    struct arena *arena = arena_create();
    struct batch *batch = NEW(arena, struct batch);
    batch->arena = arena;
    batch->events = NEW_ARRAY(arena, struct source_event, BATCH);
    batch->err = source_git_next(reading->git, arena, BATCH, batch->events, &batch->count, &batch->scanned, &batch->failed);
    if (!batch->err && batch->count && reading->memory) {
        struct memory_capture capture = {.workspace = reading->workspace, .ingestion = SOURCE_MANUAL,
                                         .events = batch->events, .count = batch->count};
        batch->err = memory_prepare(reading->memory, arena, capture, &batch->prepared);
    }
    return batch;
}

static bool stopped(struct reading *reading)
{
    pthread_mutex_lock(&reading->lock);
    bool stop = reading->stop;
    pthread_mutex_unlock(&reading->lock);
    return stop;
}

static void *read_all(void *arg)
{
    struct reading *reading = arg;
    bool last = false;
    while (!last && !stopped(reading)) {
        struct batch *batch = read_batch(reading);
        last = batch->err || (batch->count == 0 && batch->scanned == 0);
        if (last && !batch->err)
            arena_destroy(batch->arena);
        else
            offer(reading, batch);
    }
    pthread_mutex_lock(&reading->lock);
    reading->ended = true;
    pthread_cond_broadcast(&reading->changed);
    pthread_mutex_unlock(&reading->lock);
    return NULL;
}

/* ---- storing --------------------------------------------------------------------------------------------------------- */

struct storing {
    struct importing *importing;
    struct batch *batch;
    struct memory_result *results;
};

static void count_results(struct storing *storing, struct counts *counts)
{
    for (size_t i = 0; i < storing->batch->count; i++) {
        enum memory_outcome outcome = storing->results[i].outcome;
        counts->stored += outcome == MEMORY_STORED;
        counts->replaced += outcome == MEMORY_REPLACED;
        counts->duplicates += outcome == MEMORY_DUPLICATE;
        counts->failed += outcome == MEMORY_REFUSED;
    }
}

static struct err *store_in(struct db_tx *tx, void *arg)
{
    struct storing *storing = arg;
    struct importing *importing = storing->importing;
    struct batch *batch = storing->batch;
    struct counts counts = {0};
    if (batch->count) TRY(memory_store(&importing->client.app.app.memory, tx, batch->prepared, storing->results));
    count_results(storing, &counts);
    return source_import_progress(tx, importing->workspace, importing->import_id, batch->scanned,
                                  counts.stored + counts.replaced, counts.duplicates, counts.failed + batch->failed);
}

static struct err *store_here(struct importing *importing, struct batch *batch)
{
    struct storing storing = {importing, batch, NEW_ARRAY(batch->arena, struct memory_result, batch->count)};
    TRY(db_write(importing->client.app.app.db, batch->arena, store_in, &storing));
    count_results(&storing, &importing->counts);
    return NULL;
}

static struct err *store_there(struct importing *importing, struct batch *batch)
{
    struct json_out out = json_out(batch->arena);
    json_begin(&out, NULL, '{');
    json_begin(&out, "events", '[');
    for (size_t i = 0; i < batch->count; i++) source_event_write(&out, NULL, &batch->events[i]);
    json_end(&out);
    json_put(&out, "scanned", batch->scanned);
    json_put(&out, "failed", batch->failed);
    json_end(&out);
    const json_value *reply;
    struct arena *arena = importing->cli->arena;
    struct arena_mark mark = arena_mark(arena);
    struct str target = str_printf(arena, STR_FMT "/" STR_FMT "/events", STR_ARG(importing->base), STR_ARG(importing->job));
    struct err *err = cli_ask(&importing->client, "POST", target, json_out_text(&out), &reply);
    if (err) return err;
    importing->counts.stored += json_int(reply, "stored", 0);
    importing->counts.replaced += json_int(reply, "replaced", 0);
    importing->counts.duplicates += json_int(reply, "duplicates", 0);
    importing->counts.failed += json_int(reply, "failed", 0);
    arena_rewind(arena, mark);
    return NULL;
}

static void count_events(struct importing *importing, const struct batch *batch)
{
    struct counts *counts = &importing->counts;
    for (size_t i = 0; i < batch->count; i++) {
        const struct source_event *event = &batch->events[i];
        counts->pull_requests += str_starts(event->source_type, STR("pull-request."));
        counts->pushes += str_eq(event->source_type, STR("push"));
        counts->releases += str_starts(event->source_type, STR("release."));
        for (size_t r = 0; r < event->reference_count; r++)
            if (str_eq(event->references[r].type, STR("issue"))) map_at(importing->issues, event->references[r].id);
    }
}

/* ---- progress ---------------------------------------------------------------------------------------------------------- */

static void show_progress(struct importing *importing, bool last)
{
    int64_t now = time_monotonic_us();
    bool terminal = isatty(STDERR_FILENO);
    if (importing->cli->json || (!last && now - importing->shown_us < (terminal ? 100000 : 2000000))) return;
    importing->shown_us = now;
    const struct counts *counts = &importing->counts;
    double seconds = (double)(now - importing->started_us) / 1e6;
    double rate = seconds > 0 ? (double)counts->scanned / seconds : 0;
    int64_t total = importing->plan.commits + importing->plan.tags, left = total - counts->scanned;
    if (!terminal) {
        if (!last) fprintf(stderr, "%lld of %lld commits, %.0f/s\n", (long long)counts->scanned, (long long)total, rate);
        return;
    }
    int filled = total ? (int)(counts->scanned * 30 / total) : 30;
    if (filled > 30) filled = 30;
    fprintf(stderr, "\r\033[K  ");
    for (int i = 0; i < 30; i++) fputs(i < filled ? "█" : "░", stderr);
    fprintf(stderr, " %lld/%lld  %.0f/s", (long long)counts->scanned, (long long)total, rate);
    if (rate > 0 && left > 0) fprintf(stderr, "  %.0f s left", (double)left / rate);
    if (last) fputc('\n', stderr);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    int64_t x = ((const struct known_pull *)a)->number, y = ((const struct known_pull *)b)->number;
    return (x > y) - (x < y);
}

static bool is_known_pull_request(void *arg, int64_t number, struct str *sha)
{
    const struct importing *importing = arg;
    struct known_pull wanted = {.number = number};
    const struct known_pull *found =
        importing->known_count ? bsearch(&wanted, importing->known, importing->known_count, sizeof wanted, by_number) : NULL;
    if (found) *sha = found->sha;
    return found != NULL;
}

static void read_known(struct importing *importing)
{
    const json_value *known = json_get(importing->begun, "pullRequests");
    importing->known = NEW_ARRAY(importing->cli->arena, struct known_pull, json_count(known));
    for (struct json_iter it = json_iter(known); json_step(&it);) {
        struct known_pull pull = {.sha = json_str(it.value, "")};
        if (str_to_int(it.key, &pull.number)) importing->known[importing->known_count++] = pull;
    }
    if (importing->known_count) qsort(importing->known, importing->known_count, sizeof *importing->known, by_number);
}

static struct err *read_options(struct cli *cli, struct source_git_options *options)
{
    struct str since = cli_value(cli, "since");
    struct config *config;
    TRY(cli_config(cli, &config));
    *options = (struct source_git_options){
        .path = cli->positional[0],
        .repo = cli_value(cli, "repo"),
        .branch = cli_value(cli, "branch"),
        .rev = cli_value(cli, "rev"),
        .first_parent = cli_has(cli, "first-parent"),
        .no_pr = cli_has(cli, "no-pr"),
        .no_tags = cli_has(cli, "no-tags"),
        .stat = cli_has(cli, "stat"),
        .github_web_url = config->github_web_url,
    };
    if (since.s && !cli_since(since, &options->since))
        return err_new(cli->arena, ERR_INVALID, "--since takes a date (2025-01-31) or days (90d)");
    if (cli_has(cli, "max") && (!str_to_int(cli_value(cli, "max"), &options->max) || options->max < 1))
        return err_new(cli->arena, ERR_INVALID, "--max takes a number above 0");
    return NULL;
}

static struct err *begin(struct importing *importing)
{
    struct cli *cli = importing->cli;
    struct source_git_facts *facts = &importing->facts;
    struct json_out out = json_out(cli->arena);
    struct str workspace;
    TRY(cli_workspace_path(&importing->client, &workspace));
    importing->base = str_printf(cli->arena, STR_FMT "/imports", STR_ARG(workspace));
    json_begin(&out, NULL, '{');
    json_put(&out, "repoFullName", facts->repo);
    json_put(&out, "branch", facts->branch);
    json_put(&out, "github", str_eq(facts->source, STR("github")));
    json_put(&out, "path", facts->path);
    json_put(&out, "full", cli_has(cli, "full"));
    json_end(&out);
    TRY(cli_ask(&importing->client, "POST", importing->base, json_out_text(&out), &importing->begun));
    importing->job = json_str(importing->begun, "jobId");
    read_known(importing);
    return NULL;
}

static struct err *find_rows(struct importing *importing)
{
    struct cli_client *client = &importing->client;
    struct arena *arena = importing->cli->arena;
    struct org_workspace workspace;
    struct source_import import;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(client->app.app.db, arena, &tx));
    TRY(org_workspace_default(tx, client->workspace, &workspace));
    TRY(source_import_find(tx, workspace.id, importing->job, &import));
    importing->workspace = workspace.id;
    importing->import_id = import.id;
    return NULL;
}

static struct err *finish(struct importing *importing, const char *status, struct str tip, struct str error)
{
    struct arena *arena = importing->cli->arena;
    struct json_out out = json_out(arena);
    const json_value *reply;
    json_begin(&out, NULL, '{');
    json_put(&out, "status", status);
    if (tip.n) json_put(&out, "tip", tip);
    if (tip.n) json_put_raw(&out, "tags", source_git_tags(importing->git, arena));
    if (error.n) json_put(&out, "error", error);
    json_end(&out);
    struct str target = str_printf(arena, STR_FMT "/" STR_FMT "/finish", STR_ARG(importing->base), STR_ARG(importing->job));
    return cli_ask(&importing->client, "POST", target, json_out_text(&out), &reply);
}

static struct err *store_batches(struct importing *importing, struct reading *reading)
{
    struct err *err = NULL;
    for (struct batch *batch; !err && !interrupted && (batch = take(reading));) {
        err = batch->err;
        if (!err) err = importing->client.local ? store_here(importing, batch) : store_there(importing, batch);
        if (err) err = err_new(importing->cli->arena, err->code, STR_FMT, STR_ARG(err_text(importing->cli->arena, err)));
        if (!err) {
            count_events(importing, batch);
            importing->counts.scanned += batch->scanned;
            importing->counts.failed += batch->failed;
            show_progress(importing, false);
        }
        arena_destroy(batch->arena);
    }
    return err;
}

static struct err *transfer(struct importing *importing)
{
    struct reading reading = {.git = importing->git, .workspace = importing->workspace};
    if (importing->client.local) reading.memory = &importing->client.app.app.memory;
    pthread_mutex_init(&reading.lock, NULL);
    pthread_cond_init(&reading.changed, NULL);
    pthread_t reader;
    if (pthread_create(&reader, NULL, read_all, &reading) != 0)
        return err_new(importing->cli->arena, ERR_INTERNAL, "cannot start a thread");
    struct err *err = store_batches(importing, &reading);
    pthread_mutex_lock(&reading.lock);
    reading.stop = true;
    pthread_cond_broadcast(&reading.changed);
    pthread_mutex_unlock(&reading.lock);
    pthread_join(reader, NULL);
    for (struct batch *left; (left = take(&reading));) arena_destroy(left->arena);
    pthread_cond_destroy(&reading.changed);
    pthread_mutex_destroy(&reading.lock);
    return err;
}

static struct err *import(struct importing *importing)
{
    struct cli *cli = importing->cli;
    TRY(begin(importing));
    if (importing->client.local) TRY(find_rows(importing));
    struct source_git_plan plan = {.last_sha = json_str(importing->begun, "lastSha"),
                                   .last_tags = json_text(cli->arena, json_get(importing->begun, "lastTags")),
                                   .known_pr = is_known_pull_request,
                                   .arg = importing};
    struct err *err = source_git_prepare(importing->git, cli->arena, plan, &importing->plan);
    if (!err) err = transfer(importing);
    if (err) {
        struct str text = err_text(cli->arena, err);
        if (finish(importing, "failed", STR(""), text)) return err; /* the first error says more */
        return err;
    }
    if (interrupted) {
        TRY(finish(importing, "cancelled", STR(""), STR("")));
        return err_new(cli->arena, ERR_CANCELLED, "interrupted; what was stored is kept, the next import completes it");
    }
    TRY(finish(importing, "completed", importing->facts.tip, STR("")));
    show_progress(importing, true);
    return NULL;
}

static void print_summary(const struct importing *importing)
{
    const struct counts *counts = &importing->counts;
    double seconds = (double)(time_monotonic_us() - importing->started_us) / 1e6;
    struct cli *cli = importing->cli;
    if (cli->json) {
        struct json_out out = json_out(cli->arena);
        out.decimals = 3;
        json_begin(&out, NULL, '{');
        json_put(&out, "jobId", importing->job);
        json_put(&out, "repository", importing->facts.repo);
        json_put(&out, "branch", importing->facts.branch);
        json_put(&out, "tip", importing->facts.tip);
        json_put(&out, "scanned", counts->scanned);
        json_put(&out, "stored", counts->stored);
        json_put(&out, "replaced", counts->replaced);
        json_put(&out, "pullRequests", counts->pull_requests);
        json_put(&out, "pushes", counts->pushes);
        json_put(&out, "releases", counts->releases);
        json_put(&out, "issuesReferenced", (int64_t)map_count(importing->issues));
        json_put(&out, "duplicates", counts->duplicates);
        json_put(&out, "failed", counts->failed);
        json_put(&out, "seconds", seconds);
        json_end(&out);
        const json_value *summary;
        if (json_parse(cli->arena, json_out_text(&out), &summary) == NULL) cli_print_json(cli, summary);
        return;
    }
    printf("%s ", counts->failed ? "Imported with failures:" : "Imported");
    cli_text(cli, CLI_BOLD, importing->facts.repo);
    printf(" (" STR_FMT "): %lld scanned in %.1f s\n", STR_ARG(importing->facts.branch), (long long)counts->scanned, seconds);
    printf("  %lld pull requests, %lld pushes, %lld releases, %zu issues referenced\n", (long long)counts->pull_requests,
           (long long)counts->pushes, (long long)counts->releases, map_count(importing->issues));
    printf("  %lld stored, %lld known already, %lld failed\n", (long long)counts->stored + (long long)counts->replaced,
           (long long)counts->duplicates, (long long)counts->failed);
}

static int print_plan(struct importing *importing)
{
    struct source_git_plan plan = {.known_pr = is_known_pull_request, .arg = importing};
    struct err *err = source_git_prepare(importing->git, importing->cli->arena, plan, &importing->plan);
    if (err) return cli_fail(importing->cli, err);
    const struct source_git_counts *counts = &importing->plan;
    if (importing->cli->json)
        printf("{\"commits\":%lld,\"pullRequests\":%lld,\"tags\":%lld}\n", (long long)counts->commits,
               (long long)counts->pull_requests, (long long)counts->tags);
    else
        printf(STR_FMT " (" STR_FMT "): %lld commits, %lld pull requests among them, %lld releases\n",
               STR_ARG(importing->facts.repo), STR_ARG(importing->facts.branch), (long long)counts->commits,
               (long long)counts->pull_requests, (long long)counts->tags);
    return CLI_OK;
}

static int run_import(struct importing *importing)
{
    struct cli *cli = importing->cli;
    struct err *err = cli_connect(cli, &importing->client);
    if (!err) err = import(importing);
    cli_disconnect(&importing->client);
    if (err) return cli_fail(cli, err);
    print_summary(importing);
    return importing->counts.failed ? CLI_FAILED : CLI_OK;
}

int cli_import_git(struct cli *cli)
{
    struct importing importing = {.cli = cli, .started_us = time_monotonic_us(), .issues = map_create(cli->arena)};
    struct source_git_options options;
    struct err *err = read_options(cli, &options);
    if (!err) err = source_git_open(cli->arena, options, &importing.git);
    if (err) {
        cli_fail(cli, err);
        return CLI_USAGE;
    }
    source_git_facts(importing.git, &importing.facts);
    if (importing.facts.shallow)
        fprintf(stderr, "lightfast: a shallow clone: only the history that it holds is imported\n");
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND}; /* a second Ctrl-C ends at once */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int status = cli_has(cli, "dry-run") ? print_plan(&importing) : run_import(&importing);
    source_git_close(importing.git);
    return status;
}
