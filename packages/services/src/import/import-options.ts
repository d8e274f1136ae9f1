import { data, type OvfOptionInfo } from '@hypostyle/vim';
import { faults } from '../errors.ts';

/** What a client says of an import beyond the members of OvfCreateImportSpecParams. */
export interface ImportOptions {
  /** How many instances of what scales out, by its `ovf:id`. */
  readonly counts: ReadonlyMap<string, number>;
  /** `ovf:id` of the one machine of the package that is imported; all of them unless told. */
  readonly system?: string;
}

const scaleOut = 'scaleOut';
const virtualSystem = 'virtualSystem';

/** OvfManager.ovfImportOption: the keywords of `importOption` that mean something here. */
export const ovfImportOptions: readonly OvfOptionInfo[] = [
  [scaleOut, `${scaleOut}:ID=COUNT: how many instances of the content ID, which scales out, there are to be`],
  [
    virtualSystem,
    `${virtualSystem}:ID: import this machine of the package alone; copies of what scales out are ID-1, ID-2 …`,
  ],
].map(([option = '', message]) =>
  data('OvfOptionInfo', {
    option,
    description: data('LocalizableMessage', {
      key: `hypostyle.ovf.${option}`,
      ...(message === undefined ? {} : { message }),
    }),
  }),
);

/** Reads the keywords of `importOption`; those of others are passed over. Throws InvalidArgument for a wrong one of ours. */
export function importOptions(keywords: readonly string[] = []): ImportOptions {
  const counts = new Map<string, number>();
  let system: string | undefined;
  for (const keyword of keywords) {
    const mark = keyword.indexOf(':');
    const [name, value] = [keyword.slice(0, mark), keyword.slice(mark + 1)];
    if (name === virtualSystem && value !== '') system = value;
    if (name !== scaleOut) continue;
    const match = /^(.+)=(\d{1,9})$/.exec(value);
    if (match === null)
      throw faults.invalidArgument('cisp.importOption', `'${keyword.slice(0, 80)}' is not ${scaleOut}:ID=COUNT.`);
    counts.set(match[1] ?? '', Number(match[2]));
  }
  return { counts, ...(system === undefined ? {} : { system }) };
}
