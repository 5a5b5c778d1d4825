// stream.test.mjs - what happens in a workspace is told as it happens, and nothing is missed by who comes back.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { directory, environment, json, lightfast, serve, until } from './lightfast.mjs';

const W = '/v1/orgs/local/workspaces/main';

async function world(t) {
  const env = environment(join(directory(t), 'data'));
  const made = json(env, 'key', 'create', 'console', '--scope', 'read,ingest,admin');
  const server = await serve(t, env);
  const ask = async (method, path, body) => {
    const answer = await fetch(server.url + path, { method, body: body && JSON.stringify(body),
      headers: { authorization: `Bearer ${made.key}`, 'content-type': 'application/json' } });
    return { status: answer.status, body: await answer.json() };
  };
  return { env, server, key: made.key, keyId: made.id, ask };
}

// Open the stream. next(name) waits for the next event of that name; others are kept in `seen`.
async function listen(t, { server, key }, query = '', headers = {}) {
  const gone = new AbortController();
  t.after(() => gone.abort());
  const answer = await fetch(`${server.url}${W}/stream${query}`, { signal: gone.signal, headers: { authorization: `Bearer ${key}`, ...headers } });
  if (answer.status !== 200) return { status: answer.status, body: await answer.json() };
  const decoder = new TextDecoder(), reader = answer.body.getReader(), seen = [];
  let text = '', ended = false;
  const read = async () => {
    const { done, value } = await reader.read();
    if (done) { ended = true; return; }
    text += decoder.decode(value, { stream: true });
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const event = Object.fromEntries(text.slice(0, end).split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
      seen.push({ ...event, data: event.data && JSON.parse(event.data) });
    }
  };
  const next = async (fits) => {
    for (let at = 0; ; at++) {
      while (at === seen.length && !ended) await read();
      if (at === seen.length) return undefined;
      if (typeof fits === 'string' ? seen[at].event === fits : fits(seen[at])) return seen.splice(at, 1)[0];
    }
  };
  while (!seen.length) await read();
  return { status: 200, headers: answer.headers, hello: seen.shift(), next, seen, close: () => gone.abort(),
    async end() { while (!ended) await read(); } };
}

const event = (n) => ({ source: 'ci', sourceType: 'build', sourceId: `ci:${n}`, title: `Build ${n} failed` });

test('jobs, activities and sources are told as they come', async (t) => {
  const it = await world(t);
  const stream = await listen(t, it);
  assert.match(stream.headers.get('content-type'), /^text\/event-stream/);
  assert.equal(stream.headers.get('cache-control'), 'no-cache');
  assert.equal(stream.hello.retry, '3000');
  assert.match(stream.hello.id, /^\d+$/);

  await it.ask('POST', '/v1/events', event(1));
  const job = await stream.next((each) => each.event === 'job' && each.data.status === 'completed');
  assert.equal(job.data.functionId, 'neural.observation.capture');
  assert.deepEqual(job.data, (({ input, output, parentJobId, restartOfJobId, steps, requestId, ...rest }) => rest)((await it.ask('GET', `${W}/jobs/${job.data.id}`)).body));
  assert.ok(BigInt(job.id) > BigInt(stream.hello.id));

  lightfast(it.env, 'key', 'create', 'another');
  const activity = await stream.next((each) => each.event === 'activity' && each.data.action === 'apikey.created');
  assert.equal(activity.data.entityName, 'another');
  assert.equal((await it.ask('GET', `${W}/activities/${activity.data.id}`)).status, 200);

  const { body: made } = await it.ask('POST', `${W}/sources`, { sourceType: 'github', name: 'acme/api' });
  const source = await stream.next('source');
  assert.equal(source.data.id, made.id);
  assert.equal(source.data.secret, undefined);
  await it.ask('DELETE', `${W}/sources/${made.id}`);
  assert.equal((await stream.next('source')).data.isActive, false);
});

test('only the topics that were asked for are told, and unknown ones refused', async (t) => {
  const it = await world(t);
  const stream = await listen(t, it, '?topics=activity');
  await it.ask('POST', '/v1/events', event(1));
  lightfast(it.env, 'key', 'create', 'another');
  await stream.next((each) => each.data?.action === 'apikey.created');
  assert.ok(stream.seen.every((each) => each.event === 'activity'));
  const refused = await listen(t, it, '?topics=activity,gossip');
  assert.equal(refused.status, 400);
  assert.equal(refused.body.error, 'VALIDATION_ERROR');
});

test('who comes back is told what was missed; who was away too long is told to reload', async (t) => {
  const it = await world(t);
  const first = await listen(t, it, '?topics=activity');
  lightfast(it.env, 'key', 'create', 'one');
  const one = await first.next((each) => each.data?.entityName === 'one');
  first.close();
  lightfast(it.env, 'key', 'create', 'two');
  const again = await listen(t, it, '?topics=activity', { 'last-event-id': one.id });
  assert.equal((await again.next('activity')).data.entityName, 'two');
  const stranger = await listen(t, it, '', { 'last-event-id': '17' });
  assert.deepEqual((await stranger.next('reset')).data, {});
  const nonsense = await listen(t, it, '', { 'last-event-id': 'yesterday' });
  assert.ok(await nonsense.next('reset'));
});

test('a stream ends when its key is revoked, and when the server stops', async (t) => {
  const it = await world(t);
  const other = json(it.env, 'key', 'create', 'other', '--scope', 'admin');
  const revoked = await listen(t, { ...it, key: other.key }), stays = await listen(t, it);
  json(it.env, 'key', 'revoke', other.id);
  await revoked.end();
  const stopped = it.server.stop();
  await stays.end();
  assert.equal((await stopped).code, 0);
});

test('a key that may not look is refused, and so is an eleventh stream', async (t) => {
  const it = await world(t);
  const reader = json(it.env, 'key', 'create', 'reader', '--scope', 'read');
  assert.equal((await listen(t, { ...it, key: reader.key })).status, 403);
  const streams = [];
  for (let i = 0; i < 10; i++) streams.push(await listen(t, it));
  const refused = await listen(t, it);
  assert.equal(refused.status, 429);
  assert.equal(refused.body.error, 'RATE_LIMITED');
  assert.ok(refused.body.retryAfter > 0);
  streams[0].close();
  await until('the end of a stream frees its place', async () => (await listen(t, it)).status === 200);
});
