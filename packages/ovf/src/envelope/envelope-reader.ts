import { OvfError } from '../errors.ts';
import { parseXml, readXml, type XmlLimits } from '../xml/xml-reader.ts';
import type { XmlElement } from '../xml/xml-tree.ts';
import { readContent, readEulaSection } from './content-reader.ts';
import { ElementReader, present, type ReadContext } from './element-reader.ts';
import type { Content, Envelope, EulaSection } from './envelope.ts';
import { unifyEnvelope } from './envelope-namespace.ts';
import { checkReferences } from './envelope-references.ts';
import { xmlNamespace } from './namespaces.ts';
import {
  readDeploymentOptionSection,
  readDiskSection,
  readFiles,
  readNetworkSection,
} from './package-sections-reader.ts';
import { readSections } from './section-reader.ts';
import { readStrings } from './strings.ts';

/** How to read an envelope: the bounds on its XML. */
export interface EnvelopeOptions extends XmlLimits {}

/**
 * Reads an OVF descriptor: 1.x, 2.x, and the 0.9 draft (DSP0243, DSP8023). What is not understood and not required is
 * kept; what was tolerated is in `warnings`. Throws {@link OvfError}, which names section and line.
 */
export function parseEnvelope(source: string | Uint8Array, options: EnvelopeOptions = {}): Envelope {
  return envelopeOf(parseXml(source, options), options.fileName);
}

/** {@link parseEnvelope}, giving way to others between slices of a long descriptor. */
export async function readEnvelope(source: string | Uint8Array, options: EnvelopeOptions = {}): Promise<Envelope> {
  return envelopeOf(await readXml(source, options), options.fileName);
}

function envelopeOf(root: XmlElement, fileName: string | undefined): Envelope {
  const unified = unifyEnvelope(root);
  if (unified === undefined) {
    const name = `${root.name} of the namespace "${root.namespace}"`;
    throw new OvfError('not-an-envelope', `the root element is ${name}`, { file: fileName, line: root.line });
  }
  const { version } = unified;
  const context: ReadContext = { fileName, version, warnings: [] };
  const reader = new ElementReader(unified.root, context);
  const said = reader.attribute('version');
  if (version === '0.9' && said !== '0.9') reader.fail(`a draft of the version "${said ?? ''}" is not known`);
  const references = reader.child('References') ?? reader.fail('References is missing');
  const sections = readSections(reader, {
    DiskSection: readDiskSection,
    NetworkSection: readNetworkSection,
    DeploymentOptionSection: readDeploymentOptionSection,
    EulaSection: readEulaSection,
  });
  const contents = [...reader.children('VirtualSystem'), ...reader.children('VirtualSystemCollection')];
  if (contents.length !== 1) {
    const where = contents[1] === undefined ? reader : reader.within(contents[1]);
    where.fail(`the envelope has ${contents.length} VirtualSystem or VirtualSystemCollection, not one`);
  }
  const envelope: Envelope = {
    version,
    ...present('language', reader.attribute('lang', xmlNamespace)),
    files: readFiles(new ElementReader(references, context)),
    ...present('diskSection', sections.one('DiskSection')),
    ...present('networkSection', sections.one('NetworkSection')),
    ...present('deploymentOptionSection', sections.one('DeploymentOptionSection')),
    otherSections: sections.others,
    content: withEulas(readContent(new ElementReader(contents[0]!, context)), sections.all('EulaSection')),
    strings: reader.children('Strings').map((element) => readStrings(element, context)),
    warnings: context.warnings,
    ...reader.rest(),
  };
  checkReferences(envelope, context);
  return envelope;
}

/** A licence at the envelope's own level is no less to be accepted than one in its place. */
function withEulas(content: Content, eulas: readonly EulaSection[]): Content {
  return eulas.length === 0 ? content : { ...content, eulas: [...eulas, ...content.eulas] };
}
