import { fault } from '@hypostyle/vim';
import type { AdapterType, Allocation, CreatableKind } from '@hypostyle/vmdk';
import { faults } from '../errors.ts';

/** What a virtual disk is made as. */
export interface DiskForm {
  readonly kind: CreatableKind;
  /** Flat kinds. */
  readonly allocation?: Allocation;
  readonly adapter: AdapterType;
}

/** VirtualDiskSpec, as far as it says what the disk is like. */
interface FormSpec {
  readonly diskType: string;
  readonly adapterType: string;
  readonly crypto?: unknown;
  readonly profile?: readonly unknown[] | undefined;
}

const forms: Readonly<Record<string, Omit<DiskForm, 'adapter'>>> = {
  preallocated: { kind: 'vmfs', allocation: 'thick' },
  thick: { kind: 'vmfs', allocation: 'thick' },
  eagerZeroedThick: { kind: 'vmfs', allocation: 'eager' },
  thin: { kind: 'vmfs', allocation: 'thin' },
  flatMonolithic: { kind: 'monolithicFlat', allocation: 'thick' },
  thick2Gb: { kind: 'twoGbMaxExtentFlat', allocation: 'thick' },
  sparseMonolithic: { kind: 'monolithicSparse' },
  sparse2Gb: { kind: 'twoGbMaxExtentSparse' },
};

/** Types of the specification that stand for something that a folder of files does not have. */
const absentForms: Readonly<Record<string, string>> = {
  seSparse: 'seSparse disks are read here, and not made',
  rdm: 'there are no raw devices on this datastore',
  rdmp: 'there are no raw devices on this datastore',
  raw: 'there are no raw devices on this datastore',
};

const adapters: Readonly<Record<string, AdapterType>> = {
  ide: 'ide',
  buslogic: 'buslogic',
  lsilogic: 'lsilogic',
  pvscsi: 'lsilogic',
};

/** Reads a VirtualDiskSpec. Throws InvalidArgument for what is no such thing, NotSupported for what is not made here. */
export function diskForm(spec: FormSpec, argument: string): DiskForm {
  const { diskType, adapterType } = spec;
  if (spec.crypto !== undefined) throw faults.notSupported('Disks are not encrypted here.');
  refuseProfile(spec.profile);
  const absent = Object.hasOwn(absentForms, diskType) ? absentForms[diskType] : undefined;
  if (absent !== undefined) throw faults.notSupported(`A disk of type '${diskType}' is not made: ${absent}.`);
  const form = Object.hasOwn(forms, diskType) ? forms[diskType] : undefined;
  if (form === undefined)
    throw faults.invalidArgument(`${argument}.diskType`, `'${diskType.slice(0, 100)}' is no type of a disk by itself.`);
  const adapterKey = adapterType.toLowerCase();
  const adapter = Object.hasOwn(adapters, adapterKey) ? adapters[adapterKey] : undefined;
  if (adapter === undefined)
    throw faults.invalidArgument(`${argument}.adapterType`, `'${adapterType.slice(0, 100)}' is no type of an adapter.`);
  return { ...form, adapter };
}

/** Throws NotSupported where a storage profile is asked for: there are none here that a disk could keep. */
export function refuseProfile(profile: readonly unknown[] | undefined): void {
  if (profile === undefined || profile.length === 0) return;
  throw fault('NotSupported', {}, 'Storage profiles of disks are not kept here.');
}
