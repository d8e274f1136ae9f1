import type { HostNetworkInfo } from '@hypostyle/vim';
import type { Face } from '../face.ts';
import { expect, type VirshCase } from './virsh-context.ts';

export const networkCases: readonly VirshCase[] = [
  {
    name: 'net-list',
    quick: true,
    words: () => ['net-list', '--all'],
    says: /^ vSwitch0\s+active\s+yes\s+yes$/m,
  },
  { name: 'net-info', words: () => ['net-info', 'vSwitch0'], says: /^Active: +yes$/m },
  {
    name: 'net-dumpxml',
    quick: true,
    words: () => ['net-dumpxml', 'vSwitch0'],
    says: /<name>vSwitch0<\/name>[\s\S]*<portgroup name='VM Network'>/,
  },
  {
    name: 'net-name of a UUID',
    words: async ({ run }) => ['net-name', (await run(['net-uuid', 'vSwitch0'])).stdout],
    says: /^vSwitch0$/,
  },
  {
    name: 'net-destroy of a switch',
    words: () => ['net-destroy', 'vSwitch0'],
    fails: true,
    check: async ({ face }) => {
      const network = await face.property<{ vswitch: readonly unknown[] }>(face.hostSystem, 'config.network');
      expect(network.vswitch.length === 1, 'it is there still');
    },
  },
  // `iface-list` looks for the ports by their names among the MAC addresses, and finds none.
  {
    name: 'iface-name of an address',
    words: async ({ face }) => ['iface-name', (await firstPort(face)).mac],
    says: async ({ face }) => new RegExp(`^${(await firstPort(face)).device}$`),
  },
  {
    name: 'iface-dumpxml',
    words: async ({ face }) => ['iface-dumpxml', (await firstPort(face)).mac],
    says: async ({ face }) => new RegExp(`<interface type='ethernet' name='${(await firstPort(face)).device}'>`),
  },
];

async function firstPort(face: Face): Promise<{ readonly device: string; readonly mac: string }> {
  const { pnic = [] } = await face.property<HostNetworkInfo>(face.hostSystem, 'config.network');
  if (pnic[0] === undefined) throw new Error('a port of this machine');
  return pnic[0];
}
