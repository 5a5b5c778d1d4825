/* receive.c - a delivery from its bytes to the answer: verify, read, route, transform, and one transaction that stores
 * it and sends what it captures. */
#include "source/inbox.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"
#include "flow/flow.h"

#include <stdatomic.h>

enum { REFUSED_A_DAY = 1000, ADDRESS_CHARS = 64, SEEN_EVERY_MS = 60000 };

/* ---- transform ----------------------------------------------------------------------------------------------------- */

static struct source_context context_of(const struct source_inbox *inbox, struct arena *arena,
                                        const struct source_delivery *delivery, int64_t received_at,
                                        const struct candidate *candidate)
{
    const struct source_record *source = &candidate->source;
    return (struct source_context){
        .closing = source_closing_create(arena),
        .delivery_id = delivery->id,
        .received_at = received_at,
        .provider_time = delivery->provider_time,
        .web_url = inbox->web_url[delivery->provider],
        .id_name = json_str(candidate->config, "idName"),
        /* one known by name alone goes on by its name: the subscription filter finds it by that */
        .resource_id = candidate->learned_id.n ? candidate->learned_id : source->resource_id,
        .default_branch = json_str(candidate->config, "defaultBranch"),
        .project_name = json_str(candidate->config, "projectName"),
        .organization = json_str(candidate->config, "organization"),
        .sync = json_get(candidate->config, "sync"),
    };
}

static struct str capture_data(struct arena *arena, const struct candidate *candidate, struct str replay)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "workspaceId", candidate->workspace_id);
    json_put(&out, "orgId", candidate->org_id);
    json_put(&out, "sourceId", candidate->source.public_id);
    json_put(&out, "ingestionSource", "webhook");
    if (replay.n) json_put(&out, "replay", replay);
    source_event_write(&out, "sourceEvent", &candidate->event);
    json_end(&out);
    return json_out_text(&out);
}

static bool better(const struct candidate *one, const struct candidate *other)
{
    bool wanted = one->reason == SOURCE_CAPTURED && source_category_wanted(json_get(one->config, "sync"), one->category);
    bool before = other->reason == SOURCE_CAPTURED && source_category_wanted(json_get(other->config, "sync"), other->category);
    return wanted && !before;
}

void inbox_transform(const struct source_inbox *inbox, struct arena *arena, const struct source_delivery *delivery,
                     int64_t received_at, struct str replay, struct candidates *candidates)
{
    size_t kept = 0;
    for (size_t i = 0; i < candidates->n; i++) {
        struct candidate     *candidate = &candidates->at[i];
        struct source_context context = context_of(inbox, arena, delivery, received_at, candidate);
        candidate->reason = source_transform(arena, delivery->provider, delivery->event, delivery->payload, &context,
                                             &candidate->event, &candidate->category);
        candidate->item = items_read(arena, delivery, &context);
        size_t same = 0;
        while (same < kept && candidates->at[same].source.workspace != candidate->source.workspace) same++;
        if (same == kept) candidates->at[kept++] = *candidate;
        else if (better(candidate, &candidates->at[same])) candidates->at[same] = *candidate;
    }
    candidates->n = kept;
    for (size_t i = 0; i < kept; i++)
        if (candidates->at[i].reason == SOURCE_CAPTURED)
            candidates->at[i].data = capture_data(arena, &candidates->at[i], replay);
}

struct verdict inbox_verdict(const struct candidates *candidates, enum source_reason none)
{
    struct verdict verdict = {"skipped", candidates->n ? candidates->at[0].reason : none};
    for (size_t i = 0; i < candidates->n; i++) {
        enum source_reason reason = candidates->at[i].reason;
        if (reason == SOURCE_CAPTURED) return (struct verdict){"processed", reason};
        if (reason == SOURCE_INVALID_EVENT) verdict = (struct verdict){"failed", reason};
    }
    return verdict;
}

/* ---- storing ------------------------------------------------------------------------------------------------------- */

