import type { ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';

/**
 * An address that the machine's host gave, `https://*:443/…`, as clients of the center reach it: at the host itself, or
 * at the center where that is the host's own process. `port`: the center's.
 */
export function hostUrl({ inventory }: CenterCore, machine: ManagedObjectReference, url: string, port: number): string {
  const { address } = inventory.get('HostSystem', { value: inventory.get('VirtualMachine', machine).host });
  if (address.local) return url.replace(/:\/\/\*(:\d+)?\//, `://*:${port}/`);
  const name = address.host.includes(':') ? `[${address.host}]` : address.host;
  return url.replace(/:\/\/\*(:\d+)?\//, `://${name}:${address.port}/`);
}
