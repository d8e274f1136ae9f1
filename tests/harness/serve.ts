// Serves a home until it is asked to end: node serve.ts <home> <ready file>
import { readFile } from 'node:fs/promises';
import { startServer, writeReadyFile } from '@hypostyle/server';

const [, , home, readyFile] = process.argv;
if (home === undefined || readyFile === undefined) throw new Error('node serve.ts <home> <ready file>');
const server = await startServer({ home, listen: { host: '127.0.0.1', port: 0 }, mode: 'host' });
const password = (await readFile(server.passwordFile, 'utf8')).trim();
await writeReadyFile(readyFile, { url: server.url, username: server.username, password, pid: process.pid });
process.on('SIGTERM', () => {
  server.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
