/* summary.c - facts of a cluster, the template's text, the columns that a summary fills (spec/pipeline.md 9). */
#include "memory/summary.h"

#include "base/utf8.h"

#include <stdlib.h>

enum {
    BODY_READ = 1000,
    LONGEST_TEXT = 500,
    TITLES = 3,
    TITLE_SHOWN = 80,
    NAMES_SHOWN = 3,
    RENEW_HOURS = 24,
    ACTIVE_HOURS = 48
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static struct str person_of(struct arena *arena, struct str actor)
{
    const json_value *json;
    if (!actor.n || json_parse(arena, actor, &json)) return (struct str){0};
    struct str name = json_str(json, "name");
    return name.n ? name : json_str(json, "id");
}

static struct err *read_members(struct db_tx *tx, int64_t workspace, struct cluster_facts *facts)
{
    struct db_rows        rows;
    struct cluster_member one = {0};
    struct str            actor, ingestion;
    int64_t               captured_at;
    VEC(struct cluster_member) members = {0};
    TRY(db_query(tx, &rows,
                 "SELECT observation_type, source_type, title, SUBSTR(content, 1, CAST($3 AS INTEGER)), actor, "
                 "occurred_at, topics, content_topics, significance_score, captured_at, ingestion_source "
                 "FROM observation WHERE workspace_id = $1 AND cluster_id = $2 "
                 "ORDER BY occurred_at DESC, id DESC LIMIT $4",
                 workspace, facts->id, (int)BODY_READ, (int)SUMMARY_MEMBERS_READ));
    while (db_next(&rows, &one.shown.type, &one.source_type, &one.shown.title, &one.shown.body, &actor,
                   &one.shown.occurred_at, &one.topics, &one.content_topics, &one.score, &captured_at, &ingestion)) {
        facts->history = facts->history && memory_is_history(ingestion);
        if (captured_at > facts->captured_at) facts->captured_at = captured_at;
        one.shown.title = text_without_label(one.shown.title);
        one.shown.actor = person_of(tx->arena, actor);
        *VEC_PUSH(tx->arena, &members) = one;
    }
    facts->history = facts->history && members.n > 0;
    facts->members = members.at;
    facts->member_count = members.n;
    return db_done(&rows);
}

struct err *cluster_facts_read(struct db_tx *tx, int64_t workspace, struct str xid, struct cluster_facts *facts)
{
    struct db_rows rows;
    struct str     status;
    *facts = (struct cluster_facts){0};
    TRY(db_query(tx, &rows,
                 "SELECT id, observation_count, first_observation_at, last_observation_at, summary_generated_at, "
                 "closed_at, topic_label, status FROM cluster WHERE workspace_id = $1 AND xid = $2",
                 workspace, xid));
    bool found = db_next(&rows, &facts->id, &facts->count, &facts->first, &facts->last, &facts->summarised_at,
                         &facts->closed_at, &facts->label, &status);
    TRY(db_done(&rows));
    if (!found) return NULL;
    facts->closed = str_eq(status, STR("closed"));
    facts->history = true; /* until a member says otherwise */
    return facts->count >= SUMMARY_LEAST_MEMBERS ? read_members(tx, workspace, facts) : NULL;
}

const char *cluster_summary_needless(const struct cluster_facts *facts, int64_t now)
{
    if (!facts->id) return "cluster_not_found";
    if (facts->count < SUMMARY_LEAST_MEMBERS) return "below_threshold";
    if (!facts->member_count) return "no_observations";
    bool never = facts->summarised_at == 0;
    bool old = facts->summarised_at <= now - HOURS(RENEW_HOURS) && facts->captured_at > facts->summarised_at;
    bool closing = facts->closed && facts->closed_at > facts->summarised_at;
    return never || old || closing ? NULL : "summary_recent";
}

/* ---- the template ------------------------------------------------------------------------------------------------ */

struct counted {
    struct str name;
    int64_t    n;
    size_t     order;
};
typedef VEC(struct counted) counts;

static void count(struct arena *arena, counts *list, struct str name)
{
    if (!name.n) return;
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->at[i].name, name)) {
            list->at[i].n++;
            return;
        }
    *VEC_PUSH(arena, list) = (struct counted){name, 1, list->n};
}

static int most_first(const void *pa, const void *pb)
{
    const struct counted *a = pa, *b = pb;
    if (a->n != b->n) return a->n < b->n ? 1 : -1;
    return (a->order > b->order) - (a->order < b->order);
}

