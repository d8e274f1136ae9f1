import assert from 'node:assert/strict';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { collect, everything, streamOf, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { type AccessVerdict, type FolderAccess, handleFolderRequest } from './folder-handler.ts';
import type { FileResponse } from './http-exchange.ts';

async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function fixture(t: TestContext) {
  const root = await temporaryDatastore(t);
  await mkdir(join(root.directory, 'web/.hypo'), { recursive: true });
  await writeFile(join(root.directory, 'web/web.vmx'), 'name = "web"');
  await writeFile(join(root.directory, 'web/.hypo/journal'), 'secret');
  await writeFile(join(root.directory, 'web/vm.lck'), 'secret');
  const rights = { verdict: 'ok' as AccessVerdict, asked: [] as string[] };
  const busy = new Set<string>();
  const access: FolderAccess = {
    datacenters: () => ['ha-datacenter'],
    datastores: (datacenter) => (datacenter === undefined || datacenter === 'ha-datacenter' ? [root] : []),
    authorize(datastore, privilege) {
      rights.asked.push(`${datastore} ${privilege}`);
      return rights.verdict;
    },
    isBusy: (_root, path) => busy.has(path),
  };
  const answers: FileResponse[] = [];
  // As a server does when its client does not want the body.
  t.after(async () => {
    for (const { body } of answers) if (body && !Buffer.isBuffer(body)) await body[Symbol.asyncIterator]().return?.();
  });
  const send = async (
    method: string,
    url: string,
    headers: Record<string, string> = {},
    body: AsyncIterable<Uint8Array> = pieces(),
  ) => {
    const { signal } = new AbortController();
    const answer = await handleFolderRequest({ method, url, headers, body, signal }, access);
    answers.push(answer);
    return answer;
  };
  const at = (path: string) => `/folder/${path}?dcPath=ha-datacenter&dsName=ds`;
  return { root, rights, busy, access, send, at };
}

async function textOf({ body }: FileResponse): Promise<string> {
  if (body === undefined) return '';
  return Buffer.isBuffer(body) ? body.toString() : (await collect(body)).toString();
}

test('gives files, whole and in parts', async (t) => {
  const { send, at } = await fixture(t);
  const whole = await send('GET', at('web/web.vmx'));
  assert.equal(whole.status, 200);
  assert.equal(whole.headers['content-length'], '12');
  assert.equal(await textOf(whole), 'name = "web"');
  const part = await send('GET', at('web/web.vmx'), { range: 'bytes=7-10' });
  assert.deepEqual([part.status, part.headers['content-range'], await textOf(part)], [206, 'bytes 7-10/12', '"web']);
  const tail = await send('GET', at('web/web.vmx'), { range: 'bytes=-2' });
  assert.equal(await textOf(tail), 'b"');
  assert.equal((await send('GET', at('web/web.vmx'), { range: 'bytes=12-' })).status, 416);
  const head = await send('HEAD', at('web/web.vmx'));
  assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '12', undefined]);
  const etag = whole.headers.etag ?? '';
  assert.equal((await send('GET', at('web/web.vmx'), { 'if-none-match': etag })).status, 304);
  assert.equal((await send('GET', at('web/web.vmx'), { 'if-match': '"other"' })).status, 412);
  assert.equal((await send('GET', at('web/web.vmx'), { range: 'bytes=0-0', 'if-range': etag })).status, 206);
  assert.equal((await send('GET', at('web/web.vmx'), { range: 'bytes=0-0', 'if-range': '"old"' })).status, 200);
  const date = whole.headers['last-modified'] ?? '';
  assert.equal((await send('GET', at('web/web.vmx'), { range: 'bytes=0-0', 'if-range': date })).status, 206);
});

