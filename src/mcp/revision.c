/* revision.c - which revision of the protocol a message is of. */
#include "crypto/crypto.h"
#include "mcp/parts.h"

/* clang-format off */
const struct mcp_revision mcp_revisions[] = { /* newest first */
    /* name         lines  http   handshake batches structured */
    {"2026-07-28",  true,  true,  false,    false,  true},
    {"2025-11-25",  true,  true,  true,     false,  true},
    {"2025-06-18",  true,  true,  true,     false,  true},
    {"2025-03-26",  true,  true,  true,     true,   false},
    {"2024-11-05",  true,  false, true,     false,  false},
    {0},
};

/* Requests whose header Mcp-Name repeats a parameter. */
static const struct { const char *method, *parameter; } named[] = {
    {"tools/call",     "name"},
    {"resources/read", "uri"},
    {"prompts/get",    "name"},
};
/* clang-format on */

const struct mcp_revision *mcp_revision_modern(void)
{
    return &mcp_revisions[0];
}

const struct mcp_revision *mcp_revision_named(struct str name, bool http)
{
    for (const struct mcp_revision *revision = mcp_revisions; revision->name; revision++)
        if (str_eq(name, str_of(revision->name))) return (http ? revision->http : revision->lines) ? revision : NULL;
    return NULL;
}

const struct mcp_revision *mcp_revision_agreed(struct str wanted, bool http)
{
    const struct mcp_revision *revision = mcp_revision_named(wanted, http);
    if (revision && revision->handshake) return revision;
    for (revision = mcp_revisions; !revision->handshake;) revision++;
    return revision;
}

void mcp_put_revisions(struct json_out *out, const char *key, bool http)
{
    json_begin(out, key, '[');
    for (const struct mcp_revision *revision = mcp_revisions; revision->name; revision++)
        if (http ? revision->http : revision->lines) json_put(out, NULL, revision->name);
    json_end(out);
}

static bool unsupported(struct arena *arena, struct str requested, bool http, struct mcp_fault *fault)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    mcp_put_revisions(&out, "supported", http);
    json_put(&out, "requested", requested);
    json_end(&out);
    *fault = (struct mcp_fault){MCP_UNSUPPORTED_VERSION, 400, STR("Unsupported protocol version"), json_out_text(&out)};
    return false;
}

static bool mismatch(struct arena *arena, const char *header, const char *how, struct mcp_fault *fault)
{
    *fault = (struct mcp_fault){MCP_HEADER_MISMATCH, 400, str_printf(arena, "Header mismatch: %s %s", header, how), {0}};
    return false;
}

/* "=?base64?...?=" stands for what a header cannot hold. False: it is none, or broken. */
static bool decode_name(struct arena *arena, struct str header, struct str *name)
{
    struct str prefix = STR("=?base64?"), suffix = STR("?=");
    *name = header;
    if (header.n < prefix.n + suffix.n || !str_starts(header, prefix) || !str_ends(header, suffix)) return true;
    return crypto_base64_decode(arena, str_slice(header, prefix.n, header.n - suffix.n), name);
}

static bool check_name(struct arena *arena, const struct mcp_message *message, struct str header, struct mcp_fault *fault)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        struct str name;
        if (!str_eq(message->method, str_of(named[i].method))) continue;
        if (!header.s) return mismatch(arena, "Mcp-Name", "is missing", fault);
        if (!decode_name(arena, header, &name)) return mismatch(arena, "Mcp-Name", "is not valid base64", fault);
        if (!str_eq(name, json_str(message->params, named[i].parameter)))
            return mismatch(arena, "Mcp-Name", "differs from the body", fault);
    }
    return true;
}

static bool check_headers(struct arena *arena, const struct mcp_message *message, const struct mcp_headers *headers,
                          struct mcp_fault *fault)
{
    if (!headers->method.s) return mismatch(arena, "Mcp-Method", "is missing", fault);
    if (!str_eq(headers->method, message->method)) return mismatch(arena, "Mcp-Method", "differs from the body", fault);
    return check_name(arena, message, headers->name, fault);
}

static bool lacks(const char *what, struct mcp_fault *fault)
{
    *fault = (struct mcp_fault){.code = MCP_INVALID_PARAMS, .status = 400, .message = str_of(what)};
    return false;
}

/* A request that tells its revision itself. What else it must hold, its revision says: so that comes first. */
static bool modern(struct arena *arena, const struct mcp_message *message, const struct mcp_headers *headers,
                   const struct mcp_revision **revision, struct mcp_fault *fault)
{
    const json_value *version = mcp_meta(message, STR("io.modelcontextprotocol/protocolVersion"));
    const json_value *capabilities = mcp_meta(message, STR("io.modelcontextprotocol/clientCapabilities"));
    if (!json_is_string(version)) return lacks("_meta lacks io.modelcontextprotocol/protocolVersion", fault);
    struct str wanted = json_str(version, "");
    if (headers && !headers->version.s) return mismatch(arena, "MCP-Protocol-Version", "is missing", fault);
    if (headers && !str_eq(headers->version, wanted))
        return mismatch(arena, "MCP-Protocol-Version", "differs from the body", fault);
    if (!str_eq(wanted, str_of(mcp_revision_modern()->name))) return unsupported(arena, wanted, headers != NULL, fault);
    if (!json_is_object(capabilities)) return lacks("_meta lacks io.modelcontextprotocol/clientCapabilities", fault);
    *revision = mcp_revision_modern();
    *fault = (struct mcp_fault){0};
    return !headers || check_headers(arena, message, headers, fault);
}

bool mcp_revision_of(struct arena *arena, const struct mcp_message *message, const struct mcp_headers *headers,
                     const struct mcp_revision *handshake, const struct mcp_revision **revision, struct mcp_fault *fault)
{
    bool says = mcp_meta(message, STR("io.modelcontextprotocol/protocolVersion")) != NULL;
    if (says || (headers && str_eq(headers->version, str_of(mcp_revision_modern()->name))))
        return modern(arena, message, headers, revision, fault);
    *revision = handshake;
    if (!headers) return true;
    *revision = mcp_revision_named(headers->version.s ? headers->version : MCP_WITHOUT_HEADER, true);
    return *revision || unsupported(arena, headers->version, true, fault);
}
