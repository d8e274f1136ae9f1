import type { DiskDescription } from '../envelope/envelope.ts';
import { contentsOf, parseHostResource } from '../envelope/envelope-references.ts';
import { propertyKey } from '../envelope/properties.ts';
import { isProgrammaticUnit } from '../envelope/units.ts';
import { cyclesOf } from './parent-cycles.ts';
import type { RuleCheck } from './rule-check.ts';

/** Whether a reference leads out of the package, to a server. */
const remote = /^[a-z][a-z0-9+.-]*:\/\//i;

/** Rules of what stands at the envelope's own level: References, disks, networks, deployment options, strings. */
export function checkPackage(check: RuleCheck): void {
  const { files, networkSection, deploymentOptionSection } = check.envelope;
  check.unique('file-id-unique', 'References', files, ({ id }) => id, 'file id');
  check.unique('file-href-unique', 'References', files, ({ href }) => href, 'file');
  checkDisks(check);
  check.unique('network-name-unique', 'NetworkSection', networkSection?.networks ?? [], ({ name }) => name, 'network');
  const options = deploymentOptionSection?.configurations ?? [];
  check.unique('configuration-id-unique', 'DeploymentOptionSection', options, ({ id }) => id, 'configuration');
  const [, second] = options.filter(({ isDefault }) => isDefault);
  if (second !== undefined) {
    const detail = `the configuration ${second.id} is a second default`;
    check.report('configuration-default', detail, 'DeploymentOptionSection', second.line);
  }
  checkStrings(check);
  checkVersion2(check);
}

function checkDisks(check: RuleCheck): void {
  const { diskSection, files, version } = check.envelope;
  const disks = diskSection?.disks ?? [];
  const section = 'DiskSection';
  check.unique('disk-id-unique', section, disks, ({ id }) => id, 'disk id');
  check.unique(
    'disk-file-shared',
    section,
    disks.filter(({ fileId }) => fileId !== undefined),
    // Disks of one file that differ in capacity are alternatives for deployment options.
    ({ fileId, capacity }) => `${fileId} with capacity ${'bytes' in capacity ? capacity.bytes : capacity.property}`,
    'disk of file',
  );
  const byId = new Map(disks.map((disk) => [disk.id, disk]));
  const order = new Map(files.map(({ id }, index) => [id, index]));
  const keys = propertyKeys(check);
  let reached = -1;
  for (const disk of disks) {
    const { id, fileId, capacity, populatedSize, format, line } = disk;
    if (fileId !== undefined) {
      const file = check.files.get(fileId);
      if (file === undefined) {
        const detail = `the disk ${id} refers to the file "${fileId}", which is not in References`;
        check.report('disk-file-known', detail, section, line);
      } else if (file.size === 0 && !remote.test(file.href)) {
        check.report('file-empty', `the file ${fileId} of the disk ${id} has the size 0`, 'References', file.line);
      }
      const place = order.get(fileId) ?? reached;
      if (place < reached) {
        const detail = `the disk ${id} stands behind one whose file comes later in References`;
        check.report('disk-file-order', detail, section, line);
      }
      reached = Math.max(reached, place);
    }
    if ('bytes' in capacity) {
      if (populatedSize !== undefined && populatedSize > capacity.bytes) {
        const detail = `the populatedSize ${populatedSize} of the disk ${id} exceeds its capacity of ${capacity.bytes} bytes`;
        check.report('disk-populated', detail, section, line);
      }
    } else if (!keys.has(capacity.property)) {
      const detail = `the capacity of the disk ${id} is that of the property "${capacity.property}", which does not exist`;
      check.report('disk-capacity-property', detail, section, line);
    }
    if (!isProgrammaticUnit(capacity.unit)) {
      check.report('unit-form', `the unit "${capacity.unit}" is no programmatic unit`, section, line);
    }
    if (format === undefined && fileId !== undefined && version !== '0.9') {
      check.report('disk-format', `the disk ${id} has a file and says no format`, section, line);
    }
    checkParent(check, disk, byId);
  }
  const cyclic = cyclesOf(
    disks,
    ({ id }) => id,
    ({ parentId }) => parentId,
  );
  for (const disk of cyclic) {
    check.report('disk-parent-acyclic', `the disk ${disk.id} is its own parent`, section, disk.line);
  }
  checkUse(check);
}

