/* object.c - commits and tags from their raw bytes, their texts as UTF-8. */
#include "source/git/inside.h"

#include "base/time.h"
#include "base/utf8.h"

#include <iconv.h>

void object_end(git_odb_object **object)
{
    libgit2.odb_object_free(*object);
}

git_odb_object *object_read(struct source_git *git, const git_oid *id, git_object_t type)
{
    git_odb_object *object = NULL;
    if (libgit2.odb_read(&object, git->odb, id) != 0) return NULL;
    if (libgit2.odb_object_type(object) == type) return object;
    libgit2.odb_object_free(object);
    return NULL;
}

struct str git_hex(struct arena *arena, const git_oid *id)
{
    char *hex = arena_alloc_raw(arena, GIT_OID_HEXSZ);
    libgit2.oid_fmt(hex, id);
    return (struct str){hex, GIT_OID_HEXSZ};
}

struct err *git_failure(struct arena *arena, enum err_code code, const char *what)
{
    const git_error *cause = libgit2.error_last();
    return err_new(arena, code, "%s%s%s", what, cause ? ": " : "", cause ? cause->message : "");
}

/* ---- taking apart ------------------------------------------------------------------------------------------------ */

/* "Name <email> 1700000000 +0100"; every part may be missing. */
static struct object_person person(struct str line)
{
    struct object_person person = {0};
    size_t               open = str_find_char(line, '<', 0);
    if (open == SIZE_MAX) {
        person.name = str_trim(line);
        return person;
    }
    person.name = str_trim(str_slice(line, 0, open));
    size_t close = str_find_char(line, '>', open);
    person.email = str_trim(str_slice(line, open + 1, close));
    struct str rest = close == SIZE_MAX ? (struct str){0} : str_trim(str_skip(line, close + 1)), seconds;
    if (str_cut(&rest, ' ', &seconds) && !str_to_int(seconds, &person.time)) person.time = 0;
    return person;
}

void object_parse(struct str raw, struct object_text *text)
{
    *text = (struct object_text){0};
    for (struct str rest = raw, line; str_cut(&rest, '\n', &line);) {
        if (!line.n) {
            text->message = rest;
            return;
        }
        struct str value = line, key;
        str_cut(&value, ' ', &key);
        if (!key.n) continue; /* continuation of a header such as gpgsig */
        if (str_eq(key, STR("parent"))) {
            if (!text->parents.s) text->parents.s = line.s;
            text->parents.n = (size_t)(line.s + line.n - text->parents.s);
        } else if (str_eq(key, STR("tree")))
            text->tree = value;
        else if (str_eq(key, STR("author")))
            text->author = person(value);
        else if (str_eq(key, STR("committer")) || str_eq(key, STR("tagger")))
            text->committer = person(value);
        else if (str_eq(key, STR("encoding")))
            text->encoding = value;
        else if (str_eq(key, STR("object")))
            text->target = value;
        else if (str_eq(key, STR("type")))
            text->target_type = value;
        else if (str_eq(key, STR("tag")))
            text->tag = value;
    }
}

bool object_parent(struct str *parents, git_oid *id)
{
    for (struct str line; str_cut(parents, '\n', &line);)
        if (str_starts(line, STR("parent ")) && line.n == 7 + GIT_OID_HEXSZ &&
            libgit2.oid_fromstrn(id, line.s + 7, GIT_OID_HEXSZ) == 0)
            return true;
    return false;
}

struct str object_subject(struct str message)
{
    message = str_trim(message);
    return str_trim(str_slice(message, 0, str_find_char(message, '\n', 0)));
}

/* ---- texts as UTF-8 ---------------------------------------------------------------------------------------------- */

