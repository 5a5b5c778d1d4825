/* cron.c - five fields (minute hour day month weekday) in UTC: when a schedule was and will be due. */
#include "flow/flow.h"

#include "base/time.h"

#include <time.h>

/* SEARCH_DAYS: a 29 February falls on the same weekday after at most 40 years (2072, 2112) */
enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS, SEARCH_DAYS = 41 * 366 };

struct schedule {
    uint64_t allowed[FIELDS]; /* a bit for each value */
    bool     any_day, any_weekday; /* if neither is *, a day that fits one of them is enough (crontab(5)) */
};

static const struct { const char *name; int least, most; } fields[FIELDS] = {
    {"minute", 0, 59}, {"hour", 0, 23}, {"day", 1, 31}, {"month", 1, 12}, {"weekday", 0, 7},
};

static bool read_range(struct str text, int field, int64_t *from, int64_t *to)
{
    struct str head;
    if (str_eq(text, STR("*"))) {
        *from = fields[field].least;
        *to = field == WEEKDAY ? 6 : fields[field].most;
        return true;
    }
    str_cut(&text, '-', &head);
    if (!str_to_int(head, from)) return false;
    *to = *from;
    return !text.s || str_to_int(text, to);
}

static struct err *read_field(struct arena *arena, struct str text, int field, uint64_t *allowed)
{
    for (struct str rest = text, item; str_cut(&rest, ',', &item);) {
        int64_t    from, to, every = 1;
        struct str range;
        bool       stepped = str_find_char(item, '/', 0) != SIZE_MAX;
        str_cut(&item, '/', &range);
        bool good = read_range(range, field, &from, &to) && (!stepped || str_to_int(item, &every));
        if (stepped && str_find_char(range, '-', 0) == SIZE_MAX) to = fields[field].most; /* 5/10: from 5 on */
        if (!good || from < fields[field].least || to > fields[field].most || from > to || every < 1)
            return err_new(arena, ERR_INVALID, "the schedule's %s is wrong", fields[field].name);
        for (int64_t value = from; value <= to; value += every < 64 ? every : 64) *allowed |= UINT64_C(1) << value;
    }
    return NULL;
}

static struct err *read_schedule(struct arena *arena, struct str text, struct schedule *schedule)
{
    int n = 0;
    *schedule = (struct schedule){0};
    if (str_eq(text, STR("@hourly"))) text = STR("0 * * * *");
    if (str_eq(text, STR("@daily"))) text = STR("0 0 * * *");
    for (struct str rest = str_trim(text), field; str_cut(&rest, ' ', &field);) {
        if (!field.n) continue;
        if (n == FIELDS) return err_new(arena, ERR_INVALID, "a schedule has five fields");
        if (n == DAY) schedule->any_day = field.s[0] == '*';
        if (n == WEEKDAY) schedule->any_weekday = field.s[0] == '*';
        TRY(read_field(arena, field, n, &schedule->allowed[n]));
        n++;
    }
    if (n != FIELDS) return err_new(arena, ERR_INVALID, "a schedule has five fields");
    if (schedule->allowed[WEEKDAY] & (1 << 7)) schedule->allowed[WEEKDAY] |= 1; /* Sunday is 0 and 7 */
    return NULL;
}

static bool fits_day(const struct schedule *s, int64_t day)
{
    time_t    at = (time_t)(day * 86400);
    struct tm tm;
    gmtime_r(&at, &tm);
    bool day_fits = s->allowed[DAY] >> tm.tm_mday & 1, weekday_fits = s->allowed[WEEKDAY] >> tm.tm_wday & 1;
    if (!(s->allowed[MONTH] >> (tm.tm_mon + 1) & 1)) return false;
    return s->any_day || s->any_weekday ? day_fits && weekday_fits : day_fits || weekday_fits;
}

static bool fits_minute(const struct schedule *s, int minute)
{
    return (s->allowed[HOUR] >> (minute / 60) & 1) && (s->allowed[MINUTE] >> (minute % 60) & 1);
}

/* The first fitting minute of the epoch from `from` in direction step, or -1. */
static int64_t search(const struct schedule *s, int64_t from, int step)
{
    int64_t day = from / 1440;
    int     minute = (int)(from % 1440);
    for (int days = 0; days <= SEARCH_DAYS && day >= 0; days++) {
        if (fits_day(s, day))
            for (; minute >= 0 && minute < 1440; minute += step)
                if (fits_minute(s, minute)) return day * 1440 + minute;
        day += step;
        minute = step > 0 ? 0 : 1439;
    }
    return -1;
}

struct err *flow_cron_times(struct arena *arena, struct str schedule, int64_t now, int64_t *last, int64_t *next)
{
    struct schedule parsed;
    TRY(read_schedule(arena, schedule, &parsed));
    int64_t minute = now > 0 ? now / MINUTES(1) : 0;
    int64_t before = search(&parsed, minute, -1), after = search(&parsed, minute + 1, 1);
    if (after < 0) return err_new(arena, ERR_NOT_FOUND, "the schedule is never due");
    *last = before < 0 ? 0 : before * MINUTES(1);
    *next = after * MINUTES(1);
    return NULL;
}
