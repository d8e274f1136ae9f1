import { type ElementReader, present } from './element-reader.ts';
import { vmwareNamespace } from './namespaces.ts';
import type { BootOrderSection, IpAssignmentSection, StorageGroupSection, StorageSection } from './vmware-sections.ts';

function list(reader: ElementReader, name: string): string[] {
  return (reader.attribute(name, vmwareNamespace) ?? '').split(/[\s,]+/).filter((word) => word !== '');
}

function text(reader: ElementReader, name: string): string | undefined {
  return reader.attribute(name, vmwareNamespace)?.trim() || undefined;
}

/** Reads `vmw:IpAssignmentSection`. */
export function readIpAssignmentSection(reader: ElementReader): IpAssignmentSection {
  return {
    ...reader.sectionHead(),
    protocols: list(reader, 'protocols'),
    schemes: list(reader, 'schemes'),
    ...reader.rest(() => true),
  };
}

/** Reads `vmw:BootOrderSection`. */
export function readBootOrderSection(reader: ElementReader): BootOrderSection {
  return {
    ...reader.sectionHead(),
    instanceId: reader.requiredAttribute('instanceId', vmwareNamespace),
    ...present('type', text(reader, 'type')),
    ...reader.rest(() => true),
  };
}

/** Reads `vmw:StorageGroupSection`. */
export function readStorageGroupSection(reader: ElementReader): StorageGroupSection {
  return {
    ...reader.sectionHead(),
    id: text(reader, 'id') ?? '',
    ...present('name', text(reader, 'name')),
    ...present('description', reader.message('Description', vmwareNamespace)),
    ...reader.rest(() => true),
  };
}

/** Reads `vmw:StorageSection`. */
export function readStorageSection(reader: ElementReader): StorageSection {
  return { ...reader.sectionHead(), ...present('group', text(reader, 'group')), ...reader.rest(() => true) };
}