struct err *inbox_log(const struct source_inbox *inbox, struct db_tx *tx, const struct source_delivery *delivery,
                      const struct logged_delivery *logged, int64_t *id)
{
    struct seen_keys keys = seen_keys(delivery);
    TRY(db_exec(tx,
                "INSERT INTO inbound_delivery (public_id, source, address, delivery_id, event, action, installation_id, "
                "repository_id, body_digest, headers, received_at, http_status, outcome, reason, replay_of, id_key, "
                "body_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
                "CASE WHEN $13 = 'processed' THEN CAST($16 AS BIGINT) END, "
                "CASE WHEN $13 = 'processed' THEN CAST($17 AS BIGINT) END)",
                logged->public_id, source_provider_name(delivery->provider), logged->address.n ? logged->address : STR(""),
                delivery->id, delivery->event, delivery->action, delivery->installation_id, delivery->repository_id,
                delivery->body_digest, logged->headers, logged->received_at, logged->status, logged->outcome,
                logged->reason, logged->replay_of, keys.id, keys.body));
    *id = db_inserted(tx);
    return strcmp(logged->outcome, "processed") == 0 ? seen_add(tx, inbox->seen, delivery, *id) : NULL;
}

static struct err *note_delivery(struct db_tx *tx, const struct candidate *candidate)
{
    const struct source_record *source = &candidate->source;
    int64_t now = time_now();
    if (now - source->last_delivery_at < SEEN_EVERY_MS) return NULL;
    return db_exec(tx, "UPDATE source SET last_delivery_at = $3 WHERE workspace_id = $1 AND id = $2", source->workspace,
                   source->id, now);
}

struct err *inbox_share(struct db_tx *tx, int64_t delivery, const struct source_record *source)
{
    return db_exec(tx, "INSERT INTO inbound_delivery_share (workspace_id, delivery, source_id) VALUES ($1, $2, $3)",
                   source->workspace, delivery, source->id);
}

struct err *inbox_send(struct db_tx *tx, int64_t delivery, struct str public_id, const struct candidates *candidates,
                       bool manual)
{
    for (size_t i = 0; i < candidates->n; i++) {
        const struct candidate *candidate = &candidates->at[i];
        TRY(inbox_share(tx, delivery, &candidate->source));
        TRY(match_learn(tx, candidate));
        TRY(items_store(tx, candidate));
        TRY(note_delivery(tx, candidate));
        if (candidate->reason != SOURCE_CAPTURED) continue;
        TRY(flow_send(tx, .workspace = candidate->source.workspace, .name = STR("neural/observation.capture"),
                      .id = public_id, .data = candidate->data, .cause = manual ? FLOW_MANUAL : FLOW_WEBHOOK,
                      .later = !manual /* who replays is told the job */));
    }
    return NULL;
}

struct reception {
    const struct source_inbox *inbox;
    const struct source_post *post;
    struct source_delivery    delivery;
    bool                       is_change;
    struct source_state_change change;
    struct candidates          candidates;
    struct verdict             verdict;
    struct logged_delivery     logged;
    struct bytes               packed;
    bool                       duplicate;
    struct source_answer_to_post answer;
    struct arena              *arena; /* with the next two: of source_receive_later */
    source_received            done;
    void                      *done_arg;
};

static struct err *store_payloads(struct db_tx *tx, const struct reception *reception, int64_t delivery)
{
    for (size_t i = 0; i < reception->candidates.n; i++) {
        const struct candidate *candidate = &reception->candidates.at[i];
        if (candidate->reason != SOURCE_CAPTURED && candidate->reason != SOURCE_INVALID_EVENT) continue;
        struct payload payload = {.workspace = candidate->source.workspace,
                                  .delivery = delivery,
                                  .source = candidate->source.type,
                                  .delivery_id = reception->delivery.id,
                                  .event = reception->delivery.event,
                                  .packed = reception->packed,
                                  .size = reception->post->request.body.n,
                                  .headers = reception->logged.headers,
                                  .received_at = reception->logged.received_at};
        TRY(payload_store(tx, &payload));
    }
    return NULL;
}

