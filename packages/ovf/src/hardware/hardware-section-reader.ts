import { type ElementReader, present } from '../envelope/element-reader.ts';
import type {
  ConfigEntry,
  HardwareItem,
  ResourceAllocationSection,
  SettingAttributes,
  SystemSettings,
  VirtualHardwareSection,
} from '../envelope/envelope.ts';
import {
  envelopeNamespace,
  epasdNamespace,
  rasdNamespace,
  sasdNamespace,
  vmwareNamespace,
  vssdNamespace,
} from '../envelope/namespaces.ts';
import { envelopeSchema2 } from '../validation/envelope-schema.ts';
import { childElements, textOf, type XmlElement } from '../xml/xml-tree.ts';

/** Elements of the CIM classes that are kept as they are where they are not read. */
const settings: Readonly<Record<string, ReadonlySet<string>>> = {
  [vssdNamespace]: elementsOf('System_Type'),
  [rasdNamespace]: elementsOf('Item_Type'),
  [sasdNamespace]: elementsOf('StorageItem_Type'),
  [epasdNamespace]: elementsOf('EthernetPortItem_Type'),
};

function elementsOf(typeName: string): ReadonlySet<string> {
  const particles = envelopeSchema2.types.get(typeName)?.particles ?? [];
  return new Set(particles.flatMap(({ elements }) => [...elements.keys()]));
}

function isSetting(element: XmlElement): boolean {
  return settings[element.namespace]?.has(element.name) ?? false;
}

/** Reads a VirtualHardwareSection (DSP0243 8). */
export function readVirtualHardwareSection(reader: ElementReader): VirtualHardwareSection {
  const system = reader.child('System');
  return {
    ...reader.sectionHead(),
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
    ...reader.sectionHead(),
    items: readItems(reader),
    ...reader.rest(),
  };
}

function readSystem(reader: ElementReader): SystemSettings {
  const values = {
    ...present('instanceId', reader.text('InstanceID') ?? reader.text('InstanceId')),
    ...present('elementName', reader.text('ElementName')),
    ...present('identifier', reader.text('VirtualSystemIdentifier')),
    ...present('type', reader.text('VirtualSystemType')),
  };
  const rest = reader.rest(isSetting);
  if (Object.keys(values).length === 0 && rest.extensions === undefined) reader.fail('System is empty');
  return { instanceId: '', elementName: '', ...values, ...rest };
}

const itemElements: ReadonlySet<string> = new Set(['Item', 'StorageItem', 'EthernetPortItem']);

function readItems(reader: ElementReader): HardwareItem[] {
  for (const name of itemElements) reader.children(name);
  const elements = childElements(reader.element).filter(
    ({ namespace, name }) => namespace === envelopeNamespace && itemElements.has(name),
  );
  return elements.map((element) => readItem(reader.within(element)));
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
    // Drafts had Caption alone; the standard wants ElementName.
    elementName: reader.message('ElementName', '*') ?? { text: '' },
    ...present('caption', reader.message('Caption', '*')),
    ...present('description', reader.message('Description', '*')),
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
    ...present('settingAttributes', readSettingAttributes(reader)),
    ...reader.rest(isSetting),
  };
}

/** Attributes of elements of which only the text is read. */
function readSettingAttributes(reader: ElementReader): SettingAttributes[] | undefined {
  const counts = new Map<string, number>();
  const found: SettingAttributes[] = [];
  for (const child of childElements(reader.element)) {
    const name = draftNames[child.name] ?? child.name;
    if (!isSetting({ ...child, name }) || messages.has(name) || textOf(child).trim() === '') continue;
    const index = counts.get(name) ?? 0;
    counts.set(name, index + 1);
    if (child.attributes.length > 0) found.push({ name, index, attributes: child.attributes });
  }
  return found.length > 0 ? found : undefined;
}

const draftNames: Readonly<Record<string, string>> = { InstanceId: 'InstanceID', BusNumber: 'Address' };
/** Elements that are read with their attributes. */
const messages = new Set(['Caption', 'Description', 'ElementName']);

/** Texts of elements of one name. An empty one with attributes is nobody's to read: it is kept as it is. */
function texts(reader: ElementReader, name: string): string[] {
  const found = reader.children(name, '*', (child) => textOf(child).trim() !== '' || child.attributes.length === 0);
  return found.map((child) => textOf(child).trim()).filter((text) => text !== '');
}

function readConfig(reader: ElementReader, name: string): ConfigEntry[] {
  return reader.children(name, vmwareNamespace).map((element) => {
    const entry = reader.within(element);
    return {
      key: entry.requiredAttribute('key', vmwareNamespace),
      value: entry.attribute('value', vmwareNamespace) ?? '',
      ...present('required', entry.booleanAttribute('required')),
      ...present('attributes', entry.rest(() => true).attributes),
    };
  });
}
