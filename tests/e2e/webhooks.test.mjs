// webhooks.test.mjs - what providers and programs send becomes observations, once: the real server, signed as they sign.
import Ajv from 'ajv/dist/2020.js';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import test from 'node:test';
import { directory, environment, json, lightfast, repository, serve, until } from './lightfast.mjs';

const W = '/v1/orgs/local/workspaces/main';
const sha256 = (secret, body) => createHmac('sha256', secret).update(body).digest('hex');
const secret = 'a secret that only the two of them know';

const signed = {
  github: (body, event, id, key = secret) => ({ 'x-github-event': event, 'x-github-delivery': id, 'x-hub-signature-256': `sha256=${sha256(key, body)}` }),
  vercel: (body) => ({ 'x-vercel-signature': createHmac('sha1', secret).update(body).digest('hex') }),
  linear: (body, event, id) => ({ 'linear-signature': sha256(secret, body), 'linear-delivery': id }),
  sentry: (body, event, id) => ({ 'sentry-hook-signature': sha256(secret, body), 'sentry-hook-resource': event, 'request-id': id, 'sentry-hook-timestamp': String(Math.floor(Date.now() / 1000)) }),
};

async function world(t, settings = {}) {
  const env = environment(join(directory(t), 'data'), settings);
  const { key } = json(env, 'key', 'create', 'test', '--scope', 'read,ingest,admin');
  const server = await serve(t, env);
  const ask = async (method, path, body, headers = {}) => {
    const answer = await fetch(server.url + path, { method, body: body === undefined ? undefined : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers } });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  };
  const source = async (sourceType, resourceId, more = {}) =>
    (await ask('POST', `${W}/sources`, { sourceType, ...(resourceId ? { resourceId: String(resourceId) } : {}), secret, ...more })).body;
  const send = async (path, body, headers) => {
    const answer = await fetch(server.url + path, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
    return { status: answer.status, body: await answer.json() };
  };
  // Every event is dispatched, which the engine does after the answer, and every capture has ended.
  const settled = () => until('the end of all captures', async () => {
    const { data } = (await ask('GET', `${W}/events?name=neural/observation.capture&limit=20`)).body;
    if (data.some((event) => !event.outcomes.length)) return false;
    const { counts } = (await ask('GET', `${W}/jobs?functionId=neural.observation.capture&limit=1`)).body.meta;
    return counts.queued + counts.running === 0;
  });
  return { env, server, key, ask, source, send, settled };
}

const issue = (number, more = {}) => JSON.stringify({
  action: 'opened',
  issue: { number, title: `Login fails after upgrade ${number}`, body: 'It crashes', state: 'open', html_url: `https://github.com/acme/api/issues/${number}`,
    user: { id: 5, login: 'ada' }, created_at: '2026-01-02T03:04:05Z', updated_at: '2026-01-02T03:04:05Z' },
  repository: { id: 42, full_name: 'acme/api', name: 'api', html_url: 'https://github.com/acme/api', default_branch: 'main' },
  sender: { id: 5, login: 'ada' }, ...more,
});

test('a webhook of a repository becomes an observation that is found', async (t) => {
  const it = await world(t);
  const { id, url, secret: given } = await it.source('github', undefined, { name: 'acme/api' });
  assert.equal(given, secret);
  assert.match(url, new RegExp(`/webhooks/github/${id}$`));
  const body = issue(7);
  assert.deepEqual(await it.send(`/webhooks/github/${id}`, body, signed.github(body, 'issues', 'd1')), { status: 200, body: { received: true } });
  await it.settled();
  const found = await it.ask('POST', '/v1/search', { query: 'login fails' });
  assert.deepEqual(found.body.data.map((each) => each.title), ['[Issue Opened] Login fails after upgrade 7']);
  const [delivery] = (await it.ask('GET', `${W}/deliveries`)).body.data;
  assert.equal(delivery.outcome, 'processed');
  assert.deepEqual(delivery.observationIds, [found.body.data[0].id]);
  const detail = (await it.ask('GET', `${W}/deliveries/${delivery.id}`)).body;
  assert.deepEqual(detail.payload, JSON.parse(body));
  assert.equal(detail.runs[0].status, 'completed');
  const replay = await it.ask('POST', `${W}/deliveries/${delivery.id}/replay`);
  assert.match(replay.body.jobId, /^job_/);
  await it.settled();
  assert.equal((await it.ask('POST', '/v1/search', { query: 'login fails' })).body.data.length, 1);
});