static struct str without_nul(struct arena *arena, struct str text)
{
    if (str_find_char(text, 0, 0) == SIZE_MAX) return str_dup(arena, text);
    char  *out = arena_alloc_raw(arena, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (text.s[i]) out[n++] = text.s[i];
    return (struct str){out, n};
}

static struct str from_latin1(struct arena *arena, struct str text)
{
    char  *out = arena_alloc_raw(arena, text.n * 2);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if (c >= 0x80) out[n++] = (char)(0xc0 | c >> 6);
        if (c) out[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    return (struct str){out, n};
}

/* The name goes to iconv_open, which looks for a conversion module of that name. */
static bool charset_plausible(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.:", c))))
            return false;
    }
    return name.n >= 1 && name.n <= 40;
}

static bool from_charset(struct arena *arena, struct str charset, struct str *text)
{
    iconv_t converter = iconv_open("UTF-8", str_z(arena, charset));
    if (converter == (iconv_t)-1) return false;
    size_t room = text->n * 4 + 16, left = room, remaining = text->n;
    char  *out = arena_alloc_raw(arena, room), *at = out, *from = (char *)text->s;
    bool   converted = iconv(converter, &from, &remaining, &at, &left) != (size_t)-1 &&
                     iconv(converter, NULL, NULL, &at, &left) != (size_t)-1;
    iconv_close(converter);
    if (converted) *text = (struct str){out, room - left};
    return converted;
}

struct str object_utf8(struct arena *arena, struct str encoding, struct str text)
{
    bool utf8 = !encoding.n || str_eq_nocase(encoding, STR("utf-8")) || str_eq_nocase(encoding, STR("utf8"));
    if (!utf8 && charset_plausible(encoding)) from_charset(arena, encoding, &text);
    struct str plain = without_nul(arena, text);
    return utf8_valid(plain) ? plain : from_latin1(arena, plain);
}

/* ---- commits ----------------------------------------------------------------------------------------------------- */

int64_t object_time(const struct source_git *git, int64_t seconds)
{
    int64_t latest = git->now / 1000;
    if (seconds < 0) seconds = 0;
    return (seconds > latest ? latest : seconds) * 1000;
}

/* A cut that does not fall into the middle of a character. */
static struct str bounded_message(struct str message)
{
    if (message.n <= MAX_MESSAGE) return message;
    size_t n = MAX_MESSAGE;
    while (n > MAX_MESSAGE - 4 && ((unsigned char)message.s[n] & 0xc0) == 0x80) n--;
    return str_slice(message, 0, n);
}

/* Follow tags to a commit. */
bool object_peel(struct source_git *git, git_oid *id)
{
    enum { MAX_TAGS = 8 };
    for (int i = 0; i < MAX_TAGS; i++) {
        git_odb_object *object = NULL;
        if (libgit2.odb_read(&object, git->odb, id) != 0) return false;
        git_object_t       type = libgit2.odb_object_type(object);
        struct object_text text;
        object_parse(object_raw(object), &text);
        bool followed = type == GIT_OBJECT_TAG && text.target.n == GIT_OID_HEXSZ &&
                        libgit2.oid_fromstrn(id, text.target.s, GIT_OID_HEXSZ) == 0;
        libgit2.odb_object_free(object);
        if (!followed) return type == GIT_OBJECT_COMMIT;
    }
    return false;
}

/* Addresses compare without regard to case, as in git; libgit2 takes them as they are. */
static void apply_mailmap(const struct source_git *git, struct arena *arena, struct str *name, struct str *email)
{
    const char *real_name, *real_email, *given = str_z(arena, *name), *address = str_z(arena, *email);
    if (!git->mailmap) return;
    if (libgit2.mailmap_resolve(&real_name, &real_email, git->mailmap, given, address) != 0) return;
    if (real_name == given && real_email == address) {
        const char *lower = str_z(arena, str_lower(arena, *email));
        if (libgit2.mailmap_resolve(&real_name, &real_email, git->mailmap, given, lower) != 0) return;
        if (real_name == given && real_email == lower) return;
    }
    *name = object_utf8(arena, (struct str){0}, str_of(real_name));
    *email = object_utf8(arena, (struct str){0}, str_of(real_email));
}

bool commit_read(struct source_git *git, struct arena *arena, const git_oid *id, struct commit_text *commit)
{
    git_odb_object *object OBJECT_SCOPE = object_read(git, id, GIT_OBJECT_COMMIT);
    struct object_text     text;
    if (!object) return false;
    object_parse(object_raw(object), &text);
    *commit = (struct commit_text){.id = *id, .time = object_time(git, text.committer.time)};
    if (text.tree.n != GIT_OID_HEXSZ || libgit2.oid_fromstrn(&commit->tree, text.tree.s, GIT_OID_HEXSZ) != 0)
        return false;
    for (git_oid parent; object_parent(&text.parents, &parent); commit->parent_count++)
        if (commit->parent_count < 2) *(commit->parent_count ? &commit->second_parent : &commit->first_parent) = parent;
    commit->message = str_trim(object_utf8(arena, text.encoding, bounded_message(text.message)));
    commit->subject = object_subject(commit->message);
    commit->author_name = object_utf8(arena, text.encoding, str_slice(text.author.name, 0, 1000));
    commit->author_email = object_utf8(arena, text.encoding, str_slice(text.author.email, 0, 1000));
    commit->committer_name = object_utf8(arena, text.encoding, str_slice(text.committer.name, 0, 1000));
    commit->committer_email = object_utf8(arena, text.encoding, str_slice(text.committer.email, 0, 1000));
    apply_mailmap(git, arena, &commit->author_name, &commit->author_email);
    apply_mailmap(git, arena, &commit->committer_name, &commit->committer_email);
    return true;
}
