import { setTimeout as sleep } from 'node:timers/promises';
import {
  type GuestProgram,
  type GuestProgramEnd,
  type GuestProgramState,
  maxGuestOutputBytes,
} from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { type GuestAgentCall, GuestAgentError } from './guest-agent.ts';

const defaultTimeoutMs = 60_000;
const maxInputBytes = 4 << 20;
/** How long an agent may take to start a program, and to hand over what one wrote, milliseconds. */
const startTimeoutMs = 20_000;
const outputTimeoutMs = 30_000;
/** Between looks at a program, milliseconds: the first ones come fast. */
const firstPauseMs = 5;
const lastPauseMs = 200;

type WithAgent = <T>(use: (call: GuestAgentCall) => Promise<T>) => Promise<T>;

/** Starts a program (`guest-exec`), whose output the agent keeps until its end is asked for; answers its process id. */
export async function startGuestProgram(withAgent: WithAgent, program: GuestProgram): Promise<number> {
  const { path, arguments: args, environment, input } = program;
  if (input !== undefined && input.length > maxInputBytes) {
    throw qemuErrors.guestRefused(`A program gets ${maxInputBytes} bytes of input at most.`);
  }
  const answer = await asking(() =>
    withAgent((call) =>
      call(
        'guest-exec',
        {
          path,
          arg: args,
          ...(environment === undefined ? {} : { env: environment }),
          ...(input === undefined ? {} : { 'input-data': Buffer.from(input).toString('base64') }),
          'capture-output': true,
        },
        startTimeoutMs,
      ),
    ),
  );
  const pid = isObject(answer) ? answer.pid : undefined;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) {
    throw qemuErrors.guestRefused('The guest agent names no process.');
  }
  return pid;
}

/** How a program is (`guest-exec-status`); undefined when the agent knows of none: it forgets whose end it told. */
export async function lookAtGuestProgram(withAgent: WithAgent, pid: number): Promise<GuestProgramState | undefined> {
  const answer = await asking(() =>
    withAgent(async (call) => {
      try {
        return await call('guest-exec-status', { pid }, outputTimeoutMs);
      } catch (error) {
        if (error instanceof GuestAgentError && error.refused && !error.commandUnknown) return undefined;
        throw error;
      }
    }),
  );
  return parseProgramState(answer);
}

/** Runs a program to its end. One that takes too long is killed, as well as that can be done. */
export async function runGuestProgram(withAgent: WithAgent, program: GuestProgram): Promise<GuestProgramEnd> {
  const deadline = performance.now() + (program.timeoutMs ?? defaultTimeoutMs);
  const pid = await startGuestProgram(withAgent, program);
  for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, lastPauseMs)) {
    const state = await lookAtGuestProgram(withAgent, pid);
    if (state === undefined) throw qemuErrors.guestRefused('The guest agent has forgotten the program.');
    if (!state.running) return state;
    if (performance.now() > deadline) {
      const kill = { path: 'kill', arguments: ['-KILL', `${pid}`] };
      await startGuestProgram(withAgent, kill).catch(() => {});
      throw qemuErrors.guestLate(`${program.path} did not end in time.`);
    }
    await sleep(pause);
  }
}

/** Reads the answer of `guest-exec-status`; undefined for anything else. */
export function parseProgramState(answer: unknown): GuestProgramState | undefined {
  if (!isObject(answer) || typeof answer.exited !== 'boolean') return undefined;
  if (!answer.exited) return { running: true };
  const number = (value: unknown) => (typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined);
  return {
    running: false,
    exitCode: number(answer.exitcode),
    signal: number(answer.signal),
    output: decoded(answer['out-data']),
    errors: decoded(answer['err-data']),
  };
}

function decoded(value: unknown): Buffer {
  if (typeof value !== 'string') return Buffer.alloc(0);
  return Buffer.from(value.slice(0, Math.ceil(maxGuestOutputBytes / 3) * 4), 'base64').subarray(0, maxGuestOutputBytes);
}

async function asking<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof GuestAgentError)) throw error;
    if (!error.refused) throw qemuErrors.agentAbsent(messageOf(error));
    if (!error.commandUnknown) throw qemuErrors.guestRefused(messageOf(error), error);
    throw /disabled/i.test(error.message)
      ? qemuErrors.guestDisabled(messageOf(error), error)
      : qemuErrors.guestUnsupported(messageOf(error), error);
  }
}
