/* transform_world.h - requests with headers, read as a receiver reads them. */
#pragma once
#include "check.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"
#include "source/transform.h"
#include "text/text.h"

static const int64_t received = INT64_C(1767434400000); /* 2026-01-03T10:00:00Z */

struct headers {
    const char *at[4][2];
};

static inline struct str header_of(void *arg, const char *name)
{
    const struct headers *headers = arg;
    for (size_t i = 0; i < 4 && headers->at[i][0]; i++)
        if (!strcmp(headers->at[i][0], name)) return str_of(headers->at[i][1]);
    return (struct str){0};
}

static inline struct source_request request(enum source_provider provider, struct str body, struct headers *headers)
{
    return (struct source_request){.provider = provider, .body = body, .header = header_of, .arg = headers};
}

static inline const char *check_code(const struct source_request *one, const char *first, const char *second)
{
    struct str secrets[] = {str_of(first), str_of(second)};
    const struct source_refusal *refusal = source_signature_check(one, secrets, 2);
    return refusal ? refusal->code : "genuine";
}

static inline const char *read_code(struct arena *arena, const struct source_request *one, struct source_delivery *delivery)
{
    struct source_delivery_options options = {.received_at = received};
    const struct source_refusal *refusal = source_delivery_read(arena, one, options, delivery);
    return refusal ? refusal->code : "read";
}

static inline const json_value *json(struct arena *arena, const char *text)
{
    const json_value *value;
    check_ok(json_parse(arena, str_of(text), &value));
    return value;
}
