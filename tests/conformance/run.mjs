// run.mjs - the official conformance scenarios that need no fixtures, against a server of its own. PACKAGES names the
// directory that has the suite. Ends with one line "N passed, N failed".
import { spawn } from 'node:child_process';
import { createServer, request } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, json, serve } from '../e2e/lightfast.mjs';

const scenarios = ['server-initialize', 'ping', 'tools-list', 'resources-list', 'prompts-list', 'dns-rebinding-protection'];
const suite = join(process.env.PACKAGES, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

// The suite knows no keys: what it sends passes through here, as it is but for the key.
function proxy(target) {
  const server = createServer((from, to) => {
    const { hostname, port } = new URL(target.url);
    const onward = request({ hostname, port, path: from.url, method: from.method, setHost: false,
      headers: { ...from.headers, authorization: `Bearer ${target.key}` } }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      answer.pipe(to);
    });
    onward.on('error', () => to.destroy());
    from.pipe(onward);
  });
  return new Promise((listening) => server.listen(0, 'localhost', () => listening(server)));
}

function run(scenario, url) {
  return new Promise((ended) => {
    const child = spawn(process.execPath, [suite, 'server', '--url', url, '--scenario', scenario], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { text += data; });
    child.once('exit', (code) => ended({ code, text }));
  });
}

const undo = [];
const test = { after: (each) => undo.push(each) }; // serve() cleans up through this
const home = mkdtempSync(join(tmpdir(), 'lightfast-conformance-'));
const target = {};
const front = await proxy(target);
const origin = `http://localhost:${front.address().port}`;
const env = environment(join(home, 'data'), { LIGHTFAST_PUBLIC_URL: origin });
const server = await serve(test, env);
Object.assign(target, { url: server.url, key: json(env, 'key', 'create', 'conformance').key });
let passed = 0, failed = 0;
for (const scenario of scenarios) {
  const { code, text } = await run(scenario, `${origin}/mcp`);
  if (code === 0) passed++; else failed++;
  console.log(`${code === 0 ? 'passed' : 'FAILED'}: ${scenario}`);
  if (code !== 0) console.log(text);
}
for (const each of undo) await each();
front.closeAllConnections();
front.close();
rmSync(home, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
