// api.test.mjs - the HTTP API against its own document: every example and every live answer is checked by its schema.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { answerSchema, operations, validator } from './contract.mjs';
import { directory, environment, json, post, repository, serve } from './lightfast.mjs';

const story = [
  { subject: 'Initial import', author: 'Grace Hopper <grace@example.com>' },
  { subject: 'Raise session timeout to 30 minutes (#87)', body: 'Users were signed out after 5 minutes.\n\nFixes #42', files: { 'src/session.c': 'a' } },
  { subject: 'Rotate refresh tokens (#61)', body: 'A stolen token dies at its second use.\n\nFixes #42', files: { 'src/token.c': 'b' } },
  { subject: 'Prepare 1.0', tag: 'v1.0.0', files: { VERSION: '1.0' } },
];
const scopes = 'read,ingest,admin';

// A server that remembers the story: { server, key, ids, document, validate }.
async function world(t, settings = {}) {
  const home = directory(t);
  const env = environment(join(home, 'data'), settings);
  repository(join(home, 'repo'), story, { remote: 'https://github.com/acme/api.git' });
  json(env, 'import', 'git', join(home, 'repo'));
  const { key } = json(env, 'key', 'create', 'test', '--scope', scopes);
  const server = await serve(t, env);
  const document = await (await fetch(`${server.url}/v1/openapi.json`)).json();
  return { home, env, server, key, document, validate: validator(document) };
}

async function call(world, id, { method = 'POST', path, body, key = world.key, headers = {} }) {
  const answer = await fetch(world.server.url + path, {
    method, body: body === undefined ? undefined : JSON.stringify(body),
    headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
  });
  const value = await answer.json();
  world.validate(answerSchema(world.document, id, answer.status), value, `${id} ${answer.status}`);
  assert.equal(answer.headers.get('x-request-id'), value.requestId ?? answer.headers.get('x-request-id'));
  return { status: answer.status, headers: answer.headers, body: value };
}

test('every example of the document fits its schema', async (t) => {
  const { document, validate } = await world(t);
  let examples = 0;
  const check = (media, where) => {
    if (media?.example === undefined) return;
    validate(media.schema, media.example, where);
    examples++;
  };
  for (const { path, method, operation: each } of operations(document)) {
    const where = `${method} ${path}`;
    check(each.requestBody?.content['application/json'], where);
    for (const [status, response] of Object.entries(each.responses)) check(response.content?.['application/json'], `${where} ${status}`);
    if (each.requestBody) assert.ok(each.requestBody.content['application/json'].example, `${where} has no example`);
  }
  for (const [name, response] of Object.entries(document.components.responses)) check(response.content['application/json'], name);
  assert.ok(examples > 15);
});

test('operation ids are unique and every parameter of a path is declared', async (t) => {
  const { document } = await world(t);
  const all = operations(document);
  assert.equal(new Set(all.map((each) => each.operation.operationId)).size, all.length);
  for (const { path, operation: each } of all) {
    const declared = (each.parameters ?? []).map((parameter) => parameter.$ref ? document.components.parameters[parameter.$ref.split('/').pop()] : parameter)
      .filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name);
    assert.deepEqual(declared.sort(), [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort(), path);
  }
});

test('search, contents, similar, graph and related answer as documented', async (t) => {
  const it = await world(t);
  const found = await call(it, 'search', { path: '/v1/search', body: { query: 'session timeout' } });
  assert.equal(found.status, 200);
  const id = found.body.data[0].id;
  assert.equal(found.body.data[0].title, '[PR Merged] Raise session timeout to 30 minutes');
  assert.match(found.headers.get('x-ratelimit-limit'), /^120$/);
  for (const mode of ['fast', 'balanced', 'thorough'])
    await call(it, 'search', { path: '/v1/search', body: { query: 'token @grace', mode, includeContext: mode !== 'fast', collapse: true, filters: { dateRange: '100000h' } } });
  const contents = await call(it, 'contents', { path: '/v1/contents', body: { ids: [id, 'obs_doesNotExist000000000', id] } });
  assert.deepEqual([contents.body.items.length, contents.body.missing], [1, ['obs_doesNotExist000000000']]);
  const similar = await call(it, 'findSimilar', { path: '/v1/findsimilar', body: { id, threshold: 0 } });
  assert.ok(similar.body.similar.length > 0);
  await call(it, 'similar', { path: '/v1/similar', body: { url: 'https://github.com/acme/api/pull/87', threshold: 0 } });
  const graph = await call(it, 'graph', { path: '/v1/graph', body: { id, depth: 3 } });
  assert.equal(graph.body.data.root.id, id);
  await call(it, 'graphOf', { method: 'GET', path: `/v1/graph/${id}?depth=1&types=fixes,references` });
  await call(it, 'related', { path: '/v1/related', body: { id } });
  await call(it, 'relatedOf', { method: 'GET', path: `/v1/related/${id}?limit=5` });
});

