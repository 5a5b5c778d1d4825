/* admin.c - backup, restore, re-encrypt, doctor, settings, version, completion. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* The server resolves paths from its own directory, so it gets absolute ones. */
static struct err *absolute(struct cli *cli, struct str path, struct str *out)
{
    char here[PATH_MAX];
    if (path.n && path.s[0] == '/') {
        *out = path;
        return NULL;
    }
    if (!getcwd(here, sizeof here)) return err_new(cli->arena, ERR_INTERNAL, "no working directory: %s", strerror(errno));
    *out = str_printf(cli->arena, "%s/" STR_FMT, here, STR_ARG(path));
    return NULL;
}

int cli_backup(struct cli *cli)
{
    struct str file;
    const json_value *reply;
    struct err *err = absolute(cli, cli->positional[0], &file);
    if (err) return cli_fail(cli, err);
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "file", file);
    json_end(&out);
    err = cli_post(cli, "/v1/admin/backup", json_out_text(&out), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json)
        cli_print_json(cli, reply);
    else
        printf("Backed up %lld bytes to " STR_FMT "\n"
               "The encryption key is not in it: keep a copy of encryption.key (or encryption_key) in another place.\n",
               (long long)json_int(reply, "bytes", 0), STR_ARG(file));
    return CLI_OK;
}

static void print_key(const struct cli *cli, const json_value *key)
{
    int64_t secrets = json_int(key, "secrets", 0);
    bool    encrypts = json_bool(key, "encrypts", false);
    fputs("  key ", stdout);
    cli_text(cli, CLI_ACCENT, json_str(key, "id"));
    if (encrypts) printf("  encrypts, %lld secrets\n", (long long)secrets);
    else if (secrets) printf("  still needed for %lld secrets\n", (long long)secrets);
    else puts("  unused: it may be dropped from encryption_key");
}

int cli_re_encrypt(struct cli *cli)
{
    const json_value *reply;
    struct err *err = cli_post(cli, "/v1/admin/re-encrypt", STR("{}"), &reply);
    if (err) return cli_fail(cli, err);
    int64_t closed = json_int(reply, "closed", 0);
    if (cli->json) {
        cli_print_json(cli, reply);
        return closed ? CLI_FAILED : CLI_OK;
    }
    printf("Sealed again: %lld, sealed with the first key before: %lld\n", (long long)json_int(reply, "sealedAgain", 0),
           (long long)json_int(reply, "current", 0));
    for (struct json_iter it = json_iter(json_get(reply, "keys")); json_step(&it);) print_key(cli, it.value);
    if (!closed) return CLI_OK;
    fprintf(stderr, "lightfast: %lld secrets are sealed with a key that encryption_key does not list\n", (long long)closed);
    return CLI_FAILED;
}

int cli_restore(struct cli *cli)
{
    struct config *config;
    struct db_lock *lock = NULL;
    struct err *err = cli_config(cli, &config);
    if (!err) err = db_lock_directory(cli->arena, config->data_dir, &lock);
    if (!err) err = db_restore(cli->arena, cli->positional[0], config->data_dir);
    if (lock) db_unlock_directory(lock);
    if (err) return cli_fail(cli, err);
    if (cli->json)
        puts("{\"restored\":true}");
    else
        printf("Restored into " STR_FMT "\n", STR_ARG(config->data_dir));
    return CLI_OK;
}

int cli_doctor(struct cli *cli)
{
    const json_value *reply;
    struct err *err = cli_post(cli, "/v1/admin/doctor", cli_has(cli, "fix") ? STR("{\"fix\":true}") : STR("{}"), &reply);
    if (err) return cli_fail(cli, err);
    if (cli->json) cli_print_json(cli, reply);
    int status = CLI_OK;
    for (struct json_iter it = json_iter(json_get(reply, "checks")); json_step(&it);) {
        struct str result = json_str(it.value, "status");
        bool bad = str_eq(result, STR("failed"));
        if (bad) status = CLI_FAILED;
        if (cli->json) continue;
        cli_text(cli, bad ? CLI_BAD : str_eq(result, STR("ok")) ? CLI_GOOD : CLI_MARK,
                 str_printf(cli->arena, "%-9.*s", STR_ARG(result)));
        printf("%-15.*s ", STR_ARG(json_str(it.value, "name")));
        cli_text(cli, CLI_PLAIN, json_str(it.value, "detail"));
        putchar('\n');
    }
    return status;
}

