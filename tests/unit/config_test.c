#include "check.h"
#include "directory.h"

#include "config/config.h"

#include <stdlib.h>
#include <unistd.h>

/* Load with a file of the given content in a fresh data directory. */
static struct err *load(struct arena *arena, const char *yaml, const struct config_option *options, size_t n,
                        struct config **config)
{
    char dir[DIRECTORY_PATH];
    directory_make(dir);
    const char *file = str_printf(arena, "%s/lightfast.server.yml", dir).s;
    FILE *out = fopen(file, "w");
    fputs(yaml, out);
    fclose(out);
    setenv("LIGHTFAST_DATA_DIR", dir, 1);
    struct err *err = config_load(arena, STR(""), options, n, config);
    unsetenv("LIGHTFAST_DATA_DIR");
    directory_remove(dir);
    return err;
}

TEST(config, defaults_are_those_of_the_specification)
{
    struct config *config;
    check_ok(load(arena, "", NULL, 0, &config));
    check_int(config->listen_count, 1);
    check_str(config->listen[0], "127.0.0.1:8080");
    check_int(config->limit_search, 120);
    check_int(config->shutdown_grace_ms, 500);
    check_str(config->embedding_provider, "builtin");
    check(config->workers >= 2);
}

TEST(config, command_line_wins_over_environment_over_file)
{
    struct config *config;
    struct config_option option = {STR("log.level"), STR("error")};
    setenv("LIGHTFAST_LIMITS_READ_PER_MINUTE", "7", 1);
    setenv("LIGHTFAST_LOG_LEVEL", "warn", 1);
    struct err *err = load(arena, "log: {level: debug, format: json}\nlimits:\n  read_per_minute: 5\n  search_per_minute: 6\n",
                           &option, 1, &config);
    unsetenv("LIGHTFAST_LIMITS_READ_PER_MINUTE");
    unsetenv("LIGHTFAST_LOG_LEVEL");
    check_ok(err);
    check_str(config->log_level, "error");
    check_str(config->log_format, "json");
    check_int(config->limit_read, 7);
    check_int(config->limit_search, 6);
}

TEST(config, lists_are_read_from_yaml_and_from_commas)
{
    struct config *config;
    struct config_option option = {STR("trusted_proxies"), STR("10.0.0.0/8, 192.168.0.1/32")};
    check_ok(load(arena, "listen: ['127.0.0.1:1', '[::1]:2']\n", &option, 1, &config));
    check_int(config->listen_count, 2);
    check_str(config->listen[1], "[::1]:2");
    check_str(config->trusted_proxies[1], "192.168.0.1/32");
}

TEST(config, unknown_key_names_the_closest_known_one)
{
    struct config *config;
    struct err *err = load(arena, "serch:\n  memory_limit: 1GiB\n", NULL, 0, &config);
    check_err(err, ERR_INVALID);
    check(mentions(err->message, "serch.memory_limit"));
    check(mentions(err->message, "did you mean search.memory_limit?"));
    setenv("LIGHTFAST_LOG_LEVLE", "info", 1);
    err = load(arena, "", NULL, 0, &config);
    unsetenv("LIGHTFAST_LOG_LEVLE");
    check_err(err, ERR_INVALID);
}

TEST(config, wrong_values_are_refused_with_what_was_expected)
{
    static const char *const wrong[] = {"log: {level: loud}", "workers: many", "workers: 0", "public_url: ftp://x",
                                        "public_url: 'http://'", "listen: {a: b}", "log.level: {a: b}",
                                        "search: {url_hosts: {git.acme.com: gitea}}", "search: {url_hosts: {'https://x': github}}",
                                        "search: {url_hosts: github}",
                                        "search: {memory_limit: lots}", "just text", "a: [", "log: &a {level: info}\nx: *a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct config *config;
        check_err(load(arena, wrong[i], NULL, 0, &config), ERR_INVALID);
    }
}

TEST(config, the_secret_of_the_github_app_is_long)
{
    struct config *config;
    struct err    *err = load(arena, "github: {webhook_secret: one-that-can-be-guessed}", NULL, 0, &config);
    check_err(err, ERR_INVALID);
    check_str(err->message, "setting github.webhook_secret: expected at least 32 characters");
    check_ok(load(arena, "github: {webhook_secret: 0123456789abcdef0123456789abcdef}", NULL, 0, &config));
}

TEST(config, hosts_of_self_hosted_providers_are_a_map)
{
    struct config *config;
    check_ok(load(arena, "search:\n  url_hosts:\n    git.acme.com: github\n    errors.acme.com: sentry\n", NULL, 0, &config));
    check_int(config->search_url_host_count, 2);
    check_str(config->search_url_hosts[0], "git.acme.com=github");
    check_str(config->search_url_hosts[1], "errors.acme.com=sentry");
}

