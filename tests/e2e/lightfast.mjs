// lightfast.mjs - what the end-to-end and fault tests share: the real binary, data directories, repositories, servers.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const binary = process.env.LIGHTFAST ?? 'build-test/src/cli/lightfast';

// What a test leaves behind is cleaned up in reverse order: servers end before their directories go.
const cleanups = new WeakMap();
export function cleanup(t, undo) {
  if (!cleanups.has(t)) {
    cleanups.set(t, []);
    t.after(async () => { for (const next of cleanups.get(t).reverse()) await next(); });
  }
  cleanups.get(t).push(undo);
}

// A directory that is removed when the test ends.
export function directory(t) {
  const path = mkdtempSync(join(tmpdir(), 'lightfast-test-'));
  cleanup(t, () => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function environment(dataDir, settings = {}) {
  const env = { ...process.env, LIGHTFAST_DATA_DIR: dataDir, LIGHTFAST_LISTEN: '127.0.0.1:0', NO_COLOR: '1', ...settings };
  delete env.LIGHTFAST;
  return env;
}

// Run a command to its end: { status, stdout, stderr }.
export function lightfast(env, ...args) {
  const result = spawnSync(binary, args, { env, encoding: 'utf8', maxBuffer: 1 << 28, timeout: 120000 });
  return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}

export function json(env, ...args) {
  const result = lightfast(env, ...args, '--json');
  if (result.status !== 0) throw new Error(`lightfast ${args.join(' ')}: ${result.status} ${result.stderr}`);
  return JSON.parse(result.stdout);
}

// Start `lightfast serve` and wait for its address.
export async function serve(t, env) {
  const child = spawn(binary, ['serve'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const exited = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
  const address = await new Promise((found, failed) => {
    exited.then(({ code }) => failed(new Error(`server ended with ${code}: ${log}`)));
    createInterface({ input: child.stderr }).on('line', (line) => {
      log += line + '\n';
      const match = line.match(/listening on ([\d.]+:\d+)/);
      if (match) found(match[1]);
    });
  });
  const server = {
    child, url: `http://${address}`, exited, log: () => log,
    async stop(signal = 'SIGTERM') { child.kill(signal); return exited; },
  };
  cleanup(t, async () => { if (child.exitCode === null && child.signalCode === null) await server.stop('SIGKILL'); });
  return server;
}

export async function post(server, key, path, body, headers = {}) {
  const answer = await fetch(server.url + path, {
    method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
  });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

// A git repository made of commits: [{ subject, body?, author?, at?, files?: {path: text}, parents?: [n], tag? }].
// Written with fast-import, so that thousands of commits take no time. Positions count from 0.
export function repository(path, commits, { branch = 'main', bare = false, remote } = {}) {
  execFileSync('git', ['init', '-q', '-b', branch, ...(bare ? ['--bare'] : []), path]);
  if (remote) execFileSync('git', ['-C', path, 'remote', 'add', 'origin', remote]);
  const chunks = [];
  const put = (text) => chunks.push(Buffer.isBuffer(text) ? text : Buffer.from(text));
  const data = (text) => { const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text); put(`data ${bytes.length}\n`); put(bytes); put('\n'); };
  commits.forEach((commit, n) => {
    const author = commit.author ?? 'Ada Lovelace <ada@example.com>', at = (commit.at ?? 1700000000 + n * 3600) + ' +0000';
    put(`commit refs/heads/${branch}\nmark :${n + 1}\nauthor ${author} ${at}\ncommitter ${author} ${at}\n`);
    data(commit.message ?? `${commit.subject}\n${commit.body ? '\n' + commit.body + '\n' : ''}`);
    const parents = commit.parents ?? (n ? [n - 1] : []);
    parents.forEach((parent, i) => put(`${i ? 'merge' : 'from'} :${parent + 1}\n`));
    for (const [file, text] of Object.entries(commit.files ?? { [`file${n % 50}.txt`]: `${n}\n` })) {
      put(`M 100644 inline ${file}\n`);
      data(text);
    }
    if (commit.tag) { put(`tag ${commit.tag}\nfrom :${n + 1}\ntagger ${author} ${at}\n`); data(commit.tagMessage ?? commit.tag); }
  });
  put('done\n');
  execFileSync('git', ['-C', path, 'fast-import', '--quiet', '--done', '--force'], { input: Buffer.concat(chunks), maxBuffer: 1 << 30 });
  if (!bare) execFileSync('git', ['-C', path, 'symbolic-ref', 'HEAD', `refs/heads/${branch}`]);
  return path;
}

export const git = (path, ...args) => execFileSync('git', ['-C', path, ...args], { encoding: 'utf8' }).trim();

// Ask again and again until it has happened; answers what `happened` gave. The deadline only ends a test that hangs.
export async function until(what, happened, { seconds = 120 } = {}) {
  const deadline = Date.now() + seconds * 1000;
  for (let pause = 20; ; pause = Math.min(pause * 1.5, 500)) {
    const result = await happened();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`${what} did not happen`);
    await new Promise((done) => setTimeout(done, pause));
  }
}

export function write(path, text) { writeFileSync(path, text); return path; }
