/* delivery.c - is a request genuine, and what does it deliver: signatures, event keys, delivery ids, ages
 * (spec/connector-github.md 2, connectors-other.md 1). */
#include "source/outline.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"

#include <assert.h>

enum { MIB = 1024 * 1024, MAX_SECRETS = 8, MAX_DELIVERY_ID = 191, MAX_FACT = 191, FUTURE_MS = 60000, DIGEST_HEAD = 32 };

const struct source_refusal_list source_refusals = {
    .not_configured = {503, "NOT_CONFIGURED", "No webhook secret is configured"},
    .missing_payload = {401, "MISSING_PAYLOAD", "The request has no body"},
    .unknown_address = {404, "NOT_FOUND", "Source not found"},
    .too_large = {413, "PAYLOAD_TOO_LARGE", "The payload is too large"},
    .missing_signature = {401, "MISSING_SIGNATURE", "The signature header is missing"},
    .invalid_signature = {401, "INVALID_SIGNATURE", "The signature does not match the payload"},
    .missing_event = {400, "MISSING_EVENT", "The event header is missing"},
    .invalid_json = {400, "INVALID_JSON", "The payload is not a JSON object"},
    .timestamp_invalid = {401, "TIMESTAMP_INVALID", "The delivery's timestamp is missing, unreadable or in the future"},
    .timestamp_too_old = {401, "TIMESTAMP_TOO_OLD", "The delivery is too old"},
};

// clang-format off
static const char *const github_headers[] = {
    "user-agent", "content-type", "x-forwarded-for", "x-github-delivery", "x-github-event", "x-github-hook-id",
    "x-github-hook-installation-target-id", "x-github-hook-installation-target-type", "x-hub-signature-256", NULL};
static const char *const vercel_headers[] = {
    "user-agent", "content-type", "x-forwarded-for", "x-vercel-signature", "x-vercel-id", NULL};
static const char *const linear_headers[] = {
    "user-agent", "content-type", "x-forwarded-for", "linear-signature", "linear-delivery", "linear-event", NULL};
static const char *const sentry_headers[] = {
    "user-agent", "content-type", "x-forwarded-for", "sentry-hook-signature", "sentry-hook-timestamp", "request-id",
    "sentry-hook-resource", NULL};

static struct str github_event(struct arena *arena, const struct source_request *request, const json_value *payload);
static struct str vercel_event(struct arena *arena, const struct source_request *request, const json_value *payload);
static struct str linear_event(struct arena *arena, const struct source_request *request, const json_value *payload);
static struct str sentry_event(struct arena *arena, const struct source_request *request, const json_value *payload);
static struct str github_id(struct arena *arena, const struct source_request *request, const json_value *payload);
static struct str vercel_id(struct arena *arena, const struct source_request *request, const json_value *payload);
static struct str linear_id(struct arena *arena, const struct source_request *request, const json_value *payload);
static struct str sentry_id(struct arena *arena, const struct source_request *request, const json_value *payload);
static bool linear_time(const struct source_request *request, const json_value *payload, int64_t *ms);
static bool sentry_time(const struct source_request *request, const json_value *payload, int64_t *ms);

static const struct provider_row {
    size_t             max_body;
    const char        *signature;       /* header; hex digits of any case */
    enum crypto_digest digest;
    const char        *prefix;          /* may stand before the digits */
    const char        *event_header;    /* its absence is refused; NULL: the event is in the body */
    struct str (*event)(struct arena *arena, const struct source_request *request, const json_value *payload);
    struct str (*id)(struct arena *arena, const struct source_request *request, const json_value *payload);
    bool       (*time)(const struct source_request *request, const json_value *payload, int64_t *ms); /* NULL: none */
    const char *const *headers;
} providers[SOURCE_PROVIDERS] = {
    [SOURCE_GITHUB] = {25 * MIB, "x-hub-signature-256",   CRYPTO_SHA256, "sha256=", "x-github-event",
                       github_event, github_id, NULL,        github_headers},
    [SOURCE_VERCEL] = {5 * MIB,  "x-vercel-signature",    CRYPTO_SHA1,   "",        NULL,
                       vercel_event, vercel_id, NULL,        vercel_headers},
    [SOURCE_LINEAR] = {5 * MIB,  "linear-signature",      CRYPTO_SHA256, "",        NULL,
                       linear_event, linear_id, linear_time, linear_headers},
    [SOURCE_SENTRY] = {5 * MIB,  "sentry-hook-signature", CRYPTO_SHA256, "",        NULL,
                       sentry_event, sentry_id, sentry_time, sentry_headers},
};
// clang-format on

