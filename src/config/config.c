/* config.c - the table of settings, and the four places they come from. */
#include "config/config.h"

#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum setting_type { TEXT, PATH, URL, CHOICE, BOOLEAN, INTEGER, BYTES, PRICE, LIST, MAP };

struct setting {
    const char *key;
    enum setting_type type;
    size_t at;               /* offset in struct config */
    const char *otherwise;   /* default as text */
    int64_t low, high;       /* INTEGER, BYTES; of a TEXT that is set: the fewest bytes */
    const char *choices;     /* CHOICE, values of a MAP: "a b c" */
    size_t count_at, most;   /* LIST, MAP: offset of its count, capacity */
    bool secret;
};

#define AT(field) offsetof(struct config, field)
#define LIST_AT(field, count) \
    AT(field), .count_at = AT(count), .most = sizeof(((struct config *)0)->field) / sizeof(struct str)

// clang-format off
static const struct setting settings[] = {
    {"data_dir",                       PATH,    AT(data_dir), ""},
    {"listen",                         LIST,    LIST_AT(listen, listen_count), .otherwise = "127.0.0.1:8080"},
    {"public_url",                     URL,     AT(public_url), "http://localhost:8080"},
    {"trusted_proxies",                LIST,    LIST_AT(trusted_proxies, trusted_proxy_count), .otherwise = ""},
    {"cors.allowed_origins",           LIST,    LIST_AT(cors_origins, cors_origin_count), .otherwise = ""},
    {"workers",                        INTEGER, AT(workers), "", 1, 1024},
    {"shutdown_grace_ms",              INTEGER, AT(shutdown_grace_ms), "500", 0, 30000},
    {"log.level",                      CHOICE,  AT(log_level), "info", .choices = "error warn info debug"},
    {"log.format",                     CHOICE,  AT(log_format), "text", .choices = "text json"},
    {"metrics.listen",                 TEXT,    AT(metrics_listen), ""},
    {"metrics.token",                  TEXT,    AT(metrics_token), "", .secret = true},
    {"health.token",                   TEXT,    AT(health_token), "", .secret = true},
    {"search.memory_limit",            BYTES,   AT(search_memory_limit), "", 1 << 20, INT64_MAX},
    {"search.result_cache",            BOOLEAN, AT(search_result_cache), "true"},
    {"search.url_hosts",               MAP,     LIST_AT(search_url_hosts, search_url_host_count), .otherwise = "",
                                                .choices = "github linear sentry vercel"},
    {"mcp.oauth_issuer",               URL,     AT(mcp_oauth_issuer), ""},
    {"embedding.provider",             CHOICE,  AT(embedding_provider), "builtin", .choices = "builtin openai ollama none"},
    {"embedding.base_url",             URL,     AT(embedding_base_url), ""},
    {"embedding.api_key",              TEXT,    AT(embedding_api_key), "", .secret = true},
    {"embedding.model",                TEXT,    AT(embedding_model), ""},
    {"embedding.dim",                  INTEGER, AT(embedding_dim), "0", 0, 4096},
    {"llm.provider",                   CHOICE,  AT(llm_provider), "none", .choices = "none anthropic openai"},
    {"llm.base_url",                   URL,     AT(llm_base_url), ""},
    {"llm.api_key",                    TEXT,    AT(llm_api_key), "", .secret = true},
    {"llm.models.default",             TEXT,    AT(llm_model_default), ""},
    {"llm.models.classification",      TEXT,    AT(llm_model_classification), ""},
    {"llm.models.entities",            TEXT,    AT(llm_model_entities), ""},
    {"llm.models.summary",             TEXT,    AT(llm_model_summary), ""},
    {"llm.models.relationships",       TEXT,    AT(llm_model_relationships), ""},
    {"llm.models.rerank",              TEXT,    AT(llm_model_rerank), ""},
    {"llm.models.answer",              TEXT,    AT(llm_model_answer), ""},
    {"llm.max_output_tokens",          INTEGER, AT(llm_max_output_tokens), "1024", 16, 131072},
    {"llm.timeout_seconds",            INTEGER, AT(llm_timeout_seconds), "20", 1, 600},
    {"llm.prices.input",               PRICE,   AT(llm_price_input), "0"},
    {"llm.prices.output",              PRICE,   AT(llm_price_output), "0"},
    {"encryption_key",                 TEXT,    AT(encryption_key), "", .secret = true},
    {"limits.search_per_minute",       INTEGER, AT(limit_search), "120", 0, 1000000},
    {"limits.read_per_minute",         INTEGER, AT(limit_read), "300", 0, 1000000},
    {"limits.answer_per_minute",       INTEGER, AT(limit_answer), "20", 0, 1000000},
    {"limits.answer_parallel",         INTEGER, AT(limit_answer_parallel), "4", 0, 1000},
    {"limits.events_per_minute",       INTEGER, AT(limit_events), "600", 0, 1000000},
    {"limits.events_body_bytes",       BYTES,   AT(limit_events_body), "5MiB", 1024, 64 << 20},
    {"limits.queued_runs",             INTEGER, AT(limit_queued_runs), "100000", 1, 100000},
    {"limits.auth_failures_per_minute", INTEGER, AT(limit_auth_failures), "20", 0, 1000000},
    {"github.webhook_secret",          TEXT,    AT(webhook_secrets[0]), "", 32, .secret = true},
    {"vercel.webhook_secret",          TEXT,    AT(webhook_secrets[1]), "", .secret = true},
    {"linear.webhook_secret",          TEXT,    AT(webhook_secrets[2]), "", .secret = true},
    {"sentry.webhook_secret",          TEXT,    AT(webhook_secrets[3]), "", .secret = true},
    {"github.webhook_secret_before",   TEXT,    AT(webhook_secrets_before[0]), "", .secret = true},
    {"vercel.webhook_secret_before",   TEXT,    AT(webhook_secrets_before[1]), "", .secret = true},
    {"linear.webhook_secret_before",   TEXT,    AT(webhook_secrets_before[2]), "", .secret = true},
    {"sentry.webhook_secret_before",   TEXT,    AT(webhook_secrets_before[3]), "", .secret = true},
    {"limits.webhook_body_bytes",      BYTES,   AT(limit_webhook_body), "", 1024, 25 << 20},
    {"linear.webhook_max_age_seconds", INTEGER, AT(webhook_max_age_linear), "300", 1, 86400},
    {"sentry.webhook_max_age_seconds", INTEGER, AT(webhook_max_age_sentry), "300", 1, 86400},
    {"retention.delivery_days",        INTEGER, AT(retention_delivery_days), "30", 1, 36500},
    {"retention.event_days",           INTEGER, AT(retention_event_days), "30", 1, 36500},
    {"retention.failed_run_days",      INTEGER, AT(retention_failed_run_days), "90", 1, 36500},
    {"github.web_url",                 URL,     AT(github_web_url), "https://github.com"},
};
// clang-format on
enum { SETTINGS = sizeof settings / sizeof *settings };

