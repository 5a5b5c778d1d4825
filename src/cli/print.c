/* print.c - text for people: colours, ages, marks. */
#include "cli/cli.h"

#include "base/time.h"

static const char *const styles[] = {"", "\033[1m", "\033[2m", "\033[36m", "\033[32m", "\033[31m", "\033[1;33m"};

void cli_print_json(const struct cli *cli, const json_value *reply)
{
    struct str text = json_text_indented(cli->arena, reply);
    fwrite(text.s, 1, text.n, stdout);
    putchar('\n');
}

static void put_safe(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        bool c1 = c == 0xc2 && i + 1 < text.n && (unsigned char)text.s[i + 1] < 0xa0; /* U+0080 to U+009F */
        if (c1) i++;
        if (c1 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            putchar('?');
        else
            putchar(c);
    }
}

void cli_text(const struct cli *cli, enum cli_style style, struct str text)
{
    bool colored = cli->color && style != CLI_PLAIN;
    if (colored) fputs(styles[style], stdout);
    put_safe(text);
    if (colored) fputs("\033[0m", stdout);
}

void cli_marked(const struct cli *cli, struct str html)
{
    static const struct {
        struct str from;
        const char *to;
    } entities[] = {{STR("&amp;"), "&"}, {STR("&lt;"), "<"}, {STR("&gt;"), ">"}, {STR("&quot;"), "\""}, {STR("&#x27;"), "'"}};
    while (html.n) {
        bool found = true;
        if (str_starts(html, STR("<mark>"))) {
            if (cli->color) fputs(styles[CLI_MARK], stdout);
            html = str_skip(html, 6);
        } else if (str_starts(html, STR("</mark>"))) {
            if (cli->color) fputs("\033[0m", stdout);
            html = str_skip(html, 7);
        } else {
            found = false;
            for (size_t i = 0; i < sizeof entities / sizeof *entities && !found; i++)
                if ((found = str_starts(html, entities[i].from))) {
                    fputs(entities[i].to, stdout);
                    html = str_skip(html, entities[i].from.n);
                }
        }
        if (found) continue;
        size_t plain = 1;
        while (plain < html.n && html.s[plain] != '<' && html.s[plain] != '&') plain++;
        put_safe(str_slice(html, 0, plain));
        html = str_skip(html, plain);
    }
}

struct str cli_age(struct arena *arena, int64_t at)
{
    static const struct {
        int64_t unit;
        const char *name;
    } units[] = {{DAYS(365), "year"}, {DAYS(30), "month"}, {DAYS(7), "week"}, {DAYS(1), "day"}, {HOURS(1), "hour"}, {MINUTES(1), "minute"}};
    int64_t age = time_now() - at;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (age >= units[i].unit) {
            long long n = age / units[i].unit;
            return str_printf(arena, "%lld %s%s ago", n, units[i].name, n == 1 ? "" : "s");
        }
    return age >= -MINUTES(1) ? STR("just now") : STR("in the future");
}
