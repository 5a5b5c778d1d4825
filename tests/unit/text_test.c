#include "check.h"

#include "base/time.h"
#include "text/text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- terms --------------------------------------------------------------------------------------------------------- */

/* The terms as text, in order: "whole(part part)", with ~ before stop words. */
static struct str shown(struct arena *arena, const char *text)
{
    struct text_terms terms = text_terms(arena, str_of(text));
    struct buf        out = buf_in(arena);
    for (size_t i = 0; i < terms.n; i++) {
        const struct text_term *term = &terms.at[i];
        if (i) buf_char(&out, ' ');
        if (term->part) buf_char(&out, '+');
        if (term->stop) buf_char(&out, '~');
        buf_bytes(&out, text + term->from, term->to - term->from);
    }
    return buf_str(&out);
}

static bool matches(struct arena *arena, const char *query, const char *item)
{
    struct text_terms want = text_terms(arena, str_of(query)), have = text_terms(arena, str_of(item));
    for (size_t i = 0; i < want.n; i++)
        for (size_t j = 0; j < have.n; j++)
            if (want.at[i].hash == have.at[j].hash && !want.at[i].stop) return true;
    return false;
}

TEST(terms, words_carry_their_spans_and_stop_words_are_marked)
{
    check_str(shown(arena, "Fix the crash, when idle."), "Fix ~the crash ~when idle");
}

TEST(terms, stems_fold_case_and_inflection)
{
    check(matches(arena, "timeouts", "Raise the TIMEOUT"));
    check(matches(arena, "replicating", "replicates"));
    check(!matches(arena, "time", "timeout"));
}

TEST(terms, accents_and_compatibility_forms_are_folded)
{
    check(matches(arena, "Gr\xc3\xb6\xc3\x9f" "e", "GROSSE"));
    check(matches(arena, "r\xc3\xa9sum\xc3\xa9", "resume"));
    check_str(text_fold(arena, STR("Jos\xc3\xa9 \xef\xbc\xa1")), "jose a");
}

TEST(terms, ideographs_are_words_of_their_own)
{
    check_str(shown(arena, "\xe6\xbc\xa2\xe5\xad\x97x"), "\xe6\xbc\xa2 \xe5\xad\x97 x");
}

TEST(terms, snake_case_yields_whole_and_parts)
{
    check_str(shown(arena, "set client_idle_timeout now"), "set client_idle_timeout +client +idle +timeout now");
    check(matches(arena, "idle_timeout", "client_idle_timeout"));
}

TEST(terms, camel_case_yields_whole_and_parts)
{
    check_str(shown(arena, "HTTPServer hashTable URLs"), "HTTPServer +HTTP +Server hashTable +hash +Table URLs");
    check(matches(arena, "hashtable", "HashTable"));
    check(matches(arena, "hash tables", "HashTable"));
    check(matches(arena, "pgbouncer", "PgBouncer"));
}

TEST(terms, paths_yield_file_name_and_words)
{
    check_str(shown(arena, "in src/t_zset.c:12"), "~in src/t_zset.c +src +t_zset.c +t_zset +zset 12");
    check(matches(arena, "t_zset.c", "src/t_zset.c"));
}

TEST(terms, dotted_names_options_and_scopes)
{
    check_str(shown(arena, "server.maxclients --with-systemd std::sort CLIENT NO-EVICT"),
              "server.maxclients +server +maxclients with-systemd +~with +systemd std::sort +std +sort CLIENT NO-EVICT "
              "+~NO +EVICT");
}

TEST(terms, numbers_versions_and_ids_stay_whole)
{
    check_str(shown(arena, "0x7f v7.0.11 2021-03-04 CVE-2021-32625 #1234 utf8"),
              "0x7f v7.0.11 +7.0.11 2021-03-04 CVE-2021-32625 +CVE +2021 +32625 #1234 +1234 utf8");
}

TEST(terms, sentences_are_no_identifiers)
{
    check_str(shown(arena, "e.g. this and/or that. Done - (fix). I/O"), "~e.g ~this ~and ~or ~that Done fix ~I O");
    check_str(shown(arena, "client's don't"), "client's ~don't");
    check(matches(arena, "client", "client's"));
}

TEST(terms, whole_term_is_the_first_term_of_the_same_text)
{
    static const char *const wholes[] = {"src/net/tcp.c", "#12", "ENG-42", "client_idle_timeout", "HashTable", "timeout",
                                         "7.0.11", "t_zset.c", "acme/platform", "0x7f", "feature/login-page"};
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++)
        check(text_terms(arena, str_of(wholes[i])).at[0].hash == text_whole_term(str_of(wholes[i])));
    check(text_whole_term(STR("--with-systemd,")) == text_whole_term(STR("with-systemd")));
    check(text_whole_term(STR("SRC/Net.C")) == text_whole_term(STR("src/net.c")));
}

