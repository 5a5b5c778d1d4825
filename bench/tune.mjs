// tune.mjs - chooses the weights of src/search/weights.c on labelled questions, and says what that choice is worth.
//   REPO=<git directory> REV=<commit> QUESTIONS=<jsonl> GRADES=<bench_grades> node bench/tune.mjs   (bench/tune builds it)
// REPO, REV and QUESTIONS may be comma-separated lists of equal length.
//
// Every setting of the grid is asked every question once, through the program's own search. Then: cross-validation. The
// questions are dealt into five folds, evenly by corpus and category; for each fold the setting that is best on the
// other four is measured on it. This is done for several deals, for one deal's luck is larger than most differences.
// "held out" is the mean over all deals: what to expect of questions that nobody tuned on. The same in every run.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { importRevision, list, ndcg, read } from './questions.mjs';

const usage = 'make tune REPO=<git directory> REV=<commit> QUESTIONS=<jsonl>';
const FOLDS = 5, DEALS = 6;

// The weight of the cover is the specification's.
const grid = {
  word: [0, 0.25, 0.5, 0.75, 1],
  title: [0.15, 0.3, 0.45],
  feedback: [0, 0.1, 0.2, 0.3],
  feedback_unfound: [0, 0.2, 0.4, 0.6],
  maxsim: [0, 0.3, 0.45],
  recency: [0, 0.025, 0.05],
};

// ---- the grid ----------------------------------------------------------------------------------------------------------

const names = Object.keys(grid);
const settings = names.reduce((all, name) => all.flatMap((some) => grid[name].map((value) => ({ ...some, [name]: value }))), [{}]);

// nDCG@10 of every question of a corpus under every setting: scores[setting][question].
async function score(repo, rev, questions, file) {
  const { data, remove } = importRevision(repo, rev);
  try {
    const judge = spawn(process.env.GRADES, [data, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    judge.stdin.on('error', () => {}); // its exit says more
    const ended = new Promise((done) => judge.once('exit', done));
    judge.stdin.end(settings.map((setting) => `${JSON.stringify(setting)}\n`).join(''));
    const scores = [];
    for await (const line of createInterface({ input: judge.stdout }))
      scores.push(line.split(' ').map((grades, i) => ndcg([...grades].map(Number), questions[i])));
    if ((await ended) !== 0 || scores.length !== settings.length) throw new Error('grades ended early');
    return scores;
  } finally {
    remove();
  }
}

const repos = list('REPO', usage), revs = list('REV', usage), files = list('QUESTIONS', usage);
const corpora = files.map(read);
const questions = corpora.flatMap((some, corpus) => some.map((question) => ({ ...question, corpus })));
const parts = await Promise.all(repos.map((repo, i) => score(repo, revs[i], corpora[i], files[i])));
const scores = settings.map((_, i) => parts.flatMap((part) => part[i]));
const categories = [...new Set(questions.map(({ category }) => category))];

// ---- choosing ----------------------------------------------------------------------------------------------------------

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// Neighbours differ in one weight by one step.
const steps = names.reduceRight((all, name) => [(all[0] ?? 1) * grid[name].length, ...all], []).map((size, i) => size / grid[names[i]].length);
const neighbours = settings.map((setting, at) => [at, ...names.flatMap((name, i) => {
  const place = grid[name].indexOf(setting[name]);
  return [place > 0 && at - steps[i], place + 1 < grid[name].length && at + steps[i]].filter((other) => other !== false);
})]);

// The setting that is best on these questions together with its neighbours: a peak that stands alone is luck.
function choose(asked) {
  const own = scores.map((values) => mean(asked.map((question) => values[question])));
  const smooth = neighbours.map((near) => mean(near.map((other) => own[other])));
  return smooth.indexOf(Math.max(...smooth));
}

// ---- folds -------------------------------------------------------------------------------------------------------------

function generator(seed) {
  return (limit) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 4294967296) * limit);
  };
}

function deal(seed) {
  const random = generator(seed), folds = new Array(questions.length);
  let next = 0;
  for (const category of categories)
    for (let corpus = 0; corpus < corpora.length; corpus++) {
      const group = [...questions.keys()].filter((i) => questions[i].category === category && questions[i].corpus === corpus);
      for (let i = group.length - 1; i > 0; i--) {
        const j = random(i + 1);
        [group[i], group[j]] = [group[j], group[i]];
      }
      for (const question of group) folds[question] = next++ % FOLDS;
    }
  return folds;
}

// Mean by category and over all; chosen[question] is the setting that answers it.
function summary(asked, chosen) {
  const of = (some) => mean(some.map((question) => scores[chosen(question)][question]));
  return [...categories.map((category) => of(asked.filter((i) => questions[i].category === category))), of(asked)];
}

const everything = [...questions.keys()];
const row = (title, values) => console.log(title.padEnd(16), values.map((value) => value.toFixed(3).padStart(10)).join(' '));
const written = (at) => names.map((name) => `${name} ${settings[at][name]}`).join(', ');

console.log(`${settings.length} settings, ${questions.length} questions, nDCG@10\n`);
console.log(' '.repeat(16), [...categories, 'overall'].map((name) => name.padStart(10)).join(' '));
const helds = [];
for (let seed = 1; seed <= DEALS; seed++) {
  const folds = deal(seed), chosen = [];
  for (let fold = 0; fold < FOLDS; fold++) {
    const train = everything.filter((i) => folds[i] !== fold), held = everything.filter((i) => folds[i] === fold);
    chosen[fold] = choose(train);
    row(`deal ${seed} fold ${fold + 1}`, summary(train, () => chosen[fold]));
    row('  held out', summary(held, () => chosen[fold]));
    console.log(`  ${written(chosen[fold])}`);
  }
  helds.push(summary(everything, (i) => chosen[folds[i]]));
  row(`deal ${seed} held out`, helds.at(-1));
}
row('\nheld out', helds[0].map((_, i) => mean(helds.map((held) => held[i]))));
const best = choose(everything);
row('all, chosen', summary(everything, () => best));
console.log(`\nchosen: ${written(best)}`);
