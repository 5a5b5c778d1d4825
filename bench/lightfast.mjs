// lightfast.mjs - runs the program under measurement, and the programs beside it.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import net from 'node:net';

export const seconds = () => Number(process.hrtime.bigint()) / 1e9;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

export async function repeat(times, measure) {
  const results = [];
  for (let i = 0; i < times; i++) results.push(await measure(i));
  return results;
}

// Nothing of the caller's settings may change what is measured.
function environment(settings = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LIGHTFAST_')));
  return { ...clean, ...settings };
}

export const output = (program, args, settings) =>
  new Promise((resolve, reject) =>
    execFile(program, args, { env: environment(settings), maxBuffer: 1 << 30 }, (error, stdout, stderr) =>
      error ? reject(new Error(`${program} ${args[0] ?? ""}: ${stderr.trim() || error.message}`)) : resolve(stdout)));

export const git = (directory, ...args) =>
  execFileSync('git', ['-C', directory, ...args], { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'ignore'] });

function memory(pid, field) {
  try {
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000;
  } catch {
    return 0; // it has ended
  }
}

// Wall time of a whole process, and the most anonymous memory it had (sampled every 10 ms), in MB.
export function timed(program, args) {
  return new Promise((resolve, reject) => {
    const begin = seconds();
    const child = spawn(program, args, { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    let peak = 0, stdout = '', stderr = '';
    const sampling = setInterval(() => (peak = Math.max(peak, memory(child.pid, 'RssAnon'))), 10);
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr = (stderr + data).slice(-2000)));
    child.on('error', reject);
    child.on('close', (status) => {
      clearInterval(sampling);
      if (status !== 0) reject(new Error(`${program} ${args[0]} ended with status ${status}: ${stderr.trim()}`));
      else resolve({ seconds: seconds() - begin, peak, stdout });
    });
  });
}

// One request on a fresh connection; resolves when the first line of the answer is there.
function answers(port, path) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n`));
    socket.once('data', (data) => {
      socket.destroy();
      String(data).startsWith('HTTP/1.1 200') ? resolve() : reject(new Error(`${path}: ${String(data).split("\r\n")[0]}`));
    });
    socket.once('error', reject);
  });
}

export class Server {
  // Resolves when the server has answered /readyz; `readySeconds` counts from before the process was made.
  static start(program, dataDir, settings = {}) {
    const server = new Server();
    const begin = seconds();
    server.child = spawn(program, ['serve', '--data-dir', dataDir, '--listen', '127.0.0.1:0'],
      { env: environment(settings), stdio: ['ignore', 'ignore', 'pipe'] });
    server.closed = new Promise((resolve) => server.child.on('close', resolve));
    return new Promise((resolve, reject) => {
      let log = '';
      server.child.on('error', reject);
      server.child.on('close', (status) => reject(new Error(`the server ended with status ${status}: ${log.trim()}`)));
      server.child.stderr.on('data', async (data) => {
        if (server.port) return;
        log += data;
        const listening = /listening on 127\.0\.0\.1:(\d+)/.exec(log);
        if (!listening) return;
        server.port = Number(listening[1]);
        try {
          await answers(server.port, '/readyz');
        } catch (error) {
          return reject(error);
        }
        server.readySeconds = seconds() - begin;
        resolve(server);
      });
    });
  }

  memory(field) {
    return memory(this.child.pid, field);
  }

  async stop() {
    this.child.kill('SIGTERM');
    const late = sleep(10000, 'late', { ref: false });
    if ((await Promise.race([this.closed, late])) === 'late') this.child.kill('SIGKILL');
    await this.closed;
  }
}
