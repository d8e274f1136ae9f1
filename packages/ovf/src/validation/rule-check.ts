import type { Envelope, FileReference } from '../envelope/envelope.ts';
import type { IssueLog } from './issue-log.ts';
import type { ValidationRule } from './rules.ts';

/** What the rules of one envelope share: the envelope, and where to say what breaks them. */
export class RuleCheck {
  readonly envelope: Envelope;
  /** File references by id. */
  readonly files: ReadonlyMap<string, FileReference>;
  readonly configurations: ReadonlySet<string>;
  readonly #log: IssueLog;
  readonly #fileName: string | undefined;

  constructor(envelope: Envelope, log: IssueLog, fileName: string | undefined) {
    this.envelope = envelope;
    this.files = new Map(envelope.files.map((file) => [file.id, file]));
    this.configurations = new Set(envelope.deploymentOptionSection?.configurations.map(({ id }) => id));
    this.#log = log;
    this.#fileName = fileName;
  }

  report(rule: ValidationRule, detail: string, section: string, line: number | undefined): void {
    this.#log.report(rule, detail, { file: this.#fileName, line, section });
  }

  /** Reports every value whose key an earlier one has. */
  unique<Value extends { readonly line?: number }>(
    rule: ValidationRule,
    section: string,
    values: readonly Value[],
    key: (value: Value) => string,
    what: string,
  ): void {
    const seen = new Set<string>();
    for (const value of values) {
      if (seen.has(key(value))) this.report(rule, `the ${what} "${key(value)}" is there twice`, section, value.line);
      seen.add(key(value));
    }
  }
}
