/* main.c - the table of commands, and the way to one of them. */
#include "cli/cli.h"

#include "base/time.h"
#include "crypto/crypto.h"
#include "text/text.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

// clang-format off
#define SEARCH_FILTERS \
    {"mode", "MODE", "fast, balanced or thorough (balanced)"}, \
    {"source", "NAME", "only from github, git, linear ... (a,b for several)"}, \
    {"type", "TYPE", "only pull_request, push, release ... (a,b for several)"}, \
    {"actor", "NAME", "only by this person"}, \
    {"since", "DATE|Nd", "not older"}, \
    {"until", "DATE", "not newer"}
#define JOB_FILTERS \
    {{"status", "LIST", "queued, running, completed, failed, cancelled (a,b for several)"}, \
    {"function", "NAME", "only jobs of this function (a,b for several)"}, \
    {"trigger", "NAME", "manual, scheduled, webhook, automatic"}, \
    {"source", "ID", "only jobs of this source"}, \
    {"name", "TEXT", "part of the name"}, \
    {"system", NULL, "the program's own upkeep too"}, \
    {"from", "DATE", "not before"}, \
    {"to", "DATE", "not after"}, \
    {"limit", "N", "1 to 100 (20)"}, \
    {"cursor", "CURSOR", "nextCursor of the page before"}}

