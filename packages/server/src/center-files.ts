import type { Center } from '@hypostyle/center';
import type { Host } from '@hypostyle/host';
import {
  type FileRequest,
  type FileResponse,
  type FolderAccess,
  plainResponse,
  signInFirst,
  splitUrl,
} from '@hypostyle/services';
import { asFault, type ManagedObjectReference, type Session } from '@hypostyle/vim';
import type { HostWires, RemoteAddress } from './host-wires.ts';

type DatastoreSite = ReturnType<Center['files']['site']>;

/** What pictures of a screen take. */
const screenPrivilege = 'VirtualMachine.Interact.CreateScreenshot';

/**
 * Files of all datastores of a center, by the center's rights on them. Those of this process's host are its own; for
 * those of others the host's file face is asked with a ticket, and bytes are passed on as they come.
 */
export class CenterFiles {
  readonly #center: Center;
  readonly #host: Host;
  readonly #wires: HostWires;

  constructor(center: Center, host: Host, wires: HostWires) {
    this.#center = center;
    this.#host = host;
    this.#wires = wires;
  }

  access(session: Session | undefined): FolderAccess {
    const { files, authorizer } = this.#center;
    const holds = (object: ManagedObjectReference, privilege: string) =>
      session !== undefined && authorizer.holds(session, object, privilege);
    return {
      ...this.#host.folderAccess(session),
      datacenters: () => files.datacenters((object) => holds(object, 'System.View')),
      datastoreNames: (datacenter) => files.names(datacenter, (object) => holds(object, 'Datastore.Browse')),
      authorize: (name, privilege, datacenter) => {
        if (session === undefined) return 'unauthenticated';
        // Lists show what is for the session.
        if (name === undefined) return 'ok';
        const object = files.find(name, datacenter);
        // A name that is nowhere is said to be missing, not to be forbidden.
        return object === undefined || holds(object, privilege) ? 'ok' : 'denied';
      },
      datastores: (datacenter) => {
        const names = new Set(files.names(datacenter));
        const own = this.#host.folderAccess(session).datastores(undefined);
        return own.filter(({ name }) => names.has(name));
      },
      elsewhere: (name, datacenter) => {
        const datastore = files.find(name, datacenter);
        if (datastore === undefined) return undefined;
        const site = files.site(datastore);
        const { address } = site;
        return address.local ? undefined : (request) => this.#pass(request, site, address);
      },
    };
  }

  /** The screen of a machine, from the host that it is on. */
  async screen(request: FileRequest, session: Session | undefined): Promise<FileResponse> {
    const { registry, authorizer, files } = this.#center;
    const query = splitUrl(request.url)?.query ?? new URLSearchParams();
    const machine = registry.byValue(query.get('id') ?? '');
    if (request.method !== 'GET') return plainResponse(405, 'Use GET.', { allow: 'GET' });
    if (session === undefined) return signInFirst();
    if (machine?.ref.type !== 'VirtualMachine') return plainResponse(404, 'There is no such machine.');
    if (!authorizer.holds(session, machine.ref, screenPrivilege))
      return plainResponse(403, 'You may not see the screen of that machine.');
    try {
      const site = files.machineSite(machine.ref as ManagedObjectReference<'VirtualMachine'>);
      query.set('id', site.hostValue);
      const there = { ...request, url: `/screen?${query}` };
      return site.address.local
        ? await this.#host.screen(there, 'checked')
        : await this.#pass(there, site, site.address);
    } catch (error) {
      return plainResponse(503, asFault(error).message);
    }
  }

  /** Sends a request on to the host that has the datastore. */
  async #pass(request: FileRequest, site: DatastoreSite, address: RemoteAddress): Promise<FileResponse> {
    const { method, url, signal } = request;
    const cookie = `vmware_cgi_ticket=${await site.ticket(method, url)}`;
    try {
      return await this.#wires.exchange(address, { ...request, headers: { ...request.headers, cookie } });
    } catch (error) {
      signal.throwIfAborted();
      const message = Buffer.from(`The host ${address.host} that has it: ${(error as Error).message}.\n`);
      return {
        status: 502,
        headers: { 'content-type': 'text/plain; charset=utf-8', 'content-length': `${message.length}` },
        body: message,
      };
    }
  }
}