TEST(terms, set_is_sorted_unique_and_without_stop_words)
{
    struct text_terms terms = text_terms(arena, STR("the pool, the pools and the client"));
    uint64_t          set[16];
    check_int(text_term_set(&terms, set), 2);
    check(set[0] < set[1]);
}

/* ---- signs: the one pass against the patterns of the specification ------------------------------------------------- */

static const char *const signal_patterns[TEXT_SIGNALS] = {
    "\\b(breaking|critical|urgent|security|vulnerability|CVE-\\d+)\\b",
    "\\b(hotfix|emergency|incident|outage|downtime)\\b",
    "\\b(major|important|significant|release|deploy)\\b",
    "\\b(feature|feat|new)\\b",
    "\\b(fix|bug|patch|resolve)\\b",
    "\\b(chore|deps|dependencies|bump|update|upgrade)\\b",
    "\\b(typo|whitespace|formatting|lint)\\b",
    "\\b(wip|draft|temp|test)\\b",
};
static const char *const category_patterns[TEXT_IS_OTHER] = {
    "\\brelease\\b|\\bversion\\s+\\d|\\bv\\d+\\.\\d+",
    "\\bdeploy|\\bshippe?d?\\b",
    "\\bsecurity\\b|\\bvulnerability\\b|\\bCVE-\\d+|\\bauth\\b|\\bpermission",
    "\\bincident\\b|\\boutage\\b|\\bdowntime\\b|\\bemergency\\b|\\bhotfix\\b",
    "\\bfix(es|ed|ing)?\\b|\\bbug\\b|\\bpatch\\b|\\bresolve[sd]?\\b|\\bcorrect",
    "\\bfeat(ure)?[:\\s]|\\badd(s|ed|ing)?\\b|\\bnew\\b|\\bimplement|\\bintroduce",
    "\\bperf(ormance)?\\b|\\boptimiz|\\bspeed|\\bfaster\\b|\\bslow",
    "\\btest(s|ing)?\\b|\\bspec\\b|\\bcoverage\\b|\\be2e\\b|\\bunit\\b",
    "\\bdocs?\\b|\\breadme\\b|\\bcomment|\\bjsdoc\\b|\\bdocumentation\\b",
    "\\bci\\b|\\bcd\\b|\\bpipeline\\b|\\bworkflow\\b|\\bdocker|\\bconfig|\\binfra",
    "\\brefactor|\\brestructure|\\breorganize|\\bcleanup\\b|\\bchore\\b",
    "\\brfc\\b|\\bproposal\\b|\\bdiscuss",
    "\\bdecision\\b|\\bdecide[sd]?\\b|\\badr\\b|\\barchitecture\\b",
};

static pcre2_code *compile(const char *pattern, uint32_t options)
{
    int         error;
    PCRE2_SIZE  at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &error, &at, NULL);
    check(code != NULL);
    return code;
}

static uint64_t random_state = 88172645463325252u;
static size_t   random_below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static const char *const pieces[] = {
    "breaking", "critical", "urgent", "security", "vulnerability", "CVE-2021", "cve-", "CVE-12a", "hotfix", "emergency",
    "incident", "outage", "downtime", "major", "important", "release", "deploy", "deployment", "Deploys", "redeploy", "feature",
    "feat", "Feat:", "features", "new", "newer", "fix", "FIX", "fixes", "fixed", "fixing", "fixer", "prefix", "bug", "debug", "patch",
    "resolve", "resolved", "resolver", "correct", "corrected", "incorrect", "chore", "deps", "bump", "update", "upgrade", "typo",
    "whitespace", "lint", "wip", "draft", "temp", "test", "tests", "testing", "tested", "spec", "e2e", "unit", "docs", "doc",
    "readme", "commented", "ci", "cd", "pipeline", "docker-compose", "config", "infra", "refactoring", "cleanup", "rfc", "discussed",
    "decision", "decides", "adr", "architecture", "version", "version 2", "version\n3", "v1.2", "v10.", "v.1", "v1", "dev2.0",
    "ship", "shipp", "shipped", "shippe", "auth", "author", "permissions", "perf", "performance", "optimize", "speedup", "slow",
    "faster", "add", "adds", "added", "address", "implements", "introduced", "_", "-", ".", ":", " ", "\n", "\t", "1", "a", "\xc3\xa9",
    "#12", "#1234567", "&#12", "x#12", "#12a", "@ada", "@-ada-", "a@b", "@@x", "@a-b_c", "@aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd",
    "@aaaaaaaaaabbbbbbbbbbccccccccc-dddddddddd", "@ada-", "ENG-42", "UTF-8", "ENG-1234567", "A-1", "CVE-1", "ABCDEFGHIJK-1", "ENG-42x",
    "MAX_SIZE", "A_B", "AB_C", "ABC_D", "ABC__D", "ABC_D_", "_ABC_D", "ABC_d", "ABC_1", "src/a.c", "lib/x", "SRC/a.b/c.txt", "apps/.c",
    "api/x.y.z", "src/a.abcdefghijk", "src/a.c1", "packages/<a>.c", "components/a'b.c", "src/src/a.h", "GET /v1/x", "post\n/a", "GET/",
    "PUT  /", "GETS /x", "DELETE /a\"b", "GET /a/GET /b", "branch main", "branch: a/b-", "branch:--", "Branch branch x", "branches x",
    "abcdef1", "abcdefg", "1234567", "deadbeef01", "ABCDEF1", "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c", "a1b2c3d",
    "\xe2\x80\x99", "\"", "<", ">", "/",
};

