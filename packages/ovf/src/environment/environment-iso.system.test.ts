import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeIso } from './environment-iso.ts';

const has = (tool: string, option: string) =>
  spawnSync(tool, [option]).status === 0 ? false : `${tool} is not installed: node scripts/debian-packages.mjs tests`;

async function withImage(use: (path: string) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'iso-'));
  try {
    const path = join(folder, 'env.iso');
    await writeFile(
      path,
      writeIso([
        { name: 'ovf-env.xml', content: Buffer.from('<Environment>Grüße</Environment>') },
        { name: 'A longer name, with spaces.txt', content: Buffer.from('b'.repeat(5000)) },
      ]),
    );
    use(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function run(tool: string, ...options: string[]): string {
  const { status, stdout, stderr } = spawnSync(tool, options, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout + stderr;
}

test('isoinfo reads the names, the label and the files', { skip: has('isoinfo', '-version') }, () =>
  withImage((path) => {
    const about = run('isoinfo', '-d', '-i', path);
    assert.match(about, /Volume id: OVF ENV/);
    assert.match(about, /Joliet with UCS level 3 found/);
    const joliet = run('isoinfo', '-J', '-f', '-i', path);
    assert.match(joliet, /^\/ovf-env\.xml(;1)?$/m);
    assert.match(joliet, /^\/A longer name, with spaces\.txt(;1)?$/m);
    assert.match(run('isoinfo', '-f', '-i', path), /^\/OVF_ENV\.XML;1$/m);
    assert.match(run('isoinfo', '-J', '-i', path, '-x', '/ovf-env.xml;1'), /Grüße/);
  }),
);

test('xorriso reads the tree without a complaint', { skip: has('xorriso', '-version') }, () =>
  withImage((path) => {
    const said = run('xorriso', '-read_fs', 'norock', '-indev', path, '-find', '/', '-exec', 'lsdl');
    assert.match(said, /'\/ovf-env\.xml'/);
    assert.match(said, /Volume id +: 'OVF ENV'/);
    assert.doesNotMatch(said, /WARNING|FAILURE|SORRY/);
  }),
);
