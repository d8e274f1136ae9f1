import type { RequestListener } from 'node:http';
import type { Server } from 'node:https';
import Fastify, { type FastifyInstance } from 'fastify';
import { securityHeaders } from '../http/security-headers.ts';
import type { Health } from './health.ts';
import { welcomePage, welcomePolicy } from './welcome-page.ts';

export interface PagesOptions {
  readonly version: string;
  readonly health: () => Health;
  /** Makes the server around fastify's own listener. */
  readonly serve: (pages: RequestListener) => Server;
  readonly onError: (url: string, error: unknown) => void;
}

/** The small faces: `/`, `/healthz`, and a JSON 404 for everything else. */
export function makePages({ version, health, serve, onError }: PagesOptions): FastifyInstance<Server> {
  const app = Fastify<Server>({
    serverFactory: (listener) => serve(listener as RequestListener),
    bodyLimit: 64 * 1024,
    forceCloseConnections: false,
    return503OnClosing: false,
    logger: false,
    routerOptions: { ignoreTrailingSlash: true },
  });
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(securityHeaders);
  });
  app.get('/', async (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', welcomePolicy).send(welcomePage(version)),
  );
  app.get('/healthz', async () => health());
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0];
    return reply.code(404).send({ error: 'not found', message: `There is nothing at ${path?.slice(0, 256)}.` });
  });
  app.setErrorHandler(async (error, request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    if (status >= 500) onError(request.url, error);
    const message = status >= 500 || !(error instanceof Error) ? 'The request failed.' : error.message;
    return reply.code(status).send({ error: status >= 500 ? 'internal' : 'bad request', message });
  });
  return app;
}
