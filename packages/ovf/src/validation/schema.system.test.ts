import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { envelopeNamespace } from '../envelope/namespaces.ts';
import { type Envelope, formatEnvelope, validateEnvelope } from '../index.ts';
import { descriptorNames, readDescriptor } from '../testing/descriptors.ts';
import { schemaVerdicts } from '../testing/xmllint.ts';
import { parseXml } from '../xml/xml-reader.ts';
import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import { formatXml } from '../xml/xml-writer.ts';

const skip =
  spawnSync('xmllint', ['--version']).status === 0
    ? false
    : 'xmllint is not installed: node scripts/debian-packages.mjs tests';

/** Why the schema cannot pass what was written as it was read. */
const unwritable: Readonly<Record<string, string>> = {
  'chinese__chinese_characters.ovf': 'its href is no URI',
  'external.ovf': 'an unknown section in the namespace of the schema',
  'OVFToolTemplates__OVF__xmltestfiles__Envelope__Pos__section_compatibility_rec.ovf': 'an unknown element, as above',
  'OVFToolTemplates__OVF__xmltestfiles__Envelope__Pos__section_extensibility.ovf': 'an unknown section, as above',
  'OVFToolTemplates__OVF__xmltestfiles__Locators_1_0__Pos__nvm001.ovf': 'VirtualQuantityUnits of a later CIM',
  'OVFToolTemplates__ovftoolresources__child_uitem_req_false.ovf': 'an unknown element, as above',
  'OVFToolTemplates__ovftoolresources__section_compatibility.ovf': 'an unknown element, as above',
  'OVFToolTemplates__ovftoolresources__section_compatibility_rec.ovf': 'an unknown element, as above',
  'ovftoolresources__child_uitem_req_false.ovf': 'an unknown element, as above',
};

function envelopes(): Map<string, Envelope> {
  const found = new Map<string, Envelope>();
  for (const name of descriptorNames) {
    const { valid, envelope } = validateEnvelope(readDescriptor(name), { mode: 'lax' });
    if (valid && envelope !== undefined && envelope.version !== '2') found.set(name, envelope);
  }
  return found;
}

/** Sections of other makers, which the schema takes when their own schema is there. */
function foreignSections(root: XmlElement): { readonly namespace: string; readonly name: string }[] {
  return childElements(root).flatMap((child) => {
    if (child.namespace === envelopeNamespace) {
      return child.name.startsWith('VirtualSystem') ? foreignSections(child) : [];
    }
    return child.namespace === '' ? [] : [{ namespace: child.namespace, name: child.name }];
  });
}

test('the schema passes on every descriptor that we write', { skip }, async () => {
  const written = new Map([...envelopes()].map(([name, envelope]) => [name, formatEnvelope(envelope)]));
  const sections = [...written.values()].flatMap((text) => foreignSections(parseXml(text)));
  const verdicts = await schemaVerdicts('envelope', written, sections);
  assert.ok(verdicts.size > 350, `${verdicts.size} descriptors`);
  const failed = [...verdicts].filter(([, complaints]) => complaints.length > 0);
  assert.deepEqual(
    failed.filter(([name]) => !(name in unwritable)),
    [],
  );
  assert.equal(failed.length, Object.keys(unwritable).length);
});

/** Numbers that look random and are the same in every run. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
}

interface MutableElement extends Omit<XmlElement, 'attributes' | 'children' | 'name'> {
  name: string;
  attributes: { namespace: string; prefix: string; name: string; value: string }[];
  children: (MutableElement | string)[];
}

const values = ['x', '-1', '', '99999999999999999999', 'true', '1.5'];

/** Breaks a tree in one place, or nearly so; says what it did. */
function mutate(root: MutableElement, next: (below: number) => number): string | undefined {
  const all: { readonly element: MutableElement; readonly parent?: MutableElement }[] = [];
  const visit = (element: MutableElement, parent?: MutableElement): void => {
    // What stands in another maker's section is not the schema's to judge.
    if (!element.namespace.startsWith('http://schemas.dmtf.org/')) return;
    all.push({ element, ...(parent && { parent }) });
    for (const child of element.children) if (typeof child !== 'string') visit(child, element);
  };
  visit(root);
  const { element, parent } = all[next(all.length)]!;
  const children = element.children.filter((child) => typeof child !== 'string');
  const attribute = element.attributes[next(Math.max(element.attributes.length, 1))];
  const path = `${parent?.name ?? ''}/${element.name}`;
  switch (next(8)) {
    case 0:
      if (attribute === undefined) return undefined;
      element.attributes = element.attributes.filter((one) => one !== attribute);
      return `${path} without ${attribute.name}`;
    case 1:
      if (attribute === undefined) return undefined;
      attribute.value = values[next(values.length)]!;
      return `${path} with ${attribute.name}="${attribute.value}"`;
    case 2:
      if (parent === undefined) return undefined;
      parent.children = parent.children.filter((child) => child !== element);
      return `${path} left out`;
    case 3:
      if (parent === undefined) return undefined;
      parent.children.splice(parent.children.indexOf(element), 0, structuredClone(element));
      return `${path} doubled`;
    case 4: {
      const one = children[next(Math.max(children.length, 1))];
      const other = children[next(Math.max(children.length, 1))];
      // Of elements of another namespace in front of its own xmllint says nothing.
      if (one === undefined || other === undefined || one.namespace !== other.namespace) return undefined;
      element.children = element.children.map((child) => (child === one ? other : child === other ? one : child));
      return `${path}: ${one.name} and ${other.name} change places`;
    }
    case 5:
      element.name = `${element.name}X`;
      return `${path} with another name`;
    case 6:
      if (children.length > 0) return undefined;
      element.children = [values[next(values.length)]!];
      return `${path} says "${element.children[0]}"`;
    default:
      if (attribute === undefined) return undefined;
      attribute.namespace = '';
      attribute.prefix = '';
      return `${path} with ${attribute.name} in no namespace`;
  }
}

test('what is no longer valid to the schema is not to us, and the other way round', { skip }, async () => {
  const sources = [...envelopes()]
    .filter(([name, { version }]) => version === '1' && !(name in unwritable))
    .map(([name, envelope]) => ({ name, root: parseXml(formatEnvelope(envelope)) }))
    .filter(({ root }) => foreignSections(root).length === 0);
  const next = sequence(20090115);
  const mutants = new Map<string, string>();
  for (let run = 0; run < 900; run += 1) {
    const { name, root } = sources[next(sources.length)]!;
    const mutant = structuredClone(root) as MutableElement;
    const what = mutate(mutant, next);
    if (what !== undefined) mutants.set(`${run} ${name}: ${what}`, formatXml(mutant as XmlElement));
  }
  const verdicts = await schemaVerdicts('envelope', mutants);
  const differ: string[] = [];
  let invalid = 0;
  for (const [what, complaints] of verdicts) {
    const { issues } = validateEnvelope(mutants.get(what)!);
    const ours = issues.filter(({ rule }) => /^(schema-|extension-|envelope-root)/.test(rule));
    if (complaints.length > 0) invalid += 1;
    if (complaints.length > 0 !== ours.length > 0) differ.push(`${what}: ${complaints[0] ?? ours[0]?.detail}`);
  }
  assert.deepEqual(differ, []);
  assert.ok(invalid > 150 && invalid < mutants.size - 100, `${invalid} of ${mutants.size} are invalid`);
});
