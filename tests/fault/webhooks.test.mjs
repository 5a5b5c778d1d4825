// webhooks.test.mjs - kill -9 under a load of webhooks: what was acknowledged is remembered, once.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import test from 'node:test';
import { directory, environment, json, serve } from '../e2e/lightfast.mjs';

const kills = Number(process.env.KILLS ?? 5), senders = 8;

function issue(number) {
  return JSON.stringify({
    action: 'opened',
    issue: { number, title: `Request ${number} times out`, body: 'x'.repeat(number % 5000), state: 'open', html_url: `https://github.com/acme/api/issues/${number}`,
      user: { id: number % 7, login: `person${number % 7}` }, created_at: '2026-01-02T03:04:05Z', updated_at: '2026-01-02T03:04:05Z' },
    repository: { id: 42, full_name: 'acme/api', name: 'api', html_url: 'https://github.com/acme/api', default_branch: 'main' },
    sender: { id: 5, login: 'ada' },
  });
}

async function post(server, source, number) {
  const body = issue(number);
  const answer = await fetch(`${server.url}/webhooks/github/${source.id}`, { method: 'POST', body, headers: {
    'content-type': 'application/json', 'x-github-event': 'issues', 'x-github-delivery': `delivery-${number}`,
    'x-hub-signature-256': `sha256=${createHmac('sha256', source.secret).update(body).digest('hex')}` } });
  assert.equal(answer.status, 200);
  return (await answer.json()).received === true;
}

test('kill -9 at random moments loses no acknowledged webhook, doubles none, and leaves no job running', async (t) => {
  const data = join(directory(t), 'data'), env = environment(data);
  const source = json(env, 'source', 'add', 'github', '--repo', 'acme/api');
  const acknowledged = new Set(), uncertain = new Set();
  let number = 0;
  for (let round = 0; round < kills; round++) {
    const server = await serve(t, env);
    for (const again of [...uncertain]) { // as a provider redelivers what was not answered
      if (await post(server, source, again)) { acknowledged.add(again); uncertain.delete(again); }
    }
    let alive = true;
    const sender = async () => {
      while (alive) {
        const mine = ++number;
        uncertain.add(mine);
        try { if (await post(server, source, mine)) { acknowledged.add(mine); uncertain.delete(mine); } } catch (error) { if (alive && error.code === 'ERR_ASSERTION') throw error; return; }
      }
    };
    const running = Array.from({ length: senders }, sender);
    await new Promise((done) => setTimeout(done, 50 + Math.random() * 600));
    await server.stop('SIGKILL');
    alive = false;
    await Promise.all(running);
  }
  const server = await serve(t, env);
  const sql = (text) => execFileSync('sqlite3', ['-readonly', join(data, 'lightfast.db'), text], { encoding: 'utf8' }).trim();
  const waiting = "SELECT COUNT(*) FROM flow_run WHERE function = 'neural.observation.capture' AND status NOT IN ('completed', 'failed', 'cancelled')";
  for (let i = 0; i < 400 && sql(waiting) !== '0'; i++) await new Promise((done) => setTimeout(done, 50));
  assert.equal(sql(waiting), '0', 'no capture is left');
  await server.stop();
  assert.ok(acknowledged.size > 50, `${acknowledged.size} were acknowledged`);
  const stored = sql("SELECT source_id FROM observation").split('\n');
  assert.equal(new Set(stored).size, stored.length, 'none is doubled');
  const known = new Set(stored);
  const lost = [...acknowledged].filter((each) => !known.has(`issue:acme/api#${each}:opened`));
  assert.deepEqual(lost, [], 'none is lost');
  assert.equal(sql("SELECT COUNT(*) FROM flow_run WHERE status = 'running'"), '0', 'no job is left running');
  assert.equal(sql('SELECT COUNT(*) FROM search_log WHERE kind = 1 AND item_kind = 1'), String(stored.length));
  assert.equal(sql('PRAGMA integrity_check'), 'ok');
});
