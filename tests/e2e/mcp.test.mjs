// mcp.test.mjs - the Model Context Protocol with the official clients, over lines and over HTTP.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import Ajv from 'ajv/dist/2020.js';
import { binary, cleanup, directory, environment, json, lightfast, post, repository, serve } from './lightfast.mjs';
import { answerSchema, validator } from './contract.mjs';

const story = [
  { subject: 'Initial import', author: 'Grace Hopper <grace@example.com>' },
  { subject: 'Raise session timeout to 30 minutes (#87)', body: 'Users were signed out after 5 minutes.\n\nFixes #42', files: { 'src/session.c': 'a' } },
  { subject: 'Speed up the parser', body: 'The tokenizer copied every token.', files: { 'src/parser.c': 'b' } },
  { subject: 'Prepare 1.0', tag: 'v1.0.0', tagMessage: 'Version 1.0\n\nFirst release.', files: { VERSION: '1.0' } },
];

function imported(t) {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  json(env, 'import', 'git', repository(join(home, 'repo'), story));
  return { home, env };
}

const newKey = (env, ...options) => json(env, 'key', 'create', 'agent', ...options).key;
const info = { name: 'test', version: '1.0' };

async function connected(t, client, transport) {
  await client.connect(transport);
  cleanup(t, () => client.close());
  return client;
}

// Every way in, with the client that speaks it.
const ways = {
  'lines on the data directory': async (t) => {
    const { env } = imported(t);
    return connected(t, new Client(info), new StdioClientTransport({ command: binary, args: ['mcp'], env, stderr: 'ignore' }));
  },
  'lines to the server of the data directory': async (t) => {
    const { env } = imported(t);
    await serve(t, env);
    return connected(t, new Client(info), new StdioClientTransport({ command: binary, args: ['mcp'], env, stderr: 'ignore' }));
  },
  'lines to a server elsewhere': async (t) => {
    const { env, home } = imported(t);
    const server = await serve(t, env);
    const away = environment(join(home, 'none'), { LIGHTFAST_API_KEY: newKey(env), LIGHTFAST_BASE_URL: server.url });
    return connected(t, new Client(info), new StdioClientTransport({ command: binary, args: ['mcp'], env: away, stderr: 'ignore' }));
  },
  'HTTP': async (t) => {
    const { env } = imported(t);
    const server = await serve(t, env);
    const headers = { authorization: `Bearer ${newKey(env)}` };
    return connected(t, new Client(info), new StreamableHTTPClientTransport(new URL(server.url + '/mcp'), { requestInit: { headers } }));
  },
  '2026-07-28 over lines': async (t) => {
    const { env } = imported(t);
    return connected(t, new ModernClient(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } }),
      new ModernStdio({ command: binary, args: ['mcp'], env, stderr: 'ignore' }));
  },
  '2026-07-28 over HTTP': async (t) => {
    const { env } = imported(t);
    const server = await serve(t, env);
    const headers = { authorization: `Bearer ${newKey(env)}` };
    return connected(t, new ModernClient(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } }),
      new ModernHttp(new URL(server.url + '/mcp'), { requestInit: { headers } }));
  },
};

