/* url.c - which observation a web address means (spec/search-api.md 5). */
#include "search/parts.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdlib.h>

enum { MAX_PARTS = 16, MAX_SPELLINGS = 4, MAX_URL = 2048 };

struct address {
    struct str host;             /* lower case, without "www." */
    struct str site;             /* the provider's own host that it stands for; the host itself if for none */
    struct str path;             /* decoded, without query, fragment and slash at the end */
    struct str part[MAX_PARTS];  /* of the path */
    size_t     parts;
};

static struct str percent_decoded(struct arena *arena, struct str text)
{
    char  *out = arena_alloc_raw(arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char hex[3] = {0};
        if (text.s[i] == '%' && i + 2 < text.n && isxdigit((unsigned char)text.s[i + 1]) &&
            isxdigit((unsigned char)text.s[i + 2])) {
            memcpy(hex, text.s + i + 1, 2);
            int byte = (int)strtol(hex, NULL, 16);
            if (byte) {
                out[n++] = (char)byte;
                i += 2;
                continue;
            }
        }
        out[n++] = text.s[i];
    }
    return (struct str){out, n};
}

static bool address_read(struct arena *arena, struct str url, struct address *address)
{
    *address = (struct address){0};
    struct str rest = str_trim(url);
    if (rest.n > MAX_URL) return false;
    if (str_starts_nocase(rest, STR("https://"))) rest = str_skip(rest, 8);
    else if (str_starts_nocase(rest, STR("http://"))) rest = str_skip(rest, 7);
    else return false;
    for (size_t i = 0; i < rest.n; i++)
        if (rest.s[i] == '?' || rest.s[i] == '#') rest.n = i;
    while (str_ends(rest, STR("/"))) rest.n--;
    size_t slash = str_find_char(rest, '/', 0);
    address->host = str_lower(arena, str_slice(rest, 0, slash));
    if (str_starts(address->host, STR("www."))) address->host = str_skip(address->host, 4);
    address->path = slash == SIZE_MAX ? STR("") : utf8_repair(arena, percent_decoded(arena, str_skip(rest, slash + 1)));
    struct str left = address->path, part;
    while (address->path.n && address->parts < MAX_PARTS && str_cut(&left, '/', &part))
        address->part[address->parts++] = part;
    return address->host.n > 0;
}

/* ---- finding ------------------------------------------------------------------------------------------------------- */

struct finder {
    struct db_tx         *tx;
    int64_t               workspace;
    const struct address *address;
    int64_t               id;                     /* found, 0 = not yet */
    struct str            spelling[MAX_SPELLINGS]; /* how the object's URL may be stored */
    size_t                spellings;
};

static void add_spelling(struct finder *f, struct str url)
{
    if (f->spellings < MAX_SPELLINGS) f->spelling[f->spellings++] = url;
}

static struct err *first_id(struct db_rows *rows, int64_t *id)
{
    int64_t found;
    if (db_next(rows, &found)) *id = found;
    return db_done(rows);
}

/* The latest event about the object that has this key. */
static struct err *find_self(struct finder *f, const char *type, struct str key)
{
    struct db_rows rows;
    if (f->id) return NULL;
    TRY(db_query(f->tx, &rows,
                 "SELECT o.id FROM observation_reference r "
                 "JOIN observation o ON o.workspace_id = r.workspace_id AND o.id = r.observation_id "
                 "WHERE r.workspace_id = $1 AND r.ref_type = $2 AND r.ref_key = $3 AND r.scope = '' AND r.role = 'self' "
                 "ORDER BY o.occurred_at DESC, o.id DESC LIMIT 1",
                 f->workspace, type, key));
    return first_id(&rows, &f->id);
}

/* The latest occurrence whose sourceId is `object` or begins with it and a colon. */
static struct err *find_object(struct finder *f, struct str object)
{
    struct db_rows rows;
    struct arena  *arena = f->tx->arena;
    if (f->id) return NULL;
    TRY(db_query(f->tx, &rows,
                 "SELECT id FROM observation WHERE workspace_id = $1 AND (source_id = $2 "
                 "OR (source_id > $3 AND source_id < $4)) ORDER BY occurred_at DESC, id DESC LIMIT 1",
                 f->workspace, object, str_printf(arena, STR_FMT ":", STR_ARG(object)),
                 str_printf(arena, STR_FMT ";", STR_ARG(object)))); /* ';' follows ':' */
    return first_id(&rows, &f->id);
}

