// inbound.mjs - measurements of what comes in: webhooks, events of programs, and the work that follows.
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, output, seconds } from './lightfast.mjs';
import { eventOf, numberOf, titleOf, writePayloads } from './payloads.mjs';

const CLIENTS = 64, WAIT_SECONDS = 300;
const SECRET = 'a secret of the bench, known to both sides';
const unlimited = { LIGHTFAST_LIMITS_SEARCH_PER_MINUTE: '0', LIGHTFAST_LIMITS_READ_PER_MINUTE: '0', LIGHTFAST_LIMITS_EVENTS_PER_MINUTE: '0' };

async function number(dataDir, sql) {
  return Number(await output('sqlite3', ['-readonly', join(dataDir, 'lightfast.db'), sql]));
}

// Until as many observations are there as were sent and nothing is queued or running; the time it became so.
async function drained(dataDir, count) {
  const open = "SELECT count(*) FROM flow_run WHERE function = 'neural.observation.capture' AND completed_at IS NULL";
  const until = seconds() + WAIT_SECONDS;
  while ((await number(dataDir, 'SELECT count(*) FROM observation')) < count || (await number(dataDir, open)) > 0) {
    if (seconds() > until) throw new Error(`${await number(dataDir, 'SELECT count(*) FROM observation')} of ${count} observations after ${WAIT_SECONDS} s`);
    await sleep(100); // looking costs a processor that is needed elsewhere
  }
  return seconds();
}

async function post(server, key, path, body) {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method: 'POST', body: JSON.stringify(body),
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function check(dataDir, what, sql, expected) {
  const found = await number(dataDir, sql);
  if (found !== expected) throw new Error(`${found} ${what}, not ${expected}`);
}

// A fresh server with a key; `use` measures against it.
async function withServer({ program, work, settings }, use) {
  const dataDir = join(work, 'inbound');
  rmSync(dataDir, { recursive: true, force: true });
  const { key } = JSON.parse(await output(program, ['key', 'create', 'bench', '--scope', 'read,ingest,admin', '--json', '--data-dir', dataDir]));
  const server = await Server.start(program, dataDir, { ...unlimited, ...settings });
  try {
    return await use({ server, dataDir, key });
  } finally {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function poster({ post: program, work }, count) {
  mkdirSync(work, { recursive: true });
  const files = writePayloads(work, count);
  return async (port, clients, template, ...kind) =>
    JSON.parse(await output(program, ['127.0.0.1', String(port), String(clients), files[template], files.rows, '0', String(count), ...kind.map(String)]));
}

// `count` pull requests to a GitHub source of its own address: the rate of accepting them, and of all that follows until
// every one can be found. Nothing may be missing.
export function measureWebhooks(tools, count) {
  const send = poster(tools, count);
  return withServer(tools, async ({ server, dataDir, key }) => {
    const workspace = '/v1/orgs/local/workspaces/main';
    const source = await post(server, key, `${workspace}/sources`, { sourceType: 'github', name: 'acme/api', secret: SECRET });
    const begin = seconds();
    const load = await send(server.port, CLIENTS, 'pullRequest', 'webhook', `/webhooks/github/${source.id}`, SECRET);
    const preparing = seconds() - begin - load.seconds; // signing, before the first request
    const done = await drained(dataDir, count);
    await check(dataDir, 'deliveries', "SELECT count(DISTINCT delivery_id) FROM inbound_delivery WHERE outcome = 'processed'", count);
    await check(dataDir, 'observations', 'SELECT count(DISTINCT source_id) FROM observation', count);
    await check(dataDir, 'captures that did not complete', "SELECT count(*) FROM flow_run WHERE function = 'neural.observation.capture' AND status <> 'completed'", 0);
    const found = await post(server, key, '/v1/search', { query: titleOf(count - 1), limit: 5 });
    const sourceId = `pr:acme/api#${numberOf(count - 1)}:opened`;
    if (!found.data.some(({ title }) => title.includes(titleOf(count - 1)))) throw new Error(`${sourceId} is not found`);
    return { rate: load.perSecond, p50: load.p50, p99: load.p99, captured: count / (done - begin - preparing) };
  });
}

// The same requests to a Node server that only verifies their signatures.
export async function measurePeer(tools, modules, count) {
  const send = poster(tools, count);
  const child = spawn('node', ['bench/peer.mjs', modules, SECRET], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const port = await new Promise((found, failed) => {
      createInterface({ input: child.stdout }).once('line', found);
      child.once('exit', (status) => failed(new Error(`the peer ended with status ${status}`)));
    });
    return (await send(port, CLIENTS, 'pullRequest', 'webhook', '/', SECRET)).perSecond;
  } finally {
    child.kill();
  }
}

// Sends events of a program, one a request, at a steady rate. The function returned ends it and tells the rate that was
// accepted.
export function steadyEvents(port, key, perSecond) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 }), begin = seconds();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  let row = Math.floor(Date.now() / 10), sent = 0, accepted = 0, open = 0;
  const one = () => {
    open++;
    const request = http.request({ port, host: '127.0.0.1', agent, method: 'POST', path: '/v1/events', headers }, (answer) => {
      if (answer.statusCode === 202) accepted++;
      answer.resume().once('end', () => open--);
    });
    request.once('error', () => open--).end(eventOf(row++));
  };
  const timer = setInterval(() => {
    for (const due = Math.floor((seconds() - begin) * perSecond); sent < due; sent++) one();
  }, 10);
  return async () => {
    clearInterval(timer);
    const took = seconds() - begin;
    while (open > 0) await sleep(10);
    agent.destroy();
    return accepted / took;
  };
}

// `count` events of a program, `together` in a request: the rate of accepting them durably, in events.
export function measureEvents(tools, count, together, clients) {
  const send = poster(tools, count);
  return withServer(tools, async ({ server, dataDir, key }) => {
    const load = await send(server.port, clients, 'event', 'events', key, together);
    await check(dataDir, 'events', "SELECT count(*) FROM flow_event WHERE name = 'neural/observation.capture'", count);
    await drained(dataDir, count);
    return count / load.seconds;
  });
}
