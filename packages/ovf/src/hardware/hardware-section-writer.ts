import {
  type Child,
  element,
  message,
  ovfAttributes,
  section,
  textElement,
  vmwareAttributes,
} from '../envelope/element-builder.ts';
import type {
  ConfigEntry,
  Extensible,
  HardwareItem,
  ResourceAllocationSection,
  SystemSettings,
  VirtualHardwareSection,
} from '../envelope/envelope.ts';
import {
  epasdNamespace,
  rasdNamespace,
  sasdNamespace,
  vmwareNamespace,
  vssdNamespace,
} from '../envelope/namespaces.ts';
import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';

const itemNamespaces = {
  Item: [rasdNamespace, 'rasd'],
  StorageItem: [sasdNamespace, 'sasd'],
  EthernetPortItem: [epasdNamespace, 'epasd'],
} as const;

/** Prefix and name: the schema wants an item's elements in this order. */
function propertyOrder(one: XmlElement, other: XmlElement): number {
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}

export function hardwareSection(hardware: VirtualHardwareSection): XmlElement {
  const { system } = hardware;
  const transport = hardware.transports.length > 0 ? hardware.transports.join(' ') : undefined;
  return section('VirtualHardwareSection', hardware, ovfAttributes({ id: hardware.id, transport }), [
    system && systemElement(system),
    ...hardware.items.map(itemElement),
    ...hardware.config.map((entry) => configElement('Config', entry)),
    ...hardware.extraConfig.map((entry) => configElement('ExtraConfig', entry)),
  ]);
}

function systemElement(system: SystemSettings): XmlElement {
  const text = (name: string, value: string | undefined) => textElement(name, value, vssdNamespace, 'vssd');
  return settingElement(
    'System',
    system,
    vssdNamespace,
    [],
    [
      text('ElementName', system.elementName ?? ''),
      text('InstanceID', system.instanceId ?? ''),
      text('VirtualSystemIdentifier', system.identifier),
      text('VirtualSystemType', system.type),
    ],
  );
}

/** The elements of an item with the attributes that were kept of them. */
function withAttributes(properties: readonly Child[], item: HardwareItem): readonly Child[] {
  if (item.settingAttributes === undefined) return properties;
  const kept = new Map(item.settingAttributes.map(({ name, index, attributes }) => [`${name} ${index}`, attributes]));
  const counts = new Map<string, number>();
  return properties.map((child) => {
    if (typeof child !== 'object') return child;
    const index = counts.get(child.name) ?? 0;
    counts.set(child.name, index + 1);
    const own = kept.get(`${child.name} ${index}`);
    return own === undefined ? child : { ...child, attributes: [...child.attributes, ...own] };
  });
}

/** An element of a CIM class: its settings, also those that were kept, in the order of the schema, then all others. */
function settingElement(
  name: string,
  source: Extensible,
  namespace: string,
  attributes: readonly XmlAttribute[],
  children: readonly Child[],
  others: readonly Child[] = [],
): XmlElement {
  const kept = source.extensions ?? [];
  const own = [...children, ...kept.filter((one) => one.namespace === namespace)];
  const settings = own.filter((child) => typeof child === 'object').sort(propertyOrder);
  return element(
    name,
    [...attributes, ...(source.attributes ?? [])],
    [...settings, ...others, ...kept.filter((one) => one.namespace !== namespace)],
  );
}

export function resourceAllocationSection(allocation: ResourceAllocationSection): XmlElement {
  return section('ResourceAllocationSection', allocation, [], allocation.items.map(itemElement));
}

function itemElement(item: HardwareItem): XmlElement {
  const [namespace, prefix] = itemNamespaces[item.element];
  const text = (name: string, value: string | number | boolean | undefined) =>
    textElement(name, value, namespace, prefix);
  const properties: Child[] = [
    text('Address', item.address),
    text('AddressOnParent', item.addressOnParent),
    text('AllocationUnits', item.allocationUnits),
    text('AutomaticAllocation', item.automaticAllocation),
    text('AutomaticDeallocation', item.automaticDeallocation),
    message('Caption', item.caption, namespace, prefix),
    text('ChangeableType', item.changeableType),
    text('ConfigurationName', item.configurationName),
    ...(item.connections ?? []).map((connection) => text('Connection', connection)),
    text('ConsumerVisibility', item.consumerVisibility),
    message('Description', item.description, namespace, prefix),
    message('ElementName', item.elementName ?? { text: '' }, namespace, prefix),
    ...(item.hostResources ?? []).map((resource) => text('HostResource', resource)),
    text('InstanceID', item.instanceId),
    text('Limit', item.limit),
    text('MappingBehavior', item.mappingBehavior),
    text('OtherResourceType', item.otherResourceType),
    text('Parent', item.parent),
    text('PoolID', item.poolId),
    text('Reservation', item.reservation),
    text('ResourceSubType', item.resourceSubType),
    text('ResourceType', item.resourceType),
    text('VirtualQuantity', item.virtualQuantity),
    text('VirtualQuantityUnits', item.virtualQuantityUnits),
    text('Weight', item.weight),
  ];
  const attributes = ovfAttributes({
    required: item.required,
    configuration: item.configurations?.join(' '),
    bound: item.bound,
  });
  return settingElement(item.element, item, namespace, attributes, withAttributes(properties, item), [
    item.coresPerSocket === undefined
      ? undefined
      : element(
          'CoresPerSocket',
          ovfAttributes({ required: false }),
          [String(item.coresPerSocket)],
          vmwareNamespace,
          'vmw',
        ),
    ...(item.config ?? []).map((entry) => configElement('Config', entry)),
    ...(item.extraConfig ?? []).map((entry) => configElement('ExtraConfig', entry)),
  ]);
}

function configElement(name: string, entry: ConfigEntry): XmlElement {
  const { key, value, required } = entry;
  const attributes = [...ovfAttributes({ required }), ...vmwareAttributes({ key, value }), ...(entry.attributes ?? [])];
  return element(name, attributes, [], vmwareNamespace, 'vmw');
}
