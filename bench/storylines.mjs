// storylines.mjs - whole stories of webhooks in many orders of arrival: are the edges between observations right?
import { createHash, createHmac } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, output } from './lightfast.mjs';

const SECRET = 'a secret of the bench, known to both sides';
const W = '/v1/orgs/local/workspaces/main';
const hmac = (algorithm, body) => createHmac(algorithm, SECRET).update(body).digest('hex');
const now = () => String(Math.floor(Date.now() / 1000));

const providers = {
  github: {
    event: (type) => type.split('.')[0].replaceAll('-', '_'),
    resources: (payload) => [payload.repository?.id],
    headers: (body, event, id) => ({ 'x-github-event': event, 'x-github-delivery': id, 'x-hub-signature-256': `sha256=${hmac("sha256", body)}` }),
  },
  vercel: {
    event: (type) => type,
    resources: ({ payload }) => [payload?.project?.id ?? payload?.projectId],
    headers: (body) => ({ 'x-vercel-signature': hmac('sha1', body) }),
  },
  linear: {
    event: (type) => type,
    resources: ({ data }) => [data?.team?.id ?? data?.teamId ?? data?.issue?.team?.id ?? data?.issue?.teamId, ...(data?.teams ?? []).map(({ id }) => id), ...(data?.teamIds ?? [])],
    headers: (body, event, id) => ({ 'linear-signature': hmac('sha256', body), 'linear-delivery': id }),
  },
  sentry: {
    event: (type) => type.split('.')[0],
    resources: ({ data }) => [data?.issue?.project?.id, data?.event?.project],
    headers: (body, event, id) => ({ 'sentry-hook-signature': hmac('sha256', body), 'sentry-hook-resource': event, 'request-id': id, 'sentry-hook-timestamp': now() }),
  },
};

export function readStorylines(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).filter((name) => name.endsWith('.input.json')).sort().map((name) => {
    const read = (kind) => JSON.parse(readFileSync(join(directory, name.replace('.input.', `.${kind}.`)), 'utf8'));
    return { name: name.split('.')[0], webhooks: read('input').webhooks, golden: read('golden'), edges: read('edges') };
  });
}

// ---- expectations ------------------------------------------------------------------------------------------------------

const plain = (sourceId) => sourceId.replace(/:test:\d+$/, '');
const names = (event, key) => event.references.some(({ id, label }) => id === key && /^(fix|clos|resolv)/.test(label ?? ''));

