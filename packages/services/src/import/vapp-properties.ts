import type { ProductSection } from '@hypostyle/ovf';
import {
  type Envelope,
  type LocalizedText,
  localize,
  type ProductProperty,
  parseQualifiers,
  type ResolvedProperty,
} from '@hypostyle/ovf';
import { data, type VAppProductInfo, type VAppPropertyInfo } from '@hypostyle/vim';

const integers: Readonly<Record<string, string>> = {
  uint8: '0..255',
  sint8: '-128..127',
  uint16: '0..65535',
  sint16: '-32768..32767',
  uint32: '0..4294967295',
  sint32: '-2147483648..2147483647',
  uint64: '',
  sint64: '',
  int: '',
};

/** Turns a text of the envelope into the client's language. */
export type Localizer = (text: LocalizedText) => string;

export function localizerOf(envelope: Envelope, locale: string): Localizer {
  return (text) => localize(envelope, text, locale);
}

/** Properties as vim25 has them; `value` only where the deployer gave one, by `KEY` or `ID/KEY`. */
export function vAppProperties(
  properties: readonly ResolvedProperty[],
  given: ReadonlySet<string>,
  inLanguage: Localizer,
): VAppPropertyInfo[] {
  return properties.map(({ entityId, key, value, property, section, userConfigurable }, index) => {
    const { label, description, category } = property;
    const isGiven = given.has(key) || given.has(`${entityId}/${key}`);
    return data('VAppPropertyInfo', {
      key: index,
      classId: section.class ?? '',
      instanceId: section.instance ?? '',
      id: property.key,
      category: category === undefined ? '' : inLanguage(category),
      label: label === undefined ? property.key : inLanguage(label),
      type: vAppType(property),
      userConfigurable,
      defaultValue: isGiven ? (property.value ?? '') : value,
      value: isGiven ? value : '',
      description: description === undefined ? '' : inLanguage(description),
    });
  });
}

/** VAppPropertyInfo.type: `string(1..20)`, `string["a","b"]`, `password`, `ip:Network`, `int(0..255)`, `boolean`. */
function vAppType({ type, qualifiers, password }: ProductProperty): string {
  const name = type.toLowerCase();
  const read = parseQualifiers(qualifiers ?? '');
  if (name === 'boolean') return 'boolean';
  if (name === 'real' || name === 'real32' || name === 'real64') return 'real';
  const integer = integers[name];
  if (integer !== undefined) {
    const [low = '', high = ''] = integer.split('..');
    const range = `${read?.minValue ?? low}..${read?.maxValue ?? high}`;
    return range === '..' ? 'int' : `int(${range})`;
  }
  const network = read?.others.map((other) => /^ip(?:\("?([^")]*)"?\))?$/i.exec(other)).find((match) => match !== null);
  if (network) return network[1] ? `ip:${network[1]}` : 'ip';
  const base = password ? 'password' : 'string';
  if (read?.valueMap !== undefined && !password)
    return `string[${read.valueMap.map((value) => JSON.stringify(value)).join(', ')}]`;
  if (read?.minLength === undefined && read?.maxLength === undefined) return base;
  return `${base}(${read.minLength ?? 0}..${read.maxLength ?? 65_535})`;
}

export function vAppProducts(sections: readonly ProductSection[], inLanguage: Localizer): VAppProductInfo[] {
  return sections.map((section, key) =>
    data('VAppProductInfo', {
      key,
      classId: section.class ?? '',
      instanceId: section.instance ?? '',
      name: section.product === undefined ? '' : inLanguage(section.product),
      vendor: section.vendor === undefined ? '' : inLanguage(section.vendor),
      version: section.version ?? '',
      fullVersion: section.fullVersion ?? '',
      vendorUrl: section.vendorUrl ?? '',
      productUrl: section.productUrl ?? '',
      appUrl: section.appUrls?.[0] ?? '',
    }),
  );
}
