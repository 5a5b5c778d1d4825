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

struct err *api_webhook(struct api_call *call);
struct err *api_webhook_status(struct api_call *call);
struct err *api_events_ingest(struct api_call *call);
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
