import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createClient, handleNodeRequest } from '@hypostyle/vim';
import { openHome } from '../home/home.ts';
import { loadClientMaterial } from '../tls/client-material.ts';
import { loadTlsMaterial, serverNames } from '../tls/tls-material.ts';
import { listen, makeHttpsServer } from './https-listener.ts';

test('a listener that asks for it sees the certificate of a client, and no other does', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-client-'));
  try {
    const home = await openHome(folder);
    const tls = await loadTlsMaterial(home, serverNames('127.0.0.1'));
    const { key, certificate } = await loadClientMaterial(home, 'center.example');
    assert.deepEqual(await loadClientMaterial(home, 'other'), { key, certificate }, 'it stays the same for ever');
    assert.equal((await stat(join(home.tlsDirectory, 'client.key'))).mode & 0o777, 0o600);
    const shown: (Uint8Array | undefined)[] = [];
    for (const asksForCertificates of [true, false]) {
      const server = makeHttpsServer(
        tls,
        (incoming, outgoing) => {
          const handler = {
            handle: async (request: { readonly clientCertificate?: Uint8Array | undefined }) => {
              shown.push(request.clientCertificate);
              outgoing.end('no answer of the interface');
            },
          };
          void handleNodeRequest(handler, incoming, outgoing);
        },
        { asksForCertificates },
      );
      const port = await listen(server, { host: '127.0.0.1', port: 0 });
      const own = { certificate, privateKey: key };
      for (const more of [own, {}]) {
        const url = `https://127.0.0.1:${port}`;
        await using client = createClient({ url, tls: { fingerprint: tls.thumbprint, ...more } });
        // Twice: the second goes over the connection that is open already.
        for (let i = 0; i < 2; i += 1) await assert.rejects(client.content(), { code: 'not-understood' });
      }
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
    const { raw } = new X509Certificate(certificate);
    const der = shown.map((each) => (each === undefined ? undefined : Buffer.from(each).equals(raw)));
    assert.deepEqual(der, [true, true, undefined, undefined, undefined, undefined, undefined, undefined]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
