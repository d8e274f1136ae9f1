import { startServer } from './index.ts';

const s = await startServer({ home: '/tmp/h1', listen: { host: '127.0.0.1', port: 18443 }, mode: 'host' } as never);
console.log('READY', s.url, s.username, s.passwordFile);
process.on('SIGTERM', () => {
  s.close().then(() => process.exit(0));
});
