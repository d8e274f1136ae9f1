import { type ElementReader, present } from '../envelope/element-reader.ts';
import type {
  ConfigEntry,
  HardwareItem,
  LocalizedText,
  ResourceAllocationSection,
  SystemSettings,
  VirtualHardwareSection,
} from '../envelope/envelope.ts';
import { vmwareNamespace } from '../envelope/namespaces.ts';
import { textOf, type XmlElement } from '../xml/xml-tree.ts';

/** Reads a VirtualHardwareSection (DSP0243 8). */
export function readVirtualHardwareSection(reader: ElementReader): VirtualHardwareSection {
  const system = reader.child('System');
  return {
    info: reader.message('Info') ?? { text: '' },
    ...present('required', reader.booleanAttribute('required')),
    ...present('id', reader.attribute('id')),
    transports: (reader.attribute('transport') ?? '').split(/[\s,]+/).filter((transport) => transport !== ''),
    ...(system === undefined ? {} : { system: readSystem(reader.within(system)) }),
    items: readItems(reader),
    config: readConfig(reader, 'Config'),
    extraConfig: readConfig(reader, 'ExtraConfig'),
    ...reader.rest(),
  };
}

/** Reads a ResourceAllocationSection (DSP0243 9.3). */
export function readResourceAllocationSection(reader: ElementReader): ResourceAllocationSection {
  return {
    info: reader.message('Info') ?? { text: '' },
    ...present('required', reader.booleanAttribute('required')),
    items: readItems(reader),
    ...reader.rest(),
  };
}

function readSystem(reader: ElementReader): SystemSettings {
  const settings = {
    ...present('instanceId', reader.text('InstanceID') ?? reader.text('InstanceId')),
    ...present('elementName', reader.text('ElementName')),
    ...present('identifier', reader.text('VirtualSystemIdentifier')),
    ...present('type', reader.text('VirtualSystemType')),
  };
  if (Object.keys(settings).length === 0) reader.fail('System is empty');
  return { ...settings, ...reader.rest() };
}

function readItems(reader: ElementReader): HardwareItem[] {
  const elements = [
    ...reader.children('Item'),
    ...reader.children('StorageItem'),
    ...reader.children('EthernetPortItem'),
  ].sort((one, other) => (one.line ?? 0) - (other.line ?? 0));
  const items = elements.map((element) => readItem(reader.within(element)));
  checkBounds(reader, elements, items);
  return items;
}

/** Every item has its own InstanceID, but for the bounds of a range and the variants of deployment options. */
function checkBounds(reader: ElementReader, elements: XmlElement[], items: HardwareItem[]): void {
  const seen = new Set<string>();
  const normal = new Set<string>();
  for (const item of items) if (item.bound === undefined || item.bound === 'normal') normal.add(item.instanceId);
  items.forEach((item, index) => {
    const bound = item.bound ?? 'normal';
    const here = reader.within(elements[index]!);
    const key = [item.instanceId, bound, ...(item.configurations ?? [])].join('\0');
    if (seen.has(key)) {
      here.fail(
        bound === 'normal'
          ? `InstanceID ${item.instanceId} is used by two items`
          : `the item with InstanceID ${item.instanceId} has two ${bound} bounds`,
      );
    }
    seen.add(key);
    if (reader.element.name !== 'VirtualHardwareSection') return;
    if (
      bound === 'normal' &&
      item.virtualQuantity === undefined &&
      (item.resourceType === 3 || item.resourceType === 4)
    ) {
      here.fail(`the item with InstanceID ${item.instanceId} has no VirtualQuantity`);
    }
    if (!normal.has(item.instanceId)) {
      here.fail(`the ${bound} bound with InstanceID ${item.instanceId} has no item that it bounds`);
    }
  });
}

