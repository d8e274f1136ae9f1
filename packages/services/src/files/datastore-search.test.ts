import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { data, type FileInfo, type HostDatastoreBrowserSearchSpec } from '@hypostyle/vim';
import { createFlatDisk } from '@hypostyle/vmdk';
import fc from 'fast-check';
import { faultOf, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { searchDatastore } from './datastore-search.ts';
import { matchesPattern } from './name-pattern.ts';

const details = data('FileQueryFlags', { fileType: true, fileSize: true, modification: true, fileOwner: false });

async function fixture(t: TestContext) {
  const root = await temporaryDatastore(t);
  await mkdir(join(root.directory, 'web/.hypo'), { recursive: true });
  await writeFile(join(root.directory, '.hypo-datastore'), 'the identity of the datastore');
  await writeFile(join(root.directory, 'web/web.vmx'), '.encoding = "UTF-8"\nvirtualHW.version = "13"\n');
  await writeFile(join(root.directory, 'web/vmware.log'), 'log');
  await writeFile(join(root.directory, 'Install.ISO'), 'iso');
  await createFlatDisk({ path: join(root.directory, 'web/web.vmdk'), virtualBytes: 4_194_304, allocation: 'thin' });
  const search = async (path: string, searchSpec?: Partial<HostDatastoreBrowserSearchSpec>, recursive = false) => {
    const spec = searchSpec && data('HostDatastoreBrowserSearchSpec', searchSpec);
    const results: { folder: string | undefined; file: readonly FileInfo[] }[] = [];
    for await (const { folderPath, file } of searchDatastore(root, { path, searchSpec: spec, recursive })) {
      results.push({ folder: folderPath, file: file ?? [] });
    }
    return results;
  };
  return { root, search };
}

const names = (results: readonly { file: readonly FileInfo[] }[]) =>
  results.map(({ file }) => file.map(({ path }) => path));

test('lists one folder, or every folder below too', async (t) => {
  const { search } = await fixture(t);
  assert.deepEqual(await search(''), [
    {
      folder: '[ds] ',
      file: [
        { _typeName: 'FileInfo', path: 'Install.ISO' },
        { _typeName: 'FileInfo', path: 'web' },
      ],
    },
  ]);
  const all = await search('', { sortFoldersFirst: true }, true);
  assert.deepEqual(
    all.map(({ folder }) => folder),
    ['[ds] ', '[ds] web/'],
  );
  assert.deepEqual(names(all), [
    ['web', 'Install.ISO'],
    ['vmware.log', 'web-flat.vmdk', 'web.vmdk', 'web.vmx'],
  ]);
  await assert.rejects(search('none'), faultOf('FileNotFound'));
  await assert.rejects(search('web/web.vmx'), faultOf('NotADirectory'));
  await assert.rejects(search('web/.hypo'), faultOf('FileNotFound'));
  await assert.rejects(search('..'), faultOf('InvalidDatastorePath'));
});

test('queries choose kinds and details', async (t) => {
  const { search } = await fixture(t);
  const query = [
    data('VmDiskFileQuery', {
      details: data('VmDiskFileQueryFlags', {
        diskType: true,
        capacityKb: true,
        hardwareVersion: true,
        thin: true,
        diskExtents: true,
      }),
    }),
    data('VmConfigFileQuery', { details: data('VmConfigFileQueryFlags', { configVersion: true }) }),
  ];
  const [{ file } = { file: [] }] = await search('web', { query });
  assert.deepEqual(file, [
    {
      _typeName: 'VmDiskFileInfo',
      path: 'web.vmdk',
      diskType: 'VirtualDiskFlatVer2BackingInfo',
      capacityKb: 4096,
      hardwareVersion: 13,
      diskExtents: ['[ds] web/web-flat.vmdk'],
      thin: true,
    },
    { _typeName: 'VmConfigFileInfo', path: 'web.vmx', configVersion: 13 },
  ]);
  const filter = data('VmDiskFileQueryFilter', { thin: false });
  assert.deepEqual(names(await search('web', { query: [data('VmDiskFileQuery', { filter })] })), [[]]);
  const matchConfigVersion = [
    data('VmConfigFileQuery', { filter: data('VmConfigFileQueryFilter', { matchConfigVersion: [8] }) }),
  ];
  assert.deepEqual(names(await search('web', { query: matchConfigVersion })), [[]]);
  const typed = await search('web', { details });
  assert.deepEqual(
    typed[0]?.file.map(({ _typeName }) => _typeName),
    ['VmLogFileInfo', 'FileInfo', 'VmDiskFileInfo', 'VmConfigFileInfo'],
  );
  assert.ok(Number(typed[0]?.file[2]?.fileSize) > 4_194_304, 'a disk has the size of its extents too');
});

test('patterns take letters as they are asked to', async (t) => {
  const { search } = await fixture(t);
  assert.deepEqual(names(await search('', { matchPattern: ['*.iso'] })), [['Install.ISO']]);
  assert.deepEqual(names(await search('', { matchPattern: ['*.iso'], searchCaseInsensitive: false })), [[]]);
  assert.deepEqual(names(await search('web', { matchPattern: ['web.vm?', 'v*'] })), [['vmware.log', 'web.vmx']]);
});

test('patterns match as a regular expression does, in bounded time', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 12 });
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 }), letters, (name, pattern) => {
      const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
      assert.equal(matchesPattern(name, pattern, false), new RegExp(`^${source}$`).test(name));
    }),
    { numRuns: 500 },
  );
  const started = process.cpuUsage();
  assert.equal(matchesPattern('a'.repeat(255), `${'*a'.repeat(1000)}b`, true), false);
  // Of the processor, in microseconds. Trying every way would take longer than the world stands.
  assert.ok(process.cpuUsage(started).user < 5e6);
});
