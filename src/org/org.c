/* org.c - organisations and workspaces: making them, finding them, their names. */
#include "org/org.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"

#include <stdlib.h>

enum { SLUG_TRIES = 100, SLUG_MAX = 20, NAME_MAX_CHARS = 100 };

/* ---- names ------------------------------------------------------------------------------------------------------- */

// clang-format off
/* spec/console.md 1.2 */
static const char *const reserved[] = {
    ".well-known", "_next", "about", "account", "admin", "anonymous", "api", "app", "ask", "assets", "auth", "billing",
    "blog", "callback", "changelog", "chat", "connect", "console", "dashboard", "docs", "documents", "download",
    "early-access", "error", "events", "explore", "favicon.ico", "features", "feed", "files", "github", "health",
    "help", "home", "images", "info", "insights", "integrations", "invite", "jobs", "join", "legal", "login", "logout",
    "logs", "manifest.json", "mcp", "members", "monitoring", "new", "none", "not-found", "notifications", "oauth",
    "observations", "onboarding", "organizations", "orgs", "portal", "pricing", "privacy", "profile", "projects",
    "public", "register", "repositories", "resources", "robots.txt", "search", "security", "sessions", "settings",
    "setup", "sign-in", "sign-up", "signin", "signout", "signup", "sitemap.xml", "sources", "sso", "sso-callback",
    "static", "status", "support", "suspended", "system", "teams", "terms", "timeline", "undefined", "user", "users",
    "v1", "vercel", "w", "webhooks", "workspace", "workspaces", "www",
};
static const char *const reserved_orgs[] = {"healthz", "metrics", "preview", "readyz", "u"};
static const char *const reserved_workspaces[] = {
    "activity", "api-keys", "archive", "audit", "config", "general", "history", "hooks", "metrics", "overview",
    "permissions", "reports", "secrets", "team", "tokens", "upload",
};

static const char *const adjectives[] = {
    "able", "agile", "airy", "alert", "amber", "ample", "azure", "bold", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "careful", "cheery", "civil", "clear", "clever", "cosmic", "cozy", "crisp", "curious", "daring", "deft",
    "eager", "early", "earnest", "easy", "fair", "fancy", "fleet", "fluent", "fond", "frank", "fresh", "friendly",
    "gentle", "giant", "glad", "golden", "good", "grand", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind",
    "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mighty", "modest", "neat", "nimble", "noble", "patient",
    "placid", "plucky", "polite", "prime", "proud", "quick", "quiet", "rapid", "ready", "robust", "rosy", "royal",
    "sandy", "serene", "sharp", "shiny", "silent", "silver", "smart", "snowy", "solid", "spry", "stable", "steady",
    "sturdy", "sunny", "swift", "tidy", "tranquil", "trusty", "upbeat", "valiant", "vivid", "warm", "wise", "witty",
};
static const char *const animals[] = {
    "alpaca", "ant", "antelope", "badger", "bat", "bear", "beaver", "bee", "beetle", "bison", "bobcat", "buffalo",
    "camel", "canary", "caribou", "cat", "cheetah", "chicken", "cicada", "condor", "coyote", "crab", "crane", "cricket",
    "crow", "deer", "dingo", "dolphin", "donkey", "dove", "duck", "eagle", "eel", "elk", "emu", "falcon", "ferret",
    "finch", "fox", "frog", "gazelle", "gecko", "gibbon", "giraffe", "goat", "goose", "gopher", "hamster", "hare",
    "hawk", "hedgehog", "heron", "hippo", "horse", "ibex", "ibis", "jackal", "jaguar", "kestrel", "kiwi", "koala",
    "lark", "lemur", "leopard", "lion", "lizard", "llama", "lobster", "lynx", "magpie", "marmot", "marten", "meerkat",
    "mole", "moose", "moth", "mouse", "newt", "ocelot", "octopus", "orca", "oriole", "osprey", "otter", "owl", "panda",
    "parrot", "pelican", "penguin", "pigeon", "puffin", "puma", "quail", "rabbit", "raccoon", "raven", "robin",
    "salmon", "seal", "sparrow", "stork", "swan", "tapir", "tiger", "toad", "toucan", "trout", "turtle", "walrus",
    "weasel", "whale", "wolf", "wombat", "wren", "yak", "zebra",
};
// clang-format on
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool listed(struct str name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(name, str_of(names[i]))) return true;
    return false;
}

