/* app.c - opening and closing the data directory. */
#include "cli/cli.h"

#include "activity/activity.h"
#include "answer/answer.h"
#include "base/log.h"
#include "base/time.h"
#include "flow/flow.h"
#include "org/org.h"
#include "source/receive.h"

struct err *cli_config(struct cli *cli, struct config **config)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    TRY(config_load(cli->arena, cli->config_file, cli->settings, cli->setting_count, config));
    enum log_level level = LOG_ERROR;
    while (!str_eq((*config)->log_level, str_of(levels[level]))) level++;
    log_configure(level, str_eq((*config)->log_format, STR("json")));
    return NULL;
}

/* search.url_hosts, and the host of github.web_url. */
static struct search_host *self_hosted(struct arena *arena, const struct config *config, size_t *count)
{
    struct search_host *hosts = NEW_ARRAY(arena, struct search_host, config->search_url_host_count + 1);
    for (*count = 0; *count < config->search_url_host_count; ++*count) {
        struct search_host *host = &hosts[*count];
        host->provider = config->search_url_hosts[*count];
        str_cut(&host->provider, '=', &host->host);
    }
    struct str web = config->github_web_url;
    size_t scheme = str_find(web, STR("://"), 0);
    if (scheme == SIZE_MAX) return hosts;
    web = str_skip(web, scheme + 3);
    hosts[(*count)++] = (struct search_host){str_slice(web, 0, str_find_char(web, '/', 0)), STR("github")};
    return hosts;
}

static struct err *write_canary(struct db_tx *tx, void *arg)
{
    return db_exec(tx, "UPDATE instance_fact SET value = $1 WHERE name = 'encryption_canary'", *(struct str *)arg);
}

static struct err *read_canary(struct arena *arena, struct db *db, struct str *canary)
{
    struct db_rows rows;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(db, arena, &tx));
    TRY(db_query(tx, &rows, "SELECT value FROM instance_fact WHERE name = 'encryption_canary'"));
    if (!db_next(&rows, canary)) *canary = (struct str){0};
    return db_done(&rows);
}

/* Secrets that this key cannot open would be refused one by one, webhook after webhook: better say so at once. A restored
 * database has no key beside it, and a new one would only stand in the way of the right one. */
static struct err *open_keys(struct arena *arena, const struct config *config, struct app *app)
{
    struct str stored, canary;
    TRY(read_canary(arena, app->db, &stored));
    if (stored.s && crypto_keys_absent(arena, config->encryption_key, config->data_dir))
        return err_new(arena, ERR_INVALID,
                       "the secrets of this database are sealed with key " STR_FMT ": put its file encryption.key into " STR_FMT
                       " or set encryption_key",
                       STR_ARG(crypto_sealed_key(stored)), STR_ARG(config->data_dir));
    TRY(crypto_keys_open(arena, config->encryption_key, config->data_dir, &app->keys));
    if (!stored.s) return NULL; /* nothing was sealed yet */
    canary = stored;
    TRY(crypto_canary_check(arena, app->keys, &canary));
    return str_eq(canary, stored) ? NULL : db_write(app->db, arena, write_canary, &canary);
}

static struct err *open_inbox(struct cli *cli, struct config *config, struct app *app)
{
    TRY(open_keys(cli->arena, config, app));
    struct source_inbox *inbox = NEW(cli->arena, struct source_inbox);
    *inbox = (struct source_inbox){.db = app->db, .keys = app->keys, .addresses = source_addresses_create(app->db),
                                   .seen = source_seen_create(0),
                                   .web_url[SOURCE_GITHUB] = config->github_web_url};
    for (size_t i = 0; i < SOURCE_PROVIDERS; i++) {
        inbox->secrets[i][0] = config->webhook_secrets[i];
        inbox->secrets[i][1] = config->webhook_secrets_before[i];
    }
    inbox->max_body = (size_t)config->limit_webhook_body;
    inbox->max_age[SOURCE_LINEAR] = SECONDS(config->webhook_max_age_linear);
    inbox->max_age[SOURCE_SENTRY] = SECONDS(config->webhook_max_age_sentry);
    app->inbox = inbox;
    return NULL;
}

