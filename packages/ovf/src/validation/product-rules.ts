import type { Content, ProductProperty } from '../envelope/envelope.ts';
import { checkPropertyValue, parseQualifiers } from '../envelope/property-value.ts';
import type { RuleCheck } from './rule-check.ts';

const section = 'ProductSection';

/** The types of the standard, as it writes them (DSP0243 table 7). */
const standardTypes = new Set([
  'uint8',
  'sint8',
  'uint16',
  'sint16',
  'uint32',
  'sint32',
  'uint64',
  'sint64',
  'string',
  'boolean',
  'real32',
  'real64',
]);

/** Rules of the products of one content and their properties (DSP0243 9.5). No message shows a value. */
export function checkProducts(check: RuleCheck, { products }: Content): void {
  const seen = new Set<string>();
  for (const product of products) {
    const name = `${product.class ?? ''}\0${product.instance ?? ''}`;
    if (seen.has(name)) {
      const detail = `two ProductSections have the class "${product.class ?? ''}" and instance "${product.instance ?? ''}"`;
      check.report('product-unique', detail, section, product.line);
    }
    seen.add(name);
    check.unique('property-key-unique', section, product.properties, ({ key }) => key, 'property');
    for (const property of product.properties) checkProperty(check, property);
    for (const { fileId, line } of product.icons ?? []) {
      if (!check.files.has(fileId)) {
        check.report('icon-file', `the icon refers to the file "${fileId}", which is not in References`, section, line);
      }
    }
  }
}

function checkProperty(check: RuleCheck, property: ProductProperty): void {
  const { key, type, qualifiers, value, values = [], line } = property;
  if (/[.:]/.test(key) && check.envelope.version !== '0.9') {
    check.report('property-key-form', `the key "${key}" has a period or a colon in it`, section, line);
  }
  if (!standardTypes.has(type)) {
    check.report('property-type', `the type "${type}" of the property ${key} is none of the standard`, section, line);
  }
  if (qualifiers !== undefined && parseQualifiers(qualifiers) === undefined) {
    const detail = `the qualifiers "${qualifiers}" of the property ${key} cannot be read`;
    check.report('property-qualifiers', detail, section, line);
    return;
  }
  const configured = new Set<string | undefined>();
  for (const { configuration, line: at } of values) {
    if (configuration !== undefined && !check.configurations.has(configuration)) {
      const detail = `the property ${key} has a value for the configuration "${configuration}", which does not exist`;
      check.report('configuration-known', detail, section, at);
    }
    if (configured.has(configuration)) {
      const detail = `the property ${key} has two values for ${configuration === undefined ? 'all configurations' : `the configuration "${configuration}"`}`;
      check.report('property-value-unique', detail, section, at);
    }
    configured.add(configuration);
  }
  for (const { value: given, line: at } of [...(value === undefined ? [] : [{ value, line }]), ...values]) {
    // An empty value is one that is still to be given.
    if (given === '') continue;
    const checked = checkPropertyValue(property, given);
    if ('problem' in checked) {
      check.report('property-value', `the value of the property ${key}: ${checked.problem}`, section, at);
    }
  }
}