for (const [way, connect] of Object.entries(ways)) {
  test(`tools, resources and prompts over ${way}`, async (t) => {
    const client = await connect(t);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map((tool) => tool.name), ['lightfast_search', 'lightfast_contents', 'lightfast_find_similar',
      'lightfast_graph', 'lightfast_related', 'lightfast_answer']);
    for (const tool of tools) new Ajv({ strict: false, validateFormats: false }).compile(tool.inputSchema);

    const found = await client.callTool({ name: 'lightfast_search', arguments: { query: 'session timeout' } });
    assert.ok(!found.isError);
    const [first] = found.structuredContent.data;
    assert.match(first.title, /session timeout/);
    assert.deepEqual(JSON.parse(found.content[0].text), found.structuredContent);
    assert.equal(found.content[0].text, JSON.stringify(found.structuredContent, null, 2));

    for (const [name, args] of [['lightfast_contents', { ids: [first.id] }], ['lightfast_find_similar', { id: first.id, threshold: 0 }],
      ['lightfast_graph', { id: first.id, depth: 1 }], ['lightfast_related', { id: first.id }],
      ['lightfast_answer', { query: 'why was the session timeout raised?' }]]) {
      const result = await client.callTool({ name, arguments: args });
      assert.ok(!result.isError, `${name}: ${result.content[0].text}`);
    }
    const wrong = await client.callTool({ name: 'lightfast_graph', arguments: { id: 'obs_none' } });
    assert.ok(wrong.isError);
    assert.equal(JSON.parse(wrong.content[0].text).error, 'NOT_FOUND');
    await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), (error) => error.code === -32602);

    const { resources } = await client.listResources();
    assert.deepEqual(resources.map((each) => each.uri), ['lightfast://workspace', 'lightfast://workspace/recent']);
    const workspace = JSON.parse((await client.readResource({ uri: 'lightfast://workspace' })).contents[0].text);
    assert.equal(workspace.name, 'main');
    assert.ok(workspace.observations.total >= story.length);
    const recent = JSON.parse((await client.readResource({ uri: 'lightfast://workspace/recent' })).contents[0].text);
    assert.equal(recent.observations.length, workspace.observations.total);
    const times = recent.observations.map((each) => each.occurredAt);
    assert.deepEqual(times, [...times].sort().reverse());

    const { resourceTemplates } = await client.listResourceTemplates();
    assert.deepEqual(resourceTemplates.map((each) => each.uriTemplate), ['lightfast://observation/{id}', 'lightfast://document/{id}',
      'lightfast://cluster/{id}', 'lightfast://actor/{name}']);
    const read = async (uri) => (await client.readResource({ uri })).contents[0];
    const observation = await read(`lightfast://observation/${first.id}`);
    assert.equal(observation.mimeType, 'text/markdown');
    assert.match(observation.text, /signed out after 5 minutes/);
    assert.match((await read('lightfast://actor/Ada%20Lovelace')).text, /# Ada Lovelace[\s\S]*Speed up the parser/);
    const clustered = recent.observations.find((each) => each.clusterId);
    assert.match((await read(`lightfast://cluster/${clustered.clusterId}`)).text, new RegExp(clustered.id));
    for (const uri of ['lightfast://observation/obs_none', 'lightfast://document/doc_none', 'lightfast://cluster/clu_none',
      'lightfast://actor/nobody', 'lightfast://', 'file:///etc/passwd'])
      await assert.rejects(client.readResource({ uri }), (error) => error.code === (way.startsWith('2026') ? -32602 : -32002), uri);

    const { prompts } = await client.listPrompts();
    assert.deepEqual(prompts.map((each) => each.name), ['incident_timeline', 'why_was_this_changed', 'who_knows_about', 'what_shipped', 'similar_issues']);
    for (const [name, args] of [['incident_timeline', { topic: 'session timeout' }], ['incident_timeline', { id: first.id }],
      ['why_was_this_changed', { target: 'src/session.c' }], ['who_knows_about', { topic: 'session timeout' }],
      ['what_shipped', { since: '2020-01-01' }], ['similar_issues', { id: first.id }]]) {
      const { messages } = await client.getPrompt({ name, arguments: args });
      assert.equal(messages.length, 1);
      assert.equal(messages[0].role, 'user');
      assert.match(messages[0].content.text, /lightfast_\w+[\s\S]*<resource uri="lightfast:[\s\S]*session timeout/);
    }
    await assert.rejects(client.getPrompt({ name: 'what_shipped', arguments: {} }), (error) => error.code === -32602);
    await assert.rejects(client.getPrompt({ name: 'what_shipped', arguments: { since: 'soon' } }), (error) => error.code === -32602);
    await assert.rejects(client.getPrompt({ name: 'no_such_prompt' }), (error) => error.code === -32602);
  });
}

