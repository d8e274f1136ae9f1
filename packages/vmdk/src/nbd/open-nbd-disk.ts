import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { VmdkError } from '../errors.ts';
import { type NbdAddress, type NbdClientTls, nbdUri } from './address.ts';
import { NbdConnection } from './client-connection.ts';
import { ClientHandshake } from './client-handshake.ts';
import { NbdDisk } from './nbd-disk.ts';
import { bitmapContextPrefix, defaultNbdPort, transmissionFlags } from './protocol.ts';
import { Wire } from './wire.ts';

export interface ReachNbdOptions {
  /** Time for connecting and negotiating, in seconds. Default 10. */
  readonly handshakeSeconds?: number;
  readonly signal?: AbortSignal;
}

export interface OpenNbdDiskOptions extends ReachNbdOptions {
  /** Default: read only. `read-only` where the server does not allow it. */
  readonly writable?: boolean;
  /** Change maps to ask for, by name without `qemu:dirty-bitmap:`. */
  readonly changeMaps?: readonly string[];
}

/** Opens an export of an NBD server. Its failures are `nbd-unreachable`, `nbd-refused` and `nbd-protocol`. */
export async function openNbdDisk(
  address: NbdAddress,
  exportName: string,
  options: OpenNbdDiskOptions = {},
): Promise<NbdDisk> {
  const path = nbdUri(address, exportName);
  const contexts = (options.changeMaps ?? []).map((name) => `${bitmapContextPrefix}${name}`);
  return negotiate(address, path, options, async (handshake, wire) => {
    const negotiated = await handshake.go(exportName, contexts);
    const writable = options.writable ?? false;
    if (writable && (negotiated.flags & transmissionFlags.readOnly) !== 0) {
      throw new VmdkError('read-only', { file: path, reason: 'the server exports it for reading' });
    }
    return new NbdDisk(new NbdConnection(wire, negotiated, path), { path, writable });
  });
}

/** Names of the exports that a server tells. */
export async function listNbdExports(address: NbdAddress, options: ReachNbdOptions = {}): Promise<string[]> {
  return negotiate(address, nbdUri(address, ''), options, async (handshake, wire) => {
    const names = await handshake.list();
    await handshake.abort();
    wire.destroy();
    return names;
  });
}

/** Connects, greets, begins TLS, and does the rest; all of it within the time. */
async function negotiate<Result>(
  address: NbdAddress,
  path: string,
  options: ReachNbdOptions,
  rest: (handshake: ClientHandshake, wire: Wire) => Promise<Result>,
): Promise<Result> {
  options.signal?.throwIfAborted();
  const seconds = options.handshakeSeconds ?? 10;
  let current: { destroy(): unknown } | undefined;
  let late = false;
  const stop = () => current?.destroy();
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, seconds * 1000);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const socket = await connect(address, path, (made) => {
      current = made;
    });
    let wire = new Wire(socket, path);
    await new ClientHandshake(wire, path).greet();
    if (address.tls !== undefined) {
      const plain = new ClientHandshake(wire, path);
      await plain.startTls();
      const secure = await secured(wire.release() as Socket, address, address.tls, path);
      current = secure;
      wire = new Wire(secure, path);
    }
    return await rest(new ClientHandshake(wire, path), wire);
  } catch (error) {
    stop();
    options.signal?.throwIfAborted();
    if (late) throw new VmdkError('nbd-unreachable', { file: path, reason: `no answer within ${seconds} seconds` });
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', stop);
  }
}

function connect(address: NbdAddress, path: string, made: (socket: Socket) => void): Promise<Socket> {
  const socket = connectPlain(
    'socketPath' in address
      ? { path: address.socketPath }
      : { host: address.host, port: address.port ?? defaultNbdPort, noDelay: true },
  );
  made(socket);
  return settled(socket, 'connect', path);
}

async function secured(
  socket: Socket,
  address: NbdAddress,
  { thumbprint, ...tls }: NbdClientTls,
  path: string,
): Promise<Socket> {
  const name = 'host' in address && isIP(address.host) === 0 ? { servername: address.host } : {};
  const host = 'host' in address ? { host: address.host } : {};
  const trust = thumbprint === undefined ? {} : { rejectUnauthorized: false };
  const connecting = connectTls({ minVersion: 'TLSv1.2', ...host, ...name, ...tls, ...trust, socket });
  const secure = await settled(connecting, 'secureConnect', path);
  const { fingerprint, fingerprint256 } = secure.getPeerCertificate();
  if (thumbprint !== undefined && ![fingerprint, fingerprint256].some((one) => plain(one) === plain(thumbprint))) {
    secure.destroy();
    throw new VmdkError('nbd-unreachable', { file: path, reason: `it has another certificate: ${fingerprint256}` });
  }
  return secure;
}

function plain(thumbprint: string): string {
  return thumbprint.replaceAll(':', '').toLowerCase();
}

/** The socket once it has told the event; `nbd-unreachable` when it fails or ends before. */
function settled<Kind extends Socket>(socket: Kind, event: string, path: string): Promise<Kind> {
  const { promise, resolve, reject } = Promise.withResolvers<Kind>();
  const failed = (error?: Error) => {
    const reason = error?.message ?? 'the server ended the connection';
    reject(new VmdkError('nbd-unreachable', { file: path, reason, ...(error === undefined ? {} : { cause: error }) }));
  };
  const ended = () => failed();
  socket.once('error', failed).once('close', ended);
  socket.once(event, () => {
    socket.off('error', failed).off('close', ended);
    resolve(socket);
  });
  return promise;
}
