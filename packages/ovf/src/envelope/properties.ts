import { OvfError } from '../errors.ts';
import { selectConfiguration } from './deployment-configuration.ts';
import type { Envelope, ProductProperty, ProductSection } from './envelope.ts';
import { contentsOf } from './envelope-references.ts';
import { checkPropertyValue } from './property-value.ts';

/** A value that the deployer gives. */
export interface PropertyOverride {
  /** `class.key.instance`, without what is empty (DSP0243 9.5). */
  readonly key: string;
  readonly value: string;
  /** Id of the virtual system or collection, when several have the key; else all of them get the value. */
  readonly entityId?: string;
}

export interface PropertyOptions {
  /** Id of a deployment option; else the envelope's default. */
  readonly configuration?: string;
  /** List properties that still need a value, with `missing`, in place of an error. */
  readonly allowMissing?: boolean;
  /** Let what is not `userConfigurable` be set too. */
  readonly allowFixed?: boolean;
  /** Name of the descriptor in messages. */
  readonly fileName?: string;
}

/** A property with its value. */
export interface ResolvedProperty {
  /** Id of the virtual system or collection that it belongs to. */
  readonly entityId: string;
  /** `class.key.instance`, as the environment has it. */
  readonly key: string;
  /** In the canonical form of its type; empty when there is none. */
  readonly value: string;
  readonly password: boolean;
  readonly userConfigurable: boolean;
  /** A value is needed and not there; only with `allowMissing`. */
  readonly missing: boolean;
  readonly property: ProductProperty;
  readonly section: ProductSection;
}

/** Key of a property in the environment: `class.key.instance`, without what is empty (DSP0243 9.5). */
export function propertyKey(section: ProductSection, property: Pick<ProductProperty, 'key'>): string {
  return [section.class, property.key, section.instance].filter((part) => part !== undefined && part !== '').join('.');
}

/**
 * All properties of an envelope with their values: the deployer's, else the deployment option's, else the default. Checked
 * against type and qualifiers. Throws `property-invalid` (a wrong, missing or fixed value, a key that does not exist; the
 * message never shows a password) and `configuration-unknown`.
 */
export function resolveProperties(
  envelope: Envelope,
  overrides: readonly PropertyOverride[] = [],
  options: PropertyOptions = {},
): ResolvedProperty[] {
  const configuration = selectConfiguration(envelope, options.configuration);
  const unused = new Set(overrides);
  const resolved: ResolvedProperty[] = [];
  for (const content of contentsOf(envelope.content)) {
    for (const section of content.products) {
      for (const property of section.properties) {
        const key = propertyKey(section, property);
        const matching = overrides.filter(
          (override) => override.key === key && (override.entityId ?? content.id) === content.id,
        );
        for (const override of matching) unused.delete(override);
        // An override for this entity is closer than one for all.
        const override = matching.findLast((one) => one.entityId !== undefined) ?? matching.at(-1);
        resolved.push(resolveProperty(content.id, key, section, property, override, configuration, options));
      }
    }
  }
  for (const { key, entityId } of unused) {
    const where = entityId === undefined ? '' : ` of ${entityId}`;
    throw new OvfError('property-invalid', `there is no property "${key}"${where}`, { file: options.fileName });
  }
  return resolved;
}

function resolveProperty(
  entityId: string,
  key: string,
  section: ProductSection,
  property: ProductProperty,
  override: PropertyOverride | undefined,
  configuration: string | undefined,
  options: PropertyOptions,
): ResolvedProperty {
  const location = { file: options.fileName, line: property.line, section: 'ProductSection' };
  const userConfigurable = property.userConfigurable ?? false;
  if (override !== undefined && !userConfigurable && !options.allowFixed) {
    throw new OvfError('property-invalid', `the property "${key}" of ${entityId} cannot be set by the user`, location);
  }
  const default_ =
    property.values?.find((value) => value.configuration !== undefined && value.configuration === configuration) ??
    property.values?.find((value) => value.configuration === undefined);
  const given = override?.value ?? default_?.value ?? property.value ?? '';
  const password = property.password ?? false;
  const result = { entityId, key, password, userConfigurable, property, section };
  const isString = property.type.toLowerCase() === 'string';
  if (given === '' && (override === undefined || !isString)) {
    const needed =
      property.required ?? (userConfigurable && (!isString || 'problem' in checkPropertyValue(property, '')));
    if (needed && !options.allowMissing) {
      throw new OvfError('property-invalid', `the property "${key}" of ${entityId} needs a value`, location);
    }
    return { ...result, value: '', missing: needed };
  }
  const checked = checkPropertyValue(property, given);
  if ('problem' in checked) {
    throw new OvfError('property-invalid', `the value of "${key}" of ${entityId}: ${checked.problem}`, location);
  }
  return { ...result, value: checked.value, missing: false };
}