static struct str generated(struct arena *arena, size_t most)
{
    struct buf text = buf_in(arena);
    for (size_t n = 1 + random_below(most); n; n--) {
        struct str piece = str_of(pieces[random_below(sizeof pieces / sizeof *pieces)]);
        buf_str_add(&text, piece);
        if (random_below(4)) buf_char(&text, " \n:.,/-"[random_below(7)]);
    }
    return buf_str(&text);
}

TEST(signs, one_pass_equals_the_patterns)
{
    pcre2_code       *signals[TEXT_SIGNALS], *categories[TEXT_IS_OTHER];
    pcre2_match_data *match = pcre2_match_data_create(4, NULL);
    for (size_t i = 0; i < TEXT_SIGNALS; i++) signals[i] = compile(signal_patterns[i], PCRE2_CASELESS);
    for (size_t i = 0; i < TEXT_IS_OTHER; i++) categories[i] = compile(category_patterns[i], PCRE2_CASELESS);
    for (int round = 0; round < 20000; round++) {
        struct arena_mark mark = arena_mark(arena);
        struct str        title = generated(arena, 3), body = generated(arena, 8);
        struct str        text = str_printf(arena, STR_FMT "\n" STR_FMT, STR_ARG(title), STR_ARG(body));
        struct text_signs signs = text_signs(title, body);
        for (unsigned i = 0; i < TEXT_SIGNALS; i++) {
            bool expected = pcre2_match(signals[i], (PCRE2_SPTR)text.s, text.n, 0, 0, match, NULL) > 0;
            if (expected != !!(signs.signals & 1u << i)) fail_msg("signal %u in \"" STR_FMT "\"", i, STR_ARG(text));
        }
        for (unsigned i = 0; i < TEXT_IS_OTHER; i++) {
            bool expected = pcre2_match(categories[i], (PCRE2_SPTR)text.s, text.n, 0, 0, match, NULL) > 0;
            if (expected != !!(signs.categories & 1u << i)) fail_msg("category %u in \"" STR_FMT "\"", i, STR_ARG(text));
        }
        arena_rewind(arena, mark);
    }
    for (size_t i = 0; i < TEXT_SIGNALS; i++) pcre2_code_free(signals[i]);
    for (size_t i = 0; i < TEXT_IS_OTHER; i++) pcre2_code_free(categories[i]);
    pcre2_match_data_free(match);
}

TEST(signs, title_words_in_the_order_of_the_rule)
{
    const char *words[8];
    check_int(text_title_words(STR("Perf: fix prefix tests, docs"), words), 3);
    assert_string_equal(words[0], "fix");
    assert_string_equal(words[1], "docs");
    assert_string_equal(words[2], "perf");
}

TEST(signs, label_of_the_connector_is_no_title)
{
    check_str(text_without_label(STR("[PR Merged] Fix it")), "Fix it");
    check_str(text_without_label(STR("[Push]")), "[Push]");
    check_str(text_without_label(STR("[] x")), "[] x");
    check_str(text_without_label(STR("a [b] c")), "a [b] c");
}

/* ---- entities ------------------------------------------------------------------------------------------------------ */

