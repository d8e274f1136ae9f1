import { OvfError, type OvfLocation } from '../errors.ts';
import type { ReadContext } from './element-reader.ts';
import type { Content, Envelope, HardwareItem, VirtualSystem } from './envelope.ts';

/** What a HostResource names: `ovf:/disk/id`, `ovf:/file/id`, also without `ovf:` and with two slashes. */
export function parseHostResource(text: string): { readonly kind: 'disk' | 'file'; readonly id: string } | undefined {
  const match = /^(?:ovf:)?\/{0,2}(disk|file)\/(.+)$/.exec(text);
  return match === null ? undefined : { kind: match[1] as 'disk' | 'file', id: match[2]! };
}

/** Every content of an envelope, each before what it contains. */
export function* contentsOf(content: Content): Generator<Content> {
  yield content;
  if (content.kind === 'VirtualSystemCollection') for (const child of content.contents) yield* contentsOf(child);
}

/** Checks that every name within the envelope refers to something: files, disks, networks, configurations, ids. */
export function checkReferences(envelope: Envelope, context: ReadContext): void {
  const files = new Set(envelope.files.map((file) => file.id));
  const disks = new Map((envelope.diskSection?.disks ?? []).map((disk) => [disk.id, disk]));
  const networks = new Set((envelope.networkSection?.networks ?? []).map((network) => network.name));
  const at = (line: number | undefined, section: string): OvfLocation => ({ file: context.fileName, line, section });
  const refuse = (detail: string, location: OvfLocation): never => {
    throw new OvfError('reference-unknown', detail, location);
  };

  for (const disk of disks.values()) {
    const location = at(disk.line, 'DiskSection');
    if (disk.fileId !== undefined && !files.has(disk.fileId)) {
      refuse(`the disk ${disk.id} refers to the file "${disk.fileId}", which is not in References`, location);
    }
    const chain = new Set([disk.id]);
    for (let parent = disk.parentId; parent !== undefined; parent = disks.get(parent)?.parentId) {
      if (!disks.has(parent))
        refuse(`the disk ${disk.id} refers to the parent "${parent}", which does not exist`, location);
      if (chain.has(parent)) throw new OvfError('envelope-invalid', `the disk ${disk.id} is its own parent`, location);
      chain.add(parent);
    }
  }
  for (const bundle of envelope.strings) {
    if (bundle.fileId !== undefined && !files.has(bundle.fileId)) {
      const detail = `the string bundle refers to the file "${bundle.fileId}", which is not in References`;
      context.warnings.push({ detail, location: at(bundle.line, 'Strings') });
    }
  }

  const checkItem = (item: HardwareItem, location: OvfLocation): void => {
    for (const text of item.hostResources ?? []) {
      const resource = parseHostResource(text);
      if (resource === undefined) continue;
      if (!(resource.kind === 'disk' ? disks.has(resource.id) : files.has(resource.id))) {
        refuse(`the item with InstanceID ${item.instanceId} refers to the ${resource.kind} "${resource.id}"`, location);
      }
    }
    if (item.resourceType !== 10) return;
    for (const network of item.connections ?? []) {
      if (!networks.has(network)) {
        refuse(`the item with InstanceID ${item.instanceId} refers to the network "${network}"`, location);
      }
    }
  };
  const ids = new Set<string>();
  for (const content of contentsOf(envelope.content)) {
    if (ids.has(content.id)) {
      context.warnings.push({
        detail: `the id "${content.id}" is there twice`,
        location: at(content.line, content.kind),
      });
    }
    ids.add(content.id);
    for (const product of content.products) {
      for (const icon of product.icons ?? []) {
        if (!files.has(icon.fileId))
          refuse(`the icon refers to the file "${icon.fileId}"`, at(icon.line, 'ProductSection'));
      }
    }
    if (content.kind === 'VirtualSystemCollection') {
      const children = new Set<string>();
      for (const child of content.contents) {
        if (children.has(child.id)) {
          const detail = `the collection ${content.id} has "${child.id}" twice`;
          throw new OvfError('envelope-invalid', detail, at(child.line, child.kind));
        }
        children.add(child.id);
      }
      for (const item of content.startup?.items ?? []) {
        if (!children.has(item.id)) {
          refuse(
            `the startup item refers to "${item.id}", which is not in the collection`,
            at(item.line, 'StartupSection'),
          );
        }
      }
    } else {
      for (const hardware of content.hardware) {
        for (const item of hardware.items) checkItem(item, at(item.line, 'VirtualHardwareSection'));
      }
    }
  }
}

/** The virtual systems of an envelope, in document order, also those in nested collections. */
export function virtualSystems(envelope: Envelope): VirtualSystem[] {
  return [...contentsOf(envelope.content)].filter((content) => content.kind === 'VirtualSystem');
}
