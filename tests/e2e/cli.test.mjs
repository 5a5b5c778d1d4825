// cli.test.mjs - the program as a person at a terminal uses it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { binary, directory, environment, git, json, lightfast, post, repository, serve, write } from './lightfast.mjs';

const story = [
  { subject: 'Initial import', author: 'Grace Hopper <grace@example.com>' },
  { subject: 'Raise session timeout to 30 minutes (#87)', body: 'Users were signed out after 5 minutes.\n\nFixes #42', files: { 'src/session.c': 'a' } },
  { subject: 'Speed up the parser', body: 'The tokenizer copied every token; now it points into the input.', files: { 'src/parser.c': 'b' } },
  { subject: 'Document client_idle_timeout', files: { 'doc/config.md': 'c' } },
  { subject: 'Side work', parents: [3], author: 'Linus <linus@example.com>', files: { 'src/side.c': 'd' } },
  { subject: 'Merge pull request #90 from linus/side', body: 'Add the side channel', parents: [3, 4], files: { 'src/side.c': 'd' } },
  { subject: 'Prepare 1.0', tag: 'v1.0.0', tagMessage: 'Version 1.0\n\nFirst release.', files: { 'VERSION': '1.0' } },
];

function imported(t, options = {}) {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  const repo = repository(join(home, 'repo'), story, options);
  return { home, env, repo, summary: json(env, 'import', 'git', repo) };
}

test('import counts what it found', (t) => {
  const { summary, repo } = imported(t);
  assert.equal(summary.repository, 'local/repo');
  assert.equal(summary.branch, 'main');
  assert.equal(summary.tip, git(repo, 'rev-parse', 'HEAD'));
  assert.deepEqual([summary.pullRequests, summary.pushes, summary.releases, summary.stored, summary.failed], [2, 5, 1, 8, 0]);
  assert.equal(summary.issuesReferenced, 1);
});

test('a second import stores nothing, a new commit is the only news', (t) => {
  const { env, repo } = imported(t);
  assert.equal(json(env, 'import', 'git', repo).stored, 0);
  execFileSync('git', ['-C', repo, '-c', 'user.name=A', '-c', 'user.email=a@example.com', 'commit', '-q', '--allow-empty', '-m', 'One more']);
  const again = json(env, 'import', 'git', repo);
  assert.deepEqual([again.scanned, again.stored], [1, 1]);
  const full = json(env, 'import', 'git', repo, '--full');
  assert.deepEqual([full.stored, full.duplicates], [0, 9]);
});

test('search finds by word, by part of an identifier and by person', (t) => {
  const { env } = imported(t);
  const first = (...args) => json(env, 'search', ...args).data[0]?.title;
  assert.equal(first('session', 'timeout'), '[PR Merged] Raise session timeout to 30 minutes');
  assert.equal(first('idle_timeout'), '[Push] Document client_idle_timeout');
  assert.equal(first('tokenizer copies tokens'), '[Push] Speed up the parser');
  assert.deepEqual(json(env, 'search', 'import', '--actor', 'grace hopper').data.map((item) => item.title), ['[Push] Initial import']);
  assert.equal(json(env, 'search', 'version', '--type', 'release').data.length, 1);
  assert.equal(json(env, 'search', 'anything', '--actor', 'nobody').data.length, 0);
});

test('human output has title, origin and matching text, and no escape of stored text', (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  const repo = repository(join(home, 'repo'), [{ subject: 'Evil \u001b]0;owned\u0007 title about kittens' }]);
  lightfast(env, 'import', 'git', repo);
  const { stdout, status } = lightfast(env, 'search', 'kittens');
  assert.equal(status, 0);
  assert.match(stdout, /1\. \[Push\] Evil .*title about kittens/);
  assert.match(stdout, /git · push ·/);
  assert.ok(!stdout.includes('\u001b'));
});

test('show, similar, related and graph take the ids that search gives', (t) => {
  const { env } = imported(t);
  const id = json(env, 'search', 'session timeout').data[0].id;
  const shown = json(env, 'show', id).items[0];
  assert.match(shown.content, /signed out after 5 minutes/);
  assert.equal(shown.metadata.commitSha.length, 40);
  assert.equal(json(env, 'similar', id, '--threshold', '0').source.id, id);
  assert.equal(json(env, 'graph', id).data.root.id, id);
  assert.equal(json(env, 'related', id).data.source.id, id);
  const merge = json(env, 'search', 'side channel').data[0].id;
  const related = json(env, 'related', merge).data.related.map((item) => item.title);
  assert.ok(related.includes('[Push] Side work'), `${related}`);
  const missing = lightfast(env, 'show', 'obs_000000000000000000000');
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /not found/);
});

