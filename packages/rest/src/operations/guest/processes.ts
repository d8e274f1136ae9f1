import { data } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import type { CenterView } from '../../calls/center-view.ts';
import { notFound } from '../../errors.ts';
import { closed, defined, optionalBoolean } from '../../schemas/common.ts';
import type { Operation } from '../operation.ts';
import { type Guest, guestPath, inGuest, text, time } from './guest-operation.ts';

const processInfo = {
  name: Type.String(),
  owner: Type.String(),
  command: Type.String(),
  started: time,
  finished: Type.Optional(time),
  exit_code: Type.Optional(Type.Integer()),
};

async function processesOf(view: CenterView, guest: Guest, pids: readonly number[]) {
  const args = { ...guest.on, ...(pids.length === 0 ? {} : { pids }) };
  const found = await view.invoke('GuestProcessManager', guest.processes, 'ListProcessesInGuest', args);
  return (found ?? []).map((info) =>
    defined({
      name: info.name,
      pid: Number(info.pid),
      owner: info.owner,
      command: info.cmdLine,
      started: info.startTime,
      finished: info.endTime,
      exit_code: info.exitCode,
    }),
  );
}

/** Programs in guests, as their users run them. */
export const guestProcessOperations: readonly Operation[] = [
  inGuest({
    id: 'processes.create',
    summary: 'Starts a program in the guest.',
    path: 'processes',
    action: 'create',
    created: true,
    body: {
      spec: closed({
        path: guestPath,
        arguments: Type.Optional(text(65_536)),
        working_directory: Type.Optional(guestPath),
        environment_variables: Type.Optional(Type.Record(text(1_024), text(65_536))),
        start_minimized: optionalBoolean,
      }),
    },
    answer: Type.Integer(),
    async run({ view, guest, body }) {
      const { spec } = body;
      const variables = Object.entries(spec.environment_variables ?? {}).map(([name, value]) => `${name}=${value}`);
      const program = data(
        'GuestProgramSpec',
        defined({
          programPath: spec.path,
          arguments: spec.arguments ?? '',
          workingDirectory: spec.working_directory,
          envVariables: variables.length === 0 ? undefined : variables,
        }),
      );
      const args = { ...guest.on, spec: program };
      return Number(await view.invoke('GuestProcessManager', guest.processes, 'StartProgramInGuest', args));
    },
  }),
  inGuest({
    id: 'processes.list',
    summary: 'Processes of the guest, and programs started here that ended lately.',
    path: 'processes',
    action: 'list',
    body: {},
    answer: Type.Array(Type.Object({ ...processInfo, pid: Type.Integer() })),
    run: ({ view, guest }) => processesOf(view, guest, []),
  }),
  inGuest({
    id: 'processes.get',
    summary: 'One process of the guest.',
    path: 'processes/{pid}',
    action: 'get',
    body: {},
    answer: Type.Object(processInfo),
    async run({ view, guest, path: { pid } }) {
      const [found] = await processesOf(view, guest, [processNumber(pid)]);
      if (found === undefined) throw notFound('Process', pid);
      const { pid: _pid, ...info } = found;
      return info;
    },
  }),
  inGuest({
    id: 'processes.delete',
    summary: 'Ends a process of the guest.',
    path: 'processes/{pid}',
    action: 'delete',
    body: {},
    async run({ view, guest, path: { pid } }) {
      const args = { ...guest.on, pid: processNumber(pid) };
      await view.invoke('GuestProcessManager', guest.processes, 'TerminateProcessInGuest', args);
    },
  }),
  inGuest({
    id: 'environment.list',
    summary: 'Variables that programs of the guest get.',
    path: 'environment',
    action: 'list',
    body: { names: Type.Optional(Type.Array(text(1_024), { maxItems: 1_000 })) },
    answer: Type.Record(Type.String(), Type.String()),
    run: ({ view, guest, body }) => variablesOf(view, guest, body.names ?? []),
  }),
  inGuest({
    id: 'environment.get',
    summary: 'One variable that programs of the guest get.',
    path: 'environment/{name}',
    action: 'get',
    body: {},
    answer: Type.String(),
    async run({ view, guest, path: { name } }) {
      const found = (await variablesOf(view, guest, [name]))[name];
      if (found === undefined) throw notFound('Variable', name);
      return found;
    },
  }),
];

async function variablesOf(view: CenterView, guest: Guest, names: readonly string[]): Promise<Record<string, string>> {
  const args = { ...guest.on, ...(names.length === 0 ? {} : { names }) };
  const found = await view.invoke('GuestProcessManager', guest.processes, 'ReadEnvironmentVariableInGuest', args);
  return Object.fromEntries(
    (found ?? []).map((variable) => {
      const equals = variable.indexOf('=');
      return [variable.slice(0, equals), variable.slice(equals + 1)];
    }),
  );
}

function processNumber(pid: string): number {
  if (!/^[1-9]\d{0,14}$/.test(pid)) throw notFound('Process', pid);
  return Number(pid);
}
