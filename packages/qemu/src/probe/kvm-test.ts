import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Exit code of QEMU's isa-debug-exit for the value that the test guest writes: 2 × 16 + 1. */
const successCode = 33;

/**
 * A boot sector that writes 16 to port 0xf4 (isa-debug-exit) and halts:
 * `mov dx, 0xf4; mov al, 0x10; out dx, al; hlt; jmp $-1`.
 */
const bootSector = Buffer.alloc(512);
Buffer.from('baf400b010eef4ebfd', 'hex').copy(bootSector);
bootSector.writeUInt16LE(0xaa55, 510);

/** Runs a tiny guest under KVM. Undefined: it ran to its end; else why not, in a sentence. */
export async function whyNotKvm(options: {
  readonly program: string;
  readonly cpuModel: string;
  readonly timeoutMs: number;
}): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-kvm-'));
  try {
    const disk = join(folder, 'boot.img');
    await writeFile(disk, Buffer.concat([bootSector, Buffer.alloc((1 << 20) - 512)]));
    return await runGuest({ ...options, disk });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function runGuest(options: {
  readonly program: string;
  readonly cpuModel: string;
  readonly timeoutMs: number;
  readonly disk: string;
}): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      options.program,
      [
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-boot', 'menu=off'],
        ...['-machine', 'pc', '-accel', 'kvm', '-cpu', options.cpuModel, '-m', '64'],
        ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4'],
        ...['-drive', `file=${options.disk},format=raw,if=ide,read-only=off`],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], timeout: options.timeoutMs, killSignal: 'SIGKILL' },
    );
    let errors = '';
    child.on('error', reject);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-4096);
    });
    child.on('close', (code, signal) => {
      if (code === successCode) resolve(undefined);
      else if (signal === 'SIGKILL') {
        resolve(`KVM does not run a guest here: a test guest did not end within ${options.timeoutMs / 1000} seconds.`);
      } else {
        const said = errors.split('\n').find((line) => line.includes('error:')) ?? errors.trim().split('\n').at(-1);
        resolve(
          `KVM does not run a guest here: ${said?.replace(/^qemu-system-x86_64: (?:error: )?/, '') || `code ${code}`}.`,
        );
      }
    });
  });
}

/** Undefined: the device can be opened; else why not, in a sentence. */
export async function whyNoKvmDevice(): Promise<string | undefined> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? 'KVM is not here: there is no /dev/kvm.'
      : 'KVM cannot be used: /dev/kvm may not be opened; add this user to the group kvm.';
  }
}
