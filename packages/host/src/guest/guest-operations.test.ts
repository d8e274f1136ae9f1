import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import {
  type GuestProgram,
  type GuestProgramEnd,
  HypervisorError,
  type HypervisorErrorCode,
} from '@hypostyle/contracts';
import { type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';
import { exitCodes } from './guest-scripts.ts';

const auth = { type: 'GuestAuthManager', value: 'ha-guest-operations-auth-manager' } as const;
const processes = { type: 'GuestProcessManager', value: 'ha-guest-operations-process-manager' } as const;
const ann = { _typeName: 'NamePasswordAuthentication', interactiveSession: false, username: 'ann', password: 'sesame' };

let computer: Computer;
let daemon: Daemon;
let vm: ManagedObjectReference;
let programs: GuestProgram[] = [];

before(async () => {
  computer = await Computer.make();
  daemon = await computer.start();
  daemon.hypervisor.onProgram = answering('');
  const created = await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  vm = created as ManagedObjectReference;
});
after(async () => {
  await daemon.host.close();
  await computer.remove();
});

function answering(output: string, exitCode = 0): (program: GuestProgram) => GuestProgramEnd {
  return (program) => {
    programs.push(program);
    return { exitCode, signal: undefined, output: Buffer.from(output), errors: Buffer.alloc(0) };
  };
}

function isFault(type: string) {
  return (error: unknown) => {
    assert.ok(error instanceof VimFault, String(error));
    assert.equal(error.type, type);
    return true;
  };
}

it('does nothing in a machine that is off', async () => {
  const validate = daemon.call(auth, 'ValidateCredentialsInGuest', { vm, auth: ann });
  await assert.rejects(validate, isFault('InvalidPowerState'));
  await daemon.task(vm, 'PowerOnVM_Task');
});

it('gives the guest a password on its input alone', async () => {
  programs = [];
  const spec = { _typeName: 'GuestProgramSpec', programPath: '/bin/x', arguments: '--a', envVariables: ['KEY=hidden'] };
  await daemon.call(processes, 'StartProgramInGuest', { vm, auth: ann, spec });
  const [check, start] = programs;
  assert.equal(programs.length, 2);
  assert.deepEqual(
    Buffer.from(check?.input ?? [])
      .toString()
      .split('\n')
      .slice(0, 3),
    ['ann', 'sesame', 'check'],
  );
  // It was checked: what is left running is not given it again.
  assert.deepEqual(
    Buffer.from(start?.input ?? [])
      .toString()
      .split('\n')
      .slice(0, 3),
    ['ann', '', 'trust'],
  );
  for (const { path, arguments: args, environment } of programs)
    assert.doesNotMatch(JSON.stringify([path, args, environment]), /sesame|hidden|ann/);
});

it('lets one guess of a password be made a second', async () => {
  daemon.hypervisor.onProgram = answering('', exitCodes.invalidLogin);
  programs = [];
  const guess = (password: string) =>
    daemon.call(auth, 'ValidateCredentialsInGuest', { vm, auth: { ...ann, password } });
  const begun = performance.now();
  await assert.rejects(guess('one'), isFault('InvalidGuestLogin'));
  assert.ok(performance.now() - begun >= 990, 'it takes a second');
  const second = assert.rejects(guess('two'), isFault('InvalidGuestLogin'));
  await second;
  assert.equal(programs.length, 2);
  for (const wrong of ['', 'a\nb', 'a\0']) await assert.rejects(guess(wrong), isFault('InvalidGuestLogin'));
  assert.equal(programs.length, 2, 'what is no password is not tried');
  daemon.hypervisor.onProgram = answering('');
});

it('gives tickets for whoever acquired them, on that machine, in that run', async () => {
  const ticket = await daemon.call(auth, 'AcquireCredentialsInGuest', { vm, requestedAuth: ann });
  programs = [];
  await daemon.call(auth, 'ValidateCredentialsInGuest', { vm, auth: ticket });
  assert.deepEqual(
    Buffer.from(programs[0]?.input ?? [])
      .toString()
      .split('\n')
      .slice(0, 3),
    ['ann', '', 'trust'],
  );
  await daemon.task(vm, 'PowerOffVM_Task');
  await daemon.task(vm, 'PowerOnVM_Task');
  const again = daemon.call(auth, 'ValidateCredentialsInGuest', { vm, auth: ticket });
  await assert.rejects(again, isFault('InvalidGuestLogin'));
  const other = (await daemon.call(auth, 'AcquireCredentialsInGuest', { vm, requestedAuth: ann })) as object;
  await daemon.call(auth, 'ReleaseCredentialsInGuest', { vm, auth: other });
  const released = daemon.call(auth, 'ValidateCredentialsInGuest', { vm, auth: other });
  await assert.rejects(released, isFault('InvalidGuestLogin'));
});

it('says what an agent cannot do in the words of the interface', async () => {
  const faults: Partial<Record<HypervisorErrorCode, string>> = {
    'guest-agent-absent': 'GuestOperationsUnavailable',
    'guest-late': 'GuestOperationsUnavailable',
    'guest-disabled': 'OperationDisabledByGuest',
    'guest-unsupported': 'OperationNotSupportedByGuest',
  };
  for (const [code, type] of Object.entries(faults)) {
    daemon.hypervisor.onProgram = () => {
      throw new HypervisorError(code as HypervisorErrorCode, 'no');
    };
    await assert.rejects(daemon.call(auth, 'ValidateCredentialsInGuest', { vm, auth: ann }), isFault(type));
  }
  daemon.hypervisor.onProgram = answering('');
  for (const other of [
    { ...ann, interactiveSession: true },
    { _typeName: 'SSPIAuthentication', sspiToken: 'x' },
  ]) {
    const validate = daemon.call(auth, 'ValidateCredentialsInGuest', { vm, auth: other });
    await assert.rejects(validate, isFault('OperationNotSupportedByGuest'));
  }
});

it('tells of programs whose end was seen, and sees ends that an earlier daemon did not ask for', async () => {
  daemon.hypervisor.onProgram = answering('', 0);
  const spec = { _typeName: 'GuestProgramSpec', programPath: '/bin/x', arguments: '' };
  const pid = await daemon.call(processes, 'StartProgramInGuest', { vm, auth: ann, spec });
  const list = async () => {
    const found = await daemon.call(processes, 'ListProcessesInGuest', { vm, auth: ann, pids: [pid] });
    return (found as { name: string; exitCode?: number }[]).map(({ name, exitCode }) => [name, exitCode]);
  };
  assert.deepEqual(await list(), [['x', 0]]);
  assert.deepEqual(await list(), [['x', 0]], 'also when it is asked again');
});

it('presses keys and takes pictures', async () => {
  const keyEvents = [{ _typeName: 'UsbScanCodeSpecKeyEvent', usbHidCode: 0x040007 }];
  const count = await daemon.call(vm, 'PutUsbScanCodes', { spec: { _typeName: 'UsbScanCodeSpec', keyEvents } });
  assert.equal(count, 1);
  assert.deepEqual(daemon.hypervisor.pressed, [{ usage: 4, modifiers: [] }]);
  assert.equal(await daemon.task(vm, 'CreateScreenshot_Task'), '[datastore1] one/one-0.png');
  assert.equal(await daemon.task(vm, 'CreateScreenshot_Task'), '[datastore1] one/one-1.png');
});
