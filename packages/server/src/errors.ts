/** Everything that keeps the server from starting; the message says what to do next. */
const errors = {
  'home-in-use': 'The home folder is in use',
  'home-invalid': 'The home folder cannot be used',
  'run-directory-invalid': 'The run directory cannot be used',
  'address-invalid': 'The listen address is not valid',
  'address-unavailable': 'The server cannot listen',
} as const;

export type ServerErrorCode = keyof typeof errors;

export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly code: ServerErrorCode;

  constructor(code: ServerErrorCode, detail: string, options?: ErrorOptions) {
    super(`${errors[code]}: ${detail}`, options);
    this.code = code;
  }
}

/** `ENOENT` and its like, of an error from the system. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
