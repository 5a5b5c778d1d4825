// client.test.mjs - the server as the published JavaScript client sees it (search-api.md 1 and 3 to 7): the requests that
// client makes, the answers it relies on, the error class each status becomes.
import assert from 'node:assert/strict';
import http from 'node:http';
import { join } from 'node:path';
import test from 'node:test';
import { directory, environment, json, repository, serve } from './lightfast.mjs';

// ---- the client ------------------------------------------------------------------------------------------------------

class LightfastError extends Error {
  constructor(message, status, answer) { super(message); Object.assign(this, { status, requestId: answer?.requestId, details: answer?.details }); }
}
class ValidationError extends LightfastError {}
class AuthenticationError extends LightfastError {}
class NotFoundError extends LightfastError {}
class RateLimitError extends LightfastError {}
class ServerError extends LightfastError {}
class NetworkError extends LightfastError {}
const errorOf = { 400: ValidationError, 401: AuthenticationError, 404: NotFoundError, 429: RateLimitError,
  500: ServerError, 502: ServerError, 503: ServerError, 504: ServerError };

// What each call sends: fields with a default go out even when the caller leaves them out, the others only when given.
const calls = {
  search: ['/v1/search', { query: undefined, limit: 10, offset: 0, mode: 'balanced', filters: undefined, includeContext: true, includeHighlights: true }],
  contents: ['/v1/contents', { ids: undefined }],
  findSimilar: ['/v1/findsimilar', { id: undefined, url: undefined, limit: 10, threshold: 0.5, sameSourceOnly: false, excludeIds: undefined, filters: undefined }],
  graph: ['/v1/graph', { id: undefined, depth: 2, types: undefined }],
  related: ['/v1/related', { id: undefined }],
};

