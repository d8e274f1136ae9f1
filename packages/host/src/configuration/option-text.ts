/** The text of an `OptionValue.value`, as a `.vmx` has it. */
export function optionText(value: unknown): string {
  if (typeof value === 'object' && value !== null && '_value' in value) return optionText(value._value);
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE';
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : '';
}