test('what is not genuine is refused and changes nothing', async (t) => {
  const it = await world(t);
  const { id } = await it.source('github', 42);
  const path = `/webhooks/github/${id}`, body = issue(7), right = signed.github(body, 'issues', 'd1');
  const refused = async (text, headers, where = path) => { const { status, body: answer } = await it.send(where, text, headers); return [status, answer.error]; };
  assert.deepEqual(await refused(body.replace('7', '8'), right), [401, 'INVALID_SIGNATURE']);
  assert.deepEqual(await refused(body, signed.github(body, 'issues', 'd1', 'another secret')), [401, 'INVALID_SIGNATURE']);
  assert.deepEqual(await refused(body, { 'x-github-event': 'issues' }), [401, 'MISSING_SIGNATURE']);
  assert.deepEqual(await refused('', right), [401, 'MISSING_PAYLOAD']);
  assert.deepEqual(await refused('not json', signed.github('not json', 'issues', 'd1')), [400, 'INVALID_JSON']);
  assert.deepEqual(await refused(body, { 'x-hub-signature-256': right['x-hub-signature-256'] }), [400, 'MISSING_EVENT']);
  const deep = '{"a":'.repeat(5000) + '1' + '}'.repeat(5000);
  assert.deepEqual(await refused(deep, signed.github(deep, 'issues', 'd1')), [400, 'INVALID_JSON']);
  const huge = Buffer.alloc((25 << 20) + 1, 'x');
  assert.deepEqual(await refused(huge, signed.github(huge, 'issues', 'd1')), [413, 'PAYLOAD_TOO_LARGE']);
  const large = Buffer.alloc((5 << 20) + 1, 'x');
  const vercel = await it.source('vercel', 'prj_1');
  assert.deepEqual(await refused(large, signed.vercel(large), `/webhooks/vercel/${vercel.id}`), [413, 'PAYLOAD_TOO_LARGE']);
  assert.deepEqual(await refused(body, right, '/webhooks/github'), [503, 'NOT_CONFIGURED']);
  assert.deepEqual(await refused(body, right, '/webhooks/github/src_000000000000000000000'), [404, 'NOT_FOUND']);
  assert.deepEqual(await refused(body, right, '/webhooks/gitlab'), [404, 'NOT_FOUND']);
  assert.equal((await it.ask('GET', `${W}/jobs?functionId=neural.observation.capture`)).body.data.length, 0);
  assert.equal((await it.ask('POST', '/v1/search', { query: 'login fails' })).body.data.length, 0);
});

test('replays, other repositories, pings and unknown events are told apart', async (t) => {
  const it = await world(t);
  const { id } = await it.source('github', 42);
  const post = async (body, event, delivery) => (await it.send(`/webhooks/github/${id}`, body, signed.github(body, event, delivery))).body;
  const ping = JSON.stringify({ zen: 'x', repository: { id: 42, full_name: 'acme/api' } });
  for (let time = 0; time < 2; time++) assert.deepEqual(await post(ping, 'ping', 'd0'), { received: true, event: 'ping' });
  const [logged] = (await it.ask('GET', `${W}/deliveries`)).body.data;
  assert.deepEqual([logged.event, logged.deliveryId, logged.outcome, logged.reason], ['ping', 'd0', 'skipped', 'unhandled_event']);
  assert.ok((await it.ask('GET', `${W}/sources/${id}`)).body.lastDeliveryAt);
  assert.deepEqual(await post(issue(7), 'issues', 'd1'), { received: true });
  assert.deepEqual(await post(issue(8), 'issues', 'd1'), { received: true, duplicate: true });
  assert.deepEqual(await post(issue(7), 'issues', 'd2'), { received: true, duplicate: true });
  const other = issue(9, { repository: { id: 43, full_name: 'acme/api' } });
  assert.deepEqual(await post(other, 'issues', 'd3'), { received: true, ignored: 'repository_mismatch' });
  assert.deepEqual(await post(issue(9), 'gollum', 'd4'), { received: true, ignored: 'unhandled_event' });
});

test('the instance\'s app reaches the sources that share it, under its older path too', async (t) => {
  const it = await world(t, { LIGHTFAST_GITHUB_WEBHOOK_SECRET: secret, LIGHTFAST_VERCEL_WEBHOOK_SECRET: secret });
  assert.equal((await it.ask('POST', `${W}/sources`, { sourceType: 'github', resourceId: '42', shared: true })).status, 403);
  const made = lightfast(it.env, 'source', 'add', 'github', '--repo', 'acme/api', '--resource-id', '42', '--shared');
  assert.equal(made.status, 0, made.stderr);
  const post = async (path, n) => (await it.send(path, issue(n), signed.github(issue(n), 'issues', `d${n}`))).body;
  assert.deepEqual(await post('/webhooks/github', 7), { received: true });
  assert.deepEqual(await post('/api/github/webhooks', 8), { received: true });
  const other = issue(9, { repository: { id: 43, full_name: 'acme/api' } });
  assert.deepEqual((await it.send('/webhooks/github', other, signed.github(other, 'issues', 'd9'))).body, { received: true, ignored: 'not_connected' });
  const status = await fetch(`${it.server.url}/webhooks/vercel`);
  assert.deepEqual(await status.json(), { status: 'ok', service: 'vercel-webhooks' });
  assert.equal((await fetch(`${it.server.url}/webhooks/github`)).status, 405);
});