test('shows datastores and folders as links, without what is hidden', async (t) => {
  const { send, at, root } = await fixture(t);
  await writeFile(join(root.directory, 'web/<b>&.log'), '');
  assert.match(await textOf(await send('GET', '/folder')), /href="\/folder\?dcPath=ha-datacenter&#38;dsName=ds">ds</);
  const page = await textOf(await send('GET', at('web/')));
  assert.match(page, /href="\/folder\/web\/web\.vmx\?dcPath=ha-datacenter&#38;dsName=ds"/);
  assert.match(page, /&#60;b&#62;&#38;\.log/);
  assert.doesNotMatch(page, /hypo|lck/);
  assert.match(await textOf(await send('GET', at(''))), />web\/</);
});

test('never serves what is hidden, outside, or not there', async (t) => {
  const { send, at, root } = await fixture(t);
  await writeFile(join(root.directory, '../secret'), 'secret');
  await symlink('../secret', join(root.directory, 'link'));
  for (const path of [
    'web/.hypo/journal',
    'web/.hypo/',
    'web/.HYPO/journal',
    'web/vm.lck',
    '.hypo-datastore',
    'none',
    '../secret',
    '%2e%2e/secret',
    '..%2fsecret',
    'web/%2e%2e/%2e%2e/secret',
    '/etc/passwd',
    '%2fetc/passwd',
    'link',
    'web/web.vmx%00.log',
    '%ff',
  ]) {
    const answer = await send('GET', at(path));
    assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
    const text = await textOf(answer);
    assert.doesNotMatch(text, /^secret$/m);
    assert.ok(!text.includes(root.directory), 'the path on the host stays unsaid');
  }
  assert.equal((await send('GET', '/folder/x?dsName=other')).status, 404);
  assert.equal((await send('GET', '/folder/x')).status, 400);
  assert.equal((await send('TRACE', at('web'))).status, 405);
});

test('asks for rights first', async (t) => {
  const { send, at, rights, root } = await fixture(t);
  rights.verdict = 'unauthenticated';
  const answer = await send('GET', at('none'));
  assert.equal(answer.status, 401);
  assert.match(answer.headers['www-authenticate'] ?? '', /^Basic /);
  rights.verdict = 'denied';
  assert.equal((await send('PUT', at('web/new'), {}, pieces(Buffer.from('x')))).status, 403);
  assert.equal((await send('DELETE', at('web/web.vmx'))).status, 403);
  assert.deepEqual(rights.asked, ['ds Datastore.Browse', 'ds Datastore.FileManagement', 'ds Datastore.FileManagement']);
  assert.deepEqual(await everything(root), ['web', 'web/.hypo', 'web/.hypo/journal', 'web/vm.lck', 'web/web.vmx']);
});

test('takes files whole or not at all', async (t) => {
  const { send, at, root, busy } = await fixture(t);
  const before = await everything(root);
  const put = (path: string, text: string, headers: Record<string, string> = {}) =>
    send('PUT', at(path), headers, pieces(Buffer.from(text.slice(0, 2)), Buffer.from(text.slice(2))));
  async function* broken() {
    yield Buffer.from('ha');
    throw new Error('connection lost');
  }
  assert.equal((await send('PUT', at('web/a.iso'), {}, broken())).status, 500);
  assert.equal((await put('web/a.iso', 'short', { 'content-length': '6' })).status, 400);
  assert.equal((await put('web/a.iso', 'long', { 'content-length': '3' })).status, 400);
  assert.equal((await put('web/a.iso', 'x', { 'content-length': String(2 ** 49) })).status, 507);
  assert.equal((await send('PUT', at('none/at all/a.iso'), {}, broken())).status, 500);
  assert.equal((await put('web/web.vmx/a.iso', 'x')).status, 409);
  assert.equal((await put('web/.hypo/journal', 'x')).status, 400);
  assert.equal((await put('web', 'x')).status, 409);
  assert.equal((await put('web/web.vmx', 'x', { overwrite: 'F' })).status, 409);
  busy.add('web/web.vmx');
  assert.equal((await put('web/web.vmx', 'x')).status, 423);
  assert.equal((await send('DELETE', at('web/web.vmx'))).status, 423);
  assert.equal((await send('DELETE', at('web'))).status, 423);
  assert.deepEqual(await everything(root), before);
  busy.clear();
  assert.equal((await put('new/folder/a.iso', 'x')).status, 201);
  assert.equal((await put('new/b.iso', 'x')).status, 201);
  assert.ok((await everything(root)).includes('new/folder/a.iso'));
  await rm(join(root.directory, 'new'), { recursive: true });
  assert.equal((await put('web/a.iso', 'fresh', { overwrite: 'F' })).status, 201);
  assert.equal((await put('web/a.iso', 'again', { 'content-length': '5' })).status, 200);
  assert.equal(await readFile(join(root.directory, 'web/a.iso'), 'utf8'), 'again');
  assert.equal((await send('DELETE', at('web/a.iso'))).status, 204);
  assert.deepEqual(await everything(root), before);
  assert.equal((await send('DELETE', at('web'))).status, 204);
  assert.equal((await send('DELETE', at('web'))).status, 404);
  assert.deepEqual(await everything(root), []);
});

test('a sparse disk can be read as if it were flat, also in parts', async (t) => {
  const { send, at, root } = await fixture(t);
  const image = Buffer.alloc(1_048_576);
  image.write('boot sector', 0);
  image.write('the end', image.length - 7);
  await writeFile(join(root.directory, 'web/a.vmdk'), await collect(streamOf(image)));
  const head = await send('HEAD', at('web/a-flat.vmdk'));
  assert.deepEqual(
    [head.status, head.headers['content-length'], head.headers['accept-ranges']],
    [200, '1048576', 'bytes'],
  );
  const whole = await send('GET', at('web/a-flat.vmdk'));
  assert.ok(!Buffer.isBuffer(whole.body) && whole.body !== undefined && (await collect(whole.body)).equals(image));
  assert.equal(await textOf(await send('GET', at('web/a-flat.vmdk'), { range: 'bytes=-7' })), 'the end');
  assert.equal((await send('GET', at('web/b-flat.vmdk'))).status, 404);
  assert.equal((await send('GET', at('web/a-000001-flat.vmdk'))).status, 404);
});

test('a disk that names a file outside its datastore gives nothing', async (t) => {
  const { send, at, root } = await fixture(t);
  await writeFile(join(root.directory, '../secret'), Buffer.alloc(512, 'secret'));
  const descriptor = (file: string) =>
    `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 1 FLAT "${file}" 0\n`;
  for (const file of ['../../secret', '/etc/passwd', join(root.directory, '../secret')]) {
    await writeFile(join(root.directory, 'web/evil.vmdk'), descriptor(file));
    const answer = await send('GET', at('web/evil-flat.vmdk'));
    assert.notEqual(answer.status, 200);
    assert.doesNotMatch(await textOf(answer), /secretsecret|root:/);
  }
});

test('no URL makes it fail otherwise than with an answer', async (t) => {
  const { send } = await fixture(t);
  const part = fc.oneof(
    fc.constantFrom('/folder', '/', '?', 'dsName=ds', '&', 'web', '..', '%', '%2f', '%00', 'dcPath='),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE'),
      fc.array(part, { maxLength: 8 }),
      async (method, parts) => {
        const answer = await send(method, `/folder/${parts.join('')}`, { range: 'bytes=0-3' });
        assert.ok(answer.status >= 200 && answer.status < 500, `${answer.status}`);
        assert.ok(!(await textOf(answer)).includes('secret'));
      },
    ),
    { numRuns: 100 },
  );
});

