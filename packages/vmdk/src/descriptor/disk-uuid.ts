import { VmdkError } from '../errors.ts';

/** A UUID, plain or in spaced pairs, as a descriptor has it: `60 00 c2 9a … -…`; `option-invalid` for anything else. */
export function formatDiskUuid(uuid: string, file: string): string {
  const digits = uuid.replace(/[\s-]/g, '');
  if (!/^[0-9a-f]{32}$/i.test(digits)) {
    throw new VmdkError('option-invalid', { file, reason: `"${uuid.slice(0, 100)}" is no UUID` });
  }
  const pairs = digits.toLowerCase().match(/../g) ?? [];
  return `${pairs.slice(0, 8).join(' ')}-${pairs.slice(8).join(' ')}`;
}
