/* err.h - errors as values.
 *
 * A function that can fail returns struct err *: NULL is success. The error lives in the arena that the failing
 * function was given. Codes map one to one to HTTP statuses at the door. Messages of ERR_INTERNAL stay in the log;
 * all others may be shown to whoever asked, so they never hold secrets.
 */
#pragma once
#include "base/str.h"

enum err_code {
    ERR_INTERNAL,        /* 500, exit 1: a bug or a failing system call */
    ERR_INVALID,         /* 400: the input is wrong */
    ERR_UNAUTHORIZED,    /* 401 */
    ERR_FORBIDDEN,       /* 403 */
    ERR_NOT_FOUND,       /* 404 */
    ERR_CONFLICT,        /* 409: the state does not allow it */
    ERR_TOO_LARGE,       /* 413 */
    ERR_RATE_LIMITED,    /* 429 */
    ERR_UNAVAILABLE,     /* 503: storage full or down, remote service away; worth trying again */
    ERR_TIMEOUT,         /* 504 */
    ERR_CANCELLED,       /* the caller or the operator stopped it */
};

struct err {
    enum err_code code;
    struct str    message; /* one sentence without a final full stop */
    struct err   *cause;   /* or NULL */
};

#define MUST_CHECK __attribute__((warn_unused_result))

struct err *err_new(struct arena *arena, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4), returns_nonnull));

/* The same failure seen from one level up: code of the cause, own message in front. */
struct err *err_wrap(struct arena *arena, struct err *cause, const char *format, ...)
    __attribute__((format(printf, 3, 4), returns_nonnull));

/* "message: cause: cause" */
struct str err_text(struct arena *arena, const struct err *err);

const char *err_code_name(enum err_code code); /* "INTERNAL_ERROR", "NOT_FOUND" ... as in the HTTP error body */

/* Return early on failure. */
#define TRY(call)                            \
    do {                                     \
        struct err *try_err_ = (call);       \
        if (try_err_) return try_err_;       \
    } while (0)