static const struct {
    enum text_entity_category category;
    bool                      case_sensitive;
    const char               *pattern; /* the guards of the specification as lookarounds */
} entity_patterns[] = {
    {TEXT_ENDPOINT, false, "\\b(GET|POST|PUT|PATCH|DELETE)\\s+(\\/[^\\s\"'<>]{1,200})"},
    {TEXT_PROJECT, true, "(?<![\\w&])(#\\d{1,6})(?!\\w)"},
    {TEXT_PROJECT, true, "\\b(?!(?:UTF|SHA|ISO|RFC|HTTP|AES|RSA|TLS|SSL|UTC|GMT|CVE|IEEE|ECMA)-)([A-Z]{2,10}-\\d{1,6})\\b"},
    {TEXT_ENGINEER, true, "(?<!\\w)@([a-zA-Z0-9_-]{1,39})\\b"},
    {TEXT_CONFIG, true, "\\b([A-Z][A-Z0-9_]{2,}(?:_[A-Z0-9]+)+)\\b"},
    {TEXT_DEFINITION, false, "\\b(?:src|lib|packages|apps|api|components)\\/[^\\s\"'<>]{1,150}\\.[a-z]{1,10}\\b"},
    {TEXT_REFERENCE, false, "\\bbranch[:\\s]+([a-zA-Z0-9/_-]{1,100})\\b"},
    {TEXT_REFERENCE, true, "\\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])([a-f0-9]{7,40})\\b"},
};
enum { ENTITY_PATTERNS = sizeof entity_patterns / sizeof *entity_patterns };

static struct str expected_key(struct arena *arena, size_t pattern, struct str text, const PCRE2_SIZE *at)
{
    struct str first = str_slice(text, at[2], at[3]), second = str_slice(text, at[4], at[5]);
    switch (pattern) {
    case 0: {
        char *method = (char *)str_dup(arena, first).s;
        for (size_t i = 0; i < first.n; i++) method[i] &= ~0x20;
        return str_printf(arena, "%s " STR_FMT, method, STR_ARG(second));
    }
    case 3: return str_printf(arena, "@" STR_FMT, STR_ARG(first));
    case 5: return str_slice(text, at[0], at[1]);
    case 6: return str_printf(arena, "branch:" STR_FMT, STR_ARG(first));
    case 7: return str_slice(first, 0, 7);
    default: return first;
    }
}

static bool holds(struct text_entities found, enum text_entity_category category, struct str key)
{
    for (size_t i = 0; i < found.n; i++)
        if (found.at[i].category == category && str_eq_nocase(found.at[i].key, key)) return true;
    return false;
}

TEST(entities, one_pass_equals_the_patterns)
{
    pcre2_code       *codes[ENTITY_PATTERNS];
    pcre2_match_data *match = pcre2_match_data_create(4, NULL);
    size_t            seen = 0;
    for (size_t i = 0; i < ENTITY_PATTERNS; i++)
        codes[i] = compile(entity_patterns[i].pattern, PCRE2_UTF | (entity_patterns[i].case_sensitive ? 0 : PCRE2_CASELESS));
    for (int round = 0; round < 20000; round++) {
        struct arena_mark    mark = arena_mark(arena);
        struct str           text = generated(arena, 12);
        struct text_entities found = text_entities(arena, text);
        struct str           keys[200];
        int                  category[200];
        size_t               n = 0, distinct = 0;
        for (size_t i = 0; i < ENTITY_PATTERNS; i++)
            for (PCRE2_SIZE from = 0; pcre2_match(codes[i], (PCRE2_SPTR)text.s, text.n, from, 0, match, NULL) > 0 && n < 200;) {
                const PCRE2_SIZE *at = pcre2_get_ovector_pointer(match);
                keys[n] = expected_key(arena, i, text, at);
                category[n] = (int)entity_patterns[i].category;
                from = at[1];
                if (!holds(found, entity_patterns[i].category, keys[n]))
                    fail_msg("\"" STR_FMT "\" is missed in \"" STR_FMT "\"", STR_ARG(keys[n]), STR_ARG(text));
                bool repeated = false;
                for (size_t j = 0; j < n; j++) repeated |= category[j] == category[n] && str_eq_nocase(keys[j], keys[n]);
                distinct += !repeated;
                n++;
            }
        if (found.n != distinct) fail_msg("%zu found, %zu expected in \"" STR_FMT "\"", found.n, distinct, STR_ARG(text));
        seen += n;
        arena_rewind(arena, mark);
    }
    check(seen > 10000);
    for (size_t i = 0; i < ENTITY_PATTERNS; i++) pcre2_code_free(codes[i]);
    pcre2_match_data_free(match);
}

