/* flow_fuzz.c - expressions and schedules as a user may write them; the first byte says which. An expression is the
 * first line, what follows is the document that it reads. */
#include "flow/flow.h"

#include "base/time.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_expression(struct arena *arena, struct str text)
{
    static const char standard[] =
        "{\"a\":{\"b\":\"x\"},\"list\":[1,\"two\",null],\"n\":5,\"at\":\"2024-01-01T12:00:00Z\"}";
    const struct flow_expression *parsed;
    const json_value             *document;
    struct str                    line;
    str_cut(&text, '\n', &line);
    struct err *err = flow_expression_parse(arena, line, &parsed);
    if (err) {
        assert(err->code == ERR_INVALID && err->message.n);
        return;
    }
    if (json_parse(arena, text, &document) && json_parse(arena, str_of(standard), &document)) abort();
    const struct flow_root roots[] = {{"", flow_value_of(document)}, {"event.data", flow_value_of(document)}};
    struct flow_value value = flow_evaluate(arena, parsed, roots, 2), again = flow_evaluate(arena, parsed, roots, 2);
    struct str        said = flow_value_text(arena, value);
    assert(value.kind == again.kind && flow_value_true(value) == flow_value_true(again));
    assert(str_eq(said, flow_value_text(arena, again)) && (value.kind != FLOW_NULL || !said.s));
}

/* The next time is the last one when it has come, and stays the next one until then. */
static void check_schedule(struct arena *arena, struct str text)
{
    int64_t now = 0, last, next, last_then, next_then;
    for (size_t i = 0; i < 4 && text.n; i++, text = str_skip(text, 1)) now = now << 8 | (unsigned char)text.s[0];
    now *= 1000;
    struct err *err = flow_cron_times(arena, text, now, &last, &next);
    if (err) {
        assert(err->code == ERR_INVALID || err->code == ERR_NOT_FOUND);
        return;
    }
    assert(last <= now && next > now && last % MINUTES(1) == 0 && next % MINUTES(1) == 0);
    err = flow_cron_times(arena, text, next - 1, &last_then, &next_then);
    assert(!err && last_then == last && next_then == next);
    err = flow_cron_times(arena, text, next, &last_then, &next_then);
    assert(err ? err->code == ERR_NOT_FOUND : last_then == next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    struct arena *arena ARENA_SCOPE = arena_create();
    struct str          text = {(const char *)data + 1, size - 1};
    if (data[0] % 2)
        check_schedule(arena, text);
    else
        check_expression(arena, text);
    return 0;
}
