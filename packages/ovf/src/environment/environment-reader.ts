import { ElementReader, present } from '../envelope/element-reader.ts';
import { environmentNamespace, vmwareEnvironmentNamespace } from '../envelope/namespaces.ts';
import { OvfError } from '../errors.ts';
import { IssueLog } from '../validation/issue-log.ts';
import { parseXml, type XmlLimits } from '../xml/xml-reader.ts';
import type { XmlElement } from '../xml/xml-tree.ts';
import type { Environment, EnvironmentAdapter, EnvironmentPlatform, EnvironmentProperty } from './environment.ts';

/**
 * Reads an environment (DSP0243 11, DSP8027): `ovf-env.xml`, `guestinfo.ovfEnv`. Sections that are not known are left aside.
 * Throws {@link OvfError}: `not-an-environment` for another document, `envelope-invalid` for a property without a key.
 */
export function parseEnvironment(source: string | Uint8Array, options: XmlLimits = {}): Environment {
  const root = parseXml(source, options);
  if (root.name !== 'Environment' || root.namespace !== environmentNamespace) {
    const detail = `the root element is ${root.name} of the namespace "${root.namespace}"`;
    throw new OvfError('not-an-environment', detail, { file: options.fileName, line: root.line });
  }
  const reader = new ElementReader(root, {
    fileName: options.fileName,
    version: '1',
    log: new IssueLog('lax', true),
  });
  const platform = reader.child('PlatformSection', environmentNamespace);
  const adapters = reader
    .children('EthernetAdapterSection', vmwareEnvironmentNamespace)
    .flatMap((section) => reader.within(section).children('Adapter', vmwareEnvironmentNamespace))
    .map((adapter) => readAdapter(reader.within(adapter)));
  const siblings = reader.children('Entity', environmentNamespace).map((element) => {
    const entity = reader.within(element);
    return { entityId: requiredAttribute(entity, 'id'), properties: readProperties(entity) };
  });
  return {
    entityId: reader.attribute('id', environmentNamespace) ?? '',
    ...(platform === undefined ? {} : { platform: readPlatform(reader.within(platform)) }),
    properties: readProperties(reader),
    ...(adapters.length > 0 ? { adapters } : {}),
    ...(siblings.length > 0 ? { siblings } : {}),
  };
}

function requiredAttribute(reader: ElementReader, name: string, namespace = environmentNamespace): string {
  return reader.attribute(name, namespace) ?? reader.fail(`${reader.element.name} has no ${name}`);
}

function readPlatform(reader: ElementReader): EnvironmentPlatform {
  return {
    ...present('kind', reader.text('Kind')),
    ...present('version', reader.text('Version')),
    ...present('vendor', reader.text('Vendor')),
    ...present('locale', reader.text('Locale')),
    ...present('timezone', reader.integer('Timezone')),
  };
}

function readProperties(reader: ElementReader): EnvironmentProperty[] {
  const properties: XmlElement[] = reader
    .children('PropertySection', environmentNamespace)
    .flatMap((section) => reader.within(section).children('Property', environmentNamespace));
  return properties.map((element) => {
    const property = reader.within(element);
    return { key: requiredAttribute(property, 'key'), value: requiredAttribute(property, 'value') };
  });
}

function readAdapter(reader: ElementReader): EnvironmentAdapter {
  const unit = requiredAttribute(reader, 'unitNumber', vmwareEnvironmentNamespace).trim();
  if (!/^\d{1,9}$/.test(unit)) reader.fail(`unitNumber "${unit.slice(0, 64)}" is not a number`);
  return {
    mac: requiredAttribute(reader, 'mac', vmwareEnvironmentNamespace),
    network: requiredAttribute(reader, 'network', vmwareEnvironmentNamespace),
    unitNumber: Number(unit),
  };
}
