/* mcp_fuzz.c - anything that claims to be a message of the Model Context Protocol: as lines, and as POST /mcp with the
 * headers of every revision. The API behind it answers with a fixed text. */
#include "json/json.h"
#include "mcp/mcp.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct err *serve(void *arg, struct arena *arena, const struct mcp_question *question, struct mcp_answer *answer)
{
    const json_value *body;
    (void)arg;
    if (question->body.n && json_parse(arena, question->body, &body)) __builtin_trap(); /* the API is asked in JSON */
    *answer = (struct mcp_answer){200, STR("{\"id\":\"ws_1\",\"organization\":{\"slug\":\"local\"},\"scopes\":[\"answer\"],"
                                           "\"data\":[{\"title\":\"x\"}],\"items\":[{\"id\":\"obs_1\",\"metadata\":{\"a\":1}}]}")};
    return NULL;
}

/* Whatever came in, what goes out is one JSON message a line. */
static void check_lines(struct arena *arena, struct str text)
{
    for (struct str line; str_cut(&text, '\n', &line);) {
        const json_value *message;
        if (line.n && json_parse(arena, line, &message)) __builtin_trap();
        if (line.n && json_is_object(message) && !str_eq(json_str(message, "jsonrpc"), STR("2.0"))) __builtin_trap();
    }
}

static void as_lines(struct arena *arena, struct str input)
{
    struct mcp_api api = {.ask = serve};
    int in = memfd_create("in", 0), out = memfd_create("out", 0);
    if (in < 0 || out < 0 || write(in, input.s, input.n) != (ssize_t)input.n) __builtin_trap();
    lseek(in, 0, SEEK_SET);
    if (mcp_serve_lines(arena, &api, in, out)) __builtin_trap();
    off_t size = lseek(out, 0, SEEK_END);
    char *text = arena_alloc(arena, (size_t)size + 1);
    if (pread(out, text, (size_t)size, 0) != size) __builtin_trap();
    check_lines(arena, (struct str){text, (size_t)size});
    close(in);
    close(out);
}

/* The first line gives the headers: version, method, name, origin between tabs. Only what asks no API can be posted. */
static void as_post(struct arena *arena, struct str input)
{
    static const char *const names[] = {"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Origin"};
    struct config config = {.public_url = STR("http://localhost:8080")};
    struct app    app = {.config = &config};
    struct str    line, value;
    if (!str_cut(&input, '\n', &line) || str_find(input, STR("tools/"), 0) != SIZE_MAX ||
        str_find(input, STR("resources/"), 0) != SIZE_MAX || str_find(input, STR("prompts/"), 0) != SIZE_MAX ||
        str_find_char(input, '\\', 0) != SIZE_MAX)
        return;
    struct net_request *request = net_request_local(arena, "POST", STR("/mcp"), input);
    for (size_t i = 0; i < 4 && str_cut(&line, '\t', &value); i++)
        if (value.n) net_request_header(request, names[i], value);
    struct net_reply reply = {0};
    if (mcp_handle(&app, request, &reply)) return; /* a foreign origin */
    if (reply.status != 200 && reply.status != 202 && reply.status != 400 && reply.status != 404 && reply.status != 503)
        __builtin_trap();
    const json_value *message;
    if (reply.status == 202 ? reply.body.n > 0 : json_parse(arena, reply.body, &message) != NULL) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct str input = {(const char *)data, size};
    as_lines(arena, input);
    as_post(arena, input);
    return 0;
}
