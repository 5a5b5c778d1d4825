#include "base/time.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t frozen; /* set by tests only */

int64_t time_now(void)
{
    int64_t set = atomic_load_explicit(&frozen, memory_order_relaxed);
    if (set) return set;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void time_set(int64_t now)
{
    atomic_store_explicit(&frozen, now, memory_order_relaxed);
}

int64_t time_monotonic_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Days since 1970-01-01 of a Gregorian date; years are counted from March so that leap days come last. */
static int64_t days_from_date(int64_t year, int month, int day)
{
    if (month <= 2) year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

struct str time_format(struct arena *arena, int64_t ms)
{
    int64_t   seconds = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
    time_t    at = (time_t)seconds;
    struct tm tm = {0};
    gmtime_r(&at, &tm);
    return str_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                      tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms - seconds * 1000));
}

/* Read exactly n digits at *text. */
static bool digits(struct str *text, int n, int *value)
{
    if (text->n < (size_t)n) return false;
    *value = 0;
    for (int i = 0; i < n; i++) {
        if (text->s[i] < '0' || text->s[i] > '9') return false;
        *value = *value * 10 + (text->s[i] - '0');
    }
    *text = str_skip(*text, (size_t)n);
    return true;
}

static bool literal(struct str *text, char c)
{
    if (text->n == 0 || text->s[0] != c) return false;
    *text = str_skip(*text, 1);
    return true;
}

static bool read_fraction(struct str *text, int *ms)
{
    *ms = 0;
    if (!literal(text, '.')) return true;
    int scale = 100, n = 0;
    for (; text->n && text->s[0] >= '0' && text->s[0] <= '9'; *text = str_skip(*text, 1), n++, scale /= 10)
        *ms += (text->s[0] - '0') * scale;
    return n > 0;
}

static bool read_offset(struct str *text, int *minutes)
{
    *minutes = 0;
    if (literal(text, 'Z') || literal(text, 'z')) return true;
    int sign = text->n && text->s[0] == '-' ? -1 : 1, hours, rest;
    if (!literal(text, '+') && !literal(text, '-')) return false;
    if (!digits(text, 2, &hours)) return false;
    literal(text, ':');
    if (!digits(text, 2, &rest) || hours > 23 || rest > 59) return false;
    *minutes = sign * (hours * 60 + rest);
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool             leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool time_parse(struct str text, int64_t *out)
{
    int year, month, day, hour = 0, minute = 0, second = 0, ms = 0, offset = 0;
    if (!digits(&text, 4, &year) || !literal(&text, '-') || !digits(&text, 2, &month) || !literal(&text, '-') ||
        !digits(&text, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return false;
    if (text.n) {
        if (!literal(&text, 'T') && !literal(&text, 't') && !literal(&text, ' ')) return false;
        if (!digits(&text, 2, &hour) || !literal(&text, ':') || !digits(&text, 2, &minute)) return false;
        if (literal(&text, ':') && (!digits(&text, 2, &second) || !read_fraction(&text, &ms))) return false;
        if (!read_offset(&text, &offset) || text.n) return false;
        if (hour > 23 || minute > 59 || second > 60) return false;
    }
    int64_t minutes = days_from_date(year, month, day) * 1440 + hour * 60 + minute - offset;
    *out = (minutes * 60 + second) * 1000 + ms;
    return true;
}