/* Names are path segments beside the program's own pages and the error pages. */
static bool is_reserved(struct str name)
{
    int64_t number;
    if (name.n == 3 && str_to_int(name, &number) && number >= 300 && number <= 511) return true;
    return listed(name, reserved, COUNT(reserved));
}

static bool is_alphanumeric(char c, bool upper_too)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (upper_too && c >= 'A' && c <= 'Z');
}

struct err *org_check_slug(struct arena *arena, struct str slug)
{
    bool well_formed = slug.n >= 3 && slug.n <= 39;
    for (size_t i = 0; well_formed && i < slug.n; i++) {
        bool inner_hyphen = slug.s[i] == '-' && i > 0 && i + 1 < slug.n && slug.s[i - 1] != '-';
        well_formed = is_alphanumeric(slug.s[i], false) || inner_hyphen;
    }
    if (!well_formed)
        return err_new(arena, ERR_INVALID, "An organization slug has 3 to 39 lowercase letters, digits and single hyphens");
    if (is_reserved(slug) || listed(slug, reserved_orgs, COUNT(reserved_orgs)))
        return err_new(arena, ERR_INVALID, "This organization slug is reserved");
    return NULL;
}

struct err *org_check_workspace_name(struct arena *arena, struct str name)
{
    bool well_formed = name.n >= 1 && name.n <= NAME_MAX_CHARS && !str_eq(name, STR(".")) && !str_eq(name, STR(".."));
    for (size_t i = 0; well_formed && i < name.n; i++)
        well_formed = is_alphanumeric(name.s[i], true) || name.s[i] == '_' || name.s[i] == '.' || name.s[i] == '-';
    if (!well_formed)
        return err_new(arena, ERR_INVALID, "A workspace name has 1 to 100 letters, digits, '_', '.' and '-'");
    if (is_reserved(name) || listed(name, reserved_workspaces, COUNT(reserved_workspaces)))
        return err_new(arena, ERR_INVALID, "This workspace name is reserved");
    return NULL;
}

/* The random characters of an id are unbiased over 62 values: five of them are enough for a fair choice here. */
static const char *draw(const char *const *words, size_t n)
{
    char     random[5];
    uint64_t number = 0;
    id_random_chars(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        char c = random[i];
        number = number * 62 + (uint64_t)(c <= '9' ? c - '0' : c <= 'Z' ? c - 'A' + 10 : c - 'a' + 36);
    }
    return words[number % n];
}

