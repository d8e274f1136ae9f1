import type { IncomingMessage } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { HostConnector } from '@hypostyle/center';
import type { Host } from '@hypostyle/host';
import {
  bundleType,
  type FileRequest,
  type FileResponse,
  handleFolderRequest,
  handleTransferRequest,
} from '@hypostyle/services';
import { secureAgent } from '@hypostyle/vim';
import { centerUser } from './local-host-connection.ts';

type HostAddress = Parameters<HostConnector['exchange']>[0];
export type RemoteAddress = Exclude<HostAddress, { readonly local: true }>;

/** Headers of a request that its host answers by. */
const askedBy = [
  'accept',
  'range',
  'if-range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'content-type',
  'content-length',
  'overwrite',
] as const;

/** Headers of a host's answer that its client needs. */
const answeredBy = [
  'content-type',
  'content-length',
  'content-range',
  'accept-ranges',
  'last-modified',
  'etag',
  'location',
  'allow',
  'content-security-policy',
  'x-content-type-options',
] as const;

/** Milliseconds without a byte after which a host is given up; longer where it may have to make room in silence. */
const patience = 120_000;
const bundlePatience = 3_600_000;

/**
 * Requests to the faces of files of a center's hosts: over HTTPS, to the certificate that the center knows, and without
 * a socket to the host of this process. Bytes are passed on as they come.
 */
export class HostWires {
  readonly #host: Host;
  /** Connections to hosts, by address and certificate. */
  readonly #agents = new Map<string, Agent>();

  constructor(host: Host) {
    this.#host = host;
  }

  /** The cookie of a request is its ticket; the host of this process wants none. Rejects where a host is away. */
  exchange(address: HostAddress, request: FileRequest): Promise<FileResponse> {
    return address.local ? this.#here(request) : this.#there(address, request);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }

  async #here(request: FileRequest): Promise<FileResponse> {
    if (request.url.startsWith('/nfc/')) return handleTransferRequest(request, this.#host.leases);
    const { session, end } = this.#host.sessions.openInternal({ userName: centerUser });
    try {
      return await handleFolderRequest(request, this.#host.folderAccess(session));
    } finally {
      end();
    }
  }

  async #there(address: RemoteAddress, request: FileRequest): Promise<FileResponse> {
    const { method, url, signal } = request;
    const headers: Record<string, string> = {};
    for (const name of [...askedBy, 'cookie'] as const) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const answered = Promise.withResolvers<IncomingMessage>();
    const outgoing = httpsRequest({
      agent: this.#agentOf(address),
      host: address.host,
      port: address.port,
      method,
      path: url,
      headers,
      signal,
      timeout: [headers.accept, headers['content-type']].includes(bundleType) ? bundlePatience : patience,
    });
    outgoing.on('response', answered.resolve).on('error', answered.reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error('the host is silent')));
    if (method === 'PUT') {
      // The host may answer before it has all, and stop reading: that answer counts.
      pipeline(Readable.from(request.body), outgoing).catch((error: unknown) => answered.reject(error));
    } else outgoing.end();
    const answer = await answered.promise;
    const passed: Record<string, string> = {};
    for (const name of answeredBy) {
      const value = answer.headers[name];
      if (typeof value === 'string') passed[name] = value;
    }
    return { status: answer.statusCode ?? 502, headers: passed, body: answer };
  }

  #agentOf({ host, port, thumbprint }: RemoteAddress): Agent {
    const key = `${host} ${port} ${thumbprint}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = secureAgent({ fingerprint: thumbprint });
    this.#agents.set(key, agent);
    return agent;
  }
}