/* LIGHTFAST_ names of the clients (mcp, --url); they are no settings of the server. */
static const char *const client_variables[] = {"LIGHTFAST_API_KEY", "LIGHTFAST_BASE_URL", "LIGHTFAST_WORKSPACE_ID"};

static const char *const origins[] = {"default", "file", "environment", "command line"};
enum origin { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_COMMAND_LINE };

/* Where each value came from, kept beside struct config for config_describe. */
struct loaded {
    struct config config;
    enum origin origin[SETTINGS];
};

static const struct setting *find(struct str key)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (str_eq(key, str_of(settings[i].key))) return &settings[i];
    return NULL;
}

bool config_known(struct str key)
{
    return find(key) != NULL;
}

/* Edit distance, for naming the closest known key. */
static size_t distance(struct str a, struct str b)
{
    size_t row[65];
    if (a.n > 64 || b.n > 64) return 64;
    for (size_t j = 0; j <= b.n; j++) row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t replace = diagonal + (a.s[i - 1] != b.s[j - 1]);
            diagonal = row[j];
            size_t insert = row[j - 1] + 1, drop = row[j] + 1;
            row[j] = replace < insert ? replace : insert;
            if (drop < row[j]) row[j] = drop;
        }
    }
    return row[b.n];
}

static struct err *unknown(struct arena *arena, struct str key, const char *where)
{
    const char *closest = settings[0].key;
    for (size_t i = 1; i < SETTINGS; i++)
        if (distance(key, str_of(settings[i].key)) < distance(key, str_of(closest))) closest = settings[i].key;
    return err_new(arena, ERR_INVALID, "unknown setting " STR_FMT " (%s); did you mean %s?", STR_ARG(key), where,
                   closest);
}