test('each handshake revision is spoken as it was', async (t) => {
  const { env } = imported(t);
  for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
    const lines = speak(t, env);
    assert.equal((await lines.ask('initialize', { protocolVersion: version, capabilities: {}, clientInfo: info })).result.protocolVersion, version);
    const { result } = await lines.ask('tools/call', { name: 'lightfast_search', arguments: { query: 'parser' } });
    assert.equal('structuredContent' in result, version >= '2025-06-18');
    assert.ok(!('resultType' in result));
    assert.deepEqual((await lines.ask('ping')).result, {});
    assert.equal((await lines.end()).code, 0);
  }
});

// A client by hand, for what the official ones would not send.
function speak(t, env, ...args) {
  const child = spawn(binary, ['mcp', ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
  const waiting = [], arrived = [];
  let stderr = '', id = 0;
  child.stderr.on('data', (data) => { stderr += data; });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line); // whatever is on stdout is a message
    if (waiting.length) waiting.shift()(message); else arrived.push(message);
  });
  cleanup(t, () => { if (child.exitCode === null) child.kill('SIGKILL'); });
  const next = () => arrived.length ? Promise.resolve(arrived.shift()) : new Promise((found) => waiting.push(found));
  const send = (message) => child.stdin.write((typeof message === 'string' ? message : JSON.stringify(message)) + '\n');
  return {
    child, send, next, ended, stderr: () => stderr,
    ask(method, params) { send({ jsonrpc: '2.0', id: ++id, method, params }); return next(); },
    async end() { child.stdin.end(); return ended; },
  };
}

test('a data directory held by the agent is given back for a server, which is asked then', async (t) => {
  const { env } = imported(t);
  const lines = speak(t, env);
  const search = () => lines.ask('tools/call', { name: 'lightfast_search', arguments: { query: 'parser' } });
  assert.ok(!(await search()).result.isError);
  let server;
  for (let i = 0; !server; i++) {
    try { server = await serve(t, env); } catch (error) { if (i > 40) throw error; await new Promise((done) => setTimeout(done, 250)); }
  }
  assert.ok(!(await search()).result.isError);
  await server.stop();
  assert.ok(!(await search()).result.isError);
  assert.equal((await lines.end()).code, 0);
});

test('logs go to standard error alone', async (t) => {
  const { env } = imported(t);
  const lines = speak(t, { ...env, LIGHTFAST_LOG_LEVEL: 'debug' });
  assert.ok((await lines.ask('tools/call', { name: 'lightfast_search', arguments: { query: 'parser' } })).result);
  await lines.end();
  assert.match(lines.stderr(), /api/);
});

test('a key is needed for a server elsewhere, and must look like one', (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  const without = lightfast(env, 'mcp', '--base-url', 'http://127.0.0.1:9');
  assert.equal(without.status, 1);
  assert.match(without.stderr, /--api-key or LIGHTFAST_API_KEY/);
  assert.equal(without.stdout, '');
  const strange = lightfast(env, 'mcp', '--base-url', 'http://127.0.0.1:9', '--api-key', 'secret-of-another-kind');
  assert.equal(strange.status, 1);
  assert.match(strange.stderr, /sk-lf-/);
  assert.doesNotMatch(strange.stderr, /secret-of-another-kind/);
  assert.equal(lightfast(env, 'mcp', '--help').status, 0);
  for (const option of ['--version', '-v']) assert.match(lightfast(env, 'mcp', option).stdout, /^lightfast \d/);
});

test('an agent that goes away takes the program with it', async (t) => {
  const { env } = imported(t);
  const lines = speak(t, env);
  await lines.ask('ping');
  lines.child.stdout.destroy();
  for (let i = 0; i < 3; i++) lines.send({ jsonrpc: '2.0', id: `gone-${i}`, method: 'ping' });
  assert.equal((await lines.ended).code, 1);
});

const rpc = (method, params) => ({ jsonrpc: '2.0', id: 1, method, params });
const raw = (server, key, init = {}) => fetch(server.url + '/mcp', { method: 'POST', ...init,
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(key ? { authorization: `Bearer ${key}` } : {}), ...init.headers } });

