import { isIP } from 'node:net';
import type { GuestAddress, GuestFacts, GuestFileSystem, GuestInterface } from '@hypostyle/contracts';
import { isObject } from '../qmp/qmp-message.ts';
import { type GuestAgentCall, GuestAgentError } from './guest-agent.ts';
import { readGuestText } from './guest-files.ts';
import { parseResolver, parseRoutes } from './guest-network.ts';

const maxTextLength = 256;
const maxInterfaces = 64;
const maxAddresses = 64;
const maxFileSystems = 256;
const maxPathLength = 4096;
const maxFileBytes = 8 << 10;

/** Asks an agent what its guest is. A question that this guest does not know leaves its fact out. */
export async function askGuestFacts(call: GuestAgentCall): Promise<GuestFacts> {
  const optional = async (command: string) => {
    try {
      return await call(command);
    } catch (error) {
      if (error instanceof GuestAgentError) return undefined;
      throw error;
    }
  };
  return parseGuestFacts({
    info: await call('guest-info'),
    os: await optional('guest-get-osinfo'),
    host: await optional('guest-get-host-name'),
    interfaces: await optional('guest-network-get-interfaces'),
    fileSystems: await optional('guest-get-fsinfo'),
    resolver: await readGuestText(call, '/etc/resolv.conf', maxFileBytes),
    routes: await readGuestText(call, '/proc/net/route', maxFileBytes),
  });
}

/**
 * Reads the answers of `guest-info`, `guest-get-osinfo`, `guest-get-host-name`, `guest-network-get-interfaces`,
 * `guest-get-fsinfo`, and two files of Linux.
 */
export function parseGuestFacts(answers: {
  readonly info: unknown;
  readonly os: unknown;
  readonly host: unknown;
  readonly interfaces: unknown;
  readonly fileSystems?: unknown;
  readonly resolver?: string | undefined;
  readonly routes?: string | undefined;
}): GuestFacts {
  const os = isObject(answers.os) ? answers.os : {};
  const host = isObject(answers.host) ? answers.host : {};
  const info = isObject(answers.info) ? answers.info : {};
  return withoutUndefined({
    agentVersion: text(info.version) ?? 'unknown',
    hostName: text(host['host-name']),
    osId: text(os.id),
    osPrettyName: text(os['pretty-name']),
    kernel: text(os['kernel-release']),
    interfaces: list(answers.interfaces, maxInterfaces).flatMap((entry) => {
      const name = isObject(entry) ? text(entry.name) : undefined;
      if (!isObject(entry) || !name) return [];
      const mac = text(entry['hardware-address']);
      const addresses = list(entry['ip-addresses'], maxAddresses).flatMap(address);
      const known = mac && /^[0-9a-f:]{17}$/i.test(mac) ? { mac: mac.toLowerCase() } : {};
      return [{ name, ...known, addresses, ...counters(entry.statistics) }];
    }),
    fileSystems: Array.isArray(answers.fileSystems)
      ? list(answers.fileSystems, maxFileSystems).flatMap(fileSystem)
      : undefined,
    resolver: parseResolver(answers.resolver),
    routes: parseRoutes(answers.routes),
  });
}

function fileSystem(value: unknown): GuestFileSystem[] {
  if (!isObject(value)) return [];
  const { mountpoint: mountPoint } = value;
  const type = text(value.type);
  if (typeof mountPoint !== 'string' || mountPoint === '' || mountPoint.length > maxPathLength) return [];
  if (type === undefined) return [];
  const bytes = (count: unknown) =>
    typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
  const totalBytes = bytes(value['total-bytes']);
  const usedBytes = bytes(value['used-bytes']);
  return [withoutUndefined({ mountPoint, type, totalBytes, usedBytes })];
}

type InterfaceCounters = Pick<GuestInterface, 'receivedBytes' | 'sentBytes' | 'receivedPackets' | 'sentPackets'>;

function counters(value: unknown): InterfaceCounters {
  if (!isObject(value)) return {};
  const count = (name: string) => {
    const counted = value[name];
    return typeof counted === 'number' && counted >= 0 ? counted : undefined;
  };
  const [receivedBytes, sentBytes] = [count('rx-bytes'), count('tx-bytes')];
  if (receivedBytes === undefined || sentBytes === undefined) return {};
  const [receivedPackets, sentPackets] = [count('rx-packets'), count('tx-packets')];
  const packets = receivedPackets === undefined || sentPackets === undefined ? {} : { receivedPackets, sentPackets };
  return { receivedBytes, sentBytes, ...packets };
}

function address(value: unknown): GuestAddress[] {
  if (!isObject(value)) return [];
  const ip = value['ip-address'];
  const prefixLength = value.prefix;
  const version = typeof ip === 'string' ? isIP(ip) : 0;
  if (typeof ip !== 'string' || version === 0) return [];
  if (typeof prefixLength !== 'number' || !Number.isInteger(prefixLength)) return [];
  if (prefixLength < 0 || prefixLength > (version === 4 ? 32 : 128)) return [];
  return [{ address: ip, prefixLength, family: version === 4 ? 'ipv4' : 'ipv6' }];
}

function list(value: unknown, most: number): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, most) : [];
}

/** A line that a person may see: no control characters, no more than 256 characters. */
function text(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const clean = value
    .slice(0, maxTextLength)
    .replace(/[\0-\x1f\x7f-\x9f]/g, ' ')
    .trim();
  return clean === '' ? undefined : clean;
}

type Defined<T> = { [K in keyof T]: undefined extends T[K] ? Exclude<T[K], undefined> : T[K] };

function withoutUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Defined<T>;
}
