import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
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
      expect((said.match(/\[scsi\]/g) ?? []).length === 2, 'two disks');
    },
  },
  {
    name: 'disks read by HTTPS, for an operating system in them',
    at: 'center',
    before: off,
    words: (context) => [
      ...['-i', 'libvirt', '-ic', uriOf(context), '-ip', join(context.face.home, 'password')],
      ...['-o', 'local', '-os', context.face.home, '-of', 'raw', emptyMachine],
    ],
    // It has looked into them, and there is none to convert.
    fails: true,
    says: /inspection could not detect the source guest|no operating system|no root device/,
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