test('the same commands work through the socket of a running server and through --url with a key', async (t) => {
  const { env, repo } = imported(t);
  const key = lightfast(env, 'key', 'create', 'laptop', '--scope', 'read,ingest').stdout.trim();
  assert.match(key, /^sk-lf-[0-9A-Za-z]{43}$/);
  const server = await serve(t, env);
  assert.equal(json(env, 'search', 'parser').data[0].title, '[Push] Speed up the parser');
  assert.equal(json(env, 'import', 'git', repo, '--full').duplicates, 8);
  const far = environment('/nonexistent');
  const remote = ['--url', server.url, '--api-key', key];
  assert.equal(json(far, 'search', 'parser', ...remote).data[0].title, '[Push] Speed up the parser');
  execFileSync('git', ['-C', repo, '-c', 'user.name=A', '-c', 'user.email=a@example.com', 'commit', '-q', '--allow-empty', '-m', 'Sent from afar']);
  assert.equal(json(far, 'import', 'git', repo, ...remote).stored, 1);
  assert.equal(json(far, 'search', 'sent from afar', ...remote).data[0].title, '[Push] Sent from afar');
  assert.match(lightfast(far, 'key', 'list', ...remote).stderr, /scope|admin|Forbidden/i);
  assert.equal((await server.stop()).code, 0);
});

test('a server that neither calls out nor imports has not loaded the libraries for it', async (t) => {
  const server = await serve(t, environment(join(directory(t), 'data')));
  assert.equal((await fetch(server.url + '/readyz')).status, 200);
  const loaded = readFileSync(`/proc/${server.child.pid}/maps`, 'utf8');
  assert.match(loaded, /libsqlite3/);
  assert.doesNotMatch(loaded, /libcurl|libgit2|libssl|libkrb5/);
});

test('keys are listed without their secret, revoked at once, rotated', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env);
  const created = json(env, 'key', 'create', 'ci');
  const listed = json(env, 'key', 'list').data;
  assert.equal(listed.length, 1);
  assert.ok(!JSON.stringify(listed).includes(created.key));
  assert.equal((await post(server, created.key, '/v1/search', { query: 'parser' })).status, 200);
  const rotated = json(env, 'key', 'rotate', created.id);
  assert.equal((await post(server, created.key, '/v1/search', { query: 'parser' })).status, 401);
  assert.equal((await post(server, rotated.key, '/v1/search', { query: 'parser' })).status, 200);
  assert.equal(lightfast(env, 'key', 'revoke', rotated.id).status, 0);
  assert.equal((await post(server, rotated.key, '/v1/search', { query: 'parser' })).status, 401);
  assert.match(lightfast(env, 'key', 'revoke', rotated.id).stderr, /revoked/);
});

test('an id that cannot be one is not found, whatever characters it has', async (t) => {
  const env = environment(join(directory(t), 'data'));
  const { id } = json(env, 'key', 'create', 'kept');
  await serve(t, env);
  const source = json(env, 'source', 'add', 'github', '--repo', 'acme/api').id;
  for (const wrong of ['a b', 'a/b', `${id}?x=1`, `${id}#`, `${id}/rotate`, '%', 'ключ']) {
    const result = lightfast(env, 'key', 'delete', wrong);
    assert.deepEqual([result.status, result.stderr], [1, 'lightfast: API key not found\n'], wrong);
  }
  assert.equal(json(env, 'key', 'list').data.length, 1);
  for (const wrong of ['a/b', `${source}?x=1`, `${source}#`, `x/../${source}`])
    assert.equal(lightfast(env, 'source', 'remove', wrong).status, 1, wrong);
  assert.equal(json(env, 'source', 'list').data.filter((row) => row.isActive).length, 1);
});

test('the list of keys shows how each one ends, and whether it is still good', async (t) => {
  const env = environment(join(directory(t), 'data'));
  const old = json(env, 'key', 'create', 'old');
  const current = json(env, 'key', 'rotate', old.id, '--grace', '1');
  const revoked = json(env, 'key', 'create', 'gone');
  lightfast(env, 'key', 'revoke', revoked.id);
  await new Promise((done) => setTimeout(done, 1100));
  const line = (key) => lightfast(env, 'key', 'list').stdout.split('\n').find((text) => text.startsWith(key.id));
  assert.match(line(old), new RegExp(`sk-lf-\\.\\.\\.${old.key.slice(-4)} +expired +old `));
  assert.match(line(current), new RegExp(`sk-lf-\\.\\.\\.${current.key.slice(-4)} +active +old `));
  assert.match(line(revoked), new RegExp(`sk-lf-\\.\\.\\.${revoked.key.slice(-4)} +revoked +gone `));
});

