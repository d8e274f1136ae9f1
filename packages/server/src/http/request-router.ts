import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { handleFolderRequest, handleTransferRequest, plainResponse } from '@hypostyle/services';
import { type HttpHandler, handleNodeRequest, ManagementEndpoint } from '@hypostyle/vim';
import type { Logger } from 'pino';
import { loggedPath } from '../log/log.ts';
import type { ServedEndpoint } from '../served-endpoint.ts';
import { RequestSignIn } from '../sign-in/request-sign-in.ts';
import { exchangeFile } from './file-exchange.ts';
import type { StallWatch } from './stall-watch.ts';

export interface RequestRouterOptions {
  readonly endpoint: ServedEndpoint;
  readonly logger: Logger;
  readonly stalls: StallWatch;
  /** Answers what is neither API, file nor transfer. */
  readonly pages: RequestListener;
}

/** Milliseconds within which the body of a call must have come. */
const callBodyTime = 300_000;

/** Where the Automation interface is. */
const automationPaths = ['/rest', '/api', '/pbm'] as const;

/**
 * The first look at a request. Calls of the API go to their endpoint without a framework on the way; files and transfers
 * are streams, which a framework would only stand in the way of.
 */
export function routeRequests({ endpoint, logger, stalls, pages }: RequestRouterOptions): RequestListener {
  const { registry, dispatcher, authorizer, sessions, leases, automation } = endpoint;
  const onDefect = (method: string, error: unknown) => logger.error({ method, err: error }, 'an answer failed');
  const management = new ManagementEndpoint({ registry, dispatcher, authorizer, sessions, onDefect });
  const signIn = new RequestSignIn(sessions);

  const call = (handler: HttpHandler, incoming: IncomingMessage, outgoing: ServerResponse) => {
    handleNodeRequest(handler, incoming, outgoing).catch((error: unknown) => {
      onDefect(loggedPath(incoming.url ?? ''), error);
      outgoing.destroy();
    });
  };

  const folder = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { session, setCookie, unavailable } = await signIn.identify(incoming);
    return exchangeFile(incoming, outgoing, async (request) => {
      if (unavailable !== undefined) return { status: 503, headers: {}, body: Buffer.from(`${unavailable}\n`) };
      const answer = await handleFolderRequest(request, endpoint.folderAccess(session));
      return setCookie === undefined ? answer : { ...answer, headers: { ...answer.headers, 'set-cookie': setCookie } };
    });
  };

  const transfer = (incoming: IncomingMessage, outgoing: ServerResponse) =>
    exchangeFile(incoming, outgoing, (request) => handleTransferRequest(request, leases));

  const guestFile = (incoming: IncomingMessage, outgoing: ServerResponse) =>
    exchangeFile(incoming, outgoing, (request) => endpoint.guestFile(request));

  const screen = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { session, setCookie, unavailable } = await signIn.identify(incoming);
    return exchangeFile(incoming, outgoing, async (request) => {
      if (unavailable !== undefined) return plainResponse(503, unavailable);
      const answer = await endpoint.screen(request, session);
      return setCookie === undefined ? answer : { ...answer, headers: { ...answer.headers, 'set-cookie': setCookie } };
    });
  };

  const follow = (incoming: IncomingMessage, outgoing: ServerResponse, work: Promise<number>) => {
    const { method = '', url = '' } = incoming;
    const line = { method, path: loggedPath(url), client: incoming.socket.remoteAddress };
    work.then(
      (status) => logger.info({ ...line, status }, 'file'),
      (error: unknown) => {
        // The client going away is no failure of ours.
        logger.warn({ ...line, err: error }, 'a file was not sent whole');
        outgoing.destroy();
      },
    );
  };

  return (incoming, outgoing) => {
    const url = incoming.url ?? '';
    const isFile = ['/folder', '/nfc', '/guestFile', '/screen'].some((path) => isBelow(url, path));
    stalls.begin(incoming, outgoing, isFile ? undefined : callBodyTime);
    if (isBelow(url, '/sdk')) call(management, incoming, outgoing);
    else if (automation !== undefined && automationPaths.some((path) => isBelow(url, path)))
      call(automation, incoming, outgoing);
    else if (isBelow(url, '/folder')) follow(incoming, outgoing, folder(incoming, outgoing));
    else if (isBelow(url, '/guestFile')) follow(incoming, outgoing, guestFile(incoming, outgoing));
    else if (isBelow(url, '/screen')) follow(incoming, outgoing, screen(incoming, outgoing));
    else if (isFile) follow(incoming, outgoing, transfer(incoming, outgoing));
    else pages(incoming, outgoing);
  };
}

/** Whether the URL's path is `prefix` or below it. */
export function isBelow(url: string, prefix: string): boolean {
  if (!url.startsWith(prefix)) return false;
  const next = url.charCodeAt(prefix.length);
  // The end, '/', '?'
  return Number.isNaN(next) || next === 0x2f || next === 0x3f;
}
