/* json_fuzz.c - anything that claims to be JSON or YAML. */
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct str text = {(const char *)data, size};
    const json_value *root, *again;
    if (json_parse(arena, text, &root) == NULL) {
        struct str written = json_text_indented(arena, root);
        if (json_parse(arena, written, &again) != NULL) __builtin_trap(); /* what we write we can read */
        for (struct json_iter it = json_iter(root); json_step(&it);) json_get(it.value, "a.0.b");
    }
    if (json_parse_yaml(arena, text, &root) == NULL) json_text(arena, root);
    struct json_out out = json_out(arena);
    json_put_str(&out, NULL, text);
    if (json_parse(arena, json_out_text(&out), &root) != NULL) __builtin_trap();
    return 0;
}