test('POST /mcp asks for a key that may read', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env);
  const body = JSON.stringify(rpc('ping'));
  const anonymous = await raw(server, null, { body });
  assert.equal(anonymous.status, 401);
  assert.match(anonymous.headers.get('www-authenticate'), /^Bearer/);
  assert.equal((await raw(server, 'sk-lf-' + 'x'.repeat(43), { body })).status, 401);
  assert.equal((await raw(server, newKey(env, '--scope', 'ingest'), { body })).status, 403);
  assert.equal((await raw(server, newKey(env, '--scope', 'read'), { body })).status, 200);
  const reader = await (await raw(server, newKey(env, '--scope', 'read'), { body: JSON.stringify(rpc('tools/list')) })).json();
  assert.equal(reader.result.tools.some((tool) => tool.name === 'lightfast_answer'), false);
  const answer = await (await raw(server, newKey(env, '--scope', 'read'),
    { body: JSON.stringify(rpc('tools/call', { name: 'lightfast_answer', arguments: { query: 'why?' } })), headers: { 'mcp-protocol-version': '2025-11-25' } })).json();
  assert.equal(JSON.parse(answer.result.content[0].text).error, 'FORBIDDEN');
});

test('the endpoint has no sessions and no other methods', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env), key = newKey(env);
  for (const method of ['GET', 'DELETE', 'PUT']) {
    const answer = await raw(server, key, { method });
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get('allow'), 'POST');
  }
  const answer = await raw(server, key, { body: JSON.stringify(rpc('ping')), headers: { 'mcp-session-id': 'none-of-ours' } });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('mcp-session-id'), null);
  const notice = await raw(server, key, { body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }) });
  assert.equal(notice.status, 202);
  assert.equal(await notice.text(), '');
});

test('a foreign origin is refused, that of the public URL is not', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, { ...env, LIGHTFAST_PUBLIC_URL: 'https://memory.example.com', LIGHTFAST_CORS_ALLOWED_ORIGINS: 'https://app.example.com' });
  const key = newKey(env), body = JSON.stringify(rpc('ping'));
  for (const [origin, status] of [['https://memory.example.com', 200], ['https://app.example.com', 200], ['http://evil.example.com', 403], ['null', 403]])
    assert.equal((await raw(server, key, { body, headers: { origin } })).status, status, origin);
  const refused = await (await raw(server, key, { body, headers: { origin: 'http://evil.example.com' } })).json();
  assert.equal(refused.error, 'FORBIDDEN');
});

test('a message that is too large is refused before it is read', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env);
  const answer = await raw(server, newKey(env), { body: JSON.stringify(rpc('ping', { padding: 'x'.repeat(1 << 20) })) });
  assert.equal(answer.status, 413);
  assert.equal((await answer.json()).error, 'PAYLOAD_TOO_LARGE');
});

test('tools share the limits of their routes', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, { ...env, LIGHTFAST_LIMITS_SEARCH_PER_MINUTE: '2' });
  const key = newKey(env), headers = { 'mcp-protocol-version': '2025-11-25' };
  const body = JSON.stringify(rpc('tools/call', { name: 'lightfast_search', arguments: { query: 'parser' } }));
  const results = [];
  for (let i = 0; i < 3; i++) results.push((await (await raw(server, key, { body, headers })).json()).result);
  assert.deepEqual(results.map((each) => Boolean(each.isError)), [false, false, true]);
  const refusal = JSON.parse(results[2].content[0].text);
  assert.equal(refusal.error, 'RATE_LIMITED');
  assert.ok(refusal.retryAfter > 0);
  assert.equal((await post(server, key, '/v1/search', { query: 'parser' })).status, 429);
});

test("a tool's result is the API's answer", async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env), key = newKey(env);
  const args = { query: 'session timeout', limit: 2, filters: { observationTypes: ['pull_request'] } };
  const plain = (value) => { const { requestId, latency, meta: { took, ...meta }, ...rest } = value; return { ...rest, meta }; };
  const direct = (await post(server, key, '/v1/search', args)).body;
  const answer = await raw(server, key, { body: JSON.stringify(rpc('tools/call', { name: 'lightfast_search', arguments: args })),
    headers: { 'mcp-protocol-version': '2025-11-25', 'x-request-id': 'request-1234' } });
  const { result } = await answer.json();
  assert.deepEqual(plain(result.structuredContent), plain(direct));
  assert.equal(result.structuredContent.requestId, 'request-1234');
  assert.equal(answer.headers.get('x-request-id'), 'request-1234');
});

