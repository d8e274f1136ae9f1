import { requirePrivilege } from '@hypostyle/services';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type ManagedTypeName,
  type MethodTable,
  type ServiceContent,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type FarTransfers, isTransfer } from '../far/far-transfers.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { type FilePlace, filePlace, hostOfDatastores } from './file-place.ts';

type Arguments = Readonly<Record<string, unknown>>;

/** An argument that names a file, and the one that says in which datacenter. */
interface FileArgument {
  readonly name: string;
  readonly datacenter: string;
}

/** Pairs of arguments by which methods of managers name files; `source…` comes before what it goes to. */
const fileArguments: readonly FileArgument[] = [
  { name: 'sourceName', datacenter: 'sourceDatacenter' },
  { name: 'destinationName', datacenter: 'destinationDatacenter' },
  { name: 'destName', datacenter: 'destDatacenter' },
  { name: 'name', datacenter: 'datacenter' },
  { name: 'vdisk', datacenter: 'datacenter' },
];

/** Where a manager's methods go: the host's own manager of that kind. */
type ManagerMember = Extract<keyof ServiceContent, 'fileManager' | 'virtualDiskManager'>;

/**
 * Every method of a manager that names files by datastore and datacenter: the rights on their datastores are checked,
 * and a host that has these does the work. Files of datastores that no host has both of are sent from one to another.
 */
export function fileMethods<T extends ManagedTypeName>(
  core: CenterCore,
  forwarding: Forwarding,
  type: T,
  member: ManagerMember,
  transfers: FarTransfers,
): MethodTable<T> {
  const table: Record<string, (call: Call, args: Arguments) => Promise<unknown>> = {};
  for (const [name, method] of core.schema.managed(type)?.methods ?? []) {
    const given = fileArguments.filter((one) => method.parameters.some((parameter) => parameter.name === one.name));
    if (given.length === 0 || !method.parameters.some((parameter) => parameter.name === given[0]?.datacenter)) continue;
    const isTask = method.returns?.name === 'Task';
    table[name] = async (call, args) => {
      const places = placesOf(core, given, args);
      for (const { datastore } of places)
        requirePrivilege(core, call, referenceOf(datastore), 'Datastore.FileManagement');
      const datastores = places.map(({ datastore }) => datastore);
      const [source, target] = places;
      if (isTransfer(name) && source !== undefined && target !== undefined && !haveOneHost(core, source, target)) {
        const {
          force = false,
          destSpec,
          profile,
        } = args as { force?: boolean; destSpec?: object; profile?: unknown[] };
        if (profile !== undefined && profile.length > 0)
          throw fault('NotSupported', {}, 'Storage profiles of disks are not kept here.');
        return transfers.begin(call, name, { source, target, force, destSpec });
      }
      const link = hostOfDatastores(core, datastores);
      const ref = link.layout.content[member] as ManagedObjectReference | undefined;
      if (ref === undefined) throw fault('NotSupported', {}, 'The host that has the datastore has no such manager.');
      const plain: Record<string, unknown> = { ...args };
      for (const [index, one] of given.entries()) {
        const place = places[index];
        if (place !== undefined) plain[one.name] = place.path;
        // A host has one datacenter only.
        delete plain[one.datacenter];
      }
      const at = { link, ref };
      const last = datastores.at(-1);
      return isTask
        ? forwarding.task(call, plain, { at, ...(last === undefined ? {} : { entity: referenceOf(last) }) })
        : forwarding.call(call, plain, at);
    };
  }
  return forwarding.passing(table) as MethodTable<T>;
}

/** Whether a host has both datastores. */
function haveOneHost({ hosts }: CenterCore, source: FilePlace, target: FilePlace): boolean {
  const [ones, others] = [source, target].map(({ datastore }) => hosts.shared.hostsOf(datastore.value));
  return (ones ?? []).some((host) => others?.includes(host));
}

/** A target without a datacenter is in that of its source. */
function placesOf(core: CenterCore, given: readonly FileArgument[], args: Arguments): FilePlace[] {
  let datacenter: ManagedObjectReference | undefined;
  return given.map((one) => {
    datacenter = (args[one.datacenter] as ManagedObjectReference | undefined) ?? datacenter;
    return filePlace(core, args[one.name] as string, datacenter, one.datacenter);
  });
}
