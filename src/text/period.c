/* period.c - the time that a question is about: "in 2023", "from March to May 2021", "since 2020-05", "two weeks ago". */
#include "text/inside.h"

#include "base/time.h"

enum { MOST_WORDS = 256, MARCH = 2, MAY = 4, MONTHS = 12, FIRST_YEAR = 1970, LAST_YEAR = 2100 };

struct period_words {
    struct str text;
    struct str at[MOST_WORDS];
    size_t     n;
};

/* A span of whole days; months count from the year 0. */
struct span {
    int64_t start, end; /* the end is the next span's start */
    size_t  words;      /* that name it */
    bool    closed;     /* both ends are named */
};

// clang-format off
/* Parts of a year that stand before it, "of" between or not. */
static const struct { const char *words; int month, months; } parts[] = {
    {"january", 0, 1}, {"february", 1, 1}, {"march", 2, 1}, {"april", 3, 1}, {"may", 4, 1}, {"june", 5, 1}, {"july", 6, 1},
    {"august", 7, 1}, {"september", 8, 1}, {"october", 9, 1}, {"november", 10, 1}, {"december", 11, 1},
    {"jan", 0, 1}, {"feb", 1, 1}, {"mar", 2, 1}, {"apr", 3, 1}, {"jun", 5, 1}, {"jul", 6, 1}, {"aug", 7, 1}, {"sep", 8, 1},
    {"sept", 8, 1}, {"oct", 9, 1}, {"nov", 10, 1}, {"dec", 11, 1},
    {"winter", -1, 3}, {"spring", 2, 3}, {"summer", 5, 3}, {"autumn", 8, 3}, {"fall", 8, 3},
    {"q1", 0, 3}, {"q2", 3, 3}, {"q3", 6, 3}, {"q4", 9, 3}, {"h1", 0, 6}, {"h2", 6, 6}, {"first half", 0, 6}, {"second half", 6, 6},
    {"early", 0, 4}, {"beginning", 0, 3}, {"start", 0, 3}, {"mid", 4, 4}, {"middle", 4, 4}, {"late", 8, 4}, {"end", 9, 3},
};
/* What makes a number a year: "in 2020", but not "port 2020". */
static const char *const before_years[] = {"in", "during", "of", "from", "since", "after", "before", "until", "till", "throughout",
    "year", "between"};
/* What makes it a number again: "pool of 2000 connections". */
static const char *const counted[] = {"ms", "milliseconds", "seconds", "minutes", "hours", "bytes", "kb", "mb", "bits", "lines", "rows",
    "files", "users", "clients", "connections", "requests", "queries", "times", "items", "entries", "records", "messages", "characters",
    "percent", "tokens", "keys"};
/* What makes the name of a month one, when no year follows: "in March", but neither "may fail" nor "before may". */
static const char *const before_months[] = {"in", "during", "last", "since", "after", "before", "until", "till"};
/* What stands between the two ends of a span. */
static const char *const joints[] = {"to", "and", "or", "until", "till", "through"};
static const char *const numerals[] = {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve"};

/* Words that leave one side open: the span itself belongs to it or not. */
static const struct { const char *word; bool later, with; } borders[] = {
    {"since", true, true}, {"after", true, false}, {"before", false, false}, {"until", false, true}, {"till", false, true},
};
/* Units of "last week": hours of it, days, or months. */
static const struct { const char *word; int hours, days, months; } units[] = {
    {"hour", 1, 0, 0}, {"day", 0, 1, 0}, {"week", 0, 7, 0}, {"month", 0, 0, 1}, {"quarter", 0, 0, 3}, {"year", 0, 0, 12},
};
// clang-format on

/* ---- the calendar ---------------------------------------------------------------------------------------------------- */

/* Midnight of the first day of a month. Days of a civil date as Howard Hinnant counts them: years begin in March. */
static int64_t month_start(int64_t month)
{
    int64_t year = (month - 2) / 12, march = (month - 2) % 12;
    int64_t days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * march + 2) / 5 - 719468;
    return DAYS(days);
}

static int64_t month_of(int64_t time)
{
    int64_t month = (int64_t)FIRST_YEAR * 12;
    while (month < (int64_t)LAST_YEAR * 12 && month_start(month + 1) <= time) month++;
    return month;
}

/* ---- words ----------------------------------------------------------------------------------------------------------- */

static bool is_word(const struct period_words *words, size_t i, const char *word)
{
    return i < words->n && str_eq_nocase(words->at[i], str_of(word));
}

static bool is_any(const struct period_words *words, size_t i, const char *const *list, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (is_word(words, i, list[k])) return true;
    return false;
}
#define IS_ANY(words, i, list) is_any(words, i, list, sizeof(list) / sizeof *(list))

/* How many words from i on the phrase is; 0: another one stands there. */
static size_t phrase_at(const struct period_words *words, size_t i, const char *phrase)
{
    struct str rest = str_of(phrase), word;
    size_t     n = 0;
    while (str_cut(&rest, ' ', &word)) {
        if (i + n >= words->n || !str_eq_nocase(words->at[i + n], word)) return 0;
        n++;
    }
    return n;
}

