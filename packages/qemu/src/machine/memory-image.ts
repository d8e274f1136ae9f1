import { open } from 'node:fs/promises';
import type { MachineHardware, MachinePlatform } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import { isRoom } from '../process/identity.ts';
import { isObject } from '../qmp/qmp-message.ts';
import type { AddedMemory } from './memory-devices.ts';

const magic = Buffer.from('HYPOSTYLEMEMORY\0');
const maxDescriptionBytes = 1 << 20;

/** What a memory image says of the machine that it was taken from; the engine's own stream follows it in the file. */
export interface MemoryImageDescription {
  readonly uuid: string;
  readonly platform: MachinePlatform;
  readonly accelerator: 'kvm' | 'tcg';
  readonly memoryKiB: number;
  readonly discardFiles: readonly string[];
  /** What it was started with room for, and what came of it. */
  readonly hotPlug?: NonNullable<MachineHardware['hotPlug']>;
  readonly addedMemory?: readonly AddedMemory[];
}

/** First bytes of the file: magic (16), length of the description (4, big-endian), description as JSON. */
export function encodeMemoryImageHeader(description: MemoryImageDescription): Buffer {
  const { uuid, platform, accelerator, memoryKiB, discardFiles, hotPlug, addedMemory } = description;
  const facts = { uuid, platform, accelerator, memoryKiB, discardFiles, hotPlug, addedMemory };
  const json = Buffer.from(JSON.stringify(facts));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([magic, length, json]);
}

/** Reads the description and where the stream begins, in bytes. Rejects with `start-failed`. */
export async function readMemoryImage(
  path: string,
): Promise<{ readonly description: MemoryImageDescription; readonly streamOffset: number }> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw qemuErrors.startFailed(`The memory image ${path} cannot be read.`, cause);
  });
  try {
    const prefix = Buffer.alloc(magic.length + 4);
    await file.read(prefix, 0, prefix.length, 0);
    const length = prefix.readUInt32BE(magic.length);
    if (!prefix.subarray(0, magic.length).equals(magic) || length > maxDescriptionBytes) {
      throw qemuErrors.startFailed(`${path} is no memory image of a suspended machine.`);
    }
    const json = Buffer.alloc(length);
    await file.read(json, 0, length, prefix.length);
    const description = parseDescription(json.toString('utf8'));
    if (!description) throw qemuErrors.startFailed(`The memory image ${path} is damaged.`);
    return { description, streamOffset: prefix.length + length };
  } finally {
    await file.close();
  }
}

function parseDescription(text: string): MemoryImageDescription | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || !isObject(value.platform) || !Array.isArray(value.discardFiles)) return undefined;
  const strings = [value.uuid, value.platform.machineType, value.platform.cpuModel, ...value.discardFiles];
  if (!strings.every((entry) => typeof entry === 'string')) return undefined;
  if (value.accelerator !== 'kvm' && value.accelerator !== 'tcg') return undefined;
  if (!Number.isSafeInteger(value.memoryKiB)) return undefined;
  if (!isRoom(value.hotPlug) || !isMemoryList(value.addedMemory)) return undefined;
  return value as unknown as MemoryImageDescription;
}

function isMemoryList(value: unknown): boolean {
  if (value === undefined) return true;
  return (
    Array.isArray(value) &&
    value.length <= 256 &&
    value.every(
      (one: unknown) =>
        isObject(one) &&
        /^memory-\d{1,4}$/.test(String(one.id)) &&
        [one.bytes, one.slot, one.address].every((number) => Number.isSafeInteger(number)),
    )
  );
}