test('nothing of another workspace can be read', async (t) => {
  const a = imported(t), b = imported(t);
  const server = await serve(t, a.env), key = newKey(a.env);
  const foreign = json(b.env, 'search', 'session', 'timeout').data[0].id;
  const read = await (await raw(server, key, { body: JSON.stringify(rpc('resources/read', { uri: `lightfast://observation/${foreign}` })) })).json();
  assert.equal(read.error.code, -32002);
  assert.equal(read.error.data.uri, `lightfast://observation/${foreign}`);
});

const RECENT = 'lightfast://workspace/recent';

test('who listens to the latest observations is told when they change', async (t) => {
  const { env, home } = imported(t);
  const server = await serve(t, env);
  const headers = { authorization: `Bearer ${newKey(env)}` };
  const client = await connected(t, new ModernClient(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } }),
    new ModernHttp(new URL(server.url + '/mcp'), { requestInit: { headers } }));
  const told = new Promise((found) => client.setNotificationHandler('notifications/resources/updated', found));
  const subscription = await client.listen({ resourceSubscriptions: [RECENT, 'lightfast://other'], toolsListChanged: true });
  json(env, 'import', 'git', repository(join(home, 'more'), [{ subject: 'News', at: 1800000000 }]));
  assert.equal((await told).params.uri, RECENT);
  await subscription.close();
});

const modernMeta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
const listenBody = (notifications) => JSON.stringify({ jsonrpc: '2.0', id: 'l1', method: 'subscriptions/listen', params: { _meta: modernMeta, notifications } });
const modernHeaders = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' };

// Messages of a stream of Server-Sent Events, one after the other.
async function* messages(response) {
  let text = '';
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const data = text.slice(0, end).split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim()).join('\n');
      if (data) yield JSON.parse(data);
    }
  }
}

test('a subscription is acknowledged first, with what there is, and ended by a result when the server stops', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env);
  const response = await raw(server, newKey(env), { body: listenBody({ resourceSubscriptions: [RECENT, 'lightfast://workspace'], promptsListChanged: true }), headers: modernHeaders });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  assert.equal(response.headers.get('x-accel-buffering'), 'no');
  const heard = messages(response);
  const { value: first } = await heard.next();
  assert.equal(first.method, 'notifications/subscriptions/acknowledged');
  assert.deepEqual(first.params, { _meta: { 'io.modelcontextprotocol/subscriptionId': 'l1' }, notifications: { resourceSubscriptions: [RECENT] } });
  const stopped = server.stop();
  const { value: last } = await heard.next();
  assert.equal(last.id, 'l1');
  assert.equal(last.result._meta['io.modelcontextprotocol/subscriptionId'], 'l1');
  assert.equal((await heard.next()).done, true);
  assert.equal((await stopped).code, 0);
});

test('a subscription that makes no sense is refused', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env), key = newKey(env);
  for (const notifications of [undefined, 7, { resourceSubscriptions: RECENT }]) {
    const { error } = await (await raw(server, key, { body: listenBody(notifications), headers: modernHeaders })).json();
    assert.equal(error.code, -32602);
  }
  const older = await (await raw(server, key, { body: JSON.stringify(rpc('subscriptions/listen', { notifications: {} })), headers: { 'mcp-protocol-version': '2025-11-25' } })).json();
  assert.equal(older.error.code, -32601);
});

test('a key that was revoked hears nothing more', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env);
  const { key, id } = json(env, 'key', 'create', 'short-lived');
  const heard = messages(await raw(server, key, { body: listenBody({ resourceSubscriptions: [RECENT] }), headers: modernHeaders }));
  await heard.next();
  json(env, 'key', 'revoke', id);
  assert.equal((await heard.next()).done, true);
});

