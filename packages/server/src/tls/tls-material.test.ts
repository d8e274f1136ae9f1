import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openHome } from '../home/home.ts';
import { loadTlsMaterial, serverNames } from './tls-material.ts';

async function withHome<T>(run: (home: Awaited<ReturnType<typeof openHome>>) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-tls-'));
  try {
    return await run(await openHome(folder));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const names = ['localhost', 'host.example', '127.0.0.1', '::1', '2001:db8::17'];

test('a certificate is for every name and address, signed by an authority that may sign', async () => {
  await withHome(async (home) => {
    const { certificateChain, thumbprint } = await loadTlsMaterial(home, names);
    const server = new X509Certificate(certificateChain);
    const authority = new X509Certificate(await readFile(home.authorityFile));
    assert.ok(server.checkIssued(authority) && server.verify(authority.publicKey));
    assert.ok(authority.ca);
    assert.equal(server.ca, false);
    assert.ok(server.checkHost('host.example') && server.checkHost('localhost'));
    for (const address of ['127.0.0.1', '::1', '2001:db8::17']) assert.ok(server.checkIP(address), address);
    assert.equal(server.checkHost('other.example'), undefined);
    assert.match(thumbprint, /^([0-9A-F]{2}:){19}[0-9A-F]{2}$/);
    assert.equal((await stat(join(home.tlsDirectory, 'server.key'))).mode & 0o777, 0o600);
  });
});

test('the certificate stays until its names change or its end is near; the authority stays', async () => {
  await withHome(async (home) => {
    const first = await loadTlsMaterial(home, names);
    const authority = await readFile(home.authorityFile, 'utf8');
    assert.equal((await loadTlsMaterial(home, names)).thumbprint, first.thumbprint);
    const renamed = await loadTlsMaterial(home, ['localhost', 'new.example']);
    assert.notEqual(renamed.thumbprint, first.thumbprint);
    const nearEnd = new Date(Date.now() + 370 * 86_400_000);
    const renewed = await loadTlsMaterial(home, ['localhost', 'new.example'], nearEnd);
    assert.notEqual(renewed.thumbprint, renamed.thumbprint);
    assert.equal(await readFile(home.authorityFile, 'utf8'), authority);
  });
});

test('a damaged key or one of another certificate is replaced', async () => {
  await withHome(async (home) => {
    const first = await loadTlsMaterial(home, names);
    await writeFile(join(home.tlsDirectory, 'server.key'), 'nonsense');
    const second = await loadTlsMaterial(home, names);
    assert.notEqual(second.thumbprint, first.thumbprint);
    await writeFile(join(home.tlsDirectory, 'server.key'), first.key);
    assert.notEqual((await loadTlsMaterial(home, names)).thumbprint, second.thumbprint);
  });
});

test('a server is named by what it listens at, but not by a wildcard', () => {
  assert.ok(serverNames('192.0.2.7').includes('192.0.2.7'));
  assert.ok(!serverNames('0.0.0.0').includes('0.0.0.0'));
  assert.ok(serverNames('::').includes('localhost'));
});
