import type { VirtualDevice } from '@hypostyle/vim';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { DeviceReader } from '../machine/device-info.ts';
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
  const { name, group, word, type, info, tell } = family;
  const base = ['/vcenter/vm/{vm}/hardware', ...(group === undefined ? [] : [group]), name].join('/');
  const id = ['vcenter.vm.hardware', ...(group === undefined ? [] : [group]), name].join('.');
  const one = `${base}/{${word}}`;
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
