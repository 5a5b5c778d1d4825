// answer.test.mjs - questions answered with sources: quoted without a model, written with one, as JSON, events and chat.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import test from 'node:test';
import { answerSchema, validator } from './contract.mjs';
import { binary, cleanup, directory, environment, json, lightfast, repository, serve, until } from './lightfast.mjs';

const story = [
  { subject: 'Initial import', author: 'Grace Hopper <grace@example.com>' },
  { subject: 'Raise session timeout to 30 minutes (#87)', body: 'Users were signed out after 5 minutes. The session timeout is configurable now.', files: { 'src/session.c': 'a' } },
  { subject: 'Rotate refresh tokens (#61)', body: 'A stolen token dies at its second use.', files: { 'src/token.c': 'b' } },
];
const question = { query: 'why was the session timeout raised' };
const secret = 'sk-test-0123456789abcdef';

const use = (input, name = 'workspaceSearch') => ({ type: 'tool_use', id: 'toolu_1', name, input });
const said = (text) => ({ type: 'text', text });
const search = use({ query: 'session timeout' });

// The events of a service of Anthropic's shape that says these blocks.
function* eventsOf(blocks) {
  yield { type: 'message_start', message: { model: 'model-a', usage: { input_tokens: 100, output_tokens: 1 } } };
  for (const [index, block] of blocks.entries()) {
    if (block.type === 'text') {
      yield { type: 'content_block_start', index, content_block: { type: 'text', text: '' } };
      for (const part of block.text.match(/.{1,7}/gs)) yield { type: 'content_block_delta', index, delta: { type: 'text_delta', text: part } };
    } else {
      yield { type: 'content_block_start', index, content_block: { ...block, input: {} } };
      yield { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: JSON.stringify(block.input) } };
    }
  }
  yield { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 10 } };
  yield { type: 'message_stop' };
}

// A model that says each list of blocks in turn (or what a function of the request gives), the last one again and again. A block {type: 'hold'} waits for release().
async function model(t, ...script) {
  const asked = [];
  let release;
  const released = new Promise((done) => { release = done; });
  const it = { asked, release, closed: 0 };
  const server = createServer(async (request, reply) => {
    let text = '';
    for await (const part of request) text += part;
    const body = JSON.parse(text), entry = script[Math.min(asked.length, script.length - 1)];
    const blocks = typeof entry === 'function' ? entry(body) : entry;
    asked.push(body);
    reply.on('close', () => { if (!reply.writableEnded) it.closed++; });
    const held = blocks.findIndex((block) => block.type === 'hold');
    if (!body.stream) {
      if (held >= 0) await released;
      return reply.end(JSON.stringify({ type: 'message', model: 'model-a', content: blocks.filter((block) => block.type !== 'hold'),
        stop_reason: 'end_turn', usage: { input_tokens: 100, output_tokens: 10 } }));
    }
    reply.setHeader('content-type', 'text/event-stream');
    reply.flushHeaders();
    const events = [...eventsOf(held >= 0 ? blocks.filter((_, at) => at !== held) : blocks)];
    const pause = held < 0 ? -1 : held === 0 ? 0 : events.findIndex((event) => event.type === 'message_delta');
    for (const [at, event] of events.entries()) {
      if (at === pause) await released;
      reply.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    reply.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup(t, () => { release(); server.closeAllConnections(); server.close(); });
  it.settings = { LIGHTFAST_LLM_PROVIDER: 'anthropic', LIGHTFAST_LLM_API_KEY: secret, LIGHTFAST_LLM_MODELS_DEFAULT: 'model-a',
    LIGHTFAST_LLM_BASE_URL: `http://127.0.0.1:${server.address().port}` };
  return it;
}

async function world(t, settings = {}, scope = 'read,answer') {
  const home = directory(t), env = environment(join(home, 'data'));
  repository(join(home, 'repo'), story, { remote: 'https://github.com/acme/api.git' });
  json(env, 'import', 'git', join(home, 'repo'));
  const { key } = json(env, 'key', 'create', 'test', '--scope', scope);
  const other = json(env, 'key', 'create', 'other', '--scope', 'answer').key;
  Object.assign(env, settings);
  const server = await serve(t, env);
  const document = await (await fetch(`${server.url}/v1/openapi.json`)).json();
  return { home, env, server, key, other, document, validate: validator(document) };
}

const fetchAs = (it, path, { key = it.key, body, ...options } = {}) => fetch(it.server.url + path, {
  method: body === undefined ? 'GET' : 'POST', body: body && JSON.stringify(body), ...options,
  headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...options.headers } });

async function ask(it, body, options = {}) {
  const answer = await fetchAs(it, '/v1/answer', { body, ...options });
  const value = await answer.json();
  it.validate(answerSchema(it.document, 'answer', answer.status), value, `answer ${answer.status}`);
  return { status: answer.status, headers: answer.headers, body: value };
}

// Read events, or the parts of a chat: next() gives one after the other, undefined at the end.
function reader(answer) {
  const decoder = new TextDecoder(), source = answer.body.getReader();
  let text = '';
  const next = async () => {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        if (block.startsWith(':')) continue;
        const event = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        return event.data === '[DONE]' ? { type: '[DONE]' } : event.event ? { ...event, data: JSON.parse(event.data) } : JSON.parse(event.data);
      }
      const { done, value } = await source.read();
      if (done) return undefined;
      text += decoder.decode(value, { stream: true });
    }
  };
  const rest = async () => {
    const all = [];
    for (let one; (one = await next()); ) all.push(one);
    return all;
  };
  return { next, rest };
}

