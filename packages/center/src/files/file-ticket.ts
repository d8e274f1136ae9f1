import { fault } from '@hypostyle/vim';
import type { HostLink } from '../hosts/connection/host-link.ts';

const httpMethods: Readonly<Record<string, string>> = {
  GET: 'httpGet',
  HEAD: 'httpHead',
  PUT: 'httpPut',
  DELETE: 'httpDelete',
};

/** A ticket, good once and for two minutes, for a request of a host's file face; `url` is its path and query. */
export async function ticketOf(link: HostLink, method: string, url: string): Promise<string> {
  const { sessionManager } = link.layout.content;
  if (sessionManager === undefined) throw fault('NotSupported', {}, 'The host gives no tickets.');
  const spec = { _typeName: 'SessionManagerHttpServiceRequestSpec', method: httpMethods[method] ?? 'httpGet', url };
  const ticket = await link.call(sessionManager, 'AcquireGenericServiceTicket', { spec });
  return (ticket as { readonly id: string }).id;
}
