/* answers.c - what models write, read tolerantly: the JSON object in a reply, lines, lists, confidences. */
#include "llm/inside.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

/* Braces that open no JSON ("{see below}") are passed over, but a reply of braces must not cost its length squared. */
enum { MOST_CANDIDATES = 64, MAX_NUMBER = 32 };

/* One past the brace that closes the one at `from`, or 0. */
static size_t closing(struct str text, size_t from)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = from; i < text.n; i++) {
        char c = text.s[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{') {
            depth++;
        } else if (c == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

const json_value *llm_first_object(struct arena *arena, struct str text)
{
    size_t at = str_find_char(text, '{', 0);
    for (int candidates = 0; at != SIZE_MAX && candidates < MOST_CANDIDATES; candidates++) {
        size_t end = closing(text, at);
        const json_value *value;
        if (end && !json_parse(arena, str_slice(text, at, end), &value)) return value;
        at = str_find_char(text, '{', at + 1);
    }
    return NULL;
}

/* One line without control characters, whatever the model put into it. */
static struct str one_line(struct arena *arena, struct str text)
{
    text = str_trim(utf8_repair(arena, text));
    struct buf line = buf_in(arena);
    buf_reserve(&line, text.n);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if (c > ' ' && c != 0x7f)
            buf_char(&line, (char)c);
        else if (line.n && line.s[line.n - 1] != ' ')
            buf_char(&line, ' ');
    }
    return str_trim(buf_str(&line));
}

struct str llm_line(struct arena *arena, const json_value *value, size_t n)
{
    return utf8_shorten(arena, one_line(arena, json_str(value, "")), n);
}

double llm_confidence(const json_value *value)
{
    double confidence = json_real(value, "", NAN);
    struct str text = str_trim(json_str(value, ""));
    if (text.n && text.n < MAX_NUMBER) {
        char number[MAX_NUMBER] = {0}, *end;
        memcpy(number, text.s, text.n);
        double written = strtod(number, &end);
        if (*end == 0) confidence = written;
    }
    if (isnan(confidence)) return 0.5;
    return confidence < 0 ? 0 : confidence > 1 ? 1 : confidence;
}

static void add_line(struct str *lines, size_t *count, struct str line)
{
    if (!line.n) return;
    for (size_t i = 0; i < *count; i++)
        if (str_eq_nocase(lines[i], line)) return;
    lines[(*count)++] = line;
}

/* Names and phrases are cut without a "...", which would become part of them. */
static struct str head_of(struct arena *arena, const json_value *value, size_t n)
{
    return str_trim(utf8_head(one_line(arena, json_str(value, "")), n));
}

size_t llm_lines(struct arena *arena, const json_value *value, size_t n, struct str *lines, size_t most)
{
    size_t count = 0;
    if (json_is_string(value) && most) add_line(lines, &count, head_of(arena, value, n));
    if (json_is_array(value))
        for (struct json_iter it = json_iter(value); count < most && json_step(&it);)
            add_line(lines, &count, head_of(arena, it.value, n));
    return count;
}