static struct str repository(struct finder *f)
{
    return str_printf(f->tx->arena, STR_FMT "/" STR_FMT, STR_ARG(f->address->part[0]), STR_ARG(f->address->part[1]));
}

/* OWNER/REPO/pull/7: pull requests, issues and discussions share one number space. */
static struct err *find_numbered(struct finder *f)
{
    struct arena *arena = f->tx->arena;
    struct str    repo = repository(f), number = f->address->part[3];
    struct str    mark = str_printf(arena, "#" STR_FMT, STR_ARG(number));
    int64_t       ignored;
    if (!str_to_int(number, &ignored)) return NULL;
    struct str key = str_printf(arena, STR_FMT STR_FMT, STR_ARG(str_lower(arena, repo)), STR_ARG(mark));
    TRY(find_self(f, "issue", key)); /* pull requests too */
    for (size_t i = 0; i < 3; i++) {
        static const char *const kinds[] = {"pr", "issue", "discussion"}, *const pages[] = {"pull", "issues", "discussions"};
        TRY(find_object(f, str_printf(arena, "%s:" STR_FMT STR_FMT, kinds[i], STR_ARG(repo), STR_ARG(mark))));
        add_spelling(f, str_printf(arena, "https://" STR_FMT "/" STR_FMT "/%s/" STR_FMT, STR_ARG(f->address->host),
                                   STR_ARG(repo), pages[i], STR_ARG(number)));
    }
    return NULL;
}

/* OWNER/REPO/commit/SHA: who pushed or merged it first, then whoever mentions it. */
static struct err *find_commit(struct finder *f)
{
    struct db_rows rows;
    struct str     sha = str_lower(f->tx->arena, f->address->part[3]);
    if (sha.n < 7 || sha.n > 64) return NULL;
    for (size_t i = 0; i < sha.n; i++)
        if (!isxdigit((unsigned char)sha.s[i])) return NULL;
    TRY(db_query(f->tx, &rows,
                 "SELECT o.id FROM observation_reference r "
                 "JOIN observation o ON o.workspace_id = r.workspace_id AND o.id = r.observation_id "
                 "WHERE r.workspace_id = $1 AND r.ref_type = 'commit' AND r.ref_key >= $2 AND r.ref_key < $3 "
                 "ORDER BY CASE r.role WHEN 'self' THEN 0 ELSE 1 END, o.occurred_at DESC, o.id DESC LIMIT 1",
                 f->workspace, sha, str_printf(f->tx->arena, STR_FMT "g", STR_ARG(sha)))); /* 'g' follows the digits */
    return first_id(&rows, &f->id);
}

/* OWNER/REPO/releases/tag/TAG; a tag may hold slashes. */
static struct err *find_release(struct finder *f)
{
    struct str tag = f->address->part[4];
    tag.n = (size_t)(f->address->path.s + f->address->path.n - tag.s);
    return find_object(
        f, str_printf(f->tx->arena, "release:" STR_FMT ":" STR_FMT, STR_ARG(repository(f)), STR_ARG(tag)));
}

/* WORKSPACE/issue/ENG-42/slug */
static struct err *find_linear(struct finder *f)
{
    struct arena *arena = f->tx->arena;
    struct str    key = f->address->part[2];
    add_spelling(f, str_printf(arena, "https://linear.app/" STR_FMT "/issue/" STR_FMT, STR_ARG(f->address->part[0]),
                               STR_ARG(key)));
    return find_self(f, "issue", str_upper(arena, key));
}

/* Both forms of a Sentry issue's page; events store one of them. */
static struct err *find_sentry(struct finder *f)
{
    struct arena *arena = f->tx->arena;
    bool          central = str_eq(f->address->site, STR("sentry.io"));
    struct str    org = central ? f->address->part[1] : str_slice(f->address->host, 0, f->address->host.n - 10);
    struct str    issue = f->address->part[central ? 3 : 1];
    struct str    pages[] = {str_printf(arena, STR_FMT ".sentry.io/issues/" STR_FMT, STR_ARG(org), STR_ARG(issue)),
                             str_printf(arena, "sentry.io/organizations/" STR_FMT "/issues/" STR_FMT, STR_ARG(org),
                                        STR_ARG(issue))};
    for (int i = 0; i < 2; i++) {
        add_spelling(f, str_printf(arena, "https://" STR_FMT, STR_ARG(pages[i])));
        add_spelling(f, str_printf(arena, "https://" STR_FMT "/", STR_ARG(pages[i])));
    }
    return NULL;
}

