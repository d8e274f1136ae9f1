import { existsSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { expect, machine, type VirshCase } from './virsh-context.ts';

export const storageCases: readonly VirshCase[] = [
  { name: 'pool-list', words: () => ['pool-list', '--all'], says: /^ datastore1\s+active/m },
  {
    name: 'pool-info',
    quick: true,
    words: () => ['pool-info', 'datastore1'],
    says: /State: +running/,
  },
  { name: 'vol-list', words: () => ['vol-list', 'datastore1'], says: /bed-empty\/bed-empty\.vmdk/ },
  {
    name: 'vol-dumpxml',
    words: () => ['vol-dumpxml', '--pool', 'datastore1', `${machine}/${machine}.vmdk`],
    async check({ bed }, said) {
      const { size } = await stat(bed.path(machine, `${machine}-flat.vmdk`));
      expect(said.includes(`<capacity unit='bytes'>${size}</capacity>`), `a capacity of ${size}`);
    },
  },
  {
    name: 'vol-key',
    words: () => ['vol-key', '--pool', 'datastore1', `${machine}/${machine}.vmdk`],
    says: /\S/,
  },
  {
    name: 'vol-create-as',
    words: ({ face }) => ['vol-create-as', 'datastore1', `virsh-${face.endpoint}/disk.vmdk`, '4M', '--format', 'vmdk'],
    async check({ bed, face }) {
      const { size } = await stat(bed.path(`virsh-${face.endpoint}`, 'disk-flat.vmdk'));
      expect(size === 4 << 20, `4 MiB, not ${size} bytes`);
    },
  },
  {
    name: 'vol-clone',
    words: ({ face }) => {
      const folder = `virsh-${face.endpoint}`;
      return ['vol-clone', '--pool', 'datastore1', `${folder}/disk.vmdk`, `${folder}/copy.vmdk`];
    },
    async check({ bed, face }) {
      const { size } = await stat(bed.path(`virsh-${face.endpoint}`, 'copy-flat.vmdk'));
      expect(size === 4 << 20, `4 MiB, not ${size} bytes`);
    },
  },
  {
    name: 'vol-delete',
    words: ({ face }) => ['vol-delete', '--pool', 'datastore1', `virsh-${face.endpoint}/copy.vmdk`],
    check: async ({ bed, face }) =>
      expect(!existsSync(bed.path(`virsh-${face.endpoint}`, 'copy-flat.vmdk')), 'no file'),
  },
  {
    name: 'pool-dumpxml',
    words: () => ['pool-dumpxml', 'datastore1'],
    async check({ bed }, said) {
      const { blocks, bsize } = await statfs(bed.daemon.datastore);
      const capacity = Number(/<capacity unit='bytes'>(\d+)</.exec(said)?.[1]);
      expect(Math.abs(capacity - blocks * bsize) < 2 ** 20, `a capacity of ${blocks * bsize}`);
    },
  },
  { name: 'pool-refresh', words: () => ['pool-refresh', 'datastore1'], says: /refreshed/ },
  { name: 'vol-pool', words: () => ['vol-pool', `[datastore1] ${machine}/${machine}.vmdk`], says: /^datastore1$/ },
  {
    name: 'vol-info',
    words: () => ['vol-info', '--pool', 'datastore1', `${machine}/${machine}.vmdk`],
    says: /Capacity: +8\.00 MiB/,
  },
];
