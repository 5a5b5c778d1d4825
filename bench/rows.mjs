// rows.mjs - what is measured, and how. Called by bench/run with the build directory.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, git, median, output, repeat, seconds, timed } from './lightfast.mjs';
import { corpora, history, questions } from './corpus.mjs';
import { measureEvents, measurePeer, measureWebhooks, steadyEvents } from './inbound.mjs';
import { readStorylines, wrongEdges } from './storylines.mjs';
import { commit, goalText, head, met, save, tableLine } from './report.mjs';

const build = resolve(process.argv[2]);
const program = join(build, 'src/cli/lightfast');
const bench = (name) => join(build, 'bench', `bench_${name}`);
const work = join(build, 'bench-data');
const found = corpora(process.env.CORPORA);

const RUNS = 3;
const MILLION = 1000000, STEADY = 500; // observations; events a second
const VALKEY_COMMITS = 12676;
const DELIVERIES = 20000; // 22 KB each, made before the clock starts
const EVENTS = 60000;
const SHUFFLES = 20;
const quiet = {
  LIGHTFAST_LIMITS_SEARCH_PER_MINUTE: '0',
  LIGHTFAST_LIMITS_READ_PER_MINUTE: '0',
  LIGHTFAST_LIMITS_EVENTS_PER_MINUTE: '0',
  LIGHTFAST_SEARCH_RESULT_CACHE: 'false',
  LIGHTFAST_SEARCH_MEMORY_LIMIT: '4GiB',
};

class Skipped extends Error {}

function valkey() {
  if (!found.valkey) throw new Skipped('no corpus');
  return found.valkey;
}

// ---- measurements that several rows share are taken once -------------------------------------------------------------

const taken = new Map();
const once = (name, measure) => () => {
  if (!taken.has(name)) taken.set(name, measure());
  return taken.get(name);
};

async function importInto(name, directory) {
  const dataDir = join(work, name);
  rmSync(dataDir, { recursive: true, force: true });
  const run = await timed(program, ['import', 'git', directory, '--data-dir', dataDir, '--json']);
  const summary = JSON.parse(run.stdout);
  if (summary.failed) throw new Error(`${summary.failed} of ${summary.scanned} events failed`);
  return { ...run, summary };
}

const imports = once('imports', async () => {
  const corpus = valkey();
  return repeat(RUNS, async () => {
    const run = await importInto('valkey', corpus.directory);
    const begin = seconds();
    await output('git', ['-C', corpus.directory, 'log', '--name-status']);
    return { rate: corpus.commits / run.seconds, peak: run.peak, peerRate: corpus.commits / (seconds() - begin) };
  });
});

const linear = once('linear', async () => {
  const corpus = valkey();
  const one = history(corpus, 1, work), ten = history(corpus, 10, work);
  const ratios = await repeat(RUNS, async () => {
    const short = await importInto('linear', one);
    const long = await importInto('linear', ten);
    return long.seconds / short.seconds;
  });
  rmSync(join(work, 'linear'), { recursive: true, force: true });
  return median(ratios);
});

// Labelled questions on two corpora, asked and scored by bench/eval.mjs.
const retrieval = once('retrieval', async () => {
  const folder = process.env.EVAL ?? '../shared/eval';
  const corpora = [['pgbouncer', '13a344f2625381296fc02e29b986a11be9c6b983'], ['valkey', '55bbbe09a3b37a98c907dbfbc225768ff253e84f']];
  const files = corpora.map(([name]) => join(folder, `retrieval-${name}.jsonl`));
  if (corpora.some(([name]) => !found[name]) || !files.every((file) => existsSync(file))) throw new Skipped('no corpora with labelled questions');
  const summary = join(work, 'retrieval.json');
  await output('node', ['bench/eval.mjs'], {
    ...process.env, LIGHTFAST: program, SUMMARY: summary, QUESTIONS: files.join(','), REV: corpora.map(([, rev]) => rev).join(','),
    REPO: corpora.map(([name]) => found[name].directory).join(','), OUT: corpora.map(([name]) => join(work, `${name}.jsonl`)).join(','),
  });
  return JSON.parse(readFileSync(summary, 'utf8'));
});