/* TEAM/PROJECT/ID; the page leaves out the "dpl_" of the id. */
static struct err *find_deployment(struct finder *f)
{
    struct str id = f->address->part[2];
    TRY(find_self(f, "deployment", id));
    return find_self(f, "deployment", str_printf(f->tx->arena, "dpl_" STR_FMT, STR_ARG(id)));
}

// clang-format off
static const struct {
    const char *host;                        /* "*.x" is any subdomain of x */
    const char *path;                        /* "*" is any part; more parts may follow */
    struct err *(*find)(struct finder *finder);
} patterns[] = {
    {"github.com",  "*/*/pull/*",                find_numbered},
    {"github.com",  "*/*/issues/*",              find_numbered},
    {"github.com",  "*/*/discussions/*",         find_numbered},
    {"github.com",  "*/*/commit/*",              find_commit},
    {"github.com",  "*/*/releases/tag/*",        find_release},
    {"linear.app",  "*/issue/*",                 find_linear},
    {"*.sentry.io", "issues/*",                  find_sentry},
    {"sentry.io",   "organizations/*/issues/*",  find_sentry},
    {"vercel.com",  "*/*/*",                     find_deployment},
};
// clang-format on

/* Which provider's pages a host has, if it is one of the self-hosted ones. */
static struct str site_of(const struct search *search, struct str host)
{
    static const struct { const char *provider, *site; } sites[] = {
        {"github", "github.com"}, {"linear", "linear.app"}, {"sentry", "sentry.io"}, {"vercel", "vercel.com"}};
    for (size_t i = 0; i < search->host_count; i++) {
        if (!str_eq_nocase(search->hosts[i].host, host)) continue;
        for (size_t k = 0; k < sizeof sites / sizeof *sites; k++)
            if (str_eq(search->hosts[i].provider, str_of(sites[k].provider))) return str_of(sites[k].site);
    }
    return host;
}

static bool host_matches(struct str host, struct str pattern)
{
    return str_starts(pattern, STR("*")) ? host.n >= pattern.n && str_ends(host, str_skip(pattern, 1))
                                         : str_eq(host, pattern);
}

static bool path_matches(const struct address *address, struct str pattern)
{
    struct str part;
    for (size_t i = 0; str_cut(&pattern, '/', &part); i++)
        if (i >= address->parts || (!str_eq(part, STR("*")) && !str_eq(part, address->part[i]))) return false;
    return true;
}

static struct err *find_stored(struct finder *f, struct str url)
{
    struct arena  *arena = f->tx->arena;
    struct str     page = f->address->host;
    struct db_rows rows;
    if (f->address->path.n) page = str_printf(arena, STR_FMT "/" STR_FMT, STR_ARG(page), STR_ARG(f->address->path));
    struct str asked[] = {url, str_printf(arena, "https://" STR_FMT, STR_ARG(page)),
                          str_printf(arena, "https://" STR_FMT "/", STR_ARG(page)),
                          str_printf(arena, "https://www." STR_FMT, STR_ARG(page))};
    /* "+ 0" keeps SQLite from walking back through time until a URL fits, instead of looking the URLs up */
    TRY(db_query(f->tx, &rows,
                 "SELECT id FROM observation WHERE workspace_id = $1 AND url IN ($2, $3, $4, $5, $6, $7, $8, $9) "
                 "ORDER BY occurred_at + 0 DESC, id DESC LIMIT 1",
                 f->workspace, asked[0], asked[1], asked[2], asked[3], f->spelling[0], f->spelling[1], f->spelling[2],
                 f->spelling[3]));
    return first_id(&rows, &f->id);
}

struct err *url_resolve(const struct search *search, struct db_tx *tx, int64_t workspace, struct str url, int64_t *id)
{
    struct address address;
    struct finder  finder = {.tx = tx, .workspace = workspace, .address = &address};
    *id = 0;
    url = utf8_repair(tx->arena, url);
    if (!address_read(tx->arena, url, &address)) return NULL;
    address.site = site_of(search, address.host);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && !finder.id; i++)
        if (host_matches(address.site, str_of(patterns[i].host)) && path_matches(&address, str_of(patterns[i].path)))
            TRY(patterns[i].find(&finder));
    if (!finder.id) TRY(find_stored(&finder, str_trim(url)));
    *id = finder.id;
    return NULL;
}
