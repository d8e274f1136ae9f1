import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openHome } from '../home/home.ts';
import { loadTlsMaterial } from './tls-material.ts';

test('OpenSSL accepts the chain as that of a TLS server', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-tls-'));
  try {
    const home = await openHome(folder);
    await loadTlsMaterial(home, ['localhost', '127.0.0.1', '::1']);
    const certificate = join(home.tlsDirectory, 'server.crt');
    const args = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', home.authorityFile, certificate];
    assert.match(execFileSync('openssl', args, { encoding: 'utf8' }), /: OK/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
