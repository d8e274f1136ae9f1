import { childElements, textOf } from '../xml/xml-tree.ts';
import { type ElementReader, present } from './element-reader.ts';
import { type LocalizedText, type ProductProperty, type ProductSection, propertyTypes } from './envelope.ts';
import { envelopeNamespace } from './namespaces.ts';

const types: ReadonlySet<string> = new Set(propertyTypes);

/** Reads a ProductSection (DSP0243 9.5). */
export function readProductSection(reader: ElementReader): ProductSection {
  const appUrls = reader.children('AppUrl').map((element) => textOf(element).trim());
  const icons = reader.children('Icon').map((element) => {
    const icon = reader.within(element);
    return {
      fileId: icon.requiredAttribute('fileRef'),
      ...present('height', icon.integerAttribute('height')),
      ...present('width', icon.integerAttribute('width')),
      ...present('mimeType', icon.attribute('mimeType')),
      ...icon.rest(),
    };
  });
  return {
    ...reader.sectionHead(),
    ...present('class', reader.attribute('class') || undefined),
    ...present('instance', reader.attribute('instance') || undefined),
    ...present('product', reader.message('Product')),
    ...present('vendor', reader.message('Vendor')),
    ...present('version', reader.text('Version')),
    ...present('fullVersion', reader.text('FullVersion') ?? reader.text('Full-version')),
    ...present('productUrl', reader.text('ProductUrl')),
    ...present('vendorUrl', reader.text('VendorUrl')),
    ...(appUrls.length > 0 ? { appUrls } : {}),
    ...(icons.length > 0 ? { icons } : {}),
    ...readProperties(reader),
    ...reader.rest(),
  };
}

/** Properties in their order, each with the heading that precedes it. */
function readProperties(reader: ElementReader): Pick<ProductSection, 'properties' | 'unusedCategories'> {
  reader.children('Category');
  reader.children('Property');
  const properties: ProductProperty[] = [];
  const unusedCategories: LocalizedText[] = [];
  let category: LocalizedText | undefined;
  let isUsed = true;
  const leave = () => {
    if (category !== undefined && !isUsed) unusedCategories.push(category);
  };
  for (const child of childElements(reader.element)) {
    if (child.namespace !== envelopeNamespace) continue;
    if (child.name === 'Category') {
      leave();
      category = reader.within(child).ownMessage();
      isUsed = false;
    }
    if (child.name !== 'Property') continue;
    const property = readProperty(reader.within(child), category);
    properties.push(property);
    isUsed = true;
  }
  leave();
  return { properties, ...(unusedCategories.length > 0 ? { unusedCategories } : {}) };
}

function readProperty(reader: ElementReader, category: LocalizedText | undefined): ProductProperty {
  const key = reader.requiredAttribute('key');
  const type = reader.requiredAttribute('type');
  if (!types.has(type.toLowerCase())) {
    reader.fail(`the property ${key} has the type "${type}", which does not exist`, 'property-invalid');
  }
  const values = reader.children('Value').map((element) => {
    const value = reader.within(element);
    return {
      value: value.attribute('value') ?? value.fail(`a Value of the property ${key} has no value`),
      ...present('configuration', value.attribute('configuration') || undefined),
      ...value.rest(),
    };
  });
  return {
    key,
    type,
    ...present('qualifiers', reader.attribute('qualifiers') || undefined),
    ...present('userConfigurable', reader.booleanAttribute('userConfigurable')),
    ...present('value', reader.attribute('value')),
    ...present('required', reader.booleanAttribute('required')),
    ...present('password', reader.booleanAttribute('password')),
    ...present('label', reader.message('Label')),
    ...present('description', reader.message('Description')),
    ...(values.length > 0 ? { values } : {}),
    ...present('category', category),
    ...reader.rest(),
  };
}