static struct err *wrong(struct arena *arena, const struct setting *setting, const char *expected, struct str value)
{
    if (setting->secret) return err_new(arena, ERR_INVALID, "setting %s: expected %s", setting->key, expected);
    return err_new(arena, ERR_INVALID, "setting %s: expected %s, not \"" STR_FMT "\"", setting->key, expected,
                   STR_ARG(value));
}

/* "512MiB", "2 GB", "1048576" */
static bool parse_bytes(struct str text, int64_t *value)
{
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"", 1},       {"B", 1},         {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
                 {"kB", 1000},  {"MB", 1000000},  {"GB", 1000000000}, {"K", 1 << 10}, {"M", 1 << 20},
                 {"G", 1 << 30}};
    size_t digits = 0;
    while (digits < text.n && text.s[digits] >= '0' && text.s[digits] <= '9') digits++;
    struct str unit = str_trim(str_skip(text, digits));
    if (!str_to_int(str_slice(text, 0, digits), value)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (str_eq_nocase(unit, str_of(units[i].unit)) && *value <= INT64_MAX / units[i].factor) {
            *value *= units[i].factor;
            return true;
        }
    return false;
}

/* "3", "0.25": dollars per million tokens. */
static bool parse_price(struct arena *arena, struct str text, double *value)
{
    enum { LONGEST = 20 };
    if (!text.n || text.n > LONGEST) return false;
    for (size_t i = 0; i < text.n; i++)
        if (!(text.s[i] >= '0' && text.s[i] <= '9') && text.s[i] != '.') return false;
    char *end;
    *value = strtod(str_z(arena, text), &end);
    return *end == 0 && *value <= 1e6;
}

static struct err *set_list(struct arena *arena, struct config *config, const struct setting *setting, struct str value)
{
    struct str *list = (struct str *)((char *)config + setting->at);
    size_t *count = (size_t *)((char *)config + setting->count_at);
    *count = 0;
    for (struct str rest = value, part; str_cut(&rest, ',', &part);) {
        part = str_trim(part);
        if (!part.n) continue;
        if (*count == setting->most)
            return err_new(arena, ERR_INVALID, "setting %s: at most %zu values", setting->key, setting->most);
        list[(*count)++] = str_dup(arena, part);
    }
    return NULL;
}

static bool is_choice(struct str choices, struct str value)
{
    for (struct str choice; str_cut(&choices, ' ', &choice);)
        if (str_eq(choice, value)) return true;
    return false;
}

/* "git.acme.com=github, ...", kept as a list of these. */
static struct err *check_map(struct arena *arena, const struct setting *setting, struct str value)
{
    for (struct str rest = value, part; str_cut(&rest, ',', &part);) {
        struct str name, chosen = str_trim(part);
        if (!chosen.n) continue;
        str_cut(&chosen, '=', &name);
        if (!name.n || str_find_char(name, '/', 0) != SIZE_MAX || !is_choice(str_of(setting->choices), chosen))
            return wrong(arena, setting, str_z(arena, str_printf(arena, "host=provider, provider one of %s", setting->choices)), part);
    }
    return NULL;
}