test('without a model the best sentences are quoted with their sources', async (t) => {
  const it = await world(t);
  const { status, headers, body } = await ask(it, question);
  assert.equal(status, 200);
  assert.match(body.answer.content, /^- Users were signed out after 5 minutes\. The session timeout is configurable now\. \[1\]$/m);
  assert.equal(body.answer.citations[0].url, 'https://github.com/acme/api/pull/87');
  assert.deepEqual([body.meta.engine, body.meta.steps, body.meta.model], ['extractive', 0, undefined]);
  assert.equal(headers.get('x-ratelimit-limit'), '20');
  const nothing = (await ask(it, { query: 'helm charts of the kubernetes operator' })).body.answer;
  assert.deepEqual([nothing.content, nothing.citations], ['Nothing in this workspace answers the question.', []]);
  const events = await reader(await fetchAs(it, '/v1/answer', { body: question, headers: { accept: 'text/event-stream' } })).rest();
  assert.deepEqual(events.map((event) => event.event), ['start', 'sources', 'delta', 'done']);
  assert.equal(events[2].data.text, body.answer.content);
});

test('what is wrong with a question is said at once', async (t) => {
  const it = await world(t);
  const details = async (body) => (await ask(it, body)).body.details;
  assert.deepEqual(await details({}), { query: ['Required'] });
  assert.deepEqual(await details({ query: ' ' }), { query: ['Query must not be empty'] });
  assert.deepEqual(await details({ messages: [] }), { messages: ['The last message must be from the user'] });
  assert.deepEqual(await details({ messages: [{ role: 'user', content: 'x' }, { role: 'assistant', content: 'y' }] }), { messages: ['The last message must be from the user'] });
  assert.deepEqual(await details({ messages: [{ role: 'system', content: 'x' }] }), { messages: ["Invalid enum value. Expected 'user' | 'assistant', received 'system'"] });
  assert.deepEqual(await details({ query: 'x', maxSources: 21, sessionId: 'a b' }), {
    maxSources: ['Number must be less than or equal to 20'], sessionId: ["Expected letters, digits, '_' and '-'"] });
  const weak = json(it.env, 'key', 'create', 'weak', '--scope', 'read').key;
  assert.equal((await ask(it, question, { key: weak })).status, 403);
  assert.equal((await fetchAs(it, '/v1/answer')).status, 405);
});

test('a model searches, and cites only what it found', async (t) => {
  const service = await model(t, [said('I search.'), search], [said('It was raised [9] to 30 minutes [1].\n\nRationale: PR 87 says so.')]);
  const it = await world(t, service.settings);
  const { body } = await ask(it, question);
  assert.equal(body.answer.content, 'It was raised to 30 minutes [1].');
  assert.equal(body.answer.rationale, 'PR 87 says so.');
  assert.equal(body.answer.citations.length, 1);
  assert.deepEqual(body.meta.warnings, ['1 marker without a source was removed']);
  assert.deepEqual([body.meta.engine, body.meta.model, body.meta.steps, body.meta.usage], ['llm', 'model-a', 2, { inputTokens: 200, outputTokens: 20 }]);
  assert.ok(service.asked[0].system.includes('Source: git acme/api'));
  assert.ok(!JSON.stringify(service.asked).includes(secret));
});

