#include "base/log.h"

#include "base/time.h"

#include <stdio.h>
#include <unistd.h>

static enum log_level threshold = LOG_INFO; /* written before threads start */
static bool           as_json;

void log_configure(enum log_level level, bool json)
{
    threshold = level;
    as_json = json;
}

static void add_escaped(struct buf *line, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if (c < 0x20 || c == 0x7f)
            buf_printf(line, "\\u%04x", c);
        else if (as_json && (c == '"' || c == '\\'))
            buf_printf(line, "\\%c", c);
        else
            buf_char(line, (char)c);
    }
}

void log_event(enum log_level level, const char *room, const char *format, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    if (level > threshold) return;
    struct arena *arena ARENA_SCOPE = arena_create();
    va_list args;
    va_start(args, format);
    struct str text = str_vprintf(arena, format, args);
    va_end(args);
    struct str now = time_format(arena, time_now());
    struct buf line = buf_in(arena);
    if (as_json) {
        buf_printf(&line, "{\"time\":\"" STR_FMT "\",\"level\":\"%s\",\"room\":\"%s\",\"message\":\"", STR_ARG(now),
                   names[level], room);
        add_escaped(&line, text);
        buf_lit(&line, "\"}\n");
    } else {
        buf_printf(&line, STR_FMT " %-5s %s: ", STR_ARG(now), names[level], room);
        add_escaped(&line, text);
        buf_char(&line, '\n');
    }
    ssize_t written = write(STDERR_FILENO, line.s, line.n); /* one call: lines of threads do not mix */
    (void)written;
}
