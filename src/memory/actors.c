/* actors.c - who did it: identities at providers, canonical ids, names to find people by (spec 7). */
#include "base/utf8.h"
#include "memory/parts.h"

/* One identity: a person as one provider knows them. */
struct identity {
    struct str  source, source_id, canonical;
    struct str  username, email, avatar;
    const char *method;
    double      confidence;
    bool        bot, provisional, fresh, dirty;
};

/* What this batch learned about a canonical actor. */
struct person {
    struct str canonical, name, email;
    struct str into; /* of one that was merged */
    int64_t    last;
    bool       bot;
};

struct actor_work {
    struct map *identities; /* "source\0id" -> struct identity * */
    struct map *people;     /* canonical -> struct person * */
    struct map *names;      /* "kind\0name\0actor": written already */
    struct map *logins;     /* "login\0canonical": settled */
};

struct err *actors_open(struct work *work)
{
    work->actors = NEW(work->arena, struct actor_work);
    work->actors->identities = map_create(work->arena);
    work->actors->people = map_create(work->arena);
    work->actors->names = map_create(work->arena);
    work->actors->logins = map_create(work->arena);
    return NULL;
}

static struct str joined(struct arena *arena, struct str a, struct str b)
{
    struct buf key = buf_in(arena);
    buf_str_add(&key, a);
    buf_char(&key, '\0');
    buf_str_add(&key, b);
    return buf_str(&key);
}

/* ---- which identity an event claims --------------------------------------------------------------------------------- */

static bool all_digits(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.s[i] < '0' || text.s[i] > '9') return false;
    return text.n > 0;
}

static bool delivered(const struct work *work)
{
    return work->ingestion == SOURCE_WEBHOOK || work->ingestion == SOURCE_BACKFILL;
}

static void claim_github(struct work *work, struct str id, struct str login, bool by_provider, struct identity *claim)
{
    bool numeric = all_digits(id);
    claim->source = STR("github");
    claim->source_id = numeric ? id : str_lower(work->arena, id);
    claim->canonical = str_printf(work->arena, "github:" STR_FMT, STR_ARG(claim->source_id));
    claim->provisional = !numeric;
    claim->method = !numeric ? "username" : by_provider ? "webhook" : "email";
    claim->confidence = !numeric ? 0.5 : by_provider ? 1.0 : 0.85;
    claim->username = numeric ? str_lower(work->arena, login) : claim->source_id;
}

/* "email:..." of commit headers is used as it is, for every source; a GitHub noreply address tells the account. */
static void claim_email(struct work *work, const struct source_actor *actor, struct identity *claim)
{
    struct str address = str_lower(work->arena, str_skip(actor->id, 6)), login, id;
    if (text_noreply(address, &login, &id)) {
        claim_github(work, id.n ? id : login, login, false, claim);
        return;
    }
    claim->source = STR("email");
    claim->source_id = address;
    claim->canonical = str_printf(work->arena, "email:" STR_FMT, STR_ARG(address));
    claim->email = address;
    claim->username = actor->name;
    claim->provisional = true;
    claim->method = "username";
    claim->confidence = 0.5;
}

/* In commit headers a name is anything; a login stands only in GitHub's own addresses. */
static struct str login_of(struct work *work, const struct source_actor *actor, const struct identity *claim)
{
    struct str login, id;
    if (claim->provisional) return claim->source_id;
    bool told = text_noreply(str_lower(work->arena, actor->email), &login, &id) && login.n;
    return told ? login : (struct str){NULL, 0};
}

static void claim_of(struct work *work, const struct source_event *event, struct identity *claim)
{
    const struct source_actor *actor = &event->actor;
    *claim = (struct identity){.email = str_lower(work->arena, actor->email), .avatar = actor->avatar_url, .fresh = true, .dirty = true};
    claim->bot = str_ends(actor->id, STR("[bot]")) || str_ends(actor->name, STR("[bot]"));
    if (str_starts_nocase(actor->id, STR("email:")) && actor->id.n > 6) {
        claim_email(work, actor, claim);
    } else if (str_eq(event->source, STR("github")) || str_eq(event->source, STR("git"))) {
        claim_github(work, actor->id, actor->name, delivered(work), claim);
        if (!delivered(work)) claim->username = login_of(work, actor, claim);
    } else if (str_eq(event->source, STR("vercel"))) {
        claim_github(work, actor->id, actor->id, true, claim);
        claim->source = event->source;
    } else {
        claim->source = event->source;
        claim->source_id = actor->id;
        claim->canonical = str_printf(work->arena, STR_FMT ":" STR_FMT, STR_ARG(event->source), STR_ARG(actor->id));
        claim->username = actor->name;
        claim->method = "webhook";
        claim->confidence = 1.0;
    }
}

