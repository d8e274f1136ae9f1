/** Why the center could not do something for a reason that is no fault of the interface. */
export type CenterErrorCode =
  /** What answers there is no host with a tree that a center can take in. */
  | 'not-a-host'
  /** Another host than the one that was taken in answers at its address. */
  | 'another-host';

const texts: Readonly<Record<CenterErrorCode, string>> = {
  'not-a-host': 'What answers there is no host',
  'another-host': 'Another host answers there',
};

export class CenterError extends Error {
  override readonly name = 'CenterError';
  readonly code: CenterErrorCode;

  constructor(code: CenterErrorCode, detail: string, options?: ErrorOptions) {
    super(`${texts[code]}: ${detail}.`, options);
    this.code = code;
  }
}
