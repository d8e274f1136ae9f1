import { type Call, type DataTypes, fault, type ManagedObjectReference, type RunningTask } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { connectFailureEvent, connectFault } from '../hosts/connection/connect-failure.ts';
import type { ConnectionState } from '../hosts/connection/connection-overlay.ts';
import type { HostConnection, HostCredentials } from '../hosts/connection/host-connection.ts';
import { changeState, changeStateUnfollowed } from '../hosts/connection/host-presence.ts';
import { type HostAddress, type HostDocument, referenceOf } from '../inventory/entity-document.ts';
import { confirmedAddress, type HostTarget, hostCredentials, hostTarget } from './connect-spec.ts';
import { meetHost } from './host-joining.ts';
import { KeptPasswords } from './kept-passwords.ts';

type Task = Promise<ManagedObjectReference<'Task'>>;

export interface PresenceWork {
  disconnect(call: Call): Task;
  reconnect(call: Call, spec: DataTypes['HostConnectSpec'] | undefined): Task;
}

interface ReconnectInput {
  readonly host: string;
  /** Where the host is now; where it was unless told. */
  readonly target?: HostTarget;
  /** Taken from another center that has it. */
  readonly force?: boolean;
  /** Of a user and password, kept in memory. */
  readonly password?: string;
}

const takeOverTime = 300_000;

/** Tasks that let a host be, and take it up again. */
export function definePresenceWork(core: CenterCore): PresenceWork {
  const passwords = new KeptPasswords();
  const leave = (task: RunningTask, { host }: { readonly host: string }) => disconnect(core, task, host);
  const disconnecting = core.tasks.define<{ readonly host: string }>('HostSystem.disconnect', {
    method: 'DisconnectHost_Task',
    run: leave,
    resume: leave,
  });
  const back = (task: RunningTask, input: ReconnectInput) => {
    const credentials = input.password === undefined ? undefined : passwords.take(input.password);
    return told(core, task, input, () => reconnect(core, task, input, credentials));
  };
  const reconnecting = core.tasks.define<ReconnectInput>('HostSystem.reconnect', {
    method: 'ReconnectHost_Task',
    run: back,
    resume: back,
  });
  return {
    disconnect: (call) => disconnecting(call, { input: { host: call.self.ref.value }, queueKey: call.self.ref.value }),
    reconnect: (call, spec) => {
      const { value } = core.inventory.get('HostSystem', call.self.ref);
      if (stateOf(core, value) === 'connected')
        throw fault('InvalidState', {}, 'The host is connected; disconnect it first to give it other connection data.');
      const credentials = spec === undefined ? undefined : hostCredentials(spec);
      const input: ReconnectInput = {
        host: value,
        ...(spec?.hostName === undefined ? {} : { target: hostTarget(spec) }),
        ...(spec?.force === true ? { force: true } : {}),
        ...(credentials === undefined ? {} : { password: passwords.keep(credentials) }),
      };
      return reconnecting(call, { input, queueKey: value });
    },
  };
}

function stateOf(core: CenterCore, value: string): ConnectionState | undefined {
  return core.registry.read({ type: 'HostSystem', value }, 'runtime')?.connectionState;
}

async function disconnect(core: CenterCore, task: RunningTask, value: string): Promise<void> {
  const { inventory, hosts } = core;
  await inventory.edit((edit) => {
    edit.put({ ...inventory.get('HostSystem', { value }), disconnected: true });
  });
  const link = await hosts.stop(value);
  if (link !== undefined) await changeState(core, link, 'disconnected', (draft, event) => task.post(draft, event));
  else if (stateOf(core, value) !== 'disconnected')
    changeStateUnfollowed(core, value, 'disconnected', (draft, event) => task.post(draft, event));
}

async function reconnect(
  core: CenterCore,
  task: RunningTask,
  { host: value, target, force = false }: ReconnectInput,
  credentials: HostCredentials | undefined,
): Promise<void> {
  const { inventory, hosts } = core;
  const before = inventory.get('HostSystem', { value });
  const address = await addressNow(core, before, target);
  const first = await contact(core, before, address, force, credentials);
  try {
    const { identity } = await meetHost(core, before.name, address, first);
    if (identity !== before.identity)
      throw fault('HostConnectFault', {}, `Another host answers at the address of '${before.name}'.`);
  } catch (error) {
    await first.close();
    throw error;
  }
  const shown = stateOf(core, value);
  await hosts.stop(value);
  const document = await inventory.edit((edit) => {
    const now = { ...inventory.get('HostSystem', { value }), address, disconnected: false };
    edit.put(now);
    return now;
  });
  task.progress(50);
  await hosts.start(document, { first, shown }).ready(AbortSignal.timeout(takeOverTime));
}

async function addressNow(
  core: CenterCore,
  { address }: HostDocument,
  target: HostTarget | undefined,
): Promise<HostAddress> {
  if (target === undefined) return address;
  const known = address.local || target.thumbprint !== undefined ? {} : { thumbprint: address.thumbprint };
  return confirmedAddress(core.hosts.connector, { ...known, ...target });
}

/** By a password where one is given, which makes the host trust the center anew. */
async function contact(
  core: CenterCore,
  { identity, name }: HostDocument,
  address: HostAddress,
  force: boolean,
  credentials: HostCredentials | undefined,
): Promise<HostConnection> {
  const { connector } = core.hosts;
  if (credentials !== undefined) {
    const connection = await connector.introduce(address, credentials);
    try {
      const met = await meetHost(core, name, address, connection);
      // Another host is not made to trust this center.
      if (met.identity === identity) await connector.enroll(connection, force);
    } finally {
      await connection.close();
    }
  }
  return connector.connect(address);
}

async function told(core: CenterCore, task: RunningTask, { host }: ReconnectInput, work: () => Promise<void>) {
  try {
    await work();
  } catch (error) {
    const document = core.inventory.find(host);
    if (document?.type === 'HostSystem') {
      const entity = referenceOf(document);
      core.registry.commit((draft) => {
        task.post(draft, { ...connectFailureEvent(error, document.name), entity });
        task.post(draft, { type: 'HostReconnectionFailedEvent', entity });
      });
    }
    throw connectFault(error, document?.name ?? host);
  }
}
