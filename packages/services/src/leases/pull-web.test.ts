import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { writeOva } from '@hypostyle/ovf';
import { data, type HttpNfcLeaseSourceFile, VimFault } from '@hypostyle/vim';
import { receiveDisk } from '../disks/disk-upload.ts';
import { collect, everything, faultOf, streamOf, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { thumbprint, thumbprint256, webServer } from '../testing/web-server.ts';
import { webContent } from './pull-web.ts';
import { openWeb } from './web-request.ts';

const noise = createHash('shake256', { outputLength: 300_000 }).update('pull').digest();
const { signal } = new AbortController();

const source = (url: string, more: Partial<HttpNfcLeaseSourceFile> = {}) =>
  data('HttpNfcLeaseSourceFile', { targetDeviceId: '/web/disk', url, create: false, ...more });
const header = (key: string, value: string) => data('KeyValue', { key, value });
const digestOf = (bytes: Uint8Array) =>
  header('Digest', `sha-256=${createHash('sha256').update(bytes).digest('base64')}`);
const pull = (file: HttpNfcLeaseSourceFile, patience?: number) =>
  collect(webContent(file, { signal, nearby: true, ...(patience === undefined ? {} : { patience }) }));
const serve = (test: TestContext, answer: RequestListener) => webServer(test, answer);

/** A fault of this type whose words match. */
const says = (type: string, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof VimFault, `${error}`);
  assert.equal(error.type, type, error.message);
  assert.match(error.message, words);
  return true;
};

test('what is whole arrives, by its length and its digest, and renews the lease', async (t) => {
  const { url } = await serve(t, (_, answer) => answer.end(noise));
  let count = 0;
  const onBytes = (bytes: number) => {
    count += bytes;
  };
  const file = source(`${url}/disk.vmdk`, { httpHeaders: [digestOf(noise)], size: noise.length });
  const got = await collect(webContent(file, { signal, nearby: true, onBytes }));
  assert.ok(got.equals(noise));
  assert.equal(count, noise.length);
});

test('what is cut off says where, whether its length was announced or not', async (t) => {
  const { url } = await serve(t, (request, answer) => {
    if (request.url === '/announced') answer.setHeader('Content-Length', noise.length);
    answer.write(noise.subarray(0, 100_000), () => answer.destroy());
  });
  for (const path of ['announced', 'chunked'])
    await assert.rejects(
      pull(source(`${url}/${path}`)),
      says('HttpFault', new RegExp(`/${path} broke off after 100000 bytes`)),
    );
});

test('another length than the client said is refused, before or after it came', async (t) => {
  const { url } = await serve(t, (request, answer) => {
    if (request.url === '/announced') answer.setHeader('Content-Length', noise.length);
    answer.end(noise);
  });
  for (const path of ['announced', 'chunked']) {
    const file = source(`${url}/${path}`, { size: noise.length + 1 });
    await assert.rejects(pull(file), says('HttpFault', /has 300000 bytes, not 300001/));
  }
});

test('a server that stands still is given up; one that is slow is not, nor one whose reader is', async (t) => {
  const { url } = await serve(t, (request, answer) => {
    if (request.url === '/silent') return;
    answer.write(noise.subarray(0, 1000));
    if (request.url === '/stuck') return;
    let at = 1000;
    const next = () => {
      answer.write(noise.subarray(at, at + 1000));
      at += 1000;
      if (at < 20_000) setTimeout(next, 50);
      else answer.end();
    };
    next();
  });
  await assert.rejects(pull(source(`${url}/silent`), 100), says('HttpFault', /silent does not answer/));
  await assert.rejects(
    pull(source(`${url}/stuck`), 800),
    says('HttpFault', /broke off after 1000 bytes: nothing came for 0\.8 s/),
  );
  assert.equal((await pull(source(`${url}/slow`), 800)).length, 20_000);
  let read = 0;
  for await (const piece of webContent(source(`${url}/slow`), { signal, nearby: true, patience: 800 })) {
    if (read === 0) await new Promise((resolve) => setTimeout(resolve, 1000));
    read += piece.length;
  }
  assert.equal(read, 20_000);
});

