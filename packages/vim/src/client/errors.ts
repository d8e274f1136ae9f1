/** Why a call got no answer of the interface at all. Faults of the interface are VimFault. */
export type ClientErrorCode =
  /** The connection could not be made or broke. */
  | 'connection'
  /** The server's certificate is not the one that was expected. */
  | 'certificate'
  /** The answer is larger than `responseLimit`. */
  | 'too-large'
  /** The answer is none of the Management Interface. */
  | 'not-understood'
  /** No byte came for `timeout`. */
  | 'timeout';

const texts: Readonly<Record<ClientErrorCode, string>> = {
  connection: 'The connection failed',
  certificate: 'The certificate of the server is not the expected one',
  'too-large': 'The answer is too large',
  'not-understood': 'The server does not speak the Management Interface',
  timeout: 'The server did not answer in time',
};

export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? `${texts[code]}.` : `${texts[code]}: ${detail}`, options);
    this.code = code;
  }
}
