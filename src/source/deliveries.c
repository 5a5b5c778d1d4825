/* deliveries.c - the log of what was received, and taking a stored payload through again. */
#include "source/inbox.h"

#include "base/id.h"
#include "base/time.h"

enum { LIST_MAX = 101, COUNTED = 10000 };

#define COLUMNS(source_id)                                                                                         \
    "SELECT d.id, d.public_id, d.source, d.event, d.action, d.delivery_id, d.outcome, d.reason, d.error, "         \
    "d.replay_of, d.headers, " source_id ", d.received_at, d.http_status "
#define SHARED                                                                                                     \
    "FROM inbound_delivery_share h JOIN inbound_delivery d ON d.id = h.delivery "                                  \
    "LEFT JOIN source s ON s.workspace_id = h.workspace_id AND s.id = h.source_id "

static bool next_delivery(struct db_rows *rows, struct source_delivery_record *d)
{
    *d = (struct source_delivery_record){0};
    return db_next(rows, &d->id, &d->public_id, &d->source, &d->event, &d->action, &d->delivery_id, &d->outcome, &d->reason,
                   &d->error, &d->replay_of, &d->headers, &d->source_id, &d->received_at, &d->http_status);
}

static struct err *all_deliveries(struct db_rows *rows, struct source_delivery_record **deliveries, size_t *count)
{
    VEC(struct source_delivery_record) found = {0};
    struct source_delivery_record one;
    while (next_delivery(rows, &one)) *VEC_PUSH(rows->tx->arena, &found) = one;
    *deliveries = found.at;
    *count = found.n;
    return db_done(rows);
}

#define FITTING                                                                                                    \
    "WHERE ($1 = '' OR d.source = $1) AND ($2 = '' OR d.outcome = $2) AND ($3 = '' OR d.event = $3) "              \
    "AND d.received_at >= $4 AND d.received_at < $5 AND ($6 = 0 OR d.replay_of IS NULL) AND d.id < $7 "
#define FITTING_OF(filter)                                                                                         \
    given((filter).source), given((filter).outcome), given((filter).event), (filter).from, before((filter).to),    \
        (filter).originals, before((filter).before)
#define OF_WORKSPACE "AND h.workspace_id = $9 AND h.delivery < $7 AND ($10 = '' OR s.public_id = $10) "

static struct str given(struct str text) { return text.s ? text : STR(""); }
static int64_t before(int64_t bound) { return bound > 0 ? bound : INT64_MAX; }

struct err *source_delivery_list(struct db_tx *tx, int64_t workspace, struct source_delivery_filter filter,
                                 struct source_delivery_record **deliveries, size_t *count)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, COLUMNS("s.public_id") SHARED FITTING OF_WORKSPACE "ORDER BY h.delivery DESC LIMIT $8",
                 FITTING_OF(filter), filter.limit < LIST_MAX ? filter.limit : LIST_MAX, workspace,
                 given(filter.source_id)));
    return all_deliveries(&rows, deliveries, count);
}

struct err *source_delivery_total(struct db_tx *tx, int64_t workspace, struct source_delivery_filter filter, int64_t most,
                                  int64_t *count, int64_t *newest)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT COUNT(*), COALESCE(MAX(id), 0) FROM (SELECT d.id "
                 SHARED FITTING OF_WORKSPACE "ORDER BY h.delivery DESC LIMIT $8) AS fitting",
                 FITTING_OF(filter), most, workspace, given(filter.source_id)));
    (void)db_next(&rows, count, newest);
    return db_done(&rows);
}

struct err *source_delivery_list_unclaimed(struct db_tx *tx, struct source_delivery_filter filter,
                                           struct source_delivery_record **deliveries, size_t *count)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 COLUMNS("NULL") "FROM inbound_delivery d "
                 FITTING "AND NOT EXISTS (SELECT 1 FROM inbound_delivery_share h WHERE h.delivery = d.id) "
                 "ORDER BY d.id DESC LIMIT $8",
                 FITTING_OF(filter), filter.limit < LIST_MAX ? filter.limit : LIST_MAX));
    return all_deliveries(&rows, deliveries, count);
}

struct err *source_delivery_counts(struct db_tx *tx, int64_t workspace, int64_t since,
                                   struct source_delivery_count **counts, size_t *count)
{
    VEC(struct source_delivery_count) found = {0};
    struct source_delivery_count one;
    struct db_rows rows;
    TRY(db_query(tx, &rows,
                 "SELECT h.source_id, COUNT(*), SUM(CASE WHEN d.outcome = 'failed' THEN 1 ELSE 0 END) "
                 "FROM (SELECT delivery, source_id FROM inbound_delivery_share WHERE workspace_id = $1 "
                 "ORDER BY delivery DESC LIMIT $3) h JOIN inbound_delivery d ON d.id = h.delivery "
                 "WHERE d.received_at >= $2 GROUP BY h.source_id",
                 workspace, since, (int)COUNTED));
    while (db_next(&rows, &one.source, &one.total, &one.failed)) *VEC_PUSH(tx->arena, &found) = one;
    *counts = found.at;
    *count = found.n;
    return db_done(&rows);
}

