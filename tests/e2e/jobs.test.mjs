// jobs.test.mjs - jobs and the timeline, as a person at a terminal and a client over HTTP see them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { answerSchema, validator } from './contract.mjs';
import { binary, cleanup, directory, environment, json, lightfast, post, serve, until } from './lightfast.mjs';

const W = '/v1/orgs/local/workspaces/main';
const home = (t) => environment(join(directory(t), 'data'));

async function get(server, key, path) {
  const answer = await fetch(server.url + path, { headers: { authorization: `Bearer ${key}` } });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

test('a workspace without jobs says so', (t) => {
  const env = home(t);
  assert.match(lightfast(env, 'jobs').stdout, /^No jobs\.$/m);
  assert.deepEqual(json(env, 'jobs', 'list').data, []);
  assert.equal(json(env, 'jobs', 'list').meta.counts.total, 0);
});

test('an unknown job is an error with exit status 1', (t) => {
  const env = home(t);
  for (const action of ['show', 'cancel', 'restart', 'resume']) {
    const result = lightfast(env, 'jobs', action, 'job_V1StGXR8Z5jdHi6B4myT0');
    assert.equal(result.status, 1);
    assert.match(result.stderr, /no such job/);
  }
  assert.match(lightfast(env, 'inspect', 'event', 'evt_V1StGXR8Z5jdHi6B4myT0').stderr, /no such event/);
});

test('an event becomes a job that can be looked at, followed and restarted', async (t) => {
  const env = home(t);
  const key = json(env, 'key', 'create', 'ci', '--scope', 'ingest').key;
  const server = await serve(t, env);
  const event = { source: 'custom', sourceType: 'note.created', sourceId: 'n:1', title: 'A decision', body: 'Raise the timeout', occurredAt: '2026-01-01T00:00:00Z' };
  const sent = await post(server, key, '/v1/events', event);
  assert.equal(sent.body.accepted, 1);
  const finished = (n) => until(`the end of ${n} jobs`, () => {
    const list = json(env, 'jobs', 'list', '--status', 'completed');
    return list.data.length === n && list;
  });
  const [job] = (await finished(1)).data;
  assert.equal(job.name, 'Capture custom/note.created');
  assert.match(lightfast(env, 'jobs', 'show', job.id).stdout, /^functionId +neural\.observation\.capture$/m);
  assert.deepEqual(json(env, 'inspect', 'event', sent.body.results[0].eventId).outcomes.map((one) => one.jobId), [job.id]);
  assert.match(lightfast(env, 'jobs', 'cancel', job.id).stderr, /ended already/);
  const again = json(env, 'jobs', 'restart', job.id);
  await finished(2);
  assert.equal(json(env, 'jobs', 'show', again.jobId).restartOfJobId, job.id);
  assert.equal(json(env, 'jobs', 'show', again.jobId).output.reason, 'duplicate');
  assert.deepEqual(json(env, 'activity', '--group', 'jobs').data.map((one) => one.jobId), [job.id]);
});

test('an import is a job: it tells how far it is, how it ended, and can be cancelled', async (t) => {
  const env = home(t);
  const key = json(env, 'key', 'create', 'ci', '--scope', 'ingest,admin').key;
  const server = await serve(t, env);
  const begin = async () => (await post(server, key, W + '/imports', { repoFullName: 'acme/api', branch: 'main' })).body.jobId;
  const event = (n) => ({ source: 'git', sourceType: 'push', sourceId: `push:acme/api:${n}`, title: `[Push] ${n}`, body: '', occurredAt: '2026-01-01T00:00:00Z' });
  const job = (id) => json(env, 'jobs', 'show', id);
  const first = await begin();
  assert.equal((await post(server, key, `${W}/imports/${first}/events`, { events: [event(1), event(2)] })).status, 200);
  assert.equal((await post(server, key, `/v1/events?import=${first}`, event(1))).body.duplicates, 1);
  const { name, functionId, status, trigger, progress } = job(first);
  assert.deepEqual([name, functionId, status, trigger], ['Import git acme/api', 'import.git', 'running', 'manual']);
  assert.deepEqual(progress, { phase: 'import', total: 3, done: 2, failed: 0, skipped: 1 });
  await post(server, key, `${W}/imports/${first}/finish`, { status: 'completed', tip: 'a'.repeat(40) });
  assert.deepEqual(job(first).output, { status: 'success', scanned: 3, stored: 2, duplicates: 1, failed: 0 });
  assert.deepEqual(json(env, 'jobs', '--status', 'completed', '--function', 'import.git').data.map((each) => each.id), [first]);
  const second = await begin();
  assert.equal(lightfast(env, 'jobs', 'cancel', second).status, 0);
  assert.equal(job(second).status, 'cancelled');
  await until('the end of the import', async () => JSON.parse((await get(server, key, `${W}/imports/${second}`)).text).status === 'cancelled');
  assert.equal((await post(server, key, `${W}/imports/${second}/events`, { events: [event(3)] })).status, 409);
  const told = JSON.parse((await get(server, key, `${W}/activities?group=jobs`)).text).data;
  assert.deepEqual(told.map((each) => each.action), ['job.cancelled', 'job.started', 'job.completed', 'job.started']);
});

test('a wrong filter is explained', (t) => {
  const result = lightfast(home(t), 'jobs', 'list', '--status', 'lost & found');
  assert.equal(result.status, 1);
  assert.match(result.stderr, /received 'lost & found'/);
});

test('activity tells of keys, oldest first, and filters', (t) => {
  const env = home(t);
  const made = json(env, 'key', 'create', 'ci');
  lightfast(env, 'key', 'create', 'desk');
  json(env, 'key', 'revoke', made.id);
  const lines = lightfast(env, 'activity').stdout.trim().split('\n');
  assert.equal(lines.length, 3);
  assert.match(lines[0], /apikey\.created .* ci$/);
  assert.match(lines[2], /apikey\.revoked .* ci$/);
  assert.deepEqual(json(env, 'activity', '--action', 'apikey.revoked').data.map((one) => one.entityId), [made.id]);
  assert.equal(json(env, 'activity', '--text', 'DESK').data.length, 1);
  assert.equal(json(env, 'activity', '--category', 'job').data.length, 0);
});

test('activity --follow shows what is done meanwhile, once', async (t) => {
  const env = home(t);
  await serve(t, env);
  lightfast(env, 'key', 'create', 'before');
  const child = spawn(binary, ['activity', '--follow', '--json'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  cleanup(t, () => child.kill('SIGKILL'));
  const names = [];
  await new Promise((done) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      names.push(JSON.parse(line).entityName);
      if (names.length === 1) { lightfast(env, 'key', 'create', 'first'); lightfast(env, 'key', 'create', 'second'); }
      if (names.length === 3) lightfast(env, 'key', 'create', 'third');
      if (names.length === 4) done();
    });
  });
  assert.deepEqual(names, ['before', 'first', 'second', 'third']);
});

