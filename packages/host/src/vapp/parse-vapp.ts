import { data, type VmConfigInfo } from '@hypostyle/vim';
import { HostError } from '../errors.ts';

type Kind = 'string' | 'int' | 'boolean' | 'strings';
type Members = Readonly<Record<string, Kind>>;

const property = {
  key: 'int',
  classId: 'string',
  instanceId: 'string',
  id: 'string',
  category: 'string',
  label: 'string',
  type: 'string',
  typeReference: 'string',
  userConfigurable: 'boolean',
  defaultValue: 'string',
  value: 'string',
  description: 'string',
} as const satisfies Members;
const product = {
  key: 'int',
  classId: 'string',
  instanceId: 'string',
  name: 'string',
  vendor: 'string',
  version: 'string',
  fullVersion: 'string',
  vendorUrl: 'string',
  productUrl: 'string',
  appUrl: 'string',
} as const satisfies Members;
const ipAssignment = {
  supportedAllocationScheme: 'strings',
  ipAllocationPolicy: 'string',
  supportedIpProtocol: 'strings',
  ipProtocol: 'string',
} as const satisfies Members;
const ovfSection = {
  key: 'int',
  namespace: 'string',
  type: 'string',
  atEnvelopeLevel: 'boolean',
  contents: 'string',
} as const satisfies Members;

/** Reads the VI/JSON of a VmConfigInfo; members that it does not have are left out. Throws `vapp-invalid`. */
export function parseVApp(text: string): VmConfigInfo {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HostError('vapp-invalid', 'it is no JSON', { cause: error });
  }
  const from = objectOf(value, 'VmConfigInfo');
  const properties = listOf(from, 'property', 'VAppPropertyInfo', property);
  const products = listOf(from, 'product', 'VAppProductInfo', product);
  const sections = listOf(from, 'ovfSection', 'VAppOvfSectionInfo', ovfSection);
  for (const list of [properties, products]) {
    if (list?.some((entry) => entry.key === undefined)) throw new HostError('vapp-invalid', 'an entry has no key');
  }
  const own = membersOf(from, {
    eula: 'strings',
    ovfEnvironmentTransport: 'strings',
    installBootRequired: 'boolean',
    installBootStopDelay: 'int',
  });
  return data('VmConfigInfo', {
    ...(products === undefined ? {} : { product: products }),
    ...(properties === undefined ? {} : { property: properties }),
    ...(sections === undefined ? {} : { ovfSection: sections }),
    ipAssignment: data(
      'VAppIPAssignmentInfo',
      from.ipAssignment === undefined
        ? {}
        : membersOf(objectOf(from.ipAssignment, 'VAppIPAssignmentInfo'), ipAssignment),
    ),
    installBootRequired: false,
    installBootStopDelay: 0,
    ...own,
  } as unknown as Omit<VmConfigInfo, '_typeName'>);
}

function objectOf(value: unknown, type: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HostError('vapp-invalid', `a ${type} is no object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function listOf(
  from: Readonly<Record<string, unknown>>,
  member: string,
  type: string,
  members: Members,
): Readonly<Record<string, unknown>>[] | undefined {
  const list = from[member];
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) throw new HostError('vapp-invalid', `${member} is no list`);
  return list.map((entry: unknown) => ({ ...membersOf(objectOf(entry, type), members), _typeName: type }));
}

const is: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  int: (value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
  boolean: (value) => typeof value === 'boolean',
  strings: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
};

function membersOf(from: Readonly<Record<string, unknown>>, members: Members): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [member, kind] of Object.entries(members)) {
    const value = Object.hasOwn(from, member) ? from[member] : undefined;
    if (value === undefined) continue;
    if (!is[kind](value)) throw new HostError('vapp-invalid', `${member} is no ${kind}`);
    found[member] = value;
  }
  return found;
}