static const struct provider_row *row_of(enum source_provider provider)
{
    assert((unsigned)provider < SOURCE_PROVIDERS);
    return &providers[provider];
}

size_t source_provider_max_body(enum source_provider provider)
{
    return row_of(provider)->max_body;
}

const char *const *source_provider_headers(enum source_provider provider)
{
    return row_of(provider)->headers;
}

static struct str header(const struct source_request *request, const char *name)
{
    return str_trim(request->header(request->arg, name));
}

/* ---- signatures -------------------------------------------------------------------------------------------------- */

/* Its hex digits; {NULL, 0} if there is none. */
static struct str signature_of(const struct provider_row *row, const struct source_request *request)
{
    struct str signature = header(request, row->signature);
    if (!signature.n) return (struct str){NULL, 0};
    bool prefixed = *row->prefix && str_starts_nocase(signature, str_of(row->prefix));
    return prefixed ? str_skip(signature, strlen(row->prefix)) : signature;
}

/* Every secret is tried whatever the outcome of the one before, so that time tells nothing about which one matched. */
static bool signed_with_any(const struct provider_row *row, struct str body, const unsigned char *received,
                            const struct str *secrets, size_t count)
{
    bool genuine = false;
    for (size_t i = 0; i < count; i++) {
        unsigned char expected[CRYPTO_MAX_DIGEST];
        if (!secrets[i].n) continue;
        size_t n = crypto_hmac(row->digest, secrets[i], body, expected);
        genuine |= crypto_equal((struct str){(const char *)expected, n}, (struct str){(const char *)received, n});
        crypto_wipe(expected, sizeof expected);
    }
    return genuine;
}

const struct source_refusal *source_signature_check(const struct source_request *request, const struct str *secrets,
                                                    size_t secret_count)
{
    const struct provider_row *row = row_of(request->provider);
    unsigned char received[CRYPTO_MAX_DIGEST];
    bool configured = false;
    if (request->body.n > (request->max_body ? request->max_body : row->max_body)) return &source_refusals.too_large;
    if (secret_count > MAX_SECRETS) secret_count = MAX_SECRETS;
    for (size_t i = 0; i < secret_count; i++) configured |= secrets[i].n > 0;
    if (!configured) return &source_refusals.not_configured;
    if (!str_trim(request->body).n) return &source_refusals.missing_payload;
    struct str signature = signature_of(row, request);
    if (!signature.s) return &source_refusals.missing_signature;
    size_t n = row->digest == CRYPTO_SHA1 ? CRYPTO_SHA1_BYTES : CRYPTO_SHA256_BYTES;
    if (!crypto_hex_decode(signature, received, n) ||
        !signed_with_any(row, request->body, received, secrets, secret_count))
        return &source_refusals.invalid_signature;
    return NULL;
}

/* ---- event keys -------------------------------------------------------------------------------------------------- */

static struct str github_event(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    return header(request, "x-github-event");
}

static struct str vercel_event(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    return json_str(payload, "type");
}

static struct str linear_event(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    return str_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(json_str(payload, "type")),
                      STR_ARG(json_str(payload, "action")));
}

static struct str sentry_event(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    struct str resource = header(request, "sentry-hook-resource");
    if (!str_eq(resource, STR("issue")) && !str_eq(resource, STR("comment"))) return resource;
    return str_printf(arena, STR_FMT "." STR_FMT, STR_ARG(resource), STR_ARG(json_str(payload, "action")));
}

/* ---- delivery ids ------------------------------------------------------------------------------------------------ */

static struct str github_id(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    return header(request, "x-github-delivery");
}

static struct str vercel_id(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    return payload_text(arena, payload, "id");
}

static struct str linear_id(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    struct str id = header(request, "linear-delivery"), webhook = payload_text(arena, payload, "webhookId"),
               sent = payload_text(arena, payload, "webhookTimestamp");
    if (id.n || !webhook.n || !sent.n) return id;
    return str_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(webhook), STR_ARG(sent));
}

static struct str sentry_id(struct arena *arena, const struct source_request *request, const json_value *payload)
{
    return header(request, "request-id");
}

