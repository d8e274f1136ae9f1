import {
  type ArrayUpdateSpec,
  data,
  type VAppIPAssignmentInfo,
  type VAppOvfSectionInfo,
  type VAppPropertyInfo,
  type VmConfigInfo,
  type VmConfigSpec,
} from '@hypostyle/vim';
import { vAppPropertyKey } from '../import/vapp-value.ts';
import { checkProperty, notConfigurable, notXml } from './property-faults.ts';

/** Ways by which a guest can be told its environment here (VmConfigSpec.ovfEnvironmentTransport). */
export const vAppTransports = { iso: 'iso', guestInfo: 'com.vmware.guestInfo' } as const;

/** Most that a machine's vApp configuration may have as JSON, in UTF-16 units. */
export const maximumVAppLength = 1 << 20;
/** Most that its keys and values may have together: as XML of UTF-8 they fit on the disc whatever they are. */
const maximumEnvironmentLength = 1 << 17;
const mostEntries = 1000;

/** Makes the InvalidArgument of a member, such as `property.info.key`, with the reason. */
export type RefuseMember = (member: string, reason: string) => Error;

/**
 * The vApp configuration that a change makes: of what was, or a new one. Throws what `refuse` makes, InvalidPropertyType,
 * InvalidPropertyValue and NotUserConfigurableProperty.
 */
export function changedVApp(
  before: VmConfigInfo | undefined,
  change: VmConfigSpec,
  refuse: RefuseMember,
): VmConfigInfo {
  const property = updateArray(before?.property, change.property, {
    member: 'property',
    type: 'VAppPropertyInfo',
    refuse,
    merge: mergeProperty,
  });
  const product = updateArray(before?.product, change.product, {
    member: 'product',
    type: 'VAppProductInfo',
    refuse,
    merge,
  });
  const ovfSection = updateArray(keyed(before?.ovfSection), change.ovfSection, {
    member: 'ovfSection',
    type: 'VAppOvfSectionInfo',
    refuse,
    merge,
  });
  const after = data('VmConfigInfo', {
    ...(product.length === 0 ? {} : { product }),
    ...(property.length === 0 ? {} : { property }),
    ipAssignment: merge(
      before?.ipAssignment ?? data('VAppIPAssignmentInfo', {}),
      ipAssignment(change.ipAssignment, refuse),
    ),
    ...texts('eula', change.eula, before?.eula),
    ...(ovfSection.length === 0 ? {} : { ovfSection }),
    ...texts('ovfEnvironmentTransport', change.ovfEnvironmentTransport, before?.ovfEnvironmentTransport),
    installBootRequired: change.installBootRequired ?? before?.installBootRequired ?? false,
    installBootStopDelay: change.installBootStopDelay ?? before?.installBootStopDelay ?? 0,
  });
  if (!(after.installBootStopDelay >= 0)) throw refuse('installBootStopDelay', 'it is less than 0');
  checkTransports(change, after, refuse);
  checkIdentities(property, refuse);
  if (JSON.stringify(after).length > maximumVAppLength) {
    throw refuse('', `it would have over ${maximumVAppLength} characters`);
  }
  return after;
}

interface Keyed {
  readonly key: number;
}

interface Change<Info> extends ArrayUpdateSpec {
  readonly info?: Info | undefined;
}

interface UpdateOptions<Info> {
  readonly member: string;
  readonly type: string;
  readonly refuse: RefuseMember;
  merge(before: Info, change: Info): Info;
}

