import { unifyEnvelope } from '../envelope/envelope-namespace.ts';
import { envelopeNamespace, xsiNamespace } from '../envelope/namespaces.ts';
import { childElements, textOf, type XmlElement } from '../xml/xml-tree.ts';

/** Names of the 0.9 draft, and forms of a value, that are written as the standard has them. */
const renamed: Readonly<Record<string, string>> = {
  InstanceId: 'InstanceID',
  BusNumber: 'Address',
  'Full-version': 'FullVersion',
};

/** Everything that a tree says: each attribute and text with the path of names to it. */
function factsOf(root: XmlElement): string[] {
  const facts: string[] = [];
  const visit = (element: XmlElement, path: string): void => {
    const name = renamed[element.name] ?? element.name;
    const here = `${path}/${name}`;
    const children = childElements(element);
    for (const { namespace, name: attribute, value } of element.attributes) {
      if (namespace === xsiNamespace && attribute === 'type') continue;
      // Defaults say nothing, nor does the version of the draft.
      if (value.trim() === '' || /^(capacityAllocationUnits=byte|version=0.9)$/.test(`${attribute}=${value}`)) continue;
      const own = namespace === envelopeNamespace ? '' : namespace;
      facts.push(`${here}@${own ? `${own} ` : ''}${attribute}=${normal(value)}`);
    }
    const text = normal(textOf(element));
    if (children.length === 0 && text !== '') facts.push(`${here}=${text}`);
    const hasAddress = children.some((child) => child.name === 'Address');
    for (const child of children) if (!hasAddress || child.name !== 'BusNumber') visit(child, here);
  };
  visit(root, '');
  return facts;
}

/** Values as they compare: white space, signs and letter case of numbers, booleans and lists aside. */
function normal(text: string): string {
  const words = text
    .trim()
    .split(/[\s,]+/)
    .join(' ');
  return /^[+-]?\d+$/.test(words) ? String(BigInt(words)) : words;
}

/** What a written descriptor no longer says of the one that was read. */
export function lossOf(read: XmlElement, written: XmlElement): string[] {
  const left = new Map<string, number>();
  for (const fact of factsOf(unifyEnvelope(written)!.root)) left.set(fact, (left.get(fact) ?? 0) + 1);
  return factsOf(unifyEnvelope(read)!.root).filter((fact) => {
    const count = left.get(fact) ?? 0;
    left.set(fact, count - 1);
    return count <= 0;
  });
}
