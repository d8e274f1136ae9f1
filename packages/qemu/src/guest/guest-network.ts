import { isIP } from 'node:net';
import type { GuestResolver, GuestRoute } from '@hypostyle/contracts';

const maxEntries = 64;
const maxNameLength = 253;
/** Flag of a route by a gateway (RTF_GATEWAY). */
const byGateway = 2;

/** Reads `resolv.conf`. Undefined where it names no server. */
export function parseResolver(text: string | undefined): GuestResolver | undefined {
  const servers: string[] = [];
  let searchDomains: string[] = [];
  for (const line of (text ?? '').split('\n')) {
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === 'nameserver' && values[0] !== undefined && isIP(values[0]) > 0) servers.push(values[0]);
    // The last one counts.
    else if (key === 'search' || key === 'domain') {
      searchDomains = values.filter((name) => name.length <= maxNameLength && /^[\w.-]+$/.test(name));
    }
  }
  if (servers.length === 0) return undefined;
  return { servers: servers.slice(0, maxEntries), searchDomains: searchDomains.slice(0, maxEntries) };
}

/** Reads Linux's `/proc/net/route`: IPv4 routes. */
export function parseRoutes(text: string | undefined): readonly GuestRoute[] | undefined {
  const [heading, ...lines] = (text ?? '').split('\n');
  if (heading === undefined || !heading.startsWith('Iface')) return undefined;
  const routes: GuestRoute[] = [];
  for (const line of lines) {
    const [device, destination, gateway, flags, , , , mask] = line.trim().split(/\s+/);
    if (device === undefined || !/^[\w.:@-]{1,32}$/.test(device)) continue;
    const network = address(destination);
    const bits = address(mask);
    if (network === undefined || bits === undefined) continue;
    const prefixLength = bits
      .split('.')
      .map((byte) => Number(byte).toString(2).replaceAll('0', '').length)
      .reduce((sum, count) => sum + count, 0);
    const next = Number.parseInt(flags ?? '', 16) & byGateway ? address(gateway) : undefined;
    routes.push({ network, prefixLength, device, ...(next === undefined ? {} : { gateway: next }) });
    if (routes.length === maxEntries) break;
  }
  return routes;
}

/** Four bytes in the order of a little-endian machine. */
function address(hex: string | undefined): string | undefined {
  if (hex === undefined || !/^[0-9A-F]{8}$/i.test(hex)) return undefined;
  return [...Buffer.from(hex, 'hex')].reverse().join('.');
}