static size_t best(counts *list, struct str *names)
{
    if (list->n > 1) qsort(list->at, list->n, sizeof *list->at, most_first);
    size_t n = list->n < LLM_MAX_KEYS ? list->n : LLM_MAX_KEYS;
    for (size_t i = 0; i < n; i++) names[i] = list->at[i].name;
    return n;
}

static void count_topics(struct arena *arena, const struct cluster_member *member, counts *list)
{
    const json_value *topics;
    int64_t           left = member->content_topics;
    if (json_parse(arena, member->topics, &topics)) return;
    for (struct json_iter it = json_iter(topics); left > 0 && json_step(&it); left--)
        count(arena, list, json_str(it.value, ""));
}

/* Of the newest member's type: is this how work ends? */
static bool ends(struct str source_type)
{
    static const char *const endings[] = {".merged", ".closed", ".resolved"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (str_ends(source_type, str_of(endings[i]))) return true;
    return str_starts(source_type, STR("release."));
}

static const char *status_of(const struct cluster_member *newest, int64_t now)
{
    if (ends(newest->source_type)) return "completed";
    return now - newest->shown.occurred_at < HOURS(ACTIVE_HOURS) ? "active" : "stalled";
}

static void add_names(struct buf *text, const char *lead, const struct str *names, size_t n)
{
    if (!n) return;
    buf_printf(text, "%s", lead);
    for (size_t i = 0; i < n && i < NAMES_SHOWN; i++) buf_printf(text, "%s" STR_FMT, i ? ", " : "", STR_ARG(names[i]));
}

static bool more_significant(const struct cluster_member *a, const struct cluster_member *b)
{
    return a->score != b->score ? a->score > b->score : a->shown.occurred_at > b->shown.occurred_at;
}

static void add_titles(struct arena *arena, struct buf *text, const struct cluster_facts *facts)
{
    const struct cluster_member *top[TITLES + 1];
    size_t                       n = 0;
    for (size_t i = 0; i < facts->member_count; i++) {
        size_t at = n;
        while (at > 0 && more_significant(&facts->members[i], top[at - 1])) at--;
        memmove(top + at + 1, top + at, (n - at) * sizeof *top);
        top[at] = &facts->members[i];
        if (n < TITLES) n++;
    }
    buf_lit(text, ". Most significant: ");
    for (size_t i = 0; i < n; i++) {
        struct str title = utf8_shorten(arena, top[i]->shown.title, TITLE_SHOWN);
        buf_printf(text, "%s\"" STR_FMT "\"", i ? "; " : "", STR_ARG(title));
    }
}

static struct str day_of(struct arena *arena, int64_t time)
{
    return str_slice(time_format(arena, time), 0, strlen("2026-02-03"));
}

void cluster_summary_template(struct arena *arena, const struct cluster_facts *facts, int64_t now,
                              struct llm_summary *summary)
{
    counts     topics = {0}, people = {0};
    struct buf text = buf_in(arena);
    struct str from = day_of(arena, facts->first), to = day_of(arena, facts->last);
    for (size_t i = 0; i < facts->member_count; i++) {
        count_topics(arena, &facts->members[i], &topics);
        count(arena, &people, facts->members[i].shown.actor);
    }
    *summary = (struct llm_summary){.status = status_of(&facts->members[0], now)};
    summary->topic_count = best(&topics, summary->topics);
    summary->contributor_count = best(&people, summary->contributors);
    buf_printf(&text, "%lld events ", (long long)facts->count);
    if (str_eq(from, to))
        buf_printf(&text, "on " STR_FMT, STR_ARG(from));
    else
        buf_printf(&text, "from " STR_FMT " to " STR_FMT, STR_ARG(from), STR_ARG(to));
    add_names(&text, " by ", summary->contributors, summary->contributor_count);
    add_names(&text, ". Topics: ", summary->topics, summary->topic_count);
    add_titles(arena, &text, facts);
    buf_char(&text, '.');
    summary->text = utf8_shorten(arena, buf_str(&text), LONGEST_TEXT);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct err *cluster_summary_write(struct db_tx *tx, int64_t workspace, int64_t id, const struct llm_summary *summary)
{
    return db_exec(
        tx,
        "UPDATE cluster SET summary = $3, key_topics = $4, key_contributors = $5, activity_status = $6, "
        "summary_generated_at = $7, topic_label = COALESCE($8, topic_label) WHERE workspace_id = $1 AND id = $2",
        workspace, id, summary->text, memory_json_list(tx->arena, summary->topics, summary->topic_count),
        memory_json_list(tx->arena, summary->contributors, summary->contributor_count), summary->status, time_now(),
        summary->topic_count ? summary->topics[0] : (struct str){0});
}