const struct cli_command cli_commands[] = {
    {"serve", "", "run the server", "lightfast serve --listen 127.0.0.1:9000", cli_serve, 0, 0},
    {"mcp", "", "serve the memory to an agent over standard input and output",
     "claude mcp add lightfast -- lightfast mcp         # on this machine\n"
     "LIGHTFAST_API_KEY=sk-lf-... lightfast mcp --url https://memory.example.com",
     cli_mcp, 0, 0, true, {{"version", NULL, "version of the program (-v)"}}},
    {"import git", "PATH", "bring in the history of a repository",
     "lightfast import git .                        # this repository, all of it\n"
     "lightfast import git ../api --since 90d       # only the last 90 days\n"
     "lightfast import git mirror.git --repo acme/api --no-tags",
     cli_import_git, 1, 1, true,
     {{"repo", "OWNER/NAME", "name of the repository (default: from its remote)"},
      {"branch", "NAME", "branch to read (default: origin/HEAD, else the current one)"},
      {"rev", "REVISION", "any revision instead of a branch"},
      {"since", "DATE|Nd", "leave out what is older"},
      {"max", "N", "at most the newest N commits"},
      {"first-parent", NULL, "only the mainline"},
      {"no-pr", NULL, "take merges and (#n) subjects for plain commits"},
      {"no-tags", NULL, "no releases"},
      {"stat", NULL, "count added and deleted lines (slow)"},
      {"full", NULL, "read everything again, not only what is new"},
      {"dry-run", NULL, "say what would be imported"}}},
    {"search", "QUERY...", "find observations by meaning and by word",
     "lightfast search why was the session timeout raised\n"
     "lightfast search --type pull_request --since 90d login crash\n"
     "lightfast search --json '\"connection reset\"' | jq '.data[].title'",
     cli_search, 1, -1, true,
     {{"limit", "N", "results, 1 to 100 (10)"},
      {"offset", "N", "skip so many"},
      SEARCH_FILTERS,
      {"collapse", NULL, "one result per pull request or issue"}}},
    {"ask", "QUESTION...", "an answer with its sources, written by a language model if one is configured",
     "lightfast ask why was the session timeout raised\n"
     "lightfast ask --since 30d --source github,linear what broke in the login\n"
     "lightfast ask --session today 'and who fixed it?'          # a follow-up within the hour\n"
     "lightfast ask --json who knows the payment code | jq '.answer.citations[].url'",
     cli_ask_question, 1, -1, true,
     {{"max-sources", "N", "cite at most so many, 1 to 20 (8)"},
      {"session", "NAME", "go on with what was asked under this name"},
      SEARCH_FILTERS}},
    {"similar", "ID|URL", "what resembles an observation", "lightfast similar https://github.com/acme/api/pull/87",
     cli_similar, 1, 1, true,
     {{"limit", "N", "results, 1 to 50 (10)"}, {"threshold", "X", "least score, 0 to 1 (0.5)"},
      {"same-source", NULL, "only from the same source"}}},
    {"related", "ID", "what an observation is linked to", NULL, cli_related, 1, 1, true,
     {{"type", "TYPE", "fixes, deploys, references ... (a,b for several)"}, {"limit", "N", "1 to 200 (100)"}}},
    {"graph", "ID", "the links around an observation", NULL, cli_graph, 1, 1, true,
     {{"depth", "N", "1 to 3 (2)"}, {"type", "TYPE", "only these relations"}, {"limit", "N", "nodes, 1 to 500 (200)"}}},
    {"show", "ID...", "an observation in full", NULL, cli_show, 1, 50, true, {{""}}},
    {"key create", "NAME", "make an API key", "lightfast key create ci --scope read,ingest --expires 2027-01-01",
     cli_key_create, 1, 1, true,
     {{"scope", "LIST", "read, answer, ingest, admin (read,answer)"}, {"expires", "DATE", "end of its life"}}},
    {"key list", "", "the workspace's API keys", NULL, cli_key_list, 0, 0, true, {{""}}},
    {"key revoke", "ID", "end a key now", NULL, cli_key_revoke, 1, 1, true, {{""}}},
    {"key rotate", "ID", "replace a key by a new one of the same name",
     "lightfast key rotate key_V1StGXR8Z5jdHi6B4myT0 --grace 86400", cli_key_rotate, 1, 1, true,
     {{"grace", "SECONDS", "the old key lives on for so long (0)"}, {"expires", "DATE", "end of the new key's life"}}},
    {"key delete", "ID", "forget a key", NULL, cli_key_delete, 1, 1, true, {{""}}},
    {"source add", "PROVIDER", "listen to a repository, project or team: github, vercel, linear, sentry",
     "lightfast source add github --repo acme/api                      # makes a secret\n"
     "lightfast source add github --repo acme/api --secret-stdin < secret.txt",
     cli_source_add, 1, 1, true,
     {{"repo", "OWNER/NAME", "the GitHub repository"},
      {"name", "NAME", "Linear: team key; Sentry: project slug; Vercel: project name"},
      {"resource-id", "ID", "the provider's own id of it"},
      {"events", "LIST", "categories to remember (default: all)"},
      {"secret-stdin", NULL, "read the secret from standard input"},
      {"shared", NULL, "hear the instance's own app too"}}},
    {"source list", "", "what the workspace listens to", NULL, cli_source_list, 0, 0, true, {{""}}},
    {"source set", "ID", "what to remember of a source", "lightfast source set src_V1StGXR8Z5jdHi6B4myT0 --branches 'main,release/*'",
     cli_source_set, 1, 1, true,
     {{"events", "LIST", "push, pull_request, issues ..."}, {"branches", "LIST", "patterns besides the default branch"},
      {"bots", "yes|no", "comments of bots too"}}},
    {"source secret", "ID", "a new secret; the old one is good for a day more", NULL, cli_source_secret, 1, 1, true, {{""}}},
    {"source remove", "ID", "stop listening; what is remembered stays", NULL, cli_source_remove, 1, 1, true,
     {{"delete-data", NULL, "forget what the source has brought, too"}}},
    {"jobs list", "", "what the server works on and worked on, newest first",
     "lightfast jobs list --status failed --from 2026-01-01\nlightfast jobs list --function neural.observation.capture --json",
     cli_jobs_list, 0, 0, true,
     JOB_FILTERS},
    {"jobs show", "ID", "a job and its steps", NULL, cli_jobs_show, 1, 1, true, {{""}}},
    {"jobs cancel", "ID", "stop a job that is queued or running", NULL, cli_jobs_cancel, 1, 1, true, {{""}}},
    {"jobs restart", "ID", "run a finished job again, as a new one", NULL, cli_jobs_restart, 1, 1, true, {{""}}},
    {"jobs resume", "ID", "go on with a failed job at the step that failed", NULL, cli_jobs_resume, 1, 1, true, {{""}}},
    {"jobs", "", "the same as jobs list", NULL, cli_jobs_list, 0, 0, true, JOB_FILTERS},
    {"activity", "", "who did what",
     "lightfast activity --category api_key --from 2026-01-01\nlightfast activity --follow", cli_activity, 0, 0, true,
     {{"follow", NULL, "go on with what is done from now on"},
      {"category", "LIST", "job, api_key, integration, settings ... (a,b for several)"},
      {"group", "NAME", "jobs, connections, integrations, errors"},
      {"source", "LIST", "source types: github, vercel ..."},
      {"action", "NAME", "apikey.created, job.cancelled ..."},
      {"actor", "TYPE", "user, system, webhook, api"},
      {"status", "NAME", "success, failure, in_progress"},
      {"text", "TEXT", "part of a name or e-mail"},
      {"from", "DATE", "not before"},
      {"to", "DATE", "not after"},
      {"limit", "N", "1 to 100 (20)"}}},
    {"inspect event", "FILE|ID", "what would become of a SourceEvent or a provider's payload, or what became of an event",
     "lightfast inspect event event.json\ncat event.json | lightfast inspect event -\n"
     "lightfast inspect event payload.json --from github:pull_request\nlightfast inspect event evt_V1StGXR8Z5jdHi6B4myT0",
     cli_inspect_event, 1, 1, true,
     {{"from", "PROVIDER", "the file is a webhook's payload: github:EVENT, vercel, linear, sentry:RESOURCE"}}},
    {"backup", "FILE", "copy the database while it is in use", NULL, cli_backup, 1, 1, false, {{""}}},
    {"restore", "FILE", "put a backup into an empty data directory", NULL, cli_restore, 1, 1, false, {{""}}},
    {"re-encrypt", "", "seal all stored secrets again with the first key of encryption_key",
     "LIGHTFAST_ENCRYPTION_KEY=NEW,OLD lightfast re-encrypt   # with a server: restart it with both keys first",
     cli_re_encrypt, 0, 0, false, {{""}}},
    {"doctor", "", "check configuration, database, index, embedding", NULL, cli_doctor, 0, 0, false,
     {{"fix", NULL, "repair what is safe to repair"}}},
    {"config check", "", "check the server's settings and show where each comes from", NULL, cli_config_check, 0, 0, false,
     {{"server", NULL, "the server's settings (the default)"}}},
    {"version", "", "version of the program and its database", NULL, cli_version, 0, 0, false, {{""}}},
    {"completion", "bash|zsh|fish", "completion script for a shell",
     "lightfast completion bash > /etc/bash_completion.d/lightfast", cli_completion, 1, 1, false, {{""}}},
    {NULL},
};

