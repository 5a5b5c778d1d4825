#include "check.h"

#include "base/hash.h"
#include "base/id.h"
#include "base/library.h"
#include "base/thread.h"
#include "base/time.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

TEST(arena, memory_is_zeroed_and_aligned)
{
    for (size_t n = 1; n < 5000; n += 7) {
        char *p = arena_alloc(arena, n);
        check((uintptr_t)p % (n >= 64 ? 64 : 16) == 0);
        for (size_t i = 0; i < n; i++) check_int(p[i], 0);
        memset(p, 0xff, n);
    }
}

TEST(arena, rewind_forgets_what_came_after_the_mark)
{
    char             *kept = arena_alloc(arena, 100);
    struct arena_mark mark = arena_mark(arena);
    kept[0] = 'x';
    for (int i = 0; i < 1000; i++) arena_alloc(arena, 10000);
    arena_rewind(arena, mark);
    check_int(arena_used(arena), 100);
    check_int(kept[0], 'x');
    check_int(((char *)arena_alloc(arena, 50))[0], 0);
}

TEST(arena, grow_keeps_the_content)
{
    char *p = arena_alloc(arena, 4);
    memcpy(p, "abc", 4);
    arena_alloc(arena, 1);
    p = arena_grow(arena, p, 4, 1 << 21);
    assert_string_equal(p, "abc");
}

TEST(str, cut_walks_over_all_parts)
{
    struct str rest = STR("a,,b"), part;
    check(str_cut(&rest, ',', &part));
    check_str(part, "a");
    check(str_cut(&rest, ',', &part));
    check_str(part, "");
    check(str_cut(&rest, ',', &part));
    check_str(part, "b");
    check(!str_cut(&rest, ',', &part));
}

TEST(str, numbers_are_read_whole_or_not_at_all)
{
    int64_t value;
    check(str_to_int(STR("-9223372036854775808"), &value) && value == INT64_MIN);
    check(!str_to_int(STR("9223372036854775808"), &value));
    check(!str_to_int(STR("12a"), &value));
    check(!str_to_int(STR(" 12"), &value));
    check(!str_to_int(STR("+12"), &value));
    check(!str_to_int(STR(""), &value));
}

TEST(str, letters_of_ascii_change_their_case)
{
    check_str(str_lower(arena, STR("LF-12 [@Z\xc3\x84")), "lf-12 [@z\xc3\x84");
    check_str(str_upper(arena, STR("lf-12 {`z\xc3\xa4")), "LF-12 {`Z\xc3\xa4");
}

TEST(str, replace_and_join)
{
    check_str(str_replace(arena, STR("a-b-c"), STR("-"), STR("::")), "a::b::c");
    struct str parts[] = {STR("x"), STR("y")};
    check_str(str_join(arena, parts, 2, STR(", ")), "x, y");
}

TEST(time, formats_and_parses)
{
    int64_t ms;
    check_str(time_format(arena, 0), "1970-01-01T00:00:00.000Z");
    check_str(time_format(arena, -1), "1969-12-31T23:59:59.999Z");
    check(time_parse(STR("2026-02-03T10:30:00.5+02:00"), &ms));
    check_str(time_format(arena, ms), "2026-02-03T08:30:00.500Z");
    check(time_parse(STR("2024-02-29"), &ms));
    check_str(time_format(arena, ms), "2024-02-29T00:00:00.000Z");
}

TEST(time, refuses_what_is_no_date)
{
    static const char *const wrong[] = {"",           "2023-02-29",          "2026-13-01",          "2026-02-03T10:30:00",
                                        "2026-02-03T25:00:00Z", "yesterday", "2026-02-03T10:30:00.Z", "2026-02-03 Z"};
    int64_t ms;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) check(!time_parse(str_of(wrong[i]), &ms));
}

TEST(id, has_prefix_and_alphabet)
{
    struct str id = id_new(arena, "obs_");
    check_int(id.n, 25);
    check(id_valid(id, "obs_"));
    check(!id_valid(id, "doc_"));
    check(!id_valid(STR("obs_-1StGXR8Z5jdHi6B4myT0"), "obs_"));
    check(!str_eq(id, id_new(arena, "obs_")));
    check_int(id_uuid(arena).n, 36);
}

TEST(map, keeps_values_while_growing)
{
    struct map *map = map_create(arena);
    int64_t    *first = map_at(map, STR("key 0"));
    *first = 7;
    for (int i = 0; i < 10000; i++) *map_at(map, str_printf(arena, "key %d", i)) += i;
    check_int(map_count(map), 10000);
    check_int(*first, 7);
    check_int(*map_find(map, STR("key 9999")), 9999);
    check(map_find(map, STR("key 10000")) == NULL);
}

