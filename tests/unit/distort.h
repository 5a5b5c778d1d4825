/* distort.h - a JSON value with one place of it replaced by something else. */
#pragma once
#include "json/json.h"

static inline void write_distorted(struct json_out *out, const json_value *value, int *left, struct str replacement)
{
    if ((*left)-- == 0) {
        json_put_raw(out, NULL, replacement);
        return;
    }
    bool object = json_is_object(value);
    if (!object && !json_is_array(value)) {
        json_put_value(out, NULL, value);
        return;
    }
    json_begin(out, NULL, object ? '{' : '[');
    for (struct json_iter it = json_iter(value); json_step(&it);) {
        if (object) json_key(out, it.key);
        write_distorted(out, it.value, left, replacement);
    }
    json_end(out);
}

/* The text of the value with its place-th part, counted from 0, replaced; {NULL, 0}: it has no such part. */
static inline struct str distorted(struct arena *arena, const json_value *value, int place, struct str replacement)
{
    struct json_out out = json_out(arena);
    write_distorted(&out, value, &place, replacement);
    return place < 0 ? json_out_text(&out) : (struct str){0};
}
