/* spread.h - how values are spread: enough to tell percentiles of any sum of hours, within one percent.
 *
 * Values fall into classes whose bounds grow by a factor of 1.02 (a DDSketch: Masson, Rim, Lee, 2019), so spreads add up
 * class by class and a percentile is off by at most one percent of itself.
 */
#pragma once
#include "json/json.h"

struct spread_class { int64_t at, n; };
struct spread {
    struct spread_class *classes; /* in ascending order */
    size_t  count, capacity;
    int64_t n;
    double  total, least, most;
};

void   spread_add(struct arena *arena, struct spread *spread, double value, int64_t n);
void   spread_join(struct arena *arena, struct spread *spread, const struct spread *other);
double spread_percentile(const struct spread *spread, int percent); /* 0 if there is nothing */

/* The classes as JSON, and back; what is malformed is left out. */
struct str spread_write(struct arena *arena, const struct spread *spread);
void       spread_read(struct arena *arena, struct str text, struct spread *spread);
