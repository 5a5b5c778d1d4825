// import.test.mjs - kill -9, full disks and foreign databases: what was acknowledged is there, once.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { binary, cleanup, directory, environment, git, json, lightfast, post, repository, serve } from '../e2e/lightfast.mjs';

const kills = Number(process.env.KILLS ?? 5);

test('every commit is there exactly once after kill -9 at random moments and a final import', async (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  const commits = Array.from({ length: 4000 }, (_, n) => ({ subject: `Change number ${n} of the long story`, files: { [`f${n % 20}`]: `${n}` } }));
  const repo = repository(join(home, 'repo'), commits);
  for (let i = 0; i < kills; i++) {
    const child = spawn(binary, ['import', 'git', repo], { env, stdio: 'ignore' });
    const exited = new Promise((done) => child.once('exit', done));
    await new Promise((done) => setTimeout(done, 20 + Math.random() * 700));
    child.kill('SIGKILL');
    await exited;
  }
  const last = json(env, 'import', 'git', repo);
  assert.equal(last.failed, 0);
  const key = lightfast(env, 'key', 'create', 'count').stdout.trim();
  const server = await serve(t, environment(join(home, 'data'), { LIGHTFAST_LIMITS_SEARCH_PER_MINUTE: '0', LIGHTFAST_LIMITS_READ_PER_MINUTE: '0' }));
  const stored = execFileSync('sqlite3', [join(home, 'data', 'lightfast.db'),
    "SELECT COUNT(*), COUNT(DISTINCT source_id) FROM observation; SELECT COUNT(*) FROM search_log WHERE kind = 1 AND item_kind = 1; " +
    "SELECT COUNT(*) FROM import WHERE status = 'running'; PRAGMA integrity_check;"], { encoding: 'utf8' }).trim().split('\n');
  assert.deepEqual(stored, ['4000|4000', '4000', '0', 'ok']);
  for (const n of [0, 1999, 3999]) {
    const sha = git(repo, 'rev-list', '--reverse', 'HEAD').split('\n')[n];
    const found = await post(server, key, '/v1/search', { query: sha, limit: 5 });
    assert.equal(found.body.data.filter((item) => item.title === `[Push] Change number ${n} of the long story`).length, 1);
  }
});

test('kill -9 of the server loses no acknowledged key', async (t) => {
  const env = environment(join(directory(t), 'data'));
  const keys = [];
  for (let i = 0; i < 3; i++) {
    const server = await serve(t, env);
    keys.push(json(env, 'key', 'create', `key ${i}`).key);
    await server.stop('SIGKILL');
  }
  const server = await serve(t, env);
  for (const key of keys) assert.equal((await post(server, key, '/v1/search', { query: 'x' })).status, 200);
});

test('a full disk answers 503 and recovers when space returns', async (t) => {
  const home = directory(t), disk = join(home, 'disk');
  mkdirSync(disk);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk]).status !== 0) return t.skip('mounting a small disk needs root');
  cleanup(t, () => spawnSync('umount', ['-l', disk]));
  const env = environment(join(disk, 'data'));
  const admin = lightfast(env, 'key', 'create', 'admin', '--scope', 'read,ingest,admin').stdout.trim();
  const server = await serve(t, env);
  const workspace = await (await fetch(server.url + '/v1/workspace', { headers: { authorization: `Bearer ${admin}` } })).json();
  const imports = `/v1/orgs/${workspace.organization.slug}/workspaces/${workspace.id}/imports`;
  const begun = await post(server, admin, imports, { repoFullName: 'local/disk', branch: 'main', source: 'git' });
  assert.equal(begun.status, 201, JSON.stringify(begun.body));
  const send = (n) => post(server, admin, `${imports}/${begun.body.jobId}/events`, {
    events: Array.from({ length: 50 }, (_, i) => ({
      source: 'git', sourceType: 'push', sourceId: `push:local/disk:${String(n * 50 + i).padStart(40, '0')}`, title: `[Push] Filling ${n} ${i}`,
      body: 'x'.repeat(9000), occurredAt: '2026-01-01T00:00:00Z', metadata: { deliveryId: 'd', repoFullName: 'local/disk' },
    })),
  });
  let status = 200, n = 0, acknowledged = 0;
  while (status === 200 && n < 60) { ({ status } = await send(n)); if (status === 200) acknowledged += 50; n++; }
  assert.equal(status, 503);
  const refused = await send(n);
  assert.equal(refused.body.error, 'SERVICE_UNAVAILABLE');
  assert.equal((await post(server, admin, '/v1/search', { query: 'filling' })).status, 200, 'reading goes on');
  assert.equal(spawnSync('mount', ['-o', 'remount,size=48m', disk]).status, 0);
  const again = await send(n);
  assert.equal(again.status, 200, JSON.stringify(again.body));
  await server.stop();
  const count = execFileSync('sqlite3', [join(disk, 'data', 'lightfast.db'), 'SELECT COUNT(*) FROM observation'], { encoding: 'utf8' }).trim();
  assert.equal(Number(count), acknowledged + 50);
});

test('a database of a newer version is refused with both versions named', (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  json(env, 'search', 'x');
  execFileSync('sqlite3', [join(home, 'data', 'lightfast.db'), "INSERT INTO schema_version (version, name, applied_at) VALUES (9999, 'from_the_future', 0)"]);
  const result = lightfast(env, 'search', 'x');
  assert.equal(result.status, 1);
  assert.match(result.stderr, /9999/);
});

test('a file that is no database is refused and not touched', (t) => {
  const home = directory(t), data = join(home, 'data');
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(join(data, 'lightfast.db'), 'this is not a database, it is a diary\n'.repeat(100));
  const result = lightfast(environment(data), 'search', 'x');
  assert.equal(result.status, 1);
  rmSync(data, { recursive: true });
});
