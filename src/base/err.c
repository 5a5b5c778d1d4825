#include "base/err.h"

static struct err *make(struct arena *arena, enum err_code code, struct err *cause, const char *format, va_list args)
{
    struct err *err = NEW(arena, struct err);
    *err = (struct err){.code = code, .message = str_vprintf(arena, format, args), .cause = cause};
    return err;
}

struct err *err_new(struct arena *arena, enum err_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct err *err = make(arena, code, NULL, format, args);
    va_end(args);
    return err;
}

struct err *err_wrap(struct arena *arena, struct err *cause, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct err *err = make(arena, cause->code, cause, format, args);
    va_end(args);
    return err;
}

struct str err_text(struct arena *arena, const struct err *err)
{
    struct buf b = buf_in(arena);
    for (; err; err = err->cause) {
        if (b.n) buf_lit(&b, ": ");
        buf_str_add(&b, err->message);
    }
    return buf_str(&b);
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_INTERNAL] = "INTERNAL_ERROR",      [ERR_INVALID] = "BAD_REQUEST",
        [ERR_UNAUTHORIZED] = "UNAUTHORIZED",    [ERR_FORBIDDEN] = "FORBIDDEN",
        [ERR_NOT_FOUND] = "NOT_FOUND",          [ERR_CONFLICT] = "CONFLICT",
        [ERR_TOO_LARGE] = "PAYLOAD_TOO_LARGE",  [ERR_RATE_LIMITED] = "RATE_LIMITED",
        [ERR_UNAVAILABLE] = "SERVICE_UNAVAILABLE", [ERR_TIMEOUT] = "TIMEOUT",
        [ERR_CANCELLED] = "CANCELLED",
    };
    return names[code];
}
