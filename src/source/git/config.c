/* config.c - the two facts wanted from a repository's config file, and what a remote's url says about its name.
 *
 * libgit2 would follow include.path to any file of the machine, so it is given an empty configuration (repository.c)
 * and the file is looked through here. Only "url" of a remote and "objectformat" are understood, nothing is acted upon.
 */
#include "source/git/inside.h"

#include "base/utf8.h"

enum { MAX_NAME = 150 };

struct setting {
    struct str section, subsection, key, value;
};

/* [section "subsection"]; what follows the bracket on the same line is not looked at. */
static void section_header(struct str line, struct setting *setting)
{
    struct str inner = str_slice(line, 1, str_find_char(line, ']', 0));
    size_t     quote = str_find_char(inner, '"', 0);
    setting->section = str_trim(str_slice(inner, 0, quote));
    setting->subsection = (struct str){0};
    if (quote == SIZE_MAX) return;
    struct str rest = str_skip(inner, quote + 1);
    setting->subsection = str_slice(rest, 0, str_find_char(rest, '"', 0));
}

static struct str setting_value(struct str text)
{
    text = str_trim(text);
    if (str_starts(text, STR("\""))) {
        text = str_skip(text, 1);
        return str_slice(text, 0, str_find_char(text, '"', 0));
    }
    for (size_t i = 0; i + 1 < text.n; i++)
        if ((text.s[i] == ' ' || text.s[i] == '\t') && (text.s[i + 1] == '#' || text.s[i + 1] == ';'))
            return str_trim(str_slice(text, 0, i));
    return text;
}

/* The next key of the file; setting keeps the section between calls. */
static bool next_setting(struct str *rest, struct setting *setting)
{
    for (struct str line; str_cut(rest, '\n', &line);) {
        line = str_trim(line);
        if (!line.n || line.s[0] == '#' || line.s[0] == ';') continue;
        if (line.s[0] == '[') {
            section_header(line, setting);
            continue;
        }
        setting->value = line;
        str_cut(&setting->value, '=', &setting->key);
        setting->key = str_trim(setting->key);
        setting->value = setting_value(setting->value);
        return true;
    }
    return false;
}

struct str config_remote_url(struct arena *arena, struct str config)
{
    struct setting setting = {0};
    struct str     only = {0}, name = {0};
    size_t         remotes = 0;
    while (next_setting(&config, &setting)) {
        bool is_url = str_eq_nocase(setting.section, STR("remote")) && str_eq_nocase(setting.key, STR("url"));
        if (!is_url || !setting.value.n) continue;
        if (str_eq(setting.subsection, STR("origin"))) return str_dup(arena, setting.value);
        if (!remotes || !str_eq(name, setting.subsection)) remotes++, only = setting.value;
        name = setting.subsection;
    }
    return remotes == 1 ? str_dup(arena, only) : (struct str){0};
}

bool config_is_sha256(struct str config)
{
    struct setting setting = {0};
    while (next_setting(&config, &setting))
        if (str_eq_nocase(setting.section, STR("extensions")) && str_eq_nocase(setting.key, STR("objectformat")))
            return str_eq_nocase(setting.value, STR("sha256"));
    return false;
}

/* ---- urls -------------------------------------------------------------------------------------------------------- */

/* Host without credentials and port, and the path, of "scheme://user@host:port/path" or "user@host:path". */
static bool split_url(struct str url, struct str *host, struct str *path)
{
    size_t scheme = str_find(url, STR("://"), 0);
    if (scheme != SIZE_MAX) {
        if (str_starts_nocase(url, STR("file:"))) return false;
        *path = str_skip(url, scheme + 3);
        if (!str_cut(path, '/', host)) return false;
    } else {
        size_t colon = str_find_char(url, ':', 0);
        if (colon == SIZE_MAX || colon < 2 || str_find_char(str_slice(url, 0, colon), '/', 0) != SIZE_MAX) return false;
        *host = str_slice(url, 0, colon);
        *path = str_skip(url, colon + 1);
    }
    for (size_t at; (at = str_find_char(*host, '@', 0)) != SIZE_MAX;) *host = str_skip(*host, at + 1);
    *host = str_slice(*host, 0, str_find_char(*host, ':', 0));
    return host->n > 0 && path->n > 0;
}

static struct str web_host(struct str web_url)
{
    struct str host, path, with_path = web_url;
    size_t     scheme = str_find(with_path, STR("://"), 0);
    if (scheme != SIZE_MAX) with_path = str_skip(with_path, scheme + 3);
    path = with_path;
    return str_cut(&path, '/', &host) ? str_slice(host, 0, str_find_char(host, ':', 0)) : (struct str){0};
}

static bool is_github(struct arena *arena, struct str host, struct str github)
{
    return github.n &&
           (str_eq_nocase(host, github) || str_eq_nocase(host, str_printf(arena, "www." STR_FMT, STR_ARG(github))) ||
            str_eq_nocase(host, str_printf(arena, "ssh." STR_FMT, STR_ARG(github))));
}

static struct str plain_path(struct arena *arena, struct str path)
{
    path = str_slice(path, 0, str_find_char(path, '?', 0));
    path = str_slice(path, 0, str_find_char(path, '#', 0));
    while (path.n && path.s[0] == '/') path = str_skip(path, 1);
    while (path.n && path.s[path.n - 1] == '/') path.n--;
    if (str_ends(path, STR(".git"))) path.n -= 4;
    return utf8_head(str_trim(utf8_repair(arena, path)), MAX_NAME);
}

bool remote_name(struct arena *arena, struct str url, struct str web_url, struct git_remote_name *name)
{
    struct str host, path;
    *name = (struct git_remote_name){0};
    if (!split_url(str_trim(url), &host, &path)) return false;
    path = plain_path(arena, path);
    if (!path.n) return false;
    name->host = utf8_head(utf8_repair(arena, str_lower(arena, host)), MAX_NAME);
    size_t slash = str_find_char(path, '/', 0);
    bool   owner_and_name = slash != SIZE_MAX && str_find_char(path, '/', slash + 1) == SIZE_MAX;
    if (is_github(arena, host, web_host(web_url)) && owner_and_name) {
        name->github = true;
        name->host = str_lower(arena, web_host(web_url));
        name->repo = str_dup(arena, path);
    } else {
        name->repo = str_printf(arena, STR_FMT "/" STR_FMT, STR_ARG(name->host), STR_ARG(path));
    }
    return true;
}