TEST(entities, order_is_confidence_then_first_occurrence)
{
    struct text_entities found = text_entities(arena, STR("MAX_RETRY_COUNT by @ada, see ENG-7, #12 and get /v1/x; @ADA"));
    check_int(found.n, 5);
    check_str(found.at[0].key, "#12");
    check_str(found.at[1].key, "GET /v1/x;");
    check_str(found.at[2].key, "@ada");
    check_str(found.at[2].value, "ada");
    check_str(found.at[3].key, "ENG-7");
    check_str(found.at[4].key, "MAX_RETRY_COUNT");
}

TEST(entities, only_the_best_fifty_stay)
{
    struct buf text = buf_in(arena);
    for (int i = 0; i < 200; i++) buf_printf(&text, "@user%d ", i);
    buf_lit(&text, "#7");
    struct text_entities found = text_entities(arena, buf_str(&text));
    check_int(found.n, 50);
    check_str(found.at[0].key, "#7");
    check_str(found.at[49].key, "@user48");
}

TEST(entities, evidence_is_fifty_characters_around)
{
    check_str(text_evidence(arena, STR("see  #12\n now"), 5, 3), "see #12 now");
    struct str many = str_printf(arena, "%060d#12%060d", 0, 0);
    check_str(text_evidence(arena, many, 60, 3), str_printf(arena, "...%050d#12%050d...", 0, 0).s);
    check_str(text_evidence(arena, STR("x"), 9, 9), "x");
}

TEST(entities, mentions_are_names_without_the_sign)
{
    struct str names[20];
    check_int(text_mentions(STR("@ada and @Ada, mail@host @bob-b."), names), 2);
    check_str(names[0], "ada");
    check_str(names[1], "bob-b");
}

/* ---- keywords ------------------------------------------------------------------------------------------------------ */

static struct str keywords(struct arena *arena, const char *title, const char *body)
{
    struct str out[5];
    size_t     n = text_keywords(arena, str_of(title), str_of(body), out);
    return str_join(arena, out, n, STR(", "));
}

TEST(keywords, repeated_words_come_first)
{
    check_str(keywords(arena, "Prefetch: pool of pools", "the prefetch of a pool"), "prefetch, pool, pools");
}

TEST(keywords, pairs_replace_their_words)
{
    check_str(keywords(arena, "session timeout", "session timeout, session timeout"), "session timeout");
    check_str(keywords(arena, "", "alpha beta. alpha, alpha"), "alpha, beta");
}

TEST(keywords, code_urls_frames_numbers_and_hashes_are_left_out)
{
    check_str(keywords(arena, "", "```\nsecret\n```\nhttps://example.com/word 2024 deadbeef12 0x7fff 1.2.3\n"
                                  "    at parse (file.js:10:3)\n  File \"x.py\", line 3\n#1 0x1234 in main\n"
                                  "Signed-off-by: Ada <a@b.c>\nkept."),
              "kept");
}

TEST(keywords, words_of_every_message_are_left_out)
{
    check_str(keywords(arena, "Add a new pool", "This also makes the pool usable without using locks"), "pool, usable, locks");
}

TEST(keywords, marks_inside_words_stay)
{
    check_str(keywords(arena, "", "c++, node.js; t_zset.c!"), "c++, node.js, t_zset.c");
}

TEST(keywords, only_the_first_thousand_characters_of_the_body_count)
{
    struct buf body = buf_in(arena);
    for (int i = 0; i < 250; i++) buf_lit(&body, "on \xc3\xa9,");
    buf_lit(&body, "rate outside");
    buf_char(&body, 0);
    check_str(keywords(arena, "", buf_str(&body).s), "");
    check_str(keywords(arena, "", str_skip(buf_str(&body), 600).s), "rate outside");
}

/* ---- references in messages ---------------------------------------------------------------------------------------- */

static const struct str web = {"https://github.com", 18};

static struct str closing(struct arena *arena, const char *text)
{
    struct text_issues issues = text_closing_issues(arena, str_of(text), web);
    struct buf         out = buf_in(arena);
    for (size_t i = 0; i < issues.n; i++)
        buf_printf(&out, "%s%s:" STR_FMT STR_FMT, i ? " " : "", issues.at[i].label, STR_ARG(issues.at[i].repo),
                   STR_ARG(issues.at[i].id));
    return buf_str(&out);
}

TEST(issues, closing_keywords_are_mapped_to_three_spellings)
{
    check_str(closing(arena, "Closes: #12, resolves ENG-7, fixes utf-8"), "closes:#12 resolves:ENG-7");
    check_str(closing(arena, "fix #1 fixes #2 fixed #3 close #4 closed #5 resolve #6 RESOLVED: #7"),
              "fixes:#1 fixes:#2 fixes:#3 closes:#4 closes:#5 resolves:#6 resolves:#7");
}

