import type { Schema } from '@hypostyle/vim';
import { invalidArgument } from '../errors.ts';
import { constantCase } from '../schemas/common.ts';

/** Identifiers whose words cannot be told from their letters. */
const exceptions: Readonly<Record<string, string>> = {
  otherGuest64: 'OTHER_64',
  os2Guest: 'OS2',
  eComStationGuest: 'ECOMSTATION',
  eComStation2Guest: 'ECOMSTATION_2',
  openServer5Guest: 'OPENSERVER_5',
  openServer6Guest: 'OPENSERVER_6',
  unixWare7Guest: 'UNIXWARE_7',
  windowsHyperVGuest: 'WINDOWS_HYPERV',
  windows2019srv_64Guest: 'WINDOWS_SERVER_2019',
  windows2019srvNext_64Guest: 'WINDOWS_SERVER_2021',
  windows2022srvNext_64Guest: 'WINDOWS_SERVER_2025',
  amazonlinux2_64Guest: 'AMAZONLINUX2_64',
  amazonlinux3_64Guest: 'AMAZONLINUX3_64',
  crxPod1Guest: 'CRXPOD_1',
  crxSys1Guest: 'CRXSYS_1',
};

const identifiers = new WeakMap<Schema, ReadonlyMap<string, string>>();

/** `DEBIAN_12_64` of `debian12_64Guest`. */
export function guestOsOf(guestId: string): string {
  const known = exceptions[guestId];
  if (known !== undefined) return known;
  return constantCase(guestId.replace(/Guest$/, '').replace(/([a-zA-Z])(\d)/g, '$1_$2'));
}

/** `debian12_64Guest` of `DEBIAN_12_64`. Fails with `invalid_argument`. */
export function guestIdOf(schema: Schema, guestOs: string): string {
  let known = identifiers.get(schema);
  if (known === undefined) {
    const type = schema.type('VirtualMachineGuestOsIdentifier');
    known = new Map(type?.kind === 'enum' ? [...type.values].map((id) => [guestOsOf(id), id]) : []);
    identifiers.set(schema, known);
  }
  const id = known.get(guestOs);
  if (id === undefined) throw invalidArgument(`There is no guest_OS ${guestOs.slice(0, 80)}.`);
  return id;
}

/** `VMX_19` of `vmx-19`. */
export function hardwareVersionOf(version: string): string {
  return version.toUpperCase().replace('-', '_');
}

/** `vmx-19` of `VMX_19`. */
export function hardwareKeyOf(version: string): string {
  return version.toLowerCase().replace('_', '-');
}
