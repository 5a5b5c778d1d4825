// keys.test.mjs - the encryption key: what a backup needs beside it, and how one key takes the place of another.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { directory, environment, json, lightfast, serve } from './lightfast.mjs';

const W = '/v1/orgs/local/workspaces/main';

async function deliver(server, source, id) {
  const body = JSON.stringify({ ref: 'refs/heads/main', repository: { id: 1, full_name: 'acme/api', default_branch: 'main' }, commits: [] });
  const signature = 'sha256=' + createHmac('sha256', source.secret).update(body).digest('hex');
  const answer = await fetch(`${server.url}/webhooks/github/${source.id}`, {
    method: 'POST', body, headers: { 'content-type': 'application/json', 'x-github-event': 'push', 'x-github-delivery': id, 'x-hub-signature-256': signature } });
  return answer.status;
}

function connected(t, settings = {}) {
  const home = directory(t), env = environment(join(home, 'data'), settings);
  return { home, env, source: json(env, 'source', 'add', 'github', '--repo', 'acme/api') };
}

test('a backup restored elsewhere works with its key, and says which key it wants without', async (t) => {
  const { home, env, source } = connected(t);
  const file = join(home, 'copy.db');
  assert.match(lightfast(env, 'backup', file).stdout, /encryption key is not in it/);
  assert.ok(!readFileSync(file).includes(source.secret));
  const other = environment(join(home, 'other'));
  assert.equal(lightfast(other, 'restore', file).status, 0);
  const refused = lightfast(other, 'jobs');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /sealed with key [0-9a-f]{8}: put its file encryption\.key into/);
  assert.ok(!existsSync(join(home, 'other', 'encryption.key')), 'no new key stands in the way');
  copyFileSync(join(home, 'data', 'encryption.key'), join(home, 'other', 'encryption.key'));
  const server = await serve(t, other);
  assert.equal(await deliver(server, source, 'd-1'), 200);
  let told = [];
  for (let i = 0; i < 100 && !told.length; i++) {
    told = json(other, 'activity', '--action', 'integration.webhook_received').data;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.equal(told.length, 1);
  assert.deepEqual([told[0].actorType, told[0].metadata.deliveryId, told[0].metadata.eventType, told[0].entityName], ['webhook', 'd-1', 'push', 'acme/api']);
});

test('secrets are sealed again with a new key while a server uses them, and the old key becomes free', async (t) => {
  const [old, fresh] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
  const { home, env, source } = connected(t, { LIGHTFAST_ENCRYPTION_KEY: old });
  const both = { ...env, LIGHTFAST_ENCRYPTION_KEY: `${fresh},${old}` };
  const server = await serve(t, both);
  const first = lightfast(both, 're-encrypt');
  assert.match(first.stdout, /^Sealed again: 1, sealed with the first key before: 0$/m);
  assert.match(first.stdout, /^ {2}key [0-9a-f]{8} {2}unused: it may be dropped/m);
  assert.ok(!first.stdout.includes(old) && !first.stdout.includes(fresh));
  const again = json(both, 're-encrypt');
  assert.deepEqual([again.sealedAgain, again.current, again.closed], [0, 1, 0]);
  assert.equal(await deliver(server, source, 'd-1'), 200);
  await server.stop();
  const renewed = await serve(t, { ...env, LIGHTFAST_ENCRYPTION_KEY: fresh });
  assert.equal(await deliver(renewed, source, 'd-2'), 200);
  assert.equal(json(env, 'activity', '--category', 'settings').data[0].action, 'settings.encryption_rekeyed');
  await renewed.stop();
  assert.match(lightfast(env, 're-encrypt').stderr, /another encryption key/);
  assert.equal(await fetch(`${renewed.url}${W}/sources`).catch(() => 'gone'), 'gone');
});
