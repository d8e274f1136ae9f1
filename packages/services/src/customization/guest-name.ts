import { randomBytes } from 'node:crypto';
import { fault, isData } from '@hypostyle/vim';

/** How long the name of a guest may be: a label of DNS (RFC 1035), or a NetBIOS name where Windows is. Characters. */
export const longestName = { linux: 63, windows: 15 } as const;

/** Name that a specification gives a guest. Throws CustomizationFault for none, and for what is no host name. */
export function guestName(name: object, machineName: string, longest: number): string {
  const chosen = chosenName(name, machineName, longest);
  if (chosen === undefined)
    throw fault('CustomizationFault', {}, 'The host name is neither fixed, nor that of the machine, nor a prefix.');
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(chosen))
    throw fault('CustomizationFault', {}, `'${chosen.slice(0, 80)}' is no host name.`);
  if (chosen.length > longest)
    throw fault('CustomizationFault', {}, `'${chosen}' has more than the ${longest} characters of such a host name.`);
  return chosen;
}

function chosenName(name: object, machineName: string, longest: number): string | undefined {
  if (isData('CustomizationFixedName', name)) return name.name;
  if (isData('CustomizationVirtualMachineName', name))
    return machineName
      .replace(/[^A-Za-z0-9-]+/g, '-')
      .replace(/^-+/, '')
      .slice(0, longest)
      .replace(/-+$/, '');
  if (isData('CustomizationPrefixName', name)) return `${name.base}-${randomBytes(3).toString('hex')}`;
  return undefined;
}

/** Throws CustomizationFault for what is no domain; an empty one is none. */
export function checkDomain(domain: string): void {
  if (domain !== '' && !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(domain))
    throw fault('CustomizationFault', {}, `'${domain.slice(0, 80)}' is no domain.`);
}
