import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { joinPath, splitPath } from '@hypostyle/services';
import type { Datastore } from '../../datastore/datastore.ts';
import { readOwnFile, writeWhole } from '../snapshot/snapshot-files.ts';
import { type ChangeRecord, formatChangeRecord, maximumRecordBytes, parseChangeRecord } from './change-record.ts';

/** In a machine's folder: it goes where the folder goes. */
const recordPath = '.hypo/changes.json';

/** What a machine's folder says; nothing where it cannot be read, which ends every epoch. */
export async function readChangeRecord(datastore: Datastore, vmxPath: string): Promise<ChangeRecord> {
  try {
    const bytes = await readOwnFile(datastore, pathOf(vmxPath), maximumRecordBytes);
    return bytes === undefined ? [] : parseChangeRecord(bytes.toString('utf8'));
  } catch {
    return [];
  }
}

/** Durable when it resolves. */
export async function writeChangeRecord(datastore: Datastore, vmxPath: string, record: ChangeRecord): Promise<void> {
  const path = datastore.absolute(pathOf(vmxPath));
  await mkdir(dirname(path), { recursive: true });
  await writeWhole(path, formatChangeRecord(record));
}

function pathOf(vmxPath: string): string {
  return joinPath(splitPath(vmxPath).folder, recordPath);
}
