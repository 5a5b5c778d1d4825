/* activity.c - `lightfast activity`: who did what, and with --follow what is done from now on. */
#include "cli/cli.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

enum { PAGE = 100, FOLLOW_PAGES = 10, RETRY_SECONDS = 3 };

struct feed {
    struct cli       *cli;
    struct cli_client client;
    struct str        path, filter; /* filter: "&category=job" */
};

static void print_activity(struct cli *cli, const json_value *activity)
{
    struct str time = json_str(activity, "timestamp"), status = json_str(activity, "status");
    struct str who = json_str(activity, "actorEmail");
    if (!who.n) who = json_str(activity, "apiKeyId");
    if (!who.n) who = json_str(activity, "actorUserId");
    if (!who.n) who = json_str(activity, "actorType");
    cli_text(cli, CLI_DIM, str_printf(cli->arena, STR_FMT " " STR_FMT, STR_ARG(str_slice(time, 0, 10)),
                                      STR_ARG(str_slice(time, 11, 19))));
    fputs("  ", stdout);
    cli_text(cli, str_eq(status, STR("failure")) ? CLI_BAD : CLI_ACCENT,
             str_printf(cli->arena, "%-24.*s", STR_ARG(json_str(activity, "action"))));
    fputs("  ", stdout);
    cli_text(cli, CLI_PLAIN, who);
    fputs("  ", stdout);
    cli_text(cli, CLI_BOLD, json_str(activity, json_str(activity, "entityName").n ? "entityName" : "entityId"));
    putchar('\n');
}

/* One line each, so that what follows can be read as it comes. */
static void print_one(struct cli *cli, const json_value *activity)
{
    struct str text = json_text(cli->arena, activity);
    if (!cli->json)
        print_activity(cli, activity);
    else
        printf(STR_FMT "\n", STR_ARG(text));
}

static struct err *get_page(struct feed *feed, int64_t limit, struct str cursor, const json_value **page)
{
    struct arena *arena = feed->cli->arena;
    struct str    after = cursor.n ? str_printf(arena, "&cursor=" STR_FMT, STR_ARG(cursor)) : STR("");
    return cli_ask(&feed->client, "GET",
                   str_printf(arena, STR_FMT "/activities?limit=%lld" STR_FMT STR_FMT, STR_ARG(feed->path),
                              (long long)limit, STR_ARG(feed->filter), STR_ARG(after)),
                   STR(""), page);
}

/* What came after `last`, oldest first; *last becomes the newest. */
static struct err *print_news(struct feed *feed, struct str *last)
{
    VEC(const json_value *) news = {0};
    const json_value *page;
    struct str        cursor = {0};
    bool              reached = false;
    for (int i = 0; i < FOLLOW_PAGES && !reached; i++) {
        TRY(get_page(feed, PAGE, cursor, &page));
        for (struct json_iter it = json_iter(json_get(page, "data")); !reached && json_step(&it);) {
            reached = str_eq(json_str(it.value, "id"), *last);
            if (!reached) *VEC_PUSH(feed->cli->arena, &news) = it.value;
        }
        cursor = json_str(page, "nextCursor");
        reached |= !cursor.n;
    }
    for (size_t i = news.n; i-- > 0;) print_one(feed->cli, news.at[i]);
    if (news.n) *last = json_str(news.at[0], "id");
    return NULL;
}

/* A thread that hears the stream of activities and says when there is something to read. */
struct ear {
    struct feed  *feed;
    struct arena *arena; /* of the thread */
    struct err   *err;
    sem_t         heard;
    atomic_bool   ended, stop;
    pthread_t     thread;
};

static bool hear(void *arg, struct str text)
{
    struct ear *ear = arg;
    if (text.n && text.s[0] != ':') sem_post(&ear->heard);
    return true;
}

static bool is_stopped(void *arg)
{
    struct ear *ear = arg;
    return atomic_load(&ear->stop);
}

static void *listen_to_stream(void *arg)
{
    struct ear *ear = arg;
    ear->err = cli_hear(&ear->feed->client, ear->arena,
                        (struct cli_hearing){.target = str_printf(ear->arena, STR_FMT "/stream?topics=activity",
                                                                  STR_ARG(ear->feed->path)),
                                             .piece = hear, .stopped = is_stopped, .arg = ear});
    atomic_store(&ear->ended, true);
    sem_post(&ear->heard);
    return NULL;
}

