import {
  type Child,
  element,
  extended,
  message,
  ovfAttributes,
  section,
  textElement,
  vmwareAttributes,
} from '../envelope/element-builder.ts';
import type {
  ConfigEntry,
  HardwareItem,
  ResourceAllocationSection,
  VirtualHardwareSection,
} from '../envelope/envelope.ts';
import {
  epasdNamespace,
  rasdNamespace,
  sasdNamespace,
  vmwareNamespace,
  vssdNamespace,
} from '../envelope/namespaces.ts';
import type { XmlElement } from '../xml/xml-tree.ts';

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
    system &&
      extended(
        'System',
        system,
        [],
        [
          textElement('ElementName', system.elementName, vssdNamespace, 'vssd'),
          textElement('InstanceID', system.instanceId, vssdNamespace, 'vssd'),
          textElement('VirtualSystemIdentifier', system.identifier, vssdNamespace, 'vssd'),
          textElement('VirtualSystemType', system.type, vssdNamespace, 'vssd'),
        ],
      ),
    ...hardware.items.map(itemElement),
    ...hardware.config.map((entry) => configElement('Config', entry)),
    ...hardware.extraConfig.map((entry) => configElement('ExtraConfig', entry)),
  ]);
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
    message('ElementName', item.elementName, namespace, prefix),
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
  const ordered = properties.filter((child) => typeof child === 'object').sort(propertyOrder);
  return extended(
    item.element,
    item,
    ovfAttributes({ required: item.required, configuration: item.configurations?.join(' '), bound: item.bound }),
    [
      ...ordered,
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
    ],
  );
}

function configElement(name: string, { key, value, required }: ConfigEntry): XmlElement {
  const attributes = [...ovfAttributes({ required }), ...vmwareAttributes({ key, value })];
  return element(name, attributes, [], vmwareNamespace, 'vmw');
}
