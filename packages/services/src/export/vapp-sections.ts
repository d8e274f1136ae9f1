import {
  type EulaSection,
  type InstallSection,
  type ProductProperty,
  type ProductSection,
  parseSection,
  type UnknownSection,
} from '@hypostyle/ovf';
import type { VAppProductInfo, VAppPropertyInfo, VmConfigInfo } from '@hypostyle/vim';
import { parseVAppType, type VAppType } from '../import/vapp-value.ts';

/** What a vApp configuration becomes in a descriptor. */
export interface VAppSections {
  readonly products: readonly ProductSection[];
  readonly eulas: readonly EulaSection[];
  /** Sections that came with the package, of the content and of the envelope. */
  readonly otherSections: readonly UnknownSection[];
  readonly envelopeSections: readonly UnknownSection[];
  readonly install?: InstallSection;
}

/**
 * The sections of a descriptor that tell what a vApp configuration tells: products, properties, licences, and what came
 * with an imported package. A password's value stays here.
 */
export function vAppSections(config: VmConfigInfo | undefined): VAppSections {
  if (config === undefined) return { products: [], eulas: [], otherSections: [], envelopeSections: [] };
  const { ovfSection = [], eula = [], installBootRequired, installBootStopDelay } = config;
  const kept = ovfSection.map(({ contents = '', atEnvelopeLevel = false }) => ({
    section: parseSection(contents),
    atEnvelopeLevel,
  }));
  return {
    products: productSections(config.product ?? [], config.property ?? []),
    eulas: eula.map((license) => ({ info: { text: 'An end-user license agreement' }, license: { text: license } })),
    otherSections: kept.filter(({ atEnvelopeLevel }) => !atEnvelopeLevel).map(({ section }) => section),
    envelopeSections: kept.filter(({ atEnvelopeLevel }) => atEnvelopeLevel).map(({ section }) => section),
    ...(installBootRequired
      ? { install: { info: { text: 'Specifies that a boot is needed' }, initialBootStopDelay: installBootStopDelay } }
      : {}),
  };
}

/** A section for each class and instance: what is said of the product, and its properties. */
function productSections(
  products: readonly VAppProductInfo[],
  properties: readonly VAppPropertyInfo[],
): ProductSection[] {
  const key = ({ classId = '', instanceId = '' }: VAppProductInfo | VAppPropertyInfo) =>
    JSON.stringify([classId, instanceId]);
  const keys = new Set([...products, ...properties].map(key));
  return [...keys].map((each) => {
    const product = products.find((one) => key(one) === each);
    const own = properties.filter((one) => key(one) === each);
    const { classId, instanceId } = product ?? own[0] ?? {};
    return {
      info: { text: 'Information about the installed software' },
      ...text('class', classId),
      ...text('instance', instanceId),
      ...localized('product', product?.name),
      ...localized('vendor', product?.vendor),
      ...text('version', product?.version),
      ...text('fullVersion', product?.fullVersion),
      ...text('productUrl', product?.productUrl),
      ...text('vendorUrl', product?.vendorUrl),
      ...(product?.appUrl ? { appUrls: [product.appUrl] } : {}),
      properties: propertiesOf(own),
    };
  });
}

function propertiesOf(properties: readonly VAppPropertyInfo[]): ProductProperty[] {
  const categories = new Map<string, { readonly text: string }>();
  return properties.map((info) => {
    const { id = '', type = '', category = '', userConfigurable = true } = info;
    if (category !== '' && !categories.has(category)) categories.set(category, { text: category });
    const heading = categories.get(category);
    const written = propertyType(parseVAppType(type) ?? { kind: 'expression' }, type);
    const value = info.value || (info.defaultValue ?? '');
    return {
      key: id,
      ...written,
      userConfigurable,
      ...(value === '' || written.password ? {} : { value }),
      ...localized('label', info.label === id ? undefined : info.label),
      ...localized('description', info.description),
      ...(heading === undefined ? {} : { category: heading }),
    };
  });
}

/** Type and qualifiers (DSP0243 table 7 and 9.5.1) of a VAppPropertyInfo.type. */
function propertyType(type: VAppType, written: string): Pick<ProductProperty, 'type' | 'qualifiers' | 'password'> {
  switch (type.kind) {
    case 'boolean':
      return { type: 'boolean' };
    case 'real':
      return { type: 'real64' };
    case 'int':
      return integerType(type.least, type.most);
    case 'ip': {
      const network = /^ip\s*:\s*(.+)$/i.exec(written)?.[1];
      return { type: 'string', qualifiers: network === undefined ? 'Ip' : `Ip(${quoted(network)})` };
    }
    case 'expression':
      return { type: 'string' };
    case 'string': {
      const limits = [
        // Qualifiers have no way to write a quote.
        ...(type.choices === undefined || type.choices.some((choice) => choice.includes('"'))
          ? []
          : [`ValueMap{${type.choices.map(quoted).join(',')}}`]),
        ...(type.least > 0 ? [`MinLen(${type.least})`] : []),
        ...(type.most < 65_535 ? [`MaxLen(${type.most})`] : []),
      ];
      return {
        type: 'string',
        ...(limits.length === 0 ? {} : { qualifiers: limits.join(',') }),
        ...(type.password ? { password: true } : {}),
      };
    }
  }
}

const integers = (['8', '16', '32', '64'] as const).flatMap((bits) => [
  { type: `uint${bits}`, least: 0n, most: (1n << BigInt(bits)) - 1n },
  { type: `sint${bits}`, least: -(1n << (BigInt(bits) - 1n)), most: (1n << (BigInt(bits) - 1n)) - 1n },
]);

/** The smallest type that has the whole range, with the range where it is smaller. */
function integerType(least: bigint | undefined, most: bigint | undefined) {
  if (least === undefined && most === undefined) return { type: 'sint64' };
  const from = least ?? (most !== undefined && most < 0n ? most : 0n);
  const fits = integers.find(
    (one) => one.least <= from && (most === undefined ? one.type.endsWith('64') : one.most >= most),
  );
  if (fits === undefined) return { type: 'sint64' };
  if (fits.least === least && fits.most === most) return { type: fits.type };
  const limits = [
    ...(least === undefined ? [] : [`MinValue(${least})`]),
    ...(most === undefined ? [] : [`MaxValue(${most})`]),
  ];
  return { type: fits.type, qualifiers: limits.join(',') };
}

function quoted(value: string): string {
  return `"${value.replaceAll('"', '')}"`;
}

function text<Key extends string>(key: Key, value: string | undefined): { [K in Key]?: string } {
  return (value ? { [key]: value } : {}) as { [K in Key]?: string };
}

function localized<Key extends string>(
  key: Key,
  value: string | undefined,
): { [K in Key]?: { readonly text: string } } {
  return (value ? { [key]: { text: value } } : {}) as { [K in Key]?: { readonly text: string } };
}
