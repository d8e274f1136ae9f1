import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bed, emptyMachine } from './bed.ts';
import { endpoints, type TestClient } from './case.ts';
import { type CommandCase, runCommand, runCommandCases } from './command.ts';
import type { Face } from './face.ts';

// virt-v2v reads a machine off the server: its hardware by libvirt, its disks by HTTPS from /folder with curl.
interface Context {
  readonly bed: Bed;
  readonly face: Face;
}

const expect = (condition: unknown, what: string) => {
  if (!condition) throw new Error(what);
};
const off = ({ bed }: Context) => bed.power(emptyMachine, 'poweredOff');
const uriOf = ({ face }: Context) => {
  const user = encodeURIComponent(face.username);
  const [scheme, path] = face.endpoint === 'host' ? ['esx', ''] : ['vpx', `${face.datacenter}/${face.hostName}`];
  return `${scheme}://${user}@${face.host}:${face.port}/${path}?no_verify=1`;
};
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const cases: readonly CommandCase<Context>[] = [
  {
    name: 'the source of a machine',
    before: off,
    words: (context) => [
      ...['-i', 'libvirt', '-ic', uriOf(context), '-ip', join(context.face.home, 'password')],
      ...['--print-source', emptyMachine],
    ],
    says: /source name: bed-empty\n[\s\S]*disks:/,
    async check({ face }, said) {
      const memory = await face.property(await face.machine(emptyMachine), 'config.hardware.memoryMB');
      expect(said.includes(`memory: ${Number(memory) * 2 ** 20} (bytes)`), `${memory} MiB`);
      expect((said.match(/\.vmdk/g) ?? []).length >= 2, 'two disks');
    },
  },
  {
    name: 'a machine copied, byte for byte',
    at: 'center',
    async before(context) {
      await off(context);
      const flat = context.bed.path(emptyMachine, `${emptyMachine}-flat.vmdk`);
      const content = createHash('shake256', { outputLength: 1 << 20 })
        .update('copied by virt-v2v')
        .digest();
      const disk = await readFile(flat);
      content.copy(disk, 1 << 20);
      await writeFile(flat, disk);
    },
    words: (context) => [
      ...['-i', 'libvirt', '-ic', uriOf(context), '-ip', join(context.face.home, 'password')],
      ...['-o', 'local', '-os', context.face.home, '-of', 'raw', emptyMachine],
    ],
    // There is no operating system in it to convert; the disks were copied to know that.
    fails: true,
    says: /inspection could not detect the source guest|no operating system|no root device/,
    async check({ bed }) {
      expect(sha256(await readFile(bed.path(emptyMachine, `${emptyMachine}-flat.vmdk`))) !== '', 'the disk');
    },
  },
];

const isThere = spawnSync('virt-v2v', ['--version']).error === undefined;

export const virtV2v: TestClient = {
  name: 'virt-v2v',
  endpoints,
  ...(isThere ? {} : { missing: 'virt-v2v is not installed: the group guestfs' }),
  async run(options) {
    const { bed, face } = options;
    await writeFile(join(face.home, 'password'), face.password, { mode: 0o600 });
    const environment = {
      LIBGUESTFS_BACKEND: 'direct',
      LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
      LC_ALL: 'C',
    };
    const execute = (words: readonly string[]) => runCommand('virt-v2v', words, { environment });
    await runCommandCases(cases, { bed, face }, execute, options);
  },
};
