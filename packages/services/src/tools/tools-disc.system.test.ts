import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { toolsDiscImage } from './tools-disc.ts';

const run = promisify(execFile);

/** The script as it is on the disc: files of an image lie in one piece. */
function script(): string {
  const text = Buffer.from(toolsDiscImage()).toString('latin1');
  const begin = text.indexOf('#!/bin/sh\n');
  return text.slice(begin, text.indexOf('\0', begin));
}

test('the script of the disc installs the agent by the tools that a system has, and starts it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tools-'));
  try {
    const said = join(folder, 'said');
    const bin = join(folder, 'bin');
    await mkdir(bin);
    const program = async (name: string, body: string) => {
      await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`);
      await chmod(join(bin, name), 0o755);
    };
    await writeFile(join(folder, 'install.sh'), script());
    await program('id', 'echo 0');
    // A first try fails where package lists were never fetched.
    await program(
      'apt-get',
      `echo apt-get "$@" >>${said}; [ -e ${folder}/lists ] || { [ "$1" = update ] && : >${folder}/lists; }`,
    );
    await program('service', `echo service "$@" >>${said}`);
    const install = () => run('/bin/sh', [join(folder, 'install.sh')], { env: { PATH: bin } });
    const { stdout } = await install();
    assert.match(stdout, /runs/);
    assert.deepEqual((await readFile(said, 'utf8')).trim().split('\n'), [
      'apt-get install -y qemu-guest-agent',
      'apt-get update',
      'apt-get install -y qemu-guest-agent',
      'service qemu-guest-agent restart',
    ]);
    await rm(said);
    await program('qemu-ga', ':');
    await install();
    assert.equal(await readFile(said, 'utf8'), 'service qemu-guest-agent restart\n');
    await program('service', 'exit 1');
    await assert.rejects(install(), /could not be started/);
    await program('id', 'echo 1000');
    await assert.rejects(install(), /as root/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
