/* print.c - text for people: colours, ages, marks. */
#include "cli/cli.h"

#include "base/time.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const styles[] = {"", "\033[1m", "\033[2m", "\033[36m", "\033[32m", "\033[31m", "\033[1;33m"};

void cli_print_json(const struct cli *cli, const json_value *reply)
{
    struct str text = json_text_indented(cli->arena, reply);
    fwrite(text.s, 1, text.n, stdout);
    putchar('\n');
}

static void add_safe(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        bool c1 = c == 0xc2 && i + 1 < text.n && (unsigned char)text.s[i + 1] < 0xa0; /* U+0080 to U+009F */
        if (c1) i++;
        if (c1 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            buf_char(out, '?');
        else
            buf_char(out, (char)c);
    }
}

void cli_text(const struct cli *cli, enum cli_style style, struct str text)
{
    bool colored = cli->color && style != CLI_PLAIN;
    struct buf safe = buf_in(cli->arena);
    add_safe(&safe, text);
    if (colored) fputs(styles[style], stdout);
    fwrite(safe.s, 1, safe.n, stdout);
    if (colored) fputs("\033[0m", stdout);
}

/* The next piece of escaped HTML: a character as text, or a <mark> tag. */
static struct str next_piece(struct str *html, bool *opens, bool *closes)
{
    static const struct {
        struct str from, to;
    } entities[] = {{STR("&amp;"), STR("&")}, {STR("&lt;"), STR("<")}, {STR("&gt;"), STR(">")}, {STR("&quot;"), STR("\"")}, {STR("&#x27;"), STR("'")}};
    *opens = str_starts(*html, STR("<mark>"));
    *closes = str_starts(*html, STR("</mark>"));
    size_t n = 1;
    struct str piece = {0};
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (str_starts(*html, entities[i].from)) {
            piece = entities[i].to;
            n = entities[i].from.n;
        }
    if (*opens || *closes) {
        n = *opens ? strlen("<mark>") : strlen("</mark>");
    } else if (!piece.s) {
        while (n < html->n && ((unsigned char)html->s[n] & 0xc0) == 0x80) n++;
        piece = str_slice(*html, 0, n);
    }
    *html = str_skip(*html, n);
    return piece;
}

static int terminal_width(const struct cli *cli)
{
    struct winsize size;
    if (!cli->terminal) return INT_MAX;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 100;
    return size.ws_col;
}

void cli_marked(const struct cli *cli, struct str html, int indent)
{
    int column = indent, width = terminal_width(cli);
    bool marked = false;
    while (html.n) {
        /* A word with its marks, up to and with the space behind it. */
        struct buf word = buf_in(cli->arena);
        int letters = 0;
        for (bool space = false; html.n && !space;) {
            bool opens, closes;
            struct str piece = next_piece(&html, &opens, &closes);
            if (opens || closes) {
                marked = opens;
                if (cli->color) buf_str_add(&word, str_of(opens ? styles[CLI_MARK] : "\033[0m"));
                continue;
            }
            space = piece.n == 1 && (piece.s[0] == ' ' || piece.s[0] == '\n');
            letters++;
            add_safe(&word, space ? STR(" ") : piece);
        }
        if (column > indent && column + letters - 1 > width) {
            printf("\n%*s", indent, "");
            column = indent;
        }
        fwrite(word.s, 1, word.n, stdout);
        column += letters;
    }
    if (marked && cli->color) fputs("\033[0m", stdout);
}

struct str cli_id_path(const struct cli *cli, const char *collection, const char *action)
{
    struct str id = net_encode(cli->arena, cli->positional[0]);
    return str_printf(cli->arena, "%s/" STR_FMT "%s", collection, STR_ARG(id), action);
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