test('an export over HTTP is a file, needs the scope and is told', async (t) => {
  const env = home(t);
  const admin = json(env, 'key', 'create', '=HYPERLINK("evil")', '--scope', 'admin').key;
  const reader = json(env, 'key', 'create', 'reader', '--scope', 'read').key;
  const server = await serve(t, env);
  assert.equal((await get(server, reader, W + '/activities/export')).status, 403);
  const csv = await get(server, admin, W + '/activities/export');
  assert.equal(csv.status, 200);
  assert.match(csv.headers.get('content-type'), /^text\/csv/);
  assert.match(csv.headers.get('content-disposition'), /activities\.csv/);
  assert.match(csv.text, /"'=HYPERLINK\(""evil""\)"/);
  const list = JSON.parse((await get(server, admin, W + '/activities?limit=1')).text);
  assert.equal(list.data[0].action, 'settings.activities_exported');
  assert.equal(list.data[0].actorType, 'api');
  assert.equal(list.data[0].actorIp, '127.0.0.1');
});

test('health, performance and percentiles of an idle workspace', async (t) => {
  const env = home(t);
  const key = json(env, 'key', 'create', 'console', '--scope', 'admin').key;
  const server = await serve(t, env);
  const read = async (path) => JSON.parse((await get(server, key, W + path)).text);
  assert.equal((await read('/health')).workspaceHealth, 'healthy');
  assert.equal((await read('/performance?timeRange=7d')).data.length, 168);
  assert.equal((await read('/jobs/percentiles')).hasData, false);
  assert.equal((await read('/jobs/statistics')).successRate, 0);
});