/* ---- identities ----------------------------------------------------------------------------------------------------- */

/* A login is believed only where GitHub itself has told whose it is. */
static struct err *account_of_login(struct work *work, struct str login, struct str *canonical, bool *found)
{
    struct db_rows rows;
    TRY(actors_write_identities(work));
    TRY(db_query(work->tx, &rows,
                 "SELECT canonical_actor_id FROM actor_identity WHERE org_id = $1 AND source_username = $2 "
                 "AND source = 'github' AND provisional = 0 AND mapping_method IN ('webhook', 'oauth', 'manual') "
                 "ORDER BY mapped_at DESC LIMIT 1",
                 work->org, login));
    *found = db_next(&rows, canonical);
    return db_done(&rows);
}

static struct err *author_of_commit(struct work *work, const struct prepared_event *item, struct str *canonical,
                                    bool *found)
{
    struct str sha = json_str(item->metadata, "gitCommitSha");
    *found = false;
    if (sha.n == 0) return NULL;
    struct db_rows rows;
    TRY(db_query(work->tx, &rows,
                 "SELECT canonical_actor_id FROM commit_author WHERE org_id = $1 AND sha = $2 "
                 "AND canonical_actor_id IS NOT NULL",
                 work->org, str_lower(work->arena, sha)));
    *found = db_next(&rows, canonical);
    return db_done(&rows);
}

/* Spec 7: the commit tells more than the login, the login more than nothing. */
static struct err *map_provisional(struct work *work, const struct prepared_event *item, struct identity *claim)
{
    bool found = false;
    if (!claim->provisional || str_eq(claim->source, STR("email"))) return NULL;
    if (str_eq(claim->source, STR("vercel"))) {
        TRY(author_of_commit(work, item, &claim->canonical, &found));
        if (found) {
            claim->method = "commit_sha";
            claim->confidence = 0.95;
        }
    }
    if (!found) {
        TRY(account_of_login(work, claim->username, &claim->canonical, &found));
        if (found) {
            claim->method = "login";
            claim->confidence = 0.90;
        }
    }
    claim->provisional = !found;
    return NULL;
}

static struct err *read_identity(struct work *work, struct identity *identity, bool *found)
{
    struct db_rows rows;
    TRY(db_query(work->tx, &rows,
                 "SELECT canonical_actor_id, source_username, source_email, avatar_url, is_bot, provisional "
                 "FROM actor_identity WHERE org_id = $1 AND source = $2 AND source_id = $3",
                 work->org, identity->source, identity->source_id));
    *found = db_next(&rows, &identity->canonical, &identity->username, &identity->email, &identity->avatar,
                     &identity->bot, &identity->provisional);
    return db_done(&rows);
}

/* Nothing never overwrites something. */
static void learn(struct identity *identity, const struct identity *claim)
{
    struct { struct str *known, said; } facts[] = {
        {&identity->username, claim->username}, {&identity->email, claim->email}, {&identity->avatar, claim->avatar}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (facts[i].said.n == 0 || str_eq(*facts[i].known, facts[i].said)) continue;
        *facts[i].known = facts[i].said;
        identity->dirty = true;
    }
}

static struct err *identify(struct work *work, const struct prepared_event *item, struct identity **out)
{
    struct identity claim, stored;
    bool            found;
    claim_of(work, &item->event, &claim);
    struct str key = joined(work->arena, claim.source, claim.source_id);
    int64_t   *known = map_find(work->actors->identities, key);
    if (known) {
        *out = (struct identity *)(intptr_t)*known;
    } else {
        stored = (struct identity){.source = claim.source, .source_id = claim.source_id};
        TRY(read_identity(work, &stored, &found));
        if (!found) TRY(map_provisional(work, item, &claim));
        *out = NEW(work->arena, struct identity);
        **out = found ? stored : claim;
        *map_at(work->actors->identities, key) = (int64_t)(intptr_t)*out;
    }
    learn(*out, &claim);
    if ((*out)->dirty && (*out)->provisional) work->actors->logins = map_create(work->arena);
    return NULL;
}