TEST(issues, each_target_needs_its_own_keyword)
{
    check_str(closing(arena, "fixes #1, #2 and prefix #3 fixes#4 fixing #5"), "fixes:#1");
}

TEST(issues, targets_in_other_repositories_carry_a_url)
{
    struct text_issues issues = text_closing_issues(
        arena, STR("fixes acme/api#9. Closes https://github.com/acme/web/issues/3#x"), web);
    check_int(issues.n, 2);
    check_str(issues.at[0].repo, "acme/api");
    check_str(issues.at[0].url, "https://github.com/acme/api/issues/9");
    check_str(issues.at[1].repo, "acme/web");
    check_str(issues.at[1].id, "#3");
    check_str(issues.at[1].url, "https://github.com/acme/web/issues/3");
    check_str(closing(arena, "fixes https://elsewhere.org/acme/web/issues/3"), "");
}

TEST(issues, sentry_short_ids_need_the_word)
{
    check_str(closing(arena, "fixes Sentry WEB-APP-1A2, fixes WEB-1A2, fixes CVE-2021-1 fixes SHA-256"), "fixes:WEB-APP-1A2");
}

TEST(issues, fenced_code_is_not_searched)
{
    check_str(closing(arena, "a\n```c\nfixes #1\n``\n~~~\n```\nfixes #2\n  ~~~~ x\nfixes #3\n~~~\nfixes #4\n~~~~\nfixes #5"),
              "fixes:#2 fixes:#5");
    check_str(closing(arena, "fixes #1\n```\nfixes #2"), "fixes:#1");
    check_str(closing(arena, "```inline``` fixes #3"), "fixes:#3");
}

TEST(issues, mentions_are_numbers_and_ticket_ids)
{
    struct text_issues issues = text_mentioned_issues(arena, STR("see #12, #12, acme/api#3, ENG-4, UTF-8, a#5, &#6;\n```\n#7\n```"));
    check_int(issues.n, 3);
    check_str(issues.at[0].id, "#12");
    check(issues.at[0].label == NULL);
    check_str(issues.at[1].id, "#3");
    check_str(issues.at[1].repo, "acme/api");
    check_str(issues.at[2].id, "ENG-4");
}

/* ---- periods ------------------------------------------------------------------------------------------------------- */

/* "2021-03-01 2021-03-31", "-" for an open side, "none"; the day asked is Wednesday, 2024-05-15. */
static struct str period_in(struct arena *arena, const char *text)
{
    struct text_period period;
    int64_t            now;
    check(time_parse(STR("2024-05-15T12:00:00Z"), &now));
    if (!text_period(str_of(text), now, &period)) return STR("none");
    struct str start = period.start == INT64_MIN ? STR("-") : str_slice(time_format(arena, period.start), 0, 10);
    struct str end = period.end == INT64_MAX ? STR("-") : str_slice(time_format(arena, period.end), 0, 10);
    return str_printf(arena, STR_FMT " " STR_FMT, STR_ARG(start), STR_ARG(end));
}

