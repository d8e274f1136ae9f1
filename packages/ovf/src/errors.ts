/** Every reason for which this package refuses something, by code. */
const reasons = {
  'xml-malformed': 'the XML is not well formed',
  'xml-forbidden': 'the XML uses what a descriptor may not use',
  'xml-limit': 'the XML exceeds a limit',
  'not-an-envelope': 'the document is not an OVF envelope',
  'not-an-environment': 'the document is not an OVF environment',
  'envelope-invalid': 'the envelope breaks a rule of the specification',
  'section-unknown': 'a required section is not understood',
  'reference-unknown': 'a name refers to nothing in the envelope',
  'unit-unknown': 'an allocation unit is not understood',
  'property-invalid': 'a property or its value is not valid',
  'configuration-unknown': 'a deployment option does not exist',
  'scale-out-invalid': 'a number of instances is not allowed',
  'hardware-unsupported': 'a required hardware item is not supported',
  'hardware-invalid': 'the virtual hardware is not consistent',
  'manifest-invalid': 'the manifest is not valid',
  'archive-invalid': 'the archive is not a valid OVA',
  'archive-truncated': 'the archive ends too early',
  'archive-limit': 'the archive exceeds a limit',
  'name-unsafe': 'a file name is not allowed in a package',
  'file-unreadable': 'a file of the package cannot be read',
  'file-missing': 'a referenced file is not in the package',
  'file-unreferenced': 'a file of the package is not referenced',
  'size-mismatch': 'the size of a file is not the one that the envelope states',
  'digest-mismatch': 'the content of a file does not match the manifest',
  'certificate-invalid': 'the certificate of the package is not valid',
  'signing-failed': 'the package cannot be signed',
  encrypted: 'the content is encrypted',
  'passphrase-wrong': 'the content is encrypted by another passphrase',
  'encryption-failed': 'the package cannot be encrypted',
  'target-exists': 'nothing is overwritten unasked',
  'target-unwritable': 'the target was not written',
  'text-invalid': 'a text cannot be written as XML',
  'image-invalid': 'a disc image cannot be written',
} as const;

export type OvfErrorCode = keyof typeof reasons;

/** Where in a package the reason lies. */
export interface OvfLocation {
  /** Name of the descriptor or of the file in the package. */
  readonly file?: string | undefined;
  /** Section or element, such as `DiskSection`. */
  readonly section?: string | undefined;
  /** Line in the descriptor or manifest, from 1. */
  readonly line?: number | undefined;
}

/** The one error that this package throws for what it was given; `code` says the kind, the message where and why. */
export class OvfError extends Error {
  override readonly name = 'OvfError';
  readonly code: OvfErrorCode;
  /** The message without place and kind. */
  readonly detail: string;
  readonly location: OvfLocation;

  constructor(code: OvfErrorCode, detail: string, location: OvfLocation = {}, options?: ErrorOptions) {
    const where = [
      location.file,
      location.line === undefined ? undefined : `line ${location.line}`,
      location.section,
    ].filter((part) => part !== undefined);
    super(`${where.length > 0 ? `${where.join(', ')}: ` : ''}${detail} (${reasons[code]})`, options);
    this.code = code;
    this.detail = detail;
    this.location = location;
  }
}

/** Something that was tolerated; the same words as an error would have. */
export interface OvfWarning {
  readonly detail: string;
  readonly location: OvfLocation;
}