static const struct cli_option common_options[] = {
    {"json", NULL, "print JSON"},
    {"data-dir", "DIR", "data directory (LIGHTFAST_DATA_DIR)"},
    {"config", "FILE", "settings file (default: lightfast.server.yml in the data directory)"},
    {"help", NULL, "this text"},
    {""},
};

static const struct cli_option remote_options[] = {
    {"url", "URL", "a server elsewhere (LIGHTFAST_BASE_URL)"},
    {"api-key", "KEY", "its key (LIGHTFAST_API_KEY)"},
    {"workspace", "NAME", "workspace (LIGHTFAST_WORKSPACE_ID)"},
    {""},
};
// clang-format on

static const struct cli_option *option_in(const struct cli_option *options, struct str name)
{
    for (; options->name && *options->name; options++)
        if (str_eq(name, str_of(options->name))) return options;
    return NULL;
}

bool cli_has(const struct cli *cli, const char *option)
{
    return cli_value(cli, option).s != NULL;
}

struct str cli_value(const struct cli *cli, const char *option)
{
    for (size_t i = cli->given_count; i-- > 0;)
        if (str_eq(cli->given[i].key, str_of(option))) return cli->given[i].value;
    return (struct str){0};
}

bool cli_number(const struct cli *cli, const char *option, int64_t low, int64_t high, int64_t *value)
{
    struct str given = cli_value(cli, option);
    if (!given.s) return true;
    if (str_to_int(given, value) && *value >= low && *value <= high) return true;
    cli_usage(cli, "--%s takes a number from %lld to %lld", option, (long long)low, (long long)high);
    return false;
}

bool cli_since(struct str text, int64_t *ms)
{
    int64_t days;
    if (str_ends(text, STR("d")) && str_to_int(str_slice(text, 0, text.n - 1), &days) && days > 0 && days < 100000) {
        *ms = time_now() - DAYS(days);
        return true;
    }
    return time_parse(text, ms);
}

