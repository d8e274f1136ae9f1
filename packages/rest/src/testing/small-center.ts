import {
  type Authorizer,
  Dispatcher,
  data,
  fault,
  type IdentityProvider,
  loadSchema,
  localizedFault,
  type ManagedObject,
  type ManagedObjectClass,
  type ManagedObjectReference,
  type ManagedTypeName,
  MemoryPersistence,
  noPermission,
  Registry,
  type Session,
  SessionService,
  type VimFault,
  type VirtualDevice,
  type VirtualMachineConfigInfo,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { AutomationFace } from '../automation-face.ts';
import { machineProperties } from './machine-properties.ts';

const schema = loadSchema();

export const ref = <T extends ManagedTypeName>(type: T, value: string): ManagedObjectReference<T> => ({ type, value });

/** Users of the tests, by what they may. Everybody's password is `secret`. */
const rights: Readonly<Record<string, (object: ManagedObjectReference, privilege: string) => boolean>> = {
  root: () => true,
  reader: (_object, privilege) => privilege === 'System.Read' || privilege === 'System.View',
  nobody: () => false,
  /** May everything, and takes its time to be told so. */
  slow: () => {
    const end = performance.now() + 0.02;
    while (performance.now() < end);
    return true;
  },
  'one-machine': (object) => object.value === 'vm-2',
};

const identities: IdentityProvider = {
  authenticate: async (userName, password) =>
    password === 'secret' && Object.hasOwn(rights, userName) ? { userName, fullName: userName, groups: [] } : undefined,
};

/** A center of two hosts and some machines, whose methods change the registry and nothing else. */
export class SmallCenter {
  readonly registry = new Registry(schema);
  readonly persistence = new MemoryPersistence();
  readonly defects: unknown[] = [];
  /** Methods that were called, in order. */
  readonly calls: string[] = [];
  /** What the last CreateVM_Task was given. */
  lastSpec: VirtualMachineConfigSpec | undefined;
  /** What the last CloneVM_Task, or RelocateVM_Task, was given. */
  lastCopy: unknown;
  readonly sessions: SessionService;
  readonly face: AutomationFace;
  readonly authorizer: Authorizer = {
    holds: (session: Session, object, privilege) => rights[session.userName]?.(object, privilege) ?? false,
  };
  #tasks = 0;
  #made = 100;

  constructor({ machines = 3, persistence }: { machines?: number; persistence?: MemoryPersistence } = {}) {
    if (persistence !== undefined) this.persistence = persistence;
    const onDefect = (where: string, error: unknown) => this.defects.push([where, error]);
    this.#addInventory(machines);
    this.sessions = new SessionService({ registry: this.registry, identities, events: { post: () => 0 } as never });
    this.face = this.newFace(onDefect);
  }

  newFace(onDefect: (where: string, error: unknown) => void = () => {}): AutomationFace {
    const { registry, authorizer } = this;
    return new AutomationFace({
      registry,
      authorizer,
      dispatcher: new Dispatcher({ registry, authorizer, onDefect }),
      sessions: this.sessions,
      persistence: this.persistence,
      rootFolder: ref('Folder', 'group-d1'),
      product: {
        name: 'Hypostyle',
        version: '8.0.3',
        build: '1',
        instanceUuid: 'b3b0b2c8-0000-4000-8000-000000000001',
      },
      onDefect,
    });
  }

  async token(userName: string): Promise<string> {
    const origin = { clientAddress: '192.0.2.1', userAgent: 'test' };
    return (await this.sessions.signIn({ userName, password: 'secret' }, origin)).token;
  }

  async close(): Promise<void> {
    await this.face.close();
    this.sessions.close();
  }

  /** A task that does `work` in the next turn of the event loop. */
  #task(session: Session | undefined, work: () => unknown): ManagedObjectReference<'Task'> {
    this.#tasks += 1;
    const info = { key: `task-${this.#tasks}`, state: 'running', cancelable: false, queueTime: '', eventChainId: 1 };
    const task = this.registry.commit((draft) => draft.add(taskClass, `task-${this.#tasks}`, { info: info as never }));
    void session;
    setImmediate(() => {
      let end: object;
      try {
        end = { state: 'success', result: work() };
      } catch (error) {
        end = { state: 'error', error: localizedFault(error as VimFault) };
      }
      this.registry.commit((draft) => draft.set(task, { info: { ...info, ...end } as never }));
    });
    return task;
  }

  /** What was asked of guests, by method. */
  readonly inGuests: [method: string, args: Readonly<Record<string, unknown>>][] = [];

  #inGuest<R>(method: string, result: R) {
    return (_call: unknown, args: object): R => {
      this.inGuests.push([method, args as Readonly<Record<string, unknown>>]);
      return result;
    };
  }

  readonly #guestFiles: ManagedObjectClass<'GuestFileManager'> = {
    type: 'GuestFileManager',
    methods: {
      MakeDirectoryInGuest: this.#inGuest('MakeDirectoryInGuest', undefined),
      MoveFileInGuest: this.#inGuest('MoveFileInGuest', undefined),
      ChangeFileAttributesInGuest: this.#inGuest('ChangeFileAttributesInGuest', undefined),
      CreateTemporaryFileInGuest: this.#inGuest('CreateTemporaryFileInGuest', '/tmp/a1b'),
      InitiateFileTransferToGuest: this.#inGuest('InitiateFileTransferToGuest', 'https://*:443/guestFile?id=1&token=x'),
      ListFilesInGuest: this.#inGuest(
        'ListFilesInGuest',
        data('GuestListFileInfo', {
          files: [
            data('GuestFileInfo', {
              path: 'a',
              type: 'directory',
              size: 10n,
              attributes: data('GuestFileAttributes', {}),
            }),
          ],
          remaining: 4,
        }),
      ),
    },
  };

  readonly #guestProcesses: ManagedObjectClass<'GuestProcessManager'> = {
    type: 'GuestProcessManager',
    methods: {
      StartProgramInGuest: this.#inGuest('StartProgramInGuest', 812n),
      ListProcessesInGuest: this.#inGuest('ListProcessesInGuest', [
        data('GuestProcessInfo', {
          name: 'sh',
          pid: 812n,
          owner: 'ann',
          cmdLine: 'sh -c true',
          startTime: '2026-01-01T00:00:00Z',
          endTime: '2026-01-01T00:00:01Z',
          exitCode: 3,
        }),
      ]),
      ReadEnvironmentVariableInGuest: this.#inGuest('ReadEnvironmentVariableInGuest', ['A=b=c']),
      TerminateProcessInGuest: (_call, { pid }) => {
        throw fault('GuestProcessNotFound', { pid }, 'no such process');
      },
    },
  };

  #require(session: Session | undefined, object: ManagedObject, privilege: string): void {
    if (session === undefined || !this.authorizer.holds(session, object.ref, privilege)) {
      throw noPermission(object.ref, privilege);
    }
  }

  #power(method: string, state: 'poweredOn' | 'poweredOff' | 'suspended') {
    return ({ self, session }: { self: ManagedObject; session: Session | undefined }) => {
      this.calls.push(method);
      return this.#task(session, () => {
        const runtime = self.value('runtime') as object;
        this.registry.commit((draft) =>
          draft.set(self.ref as ManagedObjectReference<'VirtualMachine'>, {
            runtime: { ...runtime, powerState: state } as never,
          }),
        );
      });
    };
  }

  /** Devices as a reconfiguration leaves them, with keys of their own. */
  #applyDevices(devices: readonly VirtualDevice[], spec: VirtualMachineConfigSpec): VirtualDevice[] {
    let result = [...devices];
    const keys = new Map<number, number>();
    for (const { operation, device } of spec.deviceChange ?? []) {
      if (operation === 'remove') result = result.filter(({ key }) => key !== device.key);
      else if (operation === 'edit') result = result.map((each) => (each.key === device.key ? device : each));
      else {
        this.#made += 1;
        keys.set(device.key, this.#made);
        const controllerKey = keys.get(device.controllerKey ?? 0) ?? device.controllerKey;
        result.push({ ...device, key: this.#made, ...(controllerKey === undefined ? {} : { controllerKey }) });
      }
    }
    return result;
  }

  readonly #destroy = {
    Destroy_Task: ({ self, session }: { self: ManagedObject; session: Session | undefined }) => {
      this.#require(session, self, 'VirtualMachine.Inventory.Delete');
      this.calls.push('Destroy_Task');
      return this.#task(session, () => this.registry.commit((draft) => draft.remove(self.ref)));
    },
  };

  readonly #machineClass: ManagedObjectClass<'VirtualMachine'> = {
    type: 'VirtualMachine',
    methods: {
      ...this.#destroy,
      AcquireTicket: ({ self, session }) => {
        this.#require(session, self, 'VirtualMachine.Interact.ConsoleInteract');
        return data('VirtualMachineTicket', { ticket: 'x', cfgFile: '', url: 'wss://*/ticket/x' });
      },
      PowerOnVM_Task: this.#power('PowerOnVM_Task', 'poweredOn'),
      PowerOffVM_Task: this.#power('PowerOffVM_Task', 'poweredOff'),
      SuspendVM_Task: this.#power('SuspendVM_Task', 'suspended'),
      ResetVM_Task: this.#power('ResetVM_Task', 'poweredOn'),
      UpgradeVM_Task: ({ session }) => this.#task(session, () => undefined),
      CloneVM_Task: ({ self, session }, args) => {
        this.#require(session, self, 'VirtualMachine.Provisioning.Clone');
        this.lastCopy = args;
        return this.#task(session, () => ref('VirtualMachine', 'vm-1'));
      },
      InstantClone_Task: ({ self, session }, args) => {
        this.#require(session, self, 'VirtualMachine.Provisioning.Clone');
        this.lastCopy = args;
        return this.#task(session, () => ref('VirtualMachine', 'vm-1'));
      },
      RelocateVM_Task: ({ self, session }, args) => {
        this.#require(session, self, 'Resource.ColdMigrate');
        this.lastCopy = args;
        return this.#task(session, () => undefined);
      },
      UnregisterVM: ({ self }) => this.registry.commit((draft) => draft.remove(self.ref)),
      ShutdownGuest: () => void this.calls.push('ShutdownGuest'),
      RebootGuest: () => void this.calls.push('RebootGuest'),
      StandbyGuest: () => void this.calls.push('StandbyGuest'),
      ReconfigVM_Task: ({ self, session }, { spec }) => {
        this.#require(session, self, 'VirtualMachine.Config.Settings');
        this.calls.push('ReconfigVM_Task');
        this.lastSpec = spec;
        return this.#task(session, () => {
          const config = self.value('config') as VirtualMachineConfigInfo;
          const { hardware } = config;
          this.registry.commit((draft) =>
            draft.set(self.ref as ManagedObjectReference<'VirtualMachine'>, {
              config: {
                ...config,
                ...(spec.bootOptions === undefined
                  ? {}
                  : { bootOptions: { ...config.bootOptions, ...spec.bootOptions } }),
                hardware: {
                  ...hardware,
                  numCPU: spec.numCPUs ?? hardware.numCPU,
                  memoryMB: Number(spec.memoryMB ?? hardware.memoryMB),
                  device: this.#applyDevices(hardware.device ?? [], spec),
                },
              },
            }),
          );
        });
      },
    },
  };

  readonly #poolClass: ManagedObjectClass<'ResourcePool'> = {
    type: 'ResourcePool',
    methods: {
      ...this.#destroy,
      CreateResourcePool: ({ self }, { name, spec }) => {
        this.#made += 1;
        return this.registry.commit((draft) =>
          draft.add(this.#poolClass, `resgroup-${this.#made}`, {
            name,
            parent: self.ref as never,
            owner: self.value('owner') as never,
            config: spec,
            resourcePool: [],
          }),
        );
      },
      UpdateConfig: ({ self, session }, { name, config }) => {
        this.#require(session, self, 'Resource.EditPool');
        const pool = self.ref as ManagedObjectReference<'ResourcePool'>;
        this.registry.commit((draft) => {
          if (name !== undefined) draft.set(pool, { name });
          if (config !== undefined) draft.set(pool, { config });
        });
      },
    },
  };

  readonly #datacenterClass: ManagedObjectClass<'Datacenter'> = { type: 'Datacenter', methods: { ...this.#destroy } };

  readonly #folderClass: ManagedObjectClass<'Folder'> = {
    type: 'Folder',
    methods: {
      ...this.#destroy,
      CreateDatacenter: ({ self }, { name }) => {
        if (name === 'dc1') throw fault('DuplicateName', { name, object: self.ref as never }, 'The name dc1 exists.');
        this.#made += 1;
        return this.registry.commit((draft) =>
          draft.add(this.#datacenterClass, `datacenter-${this.#made}`, { name, parent: self.ref as never }),
        );
      },
      CreateVM_Task: ({ self, session }, { config }) => {
        this.lastSpec = config;
        return this.#task(session, () => {
          if (config.name === 'taken') {
            throw fault('DuplicateName', { name: 'taken', object: self.ref as never }, 'The name taken exists.');
          }
          this.#made += 1;
          return this.registry.commit((draft) =>
            draft.add(this.#machineClass, `vm-${this.#made}`, {
              ...machineProperties(this.#made, { name: config.name ?? '' }),
            }),
          );
        });
      },
      RegisterVM_Task: ({ session }, { name }) =>
        this.#task(session, () => {
          this.#made += 1;
          return this.registry.commit((draft) =>
            draft.add(this.#machineClass, `vm-${this.#made}`, {
              ...machineProperties(this.#made, { name: name ?? '' }),
            }),
          );
        }),
      AddStandaloneHost_Task: ({ session }, { spec }) =>
        this.#task(session, () => {
          if (spec.sslThumbprint === undefined) {
            throw fault('SSLVerifyFault', { selfSigned: true, thumbprint: 'AA:BB' }, 'The certificate is not trusted.');
          }
          return ref('ComputeResource', 'domain-s2');
        }),
    },
  };

  #addInventory(machines: number): void {
    const hostClass: ManagedObjectClass<'HostSystem'> = {
      type: 'HostSystem',
      methods: {
        ...this.#destroy,
        DisconnectHost_Task: ({ session }) => this.#task(session, () => undefined),
        ReconnectHost_Task: ({ session }) => this.#task(session, () => undefined),
      },
    };
    const clusterClass: ManagedObjectClass<'ClusterComputeResource'> = {
      type: 'ClusterComputeResource',
      methods: { AddHost_Task: ({ session }) => this.#task(session, () => ref('HostSystem', 'host-1')) },
    };
    const computeClass: ManagedObjectClass<'ComputeResource'> = { type: 'ComputeResource', methods: this.#destroy };
    const datastoreClass: ManagedObjectClass<'Datastore'> = { type: 'Datastore', methods: {} };
    const networkClass: ManagedObjectClass<'Network'> = { type: 'Network', methods: {} };
    const datacenter = ref('Datacenter', 'datacenter-1');
    const connected = { connectionState: 'connected', powerState: 'poweredOn' } as never;
    this.registry.commit((draft) => {
      const folder = (value: string, name: string, parent: ManagedObjectReference | undefined, childType: string[]) =>
        draft.add(this.#folderClass, value, { name, parent: parent as never, childType, childEntity: [] });
      folder('group-d1', 'Datacenters', undefined, ['Folder', 'Datacenter']);
      draft.add(this.#datacenterClass, 'datacenter-1', {
        name: 'dc1',
        parent: ref('Folder', 'group-d1'),
        vmFolder: ref('Folder', 'group-v1'),
        hostFolder: ref('Folder', 'group-h1'),
        datastoreFolder: ref('Folder', 'group-s1'),
        networkFolder: ref('Folder', 'group-n1'),
      });
      folder('group-v1', 'vm', datacenter, ['Folder', 'VirtualMachine', 'VirtualApp']);
      folder('group-v2', 'inner', ref('Folder', 'group-v1'), ['Folder', 'VirtualMachine', 'VirtualApp']);
      folder('group-h1', 'host', datacenter, ['Folder', 'ComputeResource']);
      draft.set(ref('Folder', 'group-h1'), { childEntity: [ref('ClusterComputeResource', 'domain-c1')] });
      folder('group-s1', 'datastore', datacenter, ['Folder', 'Datastore', 'StoragePod']);
      folder('group-n1', 'network', datacenter, ['Folder', 'Network', 'DistributedVirtualSwitch']);
      draft.add(clusterClass, 'domain-c1', {
        name: 'cluster1',
        parent: ref('Folder', 'group-h1'),
        host: [ref('HostSystem', 'host-1')],
        resourcePool: ref('ResourcePool', 'resgroup-1'),
        datastore: [ref('Datastore', 'datastore-1')],
        configuration: { dasConfig: { enabled: true }, drsConfig: { enabled: false } } as never,
      });
      draft.add(computeClass, 'domain-s2', {
        name: 'host2.example',
        parent: ref('Folder', 'group-h1'),
        host: [ref('HostSystem', 'host-2')],
        resourcePool: ref('ResourcePool', 'resgroup-2'),
        datastore: [ref('Datastore', 'datastore-1')],
      });
      const guestFiles = ref('GuestFileManager', 'guestOperationsFileManager');
      const guestProcesses = ref('GuestProcessManager', 'guestOperationsProcessManager');
      draft.add({ type: 'GuestOperationsManager', methods: {} } as const, 'guestOperationsManager', {
        fileManager: guestFiles,
        processManager: guestProcesses,
      });
      draft.add(this.#guestFiles, guestFiles.value, {});
      draft.add(customizationClass, 'CustomizationSpecManager', { info: [customization.info] });
      draft.add(this.#guestProcesses, guestProcesses.value, {});
      draft.add(hostClass, 'host-1', {
        name: 'host1.example',
        parent: ref('ClusterComputeResource', 'domain-c1'),
        runtime: connected,
      });
      draft.add(hostClass, 'host-2', {
        name: 'host2.example',
        parent: ref('ComputeResource', 'domain-s2'),
        runtime: { connectionState: 'notResponding', powerState: 'unknown' } as never,
      });
      const config = { cpuAllocation: allocation, memoryAllocation: allocation } as never;
      const pool = (value: string, name: string, parent: ManagedObjectReference, owner: ManagedObjectReference) =>
        draft.add(this.#poolClass, value, {
          name,
          parent: parent as never,
          owner: owner as never,
          config,
          resourcePool: [],
        });
      const cluster = ref('ClusterComputeResource', 'domain-c1');
      pool('resgroup-1', 'Resources', cluster, cluster);
      pool('resgroup-2', 'Resources', ref('ComputeResource', 'domain-s2'), ref('ComputeResource', 'domain-s2'));
      pool('resgroup-3', 'inner', ref('ResourcePool', 'resgroup-1'), cluster);
      draft.add(datastoreClass, 'datastore-1', {
        name: 'datastore1',
        parent: ref('Folder', 'group-s1'),
        summary: {
          name: 'datastore1',
          type: 'NFS',
          accessible: true,
          capacity: 2_000,
          freeSpace: 1_000n,
          multipleHostAccess: true,
        } as never,
      });
      draft.add(networkClass, 'network-1', { name: 'VM Network', parent: ref('Folder', 'group-n1') });
      for (let number = 1; number <= machines; number += 1) {
        draft.add(this.#machineClass, `vm-${number}`, machineProperties(number));
      }
    });
  }
}

const customization = data('CustomizationSpecItem', {
  info: data('CustomizationSpecInfo', { name: 'linux', description: '', type: 'Linux' }),
  spec: data('CustomizationSpec', {
    identity: data('CustomizationIdentitySettings', {}),
    globalIPSettings: data('CustomizationGlobalIPSettings', {}),
  }),
});
const customizationClass: ManagedObjectClass<'CustomizationSpecManager'> = {
  type: 'CustomizationSpecManager',
  methods: {
    DoesCustomizationSpecExist: (_call, { name }) => name === customization.info.name,
    GetCustomizationSpec: () => customization,
    DeleteCustomizationSpec: () => {},
  },
};
const taskClass: ManagedObjectClass<'Task'> = { type: 'Task', methods: {} };
const allocation = data('ResourceAllocationInfo', {
  reservation: 0,
  expandableReservation: true,
  limit: -1,
  shares: data('SharesInfo', { level: 'normal', shares: 4_000 }),
});
