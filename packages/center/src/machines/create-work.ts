import { randomUUID } from 'node:crypto';
import { formatDatastorePath, parseDatastorePath } from '@hypostyle/services';
import {
  type Call,
  fault,
  type ManagedObjectReference,
  type RunningTask,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { type ExpectedBy, ExpectedMachines, expectNoMore } from './expected-machine.ts';
import { type AskedPlace, choosePlace, datastoresOf, type MachinePlace, machineName } from './machine-place.ts';
import { isTemplate } from './templates.ts';

type TaskReference = ManagedObjectReference<'Task'>;

interface CreateInput {
  readonly spec: VirtualMachineConfigSpec;
  readonly place: MachinePlace;
}

interface RegisterInput {
  readonly path: string;
  readonly name: string | undefined;
  /** Absent in what was written before there were templates. */
  readonly asTemplate?: boolean;
  readonly place: MachinePlace;
}

/** How the machine is expected: written down before it is, so that a restart finds it. */
export interface MakingJournal {
  readonly by: ExpectedBy;
}

type Where = Pick<AskedPlace, 'folder' | 'pool' | 'host'>;

export interface CreateWork {
  /** Folder.CreateVM_Task and ResourcePool.CreateChildVM_Task. */
  create(call: Call, where: Where, spec: VirtualMachineConfigSpec): Promise<TaskReference>;
  /** Folder.RegisterVM_Task and ResourcePool.RegisterChildVM_Task. */
  register(call: Call, where: Where, what: Omit<RegisterInput, 'place'>): Promise<TaskReference>;
}

/** Making machines known to a host: the center keeps name and place, the host does the work. */
export function defineCreateWork(core: CenterCore, forwarding: Forwarding): CreateWork {
  const making = new MachineMaking(core);
  const planCreate = ({ spec }: CreateInput): MakingJournal => ({ by: freeInstanceUuid(core, spec) });
  const runCreate = (task: RunningTask, input: CreateInput, isAgain: boolean) => {
    const { spec, place } = input;
    const made = { name: spec.name ?? '', place, plan: () => planCreate(input), isAgain };
    return making.make(task, made, ({ by, link, again }) => {
      const instanceUuid = 'instanceUuid' in by ? by.instanceUuid : undefined;
      return forwarding.step(
        task,
        link,
        ({ layout }) => layout.vmFolder,
        'CreateVM_Task',
        (link) => forwarding.toHost(link, 'CreateVM_Task', { config: { ...spec, instanceUuid }, pool: poolAt(place) }),
        { again },
      );
    });
  };
  const create = core.tasks.define<CreateInput>('Folder.createVm', {
    method: 'CreateVM_Task',
    plan: async (input) => planCreate(input),
    run: (task, input) => runCreate(task, input, false),
    resume: (task, input) => runCreate(task, input, true),
  });
  const planRegister = ({ path }: RegisterInput): MakingJournal => ({ by: { path } });
  const runRegister = (task: RunningTask, input: RegisterInput, isAgain: boolean) => {
    const { path, name, place, asTemplate = false } = input;
    const made = { name: name ?? nameOfFile(path), place, plan: () => planRegister(input), isAgain };
    return making.make(task, made, ({ link, again }) =>
      forwarding.step(
        task,
        link,
        ({ layout }) => layout.vmFolder,
        'RegisterVM_Task',
        (link) => {
          const pool = asTemplate ? undefined : poolAt(place);
          return forwarding.toHost(link, 'RegisterVM_Task', { path, name, asTemplate, pool });
        },
        { again },
      ),
    );
  };
  const register = core.tasks.define<RegisterInput>('Folder.registerVm', {
    method: 'RegisterVM_Task',
    plan: async (input) => planRegister(input),
    run: (task, input) => runRegister(task, input, false),
    resume: (task, input) => runRegister(task, input, true),
  });
  return {
    create: (call, where, spec) => {
      if (spec.name === undefined)
        throw fault(
          'InvalidArgument',
          { invalidProperty: 'config.name' },
          'A machine needs a name; config.name is unset.',
        );
      const name = machineName(spec.name);
      const place = choosePlace(core, { ...where, datastores: datastoresOf(spec) });
      return create(call, { input: { spec: { ...spec, name }, place } });
    },
    register: (call, where, { path, name, asTemplate = false }) => {
      const parsed = parseDatastorePath(path);
      const place = choosePlace(core, { ...where, datastores: [parsed.datastore] });
      return register(call, {
        input: {
          path: formatDatastorePath(parsed),
          name: name === undefined ? name : machineName(name),
          asTemplate,
          place,
        },
      });
    },
  };
}

/** What the host's part of a making is told. */
interface MakingStep {
  readonly by: ExpectedBy;
  readonly link: HostLink;
  /** It may have begun before. */
  readonly again: boolean;
}

/** A machine that is to be made. */
interface Making {
  readonly name: string;
  readonly place: MachinePlace;
  /** What is journaled, where the task was not written down with it. */
  readonly plan: () => MakingJournal;
  /** An earlier process may have begun it. */
  readonly isAgain: boolean;
}

/** The center's side of a machine's making: expects it, has the host make it, and lets go of what did not come. */
export class MachineMaking {
  readonly #core: CenterCore;
  readonly #expected: ExpectedMachines;

  constructor(core: CenterCore) {
    this.#core = core;
    this.#expected = new ExpectedMachines(core);
  }

  /** Answers what the host's part answers: the machine. Begun before, it goes on. */
  async make(
    task: RunningTask,
    { name, place, plan, isAgain }: Making,
    work: (step: MakingStep) => Promise<unknown>,
  ): Promise<unknown> {
    const known = task.journaled as MakingJournal | undefined;
    const journal = known ?? plan();
    if (known === undefined) await task.journal(journal);
    const { by } = journal;
    const again = isAgain && known !== undefined;
    try {
      const link = this.#link(place.host);
      // Begun before, it may be there by now: only the host can tell by its path.
      if (again && 'path' in by) await link.ready(task.signal);
      await this.#expected.expect({ name, place, by });
      const made = await work({ by, link, again });
      await this.#put(made, place);
      return made;
    } finally {
      // At the end of the process nothing is over: the next one goes on.
      if (!this.#core.hosts.closed) await expectNoMore(this.#core, place.host, by);
    }
  }

  #link(host: string): HostLink {
    return this.#core.hosts.link(host) ?? this.#core.hosts.connected(host);
  }

  /** What was not known by what it was expected by comes to its place afterwards. */
  async #put(made: unknown, { folder, pool }: MachinePlace): Promise<void> {
    const { inventory } = this.#core;
    const { value } = (made ?? {}) as { readonly value?: string };
    const machine = value === undefined ? undefined : inventory.find(value);
    if (machine?.type !== 'VirtualMachine') return;
    const template = isTemplate(this.#core, referenceOf(machine));
    if (machine.parent === folder && (machine.pool === pool || template)) return;
    await inventory.edit((edit) => {
      const document = edit.find(machine.value);
      if (document?.type !== 'VirtualMachine' || edit.find(pool) === undefined) return;
      if (folder !== undefined && edit.find(folder) === undefined) return;
      const { parent, ...rest } = document;
      edit.put({ ...rest, ...(template ? {} : { pool }), ...(folder === undefined ? {} : { parent: folder }) });
    });
  }
}

/** The instanceUuid that was asked for, or another one where a machine has that already. */
export function freeInstanceUuid(core: CenterCore, spec: VirtualMachineConfigSpec): { readonly instanceUuid: string } {
  const asked = spec.instanceUuid?.toLowerCase();
  if (asked === undefined || asked === '' || core.inventory.machinesOfInstance(asked).length > 0)
    return { instanceUuid: randomUUID() };
  return { instanceUuid: asked };
}

function poolAt({ pool }: MachinePlace): ManagedObjectReference {
  return { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: pool };
}

/** Until the host says what it is called. */
function nameOfFile(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/^\[[^\]]*\] ?/, '')
    .replace(/\.vmx$/i, '');
}