bool actors_login_settled(const struct work *work, struct str login, struct str canonical)
{
    return map_find(work->actors->logins, joined(work->arena, login, canonical)) != NULL;
}

void actors_settle_login(struct work *work, struct str login, struct str canonical)
{
    *map_at(work->actors->logins, joined(work->arena, login, canonical)) = 1;
}

/* ---- people --------------------------------------------------------------------------------------------------------- */

static struct person *person_of(struct work *work, struct str canonical)
{
    int64_t *at = map_at(work->actors->people, canonical);
    if (!*at) {
        struct person *person = NEW(work->arena, struct person);
        person->canonical = str_dup(work->arena, canonical);
        person->last = INT64_MIN;
        *at = (int64_t)(intptr_t)person;
    }
    return (struct person *)(intptr_t)*at;
}

void actors_touch(struct work *work, struct str canonical) { (void)person_of(work, canonical); }

enum { NAME_BYTES = 200, SHORTEST_WORD = 2 };

static struct err *write_name(struct work *work, const char *kind, struct str name, struct str canonical)
{
    if (name.n == 0 || name.n > NAME_BYTES) return NULL;
    struct str key = joined(work->arena, joined(work->arena, str_of(kind), name), canonical);
    int64_t   *written = map_at(work->actors->names, key);
    if (*written) return NULL;
    *written = 1;
    return db_exec(work->tx,
                   "INSERT INTO actor_name (workspace_id, name, kind, actor_id) VALUES ($1, $2, $3, $4) "
                   "ON CONFLICT DO NOTHING",
                   work->workspace, name, kind, canonical);
}

static bool word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static struct err *write_words(struct work *work, struct str folded, struct str canonical)
{
    for (size_t at = 0, from; at < folded.n;) {
        while (at < folded.n && !word_byte(folded.s[at])) at++;
        for (from = at; at < folded.n && word_byte(folded.s[at]);) at++;
        if (at - from < SHORTEST_WORD) continue;
        TRY(write_name(work, "word", str_slice(folded, from, at), canonical));
    }
    return NULL;
}

/* Under every spelling that was ever used: one person commits as "Ada", "Ada Lovelace" and "ada". */
static struct err *write_names(struct work *work, struct str name, struct str email, const struct identity *identity)
{
    struct str canonical = identity->canonical;
    struct str spelling = joined(work->arena, joined(work->arena, name, email), canonical);
    int64_t   *seen = map_at(work->actors->names, spelling);
    if (*seen) return NULL;
    *seen = 1;
    struct str folded = text_fold(work->arena, name);
    TRY(write_name(work, "full", folded, canonical));
    TRY(write_words(work, folded, canonical));
    TRY(write_name(work, "email", str_lower(work->arena, email), canonical));
    bool login = str_eq(identity->source, STR("github")) || str_eq(identity->source, STR("vercel"));
    return login ? write_name(work, "username", str_lower(work->arena, identity->username), canonical) : NULL;
}

/* Whose address is GitHub's own goes by the login; the commit's header has the name that people know. */
static struct err *write_author_name(struct work *work, const struct prepared_event *item, const struct identity *identity)
{
    struct str email = json_str(item->metadata, "authorEmail");
    if (!email.n || !str_eq_nocase(email, item->event.actor.email)) return NULL; /* a commit of somebody else */
    return write_names(work, json_str(item->metadata, "authorName"), email, identity);
}

struct err *actors_resolve(struct work *work, const struct prepared_event *item, struct str *canonical)
{
    const struct source_actor *actor = &item->event.actor;
    struct identity           *identity;
    *canonical = (struct str){NULL, 0};
    if (actor->id.n == 0) return NULL;
    TRY(identify(work, item, &identity));
    struct person *person = person_of(work, identity->canonical);
    if (item->event.occurred_at >= person->last) {
        person->last = item->event.occurred_at;
        if (actor->name.n) person->name = actor->name;
    }
    if (!person->email.n) person->email = actor->email;
    person->bot = person->bot || identity->bot;
    *canonical = identity->canonical;
    TRY(write_names(work, actor->name, actor->email, identity));
    return write_author_name(work, item, identity);
}