test('sources are made, set, given new secrets and removed', async (t) => {
  const it = await world(t);
  const made = await it.source('github', undefined, { name: 'acme/api' });
  assert.equal((await it.ask('POST', `${W}/sources`, { sourceType: 'github', name: 'ACME/api' })).status, 409);
  const unnamed = await it.ask('POST', `${W}/sources`, { sourceType: 'github', name: 'acme' });
  assert.deepEqual([unnamed.status, unnamed.body.error, unnamed.body.message, unnamed.body.details],
    [400, 'VALIDATION_ERROR', 'Invalid request', { name: ['name must be owner/name'] }]);
  assert.deepEqual((await it.ask('POST', `${W}/sources`, { sourceType: 'github' })).body.details, { body: ['name or resourceId is required'] });
  assert.equal((await it.ask('POST', `${W}/sources`, { sourceType: 'gitlab', name: 'a/b' })).status, 400);
  const set = await it.ask('PATCH', `${W}/sources/${made.id}/events`, { events: ['push'] });
  assert.deepEqual(set.body.metadata.sync.events, ['push']);
  const nonsense = await it.ask('PATCH', `${W}/sources/${made.id}/events`, { events: ['nonsense'] });
  assert.deepEqual([nonsense.status, nonsense.body.details], [400, { events: ["events: unknown category 'nonsense'"] }]);
  const actions = await it.ask('PATCH', `${W}/sources/${made.id}`, { sync: { actions: { nonsense: ['opened'] } } });
  assert.deepEqual([actions.status, actions.body.details], [400, { sync: ["actions: unknown category 'nonsense'"] }]);
  const sync = await it.ask('PATCH', `${W}/sources/${made.id}`, { sync: { branches: ['release/*'] } });
  assert.deepEqual(sync.body.metadata.sync, { events: ['push'], branches: ['release/*'] });
  const renewed = (await it.ask('POST', `${W}/sources/${made.id}/webhook-secret`, { graceSeconds: 0 })).body.secret;
  const old = await it.send(`/webhooks/github/${made.id}`, issue(1), signed.github(issue(1), 'issues', 'd1'));
  assert.equal(old.status, 401);
  const fresh = await it.send(`/webhooks/github/${made.id}`, issue(1), signed.github(issue(1), 'issues', 'd1', renewed));
  assert.equal(fresh.status, 200);
  const list = JSON.stringify((await it.ask('GET', `${W}/sources`)).body);
  assert.ok(!list.includes(secret) && !list.includes(renewed), 'no secret is shown again');
  assert.deepEqual((await it.ask('DELETE', `${W}/sources/${made.id}`)).body.success, true);
  assert.equal((await it.ask('GET', `${W}/sources/${made.id}`)).body.isActive, false);
});

test('events of any program: one, many, lines, CloudEvents', async (t) => {
  const it = await world(t);
  const event = (n, more = {}) => ({ source: 'ci', sourceType: 'build.failed', sourceId: `ci:${n}`, title: `Build ${n} failed`, ...more });
  const one = await it.ask('POST', '/v1/events', event(1));
  assert.deepEqual([one.status, one.body.accepted], [202, 1]);
  await it.settled();
  const again = await it.ask('POST', '/v1/events', event(1, { title: 'Other words' }));
  assert.deepEqual([again.status, again.body.duplicates], [200, 1]);
  assert.match(again.body.results[0].observationId, /^obs_/);
  const state = await it.ask('GET', `/v1/events/${one.body.results[0].eventId}`);
  assert.deepEqual([state.body.status, state.body.sourceId], ['captured', 'ci:1']);
  const lines = Array.from({ length: 1000 }, (_, n) => [17, 400, 900].includes(n) ? '{not json' : JSON.stringify(event(1000 + n))).join('\n');
  const nd = { 'content-type': 'application/x-ndjson' };
  const many = await it.ask('POST', '/v1/events', lines, nd);
  assert.deepEqual([many.status, many.body.accepted, many.body.rejected], [202, 997, 3]);
  assert.deepEqual(many.body.results.filter((each) => each.status === 'rejected').map((each) => [each.index, each.error]), [[17, 'INVALID_JSON'], [400, 'INVALID_JSON'], [900, 'INVALID_JSON']]);
  const repeat = await it.ask('POST', '/v1/events', lines, nd);
  assert.deepEqual([repeat.status, repeat.body.accepted, repeat.body.duplicates], [200, 0, 997]);
  const cloud = await it.ask('POST', '/v1/events', { specversion: '1.0', id: '1', source: 'https://ci.example.com/x', type: 'Build.Done', subject: 'Build done' }, { 'content-type': 'application/cloudevents+json' });
  assert.deepEqual([cloud.status, cloud.body.results[0].sourceId], [202, 'ce:https://ci.example.com/x:1']);
  await it.settled();
  assert.equal((await it.ask('GET', `${W}/jobs?functionId=neural.observation.capture&limit=1`)).body.meta.counts.completed, 999);
});