test('errors answer as documented', async (t) => {
  const it = await world(t, { LIGHTFAST_LIMITS_READ_PER_MINUTE: '2' });
  const status = async (id, request) => (await call(it, id, request)).status;
  assert.equal(await status('search', { path: '/v1/search', body: { query: '', limit: 500 } }), 400);
  assert.equal(await status('search', { path: '/v1/search', body: { query: 'x' }, key: '' }), 401);
  assert.equal(await status('graph', { path: '/v1/graph', body: { id: 'obs_doesNotExist000000000' } }), 404);
  assert.equal(await status('related', { path: '/v1/related', body: { id: 'x'.repeat(5000) } }), 400);
  assert.equal(await status('related', { path: '/v1/related', body: { id: 'x' } }), 429);
  assert.equal(await status('search', { path: '/v1/search', body: { query: 'x'.repeat(2 << 20) } }), 413);
  assert.equal(await status('createApiKey', { path: '/v1/orgs/local/workspaces/main/api-keys', body: { name: 'x' } }), 403);
  assert.equal(await status('listImports', { method: 'GET', path: '/v1/orgs/other/workspaces/main/imports' }), 404);
  const wrong = await fetch(`${it.server.url}/v1/search`);
  assert.deepEqual([wrong.status, (await wrong.json()).error, wrong.headers.get('allow')], [405, 'METHOD_NOT_ALLOWED', 'POST']);
});

test('an import through HTTP answers as documented', async (t) => {
  const it = await world(t);
  const where = await call(it, 'workspace', { method: 'GET', path: '/v1/workspace' });
  const base = `/v1/orgs/${where.body.organization.slug}/workspaces/${where.body.id}`;
  const begun = await call(it, 'beginImport', { path: `${base}/imports`, body: { repoFullName: 'acme/api', branch: 'main', github: true } });
  assert.equal(begun.status, 201);
  assert.deepEqual(Object.keys(begun.body.pullRequests), ['61', '87']);
  assert.match(begun.body.pullRequests[61], /^[0-9a-f]{40}$/);
  assert.match(begun.body.lastSha, /^[0-9a-f]{40}$/);
  const events = Array.from({ length: 500 }, (_, n) => ({
    source: 'github', sourceType: 'push', sourceId: `push:acme/api:${n.toString(16).padStart(40, '0')}`, title: `[Push] Change ${n}`,
    body: 'A change.', occurredAt: '2026-02-03T10:30:00Z', references: [], metadata: { repoFullName: 'acme/api' } }));
  const stored = await call(it, 'importEvents', { path: `${base}/imports/${begun.body.jobId}/events`, body: { events } });
  assert.deepEqual([stored.body.stored, stored.body.failed], [500, 0]);
  const tooMany = await call(it, 'importEvents', { path: `${base}/imports/${begun.body.jobId}/events`, body: { events: [...events, events[0]] } });
  assert.deepEqual(tooMany.body.details, { events: ['Maximum 500 events per request'] });
  const ended = await call(it, 'finishImport', { path: `${base}/imports/${begun.body.jobId}/finish`, body: { tip: 'a'.repeat(40), tags: {} } });
  assert.deepEqual([ended.body.status, ended.body.stored], ['completed', 500]);
  await call(it, 'getImport', { method: 'GET', path: `${base}/imports/${begun.body.jobId}` });
  const list = await call(it, 'listImports', { method: 'GET', path: `${base}/imports?limit=1` });
  assert.equal(list.body.hasMore, true);
  await call(it, 'listImports', { method: 'GET', path: `${base}/imports?cursor=${list.body.nextCursor}` });
  assert.equal((await call(it, 'importEvents', { path: `${base}/imports/${begun.body.jobId}/events`, body: { events: [] } })).status, 409);
  await call(it, 'listApiKeys', { method: 'GET', path: `${base}/api-keys` });
});

