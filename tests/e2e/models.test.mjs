// models.test.mjs - the program beside a language model: what it asks, what it says about it, what it does without one.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { cleanup, directory, environment, json, lightfast, post, serve, until } from './lightfast.mjs';

const secret = 'sk-test-0123456789abcdef';

function settings(address) {
  return { LIGHTFAST_LLM_PROVIDER: 'anthropic', LIGHTFAST_LLM_BASE_URL: address, LIGHTFAST_LLM_API_KEY: secret,
    LIGHTFAST_LLM_MODELS_DEFAULT: 'model-a', LIGHTFAST_LLM_MODELS_SUMMARY: 'model-b' };
}

// A service of Anthropic's shape. hold: the first request is never answered.
async function model(t, answer, { hold = false } = {}) {
  const asked = [];
  const server = createServer(async (request, reply) => {
    let body = '';
    for await (const part of request) body += part;
    asked.push({ path: request.url, key: request.headers['x-api-key'], body: JSON.parse(body) });
    if (hold && asked.length === 1) return;
    reply.setHeader('content-type', 'application/json');
    reply.end(JSON.stringify({ type: 'message', model: 'model-a', stop_reason: 'end_turn',
      content: [{ type: 'text', text: JSON.stringify(answer) }], usage: { input_tokens: 50, output_tokens: 5 } }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup(t, () => { server.closeAllConnections(); server.close(); });
  return { asked, address: `http://127.0.0.1:${server.address().port}` };
}

const decision = { primaryCategory: 'decision', secondaryCategories: [], topics: ['session length'], confidence: 0.9 };
const event = { source: 'custom', sourceType: 'note.created', sourceId: 'n:1', title: 'Fix the timeout',
  body: 'We raise the session timeout.', occurredAt: '2026-01-01T00:00:00Z' };
const captures = (env) => json(env, 'jobs', 'list', '--function', 'neural.observation.capture').data;

const models = (doctor) => doctor.checks.find((check) => check.name === 'language models');

test('doctor says that no model is configured, or which ones, and never the key', (t) => {
  const dir = directory(t);
  assert.deepEqual(models(json(environment(dir), 'doctor')),
    { name: 'language models', status: 'ok', detail: 'none: classes and summaries go by rules' });
  const env = environment(dir, settings('http://127.0.0.1:9'));
  const finding = models(json(env, 'doctor'));
  assert.equal(finding.status, 'ok');
  assert.match(finding.detail, /^anthropic: classification by model-a,.* summary by model-b,/);
  for (const command of [['doctor'], ['config', 'check']]) {
    const { stdout, stderr } = lightfast(env, ...command, '--json');
    assert.ok(!(stdout + stderr).includes(secret));
  }
});

test('a provider without a model stops the start with the name of the setting', (t) => {
  const { status, stderr } = lightfast(environment(directory(t), { LIGHTFAST_LLM_PROVIDER: 'openai' }), 'doctor');
  assert.equal(status, 1);
  assert.match(stderr, /llm\.models\.default/);
});

test('an event is classified by the model before it is stored', async (t) => {
  const service = await model(t, decision);
  const env = environment(directory(t), settings(service.address));
  const key = json(env, 'key', 'create', 'ci', '--scope', 'ingest,read').key;
  const server = await serve(t, env);
  assert.equal((await post(server, key, '/v1/events', event)).body.accepted, 1);
  await until('the capture', () => captures(env).some((job) => job.status === 'completed'));
  assert.equal(service.asked.length, 1);
  assert.equal(service.asked[0].path, '/v1/messages');
  assert.equal(service.asked[0].key, secret);
  assert.equal(service.asked[0].body.model, 'model-a');
  const found = json(env, 'search', 'session', 'timeout');
  assert.equal(found.data.length, 1);
  assert.ok(found.context.clusters.some((cluster) => cluster.topic === 'session length'));
  assert.ok(!server.log().includes(secret));
});

for (const signal of ['SIGKILL', 'SIGTERM'])
  test(`a server that ends by ${signal} while the model thinks stores the event once after its restart`, async (t) => {
    const service = await model(t, decision, { hold: true });
    const env = environment(directory(t), settings(service.address));
    const key = json(env, 'key', 'create', 'ci', '--scope', 'ingest').key;
    let server = await serve(t, env);
    assert.equal((await post(server, key, '/v1/events', event)).body.accepted, 1);
    await until('the question', () => service.asked.length === 1);
    await server.stop(signal);
    server = await serve(t, env);
    await until('the capture', () => captures(env).some((job) => job.status === 'completed'));
    assert.equal(service.asked.length, 2);
    const [job] = captures(env);
    assert.equal(job.output.status, 'success');
    assert.equal(json(env, 'search', 'session', 'timeout').data.length, 1);
  });

test('what the embedding provider has refused is sent again by a route and by doctor --fix', async (t) => {
  let refuse = true;
  const provider = createServer(async (request, reply) => {
    let body = '';
    for await (const part of request) body += part;
    reply.statusCode = refuse ? 400 : 200;
    reply.setHeader('content-type', 'application/json');
    reply.end(JSON.stringify({ data: JSON.parse(body).input.map((_, index) => ({ index, embedding: [1, 2, 3, 4] })) }));
  });
  provider.listen(0, '127.0.0.1');
  await once(provider, 'listening');
  cleanup(t, () => { provider.closeAllConnections(); provider.close(); });
  const env = environment(directory(t), { LIGHTFAST_EMBEDDING_PROVIDER: 'openai', LIGHTFAST_EMBEDDING_MODEL: 'm',
    LIGHTFAST_EMBEDDING_BASE_URL: `http://127.0.0.1:${provider.address().port}` });
  const key = json(env, 'key', 'create', 'ci', '--scope', 'read,ingest,admin').key;
  const server = await serve(t, env);
  const vectors = (...options) => // whatever else it finds fault with
    JSON.parse(lightfast(env, 'doctor', ...options, '--json').stdout).checks.find((check) => check.name === 'vectors');
  const jobs = () => json(env, 'jobs', 'list', '--function', 'neural.observation.embed').data;
  const retry = '/v1/orgs/local/workspaces/main/embeddings/retry';
  assert.equal((await post(server, key, '/v1/events', event)).body.accepted, 1);
  await until('the capture', () => captures(env).some((job) => job.status === 'completed'));
  assert.deepEqual(vectors(), { name: 'vectors', status: 'warning',
    detail: '1 observations were refused by the provider; --fix sends them again' });
  const { observationId } = (await post(server, key, '/v1/events', event)).body.results[0];
  const similar = await post(server, key, '/v1/findsimilar', { id: observationId });
  assert.deepEqual([similar.status, similar.body.error], [503, 'SERVICE_UNAVAILABLE']); // not the request's fault
  const first = await post(server, key, retry, {});
  assert.equal(first.status, 200);
  assert.equal(first.body.queued, 1);
  await until('the refusal', () => jobs().filter((job) => job.status === 'failed').length === 1);
  refuse = false;
  assert.equal(vectors('--fix').detail, '1 observations are sent to the provider again');
  await until('the vectors', () => jobs().some((job) => job.output?.status === 'success'));
  assert.equal((await post(server, key, retry, {})).body.queued, 0);
  assert.equal((await post(server, null, retry, {})).status, 401);
});
