import { editDescriptor } from '../../descriptor/descriptor-edit.ts';
import { formatDiskUuid } from '../../descriptor/disk-uuid.ts';
import { readRecord, unfinished } from '../../disk/operation-record.ts';
import { changeDescriptor } from './disk-descriptor.ts';

/**
 * Gives a disk another UUID, plain or in spaced pairs, in its descriptor; nothing else of it changes, and it is done
 * whole or not at all. `option-invalid` for what is no UUID.
 */
export async function setDiskUuid(path: string, uuid: string): Promise<void> {
  const text = formatDiskUuid(uuid, path);
  const record = await readRecord(path);
  if (record) throw unfinished(path, record);
  await changeDescriptor(path, (descriptor) => editDescriptor(descriptor, { ddb: { uuid: text } }));
}
