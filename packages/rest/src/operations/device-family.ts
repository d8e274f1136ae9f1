import type { VirtualDevice } from '@hypostyle/vim';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { DeviceReader } from '../machine/device-info.ts';
import type { DevicePlan } from '../machine/device-plan.ts';
import { Machine } from '../machine/machine-reader.ts';
import { type Operation, operation } from './operation.ts';

/** Devices of one kind, as this interface speaks of them. */
export interface DeviceFamily<D extends VirtualDevice, I extends TSchema> {
  /** In paths, such as `scsi` below `adapter`. */
  readonly name: string;
  /** Segment before the name. */
  readonly group?: string;
  /** Member that names one, such as `nic`. */
  readonly word: string;
  /** Managed by this type and those that derive from it. */
  readonly type: string;
  readonly info: I;
  tell(devices: DeviceReader, device: D): Static<I>;
}

/** What all kinds of devices have: a list, one of them, its removal, and connecting where it can be connected. */
export function familyOperations<D extends VirtualDevice, I extends TSchema>(
  family: DeviceFamily<D, I>,
  { connects = false }: { readonly connects?: boolean } = {},
): Operation[] {
  const { name, word, type, info, tell } = family;
  const { base, id, one } = placeOf(family);
  const operations: Operation[] = [
    operation({
      id: `${id}.list`,
      summary: `Devices of a machine: ${name}.`,
      method: 'GET',
      path: base as '/vcenter/vm/{vm}/hardware',
      rest: {},
      answer: Type.Array(Type.Unsafe<Record<string, string>>(Type.Object({ [word]: Type.String() }))),
      run: ({ view, path }) =>
        new Machine(view, path.vm).devices.ofType(type).map(({ key }) => ({ [word]: String(key) })),
    }),
    operation({
      id: `${id}.get`,
      summary: `One device of a machine: ${name}.`,
      method: 'GET',
      path: one as '/vcenter/vm/{vm}/hardware/{device}',
      rest: {},
      answer: info as TSchema,
      run({ view, path }) {
        const machine = new Machine(view, path.vm);
        return tell(machine.devices, machine.device<D>(type, deviceOf(path, word)));
      },
    }),
    operation({
      id: `${id}.delete`,
      summary: `Takes a device off a machine: ${name}.`,
      method: 'DELETE',
      path: one as '/vcenter/vm/{vm}/hardware/{device}',
      rest: {},
      async run({ view, path }) {
        const machine = new Machine(view, path.vm);
        const device = machine.device(type, deviceOf(path, word));
        await machine.change(type, (plan) => plan.remove(device));
      },
    }),
  ];
  if (!connects) return operations;
  return [...operations, ...[true, false].map((connected) => connecting(family, id, one, connected))];
}

/** Adds a device; answers its key. */
export function creating<D extends VirtualDevice, I extends TSchema, S extends TSchema>(
  family: DeviceFamily<D, I>,
  summary: string,
  body: S,
  add: (plan: DevicePlan, spec: Static<S>) => void,
): Operation {
  const { base, id } = placeOf(family);
  return operation({
    id: `${id}.create`,
    summary,
    method: 'POST',
    path: base as '/vcenter/vm/{vm}/hardware',
    rest: {},
    created: true,
    body: body as TSchema,
    answer: Type.String(),
    run: ({ view, path, body: spec }) =>
      new Machine(view, path.vm).change(family.type, (plan) => add(plan, spec as Static<S>)),
  });
}

/** Changes a device that there is. */
export function updating<D extends VirtualDevice, I extends TSchema, S extends TSchema>(
  family: DeviceFamily<D, I>,
  summary: string,
  body: S,
  change: (plan: DevicePlan, device: D, spec: Static<S>) => void,
): Operation {
  const { id, one } = placeOf(family);
  return operation({
    id: `${id}.update`,
    summary,
    method: 'PATCH',
    path: one as '/vcenter/vm/{vm}/hardware/{device}',
    rest: {},
    body: body as TSchema,
    async run({ view, path, body: spec }) {
      const machine = new Machine(view, path.vm);
      const device = machine.device<D>(family.type, deviceOf(path, family.word));
      await machine.change(family.type, (plan) => change(plan, device, spec as Static<S>));
    },
  });
}

function placeOf({ name, group, word }: Pick<DeviceFamily<never, TSchema>, 'name' | 'group' | 'word'>) {
  const steps = group === undefined ? [name] : [group, name];
  const base = ['/vcenter/vm/{vm}/hardware', ...steps].join('/');
  return { base, id: ['vcenter.vm.hardware', ...steps].join('.'), one: `${base}/{${word}}` };
}

function connecting<D extends VirtualDevice, I extends TSchema>(
  { name, word, type }: DeviceFamily<D, I>,
  id: string,
  path: string,
  connected: boolean,
): Operation {
  const action = connected ? 'connect' : 'disconnect';
  return operation({
    id: `${id}.${action}`,
    summary: `${connected ? 'Connects' : 'Disconnects'} a device of a machine that is on: ${name}.`,
    method: 'POST',
    path: path as '/vcenter/vm/{vm}/hardware/{device}',
    action,
    rest: { wrap: null },
    async run({ view, path }) {
      const machine = new Machine(view, path.vm);
      const device = machine.device(type, deviceOf(path, word));
      await machine.change(type, (plan) => plan.connect(device, connected));
    },
  });
}

function deviceOf(path: object, word: string): string {
  return (path as Readonly<Record<string, string>>)[word] ?? '';
}