test('dates, limits, options: wrong ones are refused with exit 2 and a hint', (t) => {
  const env = environment(join(directory(t), 'data'));
  for (const args of [['search'], ['search', 'x', '--limit', '0'], ['search', 'x', '--since', 'soon'], ['frobnicate'],
    ['search', 'x', '--colour'], ['key', 'create'], ['key', 'revoke', ''],
    ['search', 'x', '--mode', 'slow'], ['similar', 'x', '--threshold', '2'], ['key', 'create', 'x', '--scope', 'read,root'],
    ['search', 'x', '--since', '999999999999999d'], ['search', 'x', '--since', '-5d'], ['import', 'git', '.', '--max', '-1'], ['completion', 'tcsh']]) {
    const result = lightfast(env, ...args);
    assert.equal(result.status, 2, `${args}: ${result.stderr}`);
    assert.ok(result.stderr.startsWith('lightfast: '), result.stderr);
  }
});

test('the first word of several commands tells which they are', (t) => {
  const env = environment(join(directory(t), 'data'));
  for (const args of [['help', 'key'], ['key', '--help'], ['key', '-h']]) {
    const { status, stdout } = lightfast(env, ...args);
    assert.equal(status, 0, `${args}`);
    for (const name of ['create', 'list', 'revoke', 'rotate', 'delete']) assert.match(stdout, new RegExp(`key ${name} `));
  }
  for (const args of [['key'], ['import', 'svn'], ['config']]) {
    const { status, stderr } = lightfast(env, ...args);
    assert.equal(status, 2, `${args}`);
    assert.match(stderr, new RegExp(`is one of these:\n  ${args[0]} `));
  }
});

test('more options than anybody needs are refused', (t) => {
  const env = environment(join(directory(t), 'data'));
  for (const option of ['-h', '--json']) {
    const result = lightfast(env, 'search', 'x', ...Array(100).fill(option));
    assert.equal(result.status, 2, `${option}: ${result.signal}`);
    assert.match(result.stderr, /too many options/);
  }
});

test('a path that is no repository ends with exit 2, an empty repository imports nothing', (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  mkdirSync(join(home, 'plain'));
  const wrong = lightfast(env, 'import', 'git', join(home, 'plain'));
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /not a git repository/);
  execFileSync('git', ['init', '-q', join(home, 'empty')]);
  assert.equal(json(env, 'import', 'git', join(home, 'empty')).scanned, 0);
  assert.equal(json(env, 'search', 'anything').data.length, 0);
});

test('bare repositories, worktrees and shallow clones are read; names come from the remote', (t) => {
  const { home, env, repo } = imported(t, { remote: 'git@github.com:acme/api.git' });
  const hit = json(env, 'search', 'session timeout').data[0];
  assert.equal(hit.source, 'github');
  assert.equal(hit.url, 'https://github.com/acme/api/pull/87');
  execFileSync('git', ['clone', '-q', '--bare', repo, join(home, 'bare.git')]);
  assert.equal(json(env, 'import', 'git', join(home, 'bare.git'), '--repo', 'acme/api').stored, 0);
  execFileSync('git', ['-C', repo, 'worktree', 'add', '-q', join(home, 'tree'), '-b', 'other']);
  assert.equal(json(env, 'import', 'git', join(home, 'tree'), '--repo', 'acme/api').stored, 0);
  execFileSync('git', ['clone', '-q', '--depth', '2', `file://${repo}`, join(home, 'shallow')]);
  const shallow = lightfast(env, 'import', 'git', join(home, 'shallow'), '--repo', 'acme/shallow', '--json');
  assert.equal(shallow.status, 0, shallow.stderr);
  assert.match(shallow.stderr, /shallow/);
});

test('github.web_url names the host whose repositories are those of GitHub', (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'), { LIGHTFAST_GITHUB_WEB_URL: 'https://git.example.com' });
  const repo = repository(join(home, 'repo'), story, { remote: 'git@git.example.com:acme/api.git' });
  assert.equal(json(env, 'import', 'git', repo).repository, 'acme/api');
  const hit = json(env, 'search', 'session timeout').data[0];
  assert.deepEqual([hit.source, hit.url], ['github', 'https://git.example.com/acme/api/pull/87']);
  const found = (host) => lightfast({ ...env, LIGHTFAST_SEARCH_URL_HOSTS: 'code.example.com=github' }, 'similar', `https://${host}/acme/api/pull/87/files`);
  assert.equal(found('git.example.com').status, 0);
  assert.equal(found('code.example.com').status, 0, 'another name of the same server');
  assert.equal(found('github.com.example.com').status, 1);
});

