/**
 * Versions of vim25, oldest first. Kept by hand: the schema's `since` mixes them with those of other products.
 * `2.5u2server` is what vSphere 4.0 was called while it was made; clients of 4.0 and later know all of it.
 */
const order = [
  '2.0',
  '2.5',
  '2.5u2',
  '2.5u2server',
  '4.0',
  '4.1',
  '5.0',
  '5.1',
  '5.5',
  '6.0',
  '6.5',
  '6.7',
  '6.7.1',
  '6.7.2',
  '6.7.3',
  '6.8.7',
  '6.9.1',
  '7.0.0.0',
  '7.0.0.2',
  '7.0.1.0',
  '7.0.1.1',
  '7.0.2.0',
  '7.0.2.1',
  '7.0.3.0',
  '7.0.3.1',
  '7.0.3.2',
  '8.0.0.0',
  '8.0.0.1',
  '8.0.0.2',
  '8.0.0.3',
  '8.0.0.4',
  '8.0.1.0',
  '8.0.2.0',
  '8.0.3.0',
] as const;

/** Versions announced in vimServiceVersions.xml, newest first: those that were ever released to the public. */
export const publicVersions: readonly string[] = [
  '8.0.3.0',
  '8.0.2.0',
  '8.0.1.0',
  '8.0.0.1',
  '7.0.3.2',
  '7.0.3.0',
  '7.0.2.0',
  '7.0.1.1',
  '7.0.1.0',
  '7.0.0.0',
  '6.7.3',
  '6.7.2',
  '6.7.1',
  '6.7',
  '6.5',
  '6.0',
  '5.5',
  '5.1',
  '5.0',
  '4.1',
  '4.0',
  '2.5u2',
  '2.5',
];

/** Place in the order of a `since` that belongs to another product: newer than any client. */
const foreign = Number.POSITIVE_INFINITY;
const ranks = new Map<string, number>(order.map((version, rank) => [version, rank]));

/** Place of a schema's `since` in the order of versions; Infinity for versions of vSAN and other products. */
export function rankOf(since: string): number {
  return ranks.get(since) ?? foreign;
}

/** A version that a client speaks. One object for each, so that encoders can be kept by it. */
export interface ApiVersion {
  readonly name: string;
  readonly rank: number;
}

const versions: readonly ApiVersion[] = order.map((name, rank) => ({ name, rank }));

export const newestVersion = versions.at(-1) as ApiVersion;
/** What a client speaks that does not say so. */
export const unstatedVersion = versions[ranks.get('2.5') as number] as ApiVersion;

const known = new Map<string, ApiVersion>(versions.map((version) => [version.name, version]));

/** The version of that name, or the nearest lower one that is known; the unstated one for what is no version. */
export function apiVersion(name: string): ApiVersion {
  return known.get(name) ?? nearestLower(name);
}

function nearestLower(name: string): ApiVersion {
  const wanted = parts(name);
  if (wanted === undefined) return unstatedVersion;
  let best = versions[0] as ApiVersion;
  for (const version of versions) {
    const have = parts(version.name);
    if (have !== undefined && compare(have, wanted) <= 0) best = version;
  }
  return best;
}

/** Numbers of `6.7.1`; undefined for anything else. A missing number counts as 0, so that 7.0 is 7.0.0.0. */
function parts(name: string): readonly number[] | undefined {
  return /^\d{1,4}(\.\d{1,4}){0,5}$/.test(name) ? name.split('.').map(Number) : undefined;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The version in a SOAPAction header such as `"urn:vim25/6.7"`. */
export function versionOfSoapAction(header: string | undefined): ApiVersion {
  const match = header === undefined ? null : /^"?urn:(?:internal)?vim25\/([^"/]{1,32})"?$/.exec(header);
  return match === null ? unstatedVersion : apiVersion(match[1] as string);
}
