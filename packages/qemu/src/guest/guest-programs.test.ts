import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HypervisorError, type HypervisorErrorCode, maxGuestOutputBytes } from '@hypostyle/contracts';
import fc from 'fast-check';
import { type GuestAgentCall, GuestAgentError } from './guest-agent.ts';
import { lookAtGuestProgram, parseProgramState, runGuestProgram, startGuestProgram } from './guest-programs.ts';

const program = { path: '/bin/sh', arguments: ['-c', 'cat'], environment: ['A=b'], input: Buffer.from('secret') };

/** An agent whose answers are given by command. */
function agent(answers: Record<string, (args: Record<string, unknown>) => unknown>) {
  const asked: [string, Record<string, unknown>][] = [];
  const call: GuestAgentCall = async (command, args = {}) => {
    asked.push([command, args as Record<string, unknown>]);
    const answer = answers[command];
    if (answer === undefined) {
      throw new GuestAgentError(`The command ${command} has not been found`, { refused: true, commandUnknown: true });
    }
    return answer(args as Record<string, unknown>);
  };
  const withAgent = <T>(use: (call: GuestAgentCall) => Promise<T>): Promise<T> => use(call);
  return { withAgent, asked };
}

function fails(code: HypervisorErrorCode) {
  return (error: unknown) => {
    assert.ok(error instanceof HypervisorError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

it('runs a program with its input, and waits for its end', async () => {
  let looks = 0;
  const { withAgent, asked } = agent({
    'guest-exec': () => ({ pid: 17 }),
    'guest-exec-status': () =>
      ++looks < 3 ? { exited: false } : { exited: true, exitcode: 3, 'out-data': 'aGk=', 'err-data': 'bm8=' },
  });
  const { exitCode, signal, output, errors } = await runGuestProgram(withAgent, program);
  assert.deepEqual([exitCode, signal, `${output}`, `${errors}`], [3, undefined, 'hi', 'no']);
  assert.deepEqual(asked[0], [
    'guest-exec',
    {
      path: '/bin/sh',
      arg: ['-c', 'cat'],
      env: ['A=b'],
      'input-data': Buffer.from('secret').toString('base64'),
      'capture-output': true,
    },
  ]);
  assert.equal(looks, 3);
});

it('tells what an agent cannot do, may not do, and does not find apart', async () => {
  const refusing = (message: string, commandUnknown: boolean) => ({
    'guest-exec': () => {
      throw new GuestAgentError(message, { refused: true, commandUnknown });
    },
  });
  await assert.rejects(runGuestProgram(agent({}).withAgent, program), fails('guest-unsupported'));
  const disabled = refusing('Command guest-exec has been disabled', true);
  await assert.rejects(runGuestProgram(agent(disabled).withAgent, program), fails('guest-disabled'));
  const missing = refusing('Failed to execute child process', false);
  await assert.rejects(runGuestProgram(agent(missing).withAgent, program), fails('guest-refused'));
  const silent = () => Promise.reject(new GuestAgentError('no answer'));
  await assert.rejects(startGuestProgram(silent, program), fails('guest-agent-absent'));
  await assert.rejects(
    startGuestProgram(agent({ 'guest-exec': () => ({ pid: 'x' }) }).withAgent, program),
    fails('guest-refused'),
  );
});

it('knows nothing of a program whose end was told, and kills one that takes too long', async () => {
  const gone = agent({
    'guest-exec-status': () => {
      throw new GuestAgentError('PID 5 does not exist', { refused: true });
    },
  });
  assert.equal(await lookAtGuestProgram(gone.withAgent, 5), undefined);
  const endless = agent({ 'guest-exec': () => ({ pid: 9 }), 'guest-exec-status': () => ({ exited: false }) });
  await assert.rejects(runGuestProgram(endless.withAgent, { ...program, timeoutMs: 1 }), fails('guest-late'));
  const [command, args] = endless.asked.at(-1) ?? [];
  assert.deepEqual([command, args?.path, args?.arg], ['guest-exec', 'kill', ['-KILL', '9']]);
});

it('takes from an agent nothing that is not checked', () => {
  const long = 'A'.repeat(8 << 20);
  const state = parseProgramState({ exited: true, exitcode: 0, 'out-data': long });
  assert.ok(state !== undefined && !state.running && state.output.length === maxGuestOutputBytes);
  assert.deepEqual(parseProgramState({ exited: true, signal: 9 }), {
    running: false,
    exitCode: undefined,
    signal: 9,
    output: Buffer.alloc(0),
    errors: Buffer.alloc(0),
  });
  fc.assert(fc.property(fc.jsonValue(), (value) => void parseProgramState(value)));
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (code, data) => {
      const parsed = parseProgramState({ exited: true, exitcode: code, 'out-data': data });
      assert.ok(parsed !== undefined && !parsed.running && Buffer.isBuffer(parsed.output));
    }),
  );
});