/* Print what comes until the stream ends. Each round has memory of its own; the id of the last activity is kept in id. */
static struct err *follow_stream(struct feed *feed, struct ear *ear, char *id, size_t size)
{
    struct arena *kept = feed->cli->arena;
    while (!atomic_load(&ear->ended)) {
        fflush(stdout);
        while (sem_wait(&ear->heard) != 0) continue;
        while (sem_trywait(&ear->heard) == 0) continue; /* one look for all that was heard */
        struct arena *round ARENA_SCOPE = arena_create();
        struct str    seen = str_of(id);
        feed->cli->arena = round;
        struct err *err = print_news(feed, &seen);
        feed->cli->arena = kept;
        if (err && err->code != ERR_UNAVAILABLE) return err_new(kept, err->code, STR_FMT, STR_ARG(err_text(kept, err)));
        if (seen.n < size) memmove(id, seen.s, seen.n), id[seen.n] = 0;
    }
    return NULL;
}

/* Until interrupted; a server that goes away is waited for. */
static struct err *follow(struct feed *feed, struct str newest)
{
    struct arena *kept = feed->cli->arena;
    char          id[64] = "";
    if (newest.n < sizeof id) memcpy(id, newest.s ? newest.s : "", newest.n);
    for (bool heard_before = false;; heard_before = true) {
        struct arena *arena ARENA_SCOPE = arena_create();
        struct ear    ear = {.feed = feed, .arena = arena};
        sem_init(&ear.heard, 0, 0);
        if (pthread_create(&ear.thread, NULL, listen_to_stream, &ear) != 0)
            return err_new(kept, ERR_UNAVAILABLE, "cannot start a thread");
        struct err *err = follow_stream(feed, &ear, id, sizeof id);
        atomic_store(&ear.stop, true);
        pthread_join(ear.thread, NULL);
        sem_destroy(&ear.heard);
        if (err) return err;
        if (ear.err && (ear.err->code != ERR_UNAVAILABLE || !heard_before))
            return err_new(kept, ear.err->code, STR_FMT, STR_ARG(err_text(kept, ear.err)));
        sleep(RETRY_SECONDS);
    }
}

static struct err *run(struct feed *feed, int64_t limit)
{
    const json_value *page;
    VEC(const json_value *) list = {0};
    struct cli *cli = feed->cli;
    TRY(cli_workspace_path(&feed->client, &feed->path));
    TRY(get_page(feed, limit, (struct str){0}, &page));
    if (cli->json && !cli_has(cli, "follow")) {
        cli_print_json(cli, page);
        return NULL;
    }
    for (struct json_iter it = json_iter(json_get(page, "data")); json_step(&it);) *VEC_PUSH(cli->arena, &list) = it.value;
    for (size_t i = list.n; i-- > 0;) print_one(cli, list.at[i]);
    if (cli_has(cli, "follow")) return follow(feed, json_str(page, "data.0.id"));
    if (!list.n) puts("Nothing was done yet.");
    return NULL;
}

int cli_activity(struct cli *cli)
{
    static const struct { const char *option, *parameter; } filters[] = {
        {"category", "category"}, {"group", "group"}, {"source", "source"}, {"action", "action"}, {"actor", "actorType"},
        {"status", "status"},     {"text", "q"},      {"from", "from"},     {"to", "to"}};
    struct feed feed = {.cli = cli};
    struct buf  filter = buf_in(cli->arena);
    int64_t     limit = 20;
    if (!cli_number(cli, "limit", 1, 100, &limit)) return CLI_USAGE;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct str value = cli_value(cli, filters[i].option);
        if (value.s)
            buf_printf(&filter, "&%s=" STR_FMT, filters[i].parameter, STR_ARG(net_encode(cli->arena, value)));
    }
    feed.filter = buf_str(&filter);
    struct err *err = cli_connect(cli, &feed.client);
    if (err) return cli_fail(cli, err);
    err = run(&feed, limit);
    cli_disconnect(&feed.client);
    return err ? cli_fail(cli, err) : CLI_OK;
}
