// webhooks.test.mjs - kill -9 under a load of webhooks: what was acknowledged is remembered, once.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import test from 'node:test';
import { directory, environment, json, serve, until } from '../e2e/lightfast.mjs';

const kills = Number(process.env.KILLS ?? 8), senders = 8;

function issue(number) {
  return JSON.stringify({
    action: 'opened',
    issue: { number, title: `Request ${number} times out`, body: 'x'.repeat(number % 5000), state: 'open', html_url: `https://github.com/acme/api/issues/${number}`,
      user: { id: number % 7, login: `person${number % 7}` }, created_at: '2026-01-02T03:04:05Z', updated_at: '2026-01-02T03:04:05Z' },
    repository: { id: 42, full_name: 'acme/api', name: 'api', html_url: 'https://github.com/acme/api', default_branch: 'main' },
    sender: { id: 5, login: 'ada' },
  });
}

async function post(server, source, number, signal) {
  const body = issue(number);
  const answer = await fetch(`${server.url}/webhooks/github/${source.id}`, { method: 'POST', body, signal, headers: {
    'content-type': 'application/json', 'x-github-event': 'issues', 'x-github-delivery': `delivery-${number}`,
    'x-hub-signature-256': `sha256=${createHmac('sha256', source.secret).update(body).digest('hex')}` } });
  assert.equal(answer.status, 200);
  return (await answer.json()).received === true;
}

// A program's event, acknowledged with 202 when it is stored.
async function tell(server, key, number, signal) {
  const answer = await fetch(`${server.url}/v1/events`, { method: 'POST', signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ source: 'ci', sourceType: 'build.failed', sourceId: `ci:${number}`, title: `Build ${number} failed` }) });
  assert.ok([200, 202].includes(answer.status), `${answer.status} ${[200, 202].includes(answer.status) ? "" : await answer.text()}`);
  const { accepted, duplicates } = await answer.json();
  return accepted + duplicates === 1;
}

// Sends until the server dies. What was not answered is sent again in the next round, as providers do.
class Load {
  acknowledged = new Set();
  uncertain = new Set();
  number = 0;
  constructor(send) { this.send = send; }

  async one(server, number, signal) {
    this.uncertain.add(number);
    if (!(await this.send(server, number, signal))) return;
    this.acknowledged.add(number);
    this.uncertain.delete(number);
  }

  async run(server, signal) {
    const first = [...this.uncertain];
    try {
      for (;;) await this.one(server, first.pop() ?? ++this.number, signal);
    } catch (error) {
      if (error.code === 'ERR_ASSERTION') throw error;
    }
  }
}

test('kill -9 at random moments loses nothing acknowledged, doubles nothing, and leaves no job running', async (t) => {
  const data = join(directory(t), 'data'), env = { ...environment(data), LIGHTFAST_LIMITS_EVENTS_PER_MINUTE: '0' };
  const source = json(env, 'source', 'add', 'github', '--repo', 'acme/api');
  const { key } = json(env, 'key', 'create', 'program', '--scope', 'ingest');
  const webhooks = new Load((server, number, signal) => post(server, source, number, signal));
  const events = new Load((server, number, signal) => tell(server, key, number, signal));
  const sql = (text) => execFileSync('sqlite3', ['-readonly', join(data, 'lightfast.db'), text], { encoding: 'utf8', maxBuffer: 1 << 28 }).trim();
  const waiting = "SELECT COUNT(*) FROM flow_run WHERE function = 'neural.observation.capture' AND completed_at IS NULL";
  const ended = (captures) => until('the end of all captures', () => sql(captures) === '0');
  for (let round = 0; round < kills; round++) {
    const server = await serve(t, env);
    if (round % 4 === 3) await ended(waiting); // what five processes die of is given up
    const death = new AbortController(); // fetch itself may wait for a dead server for ever
    const running = [...Array.from({ length: senders }, () => webhooks.run(server, death.signal)), events.run(server, death.signal)];
    await new Promise((done) => setTimeout(done, round % 4 ? 50 + Math.random() * 500 : Math.random() * 30));
    await server.stop('SIGKILL');
    death.abort();
    await Promise.all(running);
  }
  const server = await serve(t, env);
  for (const load of [webhooks, events]) for (const again of [...load.uncertain]) await load.one(server, again);
  await ended('SELECT COUNT(*) FROM flow_pending');
  await ended(waiting);
  await server.stop();
  assert.ok(webhooks.acknowledged.size >= kills && events.acknowledged.size > 0, `${webhooks.acknowledged.size} and ${events.acknowledged.size} were acknowledged`);
  const stored = sql('SELECT source_id FROM observation').split('\n'), known = new Set(stored);
  assert.equal(known.size, stored.length, 'no observation is doubled');
  assert.deepEqual([...webhooks.acknowledged].filter((each) => !known.has(`issue:acme/api#${each}:opened`)), [], 'no webhook is lost');
  assert.deepEqual([...events.acknowledged].filter((each) => !known.has(`ci:${each}`)), [], 'no event is lost');
  assert.equal(sql("SELECT COUNT(*) FROM (SELECT 1 FROM inbound_delivery WHERE outcome = 'processed' GROUP BY delivery_id HAVING COUNT(*) > 1)"), '0', 'no delivery is processed twice');
  assert.equal(sql("SELECT DISTINCT status || ' ' || coalesce(error, '') FROM flow_run WHERE function = 'neural.observation.capture' AND status <> 'completed'"), '', 'every capture completed');
  assert.equal(sql("SELECT COUNT(*) FROM (SELECT 1 FROM flow_run WHERE function = 'neural.observation.capture' GROUP BY event_seq HAVING COUNT(*) > 1)"), '0', 'no event has two runs of a function');
  assert.equal(sql("SELECT COUNT(*) FROM flow_run WHERE status = 'running'"), '0', 'no job is left running');
  assert.equal(sql('SELECT COUNT(*) FROM search_log WHERE kind = 1 AND item_kind = 1'), String(stored.length));
  assert.equal(sql('PRAGMA integrity_check'), 'ok');
});