static struct llm_config model_settings(const struct config *config)
{
    return (struct llm_config){
        .provider = config->llm_provider,
        .base_url = config->llm_base_url,
        .api_key = config->llm_api_key,
        .model = config->llm_model_default,
        .models = {[LLM_CLASSIFICATION] = config->llm_model_classification,
                   [LLM_ENTITIES] = config->llm_model_entities,
                   [LLM_SUMMARY] = config->llm_model_summary,
                   [LLM_RELATIONSHIPS] = config->llm_model_relationships,
                   [LLM_RERANK] = config->llm_model_rerank,
                   [LLM_ANSWER] = config->llm_model_answer},
        .max_output_tokens = config->llm_max_output_tokens,
        .timeout_ms = SECONDS(config->llm_timeout_seconds),
        .price_input = config->llm_price_input,
        .price_output = config->llm_price_output,
    };
}

static struct err *open_rooms(struct cli *cli, struct config *config, struct app *app)
{
    struct arena *arena = cli->arena;
    TRY(db_open(arena, (struct db_config){.data_dir = config->data_dir, .readers = (size_t)config->workers}, &app->db));
    TRY(org_prepare(app->db, arena));
    struct embed_config embedding = {.provider = config->embedding_provider,
                                     .base_url = config->embedding_base_url,
                                     .api_key = config->embedding_api_key,
                                     .model = config->embedding_model,
                                     .dim = (int)config->embedding_dim};
    TRY(embed_create(arena, embedding, &app->embed));
    TRY(llm_create(arena, model_settings(config), &app->llm));
    app->memory = (struct memory){.db = app->db, .embed = app->embed, .llm = app->llm};
    struct search_config search = {.memory_limit = (size_t)config->search_memory_limit,
                                   .result_cache = config->search_result_cache};
    search.hosts = self_hosted(arena, config, &search.host_count);
    TRY(open_inbox(cli, config, app));
    app->search = search_create(app->db, app->embed, search);
    app->answer = answer_create((struct answer_config){app->db, app->search, app->embed, app->llm});
    app->api = api_create(app);
    return NULL;
}

struct err *cli_app_open(struct cli *cli, struct config *config, struct cli_app *opened)
{
    *opened = (struct cli_app){.app = {.config = config, .started_at = time_now()}};
    TRY(db_lock_directory(cli->arena, config->data_dir, &opened->lock));
    struct err *err = open_rooms(cli, config, &opened->app);
    if (err) cli_app_close(opened);
    return err;
}

/* Handlers that wait for a service far away must not keep the others from a thread: what may wait at once in a
 * workspace has one of its own. */
enum { WAITING_WORKERS = 8 };

struct err *cli_app_engine(struct cli *cli, struct config *config, struct cli_app *opened)
{
    struct app *app = &opened->app;
    size_t workers = (size_t)config->workers;
    if (llm_enabled(app->llm)) app->memory.askers = workers_start(MEMORY_ASKERS, "model");
    if (llm_enabled(app->llm) || !embed_inline(app->embed)) workers += WAITING_WORKERS;
    app->flow = flow_create(
        app->db, (struct flow_config){.workers = workers, .shutdown_grace = config->shutdown_grace_ms});
    TRY(flow_register(app->flow, cli->arena, memory_functions(&app->memory), memory_function_count, &app->memory));
    struct activity_periods *periods = NEW(cli->arena, struct activity_periods);
    *periods = (struct activity_periods){.events = config->retention_event_days,
                                         .failed_runs = config->retention_failed_run_days,
                                         .deliveries = config->retention_delivery_days};
    TRY(flow_register(app->flow, cli->arena, answer_functions, answer_function_count, NULL));
    TRY(flow_register(app->flow, cli->arena, activity_functions, activity_function_count, periods));
    app->recorder = activity_recorder_start(app->db);
    activity_watch_jobs(app->recorder, app->flow);
    TRY(flow_register(app->flow, cli->arena, source_functions, source_function_count, (void *)app->inbox));
    flow_watch(app->flow, api_job_changed, app->api);
    return NULL;
}

void cli_app_close(struct cli_app *opened)
{
    struct app *app = &opened->app;
    if (app->flow) flow_destroy(app->flow);
    if (app->memory.askers) workers_stop(app->memory.askers);
    activity_recorder_stop(app->recorder);
    if (app->api) api_destroy(app->api);
    answer_destroy(app->answer);
    if (app->search) search_destroy(app->search);
    llm_destroy(app->llm);
    if (app->embed) embed_destroy(app->embed);
    if (app->inbox) {
        source_addresses_destroy(app->inbox->addresses);
        source_seen_destroy(app->inbox->seen);
    }
    if (app->db) db_close(app->db);
    if (opened->lock) db_unlock_directory(opened->lock);
    *opened = (struct cli_app){0};
}