TEST(period, is_found_in_the_words_of_a_question)
{
    static const struct { const char *text, *period; } rows[] = {
        {"what did Ada do for SCRAM in 2020?", "2020-01-01 2020-12-31"},
        {"TLS work in August 2015, when it landed", "2015-08-01 2015-08-31"},
        {"fixes of Feb. 2024", "2024-02-01 2024-02-29"},
        {"the summer of 2024", "2024-06-01 2024-08-31"},
        {"winter 2020", "2019-12-01 2020-02-29"},
        {"the first half of 2022", "2022-01-01 2022-06-30"},
        {"at the end of 2022", "2022-10-01 2022-12-31"},
        {"Q3 2021 releases", "2021-07-01 2021-09-30"},
        {"on 2021-03-04", "2021-03-04 2021-03-04"},
        {"during 2021-03", "2021-03-01 2021-03-31"},
        {"since March 2021", "2021-03-01 -"},
        {"after 2019", "2020-01-01 -"},
        {"before the summer of 2019", "- 2019-05-31"},
        {"until 2019", "- 2019-12-31"},
        {"what happened yesterday", "2024-05-14 2024-05-15"},
        {"this week", "2024-05-13 2024-05-15"},
        {"last week", "2024-05-08 2024-05-15"},
        {"last month", "2024-04-01 2024-05-15"},
        {"this year", "2024-01-01 2024-05-15"},
        {"the past 3 days", "2024-05-12 2024-05-15"},
        {"last quarter", "2024-01-01 2024-05-15"},
        {"the last two weeks", "2024-05-01 2024-05-15"},
        {"the last 24 hours", "2024-05-14 2024-05-15"},
        {"after last week", "2024-05-08 -"},
        {"between 2019 and 2021", "2019-01-01 2021-12-31"},
        {"from 2019 to the summer of 2020", "2019-01-01 2020-08-31"},
        {"since 2019 until 2021", "2019-01-01 2021-12-31"},
        {"from March to May 2021", "2021-03-01 2021-05-31"},
        {"in March and April 2021", "2021-03-01 2021-04-30"},
        {"2021-03-01 to 2021-03-15", "2021-03-01 2021-03-15"},
        {"in 2021 or 2022", "2021-01-01 2022-12-31"},
        {"in 2021 and 20 others", "2021-01-01 2021-12-31"},
        {"3 days ago", "2024-05-12 2024-05-12"},
        {"two weeks ago", "2024-05-01 2024-05-07"},
        {"a week ago", "2024-05-08 2024-05-14"},
        {"since a year ago", "2023-01-01 -"},
        {"what shipped in March?", "2024-03-01 2024-03-31"},
        {"since september", "2023-09-01 -"},
        {"what broke in may", "2024-05-01 2024-05-31"},
        {"before May", "- 2024-04-30"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_str(period_in(arena, rows[i].text), rows[i].period);
}

TEST(period, is_not_every_number)
{
    static const char *const texts[] = {"", "port 2020", "CVE-2021-32762", "error 1999 in 3 files", "in 12345", "in 1789",
                                        "last time", "march of the penguins", "may 5", "first half", "the last 3", "in 2021x",
                                        "2021-13", "99999999999999999999 days",
                                        "pool of 2000 connections", "timeout after 2000 ms", "after #2021", "since 2021.3",
                                        "of :2020", "calls before may fail", "since march", "in may 5", "ages ago",
                                        "the last one", "between clients and servers"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_str(period_in(arena, texts[i]), "none");
}

TEST(people, coauthors_in_order_without_duplicates_and_bots)
{
    struct text_people people = text_coauthors(
        arena, STR("Do it\n\nCo-authored-by: Ada Lovelace <Ada@example.org>\nco-authored-by: Ada <ada@example.org>\r\n"
                   "CO-AUTHORED-BY: Bob <12+bob@users.noreply.github.com>\n"
                   "Co-authored-by: dependabot[bot] <1+dependabot[bot]@users.noreply.github.com>\n"
                   "Co-authored-by: nobody\nnot Co-authored-by: X <x@y.z>\n"));
    check_int(people.n, 2);
    check_str(people.at[0].name, "Ada Lovelace");
    check_str(people.at[0].email, "Ada@example.org");
    check(people.at[0].login.s == NULL);
    check_str(people.at[1].login, "bob");
    check_str(people.at[1].id, "12");
}

TEST(people, noreply_addresses_come_apart)
{
    struct str login, id;
    check(text_noreply(STR("123+ada@users.noreply.github.com"), &login, &id));
    check_str(login, "ada");
    check_str(id, "123");
    check(text_noreply(STR("ada@Users.NoReply.GitHub.com"), &login, &id));
    check_str(login, "ada");
    check(id.s == NULL);
    check(!text_noreply(STR("ada@example.org"), &login, &id));
    check(!text_noreply(STR("x+ada@users.noreply.github.com"), &login, &id));
    check(!text_noreply(STR("@users.noreply.github.com"), &login, &id));
}

/* ---- hostile input: completes, that is all (quadratic work would not) ---------------------------------------------- */

static void read_everything(struct str text)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct str    out[20];
    const char   *words[8];
    struct text_terms terms = text_terms(arena, text);
    for (size_t i = 0; i < terms.n; i++) check(terms.at[i].from < terms.at[i].to && terms.at[i].to <= text.n);
    uint64_t *set = NEW_ARRAY(arena, uint64_t, terms.n);
    size_t    unique = text_term_set(&terms, set);
    for (size_t i = 1; i < unique; i++) check(set[i - 1] < set[i]);
    text_signs(text, text);
    text_title_words(text, words);
    check(text_keywords(arena, text, text, out) <= 5);
    check(text_entities(arena, text).n <= 50);
    check(text_mentions(text, out) <= 20);
    check(text_closing_issues(arena, text, web).n <= 100);
    check(text_mentioned_issues(arena, text).n <= 50);
    check(text_coauthors(arena, text).n <= 100);
    text_evidence(arena, text, text.n / 2, 10);
    text_fold(arena, text);
}

TEST(hostile, ten_megabytes_of_one_kind_complete)
{
    static const char *const units[] = {"a", "@", "#", "A_", "a/", "a.", "-", "`", "```\n", "~~~\n", "```\n~~~\n", "fix ", "fix:\n", "GET ",
                                        "branch:", "src/", "[", "Co-authored-by: <", "@a-", "#1 ", "\n", " ", "\xc3\xa9", "\xff",
                                        "\xe6\xbc\xa2", "a1", "aB", "x#1", "version ", "fixes acme/", "fixes A", "'", "a'", "_", "a::"};
    enum { SIZE = 10 << 20 };
    char *memory = malloc(SIZE);
    check(memory != NULL);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i]), size = i % 6 ? SIZE / 10 : SIZE;
        for (size_t at = 0; at < size; at++) memory[at] = units[i][at % n];
        read_everything((struct str){memory, size});
    }
    free(memory);
}

