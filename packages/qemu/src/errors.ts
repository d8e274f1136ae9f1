import { HypervisorError } from '@hypostyle/contracts';

/** Every error of this driver; callers see nothing else. */
export const qemuErrors = {
  engineMissing: (program: string) =>
    new HypervisorError('engine-missing', `${program} is not here: run \`apt-get install qemu-system-x86 ovmf\`.`),
  engineTooOld: (detail: string, cause?: unknown) =>
    new HypervisorError('engine-missing', `QEMU does not answer as expected (7.2 or newer is needed): ${detail}`, {
      cause,
    }),
  firmwareMissing: (folder: string) =>
    new HypervisorError('engine-missing', `No EFI firmware in ${folder}: run \`apt-get install ovmf\`.`),
  locked: (lockPath: string) =>
    new HypervisorError('locked', `Another engine holds ${lockPath}: the machine already runs, here or elsewhere.`),
  unsupported: (what: string) => new HypervisorError('unsupported-hardware', what),
  startFailed: (why: string, cause?: unknown) => new HypervisorError('start-failed', why, { cause }),
  notRunning: (uuid: string) => new HypervisorError('not-running', `Machine ${uuid} does not run.`),
  engineLost: (uuid: string, why: string, cause?: unknown) =>
    new HypervisorError('engine-lost', `The engine of machine ${uuid} does not answer: ${why}`, { cause }),
  refused: (why: string, cause?: unknown) =>
    new HypervisorError('engine-lost', `The engine refused a command: ${why}`, { cause }),
  agentAbsent: (why: string) => new HypervisorError('guest-agent-absent', why),
  guestUnsupported: (why: string, cause?: unknown) => new HypervisorError('guest-unsupported', why, { cause }),
  guestDisabled: (why: string, cause?: unknown) => new HypervisorError('guest-disabled', why, { cause }),
  guestRefused: (why: string, cause?: unknown) => new HypervisorError('guest-refused', why, { cause }),
  guestLate: (why: string) => new HypervisorError('guest-late', why),
  screenFailed: (why: string, cause?: unknown) => new HypervisorError('screen-failed', why, { cause }),
  suspendFailed: (why: string, cause?: unknown) => new HypervisorError('suspend-failed', why, { cause }),
  blockFailed: (why: string, cause?: unknown) => new HypervisorError('block-failed', why, { cause }),
  memoryFailed: (why: string, cause?: unknown) => new HypervisorError('memory-failed', why, { cause }),
  hotPlugFailed: (why: string, cause?: unknown) => new HypervisorError('hot-plug-failed', why, { cause }),
  quiesceFailed: (why: string, cause?: unknown) => new HypervisorError('quiesce-failed', why, { cause }),
  imageFailed: (why: string, cause?: unknown) => new HypervisorError('image-failed', why, { cause }),
};

/** What an unknown thrown value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
