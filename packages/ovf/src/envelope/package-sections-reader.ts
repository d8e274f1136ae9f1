import { isEncryptedData } from '../encryption/encryption-elements.ts';
import { type ElementReader, present } from './element-reader.ts';
import type {
  DeploymentOptionSection,
  DiskCapacity,
  DiskDescription,
  DiskSection,
  FileReference,
  NetworkSection,
} from './envelope.ts';
import { quantityInBytes } from './units.ts';

/** Reads References (DSP0243 7.1). */
export function readFiles(reader: ElementReader): FileReference[] {
  const files = reader.children('File').map((element) => readFile(reader.within(element)));
  reader.rest();
  return files;
}

function readFile(reader: ElementReader): FileReference {
  const id = reader.requiredAttribute('id');
  const compression = reader.attribute('compression')?.trim().toLowerCase() || undefined;
  if (compression !== undefined && compression !== 'gzip' && compression !== 'identity') {
    reader.fail(`the compression "${compression}" of the file ${id} is not supported`);
  }
  return {
    id,
    href: reader.requiredAttribute('href'),
    ...present('size', reader.integerAttribute('size')),
    ...present('compression', compression as FileReference['compression']),
    ...present('chunkSize', reader.integerAttribute('chunkSize', 1)),
    ...reader.rest(isEncryptedData),
  };
}

/** Reads a DiskSection (DSP0243 9.1). */
export function readDiskSection(reader: ElementReader): DiskSection {
  const disks = reader.children('Disk').map((element) => readDisk(reader.within(element)));
  return { ...reader.sectionHead(), disks, ...reader.rest() };
}

/** Reads a Disk, or what has its attributes. */
export function readDisk(reader: ElementReader): DiskDescription {
  const id = reader.requiredAttribute('diskId');
  const fileId = reader.attribute('fileRef')?.trim() || undefined;
  const format = reader.attribute('format')?.trim() || undefined;
  const capacity = readCapacity(reader, id);
  const populatedSize = reader.integerAttribute('populatedSize', -1);
  if (format === undefined && reader.context.version === '0.9') reader.fail(`the disk ${id} has no format`);
  return {
    id,
    ...present('fileId', fileId),
    capacity,
    ...present('populatedSize', populatedSize === -1 ? undefined : populatedSize),
    ...present('parentId', reader.attribute('parentRef')?.trim() || undefined),
    ...present('format', format),
    ...reader.rest(),
  };
}

function readCapacity(reader: ElementReader, id: string): DiskCapacity {
  const unit = reader.attribute('capacityAllocationUnits')?.trim() || 'byte';
  const text = reader.requiredAttribute('capacity');
  const property = /^\$\{(.+)\}$/.exec(text)?.[1];
  quantityInBytes(1, unit, reader.location);
  if (property !== undefined) return { property, unit };
  const quantity = reader.integerAttribute('capacity', 0)!;
  if (quantity === 0) reader.fail(`the disk ${id} has the capacity 0`);
  return { quantity, unit, bytes: quantityInBytes(quantity, unit, reader.location) };
}

/** Reads a NetworkSection (DSP0243 9.2). */
export function readNetworkSection(reader: ElementReader): NetworkSection {
  const networks = reader.children('Network').map((element) => {
    const network = reader.within(element);
    return {
      name: network.requiredAttribute('name'),
      ...present('description', network.message('Description')),
      ...network.rest(),
    };
  });
  return { ...reader.sectionHead(), networks, ...reader.rest() };
}

/** Reads a DeploymentOptionSection (DSP0243 9.8). */
export function readDeploymentOptionSection(reader: ElementReader): DeploymentOptionSection {
  const configurations = reader.children('Configuration').map((element) => {
    const configuration = reader.within(element);
    const label = configuration.child('Label');
    const id = configuration.requiredAttribute('id');
    return {
      id,
      label: label === undefined ? { text: id } : configuration.within(label).ownMessage(),
      description: configuration.message('Description') ?? { text: '' },
      ...present('isDefault', configuration.booleanAttribute('default')),
      ...configuration.rest(),
    };
  });
  return { ...reader.sectionHead(), configurations, ...reader.rest() };
}