static struct err *write_reception(struct db_tx *tx, void *arg)
{
    struct reception *reception = arg;
    int64_t           id = 0;
    TRY(seen_find(tx, reception->inbox->seen, &reception->delivery, reception->logged.address, reception->logged.received_at,
                  &reception->duplicate));
    if (reception->duplicate) return NULL;
    TRY(inbox_log(reception->inbox, tx, &reception->delivery, &reception->logged, &id));
    if (reception->is_change) {
        struct change_place place = {id, reception->logged.received_at, reception->logged.address};
        return changes_apply(tx, &reception->delivery, &place, &reception->change);
    }
    TRY(store_payloads(tx, reception, id));
    return inbox_send(tx, id, reception->logged.public_id, &reception->candidates, false);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------ */

struct refusal_record {
    const struct source_inbox   *inbox;
    const struct source_post    *post;
    const struct source_refusal *refusal;
};

static struct err *write_refusal(struct db_tx *tx, void *arg)
{
    const struct refusal_record *record = arg;
    const struct source_request *request = &record->post->request;
    struct db_rows rows;
    int64_t        today = 0, id;
    TRY(db_query(tx, &rows, "SELECT COUNT(*) FROM inbound_delivery WHERE outcome = 'rejected' AND received_at > $1",
                 record->post->received_at - DAYS(1)));
    (void)db_next(&rows, &today);
    TRY(db_done(&rows));
    if (today >= REFUSED_A_DAY) return NULL;
    struct source_delivery delivery = {.provider = request->provider, .id = STR(""), .event = STR(""), .body_digest = STR("")};
    struct logged_delivery logged = {.public_id = id_new(tx->arena, "dlv_"),
                                     .address = utf8_head(utf8_repair(tx->arena, record->post->address), ADDRESS_CHARS), /* it may be anything */
                                     .headers = payload_headers(tx->arena, request),
                                     .received_at = record->post->received_at,
                                     .status = record->refusal->status,
                                     .outcome = "rejected",
                                     .reason = record->refusal->code};
    return inbox_log(record->inbox, tx, &delivery, &logged, &id);
}

/* Nobody can fill the disk, or keep it busy, without a signature: this many attempts a day are worth a row. */
static bool may_log_refusal(int64_t now)
{
    static _Atomic int64_t day, attempts; /* of this process */
    int64_t today = now / DAYS(1), before = atomic_load(&day);
    if (before != today && atomic_compare_exchange_strong(&day, &before, today)) atomic_store(&attempts, 0);
    return atomic_fetch_add(&attempts, 1) < REFUSED_A_DAY;
}

static struct err *refuse(const struct source_inbox *inbox, struct arena *arena, const struct source_post *post,
                          const struct source_refusal *refusal, struct source_answer_to_post *answer)
{
    struct refusal_record record = {inbox, post, refusal};
    answer->refusal = refusal;
    return may_log_refusal(post->received_at) ? db_write(inbox->db, arena, write_refusal, &record) : NULL;
}

/* ---- the order of work --------------------------------------------------------------------------------------------- */

/* *own: the source whose address it is; as it was if it is the instance's. */
static struct err *find_secrets(const struct source_inbox *inbox, struct db_tx *tx, const struct source_post *post,
                                struct candidate *own, struct source_secrets *secrets)
{
    *secrets = (struct source_secrets){0};
    if (!post->address.n) {
        for (size_t i = 0; i < 2; i++) secrets->at[secrets->n++] = inbox->secrets[post->request.provider][i];
        return NULL;
    }
    uint64_t version = addresses_version(inbox->addresses);
    if (addresses_recall(inbox->addresses, tx->arena, post->request.provider, post->address, own, secrets))
        return match_read_config(tx->arena, own);
    TRY(match_address(tx, post->request.provider, post->address, own));
    if (str_eq(own->source.inactive_reason, STR(SOURCE_REMOVED)))
        return err_new(tx->arena, ERR_NOT_FOUND, "Source not found"); /* nobody is to try again */
    TRY(source_open_secrets(tx, inbox->keys, post->address, secrets));
    addresses_remember(inbox->addresses, version, post->request.provider, own, secrets);
    return NULL;
}

/* What can be found out without writing. */
static struct err *read_reception(const struct source_inbox *inbox, struct arena *arena, struct reception *reception,
                                  const struct source_refusal **refusal)
{
    const struct source_post *post = reception->post;
    struct source_secrets     secrets;
    struct candidate          own;
    enum source_reason        none = SOURCE_NOT_CONNECTED;
    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin_late(inbox->db, arena, &tx)); /* most of what is needed may be known */
    TRY(find_secrets(inbox, tx, post, &own, &secrets));
    struct source_request limited = post->request;
    limited.max_body = inbox->max_body;
    *refusal = source_signature_check(&limited, secrets.at, secrets.n);
    if (post->address.n)
        for (size_t i = 0; i < secrets.n; i++) crypto_wipe((void *)secrets.at[i].s, secrets.at[i].n);
    if (*refusal) return NULL;
    struct source_delivery_options options = {post->received_at, inbox->max_age[post->request.provider]};
    *refusal = source_delivery_read(arena, &post->request, options, &reception->delivery);
    if (*refusal) return NULL;
    reception->is_change = source_state_change_find(arena, &reception->delivery, &reception->change);
    if (reception->is_change) {
        reception->verdict = (struct verdict){"processed", SOURCE_CAPTURED};
        return NULL;
    }
    TRY(match_candidates(tx, &reception->delivery, post->address.n ? &own : NULL, &reception->candidates, &none));
    db_read_end(&tx);
    inbox_transform(inbox, arena, &reception->delivery, post->received_at, (struct str){0}, &reception->candidates);
    reception->verdict = inbox_verdict(&reception->candidates, none);
    return NULL;
}