test('events that cannot be are refused as documented', async (t) => {
  const it = await world(t);
  const good = { source: 'ci', sourceType: 'build.failed', sourceId: 'ci:1', title: 'Build failed' };
  const none = await it.ask('POST', '/v1/events', []);
  assert.deepEqual([none.status, none.body.error, none.body.details], [400, 'VALIDATION_ERROR', { body: ['The request holds no events'] }]);
  const cut = await it.ask('POST', '/v1/events', '{');
  assert.deepEqual([cut.status, cut.body.error, cut.body.message], [400, 'INVALID_JSON', 'Invalid JSON body']);
  assert.equal((await it.ask('POST', '/v1/events', good, { 'content-type': 'text/plain' })).body.error, 'UNSUPPORTED_MEDIA_TYPE');
  assert.equal((await it.ask('POST', '/v1/events', good, { 'ce-id': '1' })).status, 415);
  assert.equal((await it.ask('POST', '/v1/events', Array.from({ length: 1001 }, () => good))).status, 413);
  assert.equal((await it.ask('POST', '/v1/events', 'x'.repeat((5 << 20) + 1))).status, 413);
  const all = await it.ask('POST', '/v1/events', { ...good, colour: 'red' });
  assert.deepEqual([all.status, all.body.error, all.body.results[0].error, all.body.results[0].field], [400, 'VALIDATION_ERROR', 'UNKNOWN_FIELD', 'colour']);
  assert.equal((await it.ask('POST', '/v1/events?atomic=true', [good, { source: 'ci' }])).status, 400);
  assert.deepEqual(Object.keys((await it.ask('POST', '/v1/events?atomic=yes', good)).body.details), ['atomic']);
  assert.equal((await it.ask('POST', '/v1/events?import=job_none', good)).status, 409);
  assert.equal((await it.ask('POST', '/v1/events', good)).body.accepted, 1, 'nothing was stored before');
});

// ---- storylines of real incidents across four providers, where they are at hand --------------------------------------

const storylines = process.env.STORYLINES ?? '../shared/data/storylines';
const resources = {
  github: (payload) => [payload.repository?.id],
  vercel: ({ payload }) => [payload?.project?.id ?? payload?.projectId],
  linear: ({ data }) => [data?.team?.id ?? data?.teamId ?? data?.issue?.team?.id ?? data?.issue?.teamId, ...(data?.teams ?? []).map((team) => team.id), ...(data?.teamIds ?? [])],
  sentry: ({ data }) => [data?.issue?.project?.id, data?.event?.project],
};

test('every event of the storylines is stored once, or filtered with its reason', { skip: !existsSync(storylines) }, async (t) => {
  const it = await world(t);
  const sources = new Map();
  let sent = 0;
  for (const file of readdirSync(storylines).filter((name) => name.endsWith('.input.json'))) {
    for (const { source, eventType, payload } of JSON.parse(readFileSync(join(storylines, file), 'utf8')).webhooks) {
      if (source === 'linear') payload.webhookTimestamp = Date.now() + sent;
      const resource = resources[source]?.(payload).find((each) => each !== undefined && each !== null);
      if (resource === undefined) continue;
      const name = `${source} ${resource}`;
      if (!sources.has(name)) sources.set(name, await it.source(source, resource));
      const event = source === 'github' ? eventType.split('.')[0].replaceAll('-', '_') : source === 'sentry' ? eventType.split('.')[0] : eventType;
      const body = JSON.stringify(payload), path = `/webhooks/${source}/${sources.get(name).id}`;
      const first = await it.send(path, body, signed[source](body, event, `story-${sent}`));
      assert.equal(first.status, 200, `${file} ${source} ${eventType}: ${JSON.stringify(first.body)}`);
      if (first.body.ignored) continue;
      assert.deepEqual((await it.send(path, body, signed[source](body, event, `story-${sent}-again`))).body, { received: true, duplicate: true });
      sent++;
    }
  }
  assert.ok(sent > 10, `${sent} events`);
  await it.settled();
  const deliveries = (await it.ask('GET', `${W}/deliveries?outcome=processed&limit=100`)).body.data;
  assert.equal(deliveries.length, Math.min(sent, 100));
  for (const delivery of deliveries) {
    const { runs } = (await it.ask('GET', `${W}/deliveries/${delivery.id}`)).body;
    assert.deepEqual(runs.map((run) => run.status), ['completed'], JSON.stringify(delivery));
    if (delivery.observationIds.length) continue;
    const job = (await it.ask('GET', `${W}/jobs/${runs[0].jobId}`)).body;
    assert.equal(job.output.status, 'filtered', JSON.stringify(job));
    assert.ok(['below_threshold', 'duplicate'].includes(job.output.reason), JSON.stringify(job.output));
  }
});