TEST(config, a_file_that_was_named_must_be_readable)
{
    struct config *config;
    check_err(config_load(arena, STR("/tmp"), NULL, 0, &config), ERR_INVALID); /* opens, but cannot be read */
    check_err(config_load(arena, STR("/tmp/no/such/file"), NULL, 0, &config), ERR_INVALID);
}

TEST(config, sizes_have_units)
{
    struct config *config;
    check_ok(load(arena, "search: {memory_limit: 512 MiB}", NULL, 0, &config));
    check_int(config->search_memory_limit, 512LL << 20);
}

TEST(config, secrets_are_described_but_not_shown)
{
    struct config *config;
    check_ok(load(arena, "metrics: {token: very-secret}", NULL, 0, &config));
    struct config_entry *entries;
    size_t n = config_describe(config, arena, &entries);
    bool seen = false;
    for (size_t i = 0; i < n; i++) {
        check(!mentions(entries[i].value, "very-secret"));
        if (!str_eq(entries[i].key, STR("metrics.token"))) continue;
        check_str(entries[i].value, "(set)");
        assert_string_equal(entries[i].origin, "file");
        seen = true;
    }
    check(seen);
}

TEST(config, secret_from_a_file)
{
    struct config *config;
    char dir[DIRECTORY_PATH];
    directory_make(dir);
    const char *path = str_z(arena, str_printf(arena, "%s/secret", dir));
    FILE *out = fopen(path, "w");
    fputs("from-file\n", out);
    fclose(out);
    setenv("LIGHTFAST_METRICS_TOKEN_FILE", path, 1);
    struct err *err = load(arena, "", NULL, 0, &config);
    unsetenv("LIGHTFAST_METRICS_TOKEN_FILE");
    directory_remove(dir);
    check_ok(err);
    check_str(config->metrics_token, "from-file");
}

TEST(config, language_models_are_off_and_have_the_defaults_of_the_specification)
{
    struct config *config;
    check_ok(load(arena, "", NULL, 0, &config));
    check_str(config->llm_provider, "none");
    check_int(config->llm_max_output_tokens, 1024);
    check_int(config->llm_timeout_seconds, 20);
    check_near(config->llm_price_input, 0, 0);
}

TEST(config, language_models_have_a_model_for_each_task_and_prices)
{
    struct config *config;
    check_ok(load(arena, "llm:\n  provider: anthropic\n  api_key: k\n  models: {default: small, answer: large}\n"
                         "  prices: {input: 0.25, output: 15}\n", NULL, 0, &config));
    check_str(config->llm_model_default, "small");
    check_str(config->llm_model_answer, "large");
    check_str(config->llm_model_rerank, "");
    check_near(config->llm_price_input, 0.25, 1e-12);
    check_near(config->llm_price_output, 15, 1e-12);
}

TEST(config, prices_are_plain_numbers)
{
    static const char *const wrong[] = {"llm: {prices: {input: -1}}", "llm: {prices: {input: free}}",
                                        "llm: {prices: {input: 1e400}}", "llm: {prices: {input: 1.2.3}}",
                                        "llm: {prices: {input: nan}}", "llm: {prices: {input: ''}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct config *config;
        check_err(load(arena, wrong[i], NULL, 0, &config), ERR_INVALID);
    }
}

TEST(config, keys_of_models_and_encryption_are_not_shown)
{
    struct config *config;
    struct config_entry *entries;
    check_ok(load(arena, "llm: {api_key: very-secret}\nencryption_key: very-secret\n", NULL, 0, &config));
    check_str(config->encryption_key, "very-secret");
    size_t n = config_describe(config, arena, &entries);
    for (size_t i = 0; i < n; i++) check(!mentions(entries[i].value, "very-secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(config, defaults_are_those_of_the_specification),
        RUN(config, command_line_wins_over_environment_over_file),
        RUN(config, lists_are_read_from_yaml_and_from_commas),
        RUN(config, unknown_key_names_the_closest_known_one),
        RUN(config, wrong_values_are_refused_with_what_was_expected),
        RUN(config, the_secret_of_the_github_app_is_long),
        RUN(config, hosts_of_self_hosted_providers_are_a_map),
        RUN(config, a_file_that_was_named_must_be_readable),
        RUN(config, sizes_have_units),
        RUN(config, secrets_are_described_but_not_shown),
        RUN(config, secret_from_a_file),
        RUN(config, language_models_are_off_and_have_the_defaults_of_the_specification),
        RUN(config, language_models_have_a_model_for_each_task_and_prices),
        RUN(config, prices_are_plain_numbers),
        RUN(config, keys_of_models_and_encryption_are_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
