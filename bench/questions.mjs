// questions.mjs - labelled questions: where they are, the workspace they are asked in, what an answer to them is worth.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const lightfast = process.env.LIGHTFAST ?? 'build/src/cli/lightfast';

// Comma-separated values of an environment variable.
export function list(name, usage) {
  const value = process.env[name];
  if (!value) { console.error(`${name} is missing: ${usage}`); process.exit(2); }
  return value.split(',');
}

export const run = (command, args, options = {}) =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'inherit'], ...options });

export const read = (file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

// A temporary directory with a workspace of that revision in it, data; remove() it.
export function importRevision(repo, rev) {
  const directory = mkdtempSync(join(tmpdir(), 'lightfast-eval-'));
  const env = { ...process.env, LIGHTFAST_DATA_DIR: join(directory, 'data'), LIGHTFAST_LISTEN: '127.0.0.1:0',
    LIGHTFAST_LIMITS_SEARCH_PER_MINUTE: '0', LIGHTFAST_LIMITS_READ_PER_MINUTE: '0' };
  delete env.LIGHTFAST; // the server refuses LIGHTFAST variables that are no settings
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    const summary = JSON.parse(run(lightfast, ['import', 'git', repo, '--rev', rev, '--no-tags', '--json'], { env }));
    return { directory, data: env.LIGHTFAST_DATA_DIR, env, summary, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

const gained = (grades) => grades.slice(0, 10).reduce((sum, grade, rank) => sum + (2 ** grade - 1) / Math.log2(rank + 2), 0);

// nDCG@10 of results with these grades, best first, to a question.
export function ndcg(grades, question) {
  const ideal = gained(question.relevant.map(({ grade }) => grade).sort((a, b) => b - a));
  return ideal ? gained(grades) / ideal : 0;
}