/* The delivery that came with the payload: a replay has none of its own. */
static struct str origin_of(const struct source_delivery_record *delivery)
{
    return delivery->replay_of.n ? delivery->replay_of : delivery->public_id;
}

static struct err *read_payload(struct db_tx *tx, int64_t workspace, struct source_delivery_record *delivery)
{
    struct db_rows rows;
    struct bytes   packed;
    int64_t        size;
    TRY(db_query(tx, &rows,
                 "SELECT p.payload, p.payload_bytes FROM inbound_delivery d JOIN ingestion_payload p ON p.delivery = d.id "
                 "WHERE d.public_id = $2 AND p.workspace_id = $1",
                 workspace, origin_of(delivery)));
    bool kept = db_next(&rows, &packed, &size);
    TRY(db_done(&rows));
    return kept ? payload_unpack(tx->arena, packed, size, &delivery->payload) : NULL;
}

struct err *source_delivery_find(struct db_tx *tx, int64_t workspace, struct str public_id,
                                 struct source_delivery_record *delivery)
{
    struct db_rows rows;
    TRY(db_query(tx, &rows, COLUMNS("s.public_id") SHARED "WHERE h.workspace_id = $1 AND d.public_id = $2", workspace,
                 public_id));
    bool found = next_delivery(&rows, delivery);
    TRY(db_done(&rows));
    if (!found) return err_new(tx->arena, ERR_NOT_FOUND, "Delivery not found");
    return read_payload(tx, workspace, delivery);
}

struct err *source_delivery_failed(struct db_tx *tx, int64_t workspace, struct str public_id, struct str error)
{
    return db_exec(tx,
                   "UPDATE inbound_delivery SET outcome = 'failed', reason = 'capture_failed', error = $3 "
                   "WHERE public_id = $2 AND id IN (SELECT delivery FROM inbound_delivery_share WHERE workspace_id = $1)",
                   workspace, public_id, error);
}

/* ---- replay -------------------------------------------------------------------------------------------------------- */

static struct str stored_header(void *arg, const char *name)
{
    return json_str(json_member(arg, str_of(name)), "");
}

struct err *inbox_read_again(struct arena *arena, const struct source_delivery_record *stored,
                             struct source_delivery *delivery)
{
    const json_value     *headers;
    enum source_provider  provider;
    TRY(json_parse(arena, stored->headers, &headers));
    if (!source_provider_parse(stored->source, &provider))
        return err_new(arena, ERR_CONFLICT, "The provider is no longer known");
    struct source_request request = {.provider = provider, .body = stored->payload, .header = stored_header, .arg = (void *)headers};
    struct source_delivery_options options = {stored->received_at, DAYS(36500)};
    if (source_delivery_read(arena, &request, options, delivery))
        return err_new(arena, ERR_CONFLICT, "The stored payload cannot be read");
    delivery->id = stored->delivery_id;
    return NULL;
}

struct err *source_delivery_replay(const struct source_inbox *inbox, struct db_tx *tx, int64_t workspace,
                                   struct str public_id, struct str *fresh)
{
    struct source_delivery_record stored;
    struct source_delivery        delivery;
    struct candidate              candidate;
    struct candidates             candidates = {0};
    int64_t                       id = 0;
    TRY(source_delivery_find(tx, workspace, public_id, &stored));
    if (!stored.payload.s) return err_new(tx->arena, ERR_CONFLICT, "The payload is no longer kept");
    TRY(inbox_read_again(tx->arena, &stored, &delivery));
    TRY(match_address(tx, delivery.provider, stored.source_id, &candidate));
    if (!candidate.source.active) return err_new(tx->arena, ERR_CONFLICT, "The source is not connected");
    *VEC_PUSH(tx->arena, &candidates) = candidate;
    *fresh = id_new(tx->arena, "dlv_");
    inbox_transform(inbox, tx->arena, &delivery, stored.received_at, *fresh, &candidates);
    struct verdict verdict = inbox_verdict(&candidates, SOURCE_NOT_CONNECTED);
    struct logged_delivery logged = {.public_id = *fresh,
                                     .address = STR(""),
                                     .headers = stored.headers,
                                     .replay_of = origin_of(&stored),
                                     .received_at = time_now(),
                                     .status = 200,
                                     .outcome = verdict.outcome,
                                     .reason = verdict.reason == SOURCE_CAPTURED ? NULL : source_reason_name(verdict.reason)};
    TRY(inbox_log(inbox, tx, &delivery, &logged, &id));
    return inbox_send(tx, id, *fresh, &candidates, true);
}