/* All that needs no writing; *ends if the answer is there already. */
static struct err *begin(const struct source_inbox *inbox, struct arena *arena, struct reception *reception, bool *ends)
{
    const struct source_post       *post = reception->post;
    const struct source_refusal    *refusal = NULL;
    struct source_answer_to_post   *answer = &reception->answer;
    *ends = true;
    reception->logged = (struct logged_delivery){.address = post->address.n ? post->address : STR(""),
                                                 .received_at = post->received_at,
                                                 .status = 200};
    struct err *err = read_reception(inbox, arena, reception, &refusal);
    if (err && err->code == ERR_NOT_FOUND) refusal = &source_refusals.unknown_address;
    else TRY(err);
    if (refusal) return refuse(inbox, arena, post, refusal, answer);
    enum source_reason reason = reception->verdict.reason;
    reception->logged.public_id = id_new(arena, "dlv_");
    reception->logged.headers = payload_headers(arena, &post->request);
    reception->logged.outcome = reception->verdict.outcome;
    reception->logged.reason = reason == SOURCE_CAPTURED ? NULL : source_reason_name(reason);
    if (reception->candidates.n) reception->packed = payload_pack(arena, post->request.body);
    *ends = false;
    return NULL;
}

static void conclude(struct arena *arena, struct reception *reception)
{
    struct source_answer_to_post *answer = &reception->answer;
    bool ping = source_delivery_is_ping(&reception->delivery); /* of no event that is handled, and still what was hoped for */
    answer->duplicate = reception->duplicate;
    answer->body = reception->duplicate ? source_answer_duplicate()
                   : ping               ? source_answer_ping()
                                        : source_answer(arena, reception->verdict.reason);
}

struct err *source_receive(const struct source_inbox *inbox, struct arena *arena, const struct source_post *post,
                           struct source_answer_to_post *answer)
{
    struct reception reception = {.inbox = inbox, .post = post};
    bool ends;
    TRY(begin(inbox, arena, &reception, &ends));
    if (!ends) {
        TRY(db_write(inbox->db, arena, write_reception, &reception));
        conclude(arena, &reception);
    }
    *answer = reception.answer;
    return NULL;
}

static void stored(void *arg, struct err *err)
{
    struct reception *reception = arg;
    if (!err) conclude(reception->arena, reception);
    reception->done(reception->done_arg, err, &reception->answer);
}

void source_receive_later(const struct source_inbox *inbox, struct arena *arena, const struct source_post *post,
                          source_received done, void *arg)
{
    bool ends;
    struct reception *reception = NEW(arena, struct reception);
    *reception = (struct reception){.inbox = inbox, .post = post, .arena = arena, .done = done, .done_arg = arg};
    struct err *err = begin(inbox, arena, reception, &ends);
    if (err || ends) done(arg, err, &reception->answer);
    else db_write_later(inbox->db, arena, write_reception, reception, stored);
}
