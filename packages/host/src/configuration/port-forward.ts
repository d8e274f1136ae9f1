import type { PortForward } from '@hypostyle/contracts';

/** Reads `tcp:127.0.0.1:8080:80`: protocol, address and port here, port in the guest. Undefined when it is none. */
export function parseForward(text: string): PortForward | undefined {
  const match = /^(tcp|udp):(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5}):(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const [, protocol, hostAddress = ''] = match;
  const [hostPort, guestPort] = [Number(match[3]), Number(match[4])];
  const valid = (port: number) => port >= 1 && port <= 65_535;
  if (!valid(hostPort) || !valid(guestPort) || hostAddress.split('.').some((octet) => Number(octet) > 255))
    return undefined;
  return { protocol: protocol as PortForward['protocol'], hostAddress, hostPort, guestPort };
}