function checkParent(check: RuleCheck, disk: DiskDescription, byId: ReadonlyMap<string, DiskDescription>): void {
  if (disk.parentId === undefined) return;
  const parent = byId.get(disk.parentId);
  if (parent === undefined) {
    const detail = `the disk ${disk.id} refers to the parent "${disk.parentId}", which does not exist`;
    check.report('disk-parent-known', detail, 'DiskSection', disk.line);
    return;
  }
  if (!('bytes' in parent.capacity) || !('bytes' in disk.capacity)) return;
  if (parent.capacity.bytes !== disk.capacity.bytes) {
    const detail = `the disk ${disk.id} has another capacity than its parent ${parent.id}`;
    check.report('disk-parent-capacity', detail, 'DiskSection', disk.line);
  }
}

/** Disks that no item has, nor another disk for its parent. */
function checkUse(check: RuleCheck): void {
  const { envelope } = check;
  const used = new Set((envelope.diskSection?.disks ?? []).map(({ parentId }) => parentId));
  for (const content of contentsOf(envelope.content)) {
    if (content.kind !== 'VirtualSystem') continue;
    for (const { items } of content.hardware) {
      for (const resource of items.flatMap(({ hostResources }) => hostResources ?? [])) {
        const parsed = parseHostResource(resource);
        if (parsed?.kind === 'disk') used.add(parsed.id);
      }
    }
  }
  for (const { id, fileId, line } of envelope.diskSection?.disks ?? []) {
    if (used.has(id)) continue;
    const file = fileId === undefined ? undefined : check.files.get(fileId);
    if (file !== undefined && file.size === undefined) {
      const detail = `no item has the disk ${id}, and its file ${file.id} has no size: nothing tells what it is`;
      check.report('disk-unused-unsized', detail, 'DiskSection', line);
    } else {
      check.report('disk-unused', `no item has the disk ${id}`, 'DiskSection', line);
    }
  }
}

/** Keys by which a capacity can name a property: as they stand, and with class and instance. */
function propertyKeys(check: RuleCheck): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const { products } of contentsOf(check.envelope.content)) {
    for (const product of products) {
      for (const property of product.properties) {
        keys.add(property.key);
        keys.add(propertyKey(product, property));
      }
    }
  }
  return keys;
}

function checkStrings(check: RuleCheck): void {
  for (const { fileId, language, line } of check.envelope.strings) {
    if (fileId !== undefined && !check.files.has(fileId)) {
      const detail = `the string bundle refers to the file "${fileId}", which is not in References`;
      check.report('string-bundle-file', detail, 'Strings', line);
    }
    if (language === undefined && fileId === undefined) {
      check.report('string-bundle-language', 'the string bundle says no language', 'Strings', line);
    }
  }
}

function checkVersion2(check: RuleCheck): void {
  const { envelope } = check;
  const groups = envelope.placementGroups ?? [];
  check.unique('placement-group-unique', 'PlacementGroupSection', groups, ({ id }) => id, 'placement group');
  for (const disk of envelope.sharedDiskSection?.disks ?? []) {
    if (disk.fileId !== undefined && !check.files.has(disk.fileId)) {
      const detail = `the disk ${disk.id} refers to the file "${disk.fileId}", which is not in References`;
      check.report('shared-disk-file', detail, 'SharedDiskSection', disk.line);
    }
  }
  const hrefs = new Set(envelope.files.map(({ href }) => href));
  for (const reference of envelope.encryption?.references ?? []) {
    const name = reference.replace(/^(ovf:\/\/?file\/|\.\/)/, '');
    if (reference.startsWith('#') || hrefs.has(name) || check.files.has(name)) continue;
    const detail = `"${reference}" is said to be encrypted and is not in References`;
    check.report('encrypted-file', detail, 'EncryptionSection', envelope.encryption?.line);
  }
}