struct str org_draw_slug(struct arena *arena)
{
    for (;;) {
        struct str slug = str_printf(arena, "%s-%s", draw(adjectives, COUNT(adjectives)), draw(animals, COUNT(animals)));
        if (slug.n <= SLUG_MAX) return slug; /* redrawn when too long, never truncated */
    }
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static struct err *slug_taken(struct db_tx *tx, struct str slug, bool *taken)
{
    struct db_rows rows;
    int64_t        id;
    TRY(db_query(tx, &rows, "SELECT id FROM workspace WHERE slug = $1", slug));
    *taken = db_next(&rows, &id);
    return db_done(&rows);
}

static struct err *free_slug(struct db_tx *tx, struct str *slug)
{
    bool taken = true;
    for (int tries = 0; taken && tries < SLUG_TRIES; tries++) {
        *slug = org_draw_slug(tx->arena);
        TRY(slug_taken(tx, *slug, &taken));
    }
    return taken ? err_new(tx->arena, ERR_UNAVAILABLE, "No free workspace slug was found, try again") : NULL;
}

/* The name is free for workspace id (0: a new one), and from now on leads to no other that was called so. */
static struct err *take_name(struct db_tx *tx, int64_t org_id, int64_t id, struct str name)
{
    struct db_rows rows;
    int64_t        other;
    struct str     name_norm = str_lower(tx->arena, name);
    TRY(org_check_workspace_name(tx->arena, name));
    TRY(db_query(tx, &rows, "SELECT id FROM workspace WHERE org_id = $1 AND name_norm = $2 AND id <> $3", org_id,
                 name_norm, id));
    bool taken = db_next(&rows, &other);
    TRY(db_done(&rows));
    if (taken) return err_new(tx->arena, ERR_CONFLICT, "A workspace with this name exists already");
    return db_exec(tx, "DELETE FROM workspace_former_name WHERE org_id = $1 AND name_norm = $2", org_id, name_norm);
}

static struct err *insert_workspace(struct db_tx *tx, int64_t org_id, struct str name, bool is_default, int64_t *id)
{
    struct str slug;
    TRY(free_slug(tx, &slug));
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "INSERT INTO workspace (org_id, public_id, name, name_norm, slug, is_default, created_at) "
                 "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                 org_id, id_new(tx->arena, "ws_"), name, str_lower(tx->arena, name), slug, is_default, time_now()));
    (void)db_next(&rows, id);
    TRY(db_done(&rows));
    return db_exec(tx, "INSERT INTO workspace_counter (workspace_id) VALUES ($1)", *id);
}

struct err *org_workspace_create(struct db_tx *tx, int64_t org_id, struct str name, struct org_workspace *ws)
{
    int64_t id = 0;
    TRY(take_name(tx, org_id, 0, name));
    TRY(insert_workspace(tx, org_id, name, false, &id));
    return org_workspace_by_id(tx, id, ws);
}

struct err *org_workspace_rename(struct db_tx *tx, const struct org_workspace *ws, struct str name)
{
    struct str before = str_lower(tx->arena, ws->name), after = str_lower(tx->arena, name);
    TRY(take_name(tx, ws->org_id, ws->id, name));
    if (!str_eq(before, after))
        TRY(db_exec(tx, "INSERT INTO workspace_former_name (org_id, name_norm, workspace_id) VALUES ($1, $2, $3)",
                    ws->org_id, before, ws->id));
    return db_exec(tx, "UPDATE workspace SET name = $2, name_norm = $3 WHERE id = $1", ws->id, name, after);
}

struct err *org_workspace_make_default(struct db_tx *tx, const struct org_workspace *ws)
{
    return db_exec(tx, "UPDATE workspace SET is_default = CASE WHEN id = $2 THEN 1 ELSE 0 END WHERE org_id = $1", ws->org_id,
                   ws->id);
}

static struct err *make_local(struct db_tx *tx, void *arg)
{
    (void)arg;
    struct db_rows rows;
    int64_t        org_id = 0, workspace_id = 0;
    TRY(db_query(tx, &rows, "SELECT id FROM organization LIMIT 1"));
    bool exists = db_next(&rows, &org_id);
    TRY(db_done(&rows));
    if (exists) return NULL;
    TRY(db_query(tx, &rows,
                 "INSERT INTO organization (public_id, slug, created_at) VALUES ($1, 'local', $2) RETURNING id",
                 id_new(tx->arena, "org_"), time_now()));
    (void)db_next(&rows, &org_id);
    TRY(db_done(&rows));
    return insert_workspace(tx, org_id, STR("main"), true, &workspace_id);
}

static struct err *any_organization(struct db *db, struct arena *arena, bool *exists)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    struct db_rows rows;
    int64_t        id;
    TRY(db_read_begin(db, arena, &tx));
    TRY(db_query(tx, &rows, "SELECT id FROM organization LIMIT 1"));
    *exists = db_next(&rows, &id);
    return db_done(&rows);
}