function client(baseUrl, key, seen = {}) {
  assert.match(key, /^sk-lf-[0-9A-Za-z]{43}$/);
  const post = async (path, body) => {
    let response, answer;
    try {
      response = await fetch(baseUrl + path, { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(30000),
        headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', 'User-Agent': 'lightfast/0.1.0' } });
      answer = await response.json(); // before the status is looked at: every answer must be JSON
    } catch (problem) {
      throw new NetworkError(problem.message);
    }
    Object.assign(seen, { response, answer });
    if (!response.ok) throw new (errorOf[response.status] ?? LightfastError)(answer.error ?? answer.message ?? 'Unknown error', response.status, answer);
    return answer;
  };
  return Object.fromEntries(Object.entries(calls).map(([name, [path, fields]]) =>
    [name, (request = {}) => post(path, Object.fromEntries(Object.entries(fields).map(([field, otherwise]) => [field, request[field] ?? otherwise])))]));
}

// ---- shapes, as sections 3 to 7 write them -----------------------------------------------------------------------------

const optional = (shape) => ({ optional: true, shape });
const nullable = (shape) => (value, where) => value === null || fits(value, shape, where);
const matching = (pattern) => (value, where) => assert.match(value, pattern, where);
const oneOf = (...values) => (value, where) => assert.ok(values.includes(value), `${where}: ${value}`);
const integer = (value, where) => assert.ok(Number.isInteger(value) && value >= 0, `${where}: ${value}`);
const score = (value, where) => assert.ok(value >= 0 && value <= 1 && Number(value.toFixed(4)) === value, `${where}: ${value}`);
const time = matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const requestId = matching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
const id = matching(/^(obs|doc)_[0-9A-Za-z]{21}$/);
const relation = oneOf('fixes', 'resolves', 'triggers', 'deploys', 'references', 'same_commit', 'same_branch', 'tracked_in');
const direction = oneOf('incoming', 'outgoing');

// Throws where value is not of the shape: a type's name, a check, [shape of each], { each: shape of each value }, or an
// object with exactly these keys.
function fits(value, shape, where) {
  if (typeof shape === 'function') return shape(value, where);
  if (typeof shape === 'string') return assert.equal(typeof value, shape, `${where}: ${JSON.stringify(value)}`);
  if (Array.isArray(shape)) {
    assert.ok(Array.isArray(value), `${where} is no array`);
    return value.forEach((each, n) => fits(each, shape[0], `${where}[${n}]`));
  }
  assert.ok(value && typeof value === 'object' && !Array.isArray(value), `${where} is no object`);
  if (shape.each) return Object.entries(value).forEach(([key, each]) => fits(each, shape.each, `${where}.${key}`));
  assert.deepEqual(Object.keys(value).filter((key) => !(key in shape)), [], `${where} has keys too many`);
  for (const [key, part] of Object.entries(shape)) {
    if (!(key in value)) assert.ok(part.optional, `${where}.${key} is missing`);
    else fits(value[key], part.optional ? part.shape : part, `${where}.${key}`);
  }
}

const item = { id, title: 'string', url: 'string', snippet: 'string', source: 'string', type: matching(/^[a-z0-9_]+$/), occurredAt: optional(time) };
const neighbour = { id, title: 'string', source: 'string', type: 'string', occurredAt: nullable(time), url: nullable('string'),
  relationshipType: relation, direction, relationships: [{ type: relation, direction, confidence: score }] };
const shapes = {
  search: {
    data: [{ ...item, score,
      entities: [{ key: 'string', category: oneOf('engineer', 'project', 'endpoint', 'config', 'definition', 'service', 'reference') }],
      references: optional([{ type: oneOf('commit', 'branch', 'pr', 'issue', 'deployment', 'project', 'cycle', 'assignee', 'reviewer', 'team', 'label'),
        id: 'string', url: optional('string'), label: optional('string') }]),
      highlights: optional({ title: 'string', snippet: 'string' }) }],
    context: optional({ clusters: [{ topic: nullable('string'), summary: nullable('string'), keywords: ['string'] }],
      relevantActors: [{ displayName: 'string', expertiseDomains: ['string'] }] }),
    meta: { total: integer, limit: integer, offset: integer, took: integer, mode: oneOf('fast', 'balanced', 'thorough'),
      paths: { vector: 'boolean', keyword: 'boolean', entity: 'boolean', cluster: 'boolean', actor: 'boolean' },
      rerank: { provider: 'string', bypassed: 'boolean', fallback: 'boolean' } },
    latency: { total: integer, retrieval: integer, rerank: integer, ...Object.fromEntries(['auth', 'parse', 'search', 'embedding', 'keywordSearch',
      'entitySearch', 'clusterSearch', 'actorSearch', 'enrich', 'maxParallel'].map((name) => [name, optional(integer)])) },
    requestId,
  },
  contents: { items: [{ ...item, id: 'string', title: nullable('string'), content: 'string', metadata: { each: () => true } }], missing: ['string'], requestId },
  findSimilar: {
    source: { id, title: 'string', type: 'string', cluster: optional({ topic: nullable('string'), memberCount: integer }) },
    similar: [{ ...item, score, vectorSimilarity: score, entityOverlap: optional(score), sameCluster: 'boolean' }],
    meta: { total: integer, took: integer, inputEmbedding: { found: 'boolean', generated: 'boolean' } },
    requestId,
  },
  graph: {
    data: { root: { id, title: 'string', source: 'string', type: 'string' },
      nodes: [{ id, title: 'string', source: 'string', type: 'string', occurredAt: nullable(time), url: nullable('string'), isRoot: 'boolean' }],
      edges: [{ source: id, target: id, type: relation, linkingKey: nullable('string'), confidence: score }] },
    meta: { depth: integer, nodeCount: integer, edgeCount: integer, took: integer, truncated: 'boolean', hubs: optional([{ id, degree: integer, shown: integer }]) },
    requestId,
  },
  related: { data: { source: { id, title: 'string', source: 'string' }, related: [neighbour], bySource: { each: [neighbour] } }, meta: { total: integer, took: integer }, requestId },
};

// ---- a workspace -------------------------------------------------------------------------------------------------------

const story = [
  { subject: 'Initial import', author: 'Grace Hopper <grace@example.com>' },
  { subject: 'Raise session timeout to 30 minutes (#87)', body: 'Users were signed out after 5 minutes, see ENG-42.\n\nFixes #42', files: { 'src/session.c': 'a' } },
  { subject: 'Rotate refresh tokens (#61)', body: 'A stolen token dies at its second use, as in #87.\n\nFixes #42', files: { 'src/token.c': 'b' } },
];

// A client of a server that remembers the story: { lightfast, seen, server, key, checked }.
async function world(t, { settings = {}, base = '', scopes = 'read', commits = story } = {}) {
  const home = directory(t), env = environment(join(home, 'data'), settings);
  if (commits.length) {
    repository(join(home, 'repo'), commits, { remote: 'https://github.com/acme/api.git' });
    json(env, 'import', 'git', join(home, 'repo'));
  }
  const { key } = json(env, 'key', 'create', 'client', '--scope', scopes);
  const server = await serve(t, env), seen = {};
  const lightfast = client(server.url + base, key, seen);
  const checked = async (name, request) => { const answer = await lightfast[name](request); fits(answer, shapes[name], name); return answer; };
  return { lightfast, seen, server, key, checked };
}
const refused = (promise, kind, code, status) => promise.then(() => assert.fail('was accepted'), (error) => {
  assert.equal(error.constructor, kind);
  assert.deepEqual([error.message, error.status], [code, status]);
  return error;
});

// ---- sections 3 to 7 ---------------------------------------------------------------------------------------------------

test('search: the client\'s defaults and every option answer in the published shape', async (t) => {
  const { checked, seen } = await world(t);
  const found = await checked('search', { query: 'session timeout' });
  assert.equal(found.data[0].title, '[PR Merged] Raise session timeout to 30 minutes');
  assert.match(found.data[0].highlights.title, /<mark>session timeout<\/mark>/);
  assert.equal(found.data[0].url, 'https://github.com/acme/api/pull/87');
  assert.deepEqual([found.meta.limit, found.meta.offset, found.meta.mode], [10, 0, 'balanced']);
  assert.ok(found.context);
  assert.equal(seen.response.headers.get('x-request-id'), found.requestId);
  const bare = await checked('search', { query: 'session timeout', includeContext: false, includeHighlights: false, mode: 'fast', limit: 1 });
  assert.equal(bare.context, undefined);
  assert.deepEqual(bare.data.map((each) => each.highlights), [undefined]);
  assert.equal((await checked('search', { query: 'session timeout', offset: 400 })).data.length, 0);
  const filters = { sourceTypes: [found.data[0].source], observationTypes: [found.data[0].type], actorNames: ['ada lovelace'], dateRange: { start: '2020-01-01T00:00:00Z', end: '2030-01-01' } };
  const filtered = await checked('search', { query: 'session timeout', filters, mode: 'thorough' });
  assert.equal(filtered.data[0].id, found.data[0].id);
  assert.equal((await checked('search', { query: 'session timeout', filters: { sourceTypes: ['linear'] } })).meta.total, 0);
});

test('search: an empty workspace has empty answers', async (t) => {
  const { checked } = await world(t, { commits: [] });
  const found = await checked('search', { query: 'anything' });
  assert.deepEqual([found.data, found.meta.total, found.context], [[], 0, { clusters: [], relevantActors: [] }]);
  assert.deepEqual((await checked('contents', { ids: ['obs_doesNotExist000000000'] })).missing, ['obs_doesNotExist000000000']);
});

test('contents: items in the form and order asked for, the unknown ones apart', async (t) => {
  const { checked } = await world(t);
  const [first, second] = (await checked('search', { query: 'token session' })).data.map((each) => each.id);
  const bare = second.slice('obs_'.length);
  const { items, missing } = await checked('contents', { ids: [bare, first, 'obs_doesNotExist000000000', first] });
  assert.deepEqual(items.map((each) => each.id), [bare, first]);
  assert.deepEqual(missing, ['obs_doesNotExist000000000']);
  assert.ok(items.every((each) => each.content.length > 0));
});

test('findSimilar: by id and by URL', async (t) => {
  const { checked } = await world(t);
  const { data } = await checked('search', { query: 'session timeout' });
  const byId = await checked('findSimilar', { id: data[0].id, threshold: 0 });
  assert.equal(byId.source.id, data[0].id);
  assert.ok(byId.similar.length > 0 && byId.similar.every((each) => each.id !== data[0].id && each.score >= each.vectorSimilarity));
  const byUrl = await checked('findSimilar', { url: 'https://www.github.com/acme/api/pull/87/files?w=1', threshold: 0, limit: 1, sameSourceOnly: true, excludeIds: [byId.similar[0].id] });
  assert.equal(byUrl.source.id, data[0].id);
  assert.ok(byUrl.similar.length <= 1 && byUrl.similar.every((each) => each.id !== byId.similar[0].id));
});

test('graph and related: what an item hangs together with', async (t) => {
  const { checked } = await world(t);
  const { id: root } = (await checked('search', { query: 'session timeout' })).data[0];
  const graph = await checked('graph', { id: root });
  assert.deepEqual([graph.meta.depth, graph.data.root.id, graph.data.nodes[0].isRoot], [2, root, true]);
  assert.deepEqual([graph.meta.nodeCount, graph.meta.edgeCount], [graph.data.nodes.length, graph.data.edges.length]);
  assert.ok(graph.data.edges.length > 0, 'the story has an edge');
  const known = new Set(graph.data.nodes.map((node) => node.id));
  assert.ok(graph.data.edges.every((edge) => known.has(edge.source) && known.has(edge.target)));
  assert.equal((await checked('graph', { id: root, depth: 1, types: ['deploys'] })).data.edges.length, 0);
  const related = await checked('related', { id: root });
  assert.equal(related.meta.total, related.data.related.length);
  assert.ok(related.data.related.length > 0);
  assert.deepEqual(Object.values(related.data.bySource).flat().map((each) => each.id).sort(), related.data.related.map((each) => each.id).sort());
});

// ---- section 1 and 2 as the client meets them --------------------------------------------------------------------------

test('a base URL with a slash at its end, or with /api, reaches the same routes', async (t) => {
  const { server, key } = await world(t);
  for (const base of ['/', '/api', '/api/']) {
    const { data } = await client(server.url + base, key).search({ query: 'session timeout' });
    assert.equal(data[0].url, 'https://github.com/acme/api/pull/87', base);
  }
});

test('400 is a validation error that tells every problem under its top-level field', async (t) => {
  const { lightfast } = await world(t);
  const error = await refused(lightfast.search({ query: ' ', limit: 101, offset: -1, mode: 'quick', filters: { sourceTypes: 'github' } }), ValidationError, 'VALIDATION_ERROR', 400);
  assert.deepEqual(error.details, { query: ['Query must not be empty'], limit: ['Number must be less than or equal to 100'],
    offset: ['Number must be greater than or equal to 0'], mode: ["Invalid enum value. Expected 'fast' | 'balanced' | 'thorough', received 'quick'"],
    filters: ['Expected array, received string'] });
  requestId(error.requestId, 'requestId');
  assert.deepEqual((await refused(lightfast.search(), ValidationError, 'VALIDATION_ERROR', 400)).details, { query: ['Required'] });
  assert.deepEqual((await refused(lightfast.contents({ ids: [] }), ValidationError, 'VALIDATION_ERROR', 400)).details, { ids: ['At least one ID required'] });
  assert.deepEqual((await refused(lightfast.contents({ ids: Array(51).fill('obs_doesNotExist000000000') }), ValidationError, 'VALIDATION_ERROR', 400)).details, { ids: ['Maximum 50 IDs per request'] });
  assert.deepEqual((await refused(lightfast.findSimilar({ id: '' }), ValidationError, 'VALIDATION_ERROR', 400)).details, { id: ['Either id or url must be provided'] });
  assert.deepEqual((await refused(lightfast.graph({ id: 'x', depth: 4 }), ValidationError, 'VALIDATION_ERROR', 400)).details, { depth: ['Number must be less than or equal to 3'] });
});

test('401, 404 and 429 are errors of their own; the last says when to come again', async (t) => {
  const { lightfast, seen, server } = await world(t, { settings: { LIGHTFAST_LIMITS_SEARCH_PER_MINUTE: '3' } });
  await refused(client(server.url, `sk-lf-${'a'.repeat(43)}`, seen).related({ id: 'x' }), AuthenticationError, 'UNAUTHORIZED', 401);
  assert.deepEqual([seen.answer.message, seen.response.headers.get('www-authenticate')], ['Invalid API key', 'Bearer']);
  await refused(lightfast.graph({ id: 'obs_doesNotExist000000000' }), NotFoundError, 'NOT_FOUND', 404);
  assert.equal(seen.answer.message, 'Observation not found: obs_doesNotExist000000000');
  await refused(lightfast.related({ id: 'obs_doesNotExist000000000' }), NotFoundError, 'NOT_FOUND', 404);
  await refused(lightfast.findSimilar({ id: 'obs_doesNotExist000000000' }), NotFoundError, 'NOT_FOUND', 404);
  assert.equal(seen.answer.message, 'Content not found: obs_doesNotExist000000000');
  await refused(lightfast.findSimilar({ url: 'https://github.com/acme/api/pull/9999' }), NotFoundError, 'NOT_FOUND', 404);
  assert.equal(seen.answer.message, 'URL not found in workspace: https://github.com/acme/api/pull/9999');
  await lightfast.search({ query: 'x' });
  assert.deepEqual(['limit', 'remaining'].map((name) => seen.response.headers.get(`x-ratelimit-${name}`)), ['3', '0']);
  await refused(lightfast.search({ query: 'x' }), RateLimitError, 'RATE_LIMITED', 429);
  const seconds = seen.answer.retryAfter;
  assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60);
  assert.equal(seen.response.headers.get('retry-after'), String(seconds));
  assert.equal(seen.answer.message, `Rate limit exceeded. Retry after ${seconds} seconds.`);
});

test('what has no class of its own is a generic error with the status, and JSON too', async (t) => {
  const { lightfast, server, key } = await world(t);
  const { lightfast: ingesting } = await world(t, { scopes: 'ingest', commits: [] });
  await refused(ingesting.search({ query: 'x' }), LightfastError, 'FORBIDDEN', 403);
  await refused(lightfast.search({ query: 'x'.repeat(2 << 20) }), LightfastError, 'PAYLOAD_TOO_LARGE', 413);
  await refused(client(`${server.url}/nowhere`, key).search({ query: 'x' }), NotFoundError, 'NOT_FOUND', 404);
});

test('a body needs no content type, and a broken one is told so', async (t) => {
  const { server, key } = await world(t);
  const send = (body, headers = {}) => new Promise((done, failed) => {
    const request = http.request(`${server.url}/v1/search`, { method: 'POST', headers: { authorization: `Bearer ${key}`, ...headers } }, (answer) => {
      let text = '';
      answer.on('data', (part) => { text += part; });
      answer.on('end', () => done([answer.statusCode, JSON.parse(text)]));
    });
    request.on('error', failed);
    request.end(body);
  });
  assert.equal((await send('{"query": "session", "somethingNew": 1, "limit": null}'))[0], 200);
  assert.equal((await send('{"query": "session"}', { 'content-type': 'text/plain' }))[0], 200);
  const [status, answer] = await send('{"query": ');
  assert.deepEqual([status, answer.error, answer.message], [400, 'INVALID_JSON', 'Invalid JSON body']);
  assert.deepEqual((await send('[]'))[1].details, { body: ['Expected object, received array'] });
});