test('many deliveries are replayed as one job, and its progress is told', async (t) => {
  const it = await world(t);
  const { id } = await it.source('github', 42);
  const from = new Date(Date.now() - 60000).toISOString(), to = new Date(Date.now() + 60000).toISOString();
  for (let n = 1; n <= 60; n++) await it.send(`/webhooks/github/${id}`, issue(n), signed.github(issue(n), 'issues', `d${n}`));
  await it.settled();
  assert.deepEqual((await it.ask('POST', `${W}/deliveries/bulk`, { from, to, outcome: 'failed' })).body.count, 0);
  const started = await it.ask('POST', `${W}/deliveries/bulk`, { from, to, source: 'github' });
  assert.equal(started.body.count, 60);
  const completed = (id) => until('the end of a replay', async () => {
    const { body } = await it.ask('GET', `${W}/jobs/${id}`);
    return body.status === 'completed' && body;
  });
  const job = await completed(started.body.jobId);
  assert.deepEqual(job.output, { replayed: 60, skipped: 0 });
  assert.deepEqual(job.progress, { phase: 'replay', total: 60, done: 60, failed: 0, skipped: 0 });
  await it.settled();
  const { data } = (await it.ask('GET', `${W}/deliveries?limit=100`)).body;
  assert.deepEqual(Object.keys((await it.ask('GET', `${W}/deliveries?outcome=lost`)).body.details), ['outcome']);
  assert.equal(data.filter((each) => each.replayOf).length, 60); // each once, none of the replays
  assert.equal(new Set(data.map((each) => each.replayOf)).size, 61);
  await it.ask('DELETE', `${W}/sources/${id}`);
  const second = (await it.ask('POST', `${W}/deliveries/bulk`, { from, to })).body;
  assert.deepEqual((await completed(second.jobId)).output, { replayed: 0, skipped: 60 });
  const wrong = await it.ask('POST', `${W}/deliveries/bulk`, { from: to, to: from });
  assert.equal(wrong.status, 400);
  assert.deepEqual(wrong.body.details, { to: ['Must be after from'] });
  assert.equal((await it.ask('POST', `${W}/deliveries/bulk`, {})).body.details.from[0], 'Required');
});

test('every delivery is counted, whether stored, known already or refused', async (t) => {
  const it = await world(t, { LIGHTFAST_METRICS_TOKEN: 'scrape-me' });
  const { id } = await it.source('github', 42);
  const body = issue(1), right = signed.github(body, 'issues', 'd1');
  await it.send(`/webhooks/github/${id}`, body, right);
  const again = await it.send(`/webhooks/github/${id}`, body, { ...right, 'x-github-delivery': 'd2' });
  assert.deepEqual(again.body, { received: true, duplicate: true });
  await it.send(`/webhooks/github/${id}`, body, signed.github(body, 'issues', 'd3', 'another secret'));
  assert.equal((await it.send(`/webhooks/github/src_${'0'.repeat(21)}`, body, right)).status, 404);
  assert.equal((await it.send(`/webhooks/github/${'x'.repeat(2000)}`, body, right)).status, 404);
  const text = await (await fetch(`${it.server.url}/metrics`, { headers: { authorization: 'Bearer scrape-me' } })).text();
  const counts = Object.fromEntries([...text.matchAll(/^lightfast_deliveries_total\{source="github",outcome="(\w+)",reason="(\w*)"\} (\d+)$/gm)].map(([, outcome, reason, n]) => [outcome + reason, Number(n)]));
  assert.deepEqual(counts, { accepted: 1, duplicate: 1, refusedINVALID_SIGNATURE: 1, refusedNOT_FOUND: 2 });
  assert.equal((await it.ask('GET', `${W}/deliveries`)).body.data.length, 1); // a duplicate is stored once
});

test('what reached no workspace is listed for the operator alone', async (t) => {
  const it = await world(t, { LIGHTFAST_GITHUB_WEBHOOK_SECRET: secret });
  const { id } = await it.source('github', 42);
  await it.send(`/webhooks/github/${id}`, issue(1), signed.github(issue(1), 'issues', 'd1'));
  await it.send(`/webhooks/github/${id}`, issue(2), signed.github(issue(2), 'issues', 'd2', 'another secret'));
  await it.send('/webhooks/github', issue(3), signed.github(issue(3), 'issues', 'd3'));
  assert.equal((await it.ask('GET', '/v1/admin/deliveries')).status, 403);
  const list = await new Promise((done, failed) => get({ socketPath: join(it.env.LIGHTFAST_DATA_DIR, 'lightfast.sock'), path: '/v1/admin/deliveries' }, (answer) => {
    let text = '';
    answer.on('data', (part) => { text += part; }).on('end', () => done(JSON.parse(text)));
  }).on('error', failed));
  assert.deepEqual(list.data.map(({ outcome, reason }) => [outcome, reason]), [['skipped', 'not_connected'], ['rejected', 'INVALID_SIGNATURE']]);
  assert.equal(list.hasMore, false);
  assert.ok(!JSON.stringify(list).includes(secret));
});