int cli_fail(const struct cli *cli, const struct err *err)
{
    struct str text = err_text(cli->arena, err);
    fprintf(stderr, "lightfast: " STR_FMT "\n", STR_ARG(text));
    return CLI_FAILED;
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = str_vprintf(cli->arena, format, args);
    va_end(args);
    fprintf(stderr, "lightfast: " STR_FMT "\n", STR_ARG(text));
    if (cli->command) fprintf(stderr, "See: lightfast %s --help\n", cli->command->name);
    return CLI_USAGE;
}

/* ---- help ---------------------------------------------------------------------------------------------------------- */

static void print_options(const struct cli_option *options)
{
    for (; options->name && *options->name; options++) {
        char left[48];
        snprintf(left, sizeof left, "--%s%s%s", options->name, options->value ? " " : "",
                 options->value ? options->value : "");
        printf("  %-24s %s\n", left, options->help);
    }
}

static int print_help(const struct cli_command *command)
{
    if (command) {
        printf("lightfast %s%s%s - %s\n\n", command->name, *command->arguments ? " " : "", command->arguments,
               command->summary);
        if (command->examples) {
            for (struct str rest = str_of(command->examples), line; str_cut(&rest, '\n', &line);)
                printf("  " STR_FMT "\n", STR_ARG(line));
            putchar('\n');
        }
        print_options(command->options);
        if (command->remote) print_options(remote_options);
        print_options(common_options);
        return CLI_OK;
    }
    puts("Lightfast: the engineering memory of a team, in one program.\n");
    for (command = cli_commands; command->name; command++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", command->name, command->arguments);
        printf("  %-24s %s\n", left, command->summary);
    }
    puts("\nlightfast COMMAND --help tells more. Any setting can be given as an option: --listen 127.0.0.1:9000.\n"
         "\nFirst steps:\n"
         "  lightfast import git .                 # remember this repository\n"
         "  lightfast search what changed in login # ask\n"
         "  lightfast serve                        # answer over HTTP");
    return CLI_OK;
}

/* "lightfast key": the commands that begin with that word. */
static bool print_group(FILE *out, struct str word)
{
    bool any = false;
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        struct str rest = str_of(command->name), first;
        if (!str_cut(&rest, ' ', &first) || !rest.s || !str_eq(first, word)) continue;
        if (!any) fprintf(out, "lightfast " STR_FMT " is one of these:\n", STR_ARG(word));
        fprintf(out, "  %s%s%s - %s\n", command->name, *command->arguments ? " " : "", command->arguments, command->summary);
        any = true;
    }
    return any;
}

/* ---- arguments ------------------------------------------------------------------------------------------------------ */

/* Finds the command that argv begins with; *used says how many words its name has. */
static const struct cli_command *find_command(int argc, char **argv, int *used)
{
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        struct str rest = str_of(command->name), word;
        int n = 0;
        while (n < argc && rest.s && str_cut(&rest, ' ', &word) && str_eq(word, str_of(argv[n]))) n++;
        if (!rest.s && n > 0 && str_ends(str_of(command->name), str_of(argv[n - 1]))) {
            struct str check = str_of(command->name), last = {0};
            int words = 0;
            while (str_cut(&check, ' ', &last)) words++;
            if (n != words) continue;
            *used = n;
            return command;
        }
    }
    return NULL;
}

/* "data-dir" -> "data_dir", "log.level" as it is: the name of a setting */
static struct str setting_name(struct arena *arena, struct str option)
{
    struct str name = str_dup(arena, option);
    for (size_t i = 0; i < name.n; i++)
        if (name.s[i] == '-') ((char *)name.s)[i] = '_';
    return name;
}

static int keep_option(struct cli *cli, struct str name, struct str value)
{
    if (cli->given_count == sizeof cli->given / sizeof *cli->given) return cli_usage(cli, "too many options");
    cli->given[cli->given_count++] = (struct config_option){name, value};
    return CLI_OK;
}

