import { type Call, type DataTypes, fault, type ManagedObjectReference, type RunningTask } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { connectFailureEvent, connectFault } from '../hosts/connection/connect-failure.ts';
import type { HostCredentials } from '../hosts/connection/host-connection.ts';
import type { NewMachinesPlace } from '../hosts/mirror/mirror-context.ts';
import { type HostAddress, type HostDocument, referenceOf } from '../inventory/entity-document.ts';
import { confirmedAddress, type HostTarget, hostCredentials, hostTarget } from './connect-spec.ts';
import { type HostPlace, hostOfIdentity, meetHost, mustBeNew, takeIn } from './host-joining.ts';
import { KeptPasswords } from './kept-passwords.ts';

/** What is written down of a task that adds a host: no password. */
interface AddHostInput {
  readonly target: HostTarget;
  readonly place: HostPlace;
  readonly connected: boolean;
  readonly password: string;
  readonly newMachines: NewMachinesPlace;
}

/** Written before the host is told of the center. */
interface AddHostStep {
  readonly address: HostAddress;
  readonly identity: string;
}

export interface AddHostRequest {
  readonly spec: DataTypes['HostConnectSpec'];
  readonly place: HostPlace;
  readonly connected: boolean;
  readonly pool?: string | undefined;
}

type AddHost = (call: Call, request: AddHostRequest) => Promise<ManagedObjectReference<'Task'>>;

/** Milliseconds in which all of a new host is taken over. */
const takeOverTime = 300_000;

/** Tasks of one kind that add a host; the result is what `answer` makes of it. */
export function defineAddHost(
  core: CenterCore,
  kind: { readonly id: string; readonly method: 'AddStandaloneHost_Task' | 'AddHost_Task' },
  answer: (host: HostDocument) => ManagedObjectReference,
): AddHost {
  const passwords = new KeptPasswords();
  const start = core.tasks.define<AddHostInput>(kind.id, {
    method: kind.method,
    run: async (task, input) => {
      const credentials = passwords.take(input.password);
      return answer(await told(core, task, input, () => add(core, task, input, credentials)));
    },
    resume: async (task, input) => answer(await told(core, task, input, () => goOn(core, task, input))),
  });
  return (call, { spec, place, connected, pool }) => {
    const target = hostTarget(spec);
    const credentials = hostCredentials(spec);
    if (credentials === undefined) throw fault('InvalidLogin', {}, 'The host asks for a user and a password.');
    const input: AddHostInput = {
      target,
      place,
      connected,
      password: passwords.keep(credentials),
      newMachines: {
        ...(spec.vmFolder === undefined ? {} : { folder: spec.vmFolder.value }),
        ...(pool === undefined ? {} : { pool }),
      },
    };
    return start(call, { input });
  };
}

/** Posts the events of a failure. */
async function told(
  core: CenterCore,
  task: RunningTask,
  { target: { host } }: AddHostInput,
  work: () => Promise<HostDocument>,
): Promise<HostDocument> {
  try {
    return await work();
  } catch (error) {
    const { entity } = task;
    core.registry.commit((draft) => {
      task.post(draft, { ...connectFailureEvent(error, host), entity });
      task.post(draft, { type: 'HostAddFailedEvent', entity, members: { hostname: host } });
    });
    throw connectFault(error, host);
  }
}

async function add(
  core: CenterCore,
  task: RunningTask,
  input: AddHostInput,
  credentials: HostCredentials | undefined,
): Promise<HostDocument> {
  const { target } = input;
  if (credentials === undefined) throw interrupted(target.host);
  const { connector } = core.hosts;
  const address = await confirmedAddress(connector, target);
  const connection = await connector.introduce(address, credentials);
  try {
    const { identity } = await meetHost(core, target.host, address, connection);
    mustBeNew(core, identity);
    await task.journal({ address, identity } satisfies AddHostStep);
    await connector.enroll(connection, target.force);
  } finally {
    await connection.close();
  }
  task.progress(30);
  return enter(core, task, input, address);
}

/** After a restart: the host is in, or it trusts this center and comes in, or it is not in. */
async function goOn(core: CenterCore, task: RunningTask, input: AddHostInput): Promise<HostDocument> {
  const step = task.journaled as AddHostStep | undefined;
  if (step === undefined) throw interrupted(input.target.host);
  const known = hostOfIdentity(core, step.identity);
  if (known === undefined) return enter(core, task, input, step.address);
  if (input.connected) {
    const link = core.hosts.link(known.value) ?? core.hosts.start(known, { newMachines: input.newMachines });
    await link.ready(AbortSignal.timeout(takeOverTime));
  }
  return known;
}

/** By the certificate that the host trusts now. One that does not come in is let go. */
async function enter(
  core: CenterCore,
  task: RunningTask,
  input: AddHostInput,
  address: HostAddress,
): Promise<HostDocument> {
  const { connector } = core.hosts;
  const { place, connected, newMachines, target } = input;
  const connection = await connector.connect(address);
  let identity: string | undefined;
  try {
    const newcomer = await meetHost(core, target.host, address, connection);
    identity = newcomer.identity;
    return await takeIn(core, newcomer, place, AbortSignal.timeout(takeOverTime), {
      disconnected: !connected,
      newMachines,
      userName: task.userName,
      chainId: task.chainId,
    });
  } catch (error) {
    const isIn = identity !== undefined && hostOfIdentity(core, identity) !== undefined;
    if (!isIn) {
      await connector
        .dismiss(connection)
        .catch((reason: unknown) => core.onLog(`${target.host} was not let go`, reason));
      await connection.close();
    }
    throw error;
  }
}

function interrupted(host: string) {
  return fault('HostConnectFault', {}, `The center was restarted before ${host} trusted it; add it again.`);
}

/** The compute resource of a host, for results. */
export function computeOf(core: CenterCore, host: HostDocument): ManagedObjectReference {
  const compute = core.inventory.above(host.value, ['ComputeResource', 'ClusterComputeResource']);
  return compute === undefined ? referenceOf(host) : referenceOf(compute);
}