function readItem(reader: ElementReader): HardwareItem {
  const name = reader.element.name as HardwareItem['element'];
  const instanceId = reader.text('InstanceID') ?? reader.text('InstanceId');
  if (instanceId === undefined) reader.fail('an Item has no InstanceID');
  const resourceType = reader.integer('ResourceType', 0);
  if (resourceType === undefined) reader.fail(`the Item with InstanceID ${instanceId} has no ResourceType`);
  const configurations = reader
    .attribute('configuration')
    ?.trim()
    .split(/[\s,]+/)
    .filter((id) => id !== '');
  const bound = reader.attribute('bound')?.trim();
  if (bound !== undefined && bound !== 'min' && bound !== 'max' && bound !== 'normal') {
    reader.fail(`bound="${bound}" is none of min, max, normal`);
  }
  const address = reader.text('Address');
  // The 0.9 draft has BusNumber where the standard has Address.
  const busNumber = reader.text('BusNumber');
  const connections = texts(reader, 'Connection');
  const hostResources = texts(reader, 'HostResource');
  const config = readConfig(reader, 'Config');
  const extraConfig = readConfig(reader, 'ExtraConfig');
  const coresPerSocket = reader.child('CoresPerSocket', vmwareNamespace);
  if (coresPerSocket !== undefined) reader.within(coresPerSocket).booleanAttribute('required');
  return {
    element: name,
    ...present('required', reader.booleanAttribute('required')),
    ...(configurations && configurations.length > 0 ? { configurations } : {}),
    ...present('bound', bound as HardwareItem['bound']),
    instanceId,
    resourceType,
    ...present('resourceSubType', reader.text('ResourceSubType')),
    ...present('otherResourceType', reader.text('OtherResourceType')),
    ...present('elementName', label(reader, 'ElementName')),
    ...present('caption', label(reader, 'Caption')),
    ...present('description', label(reader, 'Description')),
    ...present('address', address ?? busNumber),
    ...present('addressOnParent', reader.text('AddressOnParent')),
    ...present('allocationUnits', reader.text('AllocationUnits')),
    ...present('automaticAllocation', reader.boolean('AutomaticAllocation')),
    ...present('automaticDeallocation', reader.boolean('AutomaticDeallocation')),
    ...present('changeableType', reader.integer('ChangeableType', 0)),
    ...present('configurationName', reader.text('ConfigurationName')),
    ...(connections.length > 0 ? { connections } : {}),
    ...present('consumerVisibility', reader.integer('ConsumerVisibility', 0)),
    ...(hostResources.length > 0 ? { hostResources } : {}),
    ...present('limit', reader.integer('Limit')),
    ...present('mappingBehavior', reader.integer('MappingBehavior', 0)),
    ...present('parent', reader.text('Parent')),
    ...present('poolId', reader.text('PoolID')),
    ...present('reservation', reader.integer('Reservation', 0)),
    ...present('virtualQuantity', reader.integer('VirtualQuantity', 0)),
    ...present('virtualQuantityUnits', reader.text('VirtualQuantityUnits')),
    ...present('weight', reader.integer('Weight', 0)),
    ...present('coresPerSocket', reader.integer('CoresPerSocket', 1)),
    ...(config.length > 0 ? { config } : {}),
    ...(extraConfig.length > 0 ? { extraConfig } : {}),
    ...reader.rest(),
  };
}

function texts(reader: ElementReader, name: string): string[] {
  return reader
    .children(name, '*')
    .map((child) => textOf(child).trim())
    .filter((text) => text !== '');
}

function label(reader: ElementReader, name: string): LocalizedText | undefined {
  const message = reader.message(name, '*');
  return message === undefined || (message.text === '' && message.messageId === undefined) ? undefined : message;
}

function readConfig(reader: ElementReader, name: string): ConfigEntry[] {
  return reader.children(name, vmwareNamespace).map((element) => {
    const entry = reader.within(element);
    return {
      key: entry.requiredAttribute('key', vmwareNamespace),
      value: entry.attribute('value', vmwareNamespace) ?? '',
      ...present('required', entry.booleanAttribute('required')),
    };
  });
}
