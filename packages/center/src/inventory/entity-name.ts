import { fault } from '@hypostyle/vim';

const longestName = 80;

/**
 * The name of an entity as it is kept: `/` and `\` escaped, and `%` where it begins no escape (ManagedEntity.name).
 * Throws InvalidName for an empty one, and for one of over 80 characters.
 */
export function entityName(written: string): string {
  const name = written
    .replace(/%(2f|5c)/gi, (written) => written.toLowerCase())
    .replace(/%(?![0-9a-f]{2})/gi, '%25')
    .replaceAll('/', '%2f')
    .replaceAll('\\', '%5c');
  const plain = name.replace(/%[0-9a-f]{2}/gi, '_');
  if (plain.trim() === '' || plain.length > longestName)
    throw fault('InvalidName', { name: written }, `A name has 1 to ${longestName} characters.`);
  return name;
}