static bool has_web_host(struct str url)
{
    struct str host = str_starts(url, STR("http://"))    ? str_skip(url, strlen("http://"))
                      : str_starts(url, STR("https://")) ? str_skip(url, strlen("https://"))
                                                         : STR("");
    return host.n && host.s[0] != '/' && host.s[0] != '?' && host.s[0] != '#' && host.s[0] != ':';
}

static struct err *set(struct arena *arena, struct config *config, const struct setting *setting, struct str value)
{
    void *at = (char *)config + setting->at;
    value = str_trim(value);
    switch (setting->type) {
    case MAP: TRY(check_map(arena, setting, value)); return set_list(arena, config, setting, value);
    case LIST: return set_list(arena, config, setting, value);
    case INTEGER:
    case BYTES: {
        int64_t number;
        bool parsed = setting->type == BYTES ? parse_bytes(value, &number) : str_to_int(value, &number);
        if (!parsed) return wrong(arena, setting, setting->type == BYTES ? "a size such as 512MiB" : "a number", value);
        if (number < setting->low || number > setting->high)
            return err_new(arena, ERR_INVALID, "setting %s: %lld is not between %lld and %lld", setting->key,
                           (long long)number, (long long)setting->low, (long long)setting->high);
        *(int64_t *)at = number;
        return NULL;
    }
    case PRICE:
        if (!parse_price(arena, value, at)) return wrong(arena, setting, "a price in USD such as 0.25", value);
        return NULL;
    case BOOLEAN:
        if (!str_eq(value, STR("true")) && !str_eq(value, STR("false"))) return wrong(arena, setting, "true or false", value);
        *(bool *)at = str_eq(value, STR("true"));
        return NULL;
    case CHOICE:
        for (struct str rest = str_of(setting->choices), choice; str_cut(&rest, ' ', &choice);)
            if (str_eq(choice, value)) {
                *(struct str *)at = choice;
                return NULL;
            }
        return wrong(arena, setting, setting->choices, value);
    case URL:
        if (value.n && !has_web_host(value)) return wrong(arena, setting, "an http:// or https:// URL", value);
        while (value.n && value.s[value.n - 1] == '/') value.n--;
        break;
    case TEXT:
        if (value.n && (int64_t)value.n < setting->low) {
            const char *least = str_z(arena, str_printf(arena, "at least %lld characters", (long long)setting->low));
            return wrong(arena, setting, least, value);
        }
        break;
    case PATH: break;
    }
    *(struct str *)at = value.n ? str_dup(arena, value) : STR("");
    return NULL;
}

static struct err *assign(struct arena *arena, struct loaded *loaded, const struct setting *setting, struct str value,
                          enum origin origin)
{
    loaded->origin[setting - settings] = origin;
    return set(arena, &loaded->config, setting, value);
}

/* ---- defaults ---------------------------------------------------------------------------------------------------- */

static struct str default_data_dir(struct arena *arena)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data) return str_printf(arena, "%s/lightfast", data);
    if (geteuid() == 0 || !home || !*home) return STR("/var/lib/lightfast");
    return str_printf(arena, "%s/.local/share/lightfast", home);
}

static struct err *load_defaults(struct arena *arena, struct loaded *loaded)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (settings[i].type != INTEGER && settings[i].type != BYTES)
            TRY(set(arena, &loaded->config, &settings[i], str_of(settings[i].otherwise)));
        else if (*settings[i].otherwise)
            TRY(set(arena, &loaded->config, &settings[i], str_of(settings[i].otherwise)));
    loaded->config.data_dir = default_data_dir(arena);
    loaded->config.workers = 2 * sysconf(_SC_NPROCESSORS_ONLN);
    loaded->config.search_memory_limit = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 4;
    return NULL;
}

/* ---- file -------------------------------------------------------------------------------------------------------- */