test('what was done is measured, counted and compared', async (t) => {
  const env = home(t);
  const key = json(env, 'key', 'create', 'console', '--scope', 'admin,ingest,read').key;
  const server = await serve(t, env);
  const document = await (await fetch(server.url + '/v1/openapi.json')).json();
  const validate = validator(document);
  const ask = async (operation, path) => {
    const answer = await fetch(server.url + W + path, { headers: { authorization: `Bearer ${key}` } });
    const value = await answer.json();
    validate(answerSchema(document, operation, answer.status), value, `${operation} ${answer.status}`);
    return value;
  };
  const event = (n) => ({ source: 'custom', sourceType: 'note.created', sourceId: `n:${n}`, title: 'A decision', body: 'Raise the timeout', occurredAt: '2026-01-01T00:00:00Z' });
  for (const n of [1, 2, 3]) await post(server, key, '/v1/events', event(n));
  await until('the capture of three', async () => (await ask('metricSeries', '/metrics?type=observation_captured&interval=day')).data[0]?.sum === 3);
  const durations = await until('what jobs took', async () => {
    const { data } = await ask('metricSeries', '/metrics?type=job_duration&groupBy=jobType');
    return data.length > 0 && data;
  });
  assert.deepEqual([...new Set(durations.map((one) => one.group))], ['neural.observation.capture']);
  await post(server, key, W + '/sources', { sourceType: 'github', name: 'acme/api' });
  const statistics = await ask('workspaceStatistics', '/statistics');
  assert.deepEqual(statistics.sources.byType, { github: 1 });
  assert.equal(statistics.sources.list[0].displayName, 'acme/api');
  assert.deepEqual(statistics.observations, { bySource: { custom: 3 }, total: 3, last24h: 3 });
  assert.ok(statistics.jobs.byStatus.completed >= 3); // what follows from the new source may have run too
  const { metrics } = await ask('statisticsComparison', '/statistics/comparison?preset=day');
  assert.deepEqual(metrics.observations, { current: 3, previous: 0, changePercent: null });
  assert.equal(metrics.eventsReceived.current, 3);
  assert.equal(metrics.failed.changePercent, 0);
  for (const wrong of ['', '?type=gossip', '?type=errors&from=2020-01-01', '?type=errors&from=2026-02-01&to=2026-01-01'])
    assert.equal((await ask('metricSeries', '/metrics' + wrong)).error, 'VALIDATION_ERROR');
  await ask('statisticsComparison', '/statistics/comparison?currentStart=2026-01-01');
});

test('searches, sources, imports and deliveries are told, without secrets', async (t) => {
  const env = home(t);
  const key = json(env, 'key', 'create', 'console', '--scope', 'admin,ingest,read,answer').key;
  const server = await serve(t, env);
  await post(server, key, '/v1/events', { source: 'custom', sourceType: 'note.created', sourceId: 'n:1', title: 'A decision', body: 'Raise the timeout', occurredAt: '2026-01-01T00:00:00Z' });
  await until('the capture', async () => JSON.parse((await get(server, key, W + '/jobs?status=completed')).text).data.length > 0);
  const source = (await post(server, key, W + '/sources', { sourceType: 'github', name: 'acme/api' })).body;
  assert.ok(source.secret);
  await post(server, key, W + `/sources/${source.id}/webhook-secret`, {});
  await post(server, key, '/v1/search', { query: 'timeout', filters: { sourceTypes: ['custom'] } });
  await post(server, key, '/v1/contents', { ids: ['obs_V1StGXR8Z5jdHi6B4myT0'] });
  const begun = (await post(server, key, W + '/imports', { repoFullName: 'acme/web', branch: 'main' })).body;
  for (let i = 0; i < 2; i++) await post(server, key, W + `/imports/${begun.jobId}/finish`, { status: 'failed', error: 'gone' });
  await fetch(server.url + W + `/sources/${source.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${key}` } });
  const expected = ['integration.config_updated', 'integration.connected', 'integration.disconnected', 'job.failed', 'job.started', 'search.contents', 'search.query'];
  const told = await until('all that is told', async () => {
    const text = (await get(server, key, W + '/activities?category=integration,job,search')).text;
    assert.ok(!text.includes(source.secret));
    const { data } = JSON.parse(text);
    return data.length >= expected.length && data;
  });
  assert.deepEqual(told.map((one) => one.action).sort(), expected);
  const of = (action) => told.find((one) => one.action === action);
  assert.equal(of('search.query').metadata.query, 'timeout');
  assert.equal(of('search.query').metadata.resultCount, 1);
  assert.equal(of('search.query').metadata.authType, 'api-key');
  assert.equal(of('search.contents').metadata.missingCount, 1);
  assert.equal(of('integration.connected').entityName, 'acme/api');
  assert.equal(of('job.failed').metadata.error, 'gone');
  assert.equal(of('job.failed').jobId, begun.jobId);
  const searches = JSON.parse((await get(server, key, W + '/metrics?type=queries_count&groupBy=endpoint')).text);
  assert.deepEqual(searches.data.map((one) => [one.group, one.sum]), [['/v1/search', 1]]);
});

