// openapi.test.mjs - the API's reference page: self-contained, packed, allowed to talk to its own server only.
import assert from 'node:assert/strict';
import http from 'node:http';
import { join } from 'node:path';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import { directory, environment, serve } from './lightfast.mjs';

const start = async (t) => serve(t, environment(join(directory(t), 'data')));

// As it came over the wire; fetch would unpack it.
function raw(url, headers = {}) {
  return new Promise((done, failed) => {
    http.get(url, { headers }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
    }).on('error', failed);
  });
}

test('the reference page is HTML that names the document and nothing outside this server', async (t) => {
  const server = await start(t);
  const page = await raw(`${server.url}/docs/api`);
  assert.deepEqual([page.status, page.headers['content-type']], [200, 'text/html; charset=utf-8']);
  const text = page.body.toString();
  assert.match(text, /"\/v1\/openapi\.json"/);
  assert.doesNotMatch(text, /(src|href|url)="?:?\s*"?https?:/);
  const policy = page.headers['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /connect-src 'self'/);
  assert.doesNotMatch(policy, /https?:|\*|unsafe-eval/);
  assert.doesNotMatch(policy.match(/script-src[^;]*/)[0], /unsafe/);
});

test('every script of the reference page is served, packed for whoever takes gzip', async (t) => {
  const server = await start(t);
  const scripts = [...(await raw(`${server.url}/docs/api`)).body.toString().matchAll(/<script [^>]*src="([^"]+)"/g)].map((each) => each[1]);
  if (scripts.length === 0) { // built without npm: then there is no renderer to ask for
    assert.equal((await raw(`${server.url}/docs/api/renderer.js`)).status, 404);
    return;
  }
  for (const script of scripts) {
    const packed = await raw(server.url + script, { 'accept-encoding': 'gzip, deflate, br' });
    const plain = await raw(server.url + script);
    assert.deepEqual([packed.status, plain.status], [200, 200]);
    assert.match(plain.headers['content-type'], /^text\/javascript/);
    assert.deepEqual([packed.headers['content-encoding'], plain.headers['content-encoding']], ['gzip', undefined]);
    assert.equal(packed.headers.vary, 'Accept-Encoding');
    assert.ok(gunzipSync(packed.body).equals(plain.body));
    assert.ok(packed.body.length * 2 < plain.body.length);
  }
});

test('only reading the reference page is allowed', async (t) => {
  const server = await start(t);
  const answer = await fetch(`${server.url}/docs/api`, { method: 'POST', body: '{}' });
  assert.deepEqual([answer.status, answer.headers.get('allow'), (await answer.json()).error], [405, 'GET, HEAD', 'METHOD_NOT_ALLOWED']);
});