/* An actor has been merged: who resolves to it resolves to the other from now on. */
void actors_redirect(struct work *work, struct str from, struct str into)
{
    for (size_t i = 0; i < map_count(work->actors->identities); i++) {
        struct str       key;
        struct identity *identity = (struct identity *)(intptr_t)*map_entry(work->actors->identities, i, &key);
        if (!str_eq(identity->canonical, from)) continue;
        identity->canonical = into;
        identity->provisional = false;
    }
    int64_t *at = map_find(work->actors->people, from);
    if (at) {
        struct person *gone = (struct person *)(intptr_t)*at, *stays = person_of(work, into);
        if (gone->last > stays->last && gone->name.n) stays->name = gone->name;
        if (gone->last > stays->last) stays->last = gone->last;
        if (!stays->email.n) stays->email = gone->email;
        gone->canonical = (struct str){NULL, 0};
        gone->into = into;
    }
    actors_touch(work, into);
}

struct str actors_current(const struct work *work, struct str canonical)
{
    for (int64_t *at; canonical.n && (at = map_find(work->actors->people, canonical));) {
        const struct person *person = (struct person *)(intptr_t)*at;
        if (person->canonical.n) break;
        canonical = person->into;
    }
    return canonical;
}

/* ---- writing back --------------------------------------------------------------------------------------------------- */

static struct err *write_identity(struct work *work, const struct identity *identity)
{
    if (!identity->fresh)
        return db_exec(work->tx,
                       "UPDATE actor_identity SET source_username = $4, source_email = $5, avatar_url = $6 "
                       "WHERE org_id = $1 AND source = $2 AND source_id = $3",
                       work->org, identity->source, identity->source_id, identity->username, identity->email,
                       identity->avatar);
    return db_exec(work->tx,
                   "INSERT INTO actor_identity (org_id, source, source_id, canonical_actor_id, source_username, "
                   "source_email, avatar_url, is_bot, provisional, mapping_method, confidence_score, mapped_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
                   "ON CONFLICT (org_id, source, source_id) DO NOTHING",
                   work->org, identity->source, identity->source_id, identity->canonical, identity->username,
                   identity->email, identity->avatar, identity->bot, identity->provisional, identity->method,
                   identity->confidence, time_now());
}

/* The name is the newest one, the address the first one. Until the profile is computed, last_active_at says how new. */
static struct err *write_person(struct work *work, const struct person *person)
{
    int64_t known = person->last == INT64_MIN ? 0 : person->last;
    return db_exec(work->tx,
                   "INSERT INTO actor_profile (workspace_id, actor_id, xid, display_name, email, last_active_at, is_bot, "
                   "dirty, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8) "
                   "ON CONFLICT (workspace_id, actor_id) DO UPDATE SET dirty = 1, "
                   "display_name = CASE WHEN excluded.last_active_at >= COALESCE(actor_profile.last_active_at, 0) "
                   "THEN COALESCE(excluded.display_name, actor_profile.display_name) "
                   "ELSE COALESCE(actor_profile.display_name, excluded.display_name) END, "
                   "email = COALESCE(actor_profile.email, excluded.email), "
                   "last_active_at = CASE WHEN excluded.last_active_at > COALESCE(actor_profile.last_active_at, 0) "
                   "THEN excluded.last_active_at ELSE actor_profile.last_active_at END, "
                   "is_bot = CASE WHEN excluded.is_bot = 1 THEN 1 ELSE actor_profile.is_bot END",
                   work->workspace, person->canonical, id_new(work->arena, ""),
                   null_if_empty(person->name),
                   null_if_empty(person->email), known, person->bot, time_now());
}

/* Write what is pending now, for statements that read the tables. */
struct err *actors_write_identities(struct work *work)
{
    for (size_t i = 0; i < map_count(work->actors->identities); i++) {
        struct str       key;
        struct identity *identity = (struct identity *)(intptr_t)*map_entry(work->actors->identities, i, &key);
        if (identity->dirty) TRY(write_identity(work, identity));
        identity->dirty = identity->fresh = false;
    }
    return NULL;
}

struct err *actors_flush(struct work *work)
{
    TRY(actors_write_identities(work));
    for (size_t i = 0; i < map_count(work->actors->people); i++) {
        struct str           key;
        const struct person *person = (struct person *)(intptr_t)*map_entry(work->actors->people, i, &key);
        if (person->canonical.n) TRY(write_person(work, person));
    }
    return NULL;
}