struct err *org_prepare(struct db *db, struct arena *arena)
{
    bool exists; /* a start with nothing to do must not pay for a commit */
    TRY(any_organization(db, arena, &exists));
    return exists ? NULL : db_write(db, arena, make_local, NULL);
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

#define WORKSPACE_COLUMNS                                                                                          \
    "SELECT w.id, w.org_id, w.public_id, w.name, w.slug, w.is_default, o.public_id, o.slug, w.settings, w.created_at " \
    "FROM workspace w JOIN organization o ON o.id = w.org_id "

static bool next_workspace(struct db_rows *rows, struct org_workspace *ws)
{
    return db_next(rows, &ws->id, &ws->org_id, &ws->public_id, &ws->name, &ws->slug, &ws->is_default,
                   &ws->org_public_id, &ws->org_slug, &ws->settings, &ws->created_at);
}

/* found false: no row came. */
static struct err *first_workspace(struct db_rows *rows, struct org_workspace *ws, bool *found)
{
    *found = next_workspace(rows, ws);
    return db_done(rows);
}

static struct err *one_workspace(struct db_rows *rows, struct org_workspace *ws)
{
    bool found;
    TRY(first_workspace(rows, ws, &found));
    return found ? NULL : err_new(rows->tx->arena, ERR_NOT_FOUND, "Workspace not found");
}

/* Text from a request may be anything; what no name can be is not found rather than an error of the database. */
static bool is_searchable(struct str text)
{
    return text.n > 0 && text.n <= NAME_MAX_CHARS && utf8_valid(text);
}

struct err *org_find(struct db_tx *tx, struct str name, struct org_organization *org)
{
    bool           found = false;
    struct db_rows rows;
    if (is_searchable(name)) {
        TRY(db_query(tx, &rows, "SELECT id, public_id, slug FROM organization WHERE public_id = $1 OR slug = $2", name,
                     str_lower(tx->arena, name)));
        found = db_next(&rows, &org->id, &org->public_id, &org->slug);
        TRY(db_done(&rows));
    }
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "Organization not found");
}

static struct err *by_former_name(struct db_tx *tx, struct str org, struct str name, struct org_workspace *ws)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 WORKSPACE_COLUMNS "JOIN workspace_former_name f ON f.workspace_id = w.id "
                                   "WHERE (o.public_id = $1 OR o.slug = $2) AND f.org_id = o.id AND f.name_norm = $3 "
                                   "AND w.state = 'active'",
                 org, str_lower(tx->arena, org), str_lower(tx->arena, name)));
    return one_workspace(&rows, ws);
}

struct err *org_workspace_by_id(struct db_tx *tx, int64_t id, struct org_workspace *ws)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, WORKSPACE_COLUMNS "WHERE w.id = $1 AND w.state = 'active'", id));
    return one_workspace(&rows, ws);
}

struct err *org_workspace_find(struct db_tx *tx, struct str org, struct str name, struct org_workspace *ws)
{
    if (!is_searchable(org) || !is_searchable(name)) return err_new(tx->arena, ERR_NOT_FOUND, "Workspace not found");
    bool           found;
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 WORKSPACE_COLUMNS "WHERE (o.public_id = $1 OR o.slug = $2) AND (w.public_id = $3 OR w.name_norm = $4) "
                                   "AND w.state = 'active' ORDER BY CASE WHEN w.public_id = $3 THEN 0 ELSE 1 END LIMIT 1",
                 org, str_lower(tx->arena, org), name, str_lower(tx->arena, name)));
    TRY(first_workspace(&rows, ws, &found));
    return found ? NULL : by_former_name(tx, org, name, ws);
}

struct err *org_workspace_default(struct db_tx *tx, struct str name, struct org_workspace *ws)
{
    bool           found;
    struct db_rows rows;
    if (name.n == 0) {
        TRY(db_query(tx, &rows,
                     WORKSPACE_COLUMNS "WHERE o.slug = 'local' AND w.state = 'active' "
                                       "ORDER BY w.is_default DESC, w.id LIMIT 1"));
        return one_workspace(&rows, ws);
    }
    if (!is_searchable(name)) return err_new(tx->arena, ERR_NOT_FOUND, "Workspace not found");
    TRY(db_query(tx, &rows,
                 WORKSPACE_COLUMNS "WHERE (w.public_id = $1 OR (o.slug = 'local' AND (w.name_norm = $2 OR w.slug = $2))) "
                                   "AND w.state = 'active' "
                                   "ORDER BY CASE WHEN w.public_id = $1 THEN 0 WHEN w.name_norm = $2 THEN 1 ELSE 2 END "
                                   "LIMIT 1",
                 name, str_lower(tx->arena, name)));
    TRY(first_workspace(&rows, ws, &found));
    return found ? NULL : by_former_name(tx, STR("local"), name, ws);
}

struct err *org_workspace_set(struct db_tx *tx, int64_t id, struct str settings)
{
    return db_exec(tx, "UPDATE workspace SET settings = $2 WHERE id = $1", id, settings);
}
