/* inbound.h - what comes in from elsewhere: routes and requests of sources, webhooks, events and the delivery log. */
#pragma once
#include "api/call.h"
#include "source/receive.h"

struct api_source_body {
    int        type; /* enum source_provider */
    struct str name, resource_id, secret;
    const json_value *events;
    bool       shared;
};
struct api_source_events_body { const json_value *events; };
struct api_source_sync_body { const json_value *sync; };
struct api_secret_body { int64_t grace_seconds; };
extern const struct api_field api_source_fields[], api_source_events_fields[], api_source_sync_fields[], api_secret_fields[];

/* What is known of all sources of a workspace besides their rows. */
struct api_source_facts {
    struct activity_health health;
    struct source_delivery_count *deliveries;
    size_t n;
};
MUST_CHECK struct err *api_source_facts(struct db_tx *tx, int64_t workspace, struct api_source_facts *facts);
/* The fields of a source, into an open object. */
void api_put_source(struct json_out *out, const struct app *app, const struct source_record *source,
                    const struct api_source_facts *facts);
/* How many sources there are: byType and total, into an open object. */
MUST_CHECK struct err *api_put_source_totals(struct json_out *out, struct db_tx *tx, int64_t workspace);
/* metrics.c: one more delivery; refusal NULL: taken. */
void api_metrics_delivery(struct api_metrics *metrics, enum source_provider provider,
                          const struct source_answer_to_post *answer);

struct err *api_webhook(struct api_call *call);
struct err *api_events_ingest(struct api_call *call);
/* The same for requests that are answered by whoever has stored what they bring: no thread waits for the disk. call and
 * request are not the caller's any more. */
void api_webhook_later(struct api_call *call);
void api_events_ingest_later(struct api_call *call);
/* A delivery larger than any provider's: it is counted, nobody reads it. */
void        api_webhook_too_large(struct api_call *call);
struct err *api_webhook_status(struct api_call *call);
size_t      api_events_limit(const struct app *app); /* bytes of its body, unpacked */
struct err *api_ingested_get(struct api_call *call);
struct err *api_source_list(struct api_call *call);
struct err *api_source_get(struct api_call *call);
struct err *api_source_add(struct api_call *call);
struct err *api_source_set(struct api_call *call);
struct err *api_source_set_events(struct api_call *call);
struct err *api_source_secret(struct api_call *call);
struct err *api_source_remove(struct api_call *call);
struct err *api_delivery_list(struct api_call *call);
struct err *api_delivery_get(struct api_call *call);
struct err *api_delivery_replay(struct api_call *call);
struct err *api_delivery_bulk(struct api_call *call);
struct err *api_delivery_list_unclaimed(struct api_call *call);
struct err *api_event_list(struct api_call *call);
