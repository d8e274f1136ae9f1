import { OvfError, type OvfErrorCode, type OvfLocation, type OvfWarning } from '../errors.ts';
import { type Severity, type ValidationMode, type ValidationRule, validationRules } from './rules.ts';

/** One thing that a descriptor does not keep to. */
export interface ValidationIssue {
  readonly rule: ValidationRule;
  readonly severity: Severity;
  /** Kind of the error that reading such a descriptor throws. */
  readonly code: OvfErrorCode;
  /** Where the rule is written, such as `DSP0243 1.1 §9.1`. */
  readonly source: string;
  readonly detail: string;
  readonly location: OvfLocation;
}

/** What is known of an issue beyond its rule. */
interface IssueOrigin {
  readonly code?: OvfErrorCode;
  readonly source?: string;
}

/** Collects issues; in a reading that is to stop at the first error, throws it instead. */
export class IssueLog {
  readonly issues: ValidationIssue[] = [];
  readonly mode: ValidationMode;
  readonly #stopAtError: boolean;

  constructor(mode: ValidationMode, stopAtError: boolean) {
    this.mode = mode;
    this.#stopAtError = stopAtError;
  }

  /** Throws {@link OvfError} with the rule's code for an error in a reading that stops at the first. */
  report(
    rule: ValidationRule,
    detail: string,
    location: OvfLocation,
    { code = validationRules[rule].code, source = validationRules[rule].source }: IssueOrigin = {},
  ): void {
    const severity = validationRules[rule][this.mode];
    if (severity === 'error' && this.#stopAtError) throw new OvfError(code, detail, location);
    this.issues.push({ rule, severity, code, source, detail, location });
  }
}

/** What was tolerated and what was set aside: issues of the rules of the text, but for those that even the strict mode lets pass. */
export function warningsOf(issues: readonly ValidationIssue[]): OvfWarning[] {
  return issues
    .filter(({ rule }) => rule === 'section-kept' || validationRules[rule].strict === 'error')
    .filter(({ rule }) => !rule.startsWith('schema-'))
    .map(({ detail, location }) => ({ detail, location }));
}

/** An issue as one line: `line 12, DiskSection: error: … (DSP0243 1.1 §9.1)`. */
export function formatIssue({ severity, source, detail, location }: ValidationIssue): string {
  const where = [
    location.file,
    location.line === undefined ? undefined : `line ${location.line}`,
    location.section,
  ].filter((part) => part !== undefined);
  return `${where.length > 0 ? `${where.join(', ')}: ` : ''}${severity}: ${detail} (${source})`;
}
