// corpus.mjs - finds the git directories to measure with; makes questions and longer histories out of them.
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { git } from './lightfast.mjs';

const known = [
  { name: 'valkey', pattern: /valkey/i, commits: 12676 },
  { name: 'pgbouncer', pattern: /pgbouncer/i, commits: 1807 },
];

function remote(directory) {
  try {
    return git(directory, 'config', '--get', 'remote.origin.url').trim();
  } catch {
    return '';
  }
}

// { valkey: { directory, commits, tip }, ... } of the directories named by CORPORA.
export function corpora(list = '') {
  const found = {};
  for (const directory of list.split(/\s+/).filter(Boolean)) {
    const tip = git(directory, 'rev-parse', 'HEAD').trim();
    const commits = Number(git(directory, 'rev-list', '--count', 'HEAD'));
    const match = known.find(({ pattern }) => pattern.test(directory) || pattern.test(remote(directory)))
      ?? known.find((corpus) => corpus.commits === commits);
    if (match) found[match.name] = { directory, commits, tip };
    else console.error(`bench: ${directory} is none of the known corpora (${known.map(({ name }) => name).join(", ")})`);
  }
  return found;
}

// The same numbers in every run.
function generator(seed) {
  return (limit) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 4294967296) * limit);
  };
}

// Distinct questions of two to six words that follow each other in a commit's subject.
export function questions(corpus, count, file) {
  const random = generator(7);
  const subjects = git(corpus.directory, 'log', '--format=%s').split('\n')
    .map((subject) => subject.match(/[A-Za-z][A-Za-z0-9_-]+/g) ?? []).filter((words) => words.length >= 2);
  const made = new Set();
  for (let tries = 0; made.size < count && tries < count * 50; tries++) {
    const words = subjects[random(subjects.length)];
    const length = Math.min(words.length, 2 + random(5));
    const from = random(words.length - length + 1);
    made.add(words.slice(from, from + length).join(' '));
  }
  writeFileSync(file, [...made].join('\n') + '\n');
  return made.size;
}

// A bare repository with the corpus's messages `times` over, one changed file a commit. Numbers of pull requests are
// shifted in each copy, and digits of commit ids too, so that no copy repeats or cites the events of another.
export function history(corpus, times, parent) {
  const directory = join(parent, `history-${corpus.tip.slice(0, 12)}-${times}x`);
  if (existsSync(join(directory, 'complete'))) return directory;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  execFileSync('git', ['init', '-q', '--bare', '-b', 'main', directory]);
  const commits = git(corpus.directory, 'log', '--reverse', '-z', '--format=%an%x01%ae%x01%at%x01%B').split('\0').filter(Boolean)
    .map((text) => text.split('\x01'));
  const clean = (text) => text.replace(/[<>\n]/g, '');
  const stream = join(directory, 'stream'), out = openSync(stream, 'w');
  let number = 0;
  for (const [name, email, time, message] of commits) // as ten times as many people would have made it: in time's order
    for (let copy = 0; copy < times; copy++) {
      const text = Buffer.from(message.replace(/#(\d{1,6})\b/g, (_, n) => `#${Number(n) + copy * 1000000}`)
        .replace(/\b[0-9a-f]{7,40}\b/g, (sha) => sha.replace(/./g, (digit) => ((parseInt(digit, 16) + copy) % 16).toString(16))));
      const content = `${number}\n`;
      writeSync(out, `commit refs/heads/main\nmark :${++number}\ncommitter ${clean(name)} <${clean(email)}> ${time} +0000\n`
        + `data ${text.length}\n`);
      writeSync(out, text);
      writeSync(out, `\nM 100644 inline file-${number % 500}\ndata ${content.length}\n${content}\n`);
    }
  closeSync(out);
  execFileSync('git', ['-C', directory, 'fast-import', '--quiet'], { stdio: [openSync(stream, 'r'), 'ignore', 'inherit'] });
  rmSync(stream);
  writeFileSync(join(directory, 'complete'), '');
  return directory;
}
