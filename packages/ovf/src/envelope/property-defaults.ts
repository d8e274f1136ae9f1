import type { Content, Envelope, ProductProperty, ProductSection, PropertyValue } from './envelope.ts';
import { type PropertyOverride, propertyKey, resolveProperties } from './properties.ts';

export interface DefaultOptions {
  /** Deployment option whose default is set; those for all are, unless told. */
  readonly configuration?: string;
  /** Name of the descriptor in messages. */
  readonly fileName?: string;
}

/**
 * The envelope with other default values of its properties, each in the canonical form of its type. Throws
 * `property-invalid` for a value that type or qualifiers forbid, and a key that does not exist; `configuration-unknown`.
 */
export function withPropertyDefaults(
  envelope: Envelope,
  values: readonly PropertyOverride[],
  options: DefaultOptions = {},
): Envelope {
  const checked = resolveProperties(envelope, values, { ...options, allowFixed: true, allowMissing: true });
  const wanted = new Map<ProductProperty, string>();
  for (const { property, section, entityId, value } of checked) {
    const key = propertyKey(section, property);
    if (values.some((one) => one.key === key && (one.entityId ?? entityId) === entityId)) wanted.set(property, value);
  }
  const ofProperty = (property: ProductProperty): ProductProperty => {
    const value = wanted.get(property);
    return value === undefined ? property : withDefault(property, value, options.configuration);
  };
  const ofSection = (section: ProductSection) => ({ ...section, properties: section.properties.map(ofProperty) });
  const ofContent = (content: Content): Content => {
    const products = content.products.map(ofSection);
    return content.kind === 'VirtualSystem'
      ? { ...content, products }
      : { ...content, products, contents: content.contents.map(ofContent) };
  };
  return { ...envelope, content: ofContent(envelope.content) };
}

function withDefault(property: ProductProperty, value: string, configuration: string | undefined): ProductProperty {
  const values: readonly PropertyValue[] = property.values ?? [];
  const isIt = (one: PropertyValue) => one.configuration === configuration;
  if (values.some(isIt)) return { ...property, values: values.map((one) => (isIt(one) ? { ...one, value } : one)) };
  if (configuration !== undefined) return { ...property, values: [...values, { value, configuration }] };
  return { ...property, value };
}
