/* time.h - time as int64_t milliseconds since 1970-01-01T00:00:00Z. */
#pragma once
#include "base/str.h"

#define SECONDS(n) ((int64_t)(n) * 1000)
#define MINUTES(n) SECONDS(60 * (int64_t)(n))
#define HOURS(n) MINUTES(60 * (int64_t)(n))
#define DAYS(n) HOURS(24 * (int64_t)(n))

int64_t time_now(void); /* wall clock, or what a test has set */
void    time_set(int64_t now); /* tests only: freeze time_now(); 0 releases it */
int64_t time_monotonic_us(void); /* microseconds for measuring durations; not affected by time_set */

/* "2026-02-03T10:30:00.000Z" */
struct str time_format(struct arena *arena, int64_t ms);

/* RFC 3339 with offset or Z, seconds and fraction optional, or a bare date YYYY-MM-DD (midnight UTC). Years 1 to
 * 9999. False if it is not a real date. */
bool time_parse(struct str text, int64_t *ms);
