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

function rule(source: string, strict: Severity, lax: Severity, code: OvfErrorCode = 'envelope-invalid'): Rule {
  return { source, strict, lax, code };
}

const schema = 'DSP8023';
const text = (section: string) => `DSP0243 1.1 §${section}`;
const text2 = (section: string) => `DSP0243 2.1 §${section}`;

/** Every rule that a descriptor is checked against: its source and what breaking it means in each mode. */
export const validationRules = {
  // What cannot be read at all.
  'xml-well-formed': rule('XML 1.0', 'error', 'error', 'xml-malformed'),
  'envelope-root': rule(text('7'), 'error', 'error', 'not-an-envelope'),
  structure: rule(schema, 'error', 'error'),
  'section-understood': rule(text('7.3'), 'error', 'error', 'section-unknown'),
  // What an XSD validator would say.
  'schema-order': rule(schema, 'error', 'warning'),
  'schema-unexpected': rule(schema, 'error', 'warning'),
  'schema-repeated': rule(schema, 'error', 'warning'),
  'schema-missing': rule(schema, 'error', 'warning'),
  'schema-attribute-missing': rule(schema, 'error', 'warning'),
  'schema-attribute-unqualified': rule(schema, 'warning', 'warning'),
  'schema-type': rule(schema, 'error', 'warning'),
  'schema-text': rule(schema, 'error', 'warning'),
  'schema-name-missing': rule(schema, 'warning', 'warning'),
  'schema-draft-name': rule(schema, 'warning', 'warning'),
  'extension-optional': rule(text('7.3'), 'warning', 'warning'),
  // Parts and places.
  'section-kept': rule(text('7.3'), 'warning', 'warning'),
  'section-place': rule(text('9'), 'error', 'warning'),
  'section-once': rule(text('9'), 'error', 'warning'),
  'content-id-unique': rule(text('7.2'), 'error', 'warning'),
  'child-id-unique': rule(text('7.2'), 'error', 'error'),
  // The package around the descriptor.
  'descriptor-alone': rule(text('5.1'), 'warning', 'warning', 'file-missing'),
  'file-name': rule(text('5.1'), 'error', 'error', 'name-unsafe'),
  'file-there': rule(text('7.1'), 'error', 'error', 'file-missing'),
  'file-listed': rule(text('5.3'), 'error', 'warning', 'file-unreferenced'),
  'file-size': rule(text('7.1'), 'error', 'error', 'size-mismatch'),
  'file-chunks': rule(text('7.1'), 'error', 'error', 'size-mismatch'),
  'file-outside': rule(text('7.1'), 'warning', 'warning', 'name-unsafe'),
  'archive-order': rule(text('5.3'), 'error', 'warning', 'archive-invalid'),
  'archive-bytes': rule(text('5.3'), 'warning', 'warning', 'archive-invalid'),
  'bundle-first': rule(text('5.3'), 'error', 'warning'),
  'manifest-readable': rule(text('5.1'), 'error', 'error', 'manifest-invalid'),
  'manifest-complete': rule(text('5.1'), 'error', 'error', 'manifest-invalid'),
  'manifest-known': rule(text('5.1'), 'error', 'error', 'file-missing'),
  'certificate-valid': rule(text('5.1'), 'error', 'error', 'certificate-invalid'),
  // References, disks, networks.
  'file-id-unique': rule(text('7.1'), 'error', 'error'),
  'file-href-unique': rule(text('7.1'), 'error', 'error'),
  'file-empty': rule(text('7.1'), 'error', 'warning'),
  'disk-id-unique': rule(text('9.1'), 'error', 'error'),
  'disk-file-known': rule(text('9.1'), 'error', 'error', 'reference-unknown'),
  'disk-file-shared': rule(text('9.1'), 'error', 'error'),
  'disk-file-order': rule(text('5.3'), 'error', 'warning'),
  'disk-populated': rule(text('9.1'), 'error', 'error'),
  'disk-parent-known': rule(text('9.1'), 'error', 'error', 'reference-unknown'),
  'disk-parent-acyclic': rule(text('9.1'), 'error', 'error'),
  'disk-parent-capacity': rule(text('9.1'), 'warning', 'warning'),
  'disk-capacity-property': rule(text('9.1'), 'error', 'warning', 'reference-unknown'),
  'disk-unused': rule(text('8.3'), 'warning', 'warning'),
  'disk-unused-unsized': rule(text('7.1'), 'error', 'warning'),
  'disk-format': rule(text('9.1'), 'error', 'warning'),
  'unit-form': rule('DSP0004 annex C', 'warning', 'warning', 'unit-unknown'),
  'unit-unreadable': rule('DSP0004 annex C', 'error', 'error', 'unit-unknown'),
  'unit-known': rule('DSP0004 annex C', 'error', 'warning', 'unit-unknown'),
  'network-name-unique': rule(text('9.2'), 'error', 'error'),
  'network-known': rule(text('9.2'), 'error', 'error', 'reference-unknown'),
  'string-bundle-file': rule(text('10.2'), 'warning', 'warning', 'reference-unknown'),
  'string-bundle-language': rule(text('10.1'), 'warning', 'warning'),
  'message-unique': rule(text('10.1'), 'error', 'warning'),
  // Deployment options.
  'configuration-id-unique': rule(text('9.8'), 'error', 'error'),
  'configuration-default': rule(text('9.8'), 'error', 'error'),
  'configuration-known': rule(text('9.8'), 'error', 'warning', 'configuration-unknown'),
  // Products and properties.
  'product-unique': rule(text('9.5'), 'error', 'error'),
  'property-key-unique': rule(text('9.5.1'), 'error', 'error'),
  'property-key-form': rule(text('9.5.1'), 'error', 'warning', 'property-invalid'),
  'property-type': rule(text('9.5.1'), 'warning', 'warning', 'property-invalid'),
  'property-qualifiers': rule(text('9.5.1'), 'error', 'warning', 'property-invalid'),
  'property-value': rule(text('9.5.1'), 'error', 'warning', 'property-invalid'),
  'property-value-unique': rule(text('9.5.1'), 'error', 'warning', 'property-invalid'),
  'icon-file': rule(text('9.5'), 'error', 'error', 'reference-unknown'),
  // Startup, scaling, placement, boot, encryption.
  'startup-child': rule(text('9.7'), 'error', 'error', 'reference-unknown'),
  'startup-action': rule(text('9.7'), 'error', 'warning'),
  'startup-once': rule(text('9.7'), 'error', 'warning'),
  'scale-out-child': rule(text2('9.14'), 'error', 'warning', 'reference-unknown'),
  'scale-out-count': rule(text2('9.14'), 'error', 'warning'),
  'placement-group-unique': rule(text2('9.15'), 'error', 'warning'),
  'placement-group-known': rule(text2('9.15'), 'error', 'warning', 'reference-unknown'),
  'environment-file': rule(text2('9.11'), 'error', 'warning', 'reference-unknown'),
  'shared-disk-file': rule(text2('9.13'), 'error', 'warning', 'reference-unknown'),
  'boot-device': rule(text2('9.12'), 'error', 'warning', 'reference-unknown'),
  'encrypted-file': rule(text2('9.16'), 'warning', 'warning', 'reference-unknown'),
  // Virtual hardware.
  'hardware-present': rule(text('8.1'), 'error', 'error'),
  'item-id-unique': rule(text('8.3'), 'error', 'error', 'hardware-invalid'),
  'item-bound-alone': rule(text('8.4'), 'error', 'error', 'hardware-invalid'),
  'item-bound-unique': rule(text('8.4'), 'error', 'error', 'hardware-invalid'),
  'item-bound-order': rule(text('8.4'), 'error', 'warning', 'hardware-invalid'),
  'item-quantity': rule(text('8.3'), 'error', 'error', 'hardware-invalid'),
  'item-type-known': rule(text('8.3'), 'error', 'warning', 'hardware-unsupported'),
  'item-other-type': rule(text('8.3'), 'warning', 'warning', 'hardware-invalid'),
  'item-parent-known': rule(text('8.3'), 'error', 'error', 'hardware-invalid'),
  'item-parent-holds': rule(text('8.3'), 'error', 'error', 'hardware-invalid'),
  'item-parent-acyclic': rule(text('8.3'), 'error', 'error', 'hardware-invalid'),
  'item-place-unique': rule(text('8.3'), 'error', 'warning', 'hardware-invalid'),
  'item-host-resource': rule(text('8.3'), 'error', 'error', 'reference-unknown'),
  'item-host-resource-form': rule(text('8.3'), 'warning', 'warning', 'hardware-invalid'),
  'item-disk-content': rule(text('8.3'), 'error', 'warning', 'hardware-invalid'),
  'item-type-of-variants': rule(text('9.8'), 'error', 'warning', 'hardware-invalid'),
  'extra-config-file': rule('VMware OVF extensions', 'error', 'error', 'reference-unknown'),
  'firmware-consistent': rule('VMware OVF extensions', 'warning', 'warning', 'hardware-invalid'),
} as const satisfies Readonly<Record<string, Rule>>;

export type ValidationRule = keyof typeof validationRules;