test('files of a datastore elsewhere are asked for only with the rights on them', async (t) => {
  const { access, at } = await fixture(t);
  const held = new Set<string>();
  const passed: string[] = [];
  const away: FolderAccess = {
    ...access,
    datastores: () => [],
    datastoreNames: () => ['ds'],
    authorize: (_name, privilege) => (held.has(privilege) ? 'ok' : 'denied'),
    elsewhere: () => async (request) => {
      passed.push(`${request.method} ${request.url.split('?')[0]}`);
      return { status: 200, headers: {} };
    },
  };
  const send = async (method: string, url: string) => {
    const { signal } = new AbortController();
    return (await handleFolderRequest({ method, url, headers: {}, body: pieces(), signal }, away)).status;
  };
  assert.equal(await send('GET', at('web/')), 403);
  held.add('Datastore.Browse');
  assert.deepEqual([await send('GET', at('web/')), await send('GET', at('web/a'))], [200, 403]);
  assert.deepEqual([await send('PUT', at('web/a')), await send('DELETE', at('web/a'))], [403, 403]);
  held.add('Datastore.FileManagement');
  assert.deepEqual([await send('PUT', at('web/a')), await send('GET', at('web/a'))], [200, 200]);
  assert.deepEqual([await send('GET', at('web/.hypo/journal')), await send('GET', at('../a'))], [404, 400]);
  assert.deepEqual(passed, ['GET /folder/web/', 'PUT /folder/web/a', 'GET /folder/web/a']);
  assert.equal(await send('GET', '/folder?dcPath=ha-datacenter'), 200);
});