test('what the server answers otherwise is said, without secrets of the URL', async (t) => {
  const { url } = await serve(t, (_, answer) => answer.writeHead(403).end('no'));
  const secret = `${url.replace('//', '//user:pass@')}/disk.vmdk?signature=secret`;
  await assert.rejects(pull(source(secret)), (error: VimFault) => {
    says('HttpFault', /^http:\/\/127\.0\.0\.1:\d+\/disk\.vmdk answers 403 Forbidden\.$/)(error);
    assert.equal((error.detail as { statusCode?: number }).statusCode, 403);
    return true;
  });
  await assert.rejects(pull(source('http://127.0.0.1:1/x')), says('HttpFault', /cannot be read: .*ECONNREFUSED/));
  await assert.rejects(pull(source('http://[')), faultOf('InvalidArgument'));
  for (const bad of [header('X-A', 'b\r\nHost: c'), header('X A', 'b')])
    await assert.rejects(pull(source(url, { httpHeaders: [bad] })), faultOf('InvalidArgument'));
});

test("redirects are followed a few times; a client's headers go to its own server alone", async (t) => {
  const seen: (string | undefined)[] = [];
  const other = await serve(t, (request, answer) => {
    seen.push(`other ${request.headers.authorization}`);
    answer.end(noise);
  });
  const { url } = await serve(t, (request, answer) => {
    const { url: path = '' } = request;
    seen.push(`first ${request.headers.authorization}`);
    if (path === '/loop') answer.writeHead(302, { location: '/loop' }).end();
    else if (path === '/file') answer.writeHead(302, { location: 'file:///etc/passwd' }).end();
    else if (path === '/nowhere') answer.writeHead(302).end();
    else if (path === '/near') answer.writeHead(307, { location: 'far' }).end();
    else answer.writeHead(301, { location: `${other.url}/disk.vmdk` }).end();
  });
  const httpHeaders = [header('Authorization', 'Bearer x'), header('Range', 'bytes=0-5'), header('Host', 'elsewhere')];
  assert.ok((await pull(source(`${url}/near`, { httpHeaders }))).equals(noise));
  assert.deepEqual(seen, ['first Bearer x', 'first Bearer x', 'other undefined']);
  for (const [path, words] of [
    ['loop', /answers 302/],
    ['file', /leads elsewhere/],
    ['nowhere', /answers 302/],
  ] as const)
    await assert.rejects(pull(source(`${url}/${path}`)), says('HttpFault', words));
});

test('a server with TLS is known by its thumbprint, or else must be believed', async (t) => {
  const seen: (string | undefined)[] = [];
  const answer: RequestListener = (request, response) => {
    seen.push(request.headers.authorization);
    response.end(noise);
  };
  const { url } = await webServer(t, answer, { tls: true });
  for (const sslThumbprint of [thumbprint, thumbprint.toLowerCase(), thumbprint256, thumbprint.replaceAll(':', '')])
    assert.ok((await pull(source(url, { sslThumbprint }))).equals(noise));
  seen.length = 0;
  const httpHeaders = [header('Authorization', 'secret')];
  for (const sslThumbprint of [undefined, '', thumbprint.replace(/^../, '00'), '00']) {
    const file = source(url, { httpHeaders, ...(sslThumbprint === undefined ? {} : { sslThumbprint }) });
    await assert.rejects(pull(file), (error: VimFault) => {
      assert.equal(error.type, 'SSLVerifyFault');
      assert.deepEqual(error.detail, { ...error.detail, selfSigned: true, thumbprint });
      return true;
    });
  }
  assert.deepEqual(seen, [], 'nothing is said to a server that is another');
  // The connection of one that was right is not taken by one that says another thumbprint.
  const right = await openWeb(source(url, { sslThumbprint: thumbprint }), { signal, nearby: true });
  await assert.rejects(pull(source(url, { sslThumbprint: '00' })), faultOf('SSLVerifyFault'));
  await collect(right.body);
});

