import { data, type OvfOptionInfo } from '@hypostyle/vim';

/** What a client may ask of a descriptor beyond what every one has (`OvfCreateDescriptorParams.exportOption`). */
export type ExportOption = keyof typeof descriptions;

const descriptions = {
  mac: 'Include the MAC addresses of network adapters.',
  uuid: 'Include the BIOS UUID of virtual machines.',
  extraconfig: 'Include the extra configuration of virtual machines.',
  nodevicesubtypes:
    'Leave out the subtypes of CD/DVD and floppy drives, serial and parallel ports; there are none here.',
} as const;

/** `OvfManager.ovfExportOption`. */
export const ovfExportOptions: readonly OvfOptionInfo[] = Object.entries(descriptions).map(([option, message]) =>
  data('OvfOptionInfo', { option, description: data('LocalizableMessage', { key: `ovf.export.${option}`, message }) }),
);

/** The options that are known; others are ignored, as the interface has it. */
export function exportOptionsOf(asked: readonly string[] | undefined): ReadonlySet<ExportOption> {
  return new Set(
    (asked ?? []).map((option) => option.toLowerCase()).filter((option) => option in descriptions) as ExportOption[],
  );
}
