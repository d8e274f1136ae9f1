/** What the process ends with. Scripts rely on these numbers. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  'not-found': 4,
  /** Of 'hypo ovf verify' alone, as its help says. */
  undecided: 2,
} as const;

export type FailureKind = Exclude<keyof typeof exitCodes, 'ok'>;

/** A failure that is told to the person at the terminal: what, why, and what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly kind: FailureKind;
  /** What to do next, a sentence. */
  readonly next: string | undefined;

  constructor(kind: FailureKind, message: string, options: { readonly next?: string; readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.kind = kind;
    this.next = options.next;
  }
}

/** Ends a command with a code of its own. Whatever there is to tell was told. */
export class EarlyEnd extends Error {
  override readonly name = 'EarlyEnd';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`ends with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

export const exitCodesHelp = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 server not reachable or sign-in refused, 4 not found.`;
