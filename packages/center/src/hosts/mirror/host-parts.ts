import type { StoreWrite } from '@hypostyle/contracts';
import type { HostPart } from './host-references.ts';

/** Documents of host parts, by host and by the host's own reference. */
export const partCollection = 'host-part';

export interface PartDocument extends HostPart {
  readonly host: string;
}

function key(host: string, hostValue: string): string {
  return `${host}/${hostValue}`;
}

export function putPart(document: PartDocument): StoreWrite {
  return { put: { collection: partCollection, key: key(document.host, document.hostValue), value: document } };
}

export function deletePart(host: string, hostValue: string): StoreWrite {
  return { delete: { collection: partCollection, key: key(host, hostValue) } };
}

/** Start of a part's reference: `datastoreBrowser-12`, `snapshot-13`. */
export function partPrefix(type: string): string {
  const name = type.replace(/^(Host|VirtualMachine)(?=[A-Z])/, '');
  return name.charAt(0).toLowerCase() + name.slice(1);
}