static struct err *read_file(struct arena *arena, const char *path, size_t most, struct str *content)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_new(arena, ERR_INVALID, "cannot read %s: %s", path, strerror(errno));
    char *bytes = arena_alloc_raw(arena, most + 1);
    size_t n = 0;
    ssize_t got = 1;
    while (n <= most && (got = read(fd, bytes + n, most + 1 - n)) > 0) n += (size_t)got;
    int why = errno;
    close(fd);
    if (got < 0) return err_new(arena, ERR_INVALID, "cannot read %s: %s", path, strerror(why)); /* a directory */
    if (n > most) return err_new(arena, ERR_INVALID, "%s is larger than %zu bytes", path, most);
    *content = (struct str){bytes, n};
    return NULL;
}

/* A YAML value as the text that a setting takes: lists joined by commas. */
static struct err *text_of(struct arena *arena, struct str key, const json_value *value, struct str *text)
{
    if (json_is_string(value)) {
        *text = json_str(value, "");
        return NULL;
    }
    if (json_is_array(value)) {
        struct buf joined = buf_in(arena);
        for (struct json_iter it = json_iter(value); json_step(&it);) {
            struct str part;
            if (json_is_array(it.value) || json_is_object(it.value))
                return err_new(arena, ERR_INVALID, "setting " STR_FMT ": a list of plain values expected", STR_ARG(key));
            TRY(text_of(arena, key, it.value, &part));
            if (joined.n) buf_char(&joined, ',');
            buf_str_add(&joined, part);
        }
        *text = buf_str(&joined);
        return NULL;
    }
    if (json_is_object(value))
        return err_new(arena, ERR_INVALID, "setting " STR_FMT ": a plain value or a list expected", STR_ARG(key));
    *text = json_is_null(value) ? STR("") : json_text(arena, value);
    return NULL;
}

static struct str map_text(struct arena *arena, const json_value *object)
{
    struct buf joined = buf_in(arena);
    for (struct json_iter it = json_iter(object); json_step(&it);)
        buf_printf(&joined, "%s" STR_FMT "=" STR_FMT, joined.n ? "," : "", STR_ARG(it.key), STR_ARG(json_str(it.value, "")));
    return buf_str(&joined);
}

static struct err *load_members(struct arena *arena, struct loaded *loaded, struct str prefix, const json_value *object)
{
    for (struct json_iter it = json_iter(object); json_step(&it);) {
        struct str key = prefix.n ? str_printf(arena, STR_FMT "." STR_FMT, STR_ARG(prefix), STR_ARG(it.key)) : it.key;
        const struct setting *setting = find(key);
        if (!setting && json_is_object(it.value)) {
            TRY(load_members(arena, loaded, key, it.value));
            continue;
        }
        if (!setting) return unknown(arena, key, "configuration file");
        struct str text;
        if (setting->type == MAP && json_is_object(it.value))
            text = map_text(arena, it.value);
        else
            TRY(text_of(arena, key, it.value, &text));
        TRY(assign(arena, loaded, setting, text, FROM_FILE));
    }
    return NULL;
}

static struct err *load_file(struct arena *arena, struct loaded *loaded, struct str file)
{
    const char *path = str_z(arena, file);
    struct str text;
    const json_value *root;
    TRY(read_file(arena, path, 1 << 20, &text));
    struct err *err = json_parse_yaml(arena, text, &root);
    if (err) return err_wrap(arena, err, "%s", path);
    if (json_is_null(root)) return NULL;
    if (!json_is_object(root)) return err_new(arena, ERR_INVALID, "%s: settings expected, key: value", path);
    return load_members(arena, loaded, STR(""), root);
}

/* ---- environment --------------------------------------------------------------------------------------------------- */

/* "LIGHTFAST_LOG_LEVEL" of "log.level" */
static struct str variable_of(struct arena *arena, const struct setting *setting)
{
    struct str name = str_printf(arena, "LIGHTFAST_%s", setting->key);
    char *s = (char *)name.s;
    for (size_t i = 0; i < name.n; i++) s[i] = s[i] == '.' ? '_' : s[i] >= 'a' && s[i] <= 'z' ? (char)(s[i] - 32) : s[i];
    return name;
}

