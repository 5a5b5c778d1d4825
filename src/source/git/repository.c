/* repository.c - opening: nothing outside of the repository's own references and objects has a say. */
#include "source/git/inside.h"

#include "base/time.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <git2/sys/repository.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CONFIG = 1 << 20, MAX_MAILMAP = 1 << 20 };

struct libgit2 libgit2;

/* libgit2's settings are the process's. Caching is off because every object is read about once and the trees have a
 * cache of their own; the hash of an object is not checked again because the repository is trusted as far as its
 * content goes, and checking costs more than reading. */
static void settle_library(void)
{
    static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                                 GIT_CONFIG_LEVEL_GLOBAL};
    libgit2.libgit2_init();
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        libgit2.libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
    libgit2.libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    libgit2.libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
    libgit2.libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
}

/* Not pthread_once: a library that was not there may be there the next time. */
struct err *git_start(struct arena *arena)
{
    static const char *const names[] = {LIBGIT2(LIBRARY_NAME)};
    static pthread_mutex_t   lock = PTHREAD_MUTEX_INITIALIZER;
    static bool              started;
    struct err              *failed = NULL;
    pthread_mutex_lock(&lock);
    if (!started) {
        failed = library_load(arena, "libgit2.so." LIBGIT2_SOVERSION, names, sizeof names / sizeof *names, &libgit2);
        if (!failed) settle_library();
        started = !failed;
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

/* ---- files beside the objects ------------------------------------------------------------------------------------ */

/* A regular file's content, cut at `most`; {NULL, 0} if there is none. O_NONBLOCK: a pipe must not hold us up. */
static struct str read_file(struct arena *arena, struct str directory, const char *name, size_t most)
{
    struct stat facts;
    int fd = open(str_z(arena, str_printf(arena, STR_FMT "%s", STR_ARG(directory), name)),
                  O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return (struct str){0};
    struct str content = {0};
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode)) {
        char   *bytes = arena_alloc_raw(arena, most);
        size_t  n = 0;
        ssize_t got;
        while (n < most && (got = read(fd, bytes + n, most - n)) > 0) n += (size_t)got;
        content = (struct str){bytes, n};
    }
    close(fd);
    return content;
}

static bool exists(struct arena *arena, struct str directory, const char *name)
{
    struct stat facts;
    return stat(str_z(arena, str_printf(arena, STR_FMT "%s", STR_ARG(directory), name)), &facts) == 0;
}

/* The work tree that encloses `path`, else the git directory itself. */
static struct str place_of(struct arena *arena, struct str path, struct str git_directory)
{
    for (struct str at = path;;) {
        if (exists(arena, at, "/.git")) return at.n ? at : STR("/");
        size_t slash = SIZE_MAX;
        for (size_t i = 0; i < at.n; i++)
            if (at.s[i] == '/') slash = i;
        if (slash == SIZE_MAX) break;
        at.n = slash;
    }
    while (git_directory.n > 1 && git_directory.s[git_directory.n - 1] == '/') git_directory.n--;
    return git_directory;
}

static struct str last_part(struct str path)
{
    struct str part = path;
    for (struct str rest = path, head; str_cut(&rest, '/', &head);)
        if (head.n) part = head;
    if (str_ends(part, STR(".git")) && part.n > 4) part.n -= 4;
    return part;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static struct err *open_repository(struct source_git *git, struct arena *arena)
{
    git_buf     found = {0};
    char        real[PATH_MAX];
    const char *path = str_z(arena, git->options.path);
    struct err *refusal = err_new(arena, ERR_INVALID, "not a git repository: " STR_FMT, STR_ARG(git->options.path));
    if (!git->options.path.n || !realpath(path, real) || libgit2.repository_discover(&found, real, 1, NULL) != 0)
        return refusal;
    struct str directory = str_dup(git->arena, str_of(found.ptr));
    libgit2.buf_dispose(&found);
    if (libgit2.repository_open_bare(&git->repository, str_z(arena, directory)) != 0) return refusal;
    git_config *none = NULL;
    if (libgit2.config_new(&none) != 0) return git_failure(arena, ERR_INTERNAL, "cannot open the repository");
    int failed = libgit2.repository_set_config(git->repository, none);
    libgit2.config_free(none);
    if (failed || libgit2.repository_odb(&git->odb, git->repository) != 0)
        return git_failure(arena, ERR_INVALID, "cannot read the repository");
    git->facts.path = utf8_repair(git->arena, str_dup(git->arena, place_of(arena, str_of(real), directory)));
    return NULL;
}

static struct err *find_name(struct source_git *git, struct arena *arena)
{
    struct source_git_facts *facts = &git->facts;
    struct git_remote_name   remote;
    struct str               common = str_of(libgit2.repository_commondir(git->repository));
    struct str config = read_file(arena, common, "config", MAX_CONFIG);
    if (config_is_sha256(config))
        return err_new(arena, ERR_INVALID, "the repository uses SHA-256 object names, which are not supported");
    remote_name(git->arena, config_remote_url(arena, config), git->options.github_web_url, &remote);
    facts->repo = remote.repo;
    facts->host = remote.host.s ? remote.host : STR("");
    facts->source = remote.github ? STR("github") : STR("git");
    facts->shallow = exists(arena, common, "shallow");
    if (git->options.repo.n)
        facts->repo = git->options.repo;
    else if (!facts->repo.n)
        facts->repo = str_printf(git->arena, "local/" STR_FMT, STR_ARG(last_part(facts->path)));
    return NULL;
}

/* ---- where history begins ---------------------------------------------------------------------------------------- */

static bool reference_tip(struct source_git *git, struct arena *arena, const char *prefix, struct str name,
                          git_oid *tip)
{
    const char *full = str_z(arena, str_printf(arena, "%s" STR_FMT, prefix, STR_ARG(name)));
    git_oid     id;
    if (libgit2.reference_name_to_id(&id, git->repository, full) != 0 || !object_peel(git, &id)) return false;
    *tip = id;
    return true;
}

/* The branch that a symbolic reference names: "main" of "refs/remotes/origin/main"; {NULL, 0}: none. */
static struct str symbolic_branch(struct source_git *git, struct arena *arena, const char *name, const char *prefix)
{
    git_reference *reference = NULL;
    struct str     branch = {0};
    if (libgit2.reference_lookup(&reference, git->repository, name) != 0) return branch;
    const char *target = libgit2.reference_symbolic_target(reference);
    if (target && str_starts(str_of(target), str_of(prefix)))
        branch = str_dup(arena, str_skip(str_of(target), strlen(prefix)));
    libgit2.reference_free(reference);
    return branch;
}

static bool any_branch(struct source_git *git)
{
    git_reference_iterator *iterator = NULL;
    git_reference          *reference = NULL;
    bool any = libgit2.reference_iterator_glob_new(&iterator, git->repository, "refs/heads/*") == 0 &&
               libgit2.reference_next(&reference, iterator) == 0;
    libgit2.reference_free(reference);
    libgit2.reference_iterator_free(iterator);
    return any;
}

/* *found: false for a repository without commits. */
static struct err *default_branch(struct source_git *git, struct arena *arena, bool *found)
{
    struct str remote = symbolic_branch(git, git->arena, "refs/remotes/origin/HEAD", "refs/remotes/origin/");
    *found = remote.n && reference_tip(git, arena, "refs/remotes/origin/", remote, &git->tip);
    if (*found) {
        git->facts.branch = remote;
        return NULL;
    }
    git->facts.branch = symbolic_branch(git, git->arena, "HEAD", "refs/heads/");
    *found = reference_tip(git, arena, "", STR("HEAD"), &git->tip);
    if (*found || !any_branch(git)) return NULL;
    return err_new(arena, ERR_INVALID,
                   "HEAD names the branch \"" STR_FMT "\", which does not exist; choose one with --branch",
                   STR_ARG(git->facts.branch));
}

static struct err *named_branch(struct source_git *git, struct arena *arena)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/remotes/origin/", "refs/remotes/"};
    struct str name = git->options.branch;
    if (str_starts(name, STR("refs/heads/"))) name = str_skip(name, 11);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (reference_tip(git, arena, prefixes[i], name, &git->tip)) {
            git->facts.branch = str_starts(name, STR("origin/")) && i == 2 ? str_skip(name, 7) : name;
            return NULL;
        }
    return err_new(arena, ERR_INVALID, "unknown branch: " STR_FMT, STR_ARG(git->options.branch));
}

static bool reaches(struct source_git *git, const git_oid *from, const git_oid *commit)
{
    return libgit2.oid_equal(from, commit) || libgit2.graph_descendant_of(git->repository, from, commit) == 1;
}

bool repository_reaches(struct source_git *git, const git_oid *commit)
{
    if (!git->facts.tip.n) return false;
    if (graph_find(&git->graph, commit) != GRAPH_NONE) return true;
    return git->incremental && reaches(git, &git->tip, commit);
}

/* A revision lies on a branch only if that branch holds it. */
static struct err *revision(struct source_git *git, struct arena *arena)
{
    struct str  rev = git->options.rev;
    git_object *object = NULL;
    git_oid     branch_tip = git->tip, id;
    bool        known = rev.n == GIT_OID_HEXSZ && libgit2.oid_fromstrn(&id, rev.s, rev.n) == 0;
    if (!known && libgit2.revparse_single(&object, git->repository, str_z(arena, rev)) == 0) {
        id = *libgit2.object_id(object);
        known = true;
    }
    libgit2.object_free(object);
    if (!known || !object_peel(git, &id))
        return err_new(arena, ERR_INVALID, "unknown revision: " STR_FMT, STR_ARG(rev));
    git->tip = id;
    if (!git->options.branch.n && reference_tip(git, arena, "refs/heads/", rev, &id))
        git->facts.branch = rev;
    else if (libgit2.oid_is_zero(&branch_tip) || !reaches(git, &branch_tip, &git->tip))
        git->facts.branch = (struct str){0};
    return NULL;
}

static struct err *find_tip(struct source_git *git, struct arena *arena)
{
    bool found = true;
    if (git->options.branch.n)
        TRY(named_branch(git, arena));
    else {
        struct err *err = default_branch(git, arena, &found);
        if (err && !git->options.rev.n) return err;
    }
    if (git->options.rev.n) TRY(revision(git, arena));
    if (found || git->options.rev.n) git->facts.tip = git_hex(git->arena, &git->tip);
    git->facts.branch = utf8_repair(git->arena, git->facts.branch);
    return NULL;
}

/* From the tip's tree; in a partial clone the blob may be absent, then names stay as the commits have them. */
static void read_mailmap(struct source_git *git, struct arena *arena)
{
    struct commit_text    tip;
    git_tree             *tree = NULL;
    const git_tree_entry *entry;
    git_odb_object       *blob = NULL;
    size_t                size;
    git_object_t          type;
    if (commit_read(git, arena, &git->tip, &tip) && libgit2.tree_lookup(&tree, git->repository, &tip.tree) == 0 &&
        (entry = libgit2.tree_entry_byname(tree, ".mailmap")) && libgit2.tree_entry_type(entry) == GIT_OBJECT_BLOB &&
        libgit2.tree_entry_filemode(entry) != GIT_FILEMODE_LINK &&
        libgit2.odb_read_header(&size, &type, git->odb, libgit2.tree_entry_id(entry)) == 0 && size <= MAX_MAILMAP)
        blob = object_read(git, libgit2.tree_entry_id(entry), GIT_OBJECT_BLOB);
    if (blob &&
        libgit2.mailmap_from_buffer(&git->mailmap, libgit2.odb_object_data(blob), libgit2.odb_object_size(blob)) != 0)
        git->mailmap = NULL;
    libgit2.odb_object_free(blob);
    libgit2.tree_free(tree);
}

static void keep_options(struct source_git *git)
{
    struct str *const texts[] = {&git->options.path, &git->options.repo, &git->options.branch, &git->options.rev,
                                 &git->options.github_web_url};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = str_dup(git->arena, *texts[i]);
    struct str *web = &git->options.github_web_url;
    while (web->n && web->s[web->n - 1] == '/') web->n--;
}

struct err *source_git_open(struct arena *arena, struct source_git_options options, struct source_git **out)
{
    TRY(git_start(arena));
    struct arena      *own = arena_create();
    struct source_git *git = NEW(own, struct source_git);
    *git = (struct source_git){.arena = own, .options = options, .now = time_now()};
    keep_options(git);
    graph_start(&git->graph, own);
    struct err *err = open_repository(git, arena);
    if (!err) err = find_name(git, arena);
    if (!err) err = find_tip(git, arena);
    if (err) {
        source_git_close(git);
        return err;
    }
    if (git->facts.tip.n) read_mailmap(git, arena);
    git->trees = tree_cache_create();
    *out = git;
    return NULL;
}

void source_git_close(struct source_git *git)
{
    if (!git) return;
    tree_cache_destroy(git->trees);
    libgit2.mailmap_free(git->mailmap);
    libgit2.odb_free(git->odb);
    libgit2.repository_free(git->repository);
    arena_destroy(git->arena);
}

void source_git_facts(const struct source_git *git, struct source_git_facts *facts)
{
    *facts = git->facts;
}
