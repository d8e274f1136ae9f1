/** Every way in which a virtual disk is refused or fails, with the words that its message begins with. */
export const vmdkErrors = {
  'not-vmdk': 'is not a VMDK',
  'descriptor-missing': 'has no descriptor',
  'descriptor-too-large': 'has a descriptor over the limit',
  'descriptor-invalid': 'has an invalid descriptor',
  'unsupported-encoding': 'uses a character encoding that cannot be written',
  'unsupported-create-type': 'is of a kind that cannot be opened',
  'unsupported-extent': 'has an extent that cannot be opened',
  'outside-folder': 'names a file outside its folder',
  'extent-missing': 'names a file that does not exist',
  'extent-truncated': 'is shorter than its descriptor says',
  'header-invalid': 'has an invalid sparse header',
  'header-corrupted': 'was damaged by a text-mode transfer',
  'table-invalid': 'has an invalid grain directory or table',
  'grain-corrupt': 'has a damaged grain',
  'digest-mismatch': 'is not what its digest says',
  'marker-invalid': 'has an invalid marker',
  truncated: 'ends too early',
  'trailing-data': 'goes on after its end marker',
  'parent-missing': 'has no usable reference to its parent',
  'parent-changed': 'does not match its parent, which was changed after this disk was made',
  'no-children': 'has no child that it could be merged into',
  'has-children': 'is the parent of another disk',
  'operation-pending': 'has an operation that was not finished',
  'room-unsupported': 'lies where room can be neither reserved nor given back',
  'not-empty': 'holds data where it would be cut off',
  'chain-too-long': 'has too many ancestors',
  'chain-cycle': 'is its own ancestor',
  unclean: 'was not closed cleanly and must be repaired before it is written',
  'read-only': 'cannot be written',
  'out-of-range': 'was accessed outside its capacity',
  'capacity-exceeded': 'is larger than expected',
  'block-order': 'got blocks that are out of order or outside the disk',
  'size-invalid': 'cannot have this size',
  'too-large': 'does not fit the format',
  'option-invalid': 'cannot be made like this',
  exists: 'already exists',
  'change-map-missing': 'has no such change map',
  'change-map-invalid': 'is no change map',
  'nbd-uri-invalid': 'is not the URI of an NBD export',
  'nbd-unreachable': 'cannot be reached',
  'nbd-refused': 'was refused by the NBD server',
  'nbd-protocol': 'got an answer that breaks the NBD protocol',
  'nbd-closed': 'lost its connection',
  'nbd-plain': 'is not served without TLS',
  'nbd-listen': 'cannot be listened on',
  'tool-missing': 'cannot be worked on without another program',
  'tool-failed': 'could not be worked on by another program',
  'io-failed': 'could not be read or written',
} as const;

export type VmdkErrorCode = keyof typeof vmdkErrors;

export interface VmdkErrorDetails {
  /** File or stream as the caller named it. */
  readonly file: string;
  /** Where in it, such as `line 7` or `sector 128`. */
  readonly place?: string;
  readonly reason: string;
  readonly cause?: unknown;
}

/** What this package throws; the message names the file, the place and the reason. */
export class VmdkError extends Error {
  override readonly name = 'VmdkError';
  readonly code: VmdkErrorCode;
  readonly file: string;

  constructor(code: VmdkErrorCode, details: VmdkErrorDetails) {
    const place = details.place === undefined ? '' : ` (${details.place})`;
    super(
      `${details.file} ${vmdkErrors[code]}${place}: ${details.reason}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.file = details.file;
  }
}

/** Turns a failed file operation into the package's own error. */
export function fileError(error: unknown, file: string, missing: VmdkErrorCode = 'io-failed'): VmdkError {
  if (error instanceof VmdkError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const reason = error instanceof Error ? error.message : String(error);
  if (code === 'ENOENT') return new VmdkError(missing, { file, reason, cause: error });
  if (code === 'EEXIST') return new VmdkError('exists', { file, reason, cause: error });
  return new VmdkError('io-failed', { file, reason, cause: error });
}