test('/metrics counts deliveries, captures and jobs without naming anybody', async (t) => {
  const env = { ...home(t), LIGHTFAST_METRICS_TOKEN: 'scrape-me' };
  const key = json(env, 'key', 'create', 'console', '--scope', 'admin,ingest').key;
  const server = await serve(t, env);
  const source = (await post(server, key, W + '/sources', { sourceType: 'github', name: 'acme/api' })).body;
  assert.equal((await post(server, null, `/webhooks/github/${source.id}`, '{}', { 'x-github-event': 'push' })).status, 401);
  const removed = (await post(server, key, W + '/sources', { sourceType: 'sentry', name: 'web' })).body;
  await fetch(`${server.url}${W}/sources/${removed.id}`, { method: 'DELETE', headers: { authorization: `Bearer ${key}` } });
  const refused = await post(server, null, `/webhooks/sentry/${removed.id}`, '{}');
  assert.deepEqual([refused.status, refused.body.error], [404, 'NOT_FOUND']);
  await post(server, key, '/v1/events', { source: 'custom', sourceType: 'note.created', sourceId: 'n:1', title: 'A decision', body: 'Raise the timeout', occurredAt: '2026-01-01T00:00:00Z' });
  const text = await until('the counts of a capture and of its job', async () => {
    const { text } = await get(server, 'scrape-me', '/metrics');
    return text.includes('lightfast_captures_total{') && text.includes('lightfast_jobs_total{function="neural.observation.capture"') && text;
  });
  assert.match(text, /^lightfast_captures_total\{source="other",outcome="captured"\} 1$/m);
  assert.match(text, /^lightfast_jobs_total\{function="neural.observation.capture",status="completed"\} 1$/m);
  assert.match(text, /^lightfast_job_duration_seconds_count\{function="neural.observation.capture"\} 1$/m);
  assert.match(text, /^lightfast_deliveries_total\{source="github",outcome="refused",reason="[A-Z_]+"\} 1$/m);
  assert.match(text, /^lightfast_deliveries_total\{source="sentry",outcome="refused",reason="NOT_FOUND"\} 1$/m);
  assert.doesNotMatch(text, /src_|key_|ws_|acme/);
  assert.equal((await get(server, 'wrong', '/metrics')).status, 401);
});

