// eval.mjs - retrieval quality: imports a revision, asks every question over HTTP, compares with SQLite FTS5.
//   REPO=<git directory> REV=<commit> QUESTIONS=<jsonl> OUT=<jsonl> node bench/eval.mjs
// REPO, REV, QUESTIONS and OUT may be comma-separated lists of equal length; the last table is then over all.
// Measures as shared/eval/README.md defines them.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { importRevision, lightfast, list, ndcg, read, run } from './questions.mjs';

const usage = 'make eval REPO=<git directory> REV=<commit> QUESTIONS=<jsonl> OUT=<jsonl>';

async function startServer(env) {
  const server = spawn(lightfast, ['serve'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface({ input: server.stderr })) {
    const address = line.match(/listening on ([\d.]+:\d+)/);
    if (address) { server.stderr.resume(); return { server, base: `http://${address[1]}` }; }
  }
  throw new Error('the server did not start');
}

async function askAll(questions, base, key) {
  const post = async (path, body) => {
    const answer = await fetch(base + path, {
      method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    const reply = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${JSON.stringify(reply)}`);
    return reply;
  };
  const results = new Map();
  for (const question of questions) {
    const filters = {};
    if (question.actor) filters.actorNames = [question.actor];
    if (question.after || question.before) {
      filters.dateRange = {};
      if (question.after) filters.dateRange.start = new Date(question.after).toISOString();
      if (question.before) filters.dateRange.end = new Date(new Date(question.before).getTime() - 1).toISOString();
    }
    const found = await post('/v1/search', { query: question.query, limit: 50, mode: 'balanced', filters });
    const ids = found.data.map((item) => item.id);
    const shas = [];
    if (ids.length) {
      const contents = await post('/v1/contents', { ids });
      for (const item of contents.items) {
        const sha = item.metadata?.commitSha;
        if (sha && !shas.includes(sha)) shas.push(sha);
      }
    }
    results.set(question.id, shas.slice(0, 50));
  }
  return results;
}

// The baseline: FTS5, porter unicode61, OR of all words, the same filters.
function askBaseline(questions, repo, rev, directory) {
  const log = run('git', ['-C', repo, 'log', '--format=%H%x1f%an%x1f%ct%x1f%s%x1f%b%x1e', rev]);
  const quote = (text) => `'${text.replaceAll("'", "''").replaceAll('\0', '')}'`;
  const rows = log.split('\x1e').map((row) => row.replace(/^\n/, '').split('\x1f')).filter((row) => row.length === 5);
  let script = "CREATE VIRTUAL TABLE c USING fts5(sha UNINDEXED, author UNINDEXED, at UNINDEXED, subject, body, tokenize='porter unicode61');\nBEGIN;\n";
  for (const [sha, author, at, subject, body] of rows)
    script += `INSERT INTO c VALUES (${quote(sha)},${quote(author)},${at},${quote(subject)},${quote(body)});\n`;
  script += 'COMMIT;\n';
  for (const question of questions) {
    const words = question.query.match(/[\p{L}\p{N}_]+/gu) ?? [];
    const match = words.map((word) => `"${word}"`).join(' OR ');
    let where = `c MATCH ${quote(match)}`;
    if (question.actor) where += ` AND instr(lower(author), lower(${quote(question.actor)})) > 0`;
    if (question.after) where += ` AND at >= ${new Date(question.after).getTime() / 1000}`;
    if (question.before) where += ` AND at < ${new Date(question.before).getTime() / 1000}`;
    script += `SELECT ${quote(question.id)} || '|' || sha FROM c WHERE ${where} ORDER BY bm25(c) LIMIT 50;\n`;
  }
  const results = new Map(questions.map((question) => [question.id, []]));
  for (const line of run('sqlite3', [join(directory, 'baseline.db')], { input: script }).split('\n')) {
    const [id, sha] = line.split('|');
    if (sha) results.get(id).push(sha);
  }
  return results;
}

function measure(question, shas) {
  const grades = new Map(question.relevant.map((entry) => [entry.sha, entry.grade]));
  const top = shas.slice(0, 10), first = shas.findIndex((sha) => grades.has(sha));
  return {
    recall: top.filter((sha) => grades.has(sha)).length / Math.min(10, grades.size),
    ndcg: ndcg(top.map((sha) => grades.get(sha) ?? 0), question),
    mrr: first < 0 ? 0 : 1 / (first + 1),
  };
}

function table(title, questions, ours, baseline) {
  const mean = (set, results, key) => set.reduce((sum, question) => sum + measure(question, results.get(question.id))[key], 0) / set.length;
  const categories = [...new Set(questions.map((question) => question.category)), 'overall'];
  console.log(`\n${title} (${questions.length} questions)\n`);
  console.log('category     Recall@10  (FTS5)   nDCG@10  (FTS5)   MRR    (FTS5)');
  const summary = {};
  for (const category of categories) {
    const set = category === 'overall' ? questions : questions.filter((question) => question.category === category);
    const cells = ['recall', 'ndcg', 'mrr'].map((key) => [mean(set, ours, key), mean(set, baseline, key)]);
    summary[category] = { ours: cells[1][0], baseline: cells[1][1] };
    console.log(category.padEnd(12), cells.map(([a, b]) => `${a.toFixed(3)}      ${b.toFixed(3)} `).join('  '));
  }
  return summary;
}

const repos = list('REPO', usage), revs = list('REV', usage), files = list('QUESTIONS', usage), outs = list('OUT', usage);
const everything = { questions: [], ours: new Map(), baseline: new Map() };
for (let i = 0; i < repos.length; i++) {
  const questions = read(files[i]), { directory, env, summary, remove } = importRevision(repos[i], revs[i]);
  let server;
  try {
    console.log(`${summary.repository}: ${summary.scanned} commits in ${summary.seconds} s`);
    const key = run(lightfast, ['key', 'create', 'eval'], { env }).trim();
    const started = await startServer(env);
    server = started.server;
    const ours = await askAll(questions, started.base, key);
    const baseline = askBaseline(questions, repos[i], revs[i], directory);
    writeFileSync(outs[i], questions.map((question) => JSON.stringify({ id: question.id, shas: ours.get(question.id) })).join('\n') + '\n');
    table(summary.repository, questions, ours, baseline);
    everything.questions.push(...questions);
    for (const [id, shas] of ours) everything.ours.set(id, shas);
    for (const [id, shas] of baseline) everything.baseline.set(id, shas);
  } finally {
    server?.kill('SIGTERM');
    if (server) await new Promise((done) => server.once('exit', done));
    remove();
  }
}
const overall = repos.length > 1
  ? table('all corpora', everything.questions, everything.ours, everything.baseline) : null;
if (overall && process.env.SUMMARY) writeFileSync(process.env.SUMMARY, JSON.stringify(overall) + '\n');
