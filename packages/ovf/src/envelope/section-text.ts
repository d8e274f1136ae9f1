import { OvfError } from '../errors.ts';
import { parseXml, type XmlLimits } from '../xml/xml-reader.ts';
import type { XmlElement } from '../xml/xml-tree.ts';
import { formatXml } from '../xml/xml-writer.ts';
import type { Content, Envelope, UnknownSection } from './envelope.ts';
import { envelope2Namespace, envelopeNamespace } from './namespaces.ts';
import { placementElement, placementGroupElement, scaleOutElement } from './version2-sections-writer.ts';

/** One section as XML of its own, with every namespace that it needs. */
export function formatSection(element: XmlElement): string {
  return formatXml(element)
    .replace(/^<\?xml[^>]*\?>\n/, '')
    .trimEnd();
}

/** A section that {@link formatSection} wrote; throws `xml-malformed` and its like, `envelope-invalid` for two of them. */
export function parseSection(text: string, limits: XmlLimits = {}): UnknownSection {
  const element = parseXml(text, limits);
  if (element.name === '') throw new OvfError('envelope-invalid', 'the section has no name');
  const required = element.attributes.find(
    ({ namespace, name }) => name === 'required' && [envelopeNamespace, envelope2Namespace].includes(namespace),
  );
  return { namespace: element.namespace, name: element.name, required: required?.value !== 'false', element };
}

/** Sections of a content that are no hardware, product or order of starting: what only the package's maker knows. */
export function furtherSections({ kind, ...content }: Content): XmlElement[] {
  const { placements = [], otherSections } = content;
  const scaleOut = kind === 'VirtualSystemCollection' && 'scaleOut' in content ? (content.scaleOut ?? []) : [];
  return [
    ...scaleOut.map((section) => scaleOutElement(section, false)),
    ...placements.map((section) => placementElement(section, false)),
    ...otherSections.map(({ element }) => element),
  ];
}

/** The same of an envelope. */
export function furtherEnvelopeSections({ placementGroups = [], otherSections }: Envelope): XmlElement[] {
  return [
    ...placementGroups.map((section) => placementGroupElement(section, false)),
    ...otherSections.map(({ element }) => element),
  ];
}