test('settings of a workspace are joined, checked and told', async (t) => {
  const env = home(t);
  const key = json(env, 'key', 'create', 'console', '--scope', 'admin').key;
  const server = await serve(t, env);
  const document = await (await fetch(server.url + '/v1/openapi.json')).json();
  const validate = validator(document);
  const change = async (body) => {
    const answer = await fetch(server.url + W, { method: 'PATCH', body: JSON.stringify(body), headers: { authorization: `Bearer ${key}` } });
    const value = await answer.json();
    validate(answerSchema(document, 'setWorkspace', answer.status), value, `setWorkspace ${answer.status}`);
    return value;
  };
  const patch = (settings) => change({ settings });
  assert.deepEqual((await patch({ retention: { jobDays: 90 }, own: { a: [1] } })).settings, { version: 1, retention: { jobDays: 90 }, own: { a: [1] } });
  assert.deepEqual((await patch({ retention: { payloadDays: 7 }, own: null })).settings, { version: 1, retention: { jobDays: 90, payloadDays: 7 } });
  for (const wrong of [{ retention: { jobDays: -1 } }, { retention: { jobDays: '90' } }, { thresholds: { capture: 101 } }, { thresholds: [null] }, { retention: 90 }, 7])
    assert.equal((await patch(wrong)).error, 'VALIDATION_ERROR');
  assert.equal((await patch({ big: 'x'.repeat(70000) })).error, 'PAYLOAD_TOO_LARGE');
  const [told] = JSON.parse((await get(server, key, W + '/activities?category=workspace')).text).data;
  assert.deepEqual(told.changes, { retention: { from: { jobDays: 90 }, to: { jobDays: 90, payloadDays: 7 } }, own: { from: { a: [1] }, to: null } });
  const now = JSON.parse((await get(server, key, W)).text);
  validate(answerSchema(document, 'getWorkspace', 200), now, 'getWorkspace');
  assert.deepEqual(now.settings.retention, { jobDays: 90, payloadDays: 7 });
  for (const [name, problem] of [['a b', /letters, digits/], ['search', /reserved/], ['', /letters, digits/], [7, /[Ee]xpected string/]]) {
    const wrong = await change({ name });
    assert.equal(wrong.error, 'VALIDATION_ERROR');
    assert.match(wrong.details.name[0], problem);
  }
  assert.equal((await change({})).error, 'VALIDATION_ERROR');
  assert.equal((await change({ name: 'Platform' })).name, 'Platform');
  await change({ name: 'Platform' }); /* changes nothing, tells nothing */
  const telling = JSON.parse((await get(server, key, '/v1/orgs/local/workspaces/platform/activities?category=workspace')).text).data;
  assert.deepEqual(telling[0].changes, { name: { from: 'main', to: 'Platform' } });
  assert.equal(telling[0].metadata.workspaceName, 'Platform');
  assert.deepEqual(telling[1].changes, told.changes);
  assert.equal(JSON.parse((await get(server, key, '/v1/workspace')).text).name, 'Platform');
  assert.equal(JSON.parse((await get(server, key, W)).text).name, 'Platform'); /* the former name leads to it */
  await change({ name: 'Core', settings: { name: 'its own' } });
  const [both] = JSON.parse((await get(server, key, W + '/activities?category=workspace')).text).data;
  assert.deepEqual(both.changes, { name: { from: 'Platform', to: 'Core' }, 'settings.name': { from: null, to: 'its own' } });
});

test('every answer is what the document says', async (t) => {
  const env = home(t);
  const key = json(env, 'key', 'create', 'console', '--scope', 'admin,ingest').key;
  const server = await serve(t, env);
  const document = await (await fetch(server.url + '/v1/openapi.json')).json();
  const validate = validator(document);
  const ask = async (operation, path, method = 'GET', body) => {
    const answer = await fetch(server.url + W + path, { method, body: body && JSON.stringify(body), headers: { authorization: `Bearer ${key}` } });
    const value = await answer.json();
    validate(answerSchema(document, operation, answer.status), value, `${operation} ${answer.status}`);
    return value;
  };
  const event = { source: 'custom', sourceType: 'note.created', sourceId: 'n:1', title: 'A decision', body: '', occurredAt: '2026-01-01T00:00:00Z' };
  const { results } = (await post(server, key, '/v1/events', event)).body;
  let jobs;
  do jobs = await ask('listJobs', '/jobs?status=completed&limit=1'); while (!jobs.data.length);
  const { id } = jobs.data[0];
  await ask('recentJobs', '/jobs/recent');
  await ask('getJob', `/jobs/${id}`);
  await ask('getJob', '/jobs/none');
  await ask('getEvent', `/events/${results[0].eventId}`);
  await ask('cancelJob', `/jobs/${id}/cancel`, 'POST');
  await ask('restartJob', `/jobs/${id}/restart`, 'POST');
  await ask('resumeJob', `/jobs/${id}/resume`, 'POST');
  await ask('bulkJobs', '/jobs/bulk', 'POST', { action: 'restart', from: '2020-01-01' });
  await ask('bulkJobs', '/jobs/bulk', 'POST', { action: 'explode' });
  await ask('jobStatistics', '/jobs/statistics?hours=48');
  await ask('jobPercentiles', '/jobs/percentiles');
  await ask('performanceTimeSeries', '/performance');
  await ask('workspaceHealth', '/health');
  await ask('activityStats', '/activities/stats');
  await ask('activityComparison', '/activities/comparison?preset=month');
  await ask('exportActivities', '/activities/export?format=json');
  const { data } = await ask('listActivities', '/activities?category=job,api_key,settings');
  assert.deepEqual(data.map((one) => one.action), ['settings.activities_exported', 'job.restarted', 'job.restarted', 'apikey.created']);
  await ask('getActivity', `/activities/${data[0].id}`);
  await ask('listActivities', '/activities?from=never');
});
