/**
 * Enum values younger than their type, which the schema does not date: the `since`, and what stands for the value in
 * older versions; without a stand-in the property is left out. From the release notes of the Web Services SDK.
 */
export const enumValueVersions: Readonly<
  Record<string, Readonly<Record<string, { readonly since: string; readonly older?: string }>>>
> = {
  HostConfigChangeOperation: { ignore: { since: '5.5' } },
};
