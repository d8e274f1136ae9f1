import { randomBytes } from 'node:crypto';
import { actingUser, type GuestProcessInfo, type GuestProgramSpec, type MethodTable } from '@hypostyle/vim';
import type { GuestAccess } from './guest-access.ts';
import { asGuestFault, guestFaults } from './guest-faults.ts';
import { parseProcesses } from './guest-process-list.ts';
import { encodeParameter } from './guest-scripts.ts';
import { StartedPrograms } from './started-programs.ts';

const maxPids = 1_000;
const maxVariables = 1_000;
const maxText = 64 << 10;
/** Beyond the seconds that a process gets to end by itself, milliseconds. */
const terminateTimeout = 60_000;

/** GuestProcessManager. */
export function processMethods(access: GuestAccess): MethodTable<'GuestProcessManager'> {
  const started = new StartedPrograms();
  return {
    StartProgramInGuest: async (call, { vm, auth, spec }) => {
      const { machine, user } = access.of(call, vm, auth);
      checkSpec(spec);
      const { programPath, arguments: args, workingDirectory = '', envVariables = [] } = spec;
      await access.shell.run(machine, user, {
        operation: 'checkProgram',
        parameters: [programPath, workingDirectory],
        file: programPath,
      });
      const pid = await access.shell.start(machine, user.userName, {
        operation: 'startProgram',
        parameters: [programPath, commandOf(args), workingDirectory, ...envVariables],
      });
      const info = {
        name: programPath.slice(programPath.lastIndexOf('/') + 1),
        owner: user.userName,
        cmdLine: `"${programPath}" ${args}`.trim(),
        startTime: new Date().toISOString(),
      };
      started.add(machine.id, machine.bootTime, pid, info);
      access.say(machine, actingUser(call), `${user.userName} in the guest started ${programPath}`);
      return pid;
    },

    ListProcessesInGuest: async (call, { vm, auth, pids: given = [] }) => {
      const pids = given.map(Number);
      if (pids.length > maxPids) throw guestFaults.argument('pids', `At most ${maxPids} processes are asked for.`);
      const { machine, user } = access.of(call, vm, auth);
      const separator = randomBytes(16).toString('hex');
      const output = await access.shell.run(machine, user, { operation: 'listProcesses', parameters: [separator] });
      const all = parseProcesses(output.toString('utf8'), separator);
      const own = await started
        .look(access.shell.engine(machine), machine.id, machine.bootTime, pids)
        .catch((error: unknown) => Promise.reject(asGuestFault(error)));
      return merged(all, own, pids);
    },

    TerminateProcessInGuest: async (call, { vm, auth, pid: given }) => {
      const pid = Number(given);
      const { machine, user } = access.of(call, vm, auth);
      if (!Number.isSafeInteger(pid) || pid <= 0) throw guestFaults.noProcess(pid);
      await access.shell.run(machine, user, {
        operation: 'terminateProcess',
        parameters: [`${pid}`],
        file: `${pid}`,
        timeoutMs: terminateTimeout,
      });
      access.say(machine, actingUser(call), `${user.userName} in the guest ended process ${pid}`);
    },

    ReadEnvironmentVariableInGuest: async (call, { vm, auth, names = [] }) => {
      const { machine, user } = access.of(call, vm, auth);
      const output = await access.shell.run(machine, user, { operation: 'readEnvironment' });
      const variables = output
        .toString('utf8')
        .split('\0')
        .filter((variable) => /^[^=\s]+=/.test(variable));
      if (names.length === 0) return variables;
      const wanted = new Set(names);
      return variables.filter((variable) => wanted.has(variable.slice(0, variable.indexOf('='))));
    },
  };
}

/**
 * What a shell is to run. One program is put in the shell's place, so that its process is the one that is told of;
 * where the arguments may be more than that, the shell stays.
 */
function commandOf(args: string): string {
  return /[;&|\n`(]/.test(args) ? `"$0" ${args}` : `exec "$0" ${args}`;
}

function checkSpec({ programPath, arguments: args, workingDirectory = '', envVariables = [] }: GuestProgramSpec): void {
  const bad = (name: string, why: string) => guestFaults.argument(`spec.${name}`, why);
  if (programPath === '' || programPath.includes('\0')) throw bad('programPath', 'A program has a path.');
  for (const [name, text] of Object.entries({ programPath, arguments: args, workingDirectory })) {
    if (text.length > maxText || text.includes('\0')) throw bad(name, `${name} is too long, or has a zero byte.`);
  }
  if (envVariables.length > maxVariables) throw bad('envVariables', `At most ${maxVariables} variables are set.`);
  for (const variable of envVariables) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*=[^\0]*$/.test(variable) || encodeParameter(variable).length > maxText)
      throw bad('envVariables', 'A variable is NAME=value; a name has letters, digits and _.');
  }
}

/** What runs, with the ends of what was started here. */
function merged(
  all: readonly GuestProcessInfo[],
  own: readonly GuestProcessInfo[],
  pids: readonly number[],
): GuestProcessInfo[] {
  const ended = new Set(own.filter(({ endTime }) => endTime !== undefined).map(({ pid }) => pid));
  const running = new Set(all.map(({ pid }) => pid));
  const wanted = new Set(pids);
  return [
    ...all.filter(({ pid }) => !ended.has(pid)),
    ...own.filter(({ pid }) => ended.has(pid) || !running.has(pid)),
  ].filter(({ pid }) => wanted.size === 0 || wanted.has(Number(pid)));
}
