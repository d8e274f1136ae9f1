/** Everything that the host refuses by itself; managed objects turn these into the specification's faults. */
const errors = {
  'vmx-invalid': 'The .vmx file cannot be read',
  'device-invalid': 'The device cannot be built',
  'datastore-invalid': 'The datastore cannot be used',
  'disk-invalid': 'The disk cannot be used',
  'snapshots-invalid': 'The snapshots cannot be used',
  'changes-invalid': 'Changed blocks cannot be told',
  'vapp-invalid': 'The vApp configuration .hypo/vapp.json cannot be used',
  'folder-in-use': 'The folder is in use',
} as const;

export type HostErrorCode = keyof typeof errors;

export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;

  constructor(code: HostErrorCode, detail: string, options?: ErrorOptions) {
    super(`${errors[code]}: ${detail}`, options);
    this.code = code;
  }
}