/* A number of that many digits within bounds. */
static bool number_at(const struct period_words *words, size_t i, size_t digits, int64_t least, int64_t most, int64_t *number)
{
    return i < words->n && words->at[i].n == digits && str_to_int(words->at[i], number) && *number >= least && *number <= most;
}

static bool year_at(const struct period_words *words, size_t i, int64_t *year)
{
    return number_at(words, i, 4, FIRST_YEAR, LAST_YEAR - 1, year);
}

/* Is it no year after all? "#2021" is an issue, ":2021" a port, "2021.3" a version, "2000 ms" a measure. */
static bool is_something_else(const struct period_words *words, size_t i)
{
    struct str  word = words->at[i];
    const char *end = words->text.s + words->text.n;
    if (word.s > words->text.s && memchr("#$:/.=@", word.s[-1], 7)) return true;
    const char *behind = word.s + word.n;
    if (end - behind >= 2 && *behind == '.' && behind[1] >= '0' && behind[1] <= '9') return true;
    return IS_ANY(words, i + 1, counted);
}

/* "3", "three"; 0: neither. */
static int64_t count_at(const struct period_words *words, size_t i)
{
    int64_t count;
    for (size_t digits = 1; digits <= 3; digits++)
        if (number_at(words, i, digits, 1, 999, &count)) return count;
    for (size_t k = 0; k < sizeof numerals / sizeof *numerals; k++)
        if (is_word(words, i, numerals[k])) return (int64_t)k + 1;
    return 0;
}

static struct span months(int64_t from, int64_t n, size_t used)
{
    return (struct span){month_start(from), month_start(from + n), used, false};
}

/* ---- spans ----------------------------------------------------------------------------------------------------------- */

static bool part_of_year(const struct period_words *words, size_t i, struct span *span)
{
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        int64_t year;
        size_t  n = phrase_at(words, i, parts[k].words);
        if (!n) continue;
        if (is_word(words, i + n, "of")) n++;
        if (!year_at(words, i + n, &year)) continue;
        *span = months(year * 12 + parts[k].month, parts[k].months, n + 1);
        return true;
    }
    return false;
}

/* "2021-03", "2021-03-04": the words stand side by side with a hyphen between them. */
static bool hyphen_between(struct str left, struct str right)
{
    return left.s + left.n + 1 == right.s && left.s[left.n] == '-';
}

static bool date(const struct period_words *words, size_t i, struct span *span)
{
    int64_t year, month, day;
    if (!year_at(words, i, &year) || !number_at(words, i + 1, 2, 1, 12, &month)) return false;
    if (!hyphen_between(words->at[i], words->at[i + 1])) return false;
    *span = months(year * 12 + month - 1, 1, 2);
    if (!number_at(words, i + 2, 2, 1, 31, &day) || !hyphen_between(words->at[i + 1], words->at[i + 2])) return true;
    *span = (struct span){span->start + DAYS(day - 1), span->start + DAYS(day), 3, false};
    return true;
}

static bool whole_year(const struct period_words *words, size_t i, struct span *span)
{
    int64_t year;
    if (i == 0 || !year_at(words, i, &year) || is_something_else(words, i)) return false;
    if (!IS_ANY(words, i - 1, before_years)) return false;
    *span = months(year * 12, 12, 1);
    return true;
}

/* The latest month of that name: "in March". */
static bool month_alone(const struct period_words *words, size_t i, int64_t now, struct span *span)
{
    int64_t number, this_month = month_of(now);
    if (i == 0 || !IS_ANY(words, i - 1, before_months)) return false;
    if (i + 1 < words->n && str_to_int(words->at[i + 1], &number)) return false;
    if (IS_ANY(words, i + 1, joints)) return false;
    bool surely = is_word(words, i - 1, "in") || is_word(words, i - 1, "during") || is_word(words, i - 1, "last");
    for (int month = 0; month < MONTHS; month++) {
        if (!is_word(words, i, parts[month].words)) continue;
        bool verb = (month == MARCH || month == MAY) && words->at[i].s[0] >= 'a';
        if (verb && !surely) return false;
        *span = months(this_month - (this_month - month) % MONTHS, 1, 1);
        return true;
    }
    return false;
}

static bool unit_at(const struct period_words *words, size_t i, size_t *unit)
{
    for (*unit = 0; *unit < sizeof units / sizeof *units && i < words->n; ++*unit) {
        struct str word = words->at[i], name = str_of(units[*unit].word);
        bool       plural = word.n == name.n + 1 && (word.s[name.n] | 0x20) == 's';
        if (str_eq_nocase(plural ? str_slice(word, 0, name.n) : word, name)) return true;
    }
    return false;
}

