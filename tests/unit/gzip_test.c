/* gzip_test.c - compressed bodies: what is unpacked, and that little input cannot become much memory. */
#include "check.h"

#include "net/net.h"

#include <zlib.h>

static struct str pack(struct arena *arena, struct str text)
{
    z_stream zip = {0};
    check(deflateInit2(&zip, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t most = deflateBound(&zip, text.n);
    char  *out = arena_alloc_raw(arena, most);
    zip.next_in = (unsigned char *)text.s;
    zip.avail_in = (unsigned)text.n;
    zip.next_out = (unsigned char *)out;
    zip.avail_out = (unsigned)most;
    check(deflate(&zip, Z_FINISH) == Z_STREAM_END);
    struct str packed = {out, zip.total_out};
    deflateEnd(&zip);
    return packed;
}

static struct str zeros(struct arena *arena, size_t n)
{
    return (struct str){arena_alloc(arena, n), n};
}

TEST(gzip, what_was_packed_comes_out_again)
{
    struct str text;
    check_ok(net_gunzip(arena, pack(arena, STR("{\"title\":\"Build\"}")), 1000, &text));
    check_str(text, "{\"title\":\"Build\"}");
    check_ok(net_gunzip(arena, pack(arena, STR("")), 1000, &text));
    check_int(text.n, 0);
    check_ok(net_gunzip(arena, pack(arena, zeros(arena, 1000000)), 1000000, &text));
    check_int(text.n, 1000000);
}

TEST(gzip, several_members_are_one_text)
{
    struct str parts[] = {pack(arena, STR("one,")), pack(arena, STR("two"))}, text;
    check_ok(net_gunzip(arena, str_join(arena, parts, 2, STR("")), 1000, &text));
    check_str(text, "one,two");
}

TEST(gzip, a_byte_above_the_limit_is_too_large)
{
    struct str text;
    check_ok(net_gunzip(arena, pack(arena, zeros(arena, 1000)), 1000, &text));
    check_err(net_gunzip(arena, pack(arena, zeros(arena, 1001)), 1000, &text), ERR_TOO_LARGE);
}

TEST(gzip, a_bomb_is_refused_before_it_is_unpacked)
{
    struct arena *unpacked ARENA_SCOPE = arena_create();
    struct str    text, bomb = pack(arena, zeros(arena, 64 << 20));
    check(bomb.n < 100000);
    struct err *err = net_gunzip(unpacked, bomb, 1 << 20, &text);
    check_int(err->code, ERR_TOO_LARGE);
    check_str(err->message, "The request body is larger than 1048576 bytes");
    check(arena_used(unpacked) < 4 << 20);
}

TEST(gzip, what_is_broken_or_cut_short_is_invalid)
{
    struct str text, packed = pack(arena, STR("some text that is long enough to be cut"));
    check_err(net_gunzip(arena, STR(""), 1000, &text), ERR_INVALID);
    check_err(net_gunzip(arena, STR("{\"title\":\"Build\"}"), 1000, &text), ERR_INVALID);
    for (size_t n = 1; n < packed.n; n++) check_err(net_gunzip(arena, str_slice(packed, 0, n), 1000, &text), ERR_INVALID);
    struct str parts[] = {packed, STR("behind it")};
    check_err(net_gunzip(arena, str_join(arena, parts, 2, STR("")), 1000, &text), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(gzip, what_was_packed_comes_out_again),
        RUN(gzip, several_members_are_one_text),
        RUN(gzip, a_byte_above_the_limit_is_too_large),
        RUN(gzip, a_bomb_is_refused_before_it_is_unpacked),
        RUN(gzip, what_is_broken_or_cut_short_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