async function database() {
  await imports();
  return join(work, 'valkey');
}

// beside(server, key): what goes on meanwhile; it returns a function that ends it.
async function search(dataDir, connections, file, warm, count, beside) {
  const { key } = JSON.parse(await output(program, ['key', 'create', 'bench', '--scope', 'read,ingest', '--json', '--data-dir', dataDir]));
  const server = await Server.start(program, dataDir, quiet);
  try {
    const ask = async (first, n) =>
      JSON.parse(await output(bench('load'), ['127.0.0.1', String(server.port), key, String(connections), file, String(first), String(n)]));
    await ask(0, warm);
    const end = await beside?.(server, key);
    const runs = await repeat(RUNS, (i) => ask(warm + i * count, count));
    return { p50: median(runs.map(({ p50 }) => p50)), p99: median(runs.map(({ p99 }) => p99)), rate: await end?.() };
  } finally {
    await server.stop();
  }
}

const searchHttp = once('search-http', async () => {
  const corpus = valkey(), dataDir = await database();
  const file = join(work, 'questions'), warm = 500, count = 3000;
  if (questions(corpus, warm + RUNS * count, file) < warm + RUNS * count) throw new Error('too few distinct questions');
  const words = readFileSync(file, 'utf8').split('\n').slice(0, 5).map((question) => question.split(' ').pop());
  const greps = words.map((word) => {
    const begin = seconds();
    git(corpus.directory, 'log', '-i', `--grep=${word}`, '-n', '10', '--oneline');
    return (seconds() - begin) * 1000;
  });
  return { ...(await search(dataDir, 16, file, warm, count)), peer: median(greps) };
});

const million = once('million', async () => {
  const dataDir = join(work, 'million'), file = join(work, 'million-questions'), mark = join(work, 'million-commit');
  const now = commit(), kept = existsSync(mark) && readFileSync(mark, 'utf8') === now && !now.endsWith('-changed');
  if (!kept) {
    rmSync(dataDir, { recursive: true, force: true });
    await output(bench('million'), [dataDir, String(MILLION), file]);
    writeFileSync(mark, now);
  }
  return { dataDir, file };
});

const searchMillion = once('search-1m', async () => {
  const { dataDir, file } = await million();
  return search(dataDir, 1, file, 100, 500);
});

const searchUnderIngest = once('search-under-ingest', async () => {
  const { dataDir, file } = await million();
  const found = await search(dataDir, 1, file, 100, 500, (server, key) => steadyEvents(server.port, key, STEADY));
  if (found.rate < 0.95 * STEADY) throw new Error(`only ${Math.round(found.rate)} of ${STEADY} events a second were accepted`);
  return found;
});

const served = once('served', async () => {
  const dataDir = await database();
  return repeat(7, async () => {
    const server = await Server.start(program, dataDir);
    await sleep(1000);
    const memory = server.memory('VmRSS');
    await server.stop();
    return { ready: server.readySeconds * 1000, memory };
  });
});

async function messages() {
  const file = join(work, 'messages');
  writeFileSync(file, git(valkey().directory, 'log', '-z', '--format=%B'));
  return file;
}

// The directory of `modules` (name@version), installed on first use.
async function npm(name, ...modules) {
  const directory = join(work, name), installed = join(directory, 'node_modules');
  if (!existsSync(installed)) {
    mkdirSync(directory, { recursive: true });
    try {
      await output('npm', ['install', '--prefix', directory, '--no-audit', '--no-fund', '--ignore-scripts', ...modules]);
    } catch {
      throw new Skipped(`${modules.join(", ")} cannot be had from npm`);
    }
  }
  return installed;
}

// Only the library of sqlite-vec is used, by a program of ours in one process with SQLite.
async function sqliteVec() {
  const library = join(await npm('sqlite-vec', 'sqlite-vec@0.1.9'), `sqlite-vec-linux-${process.arch}`, 'vec0.so');
  if (!existsSync(library)) throw new Skipped(`sqlite-vec has no library for linux-${process.arch}`);
  return library;
}