/* n units back from today's; n == 0: the running one. */
static int64_t units_ago(int64_t now, size_t unit, int64_t n)
{
    int64_t today = now - now % DAYS(1);
    if (units[unit].hours) return n ? now - HOURS(n) : now - now % HOURS(1);
    if (units[unit].days) return today - DAYS(n * units[unit].days) - (n || units[unit].days == 1 ? 0 : DAYS((now / DAYS(1) + 3) % 7));
    int64_t month = month_of(now);
    return month_start(month - month % units[unit].months - n * units[unit].months);
}

/* "yesterday", "this month", "last week", "past 3 days": up to now. */
static bool until_now(const struct period_words *words, size_t i, int64_t now, struct span *span)
{
    static const char *const backward[] = {"last", "past", "previous", "this"};
    enum { DAY = 1, KINDS = sizeof backward / sizeof *backward, THIS = KINDS - 1 };
    int64_t count = 1;
    size_t  unit, kind = 0, n = 1;
    bool    yesterday = is_word(words, i, "yesterday");
    if (yesterday || is_word(words, i, "today")) {
        *span = (struct span){units_ago(now, DAY, yesterday), now + 1, 1, false};
        return true;
    }
    while (kind < KINDS && !is_word(words, i, backward[kind])) kind++;
    if (kind == KINDS) return false;
    if (kind != THIS && count_at(words, i + 1)) count = count_at(words, i + n++);
    if (!unit_at(words, i + n, &unit)) return false;
    *span = (struct span){units_ago(now, unit, kind == THIS ? 0 : count), now + 1, n + 1, false};
    return true;
}

/* "3 days ago", "a year ago": the day, the week before the last, the year. */
static bool ago(const struct period_words *words, size_t i, int64_t now, struct span *span)
{
    size_t  unit;
    int64_t count = is_word(words, i, "a") || is_word(words, i, "an") ? 1 : count_at(words, i);
    if (!count || !unit_at(words, i + 1, &unit) || !is_word(words, i + 2, "ago")) return false;
    *span = (struct span){units_ago(now, unit, count), units_ago(now, unit, count - 1), 3, false};
    if (count == 1 && units[unit].days > 1) span->end = now - now % DAYS(1); /* not the beginning of this week */
    return true;
}

static bool span_at(const struct period_words *words, size_t i, int64_t now, struct span *span)
{
    return part_of_year(words, i, span) || date(words, i, span) || whole_year(words, i, span) ||
           month_alone(words, i, now, span) || until_now(words, i, now, span) || ago(words, i, now, span);
}

/* "from March to May 2021": the year stands once, behind the second month. */
static void begin_earlier(const struct period_words *words, size_t i, struct span *span)
{
    int64_t last = month_of(span->start) % MONTHS;
    if (i < 2 || !IS_ANY(words, i - 1, joints)) return;
    for (int month = 0; month < last; month++)
        if (is_word(words, i - 2, parts[month].words)) span->start = month_start(month_of(span->start) - last + month);
}

/* "between 2019 and 2021", "2021-03-01 to 2021-03-15": up to the end of a later span. */
static void end_later(const struct period_words *words, size_t i, int64_t now, struct span *span)
{
    int64_t     year;
    struct span second;
    size_t      next = i + span->words;
    if (!IS_ANY(words, next++, joints)) return;
    if (is_word(words, next, "the")) next++;
    if (!span_at(words, next, now, &second)) {
        if (!year_at(words, next, &year) || is_something_else(words, next)) return;
        second = months(year * MONTHS, MONTHS, 1);
    }
    if (second.start <= span->start || second.end <= span->end) return;
    span->end = second.end;
    span->closed = true;
}

/* The span that begins at word i, and what "since" or "before" in front of it make of it. */
static struct text_period bordered(const struct period_words *words, size_t i, int64_t now, struct span span)
{
    int64_t after = span.end > now ? span.start : span.end; /* of what still goes on, nothing comes after */
    if (i && is_word(words, i - 1, "the")) i--;
    for (size_t k = 0; i && !span.closed && k < sizeof borders / sizeof *borders; k++) {
        if (!is_word(words, i - 1, borders[k].word)) continue;
        if (borders[k].later) return (struct text_period){borders[k].with ? span.start : after, INT64_MAX};
        return (struct text_period){INT64_MIN, (borders[k].with ? span.end : span.start) - 1};
    }
    return (struct text_period){span.start, span.end - 1};
}

bool text_period(struct str text, int64_t now, struct text_period *period)
{
    struct period_words words = {.text = text};
    struct text_run     run;
    struct span         span;
    for (size_t at = 0; words.n < MOST_WORDS && text_next_run(text, &at, &run);)
        words.at[words.n++] = str_slice(text, run.from, run.to);
    for (size_t i = 0; i < words.n; i++) {
        if (!span_at(&words, i, now, &span)) continue;
        begin_earlier(&words, i, &span);
        end_later(&words, i, now, &span);
        *period = bordered(&words, i, now, span);
        return true;
    }
    return false;
}