TEST(utf8, broken_sequences_become_replacement_characters)
{
    check(utf8_valid(STR("gr\xc3\xbc\xc3\x9f")));
    check(!utf8_valid(STR("\xc0\x80")));
    check(!utf8_valid(STR("\xed\xa0\x80")));
    check(!utf8_valid(STR("a\0b")));
    check_str(utf8_repair(arena, STR("a\xff" "b\0c\xe2\x82")), "a\xef\xbf\xbd" "bc\xef\xbf\xbd");
}

TEST(utf8, shorten_counts_code_points)
{
    check_str(utf8_shorten(arena, STR("  \xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc  "), 4), "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc");
    check_str(utf8_shorten(arena, STR("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"), 4), "\xc3\xbc...");
}

TEST(err, text_tells_the_whole_chain)
{
    struct err *cause = err_new(arena, ERR_NOT_FOUND, "no file %d", 3);
    struct err *err = err_wrap(arena, cause, "cannot start");
    check_int(err->code, ERR_NOT_FOUND);
    check_str(err_text(arena, err), "cannot start: no file 3");
}

enum { ADDED = 8 };
struct stopping {
    struct workers *workers;
    pthread_key_t   end; /* of a thread that finds no other task: the pool stops */
    atomic_bool     began, ended;
    pthread_t       last;
    atomic_int      done, done_by_last;
};

static void thread_ends(void *arg) { atomic_store(&((struct stopping *)arg)->ended, true); }

static void pause_ms(long ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL); }

static void wait_for(const atomic_bool *what)
{
    while (!atomic_load(what)) pause_ms(1);
}

static void count(void *arg)
{
    struct stopping *stopping = arg;
    atomic_fetch_add(&stopping->done, 1);
    if (pthread_equal(pthread_self(), stopping->last)) atomic_fetch_add(&stopping->done_by_last, 1);
}

static void end_early(void *arg)
{
    struct stopping *stopping = arg;
    check_int(pthread_setspecific(stopping->end, stopping), 0);
    atomic_store(&stopping->began, true);
}

static void add_late(void *arg)
{
    struct stopping *stopping = arg;
    stopping->last = pthread_self();
    wait_for(&stopping->ended);
    for (int i = 0; i < ADDED; i++) workers_submit(stopping->workers, count, stopping);
    pause_ms(50); /* a new thread would do some of them meanwhile */
}

TEST(thread, what_a_task_adds_while_the_pool_stops_is_done_without_new_threads)
{
    struct stopping stopping = {.workers = workers_start(4, "test")};
    check_int(pthread_key_create(&stopping.end, thread_ends), 0);
    workers_submit(stopping.workers, add_late, &stopping);
    workers_submit(stopping.workers, end_early, &stopping);
    wait_for(&stopping.began);
    workers_stop(stopping.workers);
    pthread_key_delete(stopping.end);
    check_int(stopping.done, ADDED);
    check_int(stopping.done_by_last, ADDED);
}

/* ---- library ----------------------------------------------------------------------------------------------------- */

#define LIBC(FUNCTION) FUNCTION(str, len) FUNCTION(mem, cmp)
static struct { LIBC(LIBRARY_POINTER) } libc;

TEST(library, its_functions_are_called_through_pointers)
{
    static const char *const names[] = {LIBC(LIBRARY_NAME)};
    check_ok(library_load(arena, "libc.so.6", names, 2, &libc));
    check_int((int64_t)libc.len("four"), 4);
    check_int(libc.cmp("same", "same", 4), 0);
}

TEST(library, what_is_not_there_is_named)
{
    static const char *const names[] = {"strlen", "no_such_function"};
    void *functions[2];
    struct err *err = library_load(arena, "libc.so.6", names, 2, functions);
    check_err(err, ERR_UNAVAILABLE);
    check_str(err->message, "libc.so.6 has no function no_such_function");
    err = library_load(arena, "libnone.so.1", names, 2, functions);
    check_err(err, ERR_UNAVAILABLE);
    check(str_find(err->message, STR("libnone.so.1"), 0) != SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(arena, memory_is_zeroed_and_aligned),
        RUN(arena, rewind_forgets_what_came_after_the_mark),
        RUN(arena, grow_keeps_the_content),
        RUN(str, cut_walks_over_all_parts),
        RUN(str, numbers_are_read_whole_or_not_at_all),
        RUN(str, letters_of_ascii_change_their_case),
        RUN(str, replace_and_join),
        RUN(time, formats_and_parses),
        RUN(time, refuses_what_is_no_date),
        RUN(id, has_prefix_and_alphabet),
        RUN(map, keeps_values_while_growing),
        RUN(utf8, broken_sequences_become_replacement_characters),
        RUN(utf8, shorten_counts_code_points),
        RUN(err, text_tells_the_whole_chain),
        RUN(thread, what_a_task_adds_while_the_pool_stops_is_done_without_new_threads),
        RUN(library, its_functions_are_called_through_pointers),
        RUN(library, what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
