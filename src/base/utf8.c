#include "base/utf8.h"

/* Length of the well-formed sequence at p (n bytes left), 0 if there is none. The table of RFC 3629, section 4. */
static size_t sequence(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80) return 1;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < length) return 0;
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return length;
}

/* Eight bytes of ASCII, none of them NUL: what most text is made of. */
static bool plain_eight(const unsigned char *p)
{
    const uint64_t high = 0x8080808080808080u, low = 0x0101010101010101u;
    uint64_t       eight;
    memcpy(&eight, p, sizeof eight);
    return !((eight | (eight - low)) & high); /* a NUL borrows into its high bit */
}

static size_t valid_prefix(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.s;
    size_t               i = 0;
    while (i < text.n) {
        while (i + 8 <= text.n && plain_eight(p + i)) i += 8;
        if (i == text.n) break;
        if (p[i] && p[i] < 0x80) {
            i++;
            continue;
        }
        size_t n = p[i] ? sequence(p + i, text.n - i) : 0;
        if (!n) break;
        i += n;
    }
    return i;
}

bool utf8_valid(struct str text)
{
    return valid_prefix(text) == text.n;
}

size_t utf8_length(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) n += ((unsigned char)text.s[i] & 0xc0) != 0x80;
    return n;
}

struct str utf8_repair(struct arena *arena, struct str text)
{
    size_t good = valid_prefix(text);
    if (good == text.n) return text;
    struct buf b = buf_in(arena);
    while (text.n) {
        buf_bytes(&b, text.s, good);
        text = str_skip(text, good);
        if (text.n) {
            if (text.s[0]) buf_lit(&b, "\xef\xbf\xbd");
            text = str_skip(text, 1);
            while (text.n && ((unsigned char)text.s[0] & 0xc0) == 0x80) text = str_skip(text, 1);
        }
        good = valid_prefix(text);
    }
    return buf_str(&b);
}

struct str utf8_head(struct str text, size_t n)
{
    if (text.n <= n) return text;
    size_t i = 0;
    for (; i < text.n; i++)
        if (((unsigned char)text.s[i] & 0xc0) != 0x80 && n-- == 0) break;
    return str_slice(text, 0, i);
}

struct str utf8_shorten(struct arena *arena, struct str text, size_t n)
{
    text = str_trim(text);
    if (text.n <= n || utf8_length(text) <= n) return text;
    struct str head = utf8_head(text, n - 3);
    return str_printf(arena, STR_FMT "...", STR_ARG(head));
}
