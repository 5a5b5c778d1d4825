/* commits.c - who wrote a commit, kept apart so that deployments are credited to authors (spec 7). */
#include "memory/parts.h"

struct sender {
    struct str id, login, name, email;
};

static bool same_or_unknown(struct str a, struct str b) { return a.n && b.n && str_eq_nocase(a, b); }

/* The payload's author contradicts the sender when login, name and email all differ. */
static bool wrote_it(const struct sender *sender, struct str login, struct str name, struct str email)
{
    if (login.n == 0 && name.n == 0 && email.n == 0) return true;
    return same_or_unknown(sender->login, login) || same_or_unknown(sender->name, name) ||
           same_or_unknown(sender->login, name) || same_or_unknown(sender->email, email);
}

static struct err *record(struct work *work, const struct sender *sender, const json_value *commit)
{
    struct str sha = str_lower(work->arena, json_str(commit, "sha"));
    struct str login = json_str(commit, "authorLogin");
    if (sha.n == 0 || sha.n > 64) return NULL;
    bool       sent = wrote_it(sender, login, json_str(commit, "authorName"), json_str(commit, "authorEmail"));
    struct str actor = {NULL, 0};
    if (sent) actor = str_printf(work->arena, "github:" STR_FMT, STR_ARG(sender->id));
    else if (login.n) actor = str_printf(work->arena, "github:" STR_FMT, STR_ARG(str_lower(work->arena, login)));
    else return NULL;
    return db_exec(work->tx,
                   "INSERT INTO commit_author (org_id, sha, canonical_actor_id, login, observed_at) "
                   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org_id, sha) DO NOTHING",
                   work->org, sha, actor, sent ? sender->login : login, time_now());
}

enum { MAX_COMMITS = 100 };

/* Only what GitHub itself delivers: a repository on someone's disk proves nothing about accounts. */
struct err *commits_record(struct work *work, const struct prepared_event *item)
{
    const struct source_actor *actor = &item->event.actor;
    bool delivered = work->ingestion == SOURCE_WEBHOOK || work->ingestion == SOURCE_BACKFILL;
    if (!delivered || !str_eq(item->event.source, STR("github")) || !str_eq(item->family, STR("push")) ||
        actor->id.n == 0)
        return NULL;
    struct sender sender = {actor->id, actor->name, actor->name, actor->email};
    size_t        left = MAX_COMMITS;
    for (struct json_iter it = json_iter(json_get(item->metadata, "commits")); left && json_step(&it); left--)
        TRY(record(work, &sender, it.value));
    return NULL;
}
