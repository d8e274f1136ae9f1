import type { Authorizer } from '../../runtime/authorizer.ts';
import { Dispatcher } from '../../runtime/dispatcher.ts';
import { fault } from '../../runtime/fault.ts';
import type { CallConnection, ManagedObject, ManagedObjectClass } from '../../runtime/managed-object.ts';
import { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { AnyValue, ManagedObjectReference } from '../../schema/values.ts';
import { anyOf } from '../any-values.ts';
import type { SessionResolver } from '../session-resolver.ts';
import { WireTypes } from '../wire-types.ts';
import { syntheticMachine } from './synthetic-machine.ts';

class TestSession implements Session {
  readonly key = 'session-key-1';
  readonly userName: string;
  readonly fullName = 'A Tester';
  readonly loginTime = '2026-01-01T00:00:00Z';
  readonly locale = 'en';
  readonly clientAddress: string;
  readonly userAgent: string;
  ended = false;

  constructor(userName: string, connection: CallConnection) {
    this.userName = userName;
    this.clientAddress = connection.clientAddress;
    this.userAgent = connection.userAgent;
  }

  onEnd(): () => void {
    return () => {};
  }
}

const reference = (type: string, value: string): ManagedObjectReference => ({
  _typeName: 'ManagedObjectReference',
  type,
  value,
});

const about = {
  _typeName: 'AboutInfo',
  name: 'Hypostyle',
  fullName: 'Hypostyle test center',
  vendor: 'Hypostyle',
  version: '8.0.3',
  patchLevel: '1',
  build: '1',
  osType: 'linux-x64',
  productLineId: 'vpx',
  apiType: 'VirtualCenter',
  apiVersion: '8.0.3.0',
  instanceUuid: '00000000-0000-4000-8000-000000000001',
};

const content = {
  _typeName: 'ServiceContent',
  rootFolder: reference('Folder', 'group-d1'),
  propertyCollector: reference('PropertyCollector', 'propertyCollector'),
  about,
  sessionManager: reference('SessionManager', 'SessionManager'),
  // Newer than pyVmomi 6.7.1, which refuses to sign in where it sees it.
  tenantManager: reference('TenantTenantManager', 'TenantManager'),
};

const state = (value: string) => ({ _typeName: 'TaskInfoState', _value: value });

/** What a collector tells of each task, one update set after the other. */
const taskScripts: Readonly<Record<string, readonly Readonly<Record<string, AnyValue>>[]>> = {
  'task-1': [
    { 'info.state': state('queued') },
    { 'info.state': state('running'), 'info.progress': 20 },
    { 'info.progress': 60 },
    { 'info.state': state('success'), 'info.result': reference('VirtualMachine', 'vm-9') },
  ],
  'task-2': [
    {
      'info.state': state('error'),
      'info.error': {
        _typeName: 'LocalizedMethodFault',
        fault: { _typeName: 'InvalidPowerState', requestedState: 'poweredOn', existingState: 'poweredOn' },
        localizedMessage: 'It is on already.',
      } as AnyValue,
    },
  ],
};

/** A center with `machines` synthetic machines, one user `root`/`secret`, and the simplest of property collectors. */
export function smallCenter(machines: number) {
  const types = new WireTypes(loadSchema());
  const registry = new Registry(types.schema);
  const sessions = new Map<string, TestSession>();

  const serviceInstance: ManagedObjectClass<'ServiceInstance'> = {
    type: 'ServiceInstance',
    methods: {
      RetrieveServiceContent: () => content as never,
      CurrentTime: () => '2026-01-01T00:00:00.5Z',
    },
  };
  const sessionManager: ManagedObjectClass<'SessionManager'> = {
    type: 'SessionManager',
    methods: {
      Login: ({ connection }, { userName, password }) => {
        if (password !== 'secret')
          throw fault('InvalidLogin', {}, 'Cannot complete login due to an incorrect password.');
        const session = new TestSession(userName, connection);
        const token = `token-${sessions.size + 1}`;
        sessions.set(token, session);
        connection.establish(session, token);
        return userSession(session);
      },
      Logout: ({ session, connection }) => {
        (session as TestSession).ended = true;
        connection.release();
      },
    },
  };
  const contentOf = (object: ManagedObject, { propSet: [wanted] }: RetrieveSpec) => {
    const all = wanted?.all === true ? object.managedType.properties.map((p) => p.name) : undefined;
    const propSet = [];
    for (const name of all ?? wanted?.pathSet ?? []) {
      const property = object.managedType.property(name);
      if (property === undefined) throw fault('InvalidProperty', { name }, `There is no ${name}.`);
      const val = anyOf(types, property.type, object.value(name));
      if (val !== undefined) propSet.push({ name, val: val as never });
    }
    return { obj: object.ref, propSet };
  };
  /** Lazy, as a real collector's: contents are made while they are being encoded. */
  const retrieve = (specSet: readonly RetrieveSpec[]) => {
    const found = specSet.flatMap((spec) =>
      spec.objectSet.map(({ obj }) => {
        const object = registry.get(obj);
        if (object === undefined) throw fault('ManagedObjectNotFound', { obj }, 'It is gone.');
        return { object, spec };
      }),
    );
    function* contents() {
      for (const { object, spec } of found) yield contentOf(object, spec);
    }
    return { [Symbol.iterator]: contents } as never;
  };
  const collectors = new Set<string>();
  let made = 0;
  const followed = new Map<string, ManagedObjectReference>();
  const propertyCollector: ManagedObjectClass<'PropertyCollector'> = {
    type: 'PropertyCollector',
    methods: {
      RetrieveProperties: (_call, { specSet }) => retrieve(specSet as never),
      RetrievePropertiesEx: (_call, { specSet }) => ({ objects: retrieve(specSet as never) }),
      CreatePropertyCollector: () => {
        made += 1;
        const value = `collector-${made}`;
        collectors.add(value);
        return registry.commit((draft) => draft.add(propertyCollector, value, {}));
      },
      CreateFilter: ({ self }, { spec }) => {
        followed.set(self.ref.value, spec.objectSet[0]?.obj as ManagedObjectReference);
        return { type: 'PropertyFilter', value: 'filter-1' };
      },
      WaitForUpdatesEx: ({ self }, { version = '' }) => {
        const task = followed.get(self.ref.value) as ManagedObjectReference;
        const step = (taskScripts[task.value] ?? [])[Number(version)];
        if (step === undefined) return undefined;
        const changeSet = Object.entries(step).map(([name, val]) => ({ name, op: 'assign' as const, val }));
        const objectSet = [{ kind: 'modify' as const, obj: task, changeSet }];
        const filterSet = [{ filter: { type: 'PropertyFilter', value: 'filter-1' }, objectSet }];
        return { version: String(Number(version) + 1), filterSet };
      },
      DestroyPropertyCollector: ({ self }) => {
        collectors.delete(self.ref.value);
      },
    },
  };
  const folder: ManagedObjectClass<'Folder'> = { type: 'Folder', methods: {} };
  const machine: ManagedObjectClass<'VirtualMachine'> = { type: 'VirtualMachine', methods: {} };
  registry.commit((draft) => {
    draft.add(serviceInstance, 'ServiceInstance', { content: content as never });
    draft.add(sessionManager, 'SessionManager', {});
    draft.add(propertyCollector, 'propertyCollector', {});
    const vms = Array.from({ length: machines }, (_, i) =>
      draft.add(machine, `vm-${i + 1}`, syntheticMachine(i + 1) as never),
    );
    draft.add(folder, 'group-d1', { name: 'Datacenters', childEntity: vms as never, childType: ['VirtualMachine'] });
  });

  const authorizer: Authorizer = { holds: () => true };
  const resolver: SessionResolver = {
    byToken: (token) => {
      const session = sessions.get(token);
      return session?.ended === false ? session : undefined;
    },
  };
  const defects: unknown[] = [];
  const onDefect = (method: string, error: unknown) => defects.push([method, error]);
  const dispatcher = new Dispatcher({ registry, authorizer, onDefect });
  return { registry, dispatcher, authorizer, sessions: resolver, collectors, onDefect, defects };
}

interface RetrieveSpec {
  readonly objectSet: readonly { readonly obj: ManagedObjectReference }[];
  readonly propSet: readonly { readonly all?: boolean; readonly pathSet?: readonly string[] }[];
}

function userSession(session: Session) {
  const { key, userName, fullName, loginTime, locale } = session;
  return {
    _typeName: 'UserSession',
    key,
    userName,
    fullName,
    loginTime,
    lastActiveTime: loginTime,
    locale,
    messageLocale: locale,
    extensionSession: false,
    ipAddress: session.clientAddress,
    userAgent: session.userAgent,
    callCount: 1,
  };
}
