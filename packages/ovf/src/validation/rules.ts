import type { OvfErrorCode } from '../errors.ts';

/** `strict` holds a descriptor to the schema and the text; `lax` to what a deployer needs to understand it. */
export type ValidationMode = 'strict' | 'lax';
export type Severity = 'error' | 'warning';

interface Rule {
  /** Where the rule is written. */
  readonly source: string;
  readonly strict: Severity;
  readonly lax: Severity;
  readonly code: OvfErrorCode;
}

/** Makes rules that are broken so in each mode. */
const broken =
  (strict: Severity, lax: Severity) =>
  (source: string, code: OvfErrorCode = 'envelope-invalid'): Rule => ({ source, strict, lax, code });
const always = broken('error', 'error');
const strictly = broken('error', 'warning');
const noted = broken('warning', 'warning');

const schema = 'DSP8023';
const text = (section: string) => `DSP0243 1.1 §${section}`;
const text2 = (section: string) => `DSP0243 2.1 §${section}`;

/** Every rule that a descriptor is checked against: its source and what breaking it means in each mode. */
export const validationRules = {
  // What cannot be read at all.
  'xml-well-formed': always('XML 1.0', 'xml-malformed'),
  'envelope-root': always(text('7'), 'not-an-envelope'),
  structure: always(schema),
  'section-understood': always(text('7.3'), 'section-unknown'),
  // What an XSD validator would say.
  'schema-order': strictly(schema),
  'schema-unexpected': strictly(schema),
  'schema-repeated': strictly(schema),
  'schema-missing': strictly(schema),
  'schema-attribute-missing': strictly(schema),
  'schema-attribute-unqualified': noted(schema),
  'schema-type': strictly(schema),
  'schema-text': strictly(schema),
  'schema-name-missing': noted(schema),
  'schema-draft-name': noted(schema),
  'extension-optional': noted(text('7.3')),
  // Parts and places.
  'section-kept': noted(text('7.3')),
  'section-place': strictly(text('9')),
  'section-once': strictly(text('9')),
  'content-id-unique': strictly(text('7.2')),
  'child-id-unique': always(text('7.2')),
  // The package around the descriptor.
  'descriptor-alone': noted(text('5.1'), 'file-missing'),
  'file-name': always(text('5.1'), 'name-unsafe'),
  'file-there': always(text('7.1'), 'file-missing'),
  'file-listed': strictly(text('5.3'), 'file-unreferenced'),
  'file-size': always(text('7.1'), 'size-mismatch'),
  'file-chunks': always(text('7.1'), 'size-mismatch'),
  'file-outside': noted(text('7.1'), 'name-unsafe'),
  'archive-order': strictly(text('5.3'), 'archive-invalid'),
  'archive-bytes': noted(text('5.3'), 'archive-invalid'),
  'bundle-first': strictly(text('5.3')),
  'manifest-readable': always(text('5.1'), 'manifest-invalid'),
  'manifest-complete': always(text('5.1'), 'manifest-invalid'),
  'manifest-known': always(text('5.1'), 'file-missing'),
  'certificate-valid': always(text('5.1'), 'certificate-invalid'),
  // References, disks, networks.
  'file-id-unique': always(text('7.1')),
  'file-href-unique': always(text('7.1')),
  'file-empty': strictly(text('7.1')),
  'disk-id-unique': always(text('9.1')),
  'disk-file-known': always(text('9.1'), 'reference-unknown'),
  'disk-file-shared': always(text('9.1')),
  'disk-file-order': strictly(text('5.3')),
  'disk-populated': always(text('9.1')),
  'disk-parent-known': always(text('9.1'), 'reference-unknown'),
  'disk-parent-acyclic': always(text('9.1')),
  'disk-parent-capacity': noted(text('9.1')),
  'disk-capacity-property': strictly(text('9.1'), 'reference-unknown'),
  'disk-unused': noted(text('8.3')),
  'disk-unused-unsized': strictly(text('7.1')),
  'disk-format': strictly(text('9.1')),
  'unit-form': noted('DSP0004 annex C', 'unit-unknown'),
  'unit-unreadable': always('DSP0004 annex C', 'unit-unknown'),
  'unit-known': strictly('DSP0004 annex C', 'unit-unknown'),
  'network-name-unique': always(text('9.2')),
  'network-known': always(text('9.2'), 'reference-unknown'),
  'string-bundle-file': noted(text('10.2'), 'reference-unknown'),
  'string-bundle-language': noted(text('10.1')),
  'message-unique': strictly(text('10.1')),
  // Deployment options.
  'configuration-id-unique': always(text('9.8')),
  'configuration-default': always(text('9.8')),
  'configuration-known': strictly(text('9.8'), 'configuration-unknown'),
  // Products and properties.
  'product-unique': always(text('9.5')),
  'property-key-unique': always(text('9.5.1')),
  'property-key-form': strictly(text('9.5.1'), 'property-invalid'),
  'property-type': noted(text('9.5.1'), 'property-invalid'),
  'property-qualifiers': strictly(text('9.5.1'), 'property-invalid'),
  'property-value': strictly(text('9.5.1'), 'property-invalid'),
  'property-value-unique': strictly(text('9.5.1'), 'property-invalid'),
  'icon-file': always(text('9.5'), 'reference-unknown'),
  // Startup, scaling, placement, boot, encryption.
  'startup-child': always(text('9.7'), 'reference-unknown'),
  'startup-action': strictly(text('9.7')),
  'startup-once': strictly(text('9.7')),
  'scale-out-child': strictly(text2('9.14'), 'reference-unknown'),
  'scale-out-count': strictly(text2('9.14')),
  'scale-out-once': strictly(text2('9.14')),
  'placement-group-unique': strictly(text2('9.15')),
  'placement-group-known': strictly(text2('9.15'), 'reference-unknown'),
  'environment-file': strictly(text2('9.11'), 'reference-unknown'),
  'shared-disk-file': strictly(text2('9.13'), 'reference-unknown'),
  'boot-device': strictly(text2('9.12'), 'reference-unknown'),
  'encrypted-file': noted(text2('9.16'), 'reference-unknown'),
  // Virtual hardware.
  'hardware-present': always(text('8.1')),
  'item-id-unique': always(text('8.3'), 'hardware-invalid'),
  'item-bound-alone': always(text('8.4'), 'hardware-invalid'),
  'item-bound-unique': always(text('8.4'), 'hardware-invalid'),
  'item-bound-order': strictly(text('8.4'), 'hardware-invalid'),
  'item-quantity': always(text('8.3'), 'hardware-invalid'),
  'item-type-known': strictly(text('8.3'), 'hardware-unsupported'),
  'item-other-type': noted(text('8.3'), 'hardware-invalid'),
  'item-parent-known': always(text('8.3'), 'hardware-invalid'),
  'item-parent-holds': always(text('8.3'), 'hardware-invalid'),
  'item-parent-acyclic': always(text('8.3'), 'hardware-invalid'),
  'item-place-unique': strictly(text('8.3'), 'hardware-invalid'),
  'item-host-resource': always(text('8.3'), 'reference-unknown'),
  'item-host-resource-form': noted(text('8.3'), 'hardware-invalid'),
  'item-disk-content': strictly(text('8.3'), 'hardware-invalid'),
  'item-type-of-variants': strictly(text('9.8'), 'hardware-invalid'),
  'extra-config-file': always('VMware OVF extensions', 'reference-unknown'),
  'firmware-consistent': noted('VMware OVF extensions', 'hardware-invalid'),
} as const satisfies Readonly<Record<string, Rule>>;

export type ValidationRule = keyof typeof validationRules;
