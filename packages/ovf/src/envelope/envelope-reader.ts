import { setImmediate } from 'node:timers/promises';
import { hasEncryptedMarkup, withPlainMarkup } from '../encryption/encrypted-markup.ts';
import { OvfError } from '../errors.ts';
import { checkEnvelope } from '../validation/envelope-rules.ts';
import { IssueLog, warningsOf } from '../validation/issue-log.ts';
import { parseXml, readXml, type XmlLimits, xmlText } from '../xml/xml-reader.ts';
import type { XmlElement } from '../xml/xml-tree.ts';
import { readContent, readEulaSection } from './content-reader.ts';
import { ElementReader, present, type ReadContext } from './element-reader.ts';
import type { Content, Envelope, EnvelopeVersion, EulaSection } from './envelope.ts';
import { unifyEnvelope } from './envelope-namespace.ts';
import { xmlNamespace } from './namespaces.ts';
import {
  readDeploymentOptionSection,
  readDiskSection,
  readFiles,
  readNetworkSection,
} from './package-sections-reader.ts';
import { readSections } from './section-reader.ts';
import { readStrings } from './strings.ts';
import { readEncryptionSection, readPlacementGroupSection, readSharedDiskSection } from './version2-sections-reader.ts';
import { readIpAssignmentSection, readStorageGroupSection } from './vmware-sections-reader.ts';

/** How to read an envelope: the bounds on its XML. */
export interface EnvelopeOptions extends XmlLimits {}

/**
 * Reads an OVF descriptor: 1.x, 2.x, and the 0.9 draft (DSP0243, DSP8023), by the lax rules. What is not understood and not
 * required is kept; what was tolerated is in `warnings`. Throws {@link OvfError}, which names section and line.
 */
export function parseEnvelope(source: string | Uint8Array, options: EnvelopeOptions = {}): Envelope {
  return envelopeOf(parseXml(source, options), options.fileName);
}

/** How to read an envelope of which parts may be encrypted. */
export interface SealedEnvelopeOptions extends EnvelopeOptions {
  /** Of the package; without it encrypted parts are refused (`encrypted`). */
  readonly passphrase?: string | Uint8Array | undefined;
}

/**
 * {@link parseEnvelope}, giving way to others between slices of a long descriptor and between the steps, and with encrypted
 * parts in the clear (DSP0243 2.1 9.16). Throws `encrypted` and `passphrase-wrong`, too.
 */
export async function readEnvelope(
  source: string | Uint8Array,
  options: SealedEnvelopeOptions = {},
): Promise<Envelope> {
  const root = await readPlainXml(source, options);
  await setImmediate();
  return envelopeOf(root, options.fileName);
}

/** {@link readXml} with encrypted parts in the clear, where there is a passphrase. */
export async function readPlainXml(
  source: string | Uint8Array,
  { passphrase, ...options }: SealedEnvelopeOptions,
): Promise<XmlElement> {
  const root = await readXml(source, options);
  if (passphrase === undefined || !hasEncryptedMarkup(root)) return root;
  return withPlainMarkup(root, {
    passphrase: Buffer.from(passphrase),
    fileName: options.fileName,
    source: xmlText(source, options),
  });
}

function envelopeOf(root: XmlElement, fileName: string | undefined): Envelope {
  const unified = unifyEnvelope(root);
  if (unified === undefined) {
    const name = `${root.name} of the namespace "${root.namespace}"`;
    throw new OvfError('not-an-envelope', `the root element is ${name}`, { file: fileName, line: root.line });
  }
  const log = new IssueLog('lax', true);
  const envelope = buildEnvelope(unified.root, { fileName, version: unified.version, log });
  checkEnvelope(envelope, log, fileName);
  return { ...envelope, warnings: warningsOf(log.issues) };
}

/**
 * The typed values of a tree in the namespace of 1.x, without the rules that hold between them. Throws {@link OvfError} for
 * what has no value.
 */
export function buildEnvelope(root: XmlElement, context: ReadContext): Envelope {
  const { version } = context;
  const reader = new ElementReader(root, context);
  checkVersion(reader, version);
  const references = reader.child('References') ?? reader.fail('References is missing');
  const sections = readSections(reader, {
    DiskSection: readDiskSection,
    NetworkSection: readNetworkSection,
    DeploymentOptionSection: readDeploymentOptionSection,
    PlacementGroupSection: readPlacementGroupSection,
    SharedDiskSection: readSharedDiskSection,
    EncryptionSection: readEncryptionSection,
    'vmw:IpAssignmentSection': readIpAssignmentSection,
    'vmw:StorageGroupSection': readStorageGroupSection,
    EulaSection: (section) => {
      section.report('section-place', 'EulaSection stands in Envelope and not in a content');
      return readEulaSection(section);
    },
  });
  // Without an option it says nothing, and the schema has none like it.
  const readOptions = sections.one('DeploymentOptionSection');
  const options = readOptions?.configurations.length === 0 ? undefined : readOptions;
  const contents = [...reader.children('VirtualSystem'), ...reader.children('VirtualSystemCollection')];
  if (contents.length !== 1) {
    const where = contents[1] === undefined ? reader : reader.within(contents[1]);
    where.fail(`the envelope has ${contents.length} VirtualSystem or VirtualSystemCollection, not one`);
  }
  return {
    version,
    ...present('language', reader.attribute('lang', xmlNamespace)),
    files: readFiles(new ElementReader(references, context)),
    ...present(
      'diskSection',
      sections.one('DiskSection', (first, second) => ({ ...first, disks: [...first.disks, ...second.disks] })),
    ),
    ...present(
      'networkSection',
      sections.one('NetworkSection', (first, second) => ({
        ...first,
        networks: [...first.networks, ...second.networks],
      })),
    ),
    ...present('deploymentOptionSection', options),
    ...present('placementGroups', sections.some('PlacementGroupSection')),
    ...present('sharedDiskSection', sections.one('SharedDiskSection')),
    ...present('encryption', sections.one('EncryptionSection')),
    ...present('ipAssignment', sections.one('vmw:IpAssignmentSection')),
    ...present('storageGroups', sections.some('vmw:StorageGroupSection')),
    otherSections: sections.others,
    order: sectionOrder(sections.order, options !== undefined),
    content: withEulas(readContent(new ElementReader(contents[0]!, context)), sections.all('EulaSection')),
    strings: reader.children('Strings').map((element) => readStrings(element, context)),
    warnings: [],
    ...reader.rest(),
  };
}

/** The attribute that tells one draft from another; the standard's versions say nothing by it. */
function checkVersion(reader: ElementReader, version: EnvelopeVersion): void {
  if (version !== '0.9') return;
  const said = reader.attribute('version');
  if (said !== '0.9') reader.fail(`a draft of the version "${said ?? ''}" is not known`);
}

/** The order of the sections that are left: those read as one stand where the first stood. */
function sectionOrder(order: readonly string[], hasOptions: boolean): string[] {
  const merged = new Set(['DiskSection', 'NetworkSection']);
  return order.filter(
    (name, index) =>
      name !== 'EulaSection' &&
      (name !== 'DeploymentOptionSection' || hasOptions) &&
      (!merged.has(name) || order.indexOf(name) === index),
  );
}

/** A licence at the envelope's own level is no less to be accepted than one in its place. */
function withEulas(content: Content, eulas: readonly EulaSection[]): Content {
  if (eulas.length === 0) return content;
  const order = [...(content.order ?? []), ...eulas.map(() => 'EulaSection')];
  return { ...content, eulas: [...eulas, ...content.eulas], order };
}