test('listeners that vanish leave the server as it was', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env), key = newKey(env);
  for (let i = 0; i < 20; i++) {
    const gone = new AbortController();
    const response = await raw(server, key, { body: listenBody({ resourceSubscriptions: [RECENT] }), headers: modernHeaders, signal: gone.signal });
    assert.equal(response.status, 200);
    await messages(response).next();
    gone.abort();
  }
  assert.equal((await raw(server, key, { body: JSON.stringify(rpc('ping')) })).status, 200);
  assert.equal((await server.stop()).code, 0);
});

test('over lines a subscription is told of changes and ends when it is cancelled', async (t) => {
  const { env, home } = imported(t);
  await serve(t, env);
  const lines = speak(t, env);
  lines.send(listenBody({ resourceSubscriptions: [RECENT] }));
  assert.equal((await lines.next()).method, 'notifications/subscriptions/acknowledged');
  json(env, 'import', 'git', repository(join(home, 'more'), [{ subject: 'News', at: 1800000000 }]));
  const update = await lines.next();
  assert.equal(update.method, 'notifications/resources/updated');
  assert.deepEqual(update.params, { _meta: { 'io.modelcontextprotocol/subscriptionId': 'l1' }, uri: RECENT });
  lines.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'l1' } });
  assert.deepEqual((await lines.ask('ping')).result, {});
  assert.equal((await lines.end()).code, 0);
});

for (const way of ['HTTP', 'lines to the server of the data directory', 'lines on the data directory']) {
  test(`an answer tells of its progress over ${way}`, async (t) => {
    const client = await ways[way](t);
    const heard = [];
    const result = await client.callTool({ name: 'lightfast_answer', arguments: { query: 'why was the session timeout raised?' } }, undefined,
      { onprogress: (progress) => heard.push(progress) });
    assert.ok(!result.isError, result.content[0].text);
    assert.match(result.structuredContent.answer.content, /\[\d+\]/);
    assert.ok(result.structuredContent.requestId);
    assert.ok(heard.length > 0);
    heard.forEach((each, i) => { assert.equal(each.progress, i + 1); assert.ok(each.message); });
  });
}

test('an answer that is refused says so through the stream', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env);
  const response = await raw(server, newKey(env, '--scope', 'read'), { headers: { 'mcp-protocol-version': '2025-11-25' },
    body: JSON.stringify(rpc('tools/call', { name: 'lightfast_answer', arguments: { query: 'why?' }, _meta: { progressToken: 'p' } })) });
  const heard = [];
  for await (const message of messages(response)) heard.push(message);
  assert.equal(heard.length, 1);
  assert.equal(JSON.parse(heard[0].result.content[0].text).error, 'FORBIDDEN');
});

