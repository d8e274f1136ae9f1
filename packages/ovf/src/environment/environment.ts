import { type AttributeValue, element, textElement } from '../envelope/element-builder.ts';
import type { Content, Envelope } from '../envelope/envelope.ts';
import { contentsOf } from '../envelope/envelope-references.ts';
import { environmentNamespace, vmwareEnvironmentNamespace } from '../envelope/namespaces.ts';
import type { ResolvedProperty } from '../envelope/properties.ts';
import { OvfError } from '../errors.ts';
import type { XmlElement } from '../xml/xml-tree.ts';
import { formatXml } from '../xml/xml-writer.ts';

/** What a virtual machine is told of itself and its siblings when it starts (DSP0243 11, DSP8027). */
export interface Environment {
  /** Id of the virtual system. */
  readonly entityId: string;
  readonly platform?: EnvironmentPlatform;
  readonly properties: readonly EnvironmentProperty[];
  readonly adapters?: readonly EnvironmentAdapter[];
  readonly siblings?: readonly { readonly entityId: string; readonly properties: readonly EnvironmentProperty[] }[];
}

export interface EnvironmentPlatform {
  readonly kind?: string;
  readonly version?: string;
  readonly vendor?: string;
  /** Such as `en_US`. */
  readonly locale?: string;
  /** Minutes east of UTC. */
  readonly timezone?: number;
}

export interface EnvironmentProperty {
  readonly key: string;
  readonly value: string;
}

/** A NIC in VMware's EthernetAdapterSection, which its guests read to find their networks. */
export interface EnvironmentAdapter {
  readonly mac: string;
  readonly network: string;
  readonly unitNumber: number;
}

/**
 * The environment of one virtual system: its own properties, those of the collection that it is in where it has not the
 * same key, and the properties of its siblings (DSP0243 11.1). Throws `reference-unknown` for an id that does not exist.
 */
export function environmentOf(
  envelope: Envelope,
  entityId: string,
  properties: readonly ResolvedProperty[],
  extras: Pick<Environment, 'platform' | 'adapters'> = {},
): Environment {
  const parent = parentOf(envelope.content, entityId);
  const own = propertiesOf(properties, entityId);
  const keys = new Set(own.map(({ key }) => key));
  const inherited = parent === undefined ? [] : propertiesOf(properties, parent.id).filter(({ key }) => !keys.has(key));
  const siblings =
    parent?.kind === 'VirtualSystemCollection' ? parent.contents.filter(({ id }) => id !== entityId) : [];
  return {
    entityId,
    ...extras,
    properties: [...own, ...inherited],
    siblings: siblings.map(({ id }) => ({ entityId: id, properties: propertiesOf(properties, id) })),
  };
}

function parentOf(content: Content, entityId: string): Content | undefined {
  for (const candidate of contentsOf(content)) {
    if (candidate.kind === 'VirtualSystemCollection' && candidate.contents.some(({ id }) => id === entityId)) {
      return candidate;
    }
  }
  if (content.id === entityId) return undefined;
  throw new OvfError('reference-unknown', `there is no virtual system "${entityId}"`);
}

function propertiesOf(properties: readonly ResolvedProperty[], entityId: string): EnvironmentProperty[] {
  return properties.filter((one) => one.entityId === entityId).map(({ key, value }) => ({ key, value }));
}

/** Writes an environment: the content of `guestinfo.ovfEnv`, and of `ovf-env.xml` on the ISO. Throws `text-invalid`. */
export function formatEnvironment(environment: Environment): string {
  const { entityId, platform, properties, adapters = [], siblings = [] } = environment;
  const children = [
    platform &&
      section('PlatformSection', [
        textElement('Kind', platform.kind, environmentNamespace),
        textElement('Version', platform.version, environmentNamespace),
        textElement('Vendor', platform.vendor, environmentNamespace),
        textElement('Locale', platform.locale, environmentNamespace),
        textElement('Timezone', platform.timezone, environmentNamespace),
      ]),
    propertySection(properties),
    ...siblings.map((sibling) =>
      element(
        'Entity',
        attributes({ id: sibling.entityId }),
        [propertySection(sibling.properties)],
        environmentNamespace,
      ),
    ),
    adapters.length === 0
      ? undefined
      : vmware(
          'EthernetAdapterSection',
          {},
          adapters.map((adapter) => vmware('Adapter', { ...adapter }, [])),
        ),
  ];
  return formatXml(element('Environment', attributes({ id: entityId }), children, environmentNamespace), {
    '': environmentNamespace,
    oe: environmentNamespace,
    ve: vmwareEnvironmentNamespace,
  });
}

function section(name: string, children: Parameters<typeof element>[2]): XmlElement {
  return element(name, [], children, environmentNamespace);
}

function propertySection(properties: readonly EnvironmentProperty[]): XmlElement {
  return section(
    'PropertySection',
    properties.map(({ key, value }) => element('Property', attributes({ key, value }), [], environmentNamespace)),
  );
}

function attributes(values: Readonly<Record<string, AttributeValue>>, namespace = environmentNamespace, prefix = 'oe') {
  return Object.entries(values).map(([name, value]) => ({ namespace, prefix, name, value: String(value) }));
}

function vmware(name: string, values: Readonly<Record<string, AttributeValue>>, children: readonly XmlElement[]) {
  return element(
    name,
    attributes(values, vmwareEnvironmentNamespace, 've'),
    children,
    vmwareEnvironmentNamespace,
    've',
  );
}
