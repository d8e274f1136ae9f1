/** Why a store could not do what was asked. */
export type StoreErrorCode = keyof typeof messages;

const messages = {
  inUse: 'is in use by another process; stop that process, or open the store read-only',
  corrupt: 'is damaged, or is not a database; put back a copy from a backup',
  newer: 'was written by a newer version of this program; use that version or a later one',
  foreign: 'is a database of another program',
  missing: 'is not there',
  readOnly: 'was opened read-only',
  closed: 'is closed',
  lost: 'was taken over, and this process may write it no more; start again',
  unreachable: 'cannot be reached',
  unknown: 'did not say whether the batch was written; look before writing it again',
  invalid: 'was asked for something that it cannot keep',
  failed: 'could not be read or written',
} as const;

/**
 * A store failed. `path` is its file, or its address in PostgreSQL without the password, and the message names it.
 * Nothing of the batch was written, unless the code is `unknown`.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly path: string;
  readonly detail: string | undefined;

  constructor(code: StoreErrorCode, path: string, detail?: string) {
    super(`the store ${path} ${messages[code]}${detail === undefined ? '' : ` (${detail})`}`);
    this.code = code;
    this.path = path;
    this.detail = detail;
  }
}
