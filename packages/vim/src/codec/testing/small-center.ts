import type { Authorizer } from '../../runtime/authorizer.ts';
import { Dispatcher } from '../../runtime/dispatcher.ts';
import { fault } from '../../runtime/fault.ts';
import type { CallConnection, ManagedObjectClass } from '../../runtime/managed-object.ts';
import { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
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
  const retrieve = (specSet: readonly RetrieveSpec[]) =>
    specSet.flatMap((spec) =>
      spec.objectSet.map(({ obj }) => {
        const object = registry.get(obj);
        if (object === undefined) throw fault('ManagedObjectNotFound', { obj }, 'It is gone.');
        const all = spec.propSet[0]?.all === true ? object.managedType.properties.map((p) => p.name) : undefined;
        const propSet = [];
        for (const name of all ?? spec.propSet.flatMap((p) => p.pathSet ?? [])) {
          const property = object.managedType.property(name);
          if (property === undefined) throw fault('InvalidProperty', { name }, `There is no ${name}.`);
          const val = anyOf(types, property.type, object.value(name));
          if (val !== undefined) propSet.push({ name, val: val as never });
        }
        return { obj: object.ref, propSet };
      }),
    );
  const propertyCollector: ManagedObjectClass<'PropertyCollector'> = {
    type: 'PropertyCollector',
    methods: {
      RetrieveProperties: (_call, { specSet }) => retrieve(specSet as never),
      RetrievePropertiesEx: (_call, { specSet }) => ({ objects: retrieve(specSet as never) }),
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
  return { registry, dispatcher, authorizer, sessions: resolver, onDefect, defects };
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
