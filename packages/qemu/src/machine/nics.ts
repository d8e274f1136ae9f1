import { isIPv4 } from 'node:net';
import type { NicHardware, NicModel, PortForward } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import { type Device, deviceId, maxNics, pciAddress, pciSlot } from './device.ts';

/** VMware's E1000 is an 82545EM. */
const drivers: { readonly [model in NicModel]: string } = {
  vlance: 'pcnet',
  e1000: 'e1000-82545em',
  e1000e: 'e1000e',
  vmxnet3: 'vmxnet3',
  virtio: 'virtio-net-pci',
};

export interface NicArguments {
  readonly device: Device;
  /** Value of `-netdev`. */
  readonly netdev: string | undefined;
}

/** A NIC and where its frames go. `bootIndex`: position in the boot order; without it the boot ROM is left out. */
export function nicArguments(nic: NicHardware, index: number, bootIndex: number | undefined): NicArguments {
  const slot = nic.slot ?? index;
  if (slot < 0 || slot >= maxNics)
    throw qemuErrors.unsupported(`NIC ${nic.id}: a machine has ${maxNics} NICs at most.`);
  const id = deviceId.nic(nic.id);
  const netdev = nic.network.kind === 'nat' ? `${id}-net` : undefined;
  return {
    device: {
      driver: drivers[nic.model],
      id,
      mac: nic.mac,
      addr: pciAddress(pciSlot.nic + slot),
      ...(netdev ? { netdev } : {}),
      ...(bootIndex === undefined ? { romfile: '' } : { bootindex: bootIndex }),
    },
    netdev:
      nic.network.kind === 'nat' ? ['user', `id=${netdev}`, ...nic.network.forwards.map(forward)].join(',') : undefined,
  };
}

function forward({ protocol, hostAddress, hostPort, guestPort }: PortForward): string {
  if (!isIPv4(hostAddress)) throw qemuErrors.unsupported(`Port forward from ${hostAddress}: not an IPv4 address.`);
  for (const port of [hostPort, guestPort]) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw qemuErrors.unsupported(`Port ${port} is no port.`);
  }
  return `hostfwd=${protocol === 'udp' ? 'udp' : 'tcp'}:${hostAddress}:${hostPort}-:${guestPort}`;
}
