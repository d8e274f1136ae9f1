import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net';

/** Addresses that lead to this computer alone, or to what is told apart by standing on its link: RFC 6890. */
const nearby = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  nearby.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  nearby.addSubnet(network, prefix, 'ipv6');

/** A name that leads to addresses nearby, and to no other. */
export class NearbyAddress extends Error {
  override readonly name = 'NearbyAddress';
}

/** Whether an address is of this computer alone or of its link; IPv4 within IPv6 too. Names are not. */
export function isNearby(address: string): boolean {
  const [plain = ''] = address.split('%');
  if (isIP(plain) === 0) return false;
  return nearby.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4') || isWrappedNearby(plain);
}

/** Within translation prefixes (RFC 6052, RFC 3056) the last or the next 32 bits are an address of IPv4. */
function isWrappedNearby(address: string): boolean {
  if (!isIPv6(address)) return false;
  const groups = groupsOf(address);
  const at =
    groups[0] === 0x2002 ? 1 : groups.slice(0, 6).join() === '100,65435,0,0,0,0' || isCompatible(groups) ? 6 : -1;
  if (at < 0) return false;
  const [high = 0, low = 0] = groups.slice(at);
  return nearby.check([high >> 8, high & 0xff, low >> 8, low & 0xff].join('.'), 'ipv4');
}

/** `::a.b.c.d` and `::ffff:a.b.c.d`. */
function isCompatible(groups: readonly number[]): boolean {
  return groups.slice(0, 5).every((group) => group === 0) && (groups[5] === 0 || groups[5] === 0xffff);
}

/** The eight groups of an address of IPv6. */
function groupsOf(address: string): number[] {
  const { hostname } = new URL(`http://[${address}]`);
  const [before = '', after] = hostname.slice(1, -1).split('::');
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [head, tail] = [numbers(before), after === undefined ? [] : numbers(after)];
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/**
 * Looks a name up for a connection, which then goes to one of the addresses that were looked at. Fails with
 * NearbyAddress where none is farther away.
 */
export const farLookup: LookupFunction = (name, options, callback) => {
  lookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
    const far = error === null ? found.filter(({ address }) => !isNearby(address)) : [];
    const [first] = far;
    if (error !== null) callback(error, '', 0);
    else if (first === undefined) callback(new NearbyAddress(`${name} is nearby`), '', 0);
    else if (options.all) callback(null, far);
    else callback(null, first.address, first.family);
  });
};
