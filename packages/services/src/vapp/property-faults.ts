import { fault, type VAppPropertyInfo, type VimFault } from '@hypostyle/vim';
import { checkVAppValue, parseVAppType } from '../import/vapp-value.ts';

/** Throws InvalidPropertyType for a type that is none, InvalidPropertyValue for a given value that is not of it. */
export function checkProperty(property: VAppPropertyInfo): void {
  const type = parseVAppType(property.type ?? '');
  if (type === undefined) {
    throw fault('InvalidPropertyType', members(property), `The type of ${nameOf(property)} does not exist.`);
  }
  // The default comes with the package, and is often a word such as `dhcp`: only what somebody gives is checked.
  const value = property.value ?? '';
  const problem = notXml.test(value)
    ? 'it has characters that XML cannot have'
    : value === ''
      ? undefined
      : checkVAppValue(type, value);
  if (problem !== undefined) {
    throw fault('InvalidPropertyValue', members(property), `The value of ${nameOf(property)}: ${problem}.`);
  }
}

/** Throws UnconfiguredPropertyValue for a property that the user has to set and did not. */
export function checkConfigured(property: VAppPropertyInfo): void {
  const type = parseVAppType(property.type ?? '');
  if (property.value) return;
  const byDefault = property.defaultValue ?? '';
  if (type?.kind === 'expression') {
    if (byDefault === '') return;
    throw fault(
      'InvalidPropertyType',
      members(property),
      `${nameOf(property)} is an expression, which is not calculated here yet; give it a type and a value.`,
    );
  }
  // An address that is left empty is for the guest to find, as with DHCP.
  if (byDefault !== '' || property.userConfigurable !== true || type === undefined || type.kind === 'ip') return;
  if (checkVAppValue(type, '') === undefined) return;
  throw fault('UnconfiguredPropertyValue', members(property), `${nameOf(property)} must have a value first.`);
}

export function notConfigurable(property: VAppPropertyInfo): VimFault {
  return fault('NotUserConfigurableProperty', members(property), `${nameOf(property)} cannot be set by the user.`);
}

/** What XML 1.0 has no way to write. */
export const notXml = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

function nameOf(property: VAppPropertyInfo): string {
  return `the property '${(property.label || property.id) ?? property.key}'`;
}

/** The members of a VAppPropertyFault. Its value stays out: faults come into events and logs. */
function members({ id = '', category = '', label = '', type = '' }: VAppPropertyInfo) {
  return { id, category, label, type, value: '' };
}
