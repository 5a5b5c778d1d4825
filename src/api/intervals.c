/* intervals.c - two intervals beside each other: presets or bounds, and the change from one to the other. */
#include "api/call.h"

#include <time.h>

static const char *const presets[] = {"day", "week", "month", NULL};
enum preset { PRESET_DAY, PRESET_WEEK, PRESET_MONTH };

static const struct api_field interval_fields[] = {
    {"preset", NULL, API_ENUM, offsetof(struct api_intervals, preset), .values = presets, .otherwise = PRESET_WEEK},
    {"currentStart", NULL, API_TIME, offsetof(struct api_intervals, current_start), .required = false},
    {"currentEnd", NULL, API_TIME, offsetof(struct api_intervals, current_end), .required = false},
    {"previousStart", NULL, API_TIME, offsetof(struct api_intervals, previous_start), .required = false},
    {"previousEnd", NULL, API_TIME, offsetof(struct api_intervals, previous_end), .required = false},
    {0},
};

/* Begin of the UTC day, week (Monday) or month that lies `back` before the present one; -1: the next. */
static int64_t period_start(enum preset preset, int back)
{
    time_t    seconds = (time_t)(time_now() / 1000);
    struct tm date;
    gmtime_r(&seconds, &date);
    date.tm_hour = date.tm_min = date.tm_sec = 0;
    if (preset == PRESET_DAY) date.tm_mday -= back;
    if (preset == PRESET_WEEK) date.tm_mday -= (date.tm_wday + 6) % 7 + 7 * back;
    if (preset == PRESET_MONTH) date.tm_mday = 1, date.tm_mon -= back;
    return SECONDS(timegm(&date));
}

struct err *api_intervals(struct api_call *call, struct api_intervals *intervals)
{
    *intervals = (struct api_intervals){0};
    TRY(api_query_fields(call, interval_fields, intervals));
    const int64_t times[] = {intervals->current_start, intervals->current_end, intervals->previous_start,
                             intervals->previous_end};
    size_t stated = 0;
    for (size_t i = 0; i < 4; i++) stated += times[i] != 0;
    if (stated == 0) {
        intervals->current_start = period_start((enum preset)intervals->preset, 0);
        intervals->current_end = period_start((enum preset)intervals->preset, -1);
        intervals->previous_start = period_start((enum preset)intervals->preset, 1);
        intervals->previous_end = intervals->current_start;
    } else if (stated < 4)
        api_issue(call, STR("currentStart"), "currentStart, currentEnd, previousStart and previousEnd belong together");
    else if (times[0] > times[1] || times[2] > times[3])
        api_issue(call, STR("currentStart"), "An interval must not end before it starts");
    return api_check(call);
}

static void put_interval(struct json_out *out, const char *key, int64_t start, int64_t end)
{
    json_begin(out, key, '{');
    json_put_time(out, "start", start);
    json_put_time(out, "end", end);
    json_end(out);
}

void api_put_intervals(struct json_out *out, const struct api_intervals *intervals)
{
    put_interval(out, "current", intervals->current_start, intervals->current_end);
    put_interval(out, "previous", intervals->previous_start, intervals->previous_end);
}

/* Whole numbers are written as such. */
void api_put_change(struct json_out *out, const char *key, double current, double previous)
{
    double percent;
    json_begin(out, key, '{');
    json_put(out, "current", current);
    json_put(out, "previous", previous);
    if (activity_change(previous, current, &percent)) json_put(out, "changePercent", percent);
    else json_put_null(out, "changePercent");
    json_end(out);
}
