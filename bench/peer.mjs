// peer.mjs - what a webhook costs a Node server that only verifies its signature, with @octokit/webhooks, and stores nothing.
//   node peer.mjs DIRECTORY_OF_NODE_MODULES SECRET   prints its port
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, secret] = process.argv.slice(2);
const { Webhooks } = await import(pathToFileURL(join(modules, '@octokit/webhooks/dist-bundle/index.js')));
const webhooks = new Webhooks({ secret });

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', async () => {
    const genuine = await webhooks.verify(Buffer.concat(chunks).toString('utf8'), request.headers['x-hub-signature-256']);
    response.writeHead(genuine ? 200 : 401, { 'content-type': 'application/json', 'content-length': 17 });
    response.end('{"received":true}');
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