TEST(hostile, random_bytes_are_only_text)
{
    char memory[3000];
    for (int round = 0; round < 300; round++) {
        for (size_t i = 0; i < sizeof memory; i++) memory[i] = (char)random_below(256);
        read_everything((struct str){memory, random_below(sizeof memory)});
    }
    read_everything((struct str){0});
}

static void *count_terms(void *arg)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    int          *wrong = arg;
    for (int i = 0; i < 2000; i++) {
        struct arena_mark mark = arena_mark(arena);
        if (text_terms(arena, STR("fixing crashes in client_idle_timeout")).n != 7) ++*wrong;
        if (text_closing_issues(arena, STR("fixes acme/api#3"), web).n != 1) ++*wrong;
        arena_rewind(arena, mark);
    }
    return NULL;
}

TEST(threads, work_side_by_side)
{
    pthread_t threads[4];
    int       wrong[4] = {0};
    for (size_t i = 0; i < 4; i++) check_int(pthread_create(&threads[i], NULL, count_terms, &wrong[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        check_int(wrong[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(terms, words_carry_their_spans_and_stop_words_are_marked),
        RUN(terms, stems_fold_case_and_inflection),
        RUN(terms, accents_and_compatibility_forms_are_folded),
        RUN(terms, ideographs_are_words_of_their_own),
        RUN(terms, snake_case_yields_whole_and_parts),
        RUN(terms, camel_case_yields_whole_and_parts),
        RUN(terms, paths_yield_file_name_and_words),
        RUN(terms, dotted_names_options_and_scopes),
        RUN(terms, numbers_versions_and_ids_stay_whole),
        RUN(terms, sentences_are_no_identifiers),
        RUN(terms, whole_term_is_the_first_term_of_the_same_text),
        RUN(terms, set_is_sorted_unique_and_without_stop_words),
        RUN(signs, one_pass_equals_the_patterns),
        RUN(signs, title_words_in_the_order_of_the_rule),
        RUN(signs, label_of_the_connector_is_no_title),
        RUN(entities, one_pass_equals_the_patterns),
        RUN(entities, order_is_confidence_then_first_occurrence),
        RUN(entities, only_the_best_fifty_stay),
        RUN(entities, evidence_is_fifty_characters_around),
        RUN(entities, mentions_are_names_without_the_sign),
        RUN(keywords, repeated_words_come_first),
        RUN(keywords, pairs_replace_their_words),
        RUN(keywords, code_urls_frames_numbers_and_hashes_are_left_out),
        RUN(keywords, words_of_every_message_are_left_out),
        RUN(keywords, marks_inside_words_stay),
        RUN(keywords, only_the_first_thousand_characters_of_the_body_count),
        RUN(issues, closing_keywords_are_mapped_to_three_spellings),
        RUN(issues, each_target_needs_its_own_keyword),
        RUN(issues, targets_in_other_repositories_carry_a_url),
        RUN(issues, sentry_short_ids_need_the_word),
        RUN(issues, fenced_code_is_not_searched),
        RUN(issues, mentions_are_numbers_and_ticket_ids),
        RUN(period, is_found_in_the_words_of_a_question),
        RUN(period, is_not_every_number),
        RUN(people, coauthors_in_order_without_duplicates_and_bots),
        RUN(people, noreply_addresses_come_apart),
        RUN(hostile, ten_megabytes_of_one_kind_complete),
        RUN(hostile, random_bytes_are_only_text),
        RUN(threads, work_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