test('events are listed with what became of them, page by page', async (t) => {
  const it = await world(t);
  for (let n = 1; n <= 5; n++) await it.ask('POST', '/v1/events', { source: 'ci', sourceType: 'build', sourceId: `ci:${n}`, title: `Build ${n}` });
  await it.settled();
  const seen = [];
  for (let cursor = ''; cursor !== null;) {
    const { data, nextCursor, hasMore } = (await it.ask('GET', `${W}/events?name=neural/observation.capture&limit=2${cursor && `&cursor=${cursor}`}`)).body;
    assert.equal(hasMore, nextCursor !== null);
    seen.push(...data);
    cursor = nextCursor;
  }
  assert.equal(seen.length, 5);
  assert.deepEqual([...seen].sort((a, b) => b.receivedAt.localeCompare(a.receivedAt)).map((each) => each.id), seen.map((each) => each.id));
  assert.equal(seen[0].outcomes[0].functionId, 'neural.observation.capture');
  assert.deepEqual((await it.ask('GET', `${W}/events/${seen[0].id}`)).body.outcomes, seen[0].outcomes);
  assert.equal((await it.ask('GET', `${W}/events?to=2020-01-01`)).body.data.length, 0);
});

test('a source goes with its data, and with nothing else', async (t) => {
  const it = await world(t);
  const other = (number) => issue(number, { repository: { id: 43, full_name: 'acme/web', name: 'web', html_url: 'https://github.com/acme/web', default_branch: 'main' } });
  const { id } = await it.source('github', 42), { id: kept } = await it.source('github', 43);
  for (let n = 1; n <= 120; n++) await it.send(`/webhooks/github/${id}`, issue(n), signed.github(issue(n), 'issues', `d${n}`));
  for (let n = 1; n <= 3; n++) await it.send(`/webhooks/github/${kept}`, other(n), signed.github(other(n), 'issues', `o${n}`));
  await it.settled();
  const total = async () => (await it.ask('POST', '/v1/search', { query: 'login fails upgrade', limit: 100 })).body.meta.total;
  assert.equal(await total(), 123);
  assert.equal((await it.ask('DELETE', `${W}/sources/${kept}`)).body.success, true);
  assert.equal((await it.ask('DELETE', `${W}/sources/${id}?deleteData=perhaps`)).status, 400);
  assert.equal(lightfast(it.env, 'source', 'remove', id, '--delete-data').status, 0);
  const jobs = await until('the cleaning up', async () => {
    const { data } = (await it.ask('GET', `${W}/jobs?functionId=source.cleanup`)).body;
    return data[0]?.status === 'completed' && data;
  });
  assert.equal(jobs.length, 1); // nobody asked for the other's
  assert.deepEqual(jobs[0].output, { status: 'success', observations: 120 });
  assert.equal(jobs[0].sourceId, id);
  assert.equal(await total(), 3);
});

test('imported history goes with its source, and can be imported again', async (t) => {
  const it = await world(t);
  const repo = repository(join(directory(t), 'repo'), [{ subject: 'Raise the timeout' }, { subject: 'Lower the timeout (#7)', tag: 'v1.0.0' }], { remote: 'https://github.com/Acme/api.git' });
  const elsewhere = repository(join(directory(t), 'other'), [{ subject: 'Measure the timeout' }], { remote: 'https://github.com/acme/web.git' });
  const total = async () => (await it.ask('GET', `${W}/observations`)).body.meta.total;
  const read = (path) => assert.equal(lightfast(it.env, 'import', 'git', path).status, 0);
  read(repo);
  read(elsewhere);
  const brought = await total();
  const { id } = (await it.ask('GET', `${W}/sources`)).body.data.find((each) => each.displayName === 'Acme/api');
  const remove = async () => {
    const before = (await it.ask('GET', `${W}/jobs?functionId=source.cleanup`)).body.data.length;
    assert.equal((await it.ask('DELETE', `${W}/sources/${id}?deleteData=true`)).status, 200);
    return until('the cleaning up', async () => {
      const { data } = (await it.ask('GET', `${W}/jobs?functionId=source.cleanup`)).body;
      return data.length > before && data.every((job) => job.status === 'completed') && data[0].output;
    });
  };
  assert.deepEqual(await remove(), { status: 'success', observations: brought - 1 });
  assert.deepEqual((await it.ask('GET', `${W}/observations`)).body.data.map((each) => each.title), ['[Push] Measure the timeout']);
  const counts = async () => (await it.ask('GET', `${W}/actors`)).body.data.map((each) => each.observationCount);
  assert.deepEqual(await counts(), [1]); // profiles, too, tell only of what is left
  read(repo);
  assert.equal(await total(), brought);
  const [again] = (await it.ask('GET', `${W}/sources`)).body.data.filter((each) => each.id === id);
  assert.deepEqual([again.isActive, again.inactiveReason ?? null], [true, null]);
});