static bool is_client_variable(struct str name)
{
    for (size_t i = 0; i < sizeof client_variables / sizeof *client_variables; i++)
        if (str_eq(name, str_of(client_variables[i]))) return true;
    return false;
}

static struct err *load_variable(struct arena *arena, struct loaded *loaded, struct str name, struct str value)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        struct str variable = variable_of(arena, &settings[i]);
        if (str_eq(name, variable)) return assign(arena, loaded, &settings[i], value, FROM_ENVIRONMENT);
        if (str_starts(name, variable) && str_eq(str_skip(name, variable.n), STR("_FILE"))) {
            struct str content;
            TRY(read_file(arena, str_z(arena, value), 65536, &content));
            return assign(arena, loaded, &settings[i], content, FROM_ENVIRONMENT);
        }
    }
    struct str key = str_lower(arena, str_skip(name, strlen("LIGHTFAST_")));
    return unknown(arena, key, str_z(arena, str_printf(arena, "environment variable " STR_FMT, STR_ARG(name))));
}

static struct err *load_environment(struct arena *arena, struct loaded *loaded)
{
    for (char **entry = environ; *entry; entry++) {
        struct str rest = str_of(*entry), name;
        str_cut(&rest, '=', &name);
        if (!str_starts(name, STR("LIGHTFAST_")) || is_client_variable(name)) continue;
        TRY(load_variable(arena, loaded, name, rest));
    }
    return NULL;
}

/* ---- all together ---------------------------------------------------------------------------------------------------- */

static struct err *load_options(struct arena *arena, struct loaded *loaded, const struct config_option *options, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct setting *setting = find(options[i].key);
        if (!setting) return unknown(arena, options[i].key, "command line");
        TRY(assign(arena, loaded, setting, options[i].value, FROM_COMMAND_LINE));
    }
    return NULL;
}

struct err *config_load(struct arena *arena, struct str file, const struct config_option *options, size_t n,
                        struct config **config)
{
    struct loaded *loaded = NEW(arena, struct loaded);
    TRY(load_defaults(arena, loaded));
    if (!file.n) {
        /* The default file lies in the data directory, which environment and command line decide. */
        struct loaded probe = *loaded;
        TRY(load_environment(arena, &probe));
        TRY(load_options(arena, &probe, options, n));
        struct str beside = str_printf(arena, STR_FMT "/lightfast.server.yml", STR_ARG(probe.config.data_dir));
        if (access(beside.s, F_OK) == 0) file = beside;
    }
    if (file.n) TRY(load_file(arena, loaded, file));
    TRY(load_environment(arena, loaded));
    TRY(load_options(arena, loaded, options, n));
    *config = &loaded->config;
    return NULL;
}

static struct str value_text(struct arena *arena, const struct config *config, const struct setting *setting)
{
    const void *at = (const char *)config + setting->at;
    if (setting->type == INTEGER || setting->type == BYTES)
        return str_printf(arena, "%lld", (long long)*(const int64_t *)at);
    if (setting->type == PRICE) return str_printf(arena, "%.12g", *(const double *)at);
    if (setting->type == BOOLEAN) return *(const bool *)at ? STR("true") : STR("false");
    if (setting->type == LIST || setting->type == MAP)
        return str_join(arena, at, *(const size_t *)((const char *)config + setting->count_at), STR(", "));
    struct str text = *(const struct str *)at;
    return setting->secret && text.n ? STR("(set)") : text;
}

size_t config_describe(const struct config *config, struct arena *arena, struct config_entry **entries)
{
    const struct loaded *loaded = (const struct loaded *)config; /* config_load made it so */
    *entries = NEW_ARRAY(arena, struct config_entry, SETTINGS);
    for (size_t i = 0; i < SETTINGS; i++)
        (*entries)[i] = (struct config_entry){.key = str_of(settings[i].key),
                                              .value = value_text(arena, config, &settings[i]),
                                              .origin = origins[loaded->origin[i]]};
    return SETTINGS;
}