/* An id that cannot be stored and shown as it is counts as absent. */
static struct str usable_id(struct arena *arena, struct str id, struct str body)
{
    bool usable = id.n > 0 && id.n <= MAX_DELIVERY_ID;
    for (size_t i = 0; i < id.n && usable; i++) usable = id.s[i] > ' ' && id.s[i] < 0x7f;
    if (usable) return id;
    struct str digest = str_slice(crypto_sha256_hex(arena, body), 0, DIGEST_HEAD);
    return str_printf(arena, "sha256:" STR_FMT, STR_ARG(digest));
}

/* The signature is a digest of the body that has been computed already: another one would cost as much again. In one
 * case of letters, so that nobody makes another body of it by them. */
static struct str body_digest(struct arena *arena, const struct provider_row *row, const struct source_request *request)
{
    struct str signature = signature_of(row, request);
    return signature.n ? str_lower(arena, signature) : crypto_sha256_hex(arena, request->body);
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

static bool linear_time(const struct source_request *request, const json_value *payload, int64_t *ms)
{
    return payload_int(payload, "webhookTimestamp", ms) && *ms > 0;
}

static bool sentry_time(const struct source_request *request, const json_value *payload, int64_t *ms)
{
    return payload_time_text(header(request, "sentry-hook-timestamp"), ms);
}

static const struct source_refusal *check_age(const struct provider_row *row, const struct source_request *request,
                                              struct source_delivery_options options, struct source_delivery *delivery)
{
    int64_t max_age = options.max_age > 0 ? options.max_age : SECONDS(300);
    if (!row->time) return NULL;
    if (!row->time(request, delivery->payload, &delivery->provider_time) ||
        delivery->provider_time > options.received_at + FUTURE_MS)
        return &source_refusals.timestamp_invalid;
    return delivery->provider_time < options.received_at - max_age ? &source_refusals.timestamp_too_old : NULL;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static struct str form_decoded(struct arena *arena, struct str text)
{
    char *out = arena_alloc_raw(arena, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.s[i];
        int high = i + 2 < text.n ? hex_digit(text.s[i + 1]) : -1, low = i + 2 < text.n ? hex_digit(text.s[i + 2]) : -1;
        if (c == '%' && high >= 0 && low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[n++] = c;
    }
    return (struct str){out, n};
}

/* GitHub's webhooks come as application/x-www-form-urlencoded unless told otherwise: the JSON is the field payload. */
static struct str json_of(struct arena *arena, const struct source_request *request)
{
    struct str field;
    if (request->provider != SOURCE_GITHUB ||
        !str_starts_nocase(header(request, "content-type"), STR("application/x-www-form-urlencoded")))
        return request->body;
    for (struct str rest = request->body; str_cut(&rest, '&', &field);)
        if (str_starts(field, STR("payload="))) return form_decoded(arena, str_skip(field, 8));
    return (struct str){0};
}

/* What the log keeps of a delivery is no longer than what providers really send. */
static struct str fact(struct arena *arena, struct str text)
{
    return utf8_head(utf8_repair(arena, text), MAX_FACT);
}

/* Half an id is another one's. */
static struct str id_fact(struct arena *arena, struct str id)
{
    return id.n <= MAX_FACT ? utf8_repair(arena, id) : (struct str){0};
}

const struct source_refusal *source_delivery_read(struct arena *arena, const struct source_request *request,
                                                  struct source_delivery_options options,
                                                  struct source_delivery *delivery)
{
    const struct provider_row *row = row_of(request->provider);
    *delivery = (struct source_delivery){.provider = request->provider};
    if (row->event_header && !header(request, row->event_header).n) return &source_refusals.missing_event;
    if (json_parse(arena, json_of(arena, request), &delivery->payload) || !json_is_object(delivery->payload))
        return &source_refusals.invalid_json;
    const struct source_refusal *refusal = check_age(row, request, options, delivery);
    if (refusal) return refusal;
    struct str event = row->event(arena, request, delivery->payload);
    delivery->event = event.n ? fact(arena, event) : STR(""); /* of no known type */
    delivery->action = fact(arena, json_str(delivery->payload, "action"));
    delivery->body_digest = body_digest(arena, row, request);
    delivery->id = usable_id(arena, row->id(arena, request, delivery->payload), request->body);
    delivery->installation_id = id_fact(arena, PAYLOAD_FIRST(arena, delivery->payload, "installation.id", "installation.uuid"));
    delivery->repository_id = id_fact(arena, payload_text(arena, delivery->payload, "repository.id"));
    return NULL;
}

bool source_delivery_is_ping(const struct source_delivery *delivery)
{
    return delivery->provider == SOURCE_GITHUB && str_eq(delivery->event, STR("ping"));
}
