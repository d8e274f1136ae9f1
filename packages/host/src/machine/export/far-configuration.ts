import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';

/** Key of a `.vmx` with the word by which a center knows what it has just had sent. */
export const arrivalKey = 'hypostyle.arrival';

/** Whether there are images in drives. */
export function hasImages({ cdroms, floppies }: MachineConfiguration): boolean {
  const images = [...cdroms.filter(({ kind }) => kind === 'iso'), ...floppies];
  return images.some(({ fileName }) => fileName !== undefined && fileName !== '');
}

/** A configuration for another host: images there are others, and drives are empty until one is put in. */
export function withoutImages(configuration: MachineConfiguration): MachineConfiguration {
  const emptied = <T extends { readonly fileName: string | undefined; readonly startConnected: boolean }>(
    drive: T,
  ): T =>
    drive.fileName === undefined || drive.fileName === ''
      ? drive
      : { ...drive, fileName: undefined, startConnected: false };
  return {
    ...configuration,
    cdroms: configuration.cdroms.map((drive) => (drive.kind === 'iso' ? { ...emptied(drive), kind: 'atapi' } : drive)),
    floppies: configuration.floppies.map(emptied),
    // A port of the host leads to one guest.
    nics: configuration.nics.map((nic) => ({ ...nic, forwards: [] })),
  };
}
