import { HostError } from '../../errors.ts';

/** Largest `.vmsn` that is read, in bytes: a configuration, and what the firmware remembers. */
export const maximumVmsnBytes = 16 << 20;

/** What a snapshot keeps beside its disks. */
export interface SnapshotState {
  /** The `.vmx` as it was. */
  readonly vmx: Uint8Array;
  /** What the firmware remembered. */
  readonly nvram?: Uint8Array;
  /** The vApp configuration, as it was beside the `.vmx`. */
  readonly vApp?: Uint8Array;
}

const magic = 0xbed2bed2;
const knownMagics = new Set([0xbed0bed0, 0xbad1bad1, 0xbed2bed2, 0xbed3bed3]);
const headerBytes = 12;
const groupBytes = 80;
const maximumGroups = 4_096;
const nameBytes = 64;
/** Size in a tag's first byte that says that the value is a block with its length before it. */
const blockSize = 0x3e;
const groupName = 'Snapshot';
const tags = { vmx: 'cfgFile', nvram: 'hypostyle.nvram', vApp: 'hypostyle.vApp' } as const;

/**
 * A `.vmsn` in the layout of VMware's checkpoint files: a header, a table of groups, and in each group tagged values, of
 * which `Snapshot/cfgFile` is the configuration. A snapshot without memory has this group only.
 */
export function formatVmsn(state: SnapshotState): Buffer {
  const header = Buffer.alloc(headerBytes + groupBytes);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(8, 4);
  header.writeUInt32LE(1, 8);
  header.write(groupName, headerBytes, 'latin1');
  const body = (Object.keys(tags) as (keyof SnapshotState)[]).flatMap((key) => {
    const value = state[key];
    return value === undefined ? [] : [blockTag(tags[key], value)];
  });
  // Two zero bytes end a group.
  const group = Buffer.concat([...body, Buffer.alloc(2)]);
  header.writeBigUInt64LE(BigInt(header.length), headerBytes + nameBytes);
  header.writeBigUInt64LE(BigInt(group.length), headerBytes + nameBytes + 8);
  return Buffer.concat([header, group]);
}

/** Reads a `.vmsn`, ours or VMware's. Throws `snapshots-invalid` for one without a configuration. */
export function parseVmsn(bytes: Buffer, name: string): SnapshotState {
  const invalid = (reason: string) => new HostError('snapshots-invalid', `${name}: ${reason}`);
  if (bytes.length < headerBytes || !knownMagics.has(bytes.readUInt32LE(0)))
    throw invalid('it is no file of a snapshot');
  const groups = bytes.readUInt32LE(8);
  if (groups > maximumGroups) throw invalid(`it says that it has ${groups} groups`);
  const found = new Map<string, Buffer>();
  for (let number = 0; number < groups; number += 1) {
    const at = headerBytes + number * groupBytes;
    if (at + groupBytes > bytes.length) throw invalid('it ends within its table of groups');
    const offset = bytes.readBigUInt64LE(at + nameBytes);
    if (offset < bytes.length) readGroup(bytes, Number(offset), found);
  }
  const vmx = found.get(tags.vmx);
  if (vmx === undefined) throw invalid('it has no configuration');
  const nvram = found.get(tags.nvram);
  const vApp = found.get(tags.vApp);
  return { vmx, ...(nvram ? { nvram } : {}), ...(vApp ? { vApp } : {}) };
}

function blockTag(name: string, value: Uint8Array): Buffer {
  const head = Buffer.alloc(2 + name.length + 18);
  head.writeUInt8(blockSize, 0);
  head.writeUInt8(name.length, 1);
  head.write(name, 2, 'latin1');
  // Its length in the file and in memory, and no padding.
  head.writeBigUInt64LE(BigInt(value.length), 2 + name.length);
  head.writeBigUInt64LE(BigInt(value.length), 10 + name.length);
  return Buffer.concat([head, value]);
}

/** Takes the blocks without an index; whatever is not understood ends the group. */
function readGroup(bytes: Buffer, start: number, found: Map<string, Buffer>): void {
  for (let at = start; at + 2 <= bytes.length; ) {
    const flags = bytes.readUInt8(at);
    const nameLength = bytes.readUInt8(at + 1);
    if (flags === 0 && nameLength === 0) return;
    const indices = flags >> 6;
    const size = flags & 0x3f;
    const name = bytes.toString('latin1', at + 2, at + 2 + nameLength);
    let value = at + 2 + nameLength + indices * 4;
    let length = size;
    if (size >= blockSize) {
      if (value + 18 > bytes.length) return;
      const stored = bytes.readBigUInt64LE(value);
      if (stored > BigInt(bytes.length)) return;
      length = Number(stored);
      value += 18 + bytes.readUInt16LE(value + 16);
    }
    if (value + length > bytes.length) return;
    if (indices === 0 && size >= blockSize && !found.has(name)) found.set(name, bytes.subarray(value, value + length));
    at = value + length;
  }
}