// What the original stored as "references" although one side says that it fixes the other: "from to" of ours.
export function expectedFixes({ golden, edges }) {
  const events = new Map(golden.map(({ sourceEvent }) => [sourceEvent.sourceId, sourceEvent]));
  const itself = (event, key) => /^(issue|linear-issue|sentry-issue):/.test(event.sourceId) && plain(event.sourceId).split(/[:]|(?=#)/).includes(key);
  const fixes = new Set();
  for (const { from, to, type, linkingKey } of edges) {
    if (type !== 'references') continue;
    for (const [one, other] of [[from, to], [to, from]].map((pair) => pair.map((id) => events.get(id))))
      if (one && other && one.source === 'github' && names(one, linkingKey) && itself(other, linkingKey)) fixes.add(`${plain(one.sourceId)} ${plain(other.sourceId)}`);
  }
  return fixes;
}

// The GitHub events again as another repository has them: the same numbers, everything else its own.
function ofOtherRepository(webhooks) {
  return webhooks.filter(({ source }) => source === 'github').map((webhook) => {
    const text = JSON.stringify(webhook).replaceAll('lightfastai/lightfast', 'elsewhere/other').replace(/\b([A-Z]{2,})-(\d+)\b/g, 'Q$1-$2')
      .replace(/\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b/g, (sha) => createHash('sha1').update(sha).digest('hex').slice(0, sha.length))
      .replace(/\b((?:feat|fix|feature|chore|perf|docs|refactor|hotfix|security)\/[\w./-]+)/g, '$1-elsewhere');
    const other = JSON.parse(text);
    other.payload.repository.id += 1;
    return other;
  });
}

// ---- one story, in one order --------------------------------------------------------------------------------------------

function shuffled(list, seed) {
  const result = [...list];
  let state = seed;
  for (let i = result.length - 1; seed && i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 4294967296) * (i + 1));
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

async function sql(dataDir, text) {
  return JSON.parse((await output('sqlite3', ['-readonly', '-json', join(dataDir, 'lightfast.db'), text])) || '[]');
}

async function settled(dataDir) {
  for (let i = 0; i < 2000; i++) {
    const [{ open }] = await sql(dataDir, `SELECT (SELECT count(*) FROM flow_run WHERE function IN ('neural.observation.capture', 'neural.references.settle')
      AND completed_at IS NULL) + (SELECT count(*) FROM flow_pending) AS open`);
    if (open === 0) return;
    await sleep(10);
  }
  throw new Error('captures do not end');
}

async function sendAll(server, key, webhooks, named) {
  const sources = new Map();
  let accepted = 0;
  for (const [i, { source, eventType, payload }] of webhooks.entries()) {
    const provider = providers[source], resource = provider.resources(payload).find((each) => each !== undefined && each !== null);
    if (resource === undefined) continue; // of the whole organisation: it belongs to no source
    const name = `${source} ${resource}`, headers = { 'content-type': 'application/json' };
    if (!sources.has(name)) {
      const answer = await fetch(`http://127.0.0.1:${server.port}${W}/sources`, { method: 'POST', headers: { ...headers, authorization: `Bearer ${key}` },
        body: JSON.stringify({ sourceType: source, resourceId: String(resource), name: named ? payload.repository?.full_name : undefined, secret: SECRET }) });
      if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
      sources.set(name, (await answer.json()).id);
    }
    const body = JSON.stringify(source === 'linear' ? { ...payload, webhookTimestamp: Date.now() + i } : payload);
    const answer = await fetch(`http://127.0.0.1:${server.port}/webhooks/${source}/${sources.get(name)}`,
      { method: 'POST', body, headers: { ...headers, ...provider.headers(body, provider.event(eventType), `story-${i}`) } });
    const said = await answer.json();
    if (answer.status !== 200) throw new Error(`${name} ${eventType}: ${answer.status} ${JSON.stringify(said)}`);
    if (!said.ignored && !said.duplicate) accepted++;
  }
  return accepted;
}

// { edges, stored, unexplained } of the story's webhooks in the order of `seed`; 0 is the order it tells. Sources are made
// with their names or, for odd seeds, learn them.
async function tell({ program, work }, webhooks, seed) {
  const dataDir = join(work, 'story');
  rmSync(dataDir, { recursive: true, force: true });
  const { key } = JSON.parse(await output(program, ['key', 'create', 'bench', '--scope', 'read,ingest,admin', '--json', '--data-dir', dataDir]));
  const server = await Server.start(program, dataDir, { LIGHTFAST_LIMITS_READ_PER_MINUTE: '0' });
  try {
    const accepted = await sendAll(server, key, shuffled(webhooks, seed), seed % 2 === 0);
    await settled(dataDir);
    const runs = await sql(dataDir, "SELECT status, output FROM flow_run WHERE function = 'neural.observation.capture'");
    const unexplained = runs.filter(({ status, output: said }) => status !== 'completed' || !['success', 'filtered'].includes(JSON.parse(said).status));
    const edges = await sql(dataDir, `SELECT a.source_id AS "from", b.source_id AS "to", r.relationship_type AS type, r.linking_key AS "key"
      FROM relationship r JOIN observation a ON a.workspace_id = r.workspace_id AND a.id = r.source_observation_id
      JOIN observation b ON b.workspace_id = r.workspace_id AND b.id = r.target_observation_id ORDER BY 1, 2, 3`);
    return { edges, stored: new Set((await sql(dataDir, 'SELECT source_id FROM observation')).map((row) => row.source_id)),
      unexplained: unexplained.length + Math.abs(accepted - runs.length) };
  } finally {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const textOf = ({ from, type, to, key }) => `${from} -${type}-> ${to} (${key})`;
const foreign = (sourceId) => sourceId.includes('elsewhere/other');

// Everything that is wrong, in words.
export async function wrongEdges(tools, storylines, shuffles) {
  const wrong = [];
  for (const story of storylines) {
    const say = (what) => wrong.push(`${story.name}: ${what}`);
    for (const webhooks of [story.webhooks, [...story.webhooks, ...ofOtherRepository(story.webhooks)]]) {
      let first;
      for (let seed = 0; seed <= shuffles; seed++) {
        const told = await tell(tools, webhooks, seed);
        const edges = told.edges.map(textOf).sort();
        if (told.unexplained) say(`${told.unexplained} events neither stored nor filtered with a reason, order ${seed}`);
        for (const edge of told.edges.filter(({ from, to }) => foreign(from) !== foreign(to))) say(`between repositories: ${textOf(edge)}, order ${seed}`);
        first ??= edges;
        for (const edge of edges.filter((each) => !first.includes(each))) say(`only in order ${seed}: ${edge}`);
        for (const edge of first.filter((each) => !edges.includes(each))) say(`not in order ${seed}: ${edge}`);
        if (seed) continue;
        const fixes = new Set(told.edges.filter(({ type }) => type === 'fixes').map(({ from, to }) => `${from} ${to}`));
        for (const pair of expectedFixes(story)) if (pair.split(' ').every((id) => told.stored.has(id)) && !fixes.has(pair)) say(`no "fixes": ${pair}`);
      }
    }
  }
  return wrong;
}