const stories = process.env.STORYLINES ?? '../shared/data/storylines';

async function eventCpu() {
  const files = existsSync(stories) ? readdirSync(stories).filter((name) => name.endsWith('.input.json')).map((name) => join(stories, name)) : [];
  try {
    files.push(join(await npm('octokit-examples', '@octokit/webhooks-examples@7.6.1'), '@octokit/webhooks-examples/api.github.com/index.json'));
  } catch (error) {
    if (!(error instanceof Skipped) || !files.length) throw error;
  }
  return JSON.parse(await output(bench('event'), ['20', ...files])).all.us;
}

const engine = once('engine', () => repeat(RUNS, async () => {
  const directory = join(work, 'engine');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const measured = JSON.parse(await output(bench('flow'), [directory]));
  rmSync(directory, { recursive: true, force: true });
  if (measured.failed) throw new Error(`${measured.failed} runs failed`);
  return measured;
}));

async function storylines() {
  const told = readStorylines(stories);
  if (!told.length) throw new Skipped(`no storylines in ${stories}`);
  const wrong = await wrongEdges({ program, work }, told, SHUFFLES);
  for (const each of wrong.slice(0, 20)) console.error(`bench: ${each}`);
  return wrong.length;
}

const inbound = { program, post: bench('post'), work };
const webhooks = once('webhooks', () => repeat(RUNS, () => measureWebhooks(inbound, DELIVERIES)));
const webhooksPeer = once('webhooks-peer', async () => {
  const modules = await npm('octokit', '@octokit/webhooks@14.2.0');
  return median(await repeat(RUNS, () => measurePeer(inbound, modules, DELIVERIES)));
});

// ---- the rows ------------------------------------------------------------------------------------------------------------

const rows = [
  {
    name: 'import', unit: 'commits/s', least: 4000, peer: 'git log --name-status',
    measure: async () => {
      const runs = await imports();
      return { value: median(runs.map(({ rate }) => rate)), peerValue: median(runs.map(({ peerRate }) => peerRate)) };
    },
  },
  {
    name: 'import-memory', unit: 'MB anonymous', below: 200,
    measure: async () => ({ value: median((await imports()).map(({ peak }) => peak)) }),
  },
  {
    name: 'import-linear', unit: 'x time of 10x', below: 11.0001, goal: '<= 11',
    measure: async () => ({ value: await linear() }),
  },
  {
    name: 'search-http-p50', unit: 'ms', below: 8, peer: 'git log -i --grep, one client',
    measure: async () => ({ value: (await searchHttp()).p50, peerValue: (await searchHttp()).peer }),
  },
  {
    name: 'search-http-p99', unit: 'ms', below: 25,
    measure: async () => ({ value: (await searchHttp()).p99 }),
  },
  {
    name: 'search-1m', unit: 'ms p99', below: 40,
    measure: async () => ({ value: (await searchMillion()).p99 }),
  },
  {
    name: 'search-under-ingest', unit: 'ms p99', below: 60,
    measure: async () => ({ value: (await searchUnderIngest()).p99 }),
  },
  {
    name: 'vector-scan', unit: 'x sqlite-vec', least: 10, peer: 'sqlite-vec, ms of 100,000',
    measure: async () => {
      const library = await sqliteVec();
      const runs = await repeat(RUNS, async () => JSON.parse(await output(bench('vectors'), [library])));
      if (runs.some(({ agreement }) => agreement < 0.99)) throw new Error('sqlite-vec names other neighbours');
      return { value: median(runs.map(({ ms, peerMs }) => peerMs / ms)), peerValue: median(runs.map(({ peerMs }) => peerMs)) };
    },
  },
  {
    name: 'start', unit: 'ms to ready', below: 50,
    measure: async () => ({ value: median((await served()).map(({ ready }) => ready)) }),
  },
  {
    name: 'idle-memory', unit: 'MB resident', below: 40,
    measure: async () => ({ value: median((await served()).map(({ memory }) => memory)) }),
  },
  {
    name: 'embed', unit: 'messages/s/core', least: 150000,
    measure: async () => {
      const file = await messages();
      const runs = await repeat(RUNS, async () => JSON.parse(await output(bench('embed'), [file])));
      return { value: median(runs.map(({ perSecond }) => perSecond)) };
    },
  },
  {
    name: 'webhooks', unit: 'requests/s', least: 8000,
    measure: async () => ({ value: median((await webhooks()).map(({ rate }) => rate)) }),
  },
  {
    name: 'webhooks-peer', unit: 'x peer', least: 0.7, peer: 'Node, @octokit/webhooks verify only',
    measure: async () => {
      const peerValue = await webhooksPeer();
      return { value: median((await webhooks()).map(({ rate }) => rate)) / peerValue, peerValue };
    },
  },
  {
    name: 'capture', unit: 'observations/s', least: 3000,
    measure: async () => ({ value: median((await webhooks()).map(({ captured }) => captured)) }),
  },
  {
    name: 'event-cpu', unit: 'us CPU an event', below: 20,
    measure: async () => ({ value: median(await repeat(RUNS, eventCpu)) }),
  },
  {
    name: 'ingest-single', unit: 'events/s', least: 3000,
    measure: async () => ({ value: median(await repeat(RUNS, () => measureEvents(inbound, EVENTS / 3, 1, 64))) }),
  },
  {
    name: 'ingest-batch', unit: 'events/s', least: 20000,
    measure: async () => ({ value: median(await repeat(RUNS, () => measureEvents(inbound, EVENTS, 1000, 4))) }),
  },
  {
    name: 'engine-runs', unit: 'runs/s', least: 10000,
    measure: async () => ({ value: median((await engine()).map(({ singleStepRunsPerSecond }) => singleStepRunsPerSecond)) }),
  },
  {
    name: 'engine-latency', unit: 'ms p50 to first step', below: 5,
    measure: async () => ({ value: median((await engine()).map(({ firstStepP50Ms }) => firstStepP50Ms)) }),
  },
  {
    name: 'storylines', unit: 'edges wrong', below: 1,
    measure: async () => ({ value: await storylines() }),
  },
  ...['overall', 'paraphrase', 'identifier'].map((category, i) => ({
    name: i ? `retrieval-${category}` : 'retrieval', unit: 'nDCG@10', least: [0.785, 0.4, 0.92][i], peer: 'SQLite FTS5',
    measure: async () => {
      const { ours, baseline } = (await retrieval())[category];
      return { value: ours, peerValue: baseline };
    },
  })),
];