static int take_option(struct cli *cli, struct str name, struct str value, bool has_value, int argc, char **argv, int *i)
{
    const struct cli_option *option = option_in(cli->command->options, name);
    if (str_eq(name, STR("base-url"))) name = STR("url");
    if (!option && cli->command->remote) option = option_in(remote_options, name);
    if (!option) option = option_in(common_options, name);
    struct str setting = setting_name(cli->arena, name);
    bool is_setting = !option || str_eq(name, STR("data-dir"));
    if (!option && !config_known(setting)) return cli_usage(cli, "unknown option --" STR_FMT, STR_ARG(name));
    if (option && !option->value) {
        if (has_value) return cli_usage(cli, "--" STR_FMT " takes no value", STR_ARG(name));
        value = STR("1");
    } else if (!has_value) {
        if (*i + 1 >= argc) return cli_usage(cli, "--" STR_FMT " needs a value", STR_ARG(name));
        value = str_of(argv[++*i]);
    }
    if (!is_setting) return keep_option(cli, name, value);
    if (cli->setting_count == sizeof cli->settings / sizeof *cli->settings) return cli_usage(cli, "too many options");
    cli->settings[cli->setting_count++] = (struct config_option){setting, value};
    return CLI_OK;
}

static int read_arguments(struct cli *cli, int argc, char **argv)
{
    bool only_positional = false;
    for (int i = 0; i < argc; i++) {
        struct str word = str_of(argv[i]);
        if (!only_positional && str_eq(word, STR("--"))) {
            only_positional = true;
        } else if (!only_positional && str_eq(word, STR("-h"))) {
            int status = keep_option(cli, STR("help"), STR("1"));
            if (status) return status;
        } else if (!only_positional && str_eq(word, STR("-v")) && option_in(cli->command->options, STR("version"))) {
            int status = keep_option(cli, STR("version"), STR("1"));
            if (status) return status;
        } else if (!only_positional && str_starts(word, STR("--"))) {
            struct str rest = str_skip(word, 2), name;
            str_cut(&rest, '=', &name);
            int status = take_option(cli, name, rest, rest.s != NULL, argc, argv, &i);
            if (status) return status;
        } else {
            if (cli->count == (int)(sizeof cli->positional / sizeof *cli->positional))
                return cli_usage(cli, "too many arguments");
            cli->positional[cli->count++] = word;
        }
    }
    if (cli_has(cli, "help")) return CLI_OK;
    for (int i = 0; i < cli->command->least; i++)
        if (i == cli->count || cli->positional[i].n == 0) return cli_usage(cli, "%s is missing", cli->command->arguments);
    if (cli->command->most >= 0 && cli->count > cli->command->most)
        return cli_usage(cli, "unexpected argument " STR_FMT, STR_ARG(cli->positional[cli->command->most]));
    return CLI_OK;
}

static int run(struct arena *arena, int argc, char **argv)
{
    struct cli cli = {.arena = arena, .terminal = isatty(STDOUT_FILENO)};
    if (argc == 0 || str_eq(str_of(argv[0]), STR("--help")) || str_eq(str_of(argv[0]), STR("-h")) ||
        (str_eq(str_of(argv[0]), STR("help")) && argc == 1))
        return print_help(NULL);
    if (str_eq(str_of(argv[0]), STR("--version")) || str_eq(str_of(argv[0]), STR("-v"))) argv[0] = (char *)"version";
    int words = 0;
    bool asked_help = str_eq(str_of(argv[0]), STR("help"));
    cli.command = find_command(argc - asked_help, argv + asked_help, &words);
    if (!cli.command) {
        bool help = asked_help || (argc > 1 && (str_eq(str_of(argv[1]), STR("--help")) || str_eq(str_of(argv[1]), STR("-h"))));
        if (print_group(help ? stdout : stderr, str_of(argv[asked_help]))) return help ? CLI_OK : CLI_USAGE;
        fprintf(stderr, "lightfast: unknown command %s\nSee: lightfast --help\n", argv[asked_help]);
        return CLI_USAGE;
    }
    if (asked_help) return print_help(cli.command);
    int status = read_arguments(&cli, argc - words, argv + words);
    if (status) return status;
    if (cli_has(&cli, "help")) return print_help(cli.command);
    const char *term = getenv("TERM");
    cli.json = cli_has(&cli, "json");
    cli.config_file = cli_has(&cli, "config") ? cli_value(&cli, "config") : STR("");
    cli.color = cli.terminal && !getenv("NO_COLOR") && !(term && strcmp(term, "dumb") == 0);
    return cli.command->run(&cli);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    crypto_start();
    text_start();
    struct arena *arena = arena_create();
    int status = run(arena, argc - 1, argv + 1);
    arena_destroy(arena);
    if (fflush(stdout) != 0 && status == CLI_OK) status = CLI_FAILED;
    return status;
}
