import type { XmlElement } from '../xml/xml-tree.ts';
import { type AttributeValue, type Child, message, section, vmwareAttributes } from './element-builder.ts';
import type { Section } from './envelope.ts';
import { vmwareNamespace } from './namespaces.ts';
import type { BootOrderSection, IpAssignmentSection, StorageGroupSection, StorageSection } from './vmware-sections.ts';

function vmwareSection(
  name: string,
  source: Section,
  values: Readonly<Record<string, AttributeValue>>,
  children: readonly Child[] = [],
): XmlElement {
  const written = section(name, source, vmwareAttributes(values), children);
  return { ...written, namespace: vmwareNamespace, prefix: 'vmw' };
}

export function ipAssignmentElement(assignment: IpAssignmentSection): XmlElement {
  return vmwareSection('IpAssignmentSection', assignment, {
    protocols: assignment.protocols.join(','),
    schemes: assignment.schemes.join(','),
  });
}

export function bootOrderElement(boot: BootOrderSection): XmlElement {
  return vmwareSection('BootOrderSection', boot, { instanceId: boot.instanceId, type: boot.type });
}

export function storageGroupElement(group: StorageGroupSection): XmlElement {
  return vmwareSection('StorageGroupSection', group, { id: group.id || undefined, name: group.name }, [
    message('Description', group.description, vmwareNamespace, 'vmw'),
  ]);
}

export function storageElement(storage: StorageSection): XmlElement {
  return vmwareSection('StorageSection', storage, { group: storage.group });
}