test('an import ends with its source', async (t) => {
  const it = await world(t);
  const { jobId, sourceId } = (await it.ask('POST', `${W}/imports`, { repoFullName: 'acme/api', branch: 'main' })).body;
  assert.equal((await it.ask('DELETE', `${W}/sources/${sourceId}`)).status, 200);
  const event = { source: 'git', sourceType: 'push', sourceId: 'push:acme/api:1', title: '[Push] One', body: '', occurredAt: '2026-01-01T00:00:00Z' };
  assert.equal((await it.ask('POST', `${W}/imports/${jobId}/events`, { events: [event] })).status, 409);
  assert.equal((await it.ask('POST', `${W}/imports/${jobId}/finish`, { status: 'completed', tip: 'a'.repeat(40) })).status, 409);
  assert.equal((await it.ask('GET', `${W}/imports/${jobId}`)).body.status, 'cancelled');
  assert.equal((await it.ask('GET', `${W}/sources/${sourceId}`)).body.isActive, false);
});

test('lists of sources show how they do', async (t) => {
  const it = await world(t);
  const { id } = await it.source('github', 42, { name: 'acme/api' });
  await it.source('sentry', 'web');
  await it.send(`/webhooks/github/${id}`, issue(1), signed.github(issue(1), 'issues', 'd1'));
  await it.settled();
  const { data, meta } = (await it.ask('GET', `${W}/sources`)).body;
  assert.deepEqual(meta, { byType: { github: 1, sentry: 1 }, total: 2 });
  const [sentry, github] = data;
  assert.deepEqual([github.health, github.deliveryFailureRate24h, github.documentCount, github.lastSyncError], ['healthy', 0, 0, null]);
  assert.ok(github.lastDeliveryAt);
  assert.equal(sentry.lastDeliveryAt, null);
  assert.deepEqual((await it.ask('GET', `${W}/health`)).body.sources.map((each) => each.name), ['acme/api', 'web']);
  await it.ask('DELETE', `${W}/sources/${id}`);
  assert.equal((await it.ask('GET', `${W}/sources/${id}`)).body.health, 'down');
});

test('events may come compressed, but not as a bomb', async (t) => {
  const it = await world(t);
  const event = { source: 'ci', sourceType: 'build', sourceId: 'ci:1', title: 'Build' };
  const send = (text, coding = 'gzip') => it.ask('POST', '/v1/events', Buffer.from(text), { 'content-encoding': coding });
  assert.equal((await send(gzipSync(JSON.stringify(event)))).status, 202);
  assert.equal((await send(JSON.stringify(event), 'identity')).body.duplicates, 1);
  const bomb = await send(gzipSync(Buffer.alloc(64 << 20, ' ')));
  assert.equal(bomb.status, 413);
  assert.equal(bomb.body.error, 'PAYLOAD_TOO_LARGE');
  const broken = await send('not packed at all');
  assert.deepEqual([broken.status, broken.body.error, broken.body.details], [400, 'VALIDATION_ERROR', { body: ['The request body is not gzip'] }]);
  assert.equal((await send(gzipSync('x'), 'br')).status, 415);
});

test('events have a limit of their own, history has none', async (t) => {
  const it = await world(t, { LIGHTFAST_LIMITS_EVENTS_PER_MINUTE: '2', LIGHTFAST_LIMITS_EVENTS_BODY_BYTES: '2048' });
  const send = (n, query = '') => it.ask('POST', `/v1/events${query}`, { source: 'ci', sourceType: 'build', sourceId: `ci:${n}`, title: 'Build' });
  const first = await send(1);
  assert.equal(first.headers.get('x-ratelimit-limit'), '2');
  assert.equal(first.headers.get('x-ratelimit-remaining'), '1');
  await send(2);
  const refused = await send(3);
  assert.equal(refused.status, 429);
  assert.equal(refused.body.error, 'RATE_LIMITED');
  assert.match(refused.body.message, /^Rate limit exceeded\. Retry after \d+ seconds\.$/);
  assert.equal(refused.headers.get('retry-after'), String(refused.body.retryAfter));
  const { jobId } = (await it.ask('POST', `${W}/imports`, { repoFullName: 'acme/api', branch: 'main' })).body;
  for (let n = 4; n < 8; n++) assert.equal((await send(n, `?import=${jobId}`)).status, 202);
  assert.equal((await send(8, '?import=job_none')).status, 409);
  const large = await it.ask('POST', `/v1/events?import=${jobId}`, { source: 'ci', sourceType: 'build', sourceId: 'ci:9', title: 'x'.repeat(3000) });
  assert.equal(large.status, 413);
});

