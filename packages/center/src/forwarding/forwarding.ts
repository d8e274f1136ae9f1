import {
  type Call,
  checksAsItRuns,
  fault,
  localizedFault,
  type ManagedObject,
  type ManagedObjectReference,
  type ManagedTypeName,
  type MethodTable,
  type RunningTask,
  type TaskInfo,
  VimFault,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { activationPrefix, type HostLink } from '../hosts/connection/host-link.ts';
import type { Route } from '../hosts/connection/host-links.ts';
import { taskToken } from '../hosts/following/task-token.ts';
import { taskDescriptionId } from './task-names.ts';
import { toHost } from './to-host.ts';

type Arguments = Readonly<Record<string, unknown>>;

export interface PassOptions {
  /** Where the call goes, unless that is where the called object is. */
  readonly at?: Route;
  /** What the task is about, where the called object is no entity. */
  readonly entity?: ManagedObjectReference;
}

export interface StepOptions {
  /** It may have begun before: looked for first. */
  readonly again?: boolean;
  /** Tells steps of one task on one host apart. */
  readonly part?: string;
  /** It is done though the task was cancelled: it takes back what was done before. Default: false. */
  readonly steady?: boolean;
}

/** Methods that only look: what they answer changes nothing that is followed. */
const looking = /^(Query|Retrieve|Find|Check|Validate|Estimate|List|Get|Acquire|Has|Fetch|Read|Extract|Is)/;

/** What the center answers with its own table where the host has a method of the same name. */
const never = new Set(['setCustomValue', 'Reload']);

/** What only the session can call that it was made for. */
const ownedBySession = new Set<string>(['HttpNfcLease']);

/** Sends calls to the host that the called object is on: arguments, results, faults and tasks in the caller's words. */
export class Forwarding {
  readonly #core: CenterCore;
  readonly #byCall = (call: Call, args: Arguments) => this.call(call, args);
  readonly #byTask = (call: Call, args: Arguments) => this.task(call, args);
  readonly #passing = new WeakSet<object>([this.#byCall, this.#byTask]);

  constructor(core: CenterCore) {
    this.#core = core;
  }

  /** A table of methods that only a host can answer, whatever is checked before. */
  passing<T extends object>(table: T): T {
    for (const method of Object.values(table)) this.#passing.add(method);
    return table;
  }

  /** True for a method of a table that only a host can answer. */
  forwards(method: unknown): boolean {
    return typeof method === 'function' && this.#passing.has(method);
  }

  /**
   * Every method of a type, answered by the object's host; `own` goes before. What needs rights on more than its object
   * is not passed on by itself: the host asks what the center may do, not what its user may.
   */
  methods<T extends ManagedTypeName>(type: T, own: MethodTable<T> = {}): MethodTable<T> {
    const table: Record<string, (call: Call, args: Arguments) => Promise<unknown>> = {};
    for (const [name, method] of this.#core.schema.managed(type)?.methods ?? []) {
      if (never.has(name) || (checksAsItRuns(method) && !ownedBySession.has(type))) continue;
      table[name] = method.returns?.name === 'Task' && !method.returns.array ? this.#byTask : this.#byCall;
    }
    return { ...table, ...own } as MethodTable<T>;
  }

  /** Calls the method where the object is; the answer comes once its effect is seen here. */
  async call(call: Call, args: Arguments, at: Route = this.#core.hosts.route(call.self.ref)): Promise<unknown> {
    const { method } = call;
    const result = await at.link.call(at.ref, method.name, this.#arguments(at.link, call, args), this.#context(call));
    if (!looking.test(method.name)) await at.link.caughtUp();
    if (method.returns === undefined || result === undefined) return result;
    const { name, array } = method.returns;
    if (name === 'HttpNfcLease')
      return at.link.showLease(result as ManagedObjectReference<'HttpNfcLease'>, call.session);
    return this.#core.rewriter.rewrite({ name, array }, result, (ref) => at.link.mirror.references.toCenter(ref));
  }

  /** Begins the method's task where the object is; the task here goes as that one goes. */
  async task(
    call: Call,
    args: Arguments,
    { at = this.#core.hosts.route(call.self.ref), entity = this.#entityOf(call.self) }: PassOptions = {},
  ): Promise<ManagedObjectReference<'Task'>> {
    const { tasks } = this.#core;
    const { method, context } = call;
    const given = this.#arguments(at.link, call, args);
    const task = await tasks.owned.start({
      owner: at.link.host,
      entity,
      userName: call.session?.userName ?? '',
      info: {
        descriptionId: taskDescriptionId(call.self.ref.type, method.name),
        name: method.name as never,
        reason: { _typeName: 'TaskReasonUser', userName: call.session?.userName ?? '' } as TaskInfo['reason'],
        ...(context.activationId === undefined ? {} : { activationId: context.activationId }),
      },
      announced: false,
    });
    try {
      const activationId = activationPrefix(this.#core) + taskToken(this.#core.registry, task.ref);
      await at.link.call(at.ref, method.name, given, { ...this.#context(call), activationId });
    } catch (error) {
      // A connection that broke does not say whether it began: the next one will.
      if (error instanceof VimFault && error.type !== 'HostNotConnected') {
        await task.update({ state: 'error', error: localizedFault(error) });
      }
      throw error;
    }
    return task.ref;
  }

  /**
   * Does a task of the host as a step of one of the center's: begins it, or finds it again after a restart or a broken
   * connection, and waits for its end. Answers the result, throws the fault. What is called, and with what, may depend
   * on the connection, and is asked for once there is one.
   */
  async step(
    task: RunningTask,
    host: HostLink,
    self: ManagedObjectReference | ((link: HostLink) => ManagedObjectReference),
    method: string,
    args: Arguments | ((link: HostLink) => Arguments),
    { again = false, part, steady = false }: StepOptions = {},
  ): Promise<unknown> {
    const signal = steady ? new AbortController().signal : task.signal;
    const token = taskToken(this.#core.registry, task.ref);
    const own = part === undefined ? token : `${token}/${part}`;
    const activationId = activationPrefix(this.#core) + own;
    const realUser = task.userName === '' ? {} : { realUser: task.userName };
    let uncertain = again;
    let begun = false;
    for (let link = host; ; ) {
      link = await this.#core.hosts.ready(link, signal);
      try {
        const found = uncertain ? await link.tasks.begun(own) : undefined;
        if (found !== undefined && isOver(found)) return this.#outcome(link, found);
        if (found === undefined && begun) throw lost();
        const key =
          found?.key ??
          (
            (await link.call(typeof self === 'function' ? self(link) : self, method, asArguments(args, link), {
              activationId,
              ...realUser,
            })) as ManagedObjectReference
          ).value;
        begun = true;
        const info = await this.ended(task, link, key, signal);
        if (info !== undefined) return this.#outcome(link, info);
      } catch (error) {
        if (!(error instanceof VimFault) || error.type !== 'HostNotConnected') throw error;
      }
      uncertain = true;
    }
  }

  /**
   * Waits for the end of a host's task that was begun in the name of one of the center's, other than by its own
   * reference. Answers the result, throws the fault.
   */
  async outcome(task: RunningTask, host: HostLink): Promise<unknown> {
    for (let link = host; ; ) {
      link = await this.#core.hosts.ready(link, task.signal);
      try {
        await link.caughtUp();
        const found = await link.tasks.begun(taskToken(this.#core.registry, task.ref));
        if (found === undefined) throw lost();
        const info = isOver(found) ? found : await this.ended(task, link, found.key);
        if (info !== undefined) return this.#outcome(link, info);
      } catch (error) {
        if (!(error instanceof VimFault) || error.type !== 'HostNotConnected') throw error;
      }
    }
  }

  /** The final info of a host's task; cancelled there when the center's is. Undefined when the host has forgotten it. */
  async ended(
    task: RunningTask,
    link: HostLink,
    key: string,
    signal: AbortSignal = task.signal,
  ): Promise<TaskInfo | undefined> {
    const ref = { _typeName: 'ManagedObjectReference', type: 'Task', value: key } as const;
    // The host may refuse to cancel; its task then goes on, and so does this one.
    const cancel = () => void link.call(ref, 'CancelTask', {}).catch(() => {});
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
    try {
      const never = new AbortController().signal;
      return await link.tasks.finished(key, ({ progress }) => progress !== undefined && task.progress(progress), never);
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  #outcome(link: HostLink, info: TaskInfo): unknown {
    const map = (ref: ManagedObjectReference) => link.mirror.references.toCenter(ref);
    if (info.state === 'success') return this.#core.rewriter.rewriteAny(info.result, map);
    const { error } = this.#core.rewriter.rewrite({ name: 'TaskInfo', array: false }, info, map) as TaskInfo;
    if (error === undefined) throw fault('SystemError', { reason: 'unknown' }, 'The host says no reason.');
    const detail = error.fault as VimFault['detail'];
    throw new VimFault(detail._typeName, detail, error.localizedMessage ?? detail._typeName);
  }

  /** The machine of a snapshot; any other object itself. */
  #entityOf(self: ManagedObject): ManagedObjectReference {
    return self.ref.type === 'VirtualMachineSnapshot'
      ? ((self.value('vm') as ManagedObjectReference) ?? self.ref)
      : self.ref;
  }

  #arguments(link: HostLink, { method }: Call, args: Arguments): Arguments {
    return this.toHost(link, method.name, args);
  }

  /** A method's arguments in the host's references. */
  toHost(link: HostLink, method: string, args: Arguments): Arguments {
    const given: Record<string, unknown> = {};
    for (const { name, type } of this.#core.schema.method(method)?.parameters ?? []) {
      const value = args[name];
      if (value === undefined) continue;
      given[name] = this.#core.rewriter.rewrite(type, value, (ref) => toHost(this.#core, link, ref));
    }
    return given;
  }

  #context({ session, context, signal }: Call) {
    return {
      signal,
      ...(session === undefined ? {} : { realUser: session.userName }),
      ...(context.operationId === undefined ? {} : { operationId: context.operationId }),
    };
  }
}

function asArguments(args: Arguments | ((link: HostLink) => Arguments), link: HostLink): Arguments {
  return typeof args === 'function' ? args(link) : args;
}

function isOver({ state }: TaskInfo): boolean {
  return state === 'success' || state === 'error';
}

function lost(): VimFault {
  return fault('SystemError', { reason: 'lost' }, 'The host has forgotten the task; look there what became of it.');
}