test('messages in other encodings, with NUL bytes and of 10 MB are imported', (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  const repo = repository(join(home, 'repo'), [
    { message: Buffer.from('Latin \xe4\xf6\xfc umlauts\n', 'latin1') },
    { message: 'Huge message about elephants\n\n' + 'word '.repeat(2_000_000) },
    { message: '' },
  ]);
  const summary = json(env, 'import', 'git', repo);
  assert.deepEqual([summary.scanned, summary.failed], [3, 0]);
  assert.match(json(env, 'search', 'umlauts').data[0].title, /Latin äöü umlauts/);
  assert.match(json(env, 'search', 'elephants').data[0].title, /elephants/);
});

test('a repository rewritten between imports is imported again without duplicates', (t) => {
  const { env, repo } = imported(t);
  execFileSync('git', ['-C', repo, '-c', 'user.name=A', '-c', 'user.email=a@example.com', 'commit', '-q', '--amend', '--allow-empty', '-m', 'Rewritten tip']);
  const again = json(env, 'import', 'git', repo);
  assert.deepEqual([again.stored, again.failed], [1, 0]);
  assert.equal(json(env, 'search', 'rewritten tip').data[0].title, '[Push] Rewritten tip');
});

test('backup while serving, restore into an empty directory, the same answers', async (t) => {
  const { home, env } = imported(t);
  const server = await serve(t, env);
  const file = join(home, 'copy.db');
  assert.equal(lightfast(env, 'backup', file).status, 0);
  assert.notEqual(lightfast(env, 'backup', file).status, 0, 'an existing file is not overwritten');
  await server.stop();
  const other = environment(join(home, 'other'));
  assert.equal(lightfast(other, 'restore', file).status, 0);
  assert.notEqual(lightfast(other, 'restore', file).status, 0, 'only into an empty directory');
  assert.deepEqual(json(other, 'search', 'session').data, json(env, 'search', 'session').data);
  const garbage = write(join(home, 'garbage'), 'not a database');
  assert.notEqual(lightfast(environment(join(home, 'third')), 'restore', garbage).status, 0);
});

test('two servers on one directory: the second is refused with a clear message', async (t) => {
  const { env } = imported(t);
  await serve(t, env);
  const second = lightfast(env, 'serve');
  assert.equal(second.status, 1);
  assert.match(second.stderr, /another process|held|in use/i);
});

test('inspect tells score, classes, topics, entities and references of an event', (t) => {
  const home = directory(t);
  const event = write(join(home, 'event.json'), JSON.stringify({
    source: 'github', sourceType: 'pull-request.merged', sourceId: 'pr:acme/api#7:merged', title: '[PR Merged] Fix login crash',
    body: 'Fix login crash\nFixes #6, thanks @ada', occurredAt: '2026-02-03T10:30:00Z',
    references: [{ type: 'pr', id: '#7', url: 'https://github.com/acme/api/pull/7' }, { type: 'issue', id: '#6', label: 'fixes' }],
    metadata: { repoFullName: 'acme/api', deliveryId: 'x' },
  }));
  const env = environment(join(home, 'data'));
  const analysis = json(env, 'inspect', 'event', event);
  assert.equal(analysis.primaryCategory, 'bug_fix');
  assert.ok(analysis.significanceFactors.includes('base:pull-request.merged'));
  assert.equal(analysis.significanceScore, 60 + 5 + 6);
  assert.ok(analysis.entities.some((entity) => entity.key === '@ada'));
  assert.ok(analysis.references.some((reference) => reference.role === 'self'));
  assert.ok(!existsSync(join(home, 'data')), 'inspecting touches no data directory');
  const bad = write(join(home, 'bad.json'), '{"source": 5}');
  const refused = lightfast(env, 'inspect', 'event', bad);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /sourceType/);
  assert.match(lightfast(env, 'inspect', 'event', home).stderr, /cannot read .*directory/);
});