int cli_config_check(struct cli *cli)
{
    struct config *config;
    struct config_entry *entries;
    struct err *err = cli_config(cli, &config);
    if (err) return cli_fail(cli, err);
    size_t n = config_describe(config, cli->arena, &entries);
    struct json_out out = json_out(cli->arena);
    json_begin(&out, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        json_begin(&out, NULL, '{');
        json_put(&out, "key", entries[i].key);
        json_put(&out, "value", entries[i].value);
        json_put(&out, "origin", entries[i].origin);
        json_end(&out);
        if (!cli->json)
            printf("%-34.*s %-32.*s %s\n", STR_ARG(entries[i].key), STR_ARG(entries[i].value), entries[i].origin);
    }
    json_end(&out);
    const json_value *list;
    if (cli->json && json_parse(cli->arena, json_out_text(&out), &list) == NULL) cli_print_json(cli, list);
    return CLI_OK;
}

int cli_version(struct cli *cli)
{
    if (cli->json)
        printf("{\"version\":\"%s\",\"schema\":%d}\n", LIGHTFAST_VERSION, db_schema_version());
    else
        printf("lightfast %s (database version %d)\n", LIGHTFAST_VERSION, db_schema_version());
    return CLI_OK;
}

/* ---- completion -------------------------------------------------------------------------------------------------------- */

/* The first words of all commands, or the second words of those that begin with `first`. */
static void print_words(const char *first)
{
    struct str seen[32];
    size_t n = 0;
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        struct str rest = str_of(command->name), word;
        str_cut(&rest, ' ', &word);
        if (first && !(str_eq(word, str_of(first)) && str_cut(&rest, ' ', &word))) continue;
        bool known = false;
        for (size_t i = 0; i < n; i++) known |= str_eq(seen[i], word);
        if (known) continue;
        seen[n++] = word;
        printf(STR_FMT " ", STR_ARG(word));
    }
}

static void print_option_words(const struct cli_command *command)
{
    for (const struct cli_option *option = command->options; option->name && *option->name; option++)
        printf("--%s ", option->name);
    if (command->remote) fputs("--url --api-key --workspace ", stdout);
    fputs("--json --data-dir --config --help", stdout);
}

/* case branches of a shell script: the options of each command, the second words of those with two. */
static void print_cases(const char *variable)
{
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        printf("    \"%s \"*) %s=\"", command->name, variable);
        print_option_words(command);
        puts("\" ;;");
    }
    static const char *const groups[] = {"import", "key", "inspect", "config"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        printf("    \"%s \"*) %s=\"", groups[i], variable);
        print_words(groups[i]);
        puts("\" ;;");
    }
}

static void print_bash(void)
{
    puts("_lightfast() {\n"
         "    local current=\"${COMP_WORDS[COMP_CWORD]}\" line=\"${COMP_WORDS[1]} ${COMP_WORDS[2]} \" words=\"\"");
    fputs("    if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"", stdout);
    print_words(NULL);
    puts("\"; else case \"$line\" in");
    print_cases("words");
    puts("    esac; fi\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\") $(compgen -f -- \"$current\"))\n"
         "}\n"
         "complete -o filenames -F _lightfast lightfast");
}

static void print_zsh(void)
{
    puts("#compdef lightfast\n_lightfast() {\n    local line=\"${words[2]} ${words[3]} \" list=\"\"");
    fputs("    if (( CURRENT == 2 )); then list=\"", stdout);
    print_words(NULL);
    puts("\"; else case \"$line\" in");
    print_cases("list");
    puts("    esac; fi\n    compadd -- ${=list}\n    _files\n}\ncompdef _lightfast lightfast");
}

/* The end of a line of fish: a description between quotation marks. */
static void print_description(const char *text)
{
    fputs(" -d '", stdout);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') putchar('\\');
        putchar(*text);
    }
    puts("'");
}

static void print_fish(void)
{
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        struct str rest = str_of(command->name), first, second = {0};
        str_cut(&rest, ' ', &first);
        if (str_cut(&rest, ' ', &second))
            printf("complete -c lightfast -n '__fish_seen_subcommand_from " STR_FMT "' -a " STR_FMT, STR_ARG(first),
                   STR_ARG(second));
        else
            printf("complete -c lightfast -n __fish_use_subcommand -a " STR_FMT, STR_ARG(first));
        print_description(command->summary);
        for (const struct cli_option *option = command->options; option->name && *option->name; option++) {
            printf("complete -c lightfast -n '__fish_seen_subcommand_from " STR_FMT "' -l %s%s",
                   STR_ARG(second.s ? second : first), option->name, option->value ? " -r" : "");
            print_description(option->help);
        }
    }
    puts("complete -c lightfast -n __fish_use_subcommand -a 'import key inspect config'");
}

int cli_completion(struct cli *cli)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (str_eq(cli->positional[0], str_of(shells[i].shell))) {
            shells[i].print();
            return CLI_OK;
        }
    return cli_usage(cli, "completion for bash, zsh or fish, not " STR_FMT, STR_ARG(cli->positional[0]));
}