test('what began with TLS does not go on without it', async (t) => {
  const open = await serve(t, (_, answer) => answer.end(noise));
  const { url } = await webServer(t, (_, answer) => answer.writeHead(302, { location: open.url }).end(), { tls: true });
  await assert.rejects(pull(source(url, { sslThumbprint: thumbprint })), says('HttpFault', /leads elsewhere/));
});

async function archive(manifestAt: 'start' | 'end', disk: Uint8Array): Promise<Buffer> {
  const output = new PassThrough();
  const bytes = collect(output);
  const descriptor = `<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>
    <File ovf:id="a" ovf:href="a.vmdk" ovf:size="${disk.length}"/><File ovf:id="b" ovf:href="b.vmdk" ovf:size="3"/>
    </References><VirtualSystem ovf:id="v"><Info/>
    <VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></Envelope>`;
  const input = (name: string, content: Uint8Array) => ({
    name,
    size: content.length,
    open: async function* () {
      yield content;
    },
  });
  await writeOva(output, {
    descriptorName: 'v.ovf',
    descriptor,
    files: [input('a.vmdk', disk), input('b.vmdk', Buffer.from('abc'))],
    manifestAt,
  });
  return bytes;
}

test('a member of an archive is checked by the manifest, wherever it is, and its last piece waits for that', async (t) => {
  for (const manifestAt of ['start', 'end'] as const) {
    const good = await archive(manifestAt, noise);
    const bad = Buffer.from(good);
    const at = bad.indexOf(noise.subarray(0, 64)) + 150_000;
    bad[at] = bad[at]! ^ 1;
    const { url } = await serve(t, (request, answer) => answer.end(request.url === '/good' ? good : bad));
    assert.ok((await pull(source(`${url}/good`, { memberName: 'a.vmdk' }))).equals(noise), manifestAt);
    assert.equal(`${await pull(source(`${url}/good`, { memberName: 'b.vmdk' }))}`, 'abc');
    let read = 0;
    const reading = (async () => {
      for await (const piece of webContent(source(`${url}/bad`, { memberName: 'a.vmdk' }), { signal, nearby: true }))
        read += piece.length;
    })();
    await assert.rejects(reading, says('IncorrectFileType', /a\.vmdk in http.*SHA256 is [0-9a-f]{64}/));
    assert.ok(read < noise.length, `${read} bytes were given out`);
    await assert.rejects(pull(source(`${url}/good`, { memberName: 'c.vmdk' })), faultOf('FileNotFound'));
  }
});

test('a disk whose pull fails, however it does, leaves nothing; a good one is there', async (t) => {
  const root = await temporaryDatastore(t);
  const before = await everything(root);
  const image = Buffer.alloc(2 ** 20);
  noise.copy(image, 4096);
  const disk = await collect(streamOf(image));
  const { url } = await serve(t, (request, answer) => {
    if (request.url === '/cut') answer.write(disk.subarray(0, disk.length >> 1), () => answer.destroy());
    else answer.end(disk);
  });
  const receive = (file: HttpNfcLeaseSourceFile) =>
    receiveDisk(
      webContent(file, { signal, nearby: true }),
      { root, path: 'web.vmdk', capacityBytes: image.length, provisioning: 'thin' },
      { signal },
    );
  await assert.rejects(receive(source(`${url}/cut`)), says('HttpFault', /broke off after/));
  await assert.rejects(
    receive(source(url, { httpHeaders: [digestOf(image)] })),
    says('IncorrectFileType', /its sha256 is .*, not /),
  );
  assert.deepEqual(await everything(root), before);
  await receive(source(url, { httpHeaders: [digestOf(disk)] }));
  assert.deepEqual(await everything(root), ['web-flat.vmdk', 'web.vmdk']);
});
