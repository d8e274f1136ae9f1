/** Numbers of the NBD protocol, as its "Protocol phases" and "Values" sections give them. All are big-endian. */

export const nbdMagic = {
  server: 0x4e42444d41474943n,
  option: 0x49484156454f5054n,
  optionReply: 0x0003e889045565a9n,
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
} as const;

/** Bits that both sides send first. */
export const handshakeFlags = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const nbdOptions = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const optionReplies = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  tlsRequired: 0x80000005,
  unknown: 0x80000006,
  shutdown: 0x80000007,
  tooBig: 0x80000009,
} as const;

export const infoTypes = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** What an export can do. */
export const transmissionFlags = {
  hasFlags: 1,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConnection: 1 << 8,
  sendCache: 1 << 10,
} as const;

export const nbdCommands = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const commandFlags = { fua: 1, noHole: 2, dontFragment: 4, requestOne: 8, fastZero: 16 } as const;

export const chunkTypes = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

/** Bit of a chunk that is the last of its reply. */
export const chunkDone = 1;

/** Errors on the wire; the numbers are those of Linux. */
export const nbdErrors = {
  EPERM: 1,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  ESHUTDOWN: 108,
} as const;

export type NbdErrorName = keyof typeof nbdErrors;

/** Context that tells what is stored: `hole` takes no space, `zero` reads as zeros. */
export const allocationContext = 'base:allocation';
export const allocationFlags = { hole: 1, zero: 2 } as const;

/** Prefix of the contexts that tell what changed: bit 0 is set where it did. */
export const bitmapContextPrefix = 'qemu:dirty-bitmap:';
export const bitmapFlags = { dirty: 1 } as const;

/** Longest string that the protocol allows, in bytes of UTF-8. */
export const maximumStringBytes = 4096;

export const defaultNbdPort = 10809;

/** Longest read or write. */
export const maximumRequestBytes = 32 * 2 ** 20;