test('inspect tells what would become of a payload', (t) => {
  const home = directory(t), env = environment(join(home, 'data'));
  const user = { id: 7, login: 'ada' }, repository = { id: 1, full_name: 'acme/api', html_url: 'https://github.com/acme/api' };
  const github = write(join(home, 'github.json'), JSON.stringify({
    action: 'opened', repository, sender: user,
    issue: { number: 12, title: 'Login crashes', body: 'Since ENG-3', user, created_at: '2026-02-03T10:30:00Z' },
  }));
  const opened = json(env, 'inspect', 'event', github, '--from', 'github:issues');
  assert.equal(opened.sourceEvent.sourceId, 'issue:acme/api#12:opened');
  assert.equal(opened.observationType, 'issue_opened');
  const linear = write(join(home, 'linear.json'), JSON.stringify({
    type: 'Issue', action: 'create', createdAt: '2026-02-03T10:30:00Z', webhookTimestamp: 1770114600000,
    data: { id: 'i', identifier: 'ENG-3', title: 'Crash', team: { id: 't', key: 'ENG', name: 'Engineering' } },
  }));
  assert.equal(json(env, 'inspect', 'event', linear, '--from', 'linear').sourceEvent.title, '[Issue Created] ENG-3: Crash');
  const refused = (...args) => { const { status, stderr } = lightfast(env, 'inspect', 'event', github, ...args); assert.equal(status, 1); return stderr; };
  assert.match(refused('--from', 'github:star'), /unhandled_event/);
  assert.match(refused('--from', 'github'), /event header is missing/);
  assert.match(refused('--from', 'nobody'), /--from is github:EVENT/);
  assert.ok(!existsSync(join(home, 'data')), 'inspecting touches no data directory');
});

test('doctor is content with a healthy directory, config check names origins, completion is valid shell', (t) => {
  const { env } = imported(t);
  const doctor = json(env, 'doctor');
  assert.ok(doctor.checks.length >= 5);
  assert.ok(doctor.checks.every((check) => check.status !== 'failed'), JSON.stringify(doctor.checks));
  const listen = json(env, 'config', 'check').find((entry) => entry.key === 'listen');
  assert.deepEqual([listen.value, listen.origin], ['127.0.0.1:0', 'environment']);
  execFileSync('bash', ['-n'], { input: lightfast(env, 'completion', 'bash').stdout });
  assert.match(lightfast(env, 'completion', 'zsh').stdout, /#compdef lightfast/);
  const fish = lightfast(env, 'completion', 'fish').stdout;
  assert.match(fish, /complete -c lightfast/);
  for (const line of fish.trim().split('\n'))
    assert.match(line, /^([^'\\]|'([^'\\]|\\['\\])*')*$/, `quotation marks of ${line}`);
  assert.match(lightfast(env, 'search', '--help').stdout, /lightfast search why/);
  const data = statSync(env.LIGHTFAST_DATA_DIR);
  assert.equal(data.mode & 0o777, 0o700);
});

test('an unwritable data directory is a clear error', { skip: process.getuid() === 0 && 'root may write everywhere' }, (t) => {
  const home = directory(t);
  chmodSync(home, 0o500);
  const result = lightfast(environment(join(home, 'data')), 'search', 'x');
  chmodSync(home, 0o700);
  assert.equal(result.status, 1);
  assert.match(result.stderr, /cannot|denied|read-only/i);
});

test('the server stops soon on SIGTERM', async (t) => {
  const { env } = imported(t);
  const server = await serve(t, env);
  const started = process.hrtime.bigint();
  const { code } = await server.stop('SIGTERM');
  assert.equal(code, 0);
  assert.ok(Number(process.hrtime.bigint() - started) / 1e6 < 30000, 'not a measurement: far beyond the promise of one second');
  assert.ok(!existsSync(join(env.LIGHTFAST_DATA_DIR, 'lightfast.sock')));
});

test('Ctrl-C during an import keeps what is stored; the next import completes it', async (t) => {
  const home = directory(t);
  const env = environment(join(home, 'data'));
  const commits = Array.from({ length: 6000 }, (_, n) => ({ subject: `Change number ${n} of the long story`, files: { [`f${n % 20}`]: `${n}` } }));
  const repo = repository(join(home, 'repo'), commits);
  const child = spawn(binary, ['import', 'git', repo], { env, stdio: 'ignore' });
  await new Promise((done) => setTimeout(done, 250));
  child.kill('SIGINT');
  const code = await new Promise((done) => child.once('exit', done));
  const again = json(env, 'import', 'git', repo);
  assert.equal(again.failed, 0);
  if (code === 0) assert.equal(again.scanned, 0); // it was faster than the signal
  else assert.equal(again.stored + again.duplicates, 6000);
  assert.equal(json(env, 'import', 'git', repo, '--full').duplicates, 6000);
});
