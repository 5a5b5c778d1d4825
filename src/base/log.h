/* log.h - one line per event on stderr, as text or JSON. Never log keys, tokens, headers, bodies or queries. */
#pragma once
#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_configure(enum log_level level, bool json); /* call before threads start; default: info, text */

/* log_event(LOG_INFO, "db", "migrated to version %d", v): the room that speaks, then a sentence. Control characters
 * are escaped, so that no input can forge a line. */
void log_event(enum log_level level, const char *room, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(room, ...) log_event(LOG_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...) log_event(LOG_WARN, room, __VA_ARGS__)
#define log_info(room, ...) log_event(LOG_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_event(LOG_DEBUG, room, __VA_ARGS__)
