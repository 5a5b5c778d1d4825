// report.mjs - the table, and bench/results/latest.json.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname } from 'node:path';

export const met = (row, value) => (row.least !== undefined ? value >= row.least : value < row.below);
export const goalText = (row) =>
  row.goal ?? (row.least !== undefined ? `>= ${row.least.toLocaleString("en")}` : `< ${row.below.toLocaleString("en")}`);

function number(value) {
  if (value === null || value === undefined) return '';
  return value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

const widths = [22, 12, 12, 14, 34];
const line = (cells) => cells.map((cell, i) => (i && i < 3 ? cell.padStart(widths[i]) : cell.padEnd(widths[i] ?? 0))).join('  ').trimEnd();

export const head = () => line(['row', 'value', 'goal', 'unit', 'peer']);
export const tableLine = (row) =>
  line([row.name, number(row.value), row.goal, row.unit, row.peer ? `${row.peer}: ${number(row.peerValue)}` : '', row.ok ? 'ok' : 'MISSED']);

export function machine() {
  return `${cpus()[0].model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;
}

// The commit that is measured; with changes on top it is no commit that results could be kept for.
export function commit() {
  try {
    const id = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
    const changed = execFileSync('git', ['status', '--porcelain', '--untracked-files=no', '--', 'src', 'data', 'meson.build'],
      { encoding: 'utf8' }).trim();
    return changed ? `${id}-changed` : id;
  } catch {
    return 'unknown';
  }
}

// Rows measured now replace those of the same name; the others stay if they are of the same commit and machine.
export function save(file, measured, order) {
  const now = { machine: machine(), commit: commit() };
  let rows = [];
  try {
    const before = JSON.parse(readFileSync(file, 'utf8'));
    if (/^[0-9a-f]+$/.test(now.commit) && before.commit === now.commit && before.machine === now.machine) rows = before.rows;
  } catch {
    // no results yet
  }
  rows = [...rows.filter(({ name }) => !measured.some((row) => row.name === name)), ...measured];
  const position = ({ name }) => (order.includes(name) ? order.indexOf(name) : order.length);
  rows.sort((a, b) => position(a) - position(b));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify({ ...now, rows }, null, 2) + '\n');
}