/** Adds, edits and removes by key, in the order of the changes. */
function updateArray<Info extends { readonly key?: number | undefined }>(
  before: readonly (Info & Keyed)[] | undefined,
  changes: readonly Change<Info>[] | undefined,
  { member, type, merge, refuse: refuseMember }: UpdateOptions<Info & Keyed>,
): (Info & Keyed)[] {
  const entries = new Map((before ?? []).map((info) => [info.key, info]));
  for (const { operation, info, removeKey } of changes ?? []) {
    const refuse = (part: string, reason: string) => refuseMember(`${member}.${part}`, reason);
    if (operation === 'remove') {
      const key = numberOf(removeKey);
      if (key === undefined || !entries.delete(key)) throw refuse('removeKey', 'it is the key of none');
      continue;
    }
    if (info === undefined) throw refuse('info', 'it is unset');
    // Only a section may leave its key to us.
    const key = info.key ?? Math.max(-1, ...entries.keys()) + 1;
    const known = entries.get(key);
    if (operation === 'edit') {
      if (known === undefined) throw refuse('info.key', `${key} is the key of none`);
      entries.set(key, merge(known, { ...info, key, _typeName: type }));
    } else {
      if (known !== undefined) throw refuse('info.key', `${key} is there already`);
      if (member === 'property') checkProperty(info as VAppPropertyInfo);
      entries.set(key, defined({ ...info, key, _typeName: type }));
    }
    if (entries.size > mostEntries) throw refuse('operation', `there would be over ${mostEntries}`);
  }
  return [...entries.values()];
}

/** Members that a change leaves out stay as they are. */
function merge<Info extends object>(before: Info, change: Info | undefined): Info {
  return { ...before, ...defined(change ?? {}) };
}

function mergeProperty(before: VAppPropertyInfo, change: VAppPropertyInfo): VAppPropertyInfo {
  const after = merge(before, change);
  const sets = change.value !== undefined && change.value !== (before.value ?? '');
  if (sets && after.userConfigurable !== true && after.type !== 'expression') throw notConfigurable(after);
  checkProperty(after);
  return after;
}

function defined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Value;
}

function keyed(sections: readonly VAppOvfSectionInfo[] | undefined): (VAppOvfSectionInfo & Keyed)[] {
  return (sections ?? []).map((section, index) => ({ ...section, key: section.key ?? index }));
}

/** A key of whatever integer type the client boxed it as. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'object' && value !== null && '_value' in value) return numberOf(value._value);
  if (typeof value === 'string' && !/^-?\d{1,10}$/.test(value)) return undefined;
  const number =
    typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string' ? Number(value) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

const policies: readonly (string | undefined)[] = [
  undefined,
  'dhcpPolicy',
  'transientPolicy',
  'fixedPolicy',
  'fixedAllocatedPolicy',
];

function ipAssignment(
  change: VAppIPAssignmentInfo | undefined,
  refuse: RefuseMember,
): VAppIPAssignmentInfo | undefined {
  const policy = change?.ipAllocationPolicy;
  if (!policies.includes(policy)) throw refuse('ipAssignment.ipAllocationPolicy', 'it is no policy');
  return change;
}

/** A list that is given takes the place of the one before; one of empty texts takes it away. */
function texts<Member extends 'eula' | 'ovfEnvironmentTransport'>(
  member: Member,
  change: readonly string[] | undefined,
  before: readonly string[] | undefined,
): { readonly [M in Member]?: readonly string[] } {
  const list = change === undefined || change.length === 0 ? (before ?? []) : change.filter((text) => text !== '');
  return list.length === 0 ? {} : ({ [member]: list } as { readonly [M in Member]?: readonly string[] });
}

/** OVF lists transports of which one is enough. */
function checkTransports(
  change: VmConfigSpec,
  { ovfEnvironmentTransport: list }: VmConfigInfo,
  refuse: RefuseMember,
): void {
  if (change.ovfEnvironmentTransport === undefined || list === undefined) return;
  const known = Object.values<string>(vAppTransports);
  if (list.length > 16 || !list.some((transport) => known.includes(transport))) {
    throw refuse('ovfEnvironmentTransport', `it names none of ${known.join(', ')}`);
  }
}

function checkIdentities(properties: readonly VAppPropertyInfo[], refuse: RefuseMember): void {
  const seen = new Set<string>();
  let length = 0;
  for (const property of properties) {
    const key = vAppPropertyKey(property);
    if (!property.id || key.length > 255 || notXml.test(key) || notXml.test(property.defaultValue ?? '')) {
      throw refuse('property.info.id', `the property of key ${property.key} has none that can be used`);
    }
    if (seen.has(key)) throw refuse('property.info.id', `'${key}' is there already`);
    seen.add(key);
    length += key.length + Math.max(property.value?.length ?? 0, property.defaultValue?.length ?? 0);
  }
  if (length > maximumEnvironmentLength) {
    throw refuse('property', `their keys and values would have over ${maximumEnvironmentLength} characters`);
  }
}