async function measure(row) {
  try {
    const { value, peerValue } = await row.measure();
    const result = { name: row.name, value, unit: row.unit, goal: goalText(row), peer: row.peer ?? null, peerValue: peerValue ?? null,
      ok: met(row, value) };
    console.log(tableLine(result));
    return result;
  } catch (error) {
    if (error instanceof Skipped) {
      console.log(`${row.name.padEnd(22)}  skipped: ${error.message}`);
      return null;
    }
    console.log(`${row.name.padEnd(22)}  failed: ${error.message}`);
    return { name: row.name, value: null, unit: row.unit, goal: goalText(row), peer: row.peer ?? null, peerValue: null, ok: false };
  }
}

if (found.valkey && found.valkey.commits !== VALKEY_COMMITS)
  console.error(`bench: valkey has ${found.valkey.commits} commits here; the goals are for ${VALKEY_COMMITS}`);
const wanted = rows.filter(({ name }) => !process.env.ROW || name === process.env.ROW || name.startsWith(`${process.env.ROW}-`));
if (!wanted.length) {
  console.error(`bench: no row ${process.env.ROW}; there are: ${rows.map(({ name }) => name).join(" ")}`);
  process.exit(2);
}
if (loadavg()[0] > availableParallelism() / 2) console.error(`bench: the machine is busy (load ${loadavg()[0].toFixed(1)}); times will be worse than they are`);
mkdirSync(work, { recursive: true });
console.log(head());
const measured = [];
for (const row of wanted) {
  const result = await measure(row);
  if (result) measured.push(result);
}
save('bench/results/latest.json', measured, rows.map(({ name }) => name));
process.exitCode = measured.every(({ ok }) => ok) ? 0 : 1;