test('events tell steps, sources and text as they come', async (t) => {
  const service = await model(t, [search], [said('It was raised to 30 minutes [1], because users were signed out.')]);
  const it = await world(t, service.settings);
  const answer = await fetchAs(it, '/v1/answer', { body: { ...question, stream: true } });
  assert.deepEqual([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control'), answer.headers.get('x-accel-buffering')],
    [200, 'text/event-stream', 'no-cache', 'no']);
  const events = await reader(answer).rest();
  assert.deepEqual(events.map((event) => Number(event.id)), events.map((_, at) => at + 1));
  assert.deepEqual([...new Set(events.map((event) => event.event))], ['start', 'step', 'sources', 'delta', 'done']);
  assert.deepEqual(events[0].data.engine, 'llm');
  assert.deepEqual(events.filter((event) => event.event === 'step').map(({ data }) => [data.tool, data.state, data.summary]),
    [['workspaceSearch', 'running', undefined], ['workspaceSearch', 'done', '3 of 3 results']]);
  const done = events.at(-1).data;
  it.validate(answerSchema(it.document, 'answer', 200), done, 'done');
  assert.equal(events.filter((event) => event.event === 'delta').map((event) => event.data.text).join(''), done.answer.content);
  assert.deepEqual(events.find((event) => event.event === 'sources').data.citations, done.answer.citations);
  assert.equal(done.sessionId, events[0].data.sessionId);
});

test('who disconnects from events stops the model', async (t) => {
  const service = await model(t, [said('A long answer that takes its time and is not finished yet. '.repeat(10)), { type: 'hold' }]);
  const it = await world(t, service.settings);
  const gone = new AbortController();
  const answer = await fetchAs(it, '/v1/answer', { body: { ...question, stream: true }, signal: gone.signal });
  const events = reader(answer);
  while ((await events.next()).event !== 'delta');
  gone.abort();
  await until('the end of the call to the model', () => service.closed === 1);
  service.release();
  assert.equal((await ask(it, { query: 'helm' })).status, 200); // its place is free again
});

test('who leaves before an answer in one piece stops the model', async (t) => {
  const service = await model(t, [{ type: 'hold' }, said('Too late.')]);
  const it = await world(t, service.settings, 'read,answer,admin');
  const gone = new AbortController();
  const answer = assert.rejects(fetchAs(it, '/v1/answer', { body: question, signal: gone.signal }));
  await until('the question to the model', () => service.asked.length === 1);
  gone.abort();
  await answer;
  await until('the end of the call to the model', () => service.closed === 1);
  service.release();
  assert.equal((await ask(it, { query: 'helm' })).status, 200);
  const told = await until('the activity of the other answer', async () => { // of one that ran into its time there would be one too
    const { data } = await (await fetchAs(it, '/v1/orgs/local/workspaces/main/activities?action=search.answer')).json();
    return data.length && data;
  });
  assert.deepEqual(told.map((each) => each.metadata.query), ['helm']);
});

test('a model that breaks off before its first word leaves quoting, after it an error', async (t) => {
  const down = await world(t, { LIGHTFAST_LLM_PROVIDER: 'anthropic', LIGHTFAST_LLM_API_KEY: secret,
    LIGHTFAST_LLM_MODELS_DEFAULT: 'm', LIGHTFAST_LLM_BASE_URL: 'http://127.0.0.1:9' });
  const { body } = await ask(down, question);
  assert.equal(body.meta.engine, 'extractive');
  assert.deepEqual(body.meta.warnings, ['The language model gave no answer, so passages are quoted']);
  assert.equal(body.answer.citations.length, 1);

  const service = createServer((request, reply) => {
    request.resume();
    for (const event of eventsOf([said('A beginning that is long enough to be shown to whoever waits for it. '.repeat(8))]))
      if (event.type !== 'message_stop') reply.write(`data: ${JSON.stringify(event)}\n\n`);
    reply.write(': the last before it breaks off\n\n', () => reply.destroy());
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  cleanup(t, () => { service.closeAllConnections(); service.close(); });
  const it = await world(t, { LIGHTFAST_LLM_PROVIDER: 'anthropic', LIGHTFAST_LLM_API_KEY: secret,
    LIGHTFAST_LLM_MODELS_DEFAULT: 'm', LIGHTFAST_LLM_BASE_URL: `http://127.0.0.1:${service.address().port}` });
  const events = await reader(await fetchAs(it, '/v1/answer', { body: { ...question, stream: true } })).rest();
  assert.equal(events.at(-1).event, 'error');
  assert.equal(events.at(-1).data.error, 'SERVICE_UNAVAILABLE');
  assert.ok(events.some((event) => event.event === 'delta'));
});

test('a session remembers what was said, for its owner alone', async (t) => {
  const service = await model(t, [said('It was PR 87.')]);
  const it = await world(t, service.settings);
  const first = await ask(it, { ...question, sessionId: 'talk-1' });
  assert.equal(first.body.sessionId, 'talk-1');
  await ask(it, { query: 'and who did it?', sessionId: 'talk-1' });
  assert.deepEqual(service.asked[1].messages.map((message) => message.content), [question.query, 'It was PR 87.', 'and who did it?']);
  assert.equal((await ask(it, { query: 'tell me', sessionId: 'talk-1' }, { key: it.other })).status, 403);
  await ask(it, { query: 'a fresh one' });
  assert.equal(service.asked.at(-1).messages.length, 1);
});

const chat = { messages: [{ role: 'user', parts: [{ type: 'text', text: question.query }] }] };

test('the chat form speaks the UI message stream', async (t) => {
  const service = await model(t, [said('I search.'), search], [use({ ids: ['obs_unknown'], extra: 1 }, 'workspaceNothing')], [said('Raised to 30 minutes [1].')]);
  const it = await world(t, service.settings);
  const answer = await fetchAs(it, '/v1/answer/answer-v1/chat-1', { body: chat });
  assert.deepEqual([answer.status, answer.headers.get('x-vercel-ai-ui-message-stream')], [200, 'v1']);
  const parts = await reader(answer).rest();
  assert.deepEqual(parts.map((part) => part.type).filter((type, at, all) => type !== all[at - 1]), [
    'start', 'start-step', 'reasoning-start', 'reasoning-delta', 'reasoning-end', 'tool-input-start', 'tool-input-available',
    'tool-output-available', 'tool-input-start', 'tool-input-available', 'tool-output-error', 'finish-step', 'start-step',
    'text-start', 'text-delta', 'text-end', 'source-url', 'finish-step', 'finish', '[DONE]']);
  assert.equal(parts.filter((part) => part.type === 'text-delta').map((part) => part.delta).join(''), 'Raised to 30 minutes [1].');
  assert.equal(parts.find((part) => part.type === 'tool-output-available').output.data.length, 3);
  assert.equal(parts.find((part) => part.type === 'source-url').url, 'https://github.com/acme/api/pull/87');
  const wrong = await fetchAs(it, '/v1/answer/answer-v1/chat-1', { body: { messages: [] } });
  assert.deepEqual([wrong.status, (await wrong.json()).error], [400, 'VALIDATION_ERROR']);
});

test('a chat goes on without its reader and is read on from its beginning', async (t) => {
  const service = await model(t, [said('The first half of it comes before the pause, and it is long enough to be shown. '.repeat(5)), { type: 'hold' }]);
  const it = await world(t, service.settings), path = '/v1/answer/answer-v1/chat-2';
  const status = async (options) => (await fetchAs(it, path, options)).status;
  assert.equal(await status(), 404);
  const gone = new AbortController();
  const parts = reader(await fetchAs(it, path, { body: chat, signal: gone.signal }));
  while ((await parts.next()).type !== 'text-delta');
  gone.abort();
  assert.equal(await status({ key: it.other }), 403);
  assert.equal(await status({ body: chat }), 409);
  const again = await fetchAs(it, path);
  assert.equal(again.status, 200);
  const resumed = reader(again);
  assert.equal((await resumed.next()).type, 'start');
  service.release();
  const rest = await resumed.rest();
  assert.equal(rest.at(-1).type, '[DONE]');
  assert.equal(service.asked.length, 1);
  assert.equal(service.closed, 0);
  await until('the end of the answer', async () => await status() === 204);
  assert.equal((await fetchAs(it, path, { method: 'DELETE', key: it.other })).status, 403);
  const forgotten = await fetchAs(it, path, { method: 'DELETE' });
  it.validate(answerSchema(it.document, 'forgetChat', 200), await forgotten.json(), 'forgetChat');
  assert.equal(await status(), 404);
  assert.equal((await fetchAs(it, path, { method: 'DELETE' })).status, 404);
});

test('a workspace has so many answers at once, a key so many a minute', async (t) => {
  const service = await model(t, [{ type: 'hold' }, said('At last.')]);
  const it = await world(t, { ...service.settings, LIGHTFAST_LIMITS_ANSWER_PARALLEL: '1', LIGHTFAST_LIMITS_ANSWER_PER_MINUTE: '2' });
  const first = ask(it, question);
  await until('the first question', () => service.asked.length === 1);
  const second = await ask(it, question, { key: it.other });
  assert.deepEqual([second.status, second.body.error], [429, 'RATE_LIMITED']);
  assert.ok(Number(second.headers.get('retry-after')) > 0);
  service.release();
  assert.equal((await first).body.answer.content, 'At last.');
  await ask(it, question);
  assert.deepEqual([(await ask(it, question)).body.error, service.asked.length], ['RATE_LIMITED', 2]);
});

test('a server that stops ends its answers', async (t) => {
  const service = await model(t, [said('Something that is long enough to be shown while it is being made. '.repeat(5)), { type: 'hold' }]);
  const it = await world(t, service.settings);
  const parts = reader(await fetchAs(it, '/v1/answer/answer-v1/chat-3', { body: chat }));
  while ((await parts.next()).type !== 'text-delta');
  const whole = ask(it, { query: 'and this?' }).catch((error) => error);
  await until('the second question', () => service.asked.length === 2);
  const { code } = await it.server.stop();
  assert.equal(code, 0);
  await parts.rest().catch(() => {});
  assert.ok([503, undefined].includes((await whole).status));
});

test('ask prints the answer with its sources', async (t) => {
  const service = await model(t, ({ messages }) => messages.length > 1 ? [said('It was raised to 30 minutes [1].')] : [search]);
  const it = await world(t, service.settings);
  const run = async (...args) => {
    const child = spawn(binary, ['ask', ...args], { env: it.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '', stderr = '';
    child.stdout.on('data', (part) => { stdout += part; });
    child.stderr.on('data', (part) => { stderr += part; });
    const [status] = await once(child, 'close');
    return { status, stdout, stderr };
  };
  const socket = await run('why', 'was', 'the', 'session', 'timeout', 'raised');
  assert.equal(socket.status, 0, socket.stderr);
  assert.match(socket.stdout, /^It was raised to 30 minutes \[1\]\.\n\n\[1\] \[PR Merged\] Raise session timeout to 30 minutes\n    github · .* · https:\/\/github\.com\/acme\/api\/pull\/87\n$/);
  const remote = await run('--url', it.server.url, '--api-key', it.key, 'session timeout');
  assert.match(remote.stdout, /^It was raised to 30 minutes \[1\]\.$/m);
  const printed = await run('--json', 'session timeout');
  it.validate(answerSchema(it.document, 'answer', 200), JSON.parse(printed.stdout), 'ask --json');
  assert.deepEqual([(await run('--max-sources', '99', 'x')).status, (await run()).status], [2, 2]);
  const refused = await run('--url', it.server.url, '--api-key', 'sk-lf-' + 'x'.repeat(43), 'session timeout');
  assert.deepEqual([refused.status, refused.stderr], [1, 'lightfast: Invalid API key\n']);
  assert.match((await run('--help')).stdout, /lightfast ask --session today/);
});

test('ask answers without a server too', (t) => {
  const home = directory(t), env = environment(join(home, 'data'));
  repository(join(home, 'repo'), story);
  json(env, 'import', 'git', join(home, 'repo'));
  const { status, stdout } = lightfast(env, 'ask', 'why was the session timeout raised');
  assert.equal(status, 0);
  assert.match(stdout, /Users were signed out after 5 minutes\..*\[1\]\n\n\[1\] /);
  assert.equal(json(env, 'ask', 'session timeout').meta.engine, 'extractive');
});
