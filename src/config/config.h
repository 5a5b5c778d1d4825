/* config.h - the server's settings (spec/README.md, "Server settings"): one table of names, types and defaults.
 *
 * Sources in rising order: default, YAML file, environment (LIGHTFAST_A_B, or LIGHTFAST_A_B_FILE: read from a file),
 * command line. The result lives in the arena and does not change. An unknown key in the file or a LIGHTFAST_ variable that no setting has stops the start and names the
 * closest known one. Secrets are never printed.
 */
#pragma once
#include "base/err.h"

struct config {
    struct str data_dir;
    struct str listen[8];
    size_t     listen_count;
    struct str public_url;
    struct str trusted_proxies[16];
    size_t     trusted_proxy_count;
    struct str cors_origins[16];
    size_t     cors_origin_count;
    struct str mcp_oauth_issuer;     /* that clients of /mcp are told of; empty: none */
    int64_t    workers;
    int64_t    shutdown_grace_ms;
    struct str log_level, log_format;
    struct str metrics_listen, metrics_token, health_token;
    int64_t    search_memory_limit; /* bytes */
    bool       search_result_cache;
    struct str search_url_hosts[16]; /* "git.acme.com=github" */
    size_t     search_url_host_count;
    struct str embedding_provider, embedding_base_url, embedding_api_key, embedding_model;
    int64_t    embedding_dim;
    struct str llm_provider, llm_base_url, llm_api_key;
    struct str llm_model_default, llm_model_classification, llm_model_entities, llm_model_summary,
               llm_model_relationships, llm_model_rerank, llm_model_answer; /* empty: llm_model_default */
    int64_t    llm_max_output_tokens;
    int64_t    llm_timeout_seconds;  /* answers have three times as long */
    double     llm_price_input, llm_price_output; /* USD per million tokens; 0: none */
    struct str encryption_key;       /* empty: the file in the data directory */
    int64_t    limit_search, limit_read, limit_answer, limit_events, limit_auth_failures; /* a minute, 0 = off */
    int64_t    limit_answer_parallel; /* at once in a workspace, 0 = off */
    struct str webhook_secrets[4]; /* of the instance's apps: GitHub, Vercel, Linear, Sentry; empty: none */
    struct str webhook_secrets_before[4]; /* those they replace, still valid */
    int64_t    limit_events_body;  /* bytes of POST /v1/events, unpacked */
    int64_t    limit_queued_runs;  /* of a workspace; above, POST /v1/events is refused */
    int64_t    limit_webhook_body; /* bytes; 0: each provider's own limit */
    int64_t    webhook_max_age_linear, webhook_max_age_sentry; /* s */
    int64_t    retention_delivery_days, retention_event_days, retention_failed_run_days;
    struct str github_web_url; /* "https://github.com", no trailing slash */
};

struct config_option { struct str key, value; }; /* from the command line: {"listen", "127.0.0.1:9000"} */

/* Read everything. file: --config, or empty for the data directory's lightfast.server.yml if it is there.
 * Errors: ERR_INVALID naming the key and what was expected. */
MUST_CHECK struct err *config_load(struct arena *arena, struct str file, const struct config_option *options, size_t n,
                                   struct config **config);

/* Is this the name of a setting ("listen")? For the command line's --listen. */
bool config_known(struct str key);

/* A table of all settings with value and origin, secrets as "(set)", for `lightfast doctor`. */
struct config_entry { struct str key, value; const char *origin; }; /* "default", "file", "environment", "command line" */
size_t config_describe(const struct config *config, struct arena *arena, struct config_entry **entries);