test('sources, events and deliveries answer as documented', async (t) => {
  const it = await world(t);
  const document = await (await fetch(`${it.server.url}/v1/openapi.json`)).json();
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ $id: 'document', components: document.components });
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const call = async (id, method, path, body) => {
    const answer = await it.ask(method, path, body);
    let response = operations.find((each) => each.operationId === id).responses[answer.status];
    assert.ok(response, `${id} does not document ${answer.status}: ${JSON.stringify(answer.body)}`);
    if (response.$ref) response = document.components.responses[response.$ref.split('/').pop()];
    const check = ajv.compile(JSON.parse(JSON.stringify(response.content['application/json'].schema).replaceAll('"#/components', '"document#/components')));
    assert.ok(check(answer.body), `${id} ${answer.status}: ${ajv.errorsText(check.errors)} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const { id } = await call('addSource', 'POST', `${W}/sources`, { sourceType: 'github', name: 'acme/api', secret });
  await call('addSource', 'POST', `${W}/sources`, { sourceType: 'github', name: 'acme/api' });
  await call('addSource', 'POST', `${W}/sources`, { sourceType: 'github' });
  await call('listSources', 'GET', `${W}/sources?limit=1`);
  await call('getSource', 'GET', `${W}/sources/${id}`);
  await call('getSource', 'GET', `${W}/sources/src_none`);
  await call('setSource', 'PATCH', `${W}/sources/${id}`, { sync: { includeBots: true } });
  await call('setSourceEvents', 'PATCH', `${W}/sources/${id}/events`, { events: ['issues'] });
  await it.send(`/webhooks/github/${id}`, issue(7), signed.github(issue(7), 'issues', 'd1'));
  await it.settled();
  const { data: [delivery] } = await call('listDeliveries', 'GET', `${W}/deliveries?source=github&outcome=processed&sourceId=${id}`);
  await call('getDelivery', 'GET', `${W}/deliveries/${delivery.id}`);
  await call('getDelivery', 'GET', `${W}/deliveries/dlv_none`);
  await call('replayDelivery', 'POST', `${W}/deliveries/${delivery.id}/replay`);
  await call('replayDeliveries', 'POST', `${W}/deliveries/bulk`, { from: '2026-01-01', to: '2126-01-01' });
  await call('replayDeliveries', 'POST', `${W}/deliveries/bulk`, {});
  await call('listEvents', 'GET', `${W}/events?limit=3`);
  await call('listUnclaimedDeliveries', 'GET', '/v1/admin/deliveries');
  await call('renewSourceSecret', 'POST', `${W}/sources/${id}/webhook-secret`);
  await call('removeSource', 'DELETE', `${W}/sources/${id}`);
  await call('replayDelivery', 'POST', `${W}/deliveries/${delivery.id}/replay`);
  const event = { source: 'ci', sourceType: 'build', sourceId: 'ci:1', title: 'Build' };
  const { results } = await call('ingestEvents', 'POST', '/v1/events', event);
  await call('ingestEvents', 'POST', '/v1/events', event);
  await call('ingestEvents', 'POST', '/v1/events', { ...event, title: 1 });
  await call('ingestEvents', 'POST', '/v1/events?import=job_none', event);
  await call('getIngestedEvent', 'GET', `/v1/events/${results[0].eventId}`);
  await call('getIngestedEvent', 'GET', '/v1/events/evt_none');
});

test('what a provider does to a source shows in the source, its deliveries and the timeline', async (t) => {
  const it = await world(t);
  const { id } = await it.source('github', 42, { name: 'acme/api' });
  const repository = { id: 42, full_name: 'acme/core', name: 'core', html_url: 'https://github.com/acme/core', default_branch: 'main' };
  const post = async (action, delivery) => {
    const body = JSON.stringify({ action, repository });
    return (await it.send(`/webhooks/github/${id}`, body, signed.github(body, 'repository', delivery))).body;
  };
  assert.deepEqual(await post('renamed', 'd1'), { received: true });
  assert.deepEqual(await post('deleted', 'd2'), { received: true });
  const source = (await it.ask('GET', `${W}/sources/${id}`)).body;
  assert.equal(source.displayName, 'acme/core');
  assert.equal(source.metadata.idName, 'acme/api');
  assert.equal(source.metadata.isArchived, true);
  assert.deepEqual([source.isActive, source.inactiveReason, source.lastSyncStatus], [false, 'repository_deleted', 'failed']);
  const deliveries = (await it.ask('GET', `${W}/deliveries?sourceId=${id}`)).body.data;
  assert.deepEqual(deliveries.map((each) => [each.event, each.action, each.outcome]),
    [['repository', 'deleted', 'processed'], ['repository', 'renamed', 'processed']]);
  const [deleted, renamed] = await until('two activities', async () => {
    const activities = (await it.ask('GET', `${W}/activities?category=integration`)).body.data;
    const told = activities.filter((each) => ['integration.metadata_updated', 'integration.deleted'].includes(each.action));
    return told.length >= 2 && told;
  });
  assert.deepEqual([deleted.actorType, deleted.entityId, deleted.reason], ['webhook', id, 'repository_deleted']);
  assert.deepEqual(renamed.changes.repoFullName, { from: 'acme/api', to: 'acme/core' });
});
