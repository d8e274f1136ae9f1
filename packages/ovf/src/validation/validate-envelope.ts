import { setImmediate } from 'node:timers/promises';
import type { Envelope, EnvelopeVersion } from '../envelope/envelope.ts';
import { unifyEnvelope } from '../envelope/envelope-namespace.ts';
import {
  buildEnvelope,
  type EnvelopeOptions,
  readPlainXml,
  type SealedEnvelopeOptions,
} from '../envelope/envelope-reader.ts';
import { formatEnvelope } from '../envelope/envelope-writer.ts';
import { OvfError } from '../errors.ts';
import { parseXml } from '../xml/xml-reader.ts';
import type { XmlElement } from '../xml/xml-tree.ts';
import { checkEnvelope } from './envelope-rules.ts';
import { IssueLog, type ValidationIssue, warningsOf } from './issue-log.ts';
import type { ValidationMode, ValidationRule } from './rules.ts';
import { checkSchema } from './schema-validator.ts';

export interface ValidationOptions extends EnvelopeOptions {
  /** `strict` by default: the schema to the letter, and every rule of the text. */
  readonly mode?: ValidationMode;
}

/** The verdict on a descriptor. */
export interface ValidationReport {
  readonly mode: ValidationMode;
  /** No issue is an error. */
  readonly valid: boolean;
  /** Absent when the document is no envelope. */
  readonly version?: EnvelopeVersion;
  /** Its values, where they can be read. */
  readonly envelope?: Envelope;
  /** In the order of their lines. */
  readonly issues: readonly ValidationIssue[];
}

/** Where the rules of a part are written, for what makes it unreadable. */
const chapters: Readonly<Record<string, string>> = {
  References: '7.1',
  VirtualSystem: '7.2',
  VirtualSystemCollection: '7.2',
  VirtualHardwareSection: '8.1',
  DiskSection: '9.1',
  NetworkSection: '9.2',
  ResourceAllocationSection: '9.3',
  AnnotationSection: '9.4',
  ProductSection: '9.5',
  EulaSection: '9.6',
  StartupSection: '9.7',
  DeploymentOptionSection: '9.8',
  OperatingSystemSection: '9.9',
  InstallSection: '9.10',
  Strings: '10.1',
};

/**
 * Checks a descriptor against the structure of the DMTF schemas and the rules of the text (DSP8023, DSP0243). Never throws
 * for what is wrong with the descriptor: it is in the report, each issue with its rule, section and line. The lines of an
 * {@link Envelope} are those of the text that it is written as.
 */
export function validateEnvelope(
  source: string | Uint8Array | Envelope,
  options: ValidationOptions = {},
): ValidationReport {
  const log = new IssueLog(options.mode ?? 'strict', false);
  try {
    const text = typeof source === 'string' || source instanceof Uint8Array ? source : formatEnvelope(source);
    const steps = validation(parseXml(text, options), log, options);
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
    }
  } catch (error) {
    return unreadable(log, error);
  }
}

/** {@link validateEnvelope}, giving way to others between slices of a long descriptor and between the steps. */
export async function validateDescriptor(
  source: string | Uint8Array,
  options: ValidationOptions & Pick<SealedEnvelopeOptions, 'passphrase'> = {},
): Promise<ValidationReport> {
  const log = new IssueLog(options.mode ?? 'strict', false);
  try {
    const steps = validation(await readPlainXml(source, options), log, options);
    for (;;) {
      await setImmediate();
      const step = steps.next();
      if (step.done) return step.value;
    }
  } catch (error) {
    return unreadable(log, error);
  }
}

function unreadable(log: IssueLog, error: unknown): ValidationReport {
  if (!(error instanceof OvfError)) throw error;
  log.report('xml-well-formed', error.detail, error.location, { code: error.code });
  return finished(log);
}

/** The steps of a validation, with a pause after each. */
function* validation(
  root: XmlElement,
  log: IssueLog,
  { fileName }: ValidationOptions,
): Generator<undefined, ValidationReport> {
  const unified = unifyEnvelope(root);
  if (unified === undefined) {
    const detail = `the root element is ${root.name} of the namespace "${root.namespace}"`;
    log.report('envelope-root', detail, { file: fileName, line: root.line, section: root.name });
    return finished(log);
  }
  yield;
  const { version } = unified;
  checkSchema(unified.root, version, log, fileName);
  yield;
  try {
    const envelope = buildEnvelope(unified.root, { fileName, version, log });
    yield;
    checkEnvelope(envelope, log, fileName);
    return finished(log, version, envelope);
  } catch (error) {
    if (!(error instanceof OvfError)) throw error;
    addFailure(log, error);
    return finished(log, version);
  }
}

/** What made a value unreadable, unless the schema has said it. */
function addFailure(log: IssueLog, { code, detail, location }: OvfError): void {
  const said = log.issues.some(
    ({ severity, rule, location: at }) =>
      severity === 'error' && rule.startsWith('schema-') && at.line === location.line,
  );
  if (said) return;
  const rule: ValidationRule =
    code === 'section-unknown' || code === 'encrypted'
      ? 'section-understood'
      : code === 'unit-unknown'
        ? 'unit-unreadable'
        : 'structure';
  const chapter = chapters[location.section ?? ''];
  const source = rule === 'structure' && chapter !== undefined ? { source: `DSP0243 1.1 §${chapter}` } : {};
  log.report(rule, detail, location, { code, ...source });
}

function finished(log: IssueLog, version?: EnvelopeVersion, envelope?: Envelope): ValidationReport {
  const issues = log.issues.toSorted((one, other) => (one.location.line ?? 0) - (other.location.line ?? 0));
  const warnings = warningsOf(issues.filter(({ severity }) => severity === 'warning'));
  return {
    mode: log.mode,
    valid: issues.every(({ severity }) => severity !== 'error'),
    ...(version === undefined ? {} : { version }),
    ...(envelope === undefined ? {} : { envelope: { ...envelope, warnings } }),
    issues,
  };
}
