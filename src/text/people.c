/* people.c - co-authors and the addresses that GitHub gives to people who hide theirs. */
#include "text/inside.h"

enum { MOST_COAUTHORS = 100 };

bool text_noreply(struct str email, struct str *login, struct str *id)
{
    const struct str host = STR("@users.noreply.github.com");
    int64_t          number;
    *login = *id = (struct str){0};
    if (email.n <= host.n || !str_eq_nocase(str_skip(email, email.n - host.n), host)) return false;
    struct str name = str_slice(email, 0, email.n - host.n);
    size_t     plus = str_find_char(name, '+', 0);
    if (str_find_char(name, '@', 0) != SIZE_MAX) return false;
    if (plus == SIZE_MAX) {
        *login = name;
        return true;
    }
    struct str digits = str_slice(name, 0, plus), rest = str_skip(name, plus + 1);
    if (!str_to_int(digits, &number) || number <= 0 || !rest.n) return false;
    *login = rest;
    *id = digits;
    return true;
}

/* Co-authored-by: Name <email> */
static bool read_trailer(struct str line, struct text_person *person)
{
    const struct str key = STR("co-authored-by:");
    line = str_trim(line);
    if (!str_starts_nocase(line, key) || !str_ends(line, STR(">"))) return false;
    line = str_skip(line, key.n);
    size_t open = str_find_char(line, '<', 0);
    if (open == SIZE_MAX) return false;
    *person = (struct text_person){
        .name = str_trim(str_slice(line, 0, open)),
        .email = str_trim(str_slice(line, open + 1, line.n - 1)),
    };
    for (size_t i = 0; i < person->email.n; i++)
        if (text_is(person->email.s[i], CLASS_SPACE) || person->email.s[i] == '<' || person->email.s[i] == '>') return false;
    size_t at = str_find_char(person->email, '@', 0);
    if (!person->name.n || at == SIZE_MAX || at == 0 || at + 1 == person->email.n) return false;
    text_noreply(person->email, &person->login, &person->id);
    return !str_ends(person->name, STR("[bot]")) && !str_ends(person->login, STR("[bot]"));
}

struct text_people text_coauthors(struct arena *arena, struct str text)
{
    text_start();
    VEC(struct text_person) people = {0};
    struct text_prose  prose = {.rest = text};
    struct text_person person;
    for (struct str piece, line; text_next_prose(&prose, &piece);)
        for (struct str rest = piece; people.n < MOST_COAUTHORS && str_cut(&rest, '\n', &line);) {
            if (!read_trailer(line, &person)) continue;
            bool repeated = false;
            for (size_t i = 0; i < people.n && !repeated; i++) repeated = str_eq_nocase(people.at[i].email, person.email);
            if (!repeated) *VEC_PUSH(arena, &people) = person;
        }
    return (struct text_people){people.at, people.n};
}