// Ask through the data directory's socket, which has full rights.
function askSocket(path, method, target, body) {
  return new Promise((done, failed) => {
    const request = http.request({ socketPath: path, method, path: target }, (answer) => {
      let text = '';
      answer.on('data', (part) => { text += part; });
      answer.on('end', () => done({ status: answer.statusCode, body: JSON.parse(text) }));
    });
    request.on('error', failed);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

test('the socket is private and manages keys; a revoked key dies at once', async (t) => {
  const it = await world(t);
  const socket = join(it.home, 'data', 'lightfast.sock');
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  const base = '/v1/orgs/local/workspaces/main/api-keys';
  const made = await askSocket(socket, 'POST', base, { name: 'ci', scopes: ['read'] });
  it.validate(answerSchema(it.document, 'createApiKey', 201), made.body, 'createApiKey');
  const ask = () => post(it.server, made.body.key, '/v1/search', { query: 'x' });
  assert.equal((await ask()).status, 200);
  const rotated = await askSocket(socket, 'POST', `${base}/${made.body.id}/rotate`);
  it.validate(answerSchema(it.document, 'rotateApiKey', 201), rotated.body, 'rotateApiKey');
  assert.equal((await ask()).status, 401);
  const deleted = await askSocket(socket, 'DELETE', `${base}/${rotated.body.id}`);
  it.validate(answerSchema(it.document, 'deleteApiKey', 200), deleted.body, 'deleteApiKey');
  assert.ok(!it.server.log().includes(made.body.key));
});

test('the activities of an organisation are for people', async (t) => {
  const it = await world(t);
  const socket = join(it.home, 'data', 'lightfast.sock');
  const ask = async (target) => {
    const answer = await askSocket(socket, 'GET', target);
    it.validate(answerSchema(it.document, 'listOrgActivities', answer.status), answer.body, `listOrgActivities ${answer.status}`);
    return answer;
  };
  await askSocket(socket, 'POST', '/v1/orgs/local/workspaces/main/api-keys', { name: 'ci', scopes: ['admin'] });
  const [told] = (await ask('/v1/orgs/local/activities?category=api_key&limit=1')).body.data;
  assert.deepEqual([told.action, told.metadata.keyName], ['apikey.created', 'ci']);
  const mine = await askSocket(socket, 'GET', '/v1/workspace');
  assert.deepEqual([told.orgId, told.workspaceId], [mine.body.organization.id, mine.body.id]);
  assert.equal((await ask(`/v1/orgs/${told.orgId}/activities?action=apikey.revoked`)).body.data.length, 0);
  assert.equal((await ask('/v1/orgs/local/activities?category=gossip')).status, 400);
  assert.equal((await ask('/v1/orgs/nobody/activities')).status, 404);
  const answer = await fetch(it.server.url + '/v1/orgs/local/activities', { headers: { authorization: `Bearer ${it.key}` } });
  assert.equal(answer.status, 403);
});

test('one connection carries pipelined requests', async (t) => {
  const it = await world(t);
  const { hostname, port } = new URL(it.server.url);
  const text = await new Promise((done, failed) => {
    const socket = net.connect(Number(port), hostname);
    let heard = '';
    socket.on('data', (part) => { heard += part; });
    socket.on('end', () => done(heard));
    socket.on('error', failed);
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20) + 'HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  });
  assert.equal(text.match(/HTTP\/1.1 200 /g).length, 21);
  assert.equal(text.match(/"status":"ok"/g).length, 20);
});

test('the server ends on SIGTERM though clients keep their connections', async (t) => {
  const it = await world(t);
  const agent = new http.Agent({ keepAlive: true });
  await new Promise((done) => http.get(`${it.server.url}/healthz`, { agent }, (answer) => { answer.resume(); answer.on('end', done); }));
  const { code, signal } = await it.server.stop();
  assert.deepEqual([code, signal], [0, null]);
  agent.destroy();
});

test('metrics.listen serves the counters on an address of its own', async (t) => {
  const it = await world(t, { LIGHTFAST_METRICS_LISTEN: '127.0.0.1:0' });
  await post(it.server, it.key, '/v1/search', { query: 'x', mode: 'fast' });
  const [, address] = it.server.log().match(/metrics on ([\d.]+:\d+)/);
  const text = await (await fetch(`http://${address}/metrics`)).text();
  assert.match(text, /^lightfast_http_requests_total\{method="POST",route="\/v1\/search",status="200"\} 1$/m);
  assert.match(text, /^lightfast_events_total\{outcome="accepted"\} \d+$/m);
  assert.match(text, /^lightfast_deliveries_total\{source="github",outcome="accepted",reason=""\} 0$/m);
  const series = text.split('\n').filter((line) => line && !line.startsWith('#')).map((line) => line.replace(/ \S+$/, ''));
  assert.equal(new Set(series).size, series.length, 'each series is there once');
  assert.match(text, /^lightfast_observations [1-9]\d*$/m);
  assert.equal((await fetch(`http://${address}/v1/workspace`)).status, 404);
  assert.equal((await fetch(`${it.server.url}/metrics`)).status, 404);
});