test('observations, clusters and people answer as documented, page by page', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env), headers = { authorization: `Bearer ${newKey(env, '--scope', 'read')}` };
  const document = await (await fetch(`${server.url}/v1/openapi.json`)).json(), validate = validator(document);
  const base = '/v1/orgs/local/workspaces/main';
  const ask = async (id, path, status = 200) => {
    const answer = await fetch(server.url + base + path, { headers }), body = await answer.json();
    assert.equal(answer.status, status, JSON.stringify(body));
    validate(answerSchema(document, id, status), body, path);
    return body;
  };
  const whole = await ask('listObservations', '/observations?limit=100');
  assert.equal(whole.hasMore, false);
  assert.equal(whole.meta.total, whole.data.length);
  const paged = async (id, path, size) => {
    const all = [];
    for (let page = await ask(id, `${path}?limit=${size}`); ; page = await ask(id, `${path}?limit=${size}&cursor=${page.nextCursor}`)) {
      assert.ok(page.data.length <= size);
      all.push(...page.data);
      if (!page.hasMore) { assert.equal(page.nextCursor, null); return all; }
    }
  };
  assert.deepEqual(await paged('listObservations', '/observations', 2), whole.data);
  const of = (filter) => whole.data.filter(filter), { type, actor, occurredAt } = whole.data[1];
  for (const [query, expected] of [
    [`observationTypes=${type}`, of((each) => each.type === type)], ['observationTypes=nothing_such', []],
    [`actorNames=${encodeURIComponent(actor.name)}`, of((each) => each.actor?.id === actor.id)], ['actorNames=nobody', []],
    [`sourceTypes=${whole.data[0].source}`, of((each) => each.source === whole.data[0].source)], ['sourceTypes=sentry,linear', []],
    [`from=${occurredAt}`, of((each) => each.occurredAt >= occurredAt)], [`to=${occurredAt}`, of((each) => each.occurredAt < occurredAt)],
  ]) {
    assert.deepEqual((await ask('listObservations', `/observations?limit=100&${query}`)).data, expected, query);
    const had = new Set(expected.flatMap((each) => each.clusterId ?? []));
    assert.deepEqual(new Set((await ask('listClusters', `/clusters?limit=100&${query}`)).data.map((each) => each.id)), had, query);
  }
  for (const list of ['observations', 'clusters']) await ask(list === 'clusters' ? 'listClusters' : 'listObservations', `/${list}?from=soon`, 400);
  for (const cursor of ['x', 'o1', 'o1.0', 'o1.-4', 'c1f', 'o1.2x']) await ask('listObservations', `/observations?cursor=${cursor}`, 400);
  const clusters = (await ask('listClusters', '/clusters')).data, people = (await ask('listActors', '/actors')).data;
  assert.deepEqual(await paged('listClusters', '/clusters', 1), clusters);
  assert.deepEqual(await paged('listActors', '/actors', 1), people);
  assert.ok(clusters.length > 1 && people.length > 1);
  assert.deepEqual(new Set(clusters.map((each) => each.id)), new Set(whole.data.flatMap((each) => each.clusterId ?? [])));
  for (let n = 1; n < clusters.length; n++) assert.ok(clusters[n - 1].lastObservationAt >= clusters[n].lastObservationAt);
  for (const cursor of ['o1.2', 'c', 'c1.0', 'c1.2x']) await ask('listClusters', `/clusters?cursor=${cursor}`, 400);
  assert.deepEqual((await ask('listActors', '/actors?search=LOVELACE')).data.map((each) => each.displayName), ['Ada Lovelace']);
  for (const query of ['cursor=p1', 'cursor=p1.!', 'cursor=p1.abc.', 'limit=51']) await ask('listActors', `/actors?${query}`, 400);
  const clustered = whole.data.find((each) => each.clusterId);
  const cluster = await ask('getCluster', `/clusters/${clustered.clusterId}`);
  assert.deepEqual({ ...clusters.find((each) => each.id === cluster.id), entities: cluster.entities, actors: cluster.actors,
    observations: cluster.observations, requestId: cluster.requestId }, cluster);
  assert.ok(cluster.observations.some((each) => each.id === clustered.id));
  await ask('getCluster', '/clusters/clu_none', 404);
  for (const name of ['Ada Lovelace', 'ada@example.com', 'email:ada@example.com', 'lovelace'])
    assert.equal((await ask('getActor', `/actors/${encodeURIComponent(name)}`)).displayName, 'Ada Lovelace');
  await ask('getActor', '/actors/nobody', 404);
});

test('an issuer that is configured is named to clients without a key', async (t) => {
  const { env } = imported(t);
  const plain = await serve(t, env);
  assert.equal((await raw(plain, null, { body: JSON.stringify(rpc('ping')) })).headers.get('www-authenticate'), 'Bearer');
  assert.equal((await fetch(plain.url + '/.well-known/oauth-protected-resource')).status, 404);
  await plain.stop();
  const server = await serve(t, { ...env, LIGHTFAST_PUBLIC_URL: 'https://memory.example.com', LIGHTFAST_MCP_OAUTH_ISSUER: 'https://login.example.com' });
  const refused = await raw(server, null, { body: JSON.stringify(rpc('ping')) });
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get('www-authenticate'), 'Bearer resource_metadata="https://memory.example.com/.well-known/oauth-protected-resource/mcp"');
  for (const path of ['', '/mcp']) {
    const metadata = await (await fetch(`${server.url}/.well-known/oauth-protected-resource${path}`)).json();
    assert.equal(metadata.resource, 'https://memory.example.com/mcp');
    assert.deepEqual(metadata.authorization_servers, ['https://login.example.com']);
  }
});
